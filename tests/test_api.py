"""`import untrimmed` costs nothing, and every name it offers is there."""

import inspect
import re
import subprocess
import sys
import tomllib

import pytest
import typer.main

import untrimmed
from tests.docs.pages import ROOT
from untrimmed.cli import app
from untrimmed.jobs.doctor import PACKAGES

COMMANDS = typer.main.get_command(app).commands


def test_importing_the_package_imports_nothing_else():
    program = "import sys, untrimmed; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "untrimmed" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "cv2", "av", "matplotlib", "sklearn", "typer", "yaml", "jinja2"}


@pytest.mark.parametrize("name", untrimmed.__all__)
def test_every_name_is_there(name):
    found = getattr(untrimmed, name)
    assert found is not None
    if name not in ("__version__",):
        assert found.__name__ == name
        assert found.__doc__


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_function_that_returns_what_it_did(command):
    function = getattr(
        untrimmed, {"methods": "describe_methods", "extractors": "describe_extractors", "import": "import_"}.get(command, command)
    )
    assert function.__doc__
    assert inspect.signature(function).return_annotation not in (None, inspect.Signature.empty)


def test_doctor_looks_for_what_the_package_needs():
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [re.match(r"[\w-]+", dependency)[0] for dependency in about["dependencies"]] == list(PACKAGES)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'untrimmed' has no attribute 'trian'"):
        _ = untrimmed.trian


def test_names_are_shown():
    assert set(untrimmed.__all__) <= set(dir(untrimmed))


def test_the_version_is_the_package_s():
    import importlib.metadata

    assert untrimmed.__version__ == importlib.metadata.version("untrimmed")

"""`import untrimmed` costs nothing, and every name it offers is there."""

import subprocess
import sys

import pytest

import untrimmed


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


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'untrimmed' has no attribute 'trian'"):
        _ = untrimmed.trian


def test_names_are_shown():
    assert set(untrimmed.__all__) <= set(dir(untrimmed))


def test_the_version_is_the_package_s():
    import importlib.metadata

    assert untrimmed.__version__ == importlib.metadata.version("untrimmed")

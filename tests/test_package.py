"""What is published: a wheel and a source archive that hold all that the package needs, and say the same of it everywhere."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
import yaml

import untrimmed
from tests.docs.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the wheel and the source archive, made of a copy of what they are made of."""
    pytest.importorskip("setuptools", minversion="77", reason="setuptools is not here to build with")
    folder, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    program = "import sys; from setuptools import build_meta as b; out = sys.argv[1]; b.build_wheel(out); b.build_sdist(out)"
    done = subprocess.run([sys.executable, "-c", program, str(out)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_wheel_and_archive_hold_every_file(built):
    """Above all those that are no Python: presets, the page, tables, py.typed."""
    package = ROOT / "src" / "untrimmed"
    needed = {
        f"untrimmed/{f.relative_to(package).as_posix()}" for f in package.rglob("*") if f.is_file() and "__pycache__" not in f.parts
    }
    needed -= {f"untrimmed/reporting/page/{name}" for name in ("biome.json", "tsconfig.json")}  # for those who change the script
    assert {"untrimmed/py.typed", "untrimmed/methods/dgam.yaml"} <= needed
    (wheel,), (archive,) = built.glob("*.whl"), built.glob("*.tar.gz")
    assert needed - set(zipfile.ZipFile(wheel).namelist()) == set()
    with tarfile.open(archive) as content:
        names = {name.partition("/")[2] for name in content.getnames()}
    assert {f"src/{name}" for name in needed} - names == set()
    assert {"LICENSE", "README.md", "pyproject.toml"} <= names


def test_the_wheel_runs_where_the_source_is_not(built, tmp_path):
    """Unpacked alone, with the libraries that are installed here: it trains on films that it draws, and writes its page."""
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    program = (
        "import untrimmed; assert 'installed' in untrimmed.__file__\n"
        "import untrimmed.engine.local as local; local.cores = lambda: 1\n"
        "import untrimmed.jobs.demo as demo\n"
        "demo.SIZES[True] = {'train': 2, 'test': 1, 'clips': 0}; demo.QUICK_SETTINGS = {'epochs': 2}\n"
        "from untrimmed.cli import main; main(['demo', '--quick', '--out', 'demo'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"PYTHONPATH": str(tmp_path / "installed")},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = re.findall(
        r"^## \[([\d.]+)\] - (unreleased|\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M
    )
    assert untrimmed.__version__ == PROJECT["version"] == citation["version"] == changes[0][0]
    assert citation["license"] == PROJECT["license"]


def test_papers_to_cite_are_those_of_the_readme():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for paper in yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]:
        assert paper["title"] in readme
        assert f"{paper['collection-title']} {paper['year']}" in readme


def test_pinned_versions_are_allowed():
    """What the tests run with lies in the ranges that the package asks for."""
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.lower().split("==") for line in lines if "==" in line)
    wanted = [Requirement(r) for r in chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())]
    for requirement in wanted:
        if requirement.name != "untrimmed":
            assert requirement.specifier.contains(pinned[requirement.name.lower()]), requirement

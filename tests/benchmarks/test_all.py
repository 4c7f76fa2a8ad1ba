"""Every program in benchmarks/ finds what it takes from the package, and says first what it does and how it is called."""

import importlib
from pathlib import Path

import pytest

PROGRAMS = sorted(file.stem for file in (Path(__file__).resolve().parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_can_be_loaded(name):
    assert importlib.import_module(name).__doc__

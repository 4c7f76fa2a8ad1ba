"""What source a kept result depends on: all that a training can reach, wherever it lies, and nothing else."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import untrimmed
from tests.methods.planted import plant
from untrimmed.data.errors import InputError
from untrimmed.experiments import cache, source
from untrimmed.experiments.task import HeldOut, Part, Training
from untrimmed.methods.base import method_class

PACKAGE = Path(untrimmed.__file__).parent
CODE = "\n\ndef added():\n    return 1\n"


def forget():
    """Read the source anew."""
    for function in (source.source_hash, source._parsed, source._file_of):
        function.cache_clear()


@pytest.fixture(autouse=True)
def fresh():
    forget()
    yield
    forget()


def add(file, text=CODE):
    file.write_text(file.read_text() + text)
    forget()


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The package's source in a folder where it may be changed."""
    folder = shutil.copytree(PACKAGE, tmp_path / "untrimmed", ignore=shutil.ignore_patterns("__pycache__"))
    places = source.places_of
    monkeypatch.setattr(source, "places_of", lambda top: [folder] if top == "untrimmed" else places(top))
    return folder


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    plant(folder, train=4, test=2, empty=1)
    part = Part(str(folder / "features"), str(folder / "labels.csv"), str(folder / "annotations.json"))
    base = Training("name", folder / "out", part, "dgam", "default", {}, 0)
    return {method: replace(base, method=method) for method in ("dgam", "tsrnet")}


def test_key_of_a_training_changes_with_what_it_can_reach_only(copied, trainings):
    def keys():
        return {method: cache.training_key(training) for method, training in trainings.items()}

    before = keys()
    for file in ("reporting/page.py", "video/decode.py", "evaluation/detections.py", "runs/score.py", "runs/infer.py", "cli.py"):
        add(copied / file)
    for file in ("methods/tcam.py", "nn/spectral.py", "jobs/compare.py", "experiments/compare.py", "experiments/held_out.py"):
        add(copied / file)
    add(copied / "methods/dgam.py", "\n# a remark\n")
    assert keys() == before, "one of these is reached, or a remark counts"
    for file in ("training/run.py", "methods/base.py", "runs/fit.py", "data/store.py", "experiments/train_task.py"):
        add(copied / file)
        after = keys()
        assert all(after[method] != before[method] for method in before), file
        before = after
    add(copied / "nn/mmd.py")
    after = keys()
    assert after["dgam"] == before["dgam"], "it does not use it"
    assert after["tsrnet"] != before["tsrnet"]
    add(copied / "methods/dgam.py")
    assert keys()["dgam"] != before["dgam"]


def test_few_files_are_in_it():
    for method in ("dgam", "wtalc"):
        found = source.source_of("untrimmed.experiments.train_task", *cache.modules_of(method))
        assert len(found.modules) < 36
        assert f"untrimmed.methods.{method}" in found.modules
        assert not [name for name in found.modules if name.startswith(("untrimmed.video", "untrimmed.evaluation"))]


def test_loss_on_held_out_videos_goes_by_how_it_is_made(copied, trainings, tmp_path):
    task = HeldOut("name", tmp_path, trainings["dgam"].part, tmp_path / "0123", ("train000",))
    keys = [cache.held_out_key(task), cache.held_out_key(replace(task, run=tmp_path / "4567"))]
    add(copied / "reporting/page.py")
    assert cache.held_out_key(task) == keys[0]
    add(copied / "runs/infer.py")
    keys.append(cache.held_out_key(task))
    assert len(set(keys)) == 3


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A method in a package of its own, with layers beside it."""
    folder = tmp_path / "elsewhere_methods"
    (folder / "parts").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "bas.py": "from untrimmed.methods.dgam import DGAM\nfrom .parts.layers import width\n\nclass Bas(DGAM):\n    pass\n",
        "parts/__init__.py": "",
        "parts/layers.py": "width = 8\n",
        "other.py": "",
    }.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_method_outside_the_package_counts_with_what_it_is_made_of(outside, monkeypatch):
    from elsewhere_methods.bas import Bas

    monkeypatch.setattr(cache, "method_class", lambda name: Bas if name == "bas" else method_class(name))
    modules = cache.modules_of("bas")
    assert modules == ("elsewhere_methods.bas", "untrimmed.methods.dgam", "untrimmed.methods.base")

    def hashed():
        return source.source_hash("untrimmed.experiments.train_task", *modules)

    before = hashed()
    add(outside / "other.py")
    assert hashed() == before
    for file in ("bas.py", "parts/layers.py", "parts/__init__.py", "__init__.py"):
        add(outside / file)
        assert hashed() != before, file
        before = hashed()


def test_method_in_a_single_file(tmp_path, monkeypatch):
    (tmp_path / "single_method.py").write_text("import json\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = source.source_hash("single_method")
    add(tmp_path / "single_method.py")
    assert source.source_hash("single_method") != before


def test_source_that_is_nowhere():
    with pytest.raises(InputError, match=r"builtins\.x: no file holds its source"):
        source.source_hash("builtins.x")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A package with one of each kind of import."""
    folder = tmp_path / "small_package"
    for name, text in {
        "__init__.py": "",
        "one.py": "from small_package.shelf import used\n\n\ndef f():\n    import small_package.lazy\n",
        "two.py": "from small_package.shelf import used\nimport small_package.shelf.a\nimport small_package.shelf.c\n",
        "lazy.py": "from small_package import sub\n",
        "sub.py": "import json\n",
        "shelf/__init__.py": '"""Text."""\nfrom small_package.shelf.a import used\nfrom .b import unused\n__all__ = ["used"]\n',
        "shelf/a.py": "used = 1\n",
        "shelf/b.py": "unused = 1\n",
        "shelf/c.py": "used = 1\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_names_that_a_package_only_passes_on_lead_to_where_they_are_made(small):
    found = source.source_of("small_package.one")
    assert set(found.modules) == {f"small_package.{name}" for name in ("one", "lazy", "sub", "shelf.a")}
    before = source.source_hash("small_package.two")
    add(small / "shelf/b.py")
    assert source.source_hash("small_package.two") == before
    init = small / "shelf/__init__.py"
    init.write_text(init.read_text().replace("shelf.a", "shelf.c"))
    forget()
    assert source.source_hash("small_package.two") != before, "the same files, but another of them is used"
    add(init)
    found = source.source_of("small_package.one")
    assert set(found.modules) >= {"small_package.shelf", "small_package.shelf.b"}, "it does more than pass on now"


LAZY = """
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from small_package.shelf.a import used
    from small_package.shelf.b import unused

_EXPORTS = {"used": "a", "unused": "b"}


def __getattr__(name):
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
"""


def test_names_that_a_package_imports_when_they_are_asked_for(small):
    (small / "shelf/__init__.py").write_text(LAZY)
    found = source.source_of("small_package.one")
    assert set(found.modules) == {f"small_package.{name}" for name in ("one", "lazy", "sub", "shelf.a")}


@pytest.mark.parametrize("line", ["import small_package.sub\n", "x = print()\n", "for x in ():\n    pass\n", "from .b import *\n"])
def test_a_package_that_does_more_is_not_looked_through(small, line):
    add(small / "shelf/__init__.py", line)
    assert {"small_package.shelf", "small_package.shelf.b"} <= set(source.source_of("small_package.one").modules)

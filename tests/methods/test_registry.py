"""Methods of other packages: found by entry point, listed, and what is wrong with one told in a line that names the package."""

import pytest
import yaml

from tests.methods.planted import plant
from tests.methods.suite import suite_of
from tests.packages import installed
from untrimmed.data.errors import InputError
from untrimmed.jobs.compare import compare
from untrimmed.jobs.methods import describe_methods
from untrimmed.methods.base import method_class, resolve
from untrimmed.methods.registry import METHODS, file_of, module_of, outside_methods, presets_of

METHOD = """
from dataclasses import dataclass
from untrimmed.data.settings import setting
from untrimmed.methods.base import Method

@dataclass(frozen=True)
class Config:
    width: int = setting(3, "how wide", low=1)

class Plain(Method):
    name, title, Config = "plain", "a plain method", Config
    learns_from, reach = frozenset({"labels"}), 1
    def fit(self, data, run): ...
    def curves(self, features): ...
    def pool(self, features, curves): ...

class Other(Plain):
    name = "other"

class Untitled(Plain):
    name, title = "untitled", None

class Lazy(Method):
    name, title, Config, learns_from, reach = "lazy", "half a method", Config, frozenset({"labels"}), 1
    def fit(self, data, run): ...

@dataclass(frozen=True)
class Bare:
    width: int = 3

class Unexplained(Plain):
    name, Config = "unexplained", Bare
"""


def package(folder, entries, name="elsewhere", presets="default: {method: {}}", methods=("plain",)):
    """A project with a module of its name, the presets of some methods beside it, and entry points."""
    folder.mkdir()
    lines = "".join(f'{key} = "{value}"\n' for key, value in entries.items())
    project = f'[project]\nname = "{name}-methods"\nversion = "2.0"\n'
    (folder / "pyproject.toml").write_text(f'{project}[project.entry-points."untrimmed.methods"]\n{lines}')
    (folder / f"{name}.py").write_text(METHOD)
    for method in methods:
        (folder / f"{method}.yaml").write_text(presets)
    return installed(folder)


def test_a_method_of_another_package_is_found_and_listed(tmp_path):
    assert "plain" not in outside_methods()
    with package(tmp_path / "there", {"plain": "elsewhere:Plain"}):
        assert "plain" in outside_methods()
        assert method_class("plain").__name__ == "Plain"
        assert (module_of("plain"), file_of("plain")) == ("elsewhere", tmp_path / "there" / "elsewhere.py")
        assert resolve("plain", overrides={"width": 5}).method.width == 5
        assert "plain (of the package elsewhere-methods 2.0): a plain method\n  learns from: labels" in describe_methods()
        assert "how wide" in describe_methods("plain")
        with pytest.raises(InputError, match="did you mean 'plain'"):
            method_class("plian")
    with pytest.raises(InputError, match="unknown name 'plain'"):
        method_class("plain")


def test_it_may_stand_in_a_module_of_a_package(tmp_path):
    with package(tmp_path / "there", {"plain": "wide.deep:Plain"}):
        (tmp_path / "there" / "wide").mkdir()
        (tmp_path / "there" / "elsewhere.py").rename(tmp_path / "there" / "wide" / "deep.py")
        (tmp_path / "there" / "plain.yaml").rename(tmp_path / "there" / "wide" / "plain.yaml")
        assert presets_of("plain") == {"default": {"method": {}}}
        assert method_class("plain").__module__ == "wide.deep"


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("gone", "elsewhere:Gone", r"elsewhere:Gone cannot be imported \(AttributeError: .*\)"),
        ("gone", "nowhere:Gone", r"nowhere:Gone cannot be imported \(ModuleNotFoundError: .*\)"),
        ("none", "elsewhere:Config", r"<class 'elsewhere.Config'> is no subclass of untrimmed.methods.base.Method"),
        ("plain2", "elsewhere:Plain", "its class calls itself 'plain'; give the entry point the same name"),
        ("untitled", "elsewhere:Untitled", "its class Untitled lacks title"),
        ("lazy", "elsewhere:Lazy", "its class Lazy lacks curves, pool"),
        ("unexplained", "elsewhere:Unexplained", r"its Config is not a dataclass whose every field is a setting\(...\)"),
        ("other", "elsewhere:Other", "its presets are missing: there is no .*other.yaml"),
    ],
)
def test_a_fault_is_one_line_that_names_the_package(name, value, fault, tmp_path):
    with package(tmp_path / "there", {"plain": "elsewhere:Plain", name: value}):
        with pytest.raises(InputError, match=rf"^method {name} \(of the package elsewhere-methods 2.0\): {fault}") as told:
            resolve(name)
        assert "\n" not in str(told.value)
        listed = describe_methods().splitlines()  # the list goes on
        assert str(told.value) in listed
        assert any(line.startswith("plain (of the package") for line in listed)


@pytest.mark.parametrize(
    ("presets", "fault"),
    [("best: {}", "has no preset default"), ("[1]", "expected presets by name"), ("a: {", "cannot be read"), ("a: 1", "expected")],
)
def test_presets_at_fault_are_told(presets, fault, tmp_path):
    with package(tmp_path / "there", {"plain": "elsewhere:Plain"}, presets=presets):
        with pytest.raises(InputError, match=rf"^method plain \(of the package .*plain.yaml.*{fault}"):
            resolve("plain")


def test_nobody_takes_the_name_of_one_of_ours(tmp_path):
    with package(tmp_path / "there", {"dgam": "elsewhere:Plain"}):
        assert method_class("dgam").__module__ == "untrimmed.methods.dgam"
        assert "method dgam: also what the package elsewhere-methods calls one; ours is used" in describe_methods().splitlines()


def test_two_packages_with_one_name_for_a_method(tmp_path):
    with package(tmp_path / "a", {"plain": "elsewhere:Plain"}), package(tmp_path / "b", {"plain": "further:Plain"}, "further"):
        with pytest.raises(InputError, match=r"the package .*-methods and the package .*-methods both call one so"):
            method_class("plain")


def test_the_processes_of_compare_know_it_too(tmp_path):
    """With two workers a run is done by a process, though it is the only one."""
    planted = plant(tmp_path / "planted", train=8, test=3)
    data = {"features": planted.features, "labels": planted.labels, "annotations": planted.annotations}
    runs = {"crosstalk": {"method": "crosstalk", "settings": suite_of("crosstalk").brief}}
    tree = {"data": {"planted": {key: str(path) for key, path in data.items()} | {"subset": "test"}}, "runs": runs, "seeds": [0]}
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(tree | {"metrics": ["mAP@0.5"]}))
    done = compare(tmp_path / "experiment.yaml", out=tmp_path / "out", workers=2)
    assert not done.failures
    assert "| crosstalk" in done.markdown()


@pytest.mark.parametrize("name", METHODS)
def test_ours_are_complete(name):
    assert file_of(name).with_name(f"{name}.yaml").is_file()
    assert name not in outside_methods()

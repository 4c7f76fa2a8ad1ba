"""What an experiment file may say, and what the page about it names."""

from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from untrimmed.data.errors import InputError
from untrimmed.data.settings import build
from untrimmed.experiments.read import KEYS, _entry
from untrimmed.experiments.spec import SWAP, EvaluateOptions, RunSpec
from untrimmed.experiments.task import FILES, Part

PAGE = (Path(__file__).resolve().parents[2] / "docs/compare.md").read_text(encoding="utf-8")


def test_the_page_names_every_key():
    keys = {*KEYS, *(field.name for cls in (Part, RunSpec, EvaluateOptions) for field in fields(cls))} - {"name"}
    assert not [key for key in keys if f"`{key}`" not in PAGE and f"`{key}:" not in PAGE]


def test_every_field_is_described_once_and_required_ones_are_the_paths_of_a_data_set():
    for cls in (Part, RunSpec, EvaluateOptions):
        for field in fields(cls):
            assert field.name == "name" or field.metadata["meaning"]
    assert [field.name for field in fields(Part) if field.default is MISSING] == ["features", "labels", "annotations"]
    assert {*FILES} < {field.name for field in fields(Part)}
    assert {*SWAP} < {field.name for field in fields(RunSpec)}


def test_names_may_be_numbers_and_a_single_one_stands_for_a_list():
    allowed = ("method", "init", "data", "classes", "preset")
    run = _entry(RunSpec, {"method": "dgam", "init": 1, "data": 2019, "classes": [1, "b"]}, "here", allowed, name="a")
    assert (run.init, run.data, run.classes) == ("1", ("2019",), ("1", "b"))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"method": ["dgam"]}, r"here\.method: expected a name, found \['dgam'\]"),
        ({"settings": [1]}, r"here\.settings: expected a mapping, found \[1\]"),
        ({"candidates": 3}, r"here\.candidates: expected a mapping, found 3"),
        ({"candidates": "x"}, r"here\.candidates: expected a list of mappings, found 'x'"),
        ({"candidates": ["x"]}, r"here\.candidates: expected a mapping, found 'x'"),
        ({"unlabelled": 1}, r"here\.unlabelled: expected true or false, found 1"),
        ({"epochs": 3}, r"here: unknown name 'epochs'"),
        ({"name": "b"}, r"here: unknown name 'name'"),
    ],
)
def test_faults_of_an_entry(entry, words):
    allowed = [field.name for field in fields(RunSpec) if field.name != "name"]
    with pytest.raises(InputError, match=words):
        _entry(RunSpec, entry, "here", allowed, name="a")


def test_a_part_needs_its_files():
    with pytest.raises(InputError, match=r"here: no 'labels' in it"):
        _entry(Part, {"features": "f"}, "here", ["features", "labels"])
    with pytest.raises(InputError, match=r"here\.clusters: 0 is out of range; it must be at least 1"):
        build(Part, {"features": "f", "labels": "l", "annotations": "a", "clusters": 0}, "here")

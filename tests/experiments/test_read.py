"""What an experiment file may say, and what the page about it names."""

from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import yaml

from tests.experiments.planted import content, data, write
from untrimmed.data.errors import InputError
from untrimmed.data.settings import build
from untrimmed.experiments.read import KEYS, _entry, read_experiment
from untrimmed.experiments.spec import SWAP, EvaluateOptions, RunSpec
from untrimmed.experiments.task import FILES, Part
from untrimmed.jobs.compare import compare

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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seedz": 3}, r"unknown name 'seedz'; did you mean 'seeds'"),
        ({"runs": {}}, r"no 'runs' in it"),
        ({"data": {"d": data(subset="tset")}}, r"no video is in the subset 'tset'"),
        ({"data": {"d": data(feature="x")}}, r"data\.d: unknown name 'feature'; did you mean 'features'"),
        ({"data": {"d": {"features": "d/features"}}}, r"data\.d: no 'labels' in it"),
        ({"data": {"d": data("nowhere")}}, r"data\.d\.features: nowhere/features is neither beside"),
        ({"data": {"d": data(clusters="many")}}, r"clusters: expected a whole number"),
        ({"data": {"d": data(trimmed="d/features")}}, r"trimmed and trimmed_labels go together"),
        ({"data": {"d": {"folds": []}}}, r"folds: expected a list"),
        ({"runs": {"a": {"method": "dgan"}}}, r"unknown name 'dgan'; did you mean 'dgam'"),
        ({"runs": {"a": {"preset": "demo"}}}, r"runs\.a: no 'method'"),
        (
            {"runs": {"a": {"method": "dgam", "settings": {"epoch": 3}}}},
            r"runs\.a: method: unknown name 'epoch'; did you mean 'epochs'",
        ),
        ({"runs": {"a": {"method": "dgam", "settings": {"rbg": {"epochs": 3}}}}}, r"runs\.a: .*'rbg'; did you mean 'rgb'"),
        ({"runs": {"a": {"method": "dgam", "localize": {"nmz": 0.5}}}}, r"runs\.a: localization: unknown name 'nmz'"),
        ({"runs": {"a": {"method": "dgam", "unlabelled": True}}}, r"dgam cannot learn without labels"),
        ({"runs": {"a": {"method": "dgam", "unlabelled": "yes"}}}, r"expected true or false, found 'yes'"),
        ({"runs": {"a": {"method": "dgam", "data": ["x"]}}}, r"runs\.a\.data: unknown name 'x'"),
        ({"runs": {"a": {"method": "dgam", "candidates": [{"epochs": 1}]}}}, r"nothing is chosen with selection last"),
        ({"runs": {"a": {"method": "dgam", "init": "b"}}}, r"runs\.a\.init: unknown name 'b'"),
        ({"runs": {"a": {"method": "dgam", "init": "a"}}}, r"start from each other"),
        ({"runs": {"a": {"attention": "b"}}}, r"a swap names two runs"),
        (
            {"runs": {"a": {"method": "dgam"}, "b": {"attention": "a", "classification": "c"}}},
            r"b\.classification: unknown name 'c'",
        ),
        ({"pairs": [["with", "withot"]]}, r"pairs: unknown name 'withot'; did you mean 'without'"),
        ({"pairs": [["with"]]}, r"expected two runs"),
        ({"pairs": [["with", "with"]]}, r"with itself"),
        ({"averages": {"gain": {"d": ["with", "without"]}}}, r"averages\.gain: expected a pair for each of two data sets"),
        (
            {"averages": {"gain": {"d": ["with", "without"], "x": ["with", "without"]}}},
            r"averages\.gain: unknown name 'x'; there is d",
        ),
        ({"metrics": ["mAP@0.55"]}, r"mAP@0\.55: no such metric; there is mAP@avg and mAP@ one of 0\.1"),
        ({"metrics": ["mAP@x"]}, r"mAP@x: no such metric"),
        ({"metrics": ["mAP@0.1", "mAP@0.1"]}, r"stands twice"),
        ({"metrics": ["activtynet:mAP@0.1"]}, r"unknown name 'activtynet'; did you mean 'activitynet'"),
        ({"seeds": 0}, r"seeds: expected how many"),
        ({"seeds": [1, 1]}, r"one stands twice"),
        ({"selection": "best"}, r"selection: unknown name 'best'"),
        ({"evaluate": {"tiuo": "0.5"}}, r"evaluate: unknown name 'tiuo'; did you mean 'tiou'"),
        ({"evaluate": {"tiou": "0.5:"}}, r"evaluate: `tiou` 0\.5:"),
        ({"evaluate": {"map_clusters": "majorty"}}, r"evaluate\.map_clusters: unknown name 'majorty'; did you mean 'majority'"),
        ({"evaluate": {"map_clusters_oracle": True}}, r"say which: map_clusters"),
        ({"evaluate": {"min_score": "high"}}, r"min_score: expected a number, found 'high'"),
        ({"metrics": ["classification:acuracy"]}, r"unknown name 'acuracy'; did you mean 'accuracy'"),
        ({"metrics": ["classification:accuracy.rbg"]}, r"unknown name 'accuracy\.rbg'; did you mean 'accuracy\.rgb'"),
        ({"metrics": ["accuracy"]}, r"write classification:accuracy"),
        ({"metrics": ["clustering:nmii"]}, r"unknown name 'nmii'; did you mean 'nmi'"),
        ({"metrics": ["clustering:nmi.round2"]}, r"runs with unlabelled: true, and there is none"),
        ({"metrics": ["attention:att-gt/gt@0.35"]}, r"unknown name 'att-gt/gt@0\.35'; did you mean 'att-gt/gt@0\.[35]'"),
        ({"metrics": ["attention:x"]}, r"unknown name 'x'; there is \(att&gt\)-cls/gt, "),
        ({"metrics": ["attention:attention.context"]}, r"no data set has 'parts'"),
        ({"metrics": ["f1"]}, r"evaluate: \{min_score: 0\.5\}"),
        ({"metrics": ["activitynet:"]}, r"unknown name ''; there is "),
        ({"runs": {"a": {"method": "dgam", "data": []}}}, r"runs\.a\.data: names no data set"),
        ({"runs": {"a": {"method": "dgam", "data": [{"b": 1}]}}}, r"runs\.a\.data: expected a name, found"),
        ({"runs": {"": {"method": "dgam"}}}, r"runs: '' is no name"),
        ({"runs": {"a": {"method": "dgam", "classes": ["nope"]}}}, r"runs\.a on d: `classes`: .*unknown name 'nope'"),
        ({"runs": {"a": {"method": "tcam", "unlabelled": True}}}, r"mAP@0\.1 needs classes for its clusters"),
        (
            {
                "runs": {"a": {"method": "tcam", "unlabelled": True}},
                "data": {"d": data(subset="test", clusters=99)},
                "metrics": ["clustering:nmi"],
            },
            r"runs\.a on d: `clusters` 99: there are only 13 videos",
        ),
        ({"selection": "oracle"}, r"selection oracle: there is nothing to choose from"),
        (
            {"selection": "weak-loss", "runs": {"a": {"method": "dgam", "candidates": [{"localization": {"nms": 0.3}}]}}},
            r"cannot tell settings of localization apart",
        ),
        ({"pairs": [["with", "without"], ["with", "without"]]}, r"stand twice"),
    ],
)
def test_faults_in_the_file(world, tmp_path, change, words):
    with pytest.raises(InputError, match=words) as fault:
        compare(write(world, {**content(pairs=[]), **change}), out=tmp_path / "out")
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out/cache").iterdir())


def test_other_faults(world, tmp_path):
    with pytest.raises(InputError, match=r"missing\.yaml: cannot be read"):
        compare(world / "missing.yaml", out=tmp_path / "out")
    with pytest.raises(InputError, match=r"not usable YAML"):
        compare(write(world, "data: [", "bad.yaml"), out=tmp_path / "out")
    with pytest.raises(InputError, match=r"key 'seeds' stands twice"):
        compare(write(world, "seeds: 2\nseeds: 3\n", "bad.yaml"), out=tmp_path / "out")
    with pytest.raises(InputError, match=r"expected names with values"):
        compare(write(world, "- a\n", "bad.yaml"), out=tmp_path / "out")


def test_names_stay_as_they_are_written(world):
    text = yaml.safe_dump(content(runs={}, pairs=[])).replace("runs: {}", "")
    runs = "runs:\n  O: {method: dgam, settings: {gam: false}}\n  N: {method: dgam}\n  ON: {attention: O, classification: N}\n"
    runs += "  NO: {attention: N, classification: O}\n  1: {method: dgam, init: N}\n"
    plan = read_experiment(write(world, f"{text}\n{runs}", "names.yaml"))
    assert list(plan.runs) == ["O", "N", "ON", "NO", "1"]
    assert plan.runs["O"].settings == {"gam": False}

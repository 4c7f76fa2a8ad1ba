"""The examples of docs/formats.md are read by the program itself."""

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from untrimmed.data.activations import read_activations
from untrimmed.data.annotations import read_annotations, read_detections
from untrimmed.data.clusters import read_names
from untrimmed.data.labels import read_labels
from untrimmed.data.store import FeatureStore
from untrimmed.jobs.export import export

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"


@pytest.fixture
def examples(tmp_path) -> Path:
    """A folder with each named example of the page in its file."""
    for name, text in re.findall(r"^```\w+ (\S+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_features(examples):
    for stream in ("rgb", "flow"):
        (examples / stream).mkdir()
        np.save(examples / stream / "match_01.npy", np.zeros((412, 1024), np.float16))
    store = FeatureStore(examples)
    assert store.faults("match_01") == []
    assert store.videos["match_01"].source == {"path": "/films/match_01.mp4"}
    assert store.timeline("match_01").edges[1] == 0.64


def test_the_python_example_writes_a_store(tmp_path, monkeypatch):
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert FeatureStore(tmp_path / "features").load("match_01")["rgb"].shape == (412, 1024)


def test_labels(examples):
    tags = read_labels(examples / "labels.csv").tags
    assert tags == {"match_01": {"goal", "foul"}, "match_02": {"goal"}, "match_03": set()}


def test_annotations_and_detections(examples):
    annotations = read_annotations(examples / "annotations.json")
    assert (annotations.classes, annotations.subsets, annotations.notes) == (("foul", "goal"), {"test": 2}, ())
    detections = read_detections(examples / "detections.json")
    assert list(detections.results) == ["match_01", "match_03"]
    assert detections.untrimmed["method"] == "dgam"


def test_activations(examples):
    arrays = {
        f"{s}.{c}": np.zeros((412, *more), np.float32)
        for s in ("rgb", "flow")
        for c, more in [("attention", ()), ("class_logit", (2,))]
    }
    save_file(arrays, examples / "match_01.safetensors")
    (activation,), about = read_activations(examples)
    assert (activation.classes, about["method"]) == (("foul", "goal"), "dgam")


def test_the_exported_table(examples):
    export(examples / "detections.json", format="csv", out=examples / "written.csv")
    assert (examples / "written.csv").read_text() == (examples / "export.csv").read_text()


def test_names_of_clusters(examples):
    assert read_names(examples / "names.csv") == {"cluster_00": "goal", "cluster_01": "throw-in"}

"""A paper's experiment from a pack, in one go, on a tiny one in the public layouts."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.methods.planted import Planted, plant
from untrimmed.cli import main
from untrimmed.data.annotations import VideoTruth, read_annotations, read_detections, write_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.labels import read_labels, write_labels
from untrimmed.data.types import Segment
from untrimmed.jobs.recipe import RECIPES, recipe
from untrimmed.methods.base import resolve
from untrimmed.methods.registry import METHODS, presets_of

BRIEF = {
    "dgam": {"epochs": 2, "hidden": 8, "latent": 4, "data": {"snippets": 12}},
    "wtalc": {"epochs": 2, "hidden": 8},
    "tcam": {"epochs": 1, "rounds": 1, "hidden": 8, "data": {"snippets": 12}},
    "tsrnet": {"iterations": 2, "hidden": 8, "attention_hidden": 4},
    "stpn": {"epochs": 2, "hidden": 8, "data": {"snippets": 12}},
    "3cnet": {"epochs": 2, "hidden": 8},
    "cmcs": {"epochs": 2, "embedding": 8},
    "basnet": {"epochs": 2, "hidden": 8, "filter_hidden": 4, "data": {"snippets": 12, "test_least": 12, "test_most": 12}},
    "untrimmednet": {"epochs": 2, "flow": {"epochs": 2}},
    "hideandseek": {"epochs": 2, "hidden": 8, "data": {"snippets": 12}},
    "autoloc": {"stage": ["epochs=2", "flow.epochs=2"], "hidden": 8},
}

PUBLISHED = {
    "dgam": "28.8",
    "wtalc": "22.8",
    "tcam": "30.1",
    "tsrnet": "18.6",
    "stpn": "16.9",
    "3cnet": "24.6",
    "cmcs": "23.1",
    "basnet": "27.0",
    "untrimmednet": "13.7",
    "hideandseek": "6.8",
    "autoloc": "21.2",
}
"""mAP at tIoU 0.5 on THUMOS14."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"), train=10, test=6, empty=2, streams={"rgb": 12, "flow": 10})


@pytest.fixture(scope="module")
def pack(planted, tmp_path_factory) -> Path:
    """BaS-Net's layout: `features/{train,test}/{rgb,flow}/ID.npy` and `gt.json`, at 25 frames a second and 16 a snippet."""
    folder = tmp_path_factory.mktemp("pack")
    scale = 16 / 25  # a planted snippet lasts a second
    truth = {}
    for video, one in planted.truth.items():
        for stream, x in planted.store.load(video).items():
            file = folder / "features" / one.subset / stream / f"{name_of(video)}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, x)
        segments = tuple(Segment(s.start * scale, s.end * scale, s.label) for s in one.segments)
        truth[name_of(video)] = VideoTruth(one.subset, one.duration * scale, segments)
    write_annotations(folder / "gt.json", truth, "planted")
    return folder


def name_of(video: str) -> str:
    """As THUMOS14 calls them; the last one is a video with known faults."""
    if video == "test005":
        return "video_test_0000270"
    return video.replace("train", "video_validation_0000").replace("test", "video_test_0000")


@pytest.mark.parametrize("method", BRIEF)
def test_from_a_pack_to_the_table(method, pack, tmp_path):
    before = sorted(pack.rglob("*"))
    out = tmp_path / "out"
    done = recipe("thumos14", method=method, features=pack, layout="basnet", out=out, settings=BRIEF[method])
    assert sorted(pack.rglob("*")) == before
    assert not list((out / "data").rglob("*.npy"))  # read in place

    # Of the six test videos one is empty and one faulty.
    truth = read_annotations(out / "annotations.json")
    assert len(truth.subset("test")) == 4
    assert "video_test_0000270" not in truth.videos
    assert set(read_detections(out / "detections.json").results) == set(truth.subset("test"))
    assert done.differences == (
        "3 classes with features, where the papers have 20",
        "8 training videos with features, where the papers have 200",
        "4 test videos with features, where the papers have 210",
    )
    assert [one.protocol for one in done.evaluations] == ["activitynet", "thumos14", "wtalc", "classification"]
    config = (out / "run" / "config.yaml").read_text()
    assert "preset: thumos14" in config
    for setting in (f"{key}: {value}" for key, value in BRIEF[method].items() if isinstance(value, int)):
        assert setting in config

    text = done.text()
    for line in ("recipe     thumos14", "but        3 classes", "activitynet", "classification  accuracy"):
        assert line in text
    published = text.partition("## Published")[2]
    assert PUBLISHED[method] in published
    assert "ActivityNet" not in published
    scores = json.loads((out / "scores.json").read_text())
    assert scores["recipe"] == "thumos14"
    assert scores["differences"] == list(done.differences)
    for one, kept in zip(done.evaluations, scores["scores"], strict=True):
        assert kept == one.to_json()


def test_training_sees_tags_alone(pack, tmp_path):
    recipe("thumos14", method="wtalc", features=pack, layout="basnet", out=tmp_path / "out", settings=BRIEF["wtalc"])
    truth = read_annotations(pack / "gt.json").subset("train")
    tags = read_labels(tmp_path / "out" / "labels.csv").tags
    assert {v: set(t) for v, t in tags.items()} == {v: {s.label for s in one.segments} for v, one in truth.items() if one.segments}
    environment = json.loads((tmp_path / "out" / "run" / "environment.json").read_text())
    assert set(environment["training_videos"]) == set(tags)
    assert environment["data"]["labels"].endswith("labels.csv")


def test_3cnet_alone_is_told_how_often(pack, tmp_path):
    recipe("thumos14", method="3cnet", features=pack, layout="basnet", out=tmp_path / "out", settings=BRIEF["3cnet"])
    truth = read_annotations(pack / "gt.json").subset("train")
    expected = Counter((video, s.label) for video, its in truth.items() for s in its.segments)
    head, *rows = csv.reader((tmp_path / "out" / "labels.csv").read_text().splitlines())
    assert head == ["video", "label", "count"]
    assert {(video, label): int(count) for video, label, count in rows} == expected


def test_from_the_command_line_and_on_from_there(pack, tmp_path, capsys):
    line = f"recipe activitynet-1.2 --method wtalc --features {pack} --layout basnet --out {tmp_path / 'out'} --set hidden=8"

    def run(*more: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main([*line.split(), *more])
        return int(ended.value.code or 0)

    assert run("--set", "epochs=2") == 0
    first = capsys.readouterr()
    assert "mAP at tIoU" in first.out
    assert "0.95" in first.out
    assert "18.0" in first.out.partition("## Published")[2]  # W-TALC's mean on ActivityNet 1.2
    assert "where the papers have 4819" in first.err
    weights = (tmp_path / "out" / "run" / "model" / "weights.safetensors").read_bytes()

    assert run("--set", "epochs=2") == 2
    assert "--resume continues it" in capsys.readouterr().err
    assert run("--set", "epochs=2", "--resume") == 0
    assert capsys.readouterr().out == first.out
    assert (tmp_path / "out" / "run" / "model" / "weights.safetensors").read_bytes() == weights
    assert run("--set", "epochs=3", "--resume") == 2
    assert "method.epochs was 2, is now 3" in capsys.readouterr().err
    assert run("--set", "epochs=1", "--force") == 0
    assert (tmp_path / "out.1" / "run" / "model" / "weights.safetensors").read_bytes() == weights


def test_what_cannot_be_read_is_left_out_and_told(pack, tmp_path, capsys):
    shutil.copytree(pack, tmp_path / "pack")
    (tmp_path / "pack" / "features" / "train" / "flow" / "video_validation_0000009.npy").write_bytes(b"no array")
    line = f"recipe thumos14 --method wtalc --features {tmp_path / 'pack'} --layout basnet --out {tmp_path / 'out'}"
    with pytest.raises(SystemExit) as ended:
        main([*line.split(), "--set", "hidden=8", "--set", "epochs=1"])
    assert ended.value.code == 3
    said = capsys.readouterr()
    assert "video_validation_0000009" in said.err
    assert "7 training videos with features" in said.out
    assert "video_validation_0000009" in json.loads((tmp_path / "out" / "data" / "failures.json").read_text())


def test_a_store_with_annotations_needs_no_layout(planted, tmp_path):
    done = recipe(
        "activitynet-1.3",
        method="wtalc",
        features=planted.features,
        annotations=planted.annotations,
        out=tmp_path / "out",
        settings=BRIEF["wtalc"],
    )
    assert done.evaluations[0].scores.videos == 6  # the empty one too: it is THUMOS14 whose releases leave such out
    assert not (tmp_path / "out" / "data").exists()


def test_classes_and_videos_beyond_the_annotated_ones(planted, tmp_path):
    """101 classes are learned, twenty of them are annotated; all test videos count for classification."""
    truth = {video: one for video, one in planted.truth.items() if one.subset == "test"}
    kept = {v: VideoTruth("test", t.duration, tuple(s for s in t.segments if s.label != "act02")) for v, t in truth.items()}
    write_annotations(tmp_path / "gt.json", kept, "some classes")
    rows = [(video, s.label) for video, one in truth.items() for s in one.segments]
    write_labels(tmp_path / "all.csv", sorted(set(rows)))
    done = recipe(
        "thumos14-101",
        method="wtalc",
        features=planted.features,
        annotations=tmp_path / "gt.json",
        labels=planted.labels,
        test_labels=tmp_path / "all.csv",
        out=tmp_path / "out",
        settings=BRIEF["wtalc"]
        | {"background": True, "localization": {"class_value": "score", "class_threshold": 0.0}},  # all are found
    )
    detection, classification = done.evaluations[0], done.evaluations[-1]
    assert detection.scores.classes == ("act00", "act01")
    assert detection.scores.videos == len({v for v, t in kept.items() if t.segments})
    assert classification.scores.videos == len(set(dict(rows)))
    assert len(classification.scores.classes) == 3
    labels = {d.label for own in read_detections(tmp_path / "out" / "detections.json").results.values() for d in own}
    assert labels == {"act00", "act01", "act02"}
    scored = read_detections(tmp_path / "out" / "scored.json").results
    assert {d.label for own in scored.values() for d in own} == {"act00", "act01"}
    assert set(scored) == set(planted.truth)


def test_without_labels(planted, tmp_path):
    given = {"features": planted.features, "annotations": planted.annotations, "unlabelled": True, "clusters": 3}
    done = recipe("thumos14", method="tcam", out=tmp_path / "out", settings=BRIEF["tcam"], **given)
    environment = json.loads((tmp_path / "out" / "run" / "environment.json").read_text())
    assert environment["data"]["labels"] is None
    assert set(environment["training_videos"]) == set(read_labels(tmp_path / "out" / "labels.csv").tags)  # no test video
    assert "mapping    majority, by" in done.text()
    assert done.evaluations[-1].protocol == "classification"


def test_faults_are_told_before_anything_is_made(planted, pack, tmp_path):
    out = tmp_path / "out"
    cases = [
        ({"name": "thumos15"}, r"recipe: unknown name 'thumos15'; did you mean 'thumos14'"),
        ({"method": "dgmm"}, r"unknown name 'dgmm'"),
        ({"settings": {"epoch": 3}}, r"did you mean 'epochs'"),
        ({"unlabelled": True}, r"dgam cannot learn without labels"),
        ({"clusters": 3}, r"`clusters`: goes with `unlabelled`"),
        ({"trimmed": "clips"}, r"go together"),
        ({"trimmed": "clips", "trimmed_labels": "clips.csv"}, r"dgam does not learn from trimmed clips"),
        ({"layout": "basnett"}, r"no such layout"),
        ({"device": "abacus"}, r"no such device"),
        ({"layout": None, "features": planted.features}, r"give the true segments: `annotations` FILE"),
        ({"subset": "exam"}, r"no video is in the subset 'exam'"),
    ]
    for case, message in cases:
        arguments = {"name": "thumos14", "method": "dgam", "features": pack, "layout": "basnet"} | case
        with pytest.raises(InputError, match=message):
            recipe(arguments.pop("name"), out=out, force=True, **arguments)
        assert not (out / "run").exists(), case


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({"method": "tcam", "unlabelled": True, "clusters": 99}, r"`clusters` 99: there are only 10 videos"),
        ({"method": "wtalc"}, r"background=false: some training videos hold no action"),
    ],
    ids=["clusters", "background"],
)
def test_what_training_refuses_leaves_nothing_behind(case, message, planted, tmp_path):
    given = {"features": planted.features, "annotations": planted.annotations, "labels": planted.labels} | case
    with pytest.raises(InputError, match=message):
        recipe("thumos14", out=tmp_path / "out", settings={"hidden": 8, "epochs": 1}, **given)
    assert not (tmp_path / "out").exists()


def test_annotations_without_a_test_or_training_part(planted, tmp_path):
    truth = {video: VideoTruth("one", t.duration, t.segments) for video, t in planted.truth.items()}
    write_annotations(tmp_path / "gt.json", truth, "no parts")
    given = {"method": "wtalc", "features": planted.features, "annotations": tmp_path / "gt.json", "out": tmp_path / "out"}
    with pytest.raises(InputError, match=r"no subset to test on \(there is one\)"):
        recipe("thumos14", **given)
    with pytest.raises(InputError, match=r"no training subset; give the labels"):
        recipe("thumos14", subset="one", **given, force=True)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_method_has_every_recipe(method, name):
    assert name in presets_of(method)
    resolve(method, name)

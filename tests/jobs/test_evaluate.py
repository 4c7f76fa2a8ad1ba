"""`evaluate`: from files to scores, and what it says of faults."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from untrimmed.data.activations import write_activations
from untrimmed.data.annotations import VideoTruth, read_annotations, write_annotations, write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.types import Activation, Detection, Segment, StreamActivation, Timeline
from untrimmed.jobs.evaluate import evaluate
from untrimmed.localization import Localization, localize

FIELDS = {
    "protocol",
    "subset",
    "videos",
    "instances",
    "tiou",
    "mAP",
    "average",
    "per_class",
    "ignored",
    "selection",
    "mapping",
}


@pytest.fixture
def truth(tmp_path):
    videos = {
        "a": VideoTruth("test", 60.0, (Segment(0, 10, "run"), Segment(20, 30, "jump"))),
        "b": VideoTruth("test", 60.0, (Segment(5, 15, "run"),)),
        "quiet": VideoTruth("test", 60.0, ()),
        "t": VideoTruth("training", 60.0, (Segment(5, 15, "dig"),)),
    }
    write_annotations(tmp_path / "truth.json", videos, "demo")
    return tmp_path / "truth.json"


def write(path, results, **untrimmed):
    write_detections(path, results, untrimmed)
    return path


FOUND = {
    "a": [Detection(0, 10, "run", 0.9), Detection(22, 30, "jump", 0.8)],
    "b": [Detection(5, 15, "run", 0.7), Detection(30, 40, "run", 0.95)],
    "quiet": [],
    "t": [Detection(5, 15, "dig", 0.5)],
}


def test_scores_a_subset(tmp_path, truth, capsys):
    file = write(tmp_path / "found.json", FOUND, selection="last epoch")
    evaluation = evaluate(file, annotations=truth, subset="test", tiou="0.5,0.9")
    found = evaluation.to_json()
    assert set(found) == FIELDS
    # run: wrong, right, right: precision 2/3 at both; jump: tIoU 0.8.
    assert found["per_class"] == {"jump": [1.0, 0.0], "run": pytest.approx([2 / 3, 2 / 3])}
    assert found["mAP"] == pytest.approx([5 / 6, 1 / 3])
    assert found["average"] == pytest.approx(7 / 12)
    rest = {name: found[name] for name in FIELDS - {"per_class", "mAP", "average"}}
    assert rest == {
        "protocol": "activitynet",
        "subset": "test",
        "videos": 3,
        "instances": 3,
        "tiou": [0.5, 0.9],
        "ignored": 1,
        "selection": "last epoch",
        "mapping": None,
    }
    json.dumps(found, allow_nan=False)
    said = capsys.readouterr()
    assert said.out == ""
    assert "1 detection(s) ignored" in said.err
    assert "has no truth for them: dig" in said.err
    assert "counts as missed" not in said.err


def test_scores_the_whole_file_without_a_subset(tmp_path, truth, capsys):
    found = evaluate(write(tmp_path / "found.json", FOUND), annotations=truth).to_json()
    assert (found["subset"], found["videos"], found["instances"], found["ignored"]) == (None, 4, 4, 0)
    assert found["selection"] is None
    assert found["per_class"]["dig"] == [1.0] * 9
    assert capsys.readouterr().err == ""


def test_notes_videos_without_detections_and_odd_truth(tmp_path, truth, capsys):
    content = json.loads(truth.read_text())
    content["database"]["b"]["annotations"].append({"segment": ["7", "7"], "label": "run"})
    truth.write_text(json.dumps(content))
    evaluate(write(tmp_path / "found.json", {"a": FOUND["a"]}), annotations=truth)
    said = capsys.readouterr().err
    assert "3 of 4 videos are not in" in said
    assert "have no length" in said


def test_says_when_no_video_is_known(tmp_path, truth, capsys):
    found = evaluate(write(tmp_path / "found.json", {"v_a": FOUND["a"]}), annotations=truth, subset="test").to_json()
    assert (found["average"], found["ignored"]) == (0.0, 2)
    assert "(such as 'v_a')" in capsys.readouterr().err


def test_the_table_states_the_rules_and_the_usual_averages(tmp_path, truth):
    table = evaluate(write(tmp_path / "found.json", FOUND, selection="oracle"), annotations=truth, subset="test").table()
    for words in ("activitynet", "truth.json, subset test: 3 videos, 3 instances, 2 classes", "0.1, 0.2,", "selection  oracle"):
        assert words in table
    lines = {line.split("  ")[0]: line.split() for line in table.splitlines()}
    assert lines["run"] == ["run", *["66.7"] * 9, "66.7"]
    assert lines["jump"] == ["jump", *["100.0"] * 8, "0.0", "88.9"]
    assert lines["mAP"] == ["mAP", *["83.3"] * 8, "33.3", "77.8"]
    assert [lines[f"mean mAP over tIoU {grid}"][-1] for grid in ("0.1:0.5", "0.3:0.7", "0.1:0.7")] == ["83.3"] * 3
    short = evaluate(tmp_path / "found.json", annotations=truth, tiou="0.5").table()
    assert "mean mAP over" not in short
    assert "whole file" in short


def test_takes_the_detections_of_a_run(tmp_path, truth):
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(InputError, match=r"neither of a run nor of activations"):
        evaluate(run, annotations=truth)
    (run / "config.yaml").write_text("method: {}\n")
    with pytest.raises(InputError, match=r"first: untrimmed localize"):
        evaluate(run, annotations=truth)
    write(run / "detections.json", FOUND)
    assert evaluate(run, annotations=truth).to_json()["average"] > 0.5


def test_labels_are_compared_as_text_that_looks_the_same(tmp_path):
    """The tag may come from labels.csv, typed on another system than the annotations."""
    write_annotations(tmp_path / "truth.json", {"a": VideoTruth(None, None, (Segment(0, 1, "Ac\u0327a\u0303o"),))}, "demo")
    file = write(tmp_path / "found.json", {"a": [Detection(0, 1, "A\u00e7\u00e3o", 1.0)]})
    assert evaluate(file, annotations=tmp_path / "truth.json").to_json()["average"] == 1.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"subset": "tset"}, r"'tset'.*test \(3 videos\), training \(1 videos\)"),
        ({"protocol": "thumos15"}, r"thumos15.*there is activitynet"),
        ({"annotations": None}, r"--annotations FILE"),
        ({"labels": "labels.csv"}, r"labels\.csv.*--annotations FILE"),
        ({"tiou": "0.5:0.9"}, r"--tiou 0\.5:0\.9"),
        ({"annotations": "missing.json"}, r"missing\.json: cannot be read"),
    ],
)
def test_faults_in_what_is_asked_for(tmp_path, truth, given, words):
    file = write(tmp_path / "found.json", FOUND)
    with pytest.raises(InputError, match=words):
        evaluate(file, **{"annotations": truth, **given})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"results": {"a": [{"label": "rum", "score": 1, "segment": [0, 1]}]}}', r"found\.json against .*'rum'.*mean 'run'"),
        ('{"results": {"a": [{"label": "cluster_03", "score": 1, "segment": [0, 1]}]}}', r"cluster_03.*--map-clusters.*--names"),
        ('{"results": {"a": [{"label": "run", "score": 1, "segment": [2, 1]}]}}', r"video a, detection 1.*before it starts"),
        ('{"results": {"a": [{"label": "run", "score": NaN, "segment": [0, 1]}]}}', r"video a, detection 1.*not finite"),
        ('{"results": {"a": [{"label": "run", "sco', r"cut off"),
        ('{"database": {}}', r"looks like a file of annotations"),
    ],
)
def test_faults_in_a_detections_file(tmp_path, truth, content, words):
    file = tmp_path / "found.json"
    file.write_text(content)
    with pytest.raises(InputError, match=words):
        evaluate(file, annotations=truth)


def test_cuts_stored_activations_as_they_were_cut(tmp_path, truth):
    video, label = next((name, one.segments[0].label) for name, one in read_annotations(truth).videos.items() if one.segments)
    curve = np.where(np.arange(20) // 5 % 2, 9.0, -9.0)
    classes = read_annotations(truth).classes
    logit = np.stack([curve if name == label else -np.abs(curve) for name in classes], 1)
    scores = np.array([0.9 if name == label else 0.01 for name in classes])
    stream = StreamActivation(np.ones(20), logit, scores)
    activation = Activation(video, classes, Timeline(0.0, 0.5, 20, 10.0), {"rgb": stream})
    settings = Localization(curve="class", thresholds=(0.5,))
    write_activations(tmp_path / "kept", [activation], {"run": "r", "selection": "last", "localization": asdict(settings)})
    results = localize([activation], settings)
    assert len(results[video]) == 2
    write_detections(tmp_path / "found.json", results, {})
    from_activations, from_file = (evaluate(tmp_path / name, annotations=truth) for name in ("kept", "found.json"))
    assert from_activations.to_json() | {"selection": None} == from_file.to_json()
    assert from_activations.selection == "last"

"""`evaluate`: from files to scores, and what it says of faults."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from untrimmed.data.activations import read_activations, write_activations
from untrimmed.data.annotations import VideoTruth, read_annotations, write_annotations, write_detections
from untrimmed.data.clusters import clusters_file, write_clusters
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
    assert "warning: 3 of 4 videos of" in said
    assert "are left out of the scores" in said
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
        ({"annotations": None}, r"`annotations`"),
        ({"labels": "labels.csv"}, r"labels\.csv.*`annotations`"),
        ({"tiou": "0.5:0.9"}, r"`tiou` 0\.5:0\.9"),
        ({"annotations": "missing.json"}, r"missing\.json: cannot be read"),
        ({"diagnose": __file__}, r"`diagnose` .*: a file; give the folder"),
        ({"diagnose": f"{__file__}/below"}, r"cannot be written: .* is not a folder"),
    ],
)
def test_faults_in_what_is_asked_for(tmp_path, truth, given, words):
    file = write(tmp_path / "found.json", FOUND)
    with pytest.raises(InputError, match=words):
        evaluate(file, **{"annotations": truth, **given})


def test_a_fault_is_all_that_is_said(tmp_path, truth, clustered, capsys):
    """Notes are for results; before an error they would hide it."""
    names = tmp_path / "names.csv"
    names.write_text("cluster,name\ncluster_00,fly\n")
    with pytest.raises(InputError, match="'fly'"):
        evaluate(clustered, annotations=truth, names=names)
    empty = tmp_path / "empty.json"
    empty.write_text('{"database": {"a": {"annotations": []}}}')
    with pytest.raises(InputError, match="is not a class of the annotations, which hold no action at all"):
        evaluate(write(tmp_path / "found.json", FOUND), annotations=empty)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"results": {"a": [{"label": "rum", "score": 1, "segment": [0, 1]}]}}', r"found\.json against .*'rum'.*mean 'run'"),
        ('{"results": {"a": [{"label": "cluster_03", "score": 1, "segment": [0, 1]}]}}', r"cluster_03.*`map_clusters`.*`names`"),
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


# --- classification, clustering, and clusters taken for classes ----------------------------------------------------------------


def keep_activations(folder, classes, scores, **about):
    """Stored activations with these class scores, {video: {stream: [C]}}, cut so that the top class is found all over."""
    kept = []
    for video, own in scores.items():
        streams = {
            name: StreamActivation(np.ones(10), np.tile(8 * np.asarray(values) - 4, (10, 1)), np.asarray(values))
            for name, values in own.items()
        }
        kept.append(Activation(video, classes, Timeline(0.0, 1.0, 10, 10.0), streams))
    write_activations(folder, kept, about)


@pytest.fixture
def two_streams(tmp_path, truth):
    """Against a: run, jump; b: run; quiet: nothing; t: dig."""
    scores = {
        "a": {"rgb": [0.1, 0.8, 0.3], "flow": [0.2, 0.1, 0.6]},
        "b": {"rgb": [0.5, 0.4, 0.3], "flow": [0.0, 0.0, 0.9]},
        "quiet": {"rgb": [0.1, 0.2, 0.3], "flow": [0.1, 0.2, 0.3]},
        "t": {"rgb": [0.9, 0.0, 0.0], "flow": [0.9, 0.0, 0.0]},
    }
    settings = asdict(Localization(streams={"flow": {"stream_weight": 3.0}}))
    keep_activations(tmp_path / "kept.activations", ("dig", "jump", "run"), scores, selection="last", localization=settings)
    write(tmp_path / "kept.json", FOUND)
    return tmp_path / "kept.json"


def test_classification_of_detections_with_activations_beside_them(tmp_path, truth, two_streams, capsys):
    evaluation = evaluate(two_streams, annotations=truth, subset="test", protocol="classification")
    found = evaluation.to_json()
    # Fused 1 : 3: a = .175, .275, .525; b = .125, .1, .75: both right. RGB alone calls b "dig".
    assert found["streams"]["rgb"]["accuracy"] == 0.5
    assert found["streams"]["rgb"]["weight"] == 0.25
    assert (found["accuracy"], found["videos"], found["empty_videos"], found["ignored"]) == (1.0, 3, 1, 1)
    assert found["per_class"] == {"jump": 1.0, "run": 1.0}
    assert (found["selection"], found["mapping"], found["subset"]) == ("last", None, "test")
    assert evaluation.scalars()["accuracy.flow"] == 1.0
    assert set(evaluation.scalars()) == {f"{m}{s}" for m in ("accuracy", "video_mAP") for s in ("", ".rgb", ".flow")}
    json.dumps(found, allow_nan=False)
    for words in ("classification", "truth.json, subset test: 3 videos, 1 of them empty", "rgb 0.25, flow 0.75", "selection  last"):
        assert words in evaluation.table()
    said = capsys.readouterr().err
    assert "left out of the accuracy" in said
    assert "1 video(s) of" in said
    again = evaluate(tmp_path / "kept.activations", annotations=truth, subset="test", protocol="classification")
    assert again.to_json() == found


def test_classification_against_a_labels_file(tmp_path, two_streams, capsys):
    (tmp_path / "labels.csv").write_text("video,label\na,run\na,jump\nb,run\nnowhere,run\n")
    found = evaluate(two_streams, labels=tmp_path / "labels.csv", protocol="classification").to_json()
    assert (found["accuracy"], found["videos"]) == (1.0, 2)
    said = capsys.readouterr().err
    assert "warning: 1 video(s) of" in said
    assert "are left out of the scores" in said
    assert "is dig: a video whose top class" in said


CLUSTERS = {"t": "cluster_00", "u": "cluster_01", "v": "cluster_01", "w": "cluster_01"}


@pytest.fixture
def clustered(tmp_path, truth):
    """Detections under cluster names, and the labels of the videos that were clustered."""
    (tmp_path / "train.csv").write_text("video,label\nt,jump\nu,run\nv,run\nv,jump\nw,run\n")
    renamed = {"run": "cluster_01", "jump": "cluster_00", "dig": "cluster_02"}
    found = {video: [d._replace(label=renamed[d.label]) for d in own] for video, own in FOUND.items()}
    return write(tmp_path / "found.json", found, selection="last", clusters=CLUSTERS)


@pytest.mark.parametrize("how", ["majority", "soft", "hungarian"])
def test_clusters_are_scored_as_the_classes_of_their_training_videos(tmp_path, truth, clustered, how, capsys):
    plain = evaluate(write(tmp_path / "plain.json", FOUND), annotations=truth, subset="test", tiou="0.5").to_json()
    evaluation = evaluate(clustered, annotations=truth, subset="test", tiou="0.5", labels=tmp_path / "train.csv", map_clusters=how)
    found = evaluation.to_json()
    assert found["mAP"] == plain["mAP"]
    assert found["selection"] == "last"
    assert found["mapping"]["how"] == how
    assert "4 training videos in train.csv" in found["mapping"]["fitted_on"]
    assert found["mapping"]["clusters"] == {"cluster_00": {"jump": 1.0}, "cluster_01": {"run": 1.0}, "cluster_02": {}}
    assert "1 detection(s) dropped" in capsys.readouterr().err
    assert f"mapping    {how}, by the labels of 4 training videos" in evaluation.table()


def test_without_a_labels_file_the_annotations_of_the_training_videos_count(tmp_path, truth, clustered, capsys):
    found = evaluate(clustered, annotations=truth, subset="test", map_clusters="majority").to_json()
    assert found["mapping"]["clusters"]["cluster_00"] == {"dig": 1.0}  # of t, the only one that the file knows
    assert "scored videos were clustered too" not in capsys.readouterr().err
    evaluate(clustered, annotations=truth, map_clusters="majority")
    assert "1 of the scored videos were clustered too" in capsys.readouterr().err


def test_a_mapping_by_the_scored_videos_is_an_oracle(tmp_path, truth, clustered):
    evaluation = evaluate(clustered, annotations=truth, subset="test", map_clusters="majority", map_clusters_oracle=True)
    found = evaluation.to_json()
    assert found["selection"] == "oracle"
    assert "oracle" in found["mapping"]["fitted_on"]
    assert "selection  oracle" in evaluation.table()
    # The surest detections of a and b are of cluster_01: run 1.5, jump 0.5. No video's surest is of cluster_00.
    assert found["mapping"]["clusters"] == {"cluster_00": {}, "cluster_01": {"run": 1.0}, "cluster_02": {}}


def test_names_by_hand(tmp_path, truth, clustered):
    (tmp_path / "names.csv").write_text("cluster,name\ncluster_00,jump\ncluster_01,run\n")
    found = evaluate(clustered, annotations=truth, subset="test", names=tmp_path / "names.csv").to_json()
    plain = evaluate(write(tmp_path / "plain.json", FOUND), annotations=truth, subset="test").to_json()
    assert found["mAP"] == plain["mAP"]
    assert found["mapping"]["how"] == "names"
    (tmp_path / "names.csv").write_text("cluster,name\ncluster_00,jump\ncluster_01,Background\n")
    without = {video: [d for d in own if d.label == "jump"] for video, own in FOUND.items()}
    found = evaluate(clustered, annotations=truth, subset="test", names=tmp_path / "names.csv").to_json()
    plain = evaluate(write(tmp_path / "plain.json", without), annotations=truth, subset="test").to_json()
    assert found["mAP"] == plain["mAP"]  # nothing happens in the other cluster
    (tmp_path / "names.csv").write_text("cluster,name\ncluster_01,rum\n")
    with pytest.raises(InputError, match=r"'rum'.*mean 'run'"):
        evaluate(clustered, annotations=truth, subset="test", names=tmp_path / "names.csv")
    (tmp_path / "names.csv").write_text("cluster,name\ncluster_1,run\n")
    with pytest.raises(InputError, match=r"names\.csv.*no cluster 'cluster_1'"):
        evaluate(clustered, annotations=truth, subset="test", names=tmp_path / "names.csv")


def test_class_scores_of_clusters(tmp_path, truth):
    scores = {"a": {"rgb": [0.3, 0.6]}, "b": {"rgb": [0.1, 0.9]}, "quiet": {"rgb": [0.5, 0.5]}}
    keep_activations(tmp_path / "kept", ("cluster_00", "cluster_01"), scores, clusters=CLUSTERS, selection="last")
    (tmp_path / "train.csv").write_text("video,label\nt,jump\nu,run\nv,run\nw,run\n")
    ask = {"annotations": truth, "subset": "test", "protocol": "classification"}
    with pytest.raises(InputError, match=r"cluster_00.*`map_clusters`"):
        evaluate(tmp_path / "kept", **ask)
    found = evaluate(tmp_path / "kept", **ask, labels=tmp_path / "train.csv", map_clusters="majority").to_json()
    assert (found["accuracy"], found["mapping"]["clusters"]["cluster_01"]) == (1.0, {"run": 1.0})
    oracle = evaluate(tmp_path / "kept", **ask, map_clusters="hungarian", map_clusters_oracle=True).to_json()
    assert oracle["selection"] == "oracle"


@pytest.fixture
def unlabelled(tmp_path):
    """A run of two rounds: t and u are apart first, then together."""
    run = tmp_path / "run"
    write_clusters(clusters_file(run, 0), {"t": "cluster_00", "u": "cluster_01", "v": "cluster_01", "odd": "cluster_01"})
    write_clusters(clusters_file(run, 1), {"t": "cluster_01", "u": "cluster_01", "v": "cluster_00", "odd": "cluster_00"})
    (run / "environment.json").write_text('{"selection": "last"}')
    return run


def test_clustering_round_by_round(tmp_path, unlabelled, capsys):
    (tmp_path / "labels.csv").write_text("video,label\nt,jump\nu,run\nu,jump\nv,run\n")
    evaluation = evaluate(unlabelled, labels=tmp_path / "labels.csv", protocol="clustering")
    found = evaluation.to_json()
    # By the first label by name (jump, jump, run), the last round is right.
    assert (found["purity"], found["ari"], found["nmi"]) == pytest.approx((1.0, 1.0, 1.0))
    assert found["shared"]["purity"] == pytest.approx(2.5 / 3)
    assert [one["purity"] for one in found["rounds"]] == pytest.approx([2 / 3, 1.0])
    assert [one["changed"] for one in found["rounds"]] == [None, 0.25]
    assert found["rounds"][0]["sizes"] == {"cluster_00": 1, "cluster_01": 3}
    assert (found["videos"], found["videos_with_several_labels"], found["left_out"]) == (3, 1, 1)
    scalars = evaluation.scalars()
    assert scalars["purity"] == scalars["purity.round1"] == 1.0
    assert {"ari", "nmi", "ari.round0", "nmi.round1", "purity.shared"} <= scalars.keys()
    json.dumps(found, allow_nan=False)
    for words in ("clustering", "arithmetic", "labels.csv, whole file: 3 videos", "selection  last", "the first by name counts"):
        assert words in evaluation.table()
    assert "1 clustered video(s) have no label" in capsys.readouterr().err


def test_clustering_against_annotations_counts_the_first_annotated_label(tmp_path, unlabelled):
    videos = {
        "t": VideoTruth("training", 9.0, (Segment(0, 1, "jump"),)),
        "u": VideoTruth("training", 9.0, (Segment(5, 6, "run"), Segment(1, 2, "jump"))),
        "v": VideoTruth("training", 9.0, (Segment(0, 1, "run"),)),
    }
    write_annotations(tmp_path / "annotations.json", videos, "demo")
    found = evaluate(unlabelled, annotations=tmp_path / "annotations.json", subset="training", protocol="clustering").to_json()
    assert [one["purity"] for one in found["rounds"]] == pytest.approx([1.0, 2 / 3])
    assert found["first_label"] == "the first annotated"


def test_what_detections_above_a_score_are_worth(tmp_path, truth):
    evaluation = evaluate(write(tmp_path / "found.json", FOUND), annotations=truth, subset="test", tiou="0.5", min_score=0.75)
    point = evaluation.to_json()["operating_point"]
    # a: run right, jump right; b: 30-40 wrong; b's run (0.7) is below.
    assert point["at_tiou"]["precision"] == point["at_tiou"]["recall"] == pytest.approx(2 / 3)
    assert point["at_tiou"]["false_alarms_per_hour"] == pytest.approx(1 / (3 * 60 / 3600))
    assert (point["empty_videos"], point["silent_share"]) == (1, 1.0)
    assert evaluation.scalars()["f1"] == pytest.approx(2 / 3)
    assert "score at least 0.75" in evaluation.table()
    silent = evaluate(tmp_path / "found.json", annotations=truth, subset="test", min_score=2.0)
    assert silent.to_json()["operating_point"]["at_tiou"]["precision"] is None
    assert "precision" not in silent.scalars()
    assert silent.scalars()["f1"] == 0.0
    assert "-" in silent.table()


def test_scalars_of_detections(tmp_path, truth):
    scalars = evaluate(write(tmp_path / "found.json", FOUND), annotations=truth, subset="test").scalars()
    assert scalars["mAP@0.5"] == pytest.approx(5 / 6)
    assert scalars["mAP@0.1:0.7"] == pytest.approx(5 / 6)
    assert scalars["mAP@avg"] == pytest.approx((8 * 5 / 6 + 1 / 3) / 9)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"map_clusters": "best"}, "`map_clusters`"),
        ({"map_clusters_oracle": True}, r"`map_clusters` majority\|soft\|hungarian"),
        ({"map_clusters": "soft", "names": "names.csv"}, "one of the two"),
        ({"map_clusters": "soft"}, "does not say which training video is in which cluster"),
        ({"protocol": "classification"}, r"no activations beside it \(plain\.activations\)"),
        ({"protocol": "classification", "min_score": 0.5}, "classification scores no detections"),
        ({"protocol": "clustering"}, r"holds no rounds/NN/clusters\.csv"),
        ({"protocol": "clustering", "map_clusters": "soft"}, "leave `map_clusters`"),
        ({"min_score": float("nan")}, "`min_score` nan"),
        ({"min_score": float("inf")}, "`min_score` inf: expected a finite number"),
    ],
)
def test_faults_in_what_is_asked_of_clusters_and_classes(tmp_path, truth, given, words):
    file = write(tmp_path / "plain.json", FOUND)
    with pytest.raises(InputError, match=words):
        evaluate(file, **{"annotations": truth, **given})


def test_faults_in_where_the_labels_are(tmp_path, truth, two_streams, clustered, unlabelled):
    labels = tmp_path / "labels.csv"
    labels.write_text("video,label\nzebra,run\n")
    with pytest.raises(InputError, match="one of the two"):
        evaluate(two_streams, annotations=truth, labels=labels, protocol="classification")
    with pytest.raises(InputError, match="needs the true labels"):
        evaluate(two_streams, protocol="classification")
    with pytest.raises(InputError, match="a labels file has no subsets"):
        evaluate(two_streams, labels=labels, subset="test", protocol="classification")
    with pytest.raises(InputError, match="has no label for any of the 4 videos"):
        evaluate(clustered, annotations=truth, labels=labels, map_clusters="soft")
    with pytest.raises(InputError, match="has a label in"):
        evaluate(unlabelled, labels=labels, protocol="clustering")
    with pytest.raises(InputError, match="one of the two"):
        evaluate(unlabelled, labels=labels, annotations=truth, protocol="clustering")
    (unlabelled / "environment.json").write_text("[]")
    labels.write_text("video,label\nt,run\n")
    with pytest.raises(InputError, match=r"environment\.json: expected an object, found"):
        evaluate(unlabelled, labels=labels, protocol="clustering")


@pytest.mark.parametrize("settings", [3, {"streams": {"rgb": 3}}])
def test_settings_in_stored_activations_that_are_none(tmp_path, truth, settings):
    kept = tmp_path / "kept"
    keep_activations(kept, ("run",), {"a": {"rgb": [1.0]}}, localization=settings)
    for protocol in ("activitynet", "classification"):
        with pytest.raises(InputError, match=r"activations\.json: localization.*expected .*, found 3"):
            evaluate(kept, annotations=truth, protocol=protocol)


# --- attention -----------------------------------------------------------------------------------------------------------------


def attentive(folder, kind="gate"):
    """Two streams that look at a's first 10 s of 60 and its 30 to 40 s, flow half as surely; run is seen all over."""
    high = np.array([1, 0, 0, 1, 0, 0.0])
    logit = np.tile([-2.0, -2.0, 2.0], (6, 1))
    streams = {
        name: StreamActivation(share * high / (high.sum() if kind == "distribution" else 1), logit, np.array([0.0, 0.0, 1.0]))
        for name, share in (("rgb", 1.0), ("flow", 0.4))
    }
    activations = [Activation(video, ("dig", "jump", "run"), Timeline(0.0, 10.0, 6, 60.0), streams, kind) for video in ("a", "t")]
    write_activations(folder, activations, {"selection": "last", "localization": asdict(Localization())})
    return folder


def test_attention_statistics_by_stream(tmp_path, truth, capsys):
    parts = {"a": [["run", 0, 1], ["context", 1, 1], ["jump", 2, 1], ["background", 3, 3]]}
    (tmp_path / "parts.json").write_text(json.dumps(parts))
    ask = {"annotations": truth, "subset": "test", "protocol": "attention"}
    evaluation = evaluate(attentive(tmp_path / "kept"), **ask, parts=tmp_path / "parts.json")
    found = evaluation.to_json()
    # gt of a: snippets 0 and 2. rgb attends to 0 and 3; the mean of both streams (0.7) too; flow (0.4) to nothing above 0.5.
    expected = {"att-gt/gt": 0.5, "gt-att/gt": 0.5, "(cls-gt)-att/gt": 1.5, "(att&gt)-cls/gt": 0.0}
    assert found["streams"]["rgb"]["at_0.5"] == found["streams"]["fused"]["at_0.5"] == expected
    assert found["streams"]["flow"]["at_0.5"] == {"att-gt/gt": 0, "gt-att/gt": 1, "(cls-gt)-att/gt": 2, "(att&gt)-cls/gt": 0}
    assert (found["videos"], found["snippets"], found["true_snippets"]) == (1, 6, 2)
    assert found["streams"]["fused"]["parts"]["action"]["mean"] == pytest.approx(0.35)
    scalars = evaluation.scalars()
    assert scalars["att-gt/gt"] == scalars["att-gt/gt@0.5"] == 0.5
    assert scalars["att-gt/gt@0.3.flow"] == 0.5
    assert scalars["attention.background"] == pytest.approx(0.7 / 3)
    assert 0.5 < scalars["action>context"] <= 1
    json.dumps(found, allow_nan=False)
    table = evaluation.table()
    for words in ("↓ |att - gt| / |gt|", "↑ |(att & gt) - cls|", "6 snippets, 2 of them", "attention of flow on", "subset test"):
        assert words in table
    assert "2 of 3 videos are not in" in capsys.readouterr().err
    without = evaluate(tmp_path / "kept", **ask)
    assert "parts" not in without.to_json()["streams"]["rgb"]
    assert without.scalars().keys() < scalars.keys()


def test_attention_over_time_is_times_the_number_of_snippets(tmp_path, truth):
    ask = {"annotations": truth, "subset": "test", "protocol": "attention"}
    evaluation = evaluate(attentive(tmp_path / "kept", "distribution"), **ask)
    # 6 x 1/2 = 3 for rgb, 6 x 0.4/2 = 1.2 for flow: both above 0.5 where they look.
    assert evaluation.scalars()["att-gt/gt.flow"] == evaluation.scalars()["gt-att/gt.rgb"] == 0.5
    assert "times the number of snippets" in evaluation.table()


def test_faults_in_what_is_asked_of_attention(tmp_path, truth):
    kept = attentive(tmp_path / "kept")
    ask = {"annotations": truth, "protocol": "attention"}
    (tmp_path / "parts.json").write_text('{"a": [["run", 0, 1]]}')
    with pytest.raises(InputError, match="the parts of 't'"):
        evaluate(kept, **ask, parts=tmp_path / "parts.json")
    with pytest.raises(InputError, match="`parts`"):
        evaluate(kept, annotations=truth, parts=tmp_path / "parts.json")
    with pytest.raises(InputError, match="`annotations`"):
        evaluate(kept, protocol="attention")
    with pytest.raises(InputError, match="`annotations`"):
        evaluate(kept, **ask, labels="labels.csv")
    bare = Activation("a", ("run",), Timeline(0, 1, 2, 2), {"rgb": StreamActivation(None, np.zeros((2, 1)), np.ones(1))})
    write_activations(tmp_path / "bare", [bare], {})
    with pytest.raises(InputError, match="has no attention"):
        evaluate(tmp_path / "bare", **ask)
    write_activations(tmp_path / "other", [replace(read_activations(kept)[0][0], video="zebra")], {})
    with pytest.raises(InputError, match="none of its videos"):
        evaluate(tmp_path / "other", **ask)

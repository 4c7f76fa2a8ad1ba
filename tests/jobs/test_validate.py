import json

import numpy as np
import pytest

from untrimmed.data.annotations import VideoTruth, write_annotations
from untrimmed.data.labels import write_labels
from untrimmed.data.store import FeatureWriter, Header, VideoEntry
from untrimmed.data.types import Segment
from untrimmed.jobs.validate import validate

HEADER = Header("motion", {}, window_seconds=1.0, stride_seconds=1.0, streams={"rgb": 4, "flow": 3})
VIDEOS = [f"v{i}" for i in range(8)]
TAGS = {video: {"goal"} if i < 4 else {"kick"} if i < 7 else set() for i, video in enumerate(VIDEOS)}


@pytest.fixture
def features(tmp_path):
    rng = np.random.default_rng(0)
    writer = FeatureWriter(tmp_path / "features", HEADER)
    for video in VIDEOS:
        arrays = {"rgb": rng.normal(2, 3, (10, 4)).astype("f4"), "flow": rng.normal(0, 1, (10, 3)).astype("f2")}
        writer.write(video, arrays, VideoEntry(10, 9.5))
    return tmp_path / "features"


@pytest.fixture
def labels(tmp_path):
    def write(tags=TAGS):
        write_labels(tmp_path / "labels.csv", [(v, label) for v, found in tags.items() for label in sorted(found) or [""]])
        return tmp_path / "labels.csv"

    return write


@pytest.fixture
def truth(tmp_path):
    def write(**changes):
        videos = {video: VideoTruth("all", 9.5, tuple(Segment(1.0, 2.0, label) for label in tags)) for video, tags in TAGS.items()}
        write_annotations(tmp_path / "truth.json", videos | changes, "1")
        return tmp_path / "truth.json"

    return write


def only(lines: list[str], part: str) -> str:
    (line,) = [line for line in lines if part in line]
    assert "\n" not in line
    return line


def test_a_store_in_order(features, labels, truth):
    report = validate(features, labels(), truth())
    assert (report.faults, report.warnings, report.notes) == ([], [], [])
    assert report.tags == {"goal": 4, "kick": 3, "": 1}
    rgb, flow = report.streams
    assert (rgb.stream, rgb.width, flow.stream, flow.width) == ("rgb", 4, "flow", 3)
    assert abs(rgb.mean - 2) < 1
    assert abs(rgb.std - 3) < 0.5
    first = report.videos[0]
    assert (first.video, first.rows, first.step, first.first, first.last) == ("v0", 10, 1.0, (0.0, 1.0), (9.0, 9.5))
    text = report.text()
    assert "v0 10 1 [0.00, 1.00) [9.00, 9.50) 9.50" in [" ".join(line.split()) for line in text.splitlines()]
    assert "... and 3 more" in text
    assert "8 video(s), 80 rows, 0.02 hours" in text
    assert text.endswith("no fault found")


def test_all_faults_are_collected(features, labels, truth):
    bad = np.ones((10, 4), "f4")
    bad[7, 0] = np.nan
    np.save(features / "rgb" / "v0.npy", bad)
    np.save(features / "rgb" / "v1.npy", bad[:, :2])
    np.save(features / "flow" / "v1.npy", np.zeros((0, 3), "f4"))
    (features / "flow" / "v2.npy").unlink()
    path = labels()
    path.write_text(path.read_text() + "nobody,goal\nv7,goal\nv3,goal\nv6,?\n")
    annotations = truth()
    content = json.loads(annotations.read_text())
    content["database"]["v4"]["annotations"].append({"segment": [4, 3], "label": "kick"})
    annotations.write_text(json.dumps(content))
    report = validate(features, path, annotations)
    only(report.faults, "rgb/v0.npy: row 7 has a value that is not finite")
    only(report.faults, "rgb/v1.npy: 2 columns")
    only(report.faults, "'v1' has no rows")
    only(report.faults, "flow/v2.npy: no such file")
    only(report.faults, "line 10: there is no video 'nobody'")
    only(report.faults, "line 9: 'v7' has an empty label")
    only(report.faults, "line 12: the row 'v3', 'goal' stands already in line 5")
    only(report.faults, "line 13: 1 row(s) still hold '?'")
    only(report.faults, "video v4, annotation 2: the segment ends (3 s) before it starts (4 s)")
    assert len(report.faults) == 9
    assert report.text().splitlines()[-1].startswith("9 fault(s)")


def test_what_cannot_be_read_at_all_does_not_hide_the_rest(tmp_path, labels, truth):
    annotations = truth()
    annotations.write_text(annotations.read_text()[:-40])
    path = labels()
    path.write_text("name;tag\n")
    report = validate(tmp_path / "none", path, annotations)
    only(report.faults, "none: no such folder of features")
    only(report.faults, "line 1: no column 'video'")
    only(report.faults, "seems cut off")
    assert len(report.faults) == 3


def test_tags_that_are_hard_to_learn_and_videos_without_a_row(features, labels):
    tags = {video: {"all"} for video in VIDEOS[:6]}
    tags["v0"] = {"all", "rare", "twin"}
    report = validate(features, labels(tags))
    only(report.warnings, "labels.csv: the label 'rare' is on 1 video(s); fewer than three")
    only(report.warnings, "the label 'all' is on every video")
    only(report.warnings, "the labels 'rare' and 'twin' always occur together")
    assert only(report.notes, "have no row").endswith(
        "2 video(s) of the store have no row and are not used in training: 'v6', 'v7'"
    )
    assert report.faults == []


def test_labels_that_are_all_empty_teach_nothing(features, labels):
    only(validate(features, labels({video: set() for video in VIDEOS})).faults, "every label is empty")


def test_timing_that_cannot_be(features, labels):
    def edit(video, **fields):
        file = features / "videos" / f"{video}.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))

    edit("v0", duration=4.0)
    edit("v1", duration=60.0)
    edit("v2", start=30.0)
    report = validate(features, labels())
    only(report.faults, "last of the 10 rows of 'v0' would begin at 9.00 s, but the video ends at 4.00 s")
    only(report.faults, "last of the 10 rows of 'v2' would begin at 39.00 s")
    only(report.warnings, "the rows of 'v1' end at 10.00 s of 60.00 s")
    assert (len(report.faults), len(report.warnings)) == (2, 1)


def test_features_that_never_change_and_unfinished_videos(features, labels):
    np.save(features / "flow" / "v3.npy", np.ones((10, 3), "f4"))
    np.save(features / "rgb" / "killed.npy", np.ones((10, 4), "f4"))
    report = validate(features, labels())
    only(report.warnings, "all rows of the stream 'flow' are the same in 'v3'")
    only(report.notes, "rgb has arrays of unfinished videos, which are not used: 'killed'")
    assert report.faults == []


def test_an_empty_store(tmp_path, labels):
    FeatureWriter(tmp_path / "empty", HEADER)
    report = validate(tmp_path / "empty", labels({"v0": {"a"}}))
    only(report.faults, "no finished video in it")


def test_truth_of_other_labels(features, labels, truth):
    report = validate(features, labels({v: {"gaol"} if "goal" in tags else tags for v, tags in TAGS.items()}), truth())
    only(report.faults, "no segment of the label 'gaol'")
    assert only(report.faults, "gaol").endswith("did you mean 'goal'?")
    only(report.warnings, "1 label(s) are not in")
    only(report.warnings, "the segments of 'v0', 'v1', 'v2', 'v3' have other labels than")


def test_truth_of_other_videos_and_times(features, labels, truth):
    changes = {
        "extra": VideoTruth("all", 5.0, ()),
        "v0": VideoTruth("all", 9.5, (Segment(50.0, 51.0, "goal"),)),
        "v1": VideoTruth("all", 19.0, (Segment(1.0, 2.0, "goal"),)),
    }
    report = validate(features, labels(), truth(**changes))
    only(report.faults, "video v0: 'goal' begins at 50.00 s, but the video in")
    only(report.faults, "'v1' lasts 19.00 s by")
    only(report.warnings, "1 annotated video(s) are not in")
    assert len(report.faults) == 2


def test_a_duration_that_is_off_by_little_is_a_warning(tmp_path, labels, truth):
    writer = FeatureWriter(tmp_path / "long", HEADER)
    for video in VIDEOS:
        writer.write(video, {"rgb": np.eye(100, 4, dtype="f4"), "flow": np.eye(100, 3, dtype="f4")}, VideoEntry(100, 100.0))
    same = {video: VideoTruth("all", 100.0, tuple(Segment(1.0, 2.0, label) for label in tags)) for video, tags in TAGS.items()}
    report = validate(tmp_path / "long", labels(), truth(**same))
    assert report.warnings == []
    report = validate(tmp_path / "long", labels(), truth(**(same | {"v0": VideoTruth("all", 103.0, same["v0"].segments)})))
    only(report.warnings, "1 duration(s) disagree by more than a row's 1 s; most of all, 'v0' lasts 103.00 s by")
    assert report.faults == []


def test_truth_of_none_of_the_videos(features, labels, tmp_path):
    write_annotations(tmp_path / "t.json", {"x": VideoTruth("a", 1.0, (Segment(0, 1, "goal"), Segment(0, 1, "kick")))}, "1")
    only(validate(features, labels(), tmp_path / "t.json").faults, "none of its videos (such as 'x') is in")

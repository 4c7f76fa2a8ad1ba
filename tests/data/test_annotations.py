import json
import math
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.annotations import (
    VideoTruth,
    read_annotations,
    read_detections,
    scan_annotations,
    write_annotations,
    write_detections,
)
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection, Segment


@pytest.fixture
def put(tmp_path):
    def write(content):
        path = tmp_path / "a.json"
        path.write_text(json.dumps(content))
        return path

    return write


def truth(*annotations, **fields):
    return {"database": {"v": {**fields, "annotations": list(annotations)}}}


def found(*detections):
    return {"results": {"v": list(detections)}}


def test_numeric_strings_and_missing_fields_are_read(put):
    path = put({"database": {"v": {"annotations": [{"segment": ["1.5", " 2"], "label": "goal"}]}, "w": {"subset": "test"}}})
    annotations = read_annotations(path)
    assert annotations.videos == {"v": VideoTruth(None, None, (Segment(1.5, 2.0, "goal"),)), "w": VideoTruth("test", None, ())}
    assert (annotations.classes, annotations.subsets, annotations.notes) == (("goal",), {"test": 1}, ())


def test_odd_but_harmless_truth_is_counted_in_notes(put):
    items = [{"segment": segment, "label": "goal"} for segment in ([1, 1], [8, 12], [2, 3])]
    notes = read_annotations(put(truth(*items, duration=10))).notes
    assert len(notes) == 2
    assert "1 true segment(s) have no length" in notes[0]
    assert "1 true segment(s) end after their video" in notes[1]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"segment": [5, 2], "label": "goal"}, "video v, annotation 2: the segment ends (2 s) before it starts (5 s)"),
        ({"segment": [1, float("nan")], "label": "goal"}, "video v, annotation 2: segment: nan is not finite"),
        ({"segment": [1, float("inf")], "label": "goal"}, "video v, annotation 2: segment: inf is not finite"),
        ({"segment": [1, 10**400], "label": "goal"}, "is not finite"),
        ({"segment": [1, "two"], "label": "goal"}, "video v, annotation 2: segment: expected a number, found 'two'"),
        ({"segment": [1, None], "label": "goal"}, "expected a number, found nothing"),
        ({"segment": [1], "label": "goal"}, 'video v, annotation 2: expected "segment": [start, end]'),
        ({"label": "goal"}, 'expected "segment": [start, end]'),
        ("goal", 'expected "segment": [start, end]'),
        ({"segment": [1, 2]}, 'video v, annotation 2: expected a "label"'),
        ({"segment": [1, 2], "label": " "}, 'expected a "label"'),
        ({"segment": [1, 2], "label": 3}, 'expected a "label"'),
        ({"segment": [1, 2], "label": "a\ud800"}, r"half of a character, \ud800, behind ' [1, 2], "),
    ],
)
def test_a_fault_names_the_video_and_the_segment(put, item, message):
    fine = {"segment": [0, 1], "label": "goal"}
    path = put(truth(fine, item))
    with pytest.raises(InputError) as fault:
        read_annotations(path)
    assert str(fault.value).startswith(f"{path}: ")
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)
    path = put(found({**fine, "score": 1}, {**item, "score": 1} if isinstance(item, dict) else item))
    with pytest.raises(InputError) as fault:
        read_detections(path)
    assert message.replace("annotation", "detection") in str(fault.value)


@pytest.mark.parametrize("score", [float("nan"), "inf", None, "high", [1]])
def test_a_score_must_be_a_finite_number(put, score):
    with pytest.raises(InputError, match="video v, detection 1: score"):
        read_detections(put(found({"segment": [0, 1], "label": "goal", "score": score})))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], 'needs the key "database"'),
        ({}, 'needs the key "database"'),
        ({"database": []}, 'needs the key "database"'),
        ({"results": {}}, "this looks like a file of detections"),
        ({"database": {"v": []}}, "video v: expected an object with 'annotations', found list"),
        ({"database": {"v": {"annotations": {}}}}, "video v: annotations: expected a list, found dict"),
        ({"database": {"v": {"duration": "long"}}}, "video v: duration: expected a number, found 'long'"),
        ({"database": {"v": {"duration": -1}}}, "video v: duration: -1 s; expected seconds, or no duration at all"),
        ({"database": {"../v": {}}}, "the video id '../v' has a path separator"),
        ({"database": {"\u00e9": {}, "e\u0301": {}}}, "the video 'é' stands there twice"),
    ],
)
def test_a_file_of_another_shape_is_refused(put, content, message):
    with pytest.raises(InputError) as fault:
        read_annotations(put(content))
    assert message in str(fault.value)


def test_a_swapped_file_of_detections_is_recognized(put):
    with pytest.raises(InputError, match=r'needs the key "results".*looks like a file of annotations'):
        read_detections(put({"database": {}}))
    with pytest.raises(InputError, match="video v: expected a list, found dict"):
        read_detections(put({"results": {"v": {}}}))


def test_a_video_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"database": {"v": {}, "v": {}}}')
    with pytest.raises(InputError, match="the key 'v' stands twice"):
        read_annotations(tmp_path / "a.json")


def test_all_faults_are_found_at_once(put):
    path = put({"database": {"v": {"annotations": [{"segment": [2, 1], "label": "a"}, {"segment": [1, 2]}]}, "w": 3}})
    annotations, faults = scan_annotations(path)
    assert list(annotations.videos) == ["v"]
    assert len(faults) == 3
    with pytest.raises(InputError, match=r"\(2 more fault\(s\)\)"):
        read_annotations(path)


def test_a_subset_that_does_not_exist_lists_those_that_do(put):
    annotations = read_annotations(put({"database": {"v": {"subset": "test"}, "w": {"subset": "val"}, "x": {"subset": "val"}}}))
    assert list(annotations.subset("val")) == ["w", "x"]
    assert list(annotations.subset(None)) == ["v", "w", "x"]
    with pytest.raises(InputError, match=r"subset 'tset'; there is test \(1 videos\), val \(2 videos\)"):
        annotations.subset("tset")


numbers = st.floats(-1e9, 1e9)
labels = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
labels = labels.map(lambda label: unicodedata.normalize("NFC", label).strip()).filter(bool)
spans = st.tuples(numbers, numbers).map(sorted)


@given(st.dictionaries(st.sampled_from(["a", "b", "é"]), st.lists(st.tuples(spans, labels, numbers), max_size=4)))
@settings(deadline=None, derandomize=True)
def test_what_is_written_is_read(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp()
    results = {video: [Detection(*span, label, score) for span, label, score in items] for video, items in content.items()}
    write_detections(folder / "d.json", results, {"method": "dgam"})
    back = read_detections(folder / "d.json")
    assert (back.results, back.untrimmed) == (results, {"method": "dgam"})
    videos = {v: VideoTruth("test", 5.0, tuple(Segment(*span, label) for span, label, _ in items)) for v, items in content.items()}
    write_annotations(folder / "t.json", videos, "1")
    assert read_annotations(folder / "t.json").videos == videos


def test_detections_hold_what_the_official_evaluator_wants(tmp_path):
    write_detections(tmp_path / "d.json", {"v": []}, {})
    content = json.loads((tmp_path / "d.json").read_text())
    assert content["results"] == {"v": []}
    assert {"version", "results", "external_data"} <= set(content)
    with pytest.raises(ValueError, match="JSON"):
        write_detections(tmp_path / "d.json", {"v": [Detection(0, 1, "a", math.nan)]}, {})
    assert json.loads((tmp_path / "d.json").read_text()) == content


def test_ambiguous_segments_are_kept_apart(tmp_path):
    truth = {
        "v": VideoTruth("test", 9.0, (Segment(1, 2, "goal"),), (Segment(0, 3, "Ambiguous"),)),
        "w": VideoTruth("test", None, ()),
    }
    write_annotations(tmp_path / "t.json", truth, "1")
    written = json.loads((tmp_path / "t.json").read_text())["database"]["v"]["annotations"]
    assert [item["label"] for item in written] == ["goal", "Ambiguous"]
    annotations = read_annotations(tmp_path / "t.json")
    assert (annotations.videos, annotations.classes) == (truth, ("goal",))

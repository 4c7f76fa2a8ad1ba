"""What a person has marked: how the file is read, and what it says of snippets."""

import json

import numpy as np
import pytest

from untrimmed.data.corrections import Corrections, Point, known_snippets, read_corrections
from untrimmed.data.errors import InputError
from untrimmed.data.types import Segment, Timeline

CLASSES = ("jump", "run")


def write(path, **videos):
    path.write_text(json.dumps({"database": videos}))
    return path


def test_a_plain_annotation_file_is_checked_completely(tmp_path):
    entry = {"annotations": [{"segment": ["1", 2.5], "label": "run"}]}
    (marks,) = read_corrections(write(tmp_path / "a.json", v=entry)).values()
    assert marks == Corrections((Segment(1, 2.5, "run"),), (), (), True)
    assert read_corrections(write(tmp_path / "a.json", v={"annotations": [], "points": []})) == {}  # merely looked at
    assert read_corrections(write(tmp_path / "a.json", v={"annotations": [], "points": [], "checked": True}))["v"].checked


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"annotations": [{"segment": [2, 1], "label": "run"}]}, "video v, annotations 1: the segment ends"),
        ({"rejected": [{"segment": [1, 2]}]}, 'video v, rejected 1: expected a "label"'),
        ({"points": [{"label": "run"}]}, "video v, points 1: time: expected a number"),
        ({"points": [{"time": float("nan"), "label": "run"}]}, "is not finite"),
        ({"points": {}}, "points: expected a list"),
        ({"checked": 1}, "checked: expected true or false"),
        ([], "expected an object with 'annotations'"),
    ],
)
def test_what_is_wrong_is_named(entry, words, tmp_path):
    with pytest.raises(InputError) as fault:
        read_corrections(write(tmp_path / "a.json", v=entry))
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)


def test_snippets_are_known_by_their_middle():
    timeline = Timeline(0.0, 1.0, 6, 6.0)
    known = known_snippets(Corrections((Segment(0.6, 2.6, "jump"), Segment(2, 3, "run")), checked=True), timeline, CLASSES)
    assert known.tolist() == [[0, 0, 1], [1, 0, 0], [0.5, 0.5, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]
    known = known_snippets(Corrections((Segment(1.6, 1.9, "jump"),), (Point(4.2, "run"),)), timeline, CLASSES)
    assert np.flatnonzero(known[:, 0]).tolist() == [1], "a segment shorter than a snippet is known of the one that holds it"
    assert np.flatnonzero(known[:, 1]).tolist() == [4]
    assert known.sum() == 2, "what is neither marked nor checked is not known"


def test_rejected_segments_are_background_where_nothing_is_marked():
    timeline = Timeline(0.0, 1.0, 4, 4.0)
    marks = Corrections((Segment(1, 2, "jump"),), (), (Segment(0, 3, "run"),))
    assert known_snippets(marks, timeline, CLASSES).tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_points_of_a_checked_video_leave_the_rest_open():
    timeline = Timeline(0.0, 1.0, 4, 4.0)
    assert known_snippets(Corrections((), (Point(9.0, "jump"),), (), True), timeline, CLASSES).sum() == 1
    assert known_snippets(Corrections((), (), (), True), timeline, CLASSES)[:, -1].tolist() == [1, 1, 1, 1]

"""Each format against its own reader: segments that go out come back, with the precision that the format has."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.corrections import Corrections, Point, read_corrections
from untrimmed.data.types import Detection, Segment
from untrimmed.interchange.formats import FORMATS, guess
from untrimmed.interchange.marks import write_marks
from untrimmed.interchange.media import Known, Media
from untrimmed.interchange.text import one_line

FPS = 25.0
LENGTH = 100.0
EXACT = ("activitynet", "label-studio", "fiftyone", "otio")
"""Formats that hold any text as it is; the others hold one line."""
WITHOUT_EMPTY = ("csv", "boris-aggregated", "edl", "otio")
"""Formats in which a video without a segment does not stand."""

HOSTILE = [
    "=1+1",
    "＝1+1",
    "-5",
    "@x",
    "'=b",
    "a --> b",
    "goal (2)",
    "goal (0.5)",
    'x,y;"z"',
    "a\tb",
    "<i>",
    "../../etc",
    "a\x00b\nc",
    "5",
]
labels = st.sampled_from(["goal", "foul", "–x", *HOSTILE])


@st.composite
def found_in_a_video(draw, kind=Detection, labels=labels):
    """Items of which none of a label overlaps another: some formats would join them. Times are frames."""
    items = []
    for label in draw(st.lists(labels, max_size=3, unique_by=one_line)):
        edges = sorted(draw(st.sets(st.integers(0, int(LENGTH * FPS)), max_size=6)))
        for first, last in zip(edges[::2], edges[1::2]):
            score = () if kind is Segment else (draw(st.floats(-10, 10)),)
            items.append(kind(first / FPS, last / FPS, label, *score))
    return items


def known(results, truth=False) -> Known:
    classes = tuple(sorted({item.label for items in results.values() for item in items}))
    return Known(lambda video: Media(video, None, FPS, LENGTH), None, classes, truth)


def there_and_back(name, results, folder, truth=False):
    form, about = FORMATS[name], known(results, truth)
    if form.all_videos:
        path = folder / f"all{form.ending}"
        form.module.write(results, path, about)
        assert not any(results.values()) or guess(path) == name
        return form.module.read(path, about)
    marks = {}
    for video, items in results.items():
        path = folder / f"{video}{form.ending}"
        form.module.write(items, path, about.of(video))
        assert not items or guess(path) == name
        marks |= form.module.read(path, about)
    return marks


def assert_same(found, wanted, tolerance):
    assert [label for *_, label in found] == [label for *_, label in wanted]
    for one, other in zip(found, wanted):
        assert math.isclose(one[0], other[0], abs_tol=tolerance)
        assert math.isclose(one[1], other[1], abs_tol=tolerance)


@pytest.mark.parametrize("truth", [False, True], ids=["detections", "truth"])
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "youtube"])
def test_what_goes_out_comes_back(tmp_path_factory, name, truth):
    if not truth and name in ("activitynet", "label-studio"):
        pytest.skip("detections in it are a model's, and are not read as marks; see below")
    folder = tmp_path_factory.mktemp("trip")
    ids = st.sampled_from(["a", "=b", "＝c d", "-e__f", "goal (2)"])
    own = labels.filter(lambda label: label != "<i>") if name == "srt" else labels  # which SubRip takes for italics
    clean = str if name in EXACT else one_line

    @given(st.dictionaries(ids, found_in_a_video(Segment if truth else Detection, own), max_size=2))
    @settings(deadline=None, derandomize=True, max_examples=25)
    def check(results):
        marks = there_and_back(name, results, folder, truth)
        listed = {video for video, items in results.items() if items or name not in WITHOUT_EMPTY}
        assert set(marks) == listed
        for video in listed:
            wanted = sorted((item.start, item.end, clean(item.label)) for item in results[video])
            assert not marks[video].points
            assert_same(sorted(marks[video].segments), wanted, 1e-3)

    check()


def test_the_order_of_segments_does_not_matter(tmp_path):
    items = [Detection(30, 40, "b", 0.2), Detection(1, 2, "a", 0.1), Detection(0.5, 3, "c", 0.9)]
    for name in ("eaf", "textgrid", "llc", "boris-tabular"):
        marks = there_and_back(name, {"v": items}, tmp_path)["v"]
        assert [s.label for s in marks.segments] == ["c", "a", "b"], name


def test_chapters_of_youtube_come_back_where_they_are_long_enough(tmp_path, capsys):
    items = [Detection(20.4, 35, "goal", 0.9), Detection(36, 50, "foul", 0.8), Detection(38, 41, "short", 0.7)]
    form = FORMATS["youtube"]
    form.module.write(items, tmp_path / "v_chapters.txt", Media("v", None, None, LENGTH))
    assert (tmp_path / "v_chapters.txt").read_text() == "0:00:00 –\n0:00:20 goal\n0:00:36 foul\n0:00:50 –\n"
    assert "1 detection(s) begin less than 10 s after another chapter and were left out" in capsys.readouterr().err
    marks = form.module.read(tmp_path / "v_chapters.txt", known({}))
    assert marks["v"].segments == (Segment(20, 36, "goal"), Segment(36, 50, "foul"))
    form.module.write([Detection(0.3, 100, "all", 1)], tmp_path / "w_chapters.txt", Media("w", None, None, LENGTH))
    assert (tmp_path / "w_chapters.txt").read_text() == "0:00:00 all\n"
    assert "YouTube shows none" in capsys.readouterr().err


@given(found_in_a_video())
@settings(deadline=None, derandomize=True, max_examples=50)
def test_youtube_would_show_whatever_is_written(tmp_path_factory, items):
    path = tmp_path_factory.getbasetemp() / "v_chapters.txt"
    FORMATS["youtube"].module.write(items, path, Media("v", None, None, LENGTH))
    marks = [line.split(" ", 1)[0] for line in path.read_text(encoding="utf-8").splitlines()]
    times = [int(h) * 3600 + int(m) * 60 + int(s) for h, m, s in (mark.split(":") for mark in marks)]
    assert times[0] == 0
    assert all(later - earlier >= 10 for earlier, later in zip(times, times[1:]))


def test_events_of_one_behavior_that_overlap_become_one(tmp_path):
    items = [Detection(1, 5, "goal", 0.9), Detection(4, 8, "goal", 0.1), Detection(8, 9, "goal", 0.1), Detection(2, 3, "foul", 0.1)]
    marks = there_and_back("boris-tabular", {"v": items}, tmp_path)["v"]
    assert marks.segments == (Segment(1, 8, "goal"), Segment(2, 3, "foul"), Segment(8, 9, "goal"))


def test_marks_are_an_annotations_file(tmp_path):
    marks = {
        "a": Corrections((Segment(1, 2, "goal"),), (Point(5, "foul"),), (), True),
        "b": Corrections((Segment(1, 2, "goal"),), (), (Segment(3, 4, "foul"),), False),
        "c": Corrections((), (), (), True),
    }
    write_marks(tmp_path / "m.json", marks, known({}))
    assert read_corrections(tmp_path / "m.json") == marks

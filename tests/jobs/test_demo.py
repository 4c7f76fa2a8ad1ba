"""The demo end to end, on a world as small as it can be."""

import json

import numpy as np
import pytest

import untrimmed.jobs.demo as demo_module
from untrimmed.data.annotations import VideoTruth
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection, Segment
from untrimmed.evaluation.baselines import random_segments, whole_video
from untrimmed.jobs.demo import TIOUS, demo


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_module, "SIZES", {True: {"train": 3, "test": 2, "clips": 1}})
        patch.setattr(demo_module, "QUICK_SETTINGS", {"epochs": 3})
        first = demo(out, quick=True, seed=1, workers=1)
        times = {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()}
        second = demo(out, quick=True, seed=1, workers=1)
    return out, first, times, second


def test_it_ends_with_a_table_and_a_page(shown):
    out, first, _, _ = shown
    assert list(first.rows) == [
        "random segments",
        "the whole video",
        "dgam",
        "dgam, refined",
        "self-trained",
        "told the true times",
    ]
    assert all(len(row) == len(TIOUS) and np.isfinite(row).all() for row in first.rows.values())
    assert "@0.5" in first.text()
    assert first.page.stat().st_size > 10_000
    for name, folder in {"dgam": "dgam", "dgam, refined": "dgam-refined", "told the true times": "told"}.items():
        assert json.loads((out / folder / "scores.json").read_text())["mAP"] == first.rows[name]
    assert json.loads((out / "told" / "scores.json").read_text())["selection"] == "last; labels + 3 annotated video(s)"
    results = json.loads(first.detections.read_text())["results"]
    assert sorted(results) == ["video_003", "video_004"]


def test_a_second_run_does_nothing_again(shown):
    out, first, times, second = shown
    assert second.rows == first.rows
    assert second.seconds < first.seconds / 3
    redone = {file.relative_to(out).as_posix() for file, time in times.items() if file.stat().st_mtime_ns != time}
    assert redone <= {
        "report.html",
        "features/features.json",
        "world/told.json",
        *(f"{run}/scores.json" for run in ("dgam", "dgam-refined", "self-trained", "told")),
    }


def test_another_world_needs_another_folder(shown):
    with pytest.raises(InputError, match="another demo world"):
        demo(shown[0], seed=2)


def test_the_baselines_know_what_but_not_when():
    truth = {"a": VideoTruth("test", 40.0, (Segment(0.0, 30.0, "x"),)), "b": VideoTruth("test", 40.0, (Segment(10.0, 12.0, "x"),))}
    named, durations = {"a": {"x": 0.9}, "b": {"x": 0.8}}, {"a": 40.0, "b": 40.0}
    whole = whole_video(named, durations, truth, ("x",), TIOUS)
    assert whole == pytest.approx([0.5] * 7)  # covers 3/4 of the one, 1/20 of the other
    found = {"a": [Detection(0.0, 30.0, "x", 1.0)], "b": []}
    drawn = random_segments(found, named, durations, truth, ("x",), TIOUS, seed=0)
    assert drawn == random_segments(found, named, durations, truth, ("x",), TIOUS, seed=0)
    assert 0.25 < drawn[0] <= 0.5
    assert all(low >= high for low, high in zip(drawn, drawn[1:]))


def test_an_unknown_method_is_told_before_anything_is_drawn(tmp_path):
    with pytest.raises(InputError, match="did you mean 'dgam'"):
        demo(tmp_path / "out", method="dgan")
    assert not (tmp_path / "out").exists()

"""Fusion of runs: numbers worked out by hand, and what holds for any detections."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from untrimmed.data.types import Detection
from untrimmed.localization.fuse import fuse


def detections(draw):
    """Up to eight detections of two classes, no two of equal score."""
    count = draw(st.integers(0, 8))
    scores = draw(st.lists(st.integers(1, 10_000), min_size=count, max_size=count, unique=True))
    found = []
    for score in scores:
        start, length = draw(st.integers(0, 20)), draw(st.integers(1, 12))
        found.append(Detection(float(start), float(start + length), draw(st.sampled_from("ab")), score / 10_000))
    return sorted(found, key=lambda d: -d.score)


@st.composite
def some_runs(draw):
    return [{video: detections(draw) for video in ("v", "w")} for _ in range(draw(st.integers(1, 4)))]


def one(*found):
    return {"v": [Detection(start, end, "a", score) for start, end, score in found]}


def test_what_runs_agree_on_is_one():
    (both,) = fuse([one((0.0, 10.0, 0.9)), one((2.0, 12.0, 0.3))])["v"]
    assert both == Detection(pytest.approx(0.5), pytest.approx(10.5), "a", pytest.approx(0.6))


def test_what_one_run_finds_has_one_vote():
    assert fuse([one((0.0, 10.0, 0.9)), one((8.0, 20.0, 0.6)), {"v": []}]) == {
        "v": [Detection(0.0, 10.0, "a", pytest.approx(0.3)), Detection(8.0, 20.0, "a", pytest.approx(0.2))]
    }


def test_a_run_votes_once_for_a_segment():
    """The second half overlaps the whole by 0.5, but its run has said what it makes of the whole."""
    found = fuse([one((0.0, 10.0, 0.8)), one((0.0, 5.0, 0.4), (5.0, 10.0, 0.2))])["v"]
    assert found == [Detection(0.0, pytest.approx(25 / 3), "a", pytest.approx(0.6)), Detection(5.0, 10.0, "a", 0.1)]


def test_overlap_counts_from_a_half_on():
    assert len(fuse([one((0.0, 10.0, 0.8)), one((0.0, 5.0, 0.4))])["v"]) == 1
    assert len(fuse([one((0.0, 10.0, 0.8)), one((0.0, 4.99, 0.4))])["v"]) == 2


def test_classes_and_videos_stay_apart_and_empty_videos_stay():
    first = {"v": [Detection(0.0, 1.0, "a", 0.5)], "w": []}
    second = {"v": [Detection(0.0, 1.0, "b", 0.7)], "x": [Detection(0.0, 1.0, "a", 0.5)]}
    assert fuse([first, second]) == {
        "v": [Detection(0.0, 1.0, "b", 0.35), Detection(0.0, 1.0, "a", 0.25)],
        "w": [],
        "x": [Detection(0.0, 1.0, "a", 0.25)],
    }
    assert fuse([]) == {}


def test_fewer_votes_never_make_a_negative_score_surer():
    alone = fuse([one((0.0, 1.0, -0.2)), {"v": []}])["v"]
    both = fuse([one((0.0, 1.0, -0.2)), one((0.0, 1.2, -0.2))])["v"]
    assert alone == [Detection(0.0, 1.0, "a", -0.4)]
    assert both == [Detection(0.0, pytest.approx(1.1), "a", pytest.approx(-0.2))]


@settings(deadline=None, derandomize=True)
@given(some_runs())
def test_one_run_or_copies_of_it_stay_as_they_are(runs):
    assert fuse(runs[:1]) == runs[0]
    for video, found in fuse([runs[0]] * 3).items():
        assert found == [Detection(*map(pytest.approx, d[:2]), d.label, pytest.approx(d.score)) for d in runs[0][video]]


@settings(deadline=None, derandomize=True)
@given(some_runs())
def test_votes_are_kept_and_segments_lie_among_their_members(runs):
    for video, fused in fuse(runs).items():
        assert [d.score for d in fused] == sorted((d.score for d in fused), reverse=True)
        for label in "ab":
            found = [[d for d in run[video] if d.label == label] for run in runs]
            own = [d for d in fused if d.label == label]
            assert max(map(len, found)) <= len(own) <= sum(map(len, found))  # no run votes twice for a segment
            assert sum(d.score for d in own) == pytest.approx(sum(d.score for part in found for d in part) / len(runs))
            for d in own:
                members = [m for part in found for m in part]
                assert min(m.start for m in members) - 1e-9 <= d.start < d.end <= max(m.end for m in members) + 1e-9


@settings(deadline=None, derandomize=True)
@given(some_runs(), st.randoms())
def test_the_order_of_the_runs_does_not_matter(runs, random):
    scores = [d.score for run in runs for found in run.values() for d in found]
    assume(len(set(scores)) == len(scores))
    shuffled = random.sample(runs, len(runs))
    for video, fused in fuse(runs).items():
        other = fuse(shuffled)[video]
        assert [d.label for d in fused] == [d.label for d in other]
        np.testing.assert_allclose([(*d[:2], d.score) for d in fused], [(*d[:2], d.score) for d in other])


def test_runs_that_each_miss_the_borders_a_little_hit_them_together():
    rng = np.random.default_rng(0)
    truth = np.stack([np.arange(20) * 15.0, np.arange(20) * 15.0 + 10.0], axis=1)
    seen = truth + rng.normal(0, 0.7, (5, 20, 2))
    scores = rng.uniform(0.5, 1, (5, 20))
    fused = sorted(fuse([one(*((*times, s) for times, s in zip(*run))) for run in zip(seen, scores)])["v"])
    assert len(fused) == 20
    error = np.abs(np.array([d[:2] for d in fused]) - truth).mean()
    assert error < 0.6 * np.abs(seen - truth).mean()  # the error of a mean of five is 0.45 of one's

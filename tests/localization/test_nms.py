"""Suppression: properties that any input has, and a slow literal version beside it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.localization.nms import suppress, tiou

segments = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 12), st.integers(-3, 6)), max_size=25
)  # group, start, length, score: small whole numbers, so that ties and equal segments are common
thresholds = st.sampled_from([0.0, 0.25, 0.5, 1.0])


def arrays(items):
    group, start, length, score = (np.array(column) for column in zip(*items)) if items else (np.empty(0),) * 4
    return group.astype(int), start.astype(float), (start + length).astype(float), score.astype(float)


def overlap(a, b):
    inside = max(min(a[1], b[1]) - max(a[0], b[0]), 0)
    union = (a[1] - a[0]) + (b[1] - b[0]) - inside
    return inside / union if union > 0 else 0.0


def literal(group, start, end, score, threshold, sigma=None):
    """One segment after the other, as the papers say it."""
    kept, scores = [], []
    for g in sorted(set(group.tolist())):
        left = [(i, float(score[i])) for i in range(len(group)) if group[i] == g]
        while left:
            best = max(left, key=lambda item: item[1])  # the first of equals
            left.remove(best)
            kept.append(best[0])
            scores.append(best[1])
            after = []
            for i, s in left:
                o = overlap((start[i], end[i]), (start[best[0]], end[best[0]]))
                if sigma is None and o <= threshold:
                    after.append((i, s))
                if sigma is not None and abs(s * math.exp(-(o**2) / sigma)) > 1e-3 * abs(score[i]):
                    after.append((i, s * math.exp(-(o**2) / sigma)))
            left = after
    return kept, scores


@settings(deadline=None, derandomize=True)
@given(segments, thresholds)
def test_the_best_stays_and_no_two_survivors_overlap(items, threshold):
    group, start, end, score = arrays(items)
    kept, scores = suppress(group, start, end, score, threshold)
    assert len(set(kept.tolist())) == len(kept)
    np.testing.assert_array_equal(scores, score[kept])
    for g in set(group.tolist()):
        mine = [k for k in kept if group[k] == g]
        assert score[mine[0]] == score[group == g].max()
        assert [score[k] for k in mine] == sorted((score[k] for k in mine), reverse=True)
        for a in mine:
            for b in mine:
                assert a == b or overlap((start[a], end[a]), (start[b], end[b])) <= threshold
        for i in np.flatnonzero(group == g):  # and whatever went had a better one over it
            if i not in mine:
                assert any(score[k] >= score[i] and overlap((start[k], end[k]), (start[i], end[i])) > threshold for k in mine)


@settings(deadline=None, derandomize=True)
@given(segments, thresholds)
def test_hard_suppression_is_the_literal_one(items, threshold):
    columns = arrays(items)
    kept, _ = suppress(*columns, threshold)
    expected, _ = literal(*columns, threshold)
    # All groups advance together here, so that only the order inside a group is defined.
    group = columns[0]
    for g in set(group.tolist()):
        assert [k for k in kept.tolist() if group[k] == g] == [k for k in expected if group[k] == g]


@settings(deadline=None, derandomize=True)
@given(segments, st.sampled_from([0.01, 0.3, 2.0]))
def test_soft_suppression_is_the_literal_one(items, sigma):
    # Distinct scores: which of two equal ones decays the other is not defined.
    group, start, end, score = arrays(items)
    score = score + np.arange(len(score)) * 0.0137 + 4
    kept, scores = suppress(group, start, end, score, 0.5, sigma)
    expected, expected_scores = literal(group, start, end, score, 0.5, sigma)
    found = dict(zip(kept.tolist(), scores))
    assert set(found) == set(expected)
    for k, s in zip(expected, expected_scores):
        assert found[k] == pytest.approx(s, rel=1e-9)


def test_groups_do_not_see_each_other():
    same = np.zeros(4), np.ones(4)
    kept, _ = suppress(np.array([0, 1, 0, 1]), *same, np.array([1.0, 2.0, 3.0, 0.5]), 0.5)
    assert sorted(kept) == [1, 2]


def test_nothing_in_nothing_out():
    kept, scores = suppress(np.empty(0, int), np.empty(0), np.empty(0), np.empty(0), 0.5)
    assert (kept.shape, scores.shape) == ((0,), (0,))
    assert kept.dtype.kind == "i"


def test_segments_without_length_overlap_nothing():
    assert tiou(np.array([1.0, 1.0]), np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([1.0, 2.0])).tolist() == [0.0, 1.0]


def test_soft_suppression_never_lifts_a_negative_score():
    group, start, end = np.zeros(3), np.array([0.0, 0.5, 20.0]), np.array([10.0, 10.0, 30.0])
    kept, score = suppress(group, start, end, np.array([-0.1, -0.8, -0.3]), 1.0, soft_sigma=0.3)
    assert kept.tolist() == [0, 2, 1]
    assert score[2] < -0.8

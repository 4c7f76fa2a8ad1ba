"""Curves and their runs, against literal versions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d

from untrimmed.localization.curves import upsample
from untrimmed.localization.proposals import Runs, each_once, outer_inner, runs_above

rows = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=12), min_size=1, max_size=4)


def laid_out(some):
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in some])])
    return np.concatenate([np.asarray(row, dtype=float) for row in some]), offsets


@settings(deadline=None, derandomize=True)
@given(rows, st.integers(0, 4), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.25, 2.0]), st.randoms())
def test_runs_are_those_of_a_loop(some, threshold, contrast, side, random):
    curve, offsets = laid_out(some)
    score = np.array([random.random() for _ in curve])
    thresholds = np.array([(threshold + r) % 5 for r in range(len(some))], dtype=float)
    found = runs_above(curve, offsets, thresholds)
    scores = outer_inner(found, score, offsets, contrast, side)
    expected = []
    for r, row in enumerate(some):
        own = score[offsets[r] : offsets[r + 1]]
        i = 0
        while i < len(row):
            if row[i] <= thresholds[r]:
                i += 1
                continue
            first = i
            while i < len(row) and row[i] > thresholds[r]:
                i += 1
            width = int((i - first) * side) + 1
            left, right = own[max(first - width, 0) : first], own[i : i + width]
            around = sum(part.mean() for part in (left, right) if len(part))
            expected.append((r, first, i - 1, own[first:i].mean() - contrast * around))
    assert list(zip(found.row, found.first, found.last)) == [e[:3] for e in expected]
    np.testing.assert_allclose(scores, [e[3] for e in expected], atol=1e-12)


def test_no_rows_no_runs():
    found = runs_above(np.empty(0), np.array([0]), np.empty(0))
    assert len(found.row) == 0
    assert len(outer_inner(found, np.empty(0), np.array([0]), 0.3, 0.25, peak=True)) == 0


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), max_size=20))
def test_each_run_once_in_the_order_in_which_they_came(some):
    runs = Runs(*np.array(some, dtype=int).reshape(-1, 3).T)
    once = each_once(runs)
    assert list(zip(once.row, once.first, once.last)) == list(dict.fromkeys(some))


@settings(deadline=None, derandomize=True)
@given(rows, st.integers(1, 25))
def test_centred_upsampling_is_linear_interpolation(some, scale):
    values, offsets = laid_out(some)
    fine = upsample(values, offsets, scale)
    for r, row in enumerate(some):
        at = (np.arange(len(row) * scale) + 0.5) / scale - 0.5  # middles of the fine steps, in snippets whose middle is a number
        np.testing.assert_allclose(fine[offsets[r] * scale : offsets[r + 1] * scale], np.interp(at, np.arange(len(row)), row))


@settings(deadline=None, derandomize=True)
@given(rows, st.integers(1, 25))
def test_left_aligned_upsampling_is_linear_interpolation_and_extrapolation(some, scale):
    values, offsets = laid_out(some)
    fine = upsample(values, offsets, scale, left_aligned=True)
    for r, row in enumerate(some):
        at = np.arange(len(row) * scale) / scale
        if len(row) == 1:
            expected = np.full(scale, row[0])
        else:
            expected = interp1d(np.arange(len(row)), row, fill_value="extrapolate")(at)
        np.testing.assert_allclose(fine[offsets[r] * scale : offsets[r + 1] * scale], expected, atol=1e-12)


@pytest.mark.parametrize("left_aligned", [False, True])
def test_a_scale_of_one_changes_nothing(left_aligned):
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    np.testing.assert_array_equal(upsample(values, np.array([0, 2, 5]), 1, left_aligned), values)


def test_a_symmetric_curve_stays_symmetric():
    """No boundary comes early or late: what is centred stays so."""
    fine = upsample(np.array([0.0, 1.0, 3.0, 1.0, 0.0]), np.array([0, 5]), 20)
    np.testing.assert_allclose(fine, fine[::-1])

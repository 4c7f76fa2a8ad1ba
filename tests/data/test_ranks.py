"""Ranks of values."""

import numpy as np
import pytest
from scipy.stats import rankdata

from untrimmed.data.ranks import ranks


@pytest.mark.parametrize("values", [[], [7], [3.5, 3.5, 3.5], [2, -1, 2, 0, -1, 2], [0.0, -0.0, 1e-300, -1e300]])
def test_equal_values_share_the_mean_of_their_ranks(values):
    np.testing.assert_array_equal(ranks(np.array(values, dtype=float)), rankdata(values))


def test_ranks_of_many_values_are_scipys():
    values = np.random.default_rng(0).normal(size=1000).round(1)
    np.testing.assert_array_equal(ranks(values), rankdata(values))

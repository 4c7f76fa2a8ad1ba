"""The squared MMD by its definition. Its values are also held to the golden files, in tests/golden/test_mmd.py."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch

from untrimmed.nn.mmd import median_gammas, mmd2, squared_distances


@pytest.mark.parametrize("estimator", ["biased", "unbiased", "linear"])
def test_mmd_of_equal_sets_and_of_equal_rows(estimator):
    x = torch.randn(6, 4, dtype=torch.float64)
    same = torch.full((3, 4), 0.3, requires_grad=True)
    if estimator == "biased":
        assert mmd2(x, x, [0.5]).item() == pytest.approx(0, abs=1e-12)
    value = mmd2(same, torch.full((5, 4), 0.3), estimator=estimator)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(same.grad).all()


@pytest.mark.parametrize("estimator", ["biased", "unbiased", "linear"])
def test_mmd_grows_with_the_distance(estimator):
    draw = torch.Generator().manual_seed(0)
    t, u = torch.randn(200, 4, generator=draw), torch.randn(150, 4, generator=draw)
    values = [mmd2(t, u + shift, [0.1], estimator=estimator).item() for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)
    assert values[0] < 0.05 < values[-1]


def test_single_rows_have_an_mmd():
    t, u = torch.zeros(1, 3), torch.ones(1, 3)
    for estimator in ("biased", "linear"):
        assert mmd2(t, u, [0.5], estimator=estimator).item() == pytest.approx(2 - 2 * math.exp(-1.5))


def test_several_bandwidths_double_around_the_median():
    d = torch.tensor([1.0, 2.0, 4.0, 8.0, 100.0])
    np.testing.assert_allclose(1 / (2 * median_gammas(d, 5)), [1, 2, 4, 8, 16])
    np.testing.assert_allclose(1 / (2 * median_gammas(d)), [4])
    np.testing.assert_allclose(1 / (2 * median_gammas(d[:4])), [3])


def test_the_distances_of_a_large_batch_have_a_median():
    d = torch.full((17_000_000,), 3.0)
    np.testing.assert_allclose(1 / (2 * median_gammas(d)), [3])


def rows(*counts, width=5):
    draw = torch.Generator().manual_seed(0)
    return [place + torch.randn(count, width, generator=draw, dtype=torch.float64) for place, count in enumerate(counts)]


def literal_kernels(t, u, kernels=1):
    """k and sigma^2 by definition: the sum of Gaussians, the middle one's sigma^2 the median of all different rows' distances."""
    both = np.concatenate([t, u])
    sigma2 = np.median([np.sum((both[i] - both[j]) ** 2) for i in range(len(both)) for j in range(i)])
    widths = [sigma2 * 2.0 ** (k - kernels // 2) for k in range(kernels)]
    return lambda x, y: sum(math.exp(-np.sum((x - y) ** 2) / (2 * width)) for width in widths)


def literal_mmd2(t, u, k, estimator="biased"):
    """The slides' double sums, one pair after the other."""

    def mean(x, y, different):
        return np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(y) if not different or i != j])

    apart = estimator == "unbiased"
    return mean(t, t, apart) + mean(u, u, apart) - 2 * mean(t, u, False)


@pytest.mark.parametrize("kernels", [1, 2, 5])
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("counts", [(4, 4), (3, 6), (2, 5)])
def test_mmd_is_the_slides_double_sum(estimator, counts, kernels):
    t, u = rows(*counts)
    told = literal_mmd2(t.numpy(), u.numpy(), literal_kernels(t.numpy(), u.numpy(), kernels), estimator)
    assert mmd2(t, u, estimator=estimator, kernels=kernels).item() == pytest.approx(told, rel=1e-10)


def test_one_row_against_many():
    t, u = rows(1, 30)
    told = literal_mmd2(t.numpy(), u.numpy(), literal_kernels(t.numpy(), u.numpy()))
    assert mmd2(t, u).item() == pytest.approx(told, rel=1e-10)


def test_the_linear_estimate_is_the_unbiased_one_over_all_orders_of_the_rows():
    t, u = rows(4, 4)
    orders = [list(order) for order in permutations(range(4))]
    linear = [mmd2(t[a], u[b], [0.2, 0.05], estimator="linear").item() for a in orders for b in orders]
    assert np.std(linear) > 0.01
    assert np.mean(linear) == pytest.approx(mmd2(t, u, [0.2, 0.05], estimator="unbiased").item(), rel=1e-10)


def test_the_linear_estimate_compares_neighbours_and_leaves_the_surplus_out():
    t, u = rows(4, 7)
    told = 0.0
    for i in range(4):
        j = (i + 1) % 4
        pairs = ((t[i], t[j], 1), (u[i], u[j], 1), (t[i], u[j], -1), (t[j], u[i], -1))
        told += sum(sign * math.exp(-0.1 * float((x - y).square().sum())) for x, y, sign in pairs) / 4
    assert mmd2(t, u, [0.1], estimator="linear").item() == pytest.approx(told, rel=1e-10)


def test_the_linear_estimate_takes_batches_whose_pairs_would_not_fit():
    t, u = (place + torch.zeros(150_000, 2) for place in (0, 1))  # all pairs would be 360 gigabytes
    assert mmd2(t, u, [0.5], estimator="linear").item() == pytest.approx(2 - 2 * math.exp(-1), rel=1e-4)


@pytest.mark.parametrize("estimator", ["biased", "unbiased", "linear"])
def test_gradients_by_finite_differences(estimator):
    assert torch.autograd.gradcheck(
        lambda t, u: mmd2(t, u, [0.3, 0.1], estimator=estimator), [x.requires_grad_() for x in rows(4, 5, width=3)]
    )


@pytest.mark.parametrize("kernels", [1, 5])
def test_no_gradient_goes_through_the_bandwidth(kernels):
    """Finite differences at the bandwidth of the unmoved rows; with a bandwidth that moves along they differ."""
    t, u = [x.requires_grad_() for x in rows(3, 4, width=2)]
    mmd2(t, u, kernels=kernels).backward()
    still, apart = t.detach().numpy(), u.detach().numpy()
    k = literal_kernels(still, apart, kernels)
    moving = np.empty_like(still)
    for place in np.ndindex(still.shape):
        up, down = still.copy(), still.copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        told = (literal_mmd2(up, apart, k) - literal_mmd2(down, apart, k)) / 2e-5
        assert t.grad[place].item() == pytest.approx(told, abs=1e-8)
        ends = [literal_mmd2(x, apart, literal_kernels(x, apart, kernels)) for x in (up, down)]
        moving[place] = (ends[0] - ends[1]) / 2e-5
    assert np.abs(moving - t.grad.numpy()).max() > 1e-3


def test_distances_survive_an_offset():
    x = torch.randn(5, 3)
    np.testing.assert_allclose(squared_distances(x + 1000), torch.cdist(x, x).square(), atol=2e-3)

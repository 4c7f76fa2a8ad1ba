"""MMD: the slides' biased estimate with analytic gradients, and the values and gradients of two published codes."""

import json

import numpy as np
import pytest
import torch

from untrimmed.nn.mmd import mmd2, squared_distances

ATOL = 1e-12


@pytest.fixture(scope="module")
def cases(golden):
    """Every `mmd*.json` with its arrays."""
    return [(json.loads(file.read_text()), dict(np.load(file.with_suffix(".npz")))) for file in sorted(golden.glob("mmd*.json"))]


def check(name, told, arrays, t, u, value):
    value.backward()
    np.testing.assert_allclose(value.item(), told, rtol=0, atol=ATOL, err_msg=name)
    for key, x in (("t", t), ("u", u)):
        if f"{name}_grad_{key}" in arrays:
            np.testing.assert_allclose(x.grad, arrays[f"{name}_grad_{key}"], rtol=0, atol=ATOL, err_msg=f"{name} {key}")


def rows(arrays, which=("t", "u")):
    return [torch.from_numpy(arrays[key]).requires_grad_() for key in which]


def test_the_biased_estimate_is_the_slides(cases):
    seen = 0
    for file, arrays in cases:
        for name, told in file.items():
            if name.startswith("numpy_biased"):
                t, u = rows(arrays, ("t2", "u2") if "unequal" in name else ("t", "u"))
                check(name, told["value"], arrays, t, u, mmd2(t, u, told["gammas"]))
                seen += 1
    assert seen >= 8


def test_the_bandwidth_is_the_median(cases):
    for file, arrays in cases:
        for name, told in file.items():
            if name.endswith("sigma2_eq_median"):
                t, u = rows(arrays, ("t2", "u2") if "unequal" in name else ("t", "u"))
                check(name, told["value"], arrays, t, u, mmd2(t, u))


def xlearn_gammas(t, u, kernels):
    """Xlearn's bandwidths: the mean squared distance of different rows, halved and doubled; its kernel has no factor two."""
    d = squared_distances(torch.cat([t, u]).detach())
    mean = d.sum() / (len(d) * (len(d) - 1))
    return 1 / (mean * 2.0 ** (torch.arange(kernels, dtype=d.dtype) - kernels // 2))


def test_the_unbiased_and_the_linear_estimates_are_xlearns(cases):
    for file, arrays in cases:
        settings = {
            "xlearn_DAN_5kernels": ("unbiased", None),
            "xlearn_DAN_Linear": ("linear", None),
            "xlearn_DAN_1kernel_exp(-d2/32)": ("unbiased", [1 / 32]),
            "numpy_unbiased_equal_sigma4": ("unbiased", [1 / 32]),
        }
        for name, (estimator, gammas) in settings.items():
            t, u = rows(arrays)
            check(name, file[name], arrays, t, u, mmd2(t, u, gammas or xlearn_gammas(t, u, 5), estimator=estimator))


def test_the_unbiased_estimate_is_tllibs_less_its_constant(cases):
    """Its index matrix leaves the diagonal out and then adds 2 / (n - 1)."""
    for file, arrays in cases:
        t, u = rows(arrays)
        mean = squared_distances(torch.cat([t, u]).detach()).mean()  # the diagonal counts
        alphas = 2.0 ** torch.arange(-3, 2, dtype=torch.float64)
        for name, gammas in (("tllib_MKMMD_alpha_2^-3..2^1", 1 / (2 * alphas * mean)), ("tllib_MKMMD_sigma4", [1 / 32])):
            t, u = rows(arrays)
            check(name, file[name], arrays, t, u, mmd2(t, u, gammas, estimator="unbiased") + 2 / (len(t) - 1))

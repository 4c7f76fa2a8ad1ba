"""UM's own parts, against its formulas written out anew; what it shares with all methods is tested in test_every_method."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.planted import plant
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.methods import um
from untrimmed.methods.base import SnippetScores, load_method, resolve

CLASSES = 3


def random_batch(seed: int, videos: int = 4):
    rng = np.random.default_rng(seed)
    action, background = rng.normal(size=(videos, 3, 6)) * 5, rng.normal(size=(videos, 5, 6))
    cas = rng.normal(size=(videos, 20, CLASSES + 1))
    labels = (rng.uniform(size=(videos, CLASSES)) < 0.4).astype(np.float64)
    labels[0, 0] = 1
    return action, background, cas, labels


def cross_entropy(logit, target):
    p = np.exp(logit) / np.exp(logit).sum()
    return np.mean(-(target * np.log(p) + (1 - target) * np.log(1 - p)))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 10**6), margin=st.floats(0, 10))
def test_the_losses_are_those_of_the_paper(seed, margin):
    action, background, cas, labels = random_batch(seed)
    uncertainty, entropy, classification = [], [], []
    for i in range(len(labels)):
        long, short = (math.sqrt((x[i].mean(0) ** 2).sum()) for x in (action, background))
        lacking = max(0, margin - long) if labels[i].any() else long  # a video without action is all background
        uncertainty.append((lacking + short) ** 2)
        entropy.append(cross_entropy(cas[i, :, :CLASSES].mean(0), np.full(CLASSES, 1 / CLASSES)))
        target = np.append(labels[i], float(not labels[i].any()))
        video = [np.mean(sorted(cas[i, :, c])[-(20 // 9) :]) for c in range(CLASSES + 1)]
        classification.append(cross_entropy(np.array(video), target / target.sum()))
    action, background, cas, labels = (torch.from_numpy(x) for x in (action, background, cas, labels))
    assert math.isclose(um.loss_um(action, background, labels, margin).item(), np.mean(uncertainty), rel_tol=1e-9)
    assert math.isclose(um.loss_be(cas[..., :CLASSES]).item(), np.mean(entropy), rel_tol=1e-9)
    assert math.isclose(um.loss_cls(cas, labels, 9).item(), np.mean(classification), rel_tol=1e-9)


def test_gradients_by_finite_differences():
    action, background, cas, labels = (torch.from_numpy(x).requires_grad_(i < 3) for i, x in enumerate(random_batch(2)))
    check = torch.autograd.gradcheck
    assert check(lambda a, b: um.loss_um(a, b, labels, 8.0), (action, background))
    assert check(lambda x: um.loss_be(x[..., :CLASSES]), (cas,))
    assert check(lambda x: um.loss_cls(x, labels, 9), (cas,))


def test_what_is_cut_is_the_magnitude_times_the_softmax():
    rng = np.random.default_rng(0)
    magnitude, cas = rng.uniform(1, 9, 36), rng.normal(size=(36, CLASSES + 1))
    method = um.UM(um.Config(hidden=4), ("a", "b", "c"), {"rgb": 5})
    found = method.pool({}, {"joint": SnippetScores(torch.from_numpy(magnitude), torch.from_numpy(cas))})["joint"]
    low, high = np.sort(magnitude)[:9].mean(), np.sort(magnitude)[-4:].mean()
    attention = np.clip((magnitude - low) / (high - low), 0, 1)
    product = attention[:, None] * (np.exp(cas) / np.exp(cas).sum(1, keepdims=True))[:, :CLASSES]
    np.testing.assert_allclose(found.attention, attention)
    np.testing.assert_allclose(found.extra["own"], (product - product.min(0)) / np.ptp(product, axis=0))


def test_the_released_settings_train(tmp_path):
    planted = plant(tmp_path, train=8, test=1, empty=0)
    chosen = {"epochs": 2, "hidden": 4, "batch": 4, "data": {"snippets": 20}}
    data = {"features": planted.features, "labels": planted.labels, "out": tmp_path / "run"}
    run = train("um", preset="thumos14", settings=chosen, **data).run
    assert load_method(run / "model").net.classifier.out_features == len(planted.classes)  # no background
    assert localize(run, features=planted.features, out=tmp_path / "d.json").results


def test_presets_end_after_the_papers_steps():
    for preset, videos in (("thumos14", 200), ("thumos14-101", 1010), ("activitynet", 4819), ("activitynet-1.3", 10_024)):
        chosen = resolve("um", preset).method
        assert abs(chosen.epochs * math.ceil(videos / chosen.batch) - 10_000) < 350

"""CoLA's own parts, against its formulas written out anew; what it shares with all methods is tested in test_every_method."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.planted import plant
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.methods import cola
from untrimmed.methods.base import activations_of, load_method, resolve
from untrimmed.nn.mining import easy

SNIPPETS, WIDTH, CLASSES = 24, 5, 3


def random_batch(seed: int, videos: int = 4):
    rng = np.random.default_rng(seed)
    embedded = rng.normal(size=(videos, SNIPPETS, WIDTH))
    cas = np.maximum(rng.normal(size=(videos, SNIPPETS, CLASSES + 1)), 0)
    labels = (rng.uniform(size=(videos, CLASSES)) < 0.4).astype(np.float64)
    labels[0, 0] = 1
    return embedded, cas, labels


def cosine(a, b):
    return a @ b / math.sqrt((a @ a) * (b @ b))


def log_share(query, key, negatives, tau):
    powers = [math.exp(cosine(query, x) / tau) for x in (key, *negatives)]
    return -math.log(powers[0] / sum(powers))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 10**6), tau=st.floats(0.05, 1))
def test_the_snico_loss_is_that_of_the_paper(seed, tau):
    embedded, cas, labels = random_batch(seed)
    mined = cola.mine(torch.from_numpy(cas).sum(-1), None, cola.Config(r_easy=4, r_hard=8))
    parts = []
    for video in np.flatnonzero(labels.any(1)):
        ea, eb, ha, hb = (embedded[video][index[video].numpy()] for index in mined)
        assert (len(ea), len(eb), len(ha), len(hb)) == (6, 6, 3, 3)
        action = log_share(ha.mean(0), ea.mean(0), eb, tau)
        parts.append(action + log_share(hb.mean(0), eb.mean(0), ea, tau))
    found = cola.loss_snico(torch.from_numpy(embedded), mined, torch.from_numpy(labels), tau).item()
    assert math.isclose(found, np.mean(parts), rel_tol=1e-9)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 10**6), background=st.booleans())
def test_the_action_loss_is_the_binary_cross_entropy_of_the_code(seed, background):
    _, cas, labels = random_batch(seed)
    if not background:
        cas, labels[:, 0] = cas[..., :CLASSES], 1
    terms = []
    for scores, own in zip(cas, labels):
        video = [np.mean(sorted(scores[:, c])[-(SNIPPETS // 5) :]) for c in range(scores.shape[1])]
        p = np.exp(video) / np.exp(video).sum()
        target = np.append(own, float(not own.any())) if background else own
        y = target / target.sum()
        terms.append(-(y * np.log(p) + (1 - y) * np.log(1 - p)))
    found = cola.loss_action(torch.from_numpy(cas), torch.from_numpy(labels), 5).item()
    assert math.isclose(found, np.mean(terms), rel_tol=1e-9)


def test_gradients_by_finite_differences():
    embedded, cas, labels = (torch.from_numpy(x) for x in random_batch(3))
    mined = cola.mine(cas.sum(-1), None, cola.Config(r_easy=4, r_hard=8))
    cas = cas + 0.01 * torch.arange(cas.numel()).reshape(cas.shape) / cas.numel()  # no two alike, or the highest are not defined
    check = torch.autograd.gradcheck
    assert check(lambda x: cola.loss_snico(x, mined, labels, 0.5), (embedded.requires_grad_(),))
    assert check(lambda x: cola.loss_action(x, labels, 5), (cas.requires_grad_(),))


def test_what_is_mined_where():
    """One stretch of activity, from 10 to 19: hard action just inside of its edges, hard background just outside."""
    actionness = torch.zeros(1, 40)
    actionness[0, 10:20] = torch.tensor([1.0, 2, 3, 4, 5, 5, 4, 3, 2, 1]) + torch.arange(10) / 100
    outside = actionness == 0
    actionness[outside] = torch.linspace(0, 0.02, int(outside.sum()))  # the median lies among these
    active = (actionness > actionness.median())[0].numpy()

    def eroded(size):  # as scipy has it: an even mask reaches one snippet further to the left
        span = range(-(size // 2), size - size // 2)
        return np.array([all(0 <= i + k < 40 and active[i + k] for k in span) for i in range(40)])

    def dilated(size):
        span = range(-(size // 2), size - size // 2)
        return np.array([any(0 <= i - k < 40 and active[i - k] for k in span) for i in range(40)])

    mined = cola.mine(actionness, None, cola.Config(r_easy=8, r_hard=20))
    values = actionness[0].numpy()
    inner, outer = eroded(3) & ~eroded(6), dilated(6) & ~dilated(3)
    assert inner.sum() >= 2
    assert outer.sum() >= 2
    assert set(mined.hard_action[0].tolist()) == set(np.argsort(-(values * inner))[:2])
    assert set(mined.hard_background[0].tolist()) == set(np.argsort(-(values * outer))[:2])
    assert set(mined.easy_action[0].tolist()) <= set(range(10, 20))
    assert set(mined.easy_background[0].tolist()) == set(np.argsort(values)[:5])


def test_what_is_left_out_is_not_easy():
    score, keep = torch.arange(8.0)[None], torch.tensor([[1.0, 1, 0, 1, 1, 1, 0, 0]])
    first, last = easy(score, 2, keep)
    assert set(first[0].tolist()) == {4, 5}
    assert set(last[0].tolist()) == {0, 1}


def test_videos_without_action_have_nothing_to_contrast():
    embedded, cas, labels = (torch.from_numpy(x) for x in random_batch(0))
    mined = cola.mine(cas.sum(-1), None, cola.Config())
    acting = labels.sum(1) > 0
    only = cola.Mined(*(index[acting] for index in mined))
    expected = cola.loss_snico(embedded[acting], only, labels[acting], 0.07)
    labels[~acting] = 0
    torch.testing.assert_close(cola.loss_snico(embedded, mined, labels, 0.07), expected)
    assert cola.loss_snico(embedded, mined, torch.zeros_like(labels), 0.07) == 0


@pytest.mark.parametrize("preset", ["thumos14", "activitynet"])
def test_the_released_settings_train(preset, tmp_path):
    planted = plant(tmp_path, train=8, test=1, empty=0, length=(60, 70))
    method_settings = {"epochs": 2, "hidden": 4, "batch": 4, "data": {"snippets": 20}}
    data = {"features": planted.features, "labels": planted.labels, "out": tmp_path / "run"}
    run = train("cola", preset=preset, settings=method_settings, **data).run
    method = load_method(run / "model")
    assert method.reach == {"thumos14": 3, "activitynet": 29}[preset]
    video = next(iter(planted.subset("test")))
    features = {stream: torch.from_numpy(np.array(x)) for stream, x in planted.store.load(video).items()}
    whole, parts = activations_of(method, features)["joint"], activations_of(method, features, window=10)["joint"]
    np.testing.assert_allclose(parts.class_logit, whole.class_logit, atol=1e-5)
    for curve in (whole.attention, *whole.extra["own"].T):
        assert 0 == curve.min() <= curve.max() <= 1
    assert localize(run, features=planted.features, out=tmp_path / "d.json").results


def test_presets_of_the_paper_end_after_its_steps():
    for preset, videos, steps in (("thumos14", 200, 6_000), ("activitynet", 4819, 100_000), ("activitynet-1.3", 10_024, 100_000)):
        chosen = resolve("cola", preset).method
        assert abs(chosen.epochs * math.ceil(videos / chosen.batch) - steps) < 30

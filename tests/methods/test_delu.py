"""DELU's own parts, against its formulas written out anew; what it has of CO2-Net is tested there."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.planted import plant
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.methods import delu
from untrimmed.methods.base import resolve

CLASSES, SNIPPETS = 3, 19


def random_batch(seed: int, videos: int = 4):
    rng = np.random.default_rng(seed)
    cas = rng.normal(size=(videos, SNIPPETS, CLASSES + 1)) * 2
    attentions = rng.uniform(0.01, 0.99, size=(2, videos, SNIPPETS))
    labels = (rng.uniform(size=(videos, CLASSES)) < 0.5).astype(np.float64)
    labels[0, :2] = 1
    return cas, attentions, labels


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_the_evidential_loss_is_that_of_the_code(seed):
    cas, attentions, labels = random_batch(seed)
    losses, scores = [], []
    for supp, attention, own in zip(cas, attentions[0], labels):
        best = sorted(range(SNIPPETS), key=lambda t: -attention[t])[: SNIPPETS // 5]
        score = np.mean([supp[t, :CLASSES] for t in best], axis=0)
        alpha = np.exp(score) + 1
        strength = alpha.sum()
        g = own.sum() * (own / alpha) / (own / alpha).sum() if own.any() else np.zeros(CLASSES)
        losses.append((1 - CLASSES / strength) * (g * (np.log(strength) - np.log(alpha))).sum())
        scores.append(score)
    found = delu.video_evidence(torch.from_numpy(cas), torch.from_numpy(attentions[0]), 5)
    np.testing.assert_allclose(found, scores, rtol=1e-12)
    assert math.isclose(delu.loss_edl(found, torch.from_numpy(labels)).item(), np.mean(losses), rel_tol=1e-9)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 10**6), part=st.floats(0, 1), amplitude=st.floats(0, 1), official=st.booleans())
def test_the_guide_weighs_snippets_by_their_uncertainty(seed, part, amplitude, official):
    cas, attentions, _ = random_batch(seed)
    supp = cas * 0.7
    terms = []
    for i in range(len(cas)):
        uncertainty = [CLASSES / (np.exp(row) + 1).sum() for row in supp[i]]
        order = sorted(range(SNIPPETS), key=lambda t: uncertainty[t])
        for t in range(SNIPPETS):
            place = order[t] if official else order.index(t)
            weight = 1 + amplitude * math.tanh((2 * (place + 0.5) / SNIPPETS - 1) * (1 - 2 * part))
            background = np.exp(cas[i, t, -1]) / np.exp(cas[i, t]).sum()
            terms.append(weight * np.mean([abs(1 - a[i, t] - background) for a in attentions]))
    given_ = list(torch.from_numpy(attentions)), torch.from_numpy(cas), torch.from_numpy(supp)
    found = delu.loss_uncertainty_guide(*given_, part, amplitude, official)
    assert math.isclose(found.item(), np.mean(terms), rel_tol=1e-9)


def test_uncertain_snippets_weigh_more_at_first_and_less_at_the_end():
    score = torch.tensor([[[5.0, -5.0], [-5.0, -5.0], [1.0, 1.0]]])  # certain, uncertain, between
    first, last = (delu.snippet_weights(score, part, 0.7, official=False)[0] for part in (0.0, 1.0))
    assert first[0] < first[2] == 1 < first[1]
    assert last[1] < last[2] == 1 < last[0]


def test_gradients_by_finite_differences():
    cas, attentions, labels = (torch.from_numpy(x) for x in random_batch(2))
    score = cas[:, 0, :CLASSES].clone().requires_grad_()
    alpha, (v, f) = delu.dirichlet(score.detach()), (one.clone().requires_grad_() for one in attentions)
    certain = 1 - CLASSES / alpha.sum(1, keepdim=True)  # no gradient goes through it

    def with_that_held(score):
        alpha = delu.dirichlet(score)
        lack = labels / alpha
        g = labels.sum(1, keepdim=True) * lack / lack.sum(1, keepdim=True).clamp_min(1e-12)
        return (certain * g * (alpha.sum(1, keepdim=True).log() - alpha.log())).sum(1).mean()

    assert torch.autograd.gradcheck(with_that_held, (score,))
    expected, found = (torch.autograd.grad(loss(score), score)[0] for loss in (with_that_held, lambda x: delu.loss_edl(x, labels)))
    torch.testing.assert_close(found, expected)
    guide = delu.loss_uncertainty_guide
    assert torch.autograd.gradcheck(lambda x, a, b: guide([a, b], x, cas, 0.3, 0.7, False), (cas.clone().requires_grad_(), v, f))


def test_no_evidence_is_asked_of_a_video_without_action():
    score = torch.randn(2, CLASSES, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = delu.loss_edl(score, torch.zeros(2, CLASSES))
    loss.backward()
    assert loss == 0
    assert not score.grad.any()


@pytest.mark.parametrize("preset", ["thumos14", "activitynet"])
def test_the_released_settings_train(preset, tmp_path):
    planted = plant(tmp_path, train=8, test=1, empty=0)
    chosen = {"epochs": 2, "hidden": 4, "attention_hidden": 2, "batch": 4, "data": {"snippets": 20}}
    data = {"features": planted.features, "labels": planted.labels, "out": tmp_path / "run"}
    run = train("delu", preset=preset, settings=chosen, **data).run
    assert localize(run, features=planted.features, out=tmp_path / "d.json").results


def test_presets_of_the_paper_end_after_its_steps():
    for preset, videos, steps in (("thumos14", 200, 5_000), ("activitynet", 4819, 22_000), ("activitynet-1.3", 10_024, 22_000)):
        chosen = resolve("delu", preset).method
        assert abs(chosen.epochs * math.ceil(videos / chosen.batch) - steps) < 200

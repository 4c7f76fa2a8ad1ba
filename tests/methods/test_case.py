"""CASE's own parts, against its formulas written out anew; what it shares with all methods is tested in test_every_method."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.planted import plant
from untrimmed.data.errors import InputError
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.methods import case
from untrimmed.methods.base import SnippetScores, resolve

CLASSES, SNIPPETS = 3, 16


def random_batch(seed: int, videos: int = 4):
    rng = np.random.default_rng(seed)
    cas = rng.normal(size=(2, videos, SNIPPETS, CLASSES + 1))
    attention = rng.uniform(0.01, 0.99, size=(2, videos, SNIPPETS))
    labels = (rng.uniform(size=(videos, CLASSES)) < 0.5).astype(np.float64)
    labels[0, :2] = 1
    return cas, attention, labels


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def chosen_by_hand(cas, attention):
    """Of each video and class the two snippets where CAS and attention are highest together."""
    score = (softmax(cas).mean(0) + attention.sum(0)[..., None]) / 3
    return score, np.argsort(-score, axis=1)[:, :2]


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 10**6), q=st.floats(0.1, 1))
def test_the_losses_are_those_of_the_code(seed, q):
    cas, attention, labels = random_batch(seed)
    score, chosen = chosen_by_hand(cas, attention)
    foreground, vid, att = np.zeros((len(labels), SNIPPETS)), [], []
    for i, own in enumerate(labels):
        target = np.append(own, float(not own.any()))
        for stream in cas:
            logit = np.array([stream[i, chosen[i, :, c], c].mean() for c in range(CLASSES + 1)])
            vid.append(-(target / target.sum()) @ np.log(softmax(logit)))
        for c in np.flatnonzero(own):
            foreground[i, chosen[i, :, c]] = 1
        terms = [[(1 - (p + 1e-7) ** q) / q for p in side] for side in (attention[0, i], 1 - attention[0, i])]
        action, other = foreground[i] == 1, foreground[i] == 0
        att.append(sum(np.mean(np.array(t)[there]) if there.any() else 0 for t, there in zip(terms, (action, other))))
    streams, gates, tags = list(torch.from_numpy(cas)), list(torch.from_numpy(attention)), torch.from_numpy(labels)
    found = case.combined(streams, *gates)
    np.testing.assert_allclose(found, score, rtol=1e-12)
    picked = found.topk(2, -2).indices
    assert math.isclose(case.loss_vid([case.video_logit(s, picked) for s in streams], tags).item(), np.mean(vid), rel_tol=1e-9)
    np.testing.assert_array_equal(case.pseudo_foreground(picked, tags, SNIPPETS), foreground)
    loss = case.loss_att(gates[0], torch.from_numpy(foreground), q)
    assert math.isclose(loss.item(), np.mean(att), rel_tol=1e-5)  # sums plus 1e-7 in the code


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_clusters_are_learned_as_in_the_code(seed):
    rng = np.random.default_rng(seed)
    attention, background = rng.permutation(20) / 20, rng.uniform(size=4)
    prior = [
        [math.exp(-(((sorted(-attention).index(-a) + 1) / 20 - b) ** 2) / (2 * 0.3**2)) for b in background] for a in attention
    ]
    found = case.expected_clusters(torch.from_numpy(attention), torch.from_numpy(background), 0.3)
    np.testing.assert_allclose(found, prior, rtol=1e-9)
    logits, assigned = rng.normal(size=(2, 20, 4)), softmax(rng.normal(size=(20, 4)))
    loss = sum(-(assigned * np.log(softmax(logit))).sum(1).mean() for logit in logits)
    given_ = list(torch.from_numpy(logits)), torch.from_numpy(assigned)
    assert math.isclose(case.loss_assigned(*given_).item(), loss, rel_tol=1e-9)
    embedded = rng.normal(size=(20, 6))
    means = np.array([sum(assigned[n, k] * embedded[n] for n in range(20)) for k in range(4)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(case.prototypes_of(torch.from_numpy(embedded), given_[1]), means, rtol=1e-9)


def test_gradients_by_finite_differences():
    cas, attention, labels = (torch.from_numpy(x) for x in random_batch(3))
    picked = case.combined(list(cas), *attention).topk(2, -2).indices
    foreground = case.pseudo_foreground(picked, labels, SNIPPETS)
    check, stream = torch.autograd.gradcheck, cas[0].clone().requires_grad_()
    assert check(lambda x: case.loss_vid([case.video_logit(x, picked)], labels), (stream,))
    assert check(lambda a: case.loss_att(a, foreground, 0.7), (attention[0].clone().requires_grad_(),))
    assigned = torch.softmax(cas[0, 0], -1)
    assert check(lambda x: case.loss_assigned([x], assigned), (cas[1, 0].clone().requires_grad_(),))
    assert check(lambda x: case.prototypes_of(x, assigned), (cas[1, 0, :, :3].clone().requires_grad_(),))


def test_what_is_cut_is_the_mean_of_cas_attentions_and_clusters():
    rng = np.random.default_rng(0)
    cas, gate = rng.normal(size=(2, 24, CLASSES + 1)), rng.normal(size=(2, 24))
    method = case.CASE(case.Config(hidden=4), ("a", "b", "c"), {"rgb": 5, "flow": 5})
    curves = {s: SnippetScores(torch.from_numpy(g), torch.from_numpy(c)) for s, c, g in zip(("rgb", "flow"), cas, gate)}
    found = method.pool({}, curves)
    both = 2 / (1 + np.exp(-gate))  # attention plus clusters, of each stream
    own = (softmax(cas).mean(0) + both.sum(0)[:, None]) / 5
    best = np.argsort(-own, axis=0)[:3]
    for stream, logit in zip(("rgb", "flow"), cas):
        np.testing.assert_allclose(found[stream].extra["own"], own[:, :CLASSES])
        score = softmax(np.array([logit[best[:, c], c].mean() for c in range(CLASSES + 1)]))
        np.testing.assert_allclose(found[stream].class_score, score[:CLASSES])


def test_what_the_clusters_are_is_part_of_the_model():
    method = case.CASE(case.Config(hidden=4), ("a",), {"rgb": 5})
    method.losses([method.nets["rgb"](torch.randn(2, 30, 5, generator=torch.Generator().manual_seed(0)))], torch.ones(2, 1))
    assert method.state_dict()["foreground"].shape == (16, 2)
    torch.testing.assert_close(method.foreground.sum(1), torch.ones(16))


def test_without_background_there_must_be_action(tmp_path):
    planted = plant(tmp_path, train=8, test=1, empty=2)
    data = {"features": planted.features, "labels": planted.labels, "out": tmp_path / "run"}
    with pytest.raises(InputError, match=r"background=false: some training videos hold no action"):
        train("case", preset="thumos14", settings={"epochs": 1, "hidden": 4}, **data)


def test_the_released_settings_train(tmp_path):
    planted = plant(tmp_path, train=8, test=1, empty=0)
    data = {"features": planted.features, "labels": planted.labels, "out": tmp_path / "run"}
    chosen = {"epochs": 2, "hidden": 4, "batch": 4, "data": {"snippets": 20}}
    run = train("case", preset="thumos14", settings=chosen, **data).run
    assert localize(run, features=planted.features, out=tmp_path / "d.json").results


def test_presets_end_after_as_many_steps():
    for preset, videos in (("thumos14", 200), ("thumos14-101", 1010), ("activitynet", 4819), ("activitynet-1.3", 10_024)):
        chosen = resolve("case", preset).method
        assert abs(chosen.epochs * math.ceil(videos / chosen.batch) - 300 * 13) < 150

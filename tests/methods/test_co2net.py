"""CO2-Net's own parts, against its formulas written out anew; what it shares with all methods is tested in test_every_method."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.planted import plant
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.methods import co2net
from untrimmed.methods.base import SnippetScores, resolve
from untrimmed.nn.consensus import Consensus, ConsensusNet

CLASSES, SNIPPETS = 3, 21


def random_batch(seed: int, videos: int = 4):
    rng = np.random.default_rng(seed)
    cas = rng.normal(size=(videos, SNIPPETS, CLASSES + 1))
    attentions = rng.uniform(0.01, 0.99, size=(2, videos, SNIPPETS))
    labels = (rng.uniform(size=(videos, CLASSES)) < 0.4).astype(np.float64)
    labels[0, 0] = 1
    return cas, attentions, labels


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_the_losses_are_those_of_the_code(seed):
    cas, attentions, labels = random_batch(seed)
    v, f = attentions
    mean = (v + f) / 2
    plain, supp, guide = [], [], []
    lowest = cas.copy()
    for i in range(len(cas)):
        for t in range(SNIPPETS):
            low = min(cas[i, t])
            lowest[i, t] = [mean[i, t] * (score - low) + low for score in cas[i, t]]
            guide += [abs(1 - a[i, t] - softmax(cas[i, t])[-1]) for a in (mean, v, f)]
        for background, scores, into in ((1.0, cas, plain), (0.0, lowest, supp)):
            video = [np.mean(sorted(scores[i, :, c])[-(SNIPPETS // 7) :]) for c in range(CLASSES + 1)]
            target = np.append(labels[i], background)
            into.append(-(target / (target.sum() + 1e-4)) @ np.log(softmax(video)))
    t_cas, t_attentions, t_labels = torch.from_numpy(cas), list(torch.from_numpy(attentions)), torch.from_numpy(labels)
    t_mean = torch.from_numpy(mean)
    np.testing.assert_allclose(co2net.suppressed(t_cas, t_mean), lowest, rtol=1e-12)

    def same(found, expected):
        assert math.isclose(found.item(), np.mean(expected), rel_tol=1e-9, abs_tol=1e-12)

    same(co2net.loss_mil(t_cas, t_labels, 7, background=True), plain)
    same(co2net.loss_mil(torch.from_numpy(lowest), t_labels, 7, background=False), supp)
    same(co2net.loss_guide([t_mean, *t_attentions], t_cas), guide)
    same(co2net.loss_norm([t_mean, *t_attentions]), [mean, v, f])
    same(co2net.loss_mutual(t_attentions), (v - f) ** 2)  # 0.5 of it for either side


def test_a_video_without_action_is_background_and_has_no_other_class_loss():
    cas, _, labels = (torch.from_numpy(x) for x in random_batch(1))
    labels[:] = 0
    top = cas.topk(SNIPPETS // 7, 1).values.mean(1)
    expected = -top.log_softmax(-1)[:, -1].mean() / (1 + 1e-4)
    torch.testing.assert_close(co2net.loss_mil(cas, labels, 7, background=True), expected)
    assert co2net.loss_mil(cas, labels, 7, background=False) == 0


def test_gradients_by_finite_differences():
    cas, attentions, labels = (torch.from_numpy(x) for x in random_batch(4))
    cas, (v, f) = cas.requires_grad_(), (one.clone().requires_grad_() for one in attentions)
    check = torch.autograd.gradcheck
    assert check(lambda x, a: co2net.suppressed(x, a), (cas, v))
    assert check(lambda x: co2net.loss_mil(x, labels, 7, background=True), (cas,))
    assert check(lambda x, a, b: co2net.loss_guide([(a + b) / 2, a, b], x), (cas, v, f))
    assert check(lambda a, b: co2net.loss_norm([a, b]), (v, f))


def test_each_attention_learns_from_the_other_as_it_is():
    v, f = (torch.rand(2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(i)).requires_grad_() for i in (0, 1))
    co2net.loss_mutual([v, f]).backward()
    torch.testing.assert_close(v.grad, (v - f).detach() / v.numel())  # of the mean of (v - f)^2 / 2, f held
    torch.testing.assert_close(f.grad, (f - v).detach() / v.numel())
    assert co2net.loss_mutual([v]) == 0


def test_the_consensus_gates_by_the_whole_video_and_by_the_other_stream():
    torch.manual_seed(0)
    module = Consensus(4, 6, 3, 0.5).double()
    x, other = torch.randn(1, 9, 4, dtype=torch.float64), torch.randn(1, 9, 6, dtype=torch.float64)
    _, filtered = module(x, other, None)

    def convolved(layer, rows):
        padded = np.pad(rows, ((1, 1), (0, 0)))
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        out = [sum(weight[:, :, k] @ padded[t + k] for k in range(3)) + bias for t in range(len(rows))]
        return np.where(np.array(out) > 0, out, 0.2 * np.array(out))

    rows = x[0].numpy()
    context = convolved(module.context, rows.mean(0, keepdims=True))
    gate = 1 / (1 + np.exp(-context * convolved(module.local, other[0].numpy())))
    np.testing.assert_allclose(filtered[0].detach(), gate * rows, rtol=1e-10)


def test_smoothing_averages_scores_and_attentions():
    torch.manual_seed(0)
    plain, smooth = (ConsensusNet({"rgb": 4, "flow": 4}, 3, 5, 3, None, smoothing) for smoothing in (1, 3))
    smooth.load_state_dict(plain.state_dict())
    x = {name: torch.randn(1, 7, 4) for name in ("rgb", "flow")}
    (_, cas, attention), (_, smooth_cas, smooth_attention) = plain(x), smooth(x)
    torch.testing.assert_close(smooth_cas[0, 3], cas[0, 2:5].mean(0))
    torch.testing.assert_close(smooth_attention["rgb"][0, 0], attention["rgb"][0, :2].sum() / 3)  # zeros beyond the end


def test_what_scores_a_segment_is_the_cas_times_attention():
    rng = np.random.default_rng(0)
    logit, cas = rng.normal(size=30), rng.normal(size=(30, CLASSES + 1))
    method = co2net.CO2Net(co2net.Config(hidden=4, attention_hidden=2), ("a", "b", "c"), {"rgb": 3})
    found = method.pool({}, {"joint": SnippetScores(torch.from_numpy(logit), torch.from_numpy(cas))})["joint"]
    attention = 1 / (1 + np.exp(-logit))
    product = cas * attention[:, None]
    np.testing.assert_allclose(found.extra["own"], product[:, :CLASSES])
    np.testing.assert_allclose(found.attention, attention)
    np.testing.assert_allclose(found.class_score, softmax(np.sort(product, 0)[-3:].mean(0))[:CLASSES])


@pytest.mark.parametrize("preset", ["thumos14", "activitynet"])
def test_the_released_settings_train(preset, tmp_path):
    planted = plant(tmp_path, train=8, test=1, empty=0)
    chosen = {"epochs": 2, "hidden": 4, "attention_hidden": 2, "batch": 4, "data": {"snippets": 20}}
    data = {"features": planted.features, "labels": planted.labels, "out": tmp_path / "run"}
    run = train("co2net", preset=preset, settings=chosen, **data).run
    assert localize(run, features=planted.features, out=tmp_path / "d.json").results


def test_presets_of_the_paper_end_after_its_steps():
    for preset, videos, steps in (("thumos14", 200, 5_000), ("activitynet", 4819, 22_000), ("activitynet-1.3", 10_024, 22_000)):
        chosen = resolve("co2net", preset).method
        assert abs(chosen.epochs * math.ceil(videos / chosen.batch) - steps) < 200

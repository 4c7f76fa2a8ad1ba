"""STPN's own parts, against slow and obvious versions; what it shares with all methods is tested in test_every_method."""

import itertools
import math

import numpy as np
import pytest
import torch

from untrimmed.methods import stpn
from untrimmed.methods.base import activations_of, resolve
from untrimmed.methods.registry import presets_of


def subsets(p):
    """Every subset of the snippets with its probability."""
    for drawn in itertools.product((0, 1), repeat=len(p)):
        yield np.flatnonzero(drawn), math.prod(q if own else 1 - q for q, own in zip(p, drawn))


def test_the_marginalized_average_is_the_mean_over_all_subsets():
    p = torch.rand(2, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for row, found in zip(p.tolist(), stpn.marginal_weights(p)):
        expected = np.zeros(7)
        for drawn, chance in subsets(row):
            if len(drawn):
                expected[drawn] += chance / len(drawn)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert torch.autograd.gradcheck(stpn.marginal_weights, (p.requires_grad_(),))


@pytest.mark.parametrize("count", [1, 400, 401, 20_000])
def test_however_long_the_video_all_weights_sum_to_the_chance_of_a_subset_that_is_not_empty(count):
    p = torch.rand(count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert math.isclose(stpn.marginal_weights(p).sum().item(), 1 - (1 - p).prod().item(), rel_tol=1e-5 if count > 400 else 1e-9)
    same = stpn.marginal_weights(torch.full((count,), 0.3, dtype=torch.float64))
    assert torch.allclose(same, same[:1].expand(count), rtol=1e-9)
    assert torch.isfinite(stpn.marginal_weights(torch.tensor([0.0, 1.0] * count))).all()


def random_net(pooling: str):
    torch.manual_seed(0)
    config = resolve("stpn", "default", {"pooling": pooling, "sparsity": 0.01}).method
    x, labels = torch.randn(3, 7, 5, dtype=torch.float64), torch.tensor([[1.0, 0], [1, 1], [0, 0]], dtype=torch.float64)
    return config, stpn.StreamNet(5, 4, 2).double(), x, labels


@pytest.mark.parametrize("pooling", ["mean", "sum", "marginal"])
def test_the_loss_is_that_of_the_paper(pooling):
    config, net, x, labels = random_net(pooling)
    entropies, sparsities = [], []
    for video, own in zip(x, labels):
        attention = [1 / (1 + math.exp(-net.attention_logit(snippet).item())) for snippet in video]
        pooled = sum(weight * snippet for weight, snippet in zip(attention, video)) / (len(video) if pooling == "mean" else 1)
        if pooling == "marginal":
            pooled = sum(chance * video[drawn].mean(0) for drawn, chance in subsets(attention) if len(drawn))
        for logit, label in zip(net.classifier(pooled).tolist(), own.tolist()):
            p = 1 / (1 + math.exp(-logit))
            entropies.append(-math.log(p if label else 1 - p))
        sparsities.append(sum(attention))
    losses = stpn.losses_of(net, x, labels, config)
    assert math.isclose(losses["class"].item(), sum(entropies) / len(entropies), rel_tol=1e-12)
    assert math.isclose(losses["sparsity"].item(), sum(sparsities) / len(sparsities), rel_tol=1e-12)
    assert math.isclose(losses["total"].item(), losses["class"].item() + 0.01 * losses["sparsity"].item(), rel_tol=1e-12)
    assert torch.autograd.gradcheck(
        lambda x: stpn.losses_of(net, x, labels, config)["total"], (x.requires_grad_(),), fast_mode=True
    )


@pytest.mark.parametrize("pooling", ["mean", "sum", "marginal"])
def test_a_video_scores_the_same_in_training_and_afterwards(pooling):
    config, _, x, _ = random_net(pooling)
    method = stpn.STPN(config, ("jump", "run"), {"rgb": 5}).eval()
    method.streams["rgb"].load_state_dict(stpn.StreamNet(5, config.hidden, 2).state_dict())
    _, logit = method.streams["rgb"](x[:1].float(), pooling)
    found = activations_of(method, {"rgb": x[0].float()})["rgb"]
    assert torch.allclose(torch.from_numpy(found.class_score).float(), logit[0].sigmoid(), rtol=1e-5)


def test_presets_take_as_many_steps_as_the_reproduction():
    for preset, videos in (("thumos14", 200), ("thumos14-101", 1010)):
        chosen = resolve("stpn", preset).method
        assert abs(chosen.epochs * math.ceil(videos / chosen.batch) - 23_100) < 200
    assert {"default", "demo", "thumos14", "activitynet"} <= set(presets_of("stpn"))

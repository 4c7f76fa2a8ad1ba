"""STPN's own parts, against slow and obvious versions; what it shares with all methods is tested in test_every_method."""

import math

import pytest
import torch

from untrimmed.methods import stpn
from untrimmed.methods.base import activations_of, resolve
from untrimmed.methods.registry import presets_of


def random_net(pooling: str):
    torch.manual_seed(0)
    config = resolve("stpn", "default", {"pooling": pooling, "sparsity": 0.01}).method
    x, labels = torch.randn(3, 7, 5, dtype=torch.float64), torch.tensor([[1.0, 0], [1, 1], [0, 0]], dtype=torch.float64)
    return config, stpn.StreamNet(5, 4, 2).double(), x, labels


@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_the_loss_is_that_of_the_paper(pooling):
    config, net, x, labels = random_net(pooling)
    entropies, sparsities = [], []
    for video, own in zip(x, labels):
        attention = [1 / (1 + math.exp(-net.attention_logit(snippet).item())) for snippet in video]
        pooled = sum(weight * snippet for weight, snippet in zip(attention, video)) / (len(video) if pooling == "mean" else 1)
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


@pytest.mark.parametrize("pooling", ["mean", "sum"])
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

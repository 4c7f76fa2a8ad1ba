"""CMCS's own parts, against slow and obvious versions; what it shares with all methods is tested in test_every_method."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from untrimmed.methods import cmcs
from untrimmed.methods.base import resolve
from untrimmed.methods.registry import presets_of
from untrimmed.nn.pooling import inside

CONFIG = replace(resolve("cmcs").method, branches=3, embedding=4, hidden=5, attention_hidden=2)


def random_scores(seed=0):
    rng = torch.Generator().manual_seed(seed)
    length = torch.tensor([9, 1, 6])
    return torch.randn(3, 3, 9, 4, generator=rng, dtype=torch.float64), length, inside(length, 9)


def test_branches_must_differ_and_weigh_the_same():
    scores, length, own = random_scores()
    div, norm = cmcs.loss_div(scores, own), cmcs.loss_norm(scores, own)
    for video, count in enumerate(length.tolist()):
        x = scores[:, video, :count].numpy()
        activation = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        cosines = [
            a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6)
            for c in range(4)
            for a, b in itertools.permutations(activation[:, :, c], 2)
        ]
        assert math.isclose(div[video].item(), np.mean(cosines), rel_tol=1e-10)
        weight = np.abs(x).mean(1)
        assert math.isclose(norm[video].item(), np.abs(weight - weight.mean(0)).mean(), rel_tol=1e-10)


def test_one_branch_need_not_differ():
    scores, _, own = random_scores()
    assert torch.allclose(cmcs.loss_div(scores[:1], own), torch.zeros(3, dtype=torch.float64), atol=1e-12)
    assert torch.equal(cmcs.loss_norm(scores[:1], own), torch.zeros(3, dtype=torch.float64))


def random_batch():
    torch.manual_seed(0)
    net, x, length = cmcs.Net(5, 4, CONFIG).double(), torch.randn(3, 9, 5, dtype=torch.float64), torch.tensor([9, 1, 6])
    label, weight = torch.tensor([0, 3, 2]), torch.tensor([1, 1, 0.5], dtype=torch.float64)
    return net, x, (length, label, weight, torch.rand(3, 5) >= CONFIG.dropout, CONFIG)


def test_the_losses_of_a_batch_are_the_sum_of_each_videos_by_itself():
    net, x, (length, label, weight, keep, config) = random_batch()
    together = cmcs.losses_of(net, x, length, label, weight, keep, config)
    alone = [
        cmcs.losses_of(net, x[n : n + 1, : length[n]], *(given[n : n + 1] for given in (length, label, weight, keep)), config)
        for n in range(3)
    ]
    for name, value in together.items():
        assert torch.isclose(value, sum(losses[name] for losses in alone), rtol=1e-10), name
    attention, scores = net(x[:1] * keep[:1, None] / (1 - config.dropout))
    video = attention[0].softmax(0) @ scores[:, 0].mean(0)
    assert torch.isclose(alone[0]["cls"], -video.log_softmax(-1)[label[0]], rtol=1e-10)


def test_gradients_by_finite_differences():
    net, x, given = random_batch()
    assert torch.autograd.gradcheck(lambda x: cmcs.losses_of(net, x, *given)["total"], (x.requires_grad_(),), fast_mode=True)


def test_each_label_is_a_video_of_its_own():
    video, label, weight = cmcs.single_labels(np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], dtype=np.float32))
    assert list(zip(video.tolist(), label.tolist(), weight.tolist())) == [(0, 0, 0.5), (0, 2, 0.5), (1, 3, 1.0), (2, 1, 1.0)]


@pytest.mark.parametrize(
    ("preset", "videos", "steps"),
    [("thumos14", 227, 15_000), ("activitynet-1.2", 4819, 20_000), ("activitynet-1.3", 10_024, 30_000)],
)
def test_presets_take_as_many_steps_as_the_code(preset, videos, steps):
    chosen = resolve("cmcs", preset).method
    assert abs(chosen.epochs * math.ceil(videos / chosen.batch) - steps) < 160
    assert {"default", "demo", "activitynet"} <= set(presets_of("cmcs"))

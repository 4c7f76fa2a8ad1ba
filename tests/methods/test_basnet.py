"""BaS-Net's own parts, against slow and obvious versions; what it shares with all methods is tested in test_every_method."""

import math

import torch

from untrimmed.methods import basnet
from untrimmed.methods.base import resolve
from untrimmed.methods.registry import presets_of

CONFIG = resolve("basnet", "default", {"sparsity": 0.01}).method


def random_net():
    torch.manual_seed(0)
    x = torch.randn(3, 17, 5, dtype=torch.float64)
    labels = torch.tensor([[1.0, 0, 0], [1, 0, 1], [0, 0, 0]], dtype=torch.float64)
    keep = torch.rand(2, 3, 17, 6) >= CONFIG.dropout
    return basnet.Net(5, 6, 4, 4).double(), x, labels, (keep[0], keep[1])


def test_the_loss_is_that_of_the_paper():
    net, x, labels, keep = random_net()
    sums = {"base": 0.0, "supp": 0.0, "norm": 0.0}
    for number, (video, own) in enumerate(zip(x, labels.tolist())):
        weight = [1 / (1 + math.exp(-net.foreground_logit(snippet).item())) for snippet in video]
        sums["norm"] += sum(weight) / 3
        for branch, background in (("base", 1), ("supp", int(not any(own)))):
            given = video if branch == "base" else torch.tensor(weight, dtype=torch.float64)[:, None] * video
            cas = net.cas(given[None], keep[branch == "supp"][number][None], CONFIG.dropout)[0]
            top = [sum(sorted(column, reverse=True)[:2]) / 2 for column in cas.t().tolist()]  # 17 // 8
            total = sum(map(math.exp, top))
            target = [*own, background]
            for logit, wanted in zip(top, target):
                p, q = math.exp(logit) / total, wanted / sum(target)
                sums[branch] -= (q * math.log(p) + (1 - q) * math.log(1 - p)) / 12
    losses = basnet.losses_of(net, x, labels, keep, CONFIG)
    for name, value in sums.items():
        assert math.isclose(losses[name].item(), value, rel_tol=1e-10), name
    total = sums["base"] + sums["supp"] + 0.01 * sums["norm"]
    assert math.isclose(losses["total"].item(), total, rel_tol=1e-10)
    assert torch.autograd.gradcheck(
        lambda x: basnet.losses_of(net, x, labels, keep, CONFIG)["total"], (x.requires_grad_(),), fast_mode=True
    )


def test_background_is_in_the_video_and_not_in_what_is_left_of_it():
    base, suppressed = basnet.targets(torch.tensor([[1.0, 0], [1, 1], [0, 0]]))
    assert torch.allclose(base, torch.tensor([[1 / 2, 0, 1 / 2], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1]]))
    assert torch.allclose(suppressed, torch.tensor([[1.0, 0, 0], [1 / 2, 1 / 2, 0], [0, 0, 1]]))


def test_presets_take_as_many_steps_as_the_code():
    chosen = resolve("basnet", "thumos14").method
    assert abs(chosen.epochs * math.ceil(200 / chosen.batch) - 1500) < 13
    assert {"default", "demo", "thumos14", "activitynet"} <= set(presets_of("basnet"))

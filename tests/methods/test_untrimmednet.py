"""UntrimmedNet's own parts, against slow and obvious versions; what it shares with all methods is tested in test_every_method."""

import math

import pytest
import torch

from untrimmed.methods import untrimmednet
from untrimmed.methods.base import activations_of, method_class, resolve
from untrimmed.methods.registry import presets_of
from untrimmed.nn.targets import cross_entropy


def softmax(values):
    total = sum(map(math.exp, values))
    return [math.exp(value) / total for value in values]


def random_net(soft: bool):
    torch.manual_seed(0)
    net = untrimmednet.StreamNet(5, 3, soft).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    labels = torch.tensor([[1.0, 0], [1, 1], [0, 0]], dtype=torch.float64)
    return net, torch.randn(3, 7, 5, dtype=torch.float64), labels


@pytest.mark.parametrize("soft", [True, False], ids=["soft", "hard"])
def test_the_loss_is_that_of_the_paper(soft):
    net, x, labels = random_net(soft)
    expected = 0.0
    for video, own in zip(x, labels.tolist()):
        scores = net.classifier(video).tolist()
        if soft:
            attention = softmax(net.selection(video).flatten().tolist())
            p = [sum(a * softmax(score)[c] for a, score in zip(attention, scores)) for c in range(3)]
        else:
            p = softmax([sum(sorted(column, reverse=True)[:2]) / 2 for column in zip(*scores)])
        target = [*own, float(not any(own))]
        expected -= sum(y / sum(target) * math.log(q) for y, q in zip(target, p)) / 3

    def loss(x):
        return cross_entropy(untrimmednet.log_prediction(*net(x), top=2), labels)

    assert math.isclose(loss(x).item(), expected, rel_tol=1e-10)
    assert torch.autograd.gradcheck(loss, (x.requires_grad_(),), fast_mode=True)


@pytest.mark.parametrize("selection", ["soft", "hard"])
def test_a_video_is_scored_as_the_released_code_does(selection):
    torch.manual_seed(1)
    config = resolve("untrimmednet", "default", {"selection": selection, "background": False}).method
    method = method_class("untrimmednet")(config, ("a", "b", "c"), {"rgb": 4})
    for parameter in method.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(9, 4)
    found = activations_of(method, {"rgb": x})["rgb"]
    weight, scores = found.attention, method.streams["rgb"].classifier(x)
    if selection == "soft":
        raw = method.streams["rgb"].selection(x).flatten().tolist()
        assert torch.allclose(torch.tensor(softmax(raw)), torch.from_numpy(weight), atol=1e-6)
        video = sum(w * score for w, score in zip(softmax([value / 3 for value in raw]), scores))
    else:
        assert weight is None
        video = torch.stack([column.sort(descending=True).values[:3].mean() for column in scores.t()])
    assert torch.allclose(torch.from_numpy(found.class_score).float(), video.softmax(0), atol=1e-6)
    assert torch.allclose(torch.from_numpy(found.extra["own"]), scores.softmax(1), atol=1e-6)


def test_fewer_clips_than_the_top_are_all_that_count():
    score = torch.randn(2, 2, 3)
    assert torch.allclose(untrimmednet.hard_score(score, 5), score.mean(1))


@pytest.mark.parametrize(("stream", "steps"), [("rgb", 15_000), ("flow", 20_000)])
@pytest.mark.parametrize(
    ("preset", "videos"), [("thumos14", 200), ("thumos14-101", 1010), ("activitynet", 4819), ("activitynet-1.3", 10024)]
)
def test_presets_take_as_many_steps_as_the_code(stream, steps, preset, videos):
    chosen = resolve("untrimmednet", preset, streams=("rgb", "flow")).method
    epochs = chosen.streams.get(stream, {}).get("epochs", chosen.epochs)
    assert abs(epochs * math.ceil(videos / chosen.batch) / steps - 1) < 0.05
    assert {"default", "demo"} <= set(presets_of("untrimmednet"))

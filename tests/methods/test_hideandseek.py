"""Hide-and-Seek's own parts, against slow and obvious versions; what it shares with all methods is tested in
test_every_method."""

import math

import numpy as np
import torch

from tests.methods.planted import plant
from untrimmed.methods import hideandseek
from untrimmed.methods.base import activations_of, method_class, resolve
from untrimmed.methods.registry import presets_of
from untrimmed.nn.targets import cross_entropy
from untrimmed.runs.supervision import training_set


def test_the_loss_is_that_of_the_paper():
    torch.manual_seed(0)
    net = hideandseek.Net(5, 4, 3).double()
    x, labels = torch.randn(3, 7, 5, dtype=torch.float64), torch.tensor([[1.0, 0], [1, 1], [0, 0]], dtype=torch.float64)
    expected = 0.0
    for video, own in zip(x, labels.tolist()):
        embedded = [net.second(net.first(snippet).clamp_min(0)).clamp_min(0).tolist() for snippet in video]
        highest = torch.tensor([max(column) for column in zip(*embedded)], dtype=torch.float64)
        logit = net.classifier(highest).tolist()
        target, total = [*own, float(not any(own))], sum(map(math.exp, logit))
        expected -= sum(y / sum(target) * math.log(math.exp(z) / total) for y, z in zip(target, logit)) / 3

    def loss(x):
        return cross_entropy(net(x).log_softmax(-1), labels)

    assert math.isclose(loss(x).item(), expected, rel_tol=1e-10)
    assert torch.autograd.gradcheck(loss, (x.requires_grad_(),), fast_mode=True)


def test_stretches_are_hidden_as_a_whole():
    x = torch.arange(2 * 7 * 2, dtype=torch.float32).reshape(2, 7, 2)
    hidden, value = torch.tensor([[True, False, False], [False, True, True]]), torch.tensor([-1.0, -2.0])
    found = hideandseek.hide(x, hidden, value)
    for video, row, own in zip(x, found, hidden):
        for number, (before, after) in enumerate(zip(video, row)):
            assert torch.equal(after, value if own[number * 3 // 7] else before)


def test_what_is_hidden_looks_like_the_mean_of_all_training_videos(tmp_path):
    planted = plant(tmp_path, train=6, test=2)
    data = training_set(planted.store, planted.labels, None, resolve("hideandseek").data)
    streams = planted.store.streams
    rows = np.concatenate([np.concatenate([planted.store.load(v)[s] for s in streams], 1) for v in data.videos]).astype(np.float64)
    np.testing.assert_allclose(hideandseek.mean_feature(data, streams), rows.mean(0), rtol=1e-5, atol=1e-6)


def test_a_long_video_is_looked_at_in_windows():
    torch.manual_seed(0)
    config = resolve("hideandseek", "default", {"hidden": 8}).method
    method = method_class("hideandseek")(config, ("a", "b"), {"rgb": 4, "flow": 3})
    x = {"rgb": np.random.default_rng(0).normal(size=(9000, 4)), "flow": np.random.default_rng(1).normal(size=(9000, 3))}
    pieces = activations_of(method, {s: v.astype(np.float32) for s, v in x.items()})["joint"]
    whole = activations_of(method, {s: torch.from_numpy(v.astype(np.float32)) for s, v in x.items()}, window=9000)["joint"]
    np.testing.assert_allclose(pieces.class_score, whole.class_score, atol=1e-6)
    np.testing.assert_allclose(pieces.class_logit, whole.class_logit, atol=1e-5)


def test_presets_hide_what_the_paper_hides():
    chosen = resolve("hideandseek", "thumos14")
    assert chosen.data.snippets // chosen.method.stretches == 100
    assert {"default", "demo", "thumos14", "activitynet"} <= set(presets_of("hideandseek"))

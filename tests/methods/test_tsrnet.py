"""TSRNet's terms, its ladder of simpler models, and what it does with clips."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.methods.planted import Planted, plant, plant_clips
from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.jobs.train import train
from untrimmed.localization import localize
from untrimmed.methods import tsrnet
from untrimmed.methods.base import activations_of, load_method, resolve
from untrimmed.nn.mmd import mmd2

BRIEF = {"epochs": 2, "iterations": 1, "batch": 8, "hidden": 8, "attention_hidden": 4, "data": {"snippets": 12}}
LADDER = {
    "Two-Stream": {"self_attention": False, "trimmed_class_loss": False, "fc1": 0, "fc2": 0},
    "Two-Stream + KT": {"self_attention": False},
    "SRNet": {"trimmed_class_loss": False, "fc1": 0, "fc2": 0},
    "SRNet + plain clips": {"fc1": 0, "fc2": 0},
    "TSRNet without L_FC2": {"fc2": 0},
    "TSRNet": {},
}
TERMS = {
    "Two-Stream": {"class"},
    "Two-Stream + KT": {"class", "trimmed_class", "fc1", "fc2"},
    "SRNet": {"class", "smooth", "sparsity"},
    "SRNet + plain clips": {"class", "smooth", "sparsity", "trimmed_class"},
    "TSRNet without L_FC2": {"class", "smooth", "sparsity", "trimmed_class", "fc1"},
    "TSRNet": {"class", "smooth", "sparsity", "trimmed_class", "fc1", "fc2"},
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant_clips(plant(tmp_path_factory.mktemp("planted"), train=14, test=3), count=9, others=2)


def fit(planted, out, settings=None, clips=True, **more):
    data = {"features": planted.features, "labels": planted.labels, **(planted.clips if clips else {})}
    train("tsrnet", **data, out=out, settings={**BRIEF, **(settings or {})}, **more)
    return load_method(out / "model"), [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def a_net(width=6, classes=3, dtype=torch.float64, **settings):
    torch.manual_seed(0)
    config = tsrnet.Config(**{"attention_hidden": 4, "hidden": 5, "dropout": 0.0, **settings})
    return tsrnet.StreamNet(width, classes, config).to(dtype), config


def a_batch(rows, classified, acting, width=6, classes=3, seed=1):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn((rows, 7, width), generator=draw, dtype=torch.float64)
    labels = torch.zeros((rows, classes), dtype=torch.float64)
    for row in range(rows):
        labels[row, row % classes] = float(acting[row] and classified[row])
    return tsrnet.Batch(x, torch.ones((rows, 5), dtype=torch.bool), labels, torch.tensor(classified), torch.tensor(acting))


def test_attention_and_pooling_are_the_slides():
    net, _ = a_net()
    x = torch.randn(2, 7, 6, dtype=torch.float64)
    a, m = net.attend(x)
    w1, w2 = net.attention_hidden.weight, net.attention_out.weight
    for video in range(2):
        column = x[video].t()  # X is [d, n] on the slides
        row = torch.softmax(w2 @ torch.tanh(w1 @ column), -1)
        torch.testing.assert_close(a[video], row[0])
        torch.testing.assert_close(m[video], (column @ row.t())[:, 0])


def test_regularizers():
    a = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]], dtype=torch.float64, requires_grad=True)
    assert tsrnet.r_smooth(a).item() == pytest.approx((3 * 0.01 + 0) / 2)
    entropy = -sum(p * math.log(p) for p in (0.1, 0.2, 0.3, 0.4)) / math.log(4)
    assert tsrnet.r_sparsity(a, "entropy").item() == pytest.approx((entropy + 1) / 2)
    assert tsrnet.r_sparsity(torch.ones(3, 1), "entropy").item() == 0.0


def test_the_l1_norm_of_a_softmax_teaches_nothing_and_the_entropy_does():
    logit = torch.randn(3, 9, dtype=torch.float64, requires_grad=True)
    for kind, largest in (("l1", 0.0), ("entropy", None)):
        logit.grad = None
        value = tsrnet.r_sparsity(logit.softmax(-1), kind)
        value.backward()
        assert (value.item() == pytest.approx(1.0)) == (kind == "l1")
        assert (logit.grad.abs().max().item() < 1e-12) == (largest == 0.0)


def test_class_losses():
    logit = torch.randn(3, 4, dtype=torch.float64)
    labels = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=torch.float64)
    log = logit.log_softmax(-1)
    by_hand = -(0.5 * log[0, 0] + 0.5 * log[0, 2] + log[1, 1] + log[2, 3]) / 3
    torch.testing.assert_close(tsrnet.loss_class(logit, labels), by_hand)
    p = logit[:, :3].sigmoid()
    by_hand = -(labels * p.log() + (1 - labels) * (1 - p).log()).sum() / 3
    torch.testing.assert_close(tsrnet.loss_class(logit, labels, "sigmoid"), by_hand)


def test_mmd_is_of_what_enters_and_what_leaves_fc1_and_of_acting_rows_only():
    net, config = a_net()
    videos = a_batch(4, [True] * 4, [True, True, False, True])
    clips = a_batch(3, [True, False, True], [True, True, True], seed=2)
    found = tsrnet.losses(net, videos, clips, config)
    u, t = (net.attend(batch.x)[1] for batch in (videos, clips))
    u = u[[0, 1, 3]]  # the third video is empty
    torch.testing.assert_close(found["fc1"], mmd2(t, u))
    torch.testing.assert_close(found["fc2"], mmd2(torch.relu(net.fc1(t)), torch.relu(net.fc1(u))))
    logit = net.classifier(torch.relu(net.fc1(t[[0, 2]])))
    torch.testing.assert_close(found["trimmed_class"], tsrnet.loss_class(logit, clips.labels[[0, 2]]))
    terms = found["class"] + 0.1 * 7 * found["smooth"] + found["trimmed_class"] + found["fc1"] + found["fc2"]
    torch.testing.assert_close(found["total"], terms)


def literal_loss(net, videos, clips, config):
    """L of one step in NumPy, from the slides' formulas."""
    w1, w2 = net.attention_hidden.weight.detach().numpy(), net.attention_out.weight.detach().numpy()
    layers = [part.detach().numpy() for layer in (net.fc1, net.classifier) for part in (layer.weight, layer.bias)]
    exp, log = np.exp, np.log

    def seen(batch):
        a = np.stack([exp(w2 @ np.tanh(w1 @ x.T))[0] / exp(w2 @ np.tanh(w1 @ x.T)).sum() for x in batch.x.numpy()])
        m = np.stack([x.T @ row for x, row in zip(batch.x.numpy(), a)])
        return a, m, np.maximum(m @ layers[0].T + layers[1], 0)

    def cross_entropy(h, batch, taken):
        logit = (h * batch.keep.numpy() / (1 - config.dropout)) @ layers[2].T + layers[3]
        s = exp(logit) / exp(logit).sum(1, keepdims=True)
        losses = []
        for row in np.flatnonzero(taken):
            own = np.flatnonzero(batch.labels[row]) if batch.labels[row].any() else [s.shape[1] - 1]
            losses.append(-np.mean([log(s[row, c]) for c in own]))
        return np.mean(losses)

    def mmd(t, u):
        both = np.concatenate([t, u])
        sigma2 = np.median([((x - y) ** 2).sum() for i, x in enumerate(both) for y in both[:i]])

        def k(x, y):
            return sum(exp(-((x - y) ** 2).sum() / (2 * sigma2 * 2**power)) for power in (-1, 0, 1))

        return (
            sum(k(x, y) for x in t for y in t) / len(t) ** 2
            + sum(k(x, y) for x in u for y in u) / len(u) ** 2
            - 2 * sum(k(x, y) for x in t for y in u) / (len(t) * len(u))
        )

    (a, u, u_h), (_, t, t_h) = seen(videos), seen(clips)
    n = a.shape[1]
    smooth = np.mean([sum((row[i] - row[i + 1]) ** 2 for i in range(n - 1)) for row in a])
    entropy = np.mean([-sum(p * log(p) for p in row) / log(n) for row in a])
    total = cross_entropy(u_h, videos, np.ones(len(u))) + cross_entropy(t_h, clips, clips.classified.numpy())
    total += config.smoothness * n * smooth + config.sparsity * entropy
    acting_t, acting_u = clips.acting.numpy(), videos.acting.numpy()
    return total + config.fc1 * mmd(t[acting_t], u[acting_u]) + config.fc2 * mmd(t_h[acting_t], u_h[acting_u])


def a_step():
    """A step of four videos, one of them empty and one with two labels, and three clips, one of a class that no video has."""
    net, config = a_net(dropout=0.4, smoothness=0.3, sparsity=0.2, sparsity_kind="entropy", kernels=3, fc1=0.7, fc2=1.3)
    videos = a_batch(4, [True] * 4, [True, True, False, True])
    clips = a_batch(3, [True, False, True], [True, True, True], seed=2)
    videos.labels[1, 0] = 1
    draw = torch.Generator().manual_seed(3)
    for batch in (videos, clips):
        batch.keep[:] = torch.rand(batch.keep.shape, generator=draw) > 0.4
    return net, videos, clips, config


def test_a_step_is_the_slides_sum():
    net, videos, clips, config = a_step()
    total = tsrnet.losses(net, videos, clips, config)["total"]
    assert total.item() == pytest.approx(literal_loss(net, videos, clips, config), rel=1e-12)


def test_every_weight_learns_what_a_step_says():
    """By finite differences of the literal loss; the MMD's, whose bandwidth stays, are in tests/nn/test_mmd.py."""
    net, videos, clips, config = a_step()
    config = replace(config, fc1=0.0, fc2=0.0)
    tsrnet.losses(net, videos, clips, config)["total"].backward()
    for name, weight in net.named_parameters():
        flat, found = weight.data.view(-1), []
        for place in (0, len(flat) // 2, len(flat) - 1):
            there, ends = flat[place].item(), []
            for step in (1e-6, -1e-6):
                flat[place] = there + step
                ends.append(literal_loss(net, videos, clips, config))
            flat[place] = there
            found.append((ends[0] - ends[1]) / 2e-6)
        told = weight.grad.view(-1)[[0, len(flat) // 2, -1]]
        np.testing.assert_allclose(told, found, rtol=1e-5, atol=1e-8, err_msg=name)


def test_clips_of_other_classes_serve_the_mmd_only():
    net, config = a_net()
    clips = a_batch(3, [False] * 3, [True] * 3, seed=2)
    found = tsrnet.losses(net, a_batch(4, [True] * 4, [True] * 4), clips, config)
    assert "trimmed_class" not in found
    assert found["fc1"] > 0


def test_nothing_to_compare_is_no_mmd():
    net, config = a_net()
    found = tsrnet.losses(net, a_batch(2, [True] * 2, [False] * 2), a_batch(2, [True] * 2, [True] * 2, seed=2), config)
    assert set(found) == {"total", "class", "smooth", "sparsity", "trimmed_class"}


@pytest.mark.parametrize("rung", LADDER)
def test_each_rung_of_the_ladder_has_its_terms(rung, planted, tmp_path):
    method, log = fit(planted, tmp_path / "run", LADDER[rung])
    for line in log:
        assert set(line) - {"rgb", "flow", "total"} == TERMS[rung]
    video = {stream: torch.from_numpy(np.array(x)) for stream, x in planted.store.load("test001").items()}
    for stream in activations_of(method, video).values():
        assert (stream.attention is None) == (not LADDER[rung].get("self_attention", True))


def test_what_is_switched_off_leaves_the_other_draws_as_they_were(planted, tmp_path):
    """With a learning rate of zero every rung sees the same videos, snippets, dropout and clips through the same weights."""
    logs = {}
    for number, (rung, settings) in enumerate(LADDER.items()):
        _, logs[rung] = fit(planted, tmp_path / str(number), settings | {"learning_rate": 0.0})
    whole = logs["TSRNet"]
    for rung in ("SRNet", "SRNet + plain clips", "TSRNet without L_FC2"):
        for line, other in zip(logs[rung], whole, strict=True):
            assert {term: line[term] for term in TERMS[rung]} == {term: other[term] for term in TERMS[rung]}
    for line, other in zip(logs["Two-Stream"], logs["Two-Stream + KT"], strict=True):
        assert line["class"] == other["class"]


def test_clips_that_no_loss_looks_at_are_as_none(planted, tmp_path):
    """SRNet by settings is what it is without any clips."""
    with_clips, _ = fit(planted, tmp_path / "with", LADDER["SRNet"])
    without, log = fit(planted, tmp_path / "without", clips=False)
    assert all(torch.equal(a, b) for a, b in zip(with_clips.parameters(), without.parameters(), strict=True))
    assert "fc1" not in log[0]


def test_the_mmd_falls_when_it_is_trained(planted, tmp_path):
    """By the unbiased estimate: the biased one of a few rows stays well above zero for equal sets."""
    last = {}
    for name, settings in (("off", {"fc1": 1e-9, "fc2": 1e-9}), ("on", {"fc1": 3.0, "fc2": 3.0})):
        _, log = fit(planted, tmp_path / name, settings | {"mmd": "unbiased", "epochs": 30, "learning_rate": 0.005})
        last[name] = np.mean([line["fc2"] for line in log if line.get("rgb", 0) >= 25])
    assert last["on"] < last["off"] - 0.05


@pytest.mark.parametrize(
    "settings",
    [
        {"class_loss": "sigmoid"},
        {"mmd": "linear", "kernels": 5},
        {"mmd": "unbiased"},
        {"sparsity": 0.1, "sparsity_kind": "entropy"},
        {"optimizer": "sgd", "decay_every": 2},
        {"epochs": 1, "iterations": 3},
        {"trimmed_snippets": 3},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_options_train(settings, planted, tmp_path):
    method, log = fit(planted, tmp_path / "run", settings)
    assert len(log) == 4  # two epochs of two steps each, for each stream; three steps are as many
    video = {stream: torch.from_numpy(np.array(x)) for stream, x in planted.store.load("test001").items()}
    for stream in activations_of(method, video).values():
        assert ((stream.class_score > 0) & (stream.class_score < 1)).all()


def test_video_score_and_snippet_scores(planted, tmp_path):
    method, _ = fit(planted, tmp_path / "run")
    x = torch.from_numpy(np.array(planted.store.load("test001")["rgb"]))
    net, found = method.streams["rgb"], activations_of(method, {"rgb": x})["rgb"]
    assert found.attention.sum() == pytest.approx(1, abs=1e-5)
    with torch.no_grad():
        whole = net.classifier(torch.relu(net.fc1(torch.from_numpy(found.attention) @ x))).softmax(-1)
        single = net.classifier(torch.relu(net.fc1(x))).softmax(-1)
    np.testing.assert_allclose(found.class_score, whole[:-1], atol=1e-6)
    told = torch.cat([torch.from_numpy(found.class_logit), torch.zeros(len(x), 1)], 1).softmax(-1)
    torch.testing.assert_close(told, single, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("theta", [0.0, 0.3, 1.0])
def test_detection_is_the_slides(theta):
    """w = a s of each stream, theta w_RGB + (1 - theta) w_flow, runs above the mean, index over 30 frames per second."""
    rng, n = np.random.default_rng(5), 200
    a = {stream: np.exp(np.sin(np.arange(n) / pace) + 0.3 * rng.normal(size=n)) for stream, pace in (("rgb", 9), ("flow", 14))}
    a = {stream: x / x.sum() for stream, x in a.items()}
    s = {"rgb": np.array([0.5, 0.3, 0.1]), "flow": np.array([0.7, 0.12, 0.1])}
    kinds = {name: StreamActivation(a[name].astype(np.float32), np.zeros((n, 3), np.float32), s[name]) for name in a}
    video = Activation("v", ("x", "y", "z"), Timeline(0.0, 1 / 30, n, n / 30), kinds, attention_kind="distribution")

    expected = {}
    for c, label in enumerate(video.classes):
        score = theta * s["rgb"][c] + (1 - theta) * s["flow"][c]
        if score <= 0.1 + 1e-12:
            continue
        w = theta * a["rgb"] * s["rgb"][c] + (1 - theta) * a["flow"] * s["flow"][c]
        above = [False, *(w > w.mean()), False]
        begins = [i for i in range(n) if above[i + 1] and not above[i]]
        for first in begins:
            last = next(i for i in range(first, n) if not above[i + 2])
            expected[label, round(first / 30, 6), round((last + 1) / 30, 6)] = w[first : last + 1].mean()

    weights = {"rgb": {"stream_weight": theta}, "flow": {"stream_weight": 1 - theta}}
    plain = {"upsample": 1, "contrast": 0.0, "literal": True, "nms": 1.0, **weights}
    settings = resolve("tsrnet", "thumos14", {"localization": plain}).localization
    found = {(d.label, round(d.start, 6), round(d.end, 6)): d.score for d in localize([video], settings)["v"]}
    assert len(expected) > 10
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_learning_rate_falls_as_the_slides_say():
    config = resolve("tsrnet", "thumos14").method
    rates = [tsrnet._learning_rate(step, 15000, config) for step in (0, 4999, 5000, 10000)]
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 1e-5, 1e-6])
    cosine = tsrnet.Config(decay_every=None, learning_rate=1.0)
    assert [round(tsrnet._learning_rate(step, 10, cosine), 6) for step in (0, 5)] == [1.0, 0.5]


def test_batches_of_clips():
    class Of:
        def __init__(self, count):
            self.count = count

        def __len__(self):
            return self.count

    for count, steps, batch in ((5, 7, 16), (1, 3, 4), (40, 5, 16), (32, 4, 16)):
        batches = tsrnet._batches_of_clips(Of(count), steps, batch, np.random.default_rng(0))
        assert len(batches) == steps
        for chosen in batches:
            assert len(set(chosen)) == len(chosen) == min(batch, count)
    once = np.concatenate(tsrnet._batches_of_clips(Of(32), 2, 16, np.random.default_rng(0)))
    assert sorted(once) == list(range(32))


def test_gradients_by_finite_differences():
    draw = torch.Generator().manual_seed(0)

    def some(*shape):
        return torch.randn(shape, generator=draw, dtype=torch.float64, requires_grad=True)

    check = torch.autograd.gradcheck
    labels = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=torch.float64)
    for kind in ("softmax", "sigmoid"):
        assert check(lambda logit, kind=kind: tsrnet.loss_class(logit, labels, kind), (some(3, 4),))
    assert check(lambda logit: tsrnet.r_smooth(logit.softmax(-1)), (some(3, 6),))
    assert check(lambda logit: tsrnet.r_sparsity(logit.softmax(-1), "entropy"), (some(3, 6),))
    net, _ = a_net()
    assert check(lambda x: torch.cat([part.flatten() for part in net.attend(x)]), (some(2, 5, 6),))

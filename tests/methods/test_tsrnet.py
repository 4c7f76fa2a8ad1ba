"""TSRNet's terms, its ladder of simpler models, and what it does with clips."""

import json
import math

import numpy as np
import pytest
import torch

from tests.methods.planted import Planted, plant, plant_clips
from untrimmed.jobs.train import train
from untrimmed.methods import tsrnet
from untrimmed.methods.base import activations_of, load_method, resolve
from untrimmed.nn.mmd import median_gammas, mmd2, squared_distances

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


# MMD (its values are held to the golden files in tests/golden/test_mmd.py) --------------------------------------------------


@pytest.mark.parametrize("estimator", ["biased", "unbiased", "linear"])
def test_mmd_of_equal_sets_and_of_equal_rows(estimator):
    x = torch.randn(6, 4, dtype=torch.float64)
    same = torch.full((3, 4), 0.3, requires_grad=True)
    if estimator == "biased":
        assert mmd2(x, x, [0.5]).item() == pytest.approx(0, abs=1e-12)
    value = mmd2(same, torch.full((5, 4), 0.3), estimator=estimator)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(same.grad).all()


@pytest.mark.parametrize("estimator", ["biased", "unbiased", "linear"])
def test_mmd_grows_with_the_distance(estimator):
    draw = torch.Generator().manual_seed(0)
    t, u = torch.randn(200, 4, generator=draw), torch.randn(150, 4, generator=draw)
    values = [mmd2(t, u + shift, [0.1], estimator=estimator).item() for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)
    assert values[0] < 0.05 < values[-1]


def test_single_rows_have_an_mmd():
    t, u = torch.zeros(1, 3), torch.ones(1, 3)
    for estimator in ("biased", "linear"):
        assert mmd2(t, u, [0.5], estimator=estimator).item() == pytest.approx(2 - 2 * math.exp(-1.5))


def test_several_bandwidths_double_around_the_median():
    d = torch.tensor([1.0, 2.0, 4.0, 8.0, 100.0])
    np.testing.assert_allclose(1 / (2 * median_gammas(d, 5)), [1, 2, 4, 8, 16])
    np.testing.assert_allclose(1 / (2 * median_gammas(d)), [4])
    np.testing.assert_allclose(1 / (2 * median_gammas(d[:4])), [3])


def test_the_distances_of_a_large_batch_have_a_median():
    d = torch.full((17_000_000,), 3.0)
    np.testing.assert_allclose(1 / (2 * median_gammas(d)), [3])


def literal_mmd2(t, u, estimator):
    """The slides' double sums, one pair after the other, with sigma^2 the median of the squared distances of different rows."""
    rows = t + u
    square = {(i, j): sum((a - b) ** 2 for a, b in zip(x, y)) for i, x in enumerate(rows) for j, y in enumerate(rows)}
    n, m = len(t), len(u)
    sigma2 = np.median([d for (i, j), d in square.items() if i < j])
    k = {pair: math.exp(-d / (2 * sigma2)) for pair, d in square.items()}
    within_t = [k[i, j] for i in range(n) for j in range(n) if estimator == "biased" or i != j]
    within_u = [k[i, j] for i in range(n, n + m) for j in range(n, n + m) if estimator == "biased" or i != j]
    across = [k[i, j] for i in range(n) for j in range(n, n + m)]
    return sum(within_t) / len(within_t) + sum(within_u) / len(within_u) - 2 * sum(across) / len(across)


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("counts", [(4, 4), (3, 6), (2, 5)])
def test_mmd_is_the_slides_double_sum(estimator, counts):
    draw = torch.Generator().manual_seed(0)
    t, u = (torch.randn(count, 5, generator=draw, dtype=torch.float64) for count in counts)
    assert mmd2(t, u + 0.5, estimator=estimator).item() == pytest.approx(
        literal_mmd2(t.tolist(), (u + 0.5).tolist(), estimator), rel=1e-10
    )


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
    for estimator in ("biased", "unbiased", "linear"):  # at given bandwidths, for through the median no gradient goes
        assert check(lambda t, u, e=estimator: mmd2(t, u, [0.3, 0.1], estimator=e), (some(4, 3), some(5, 3)))
    net, _ = a_net()
    assert check(lambda x: torch.cat([part.flatten() for part in net.attend(x)]), (some(2, 5, 6),))


def test_distances_survive_an_offset():
    x = torch.randn(5, 3)
    np.testing.assert_allclose(squared_distances(x + 1000), torch.cdist(x, x).square(), atol=2e-3)

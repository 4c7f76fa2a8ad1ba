"""DGAM beyond its parity: each loss against a literal version, and what the switches do."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch.nn import functional as F

from tests.methods.planted import Planted, plant
from tests.methods.test_every_method import fit, same
from untrimmed.data.errors import InputError
from untrimmed.data.settings import of_stream
from untrimmed.methods import dgam
from untrimmed.methods.base import resolve
from untrimmed.methods.registry import presets_of


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"), train=13, test=1)


@pytest.fixture
def batch():
    """Attention, features and labels of four videos of 9 snippets: two classes, one class, none, one class."""
    torch.manual_seed(0)
    x = torch.randn(4, 9, 6, dtype=torch.float64)
    labels = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=torch.float64)
    return x, labels, torch.randn(4, 9, 5, dtype=torch.float64)


@pytest.fixture
def net():
    torch.manual_seed(1)
    return dgam.StreamNet(6, 3, dgam.Config(hidden=7, latent=5)).double()


# The losses ------------------------------------------------------------------------------------------------------------------


def test_foreground_and_background_are_weighted_means(batch):
    x, _, _ = batch
    attention = torch.rand(4, 9, dtype=torch.float64)
    foreground, background = dgam.foreground_background(x, attention)
    for b in range(4):
        inside = sum(attention[b, t] * x[b, t] for t in range(9)) / (sum(attention[b]) + 1)
        outside = sum((1 - attention[b, t]) * x[b, t] for t in range(9)) / (sum(1 - attention[b]) + 1e-6)
        torch.testing.assert_close(foreground[b], inside)
        torch.testing.assert_close(background[b], outside)


def test_loss_fg_is_cross_entropy_and_empty_videos_are_background(batch):
    _, labels, _ = batch
    logit = torch.randn(4, 4, dtype=torch.float64)
    log_p = logit.log_softmax(-1)
    by_hand = -(0.5 * log_p[0, 0] + 0.5 * log_p[0, 2]) - log_p[1, 1] - log_p[3, 0]
    torch.testing.assert_close(dgam.loss_fg(logit, labels), (by_hand - log_p[2, 3]) / 3)  # a mean over those that hold an action
    holding = labels.sum(1) > 0
    torch.testing.assert_close(dgam.loss_fg(logit[holding], labels[holding]), by_hand / 3)
    torch.testing.assert_close(dgam.loss_fg(logit[2:3], labels[2:3]), -log_p[2, 3])


def test_loss_bg_wants_background(batch):
    logit = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 5.0]], dtype=torch.float64)
    expected = np.mean([-np.log(np.exp(row[2]) / np.exp(row).sum()) for row in logit.numpy()])
    assert dgam.loss_bg(logit).item() == pytest.approx(expected)


@pytest.mark.parametrize("length", [1, 2, 9])
def test_guidance_is_smoothed_in_time(length):
    torch.manual_seed(3)
    logit = torch.randn(4, length, 4, dtype=torch.float64)
    labels = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=torch.float64)
    foreground, background = dgam.guidance(logit, labels)
    for b in range(4):
        p = np.exp(logit[b].numpy())
        p /= p.sum(1, keepdims=True)
        smooth = np.stack([gaussian_filter1d(p[:, c], 1.0) for c in range(4)], 1)
        present = [c for c in range(3) if labels[b, c]]
        expected = smooth[:, present].max(1) if present else np.zeros(length)
        np.testing.assert_allclose(foreground[b], expected, atol=1e-12)
        np.testing.assert_allclose(background[b], 1 - smooth[:, 3], atol=1e-12)


def test_guidance_gives_no_gradient_to_the_classifier(batch):
    _, labels, _ = batch
    logit = torch.randn(4, 9, 4, dtype=torch.float64, requires_grad=True)
    assert not any(part.requires_grad for part in dgam.guidance(logit, labels))


def test_loss_guide_is_the_mean_distance_to_both():
    attention, foreground, background = torch.tensor([[0.2, 0.9]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[0.3, 0.5]])
    expected = (abs(0.2 - 0.0) + abs(0.9 - 1.0) + abs(0.2 - 0.3) + abs(0.9 - 0.5)) / 2
    assert dgam.loss_guide(attention, foreground, background).item() == pytest.approx(expected)


def test_an_empty_video_teaches_the_classifier_by_its_mean_feature(net, batch):
    """L_fg of a batch of empty videos: no attention in it at all."""
    x, _, noise = batch
    labels = torch.zeros(4, 3, dtype=torch.float64)
    losses = dgam.model_stage(net, x, labels, noise, dgam.Config(hidden=7, latent=5, gam=False), 1.0)
    torch.testing.assert_close(losses["fg"], -F.log_softmax(net.classifier(x.mean(1)), -1)[:, -1].mean())
    toward_attention = torch.autograd.grad(losses["fg"], [*net.attention_hidden.parameters()], retain_graph=True, allow_unused=True)
    assert all(gradient is None or (gradient == 0).all() for gradient in toward_attention)
    assert torch.autograd.grad(losses["fg"], net.classifier.weight)[0].abs().max() > 0


def test_empty_videos_do_not_weaken_the_others(net, batch):
    """The gradient of L_fg by the attention is that of the videos that hold an action alone."""
    x, labels, noise = batch
    holding = labels.sum(1) > 0
    config = dgam.Config(hidden=7, latent=5, gam=False)
    gradients = []
    for chosen in (torch.ones(4, dtype=torch.bool), holding):
        fg = dgam.model_stage(net, x[chosen], labels[chosen], noise[chosen], config, 1.0)["fg"]
        gradients.append(torch.autograd.grad(fg, net.attention_hidden.weight)[0])
    torch.testing.assert_close(*gradients)


def test_loss_cvae_is_reconstruction_and_divergence(net, batch):
    x, _, noise = batch
    attention = torch.rand(4, 9, dtype=torch.float64)
    total, reconstruction, divergence = dgam.loss_cvae(net, x, attention, noise, 0.1)
    joined = torch.cat([x, attention.unsqueeze(-1)], -1)
    first, second, third = net.cvae.encoder
    mean, log_variance = third(F.relu(second(F.relu(first(joined))))).chunk(2, -1)
    z = mean + noise * (log_variance / 2).exp()
    first, second, third = net.cvae.decoder
    decoded = third(F.relu(second(F.relu(first(torch.cat([z, attention.unsqueeze(-1)], -1))))))
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(attention.unsqueeze(-1).expand_as(mean), 1.0)
    torch.testing.assert_close(reconstruction, F.mse_loss(decoded, x))
    torch.testing.assert_close(divergence, torch.distributions.kl_divergence(posterior, prior).mean())
    torch.testing.assert_close(total, reconstruction + 0.1 * divergence)


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_gradients_of_the_fused_error(rows, monkeypatch):
    monkeypatch.setattr(dgam.LinearError, "ROWS", rows)
    torch.manual_seed(0)
    hidden, weight, bias, x = (
        torch.randn(shape, dtype=torch.float64, requires_grad=grad)
        for shape, grad in (((3, 4, 5), True), ((6, 5), True), ((6,), True), ((3, 4, 6), False))
    )
    torch.testing.assert_close(dgam.LinearError.apply(hidden, weight, bias, x), F.mse_loss(F.linear(hidden, weight, bias), x))
    assert torch.autograd.gradcheck(lambda h, w, b: dgam.LinearError.apply(h, w, b, x), (hidden, weight, bias))
    frozen = weight.detach(), bias.detach()  # as in the model stage
    assert torch.autograd.gradcheck(lambda h: dgam.LinearError.apply(h, *frozen, x), (hidden,))


# The stages ------------------------------------------------------------------------------------------------------------------


def test_each_stage_moves_its_own_half(net, batch):
    x, labels, noise = batch
    config = dgam.Config(hidden=7, latent=5)

    def touched():
        found = {name for name, p in net.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
        net.zero_grad(set_to_none=True)
        return found

    of_vae = {name for name, _ in net.named_parameters() if name.startswith("cvae.")}
    dgam.cvae_stage(net, x, noise, config, 1.0)["total"].backward()
    assert touched() == of_vae
    dgam.model_stage(net, x, labels, noise, config, 1.0)["total"].backward()
    assert touched() == {name for name, _ in net.named_parameters()} - of_vae
    assert all(p.requires_grad for p in net.parameters())


def test_the_ramp_reaches_what_it_should(net, batch):
    x, labels, noise = batch
    config = dgam.Config(hidden=7, latent=5)
    for ramp in (0.0, 0.25, 1.0):
        found = dgam.cvae_stage(net, x, noise, config, ramp)
        torch.testing.assert_close(found["total"], 10 * ramp * found["cvae"])
        for ramped in (True, False):
            own = replace(config, ramp_reconstruction=ramped)
            found = dgam.model_stage(net, x, labels, noise, own, ramp)
            others = found["fg"] + 0.03 * found["bg"] + 0.1 * found["guide"]
            torch.testing.assert_close(found["total"] - others, 0.5 * (ramp if ramped else 1) * found["re"])


def test_ramp_and_learning_rate_over_the_run():
    fraction = dgam.Config(epochs=100, ramp_fraction=0.3, schedule="cosine", learning_rate=0.1)
    assert [dgam._ramp(epoch, fraction) for epoch in (0, 14, 29, 99)] == pytest.approx([1 / 30, 0.5, 1, 1])
    assert dgam._learning_rate(0, fraction) == 0.1
    assert dgam._learning_rate(50, fraction) == pytest.approx(0.05)
    assert dgam._learning_rate(99, fraction) < 1e-4
    assert dgam._ramp(0, dgam.Config(ramp_epochs=0)) == 1
    assert dgam._ramp(0, dgam.Config(official=True)) == 0
    assert dgam._ramp(150, dgam.Config(official=True)) == 0.5
    assert dgam._learning_rate(5000, dgam.Config()) == 1e-3


# The switches ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorder(monkeypatch):
    """What enters and leaves the model stage: per step a copy of the features, the labels, and the losses."""
    steps = []
    stage = dgam.model_stage

    def recording(net, x, labels, noise, config, ramp):
        losses = stage(net, x, labels, noise, config, ramp)
        steps.append((x.clone(), labels.clone(), noise.clone(), {name: loss.item() for name, loss in losses.items()}, ramp))
        return losses

    monkeypatch.setattr(dgam, "model_stage", recording)
    return steps


def test_with_and_without_generative_modelling_are_paired(planted, tmp_path, recorder):
    on, on_began, _ = fit("dgam", planted, tmp_path / "on")
    with_gam = list(recorder)
    recorder.clear()
    off, off_began, _ = fit("dgam", planted, tmp_path / "off", {"gam": False})
    assert same(on_began, off_began)
    assert not same(on, off)
    assert len(with_gam) == len(recorder) > 10
    for (x, labels, noise, _, _), (other_x, other_labels, other_noise, _, _) in zip(with_gam, recorder):
        assert torch.equal(x, other_x)
        assert torch.equal(labels, other_labels)
        assert torch.equal(noise, other_noise)
    for step in (0, len(recorder) // 2):  # the first of either stream
        mine, its = with_gam[step][3], recorder[step][3]
        assert all(mine[name] == its[name] for name in ("fg", "bg", "guide"))
        assert "re" in mine
        assert "re" not in its


def test_without_weight_the_generative_part_changes_nothing(planted, tmp_path):
    """The VAE trains beside, and attention and classifier are what they are without it."""
    on, _, _ = fit("dgam", planted, tmp_path / "on", {"reconstruction": 0})
    off, _, _ = fit("dgam", planted, tmp_path / "off", {"gam": False})
    one, other = on.state_dict(), off.state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one if ".cvae." not in key)
    assert not any(torch.equal(one[key], other[key]) for key in one if ".cvae." in key)


def test_settings_of_one_stream_hold_for_it_alone(planted, tmp_path):
    own, began, _ = fit("dgam", planted, tmp_path / "own", {"flow": {"gam": False, "epochs": 2}})
    both, _, _ = fit("dgam", planted, tmp_path / "both")
    a, b, c = own.state_dict(), both.state_dict(), began.state_dict()
    for key in a:
        assert torch.equal(a[key], b[key]) == key.startswith("streams.rgb."), key
        assert torch.equal(a[key], c[key]) == key.startswith("streams.flow.cvae."), key
    logged = [json.loads(line) for line in (tmp_path / "own" / "metrics.jsonl").read_text().splitlines()]
    assert [("rgb" in line, "re" in line) for line in logged] == [(True, True)] * 4 + [(False, False)] * 2


def test_settings_of_a_stream_that_is_not_there():
    with pytest.raises(InputError, match="there is no such stream; the features have rgb"):
        dgam.DGAM(dgam.Config(streams={"flwo": {"kl": 1.0}}), ("a",), {"rgb": 4})


def test_official_keeps_batches_for_ten_epochs_and_drops_the_last(planted, tmp_path, recorder):
    fit("dgam", planted, tmp_path / "own", {"epochs": 11, "gam": False, "batch": 4, "ramp_fraction": 0.3, "flow": {"epochs": 1}})
    own = [recorder[4 * epoch : 4 * epoch + 4] for epoch in range(11)]
    recorder.clear()
    fit(
        "dgam",
        planted,
        tmp_path / "official",
        {"epochs": 11, "gam": False, "batch": 4, "ramp_fraction": 0.3, "flow": {"epochs": 1}, "official": True},
    )
    official = [recorder[3 * epoch : 3 * epoch + 3] for epoch in range(11)]

    assert [len(step[0]) for step in own[0]] == [4, 3, 3, 3]  # 13 videos: none is dropped
    assert [len(step[0]) for step in official[0]] == [4, 4, 4]

    def batches(epoch):
        return {step[0].numpy().tobytes() for step in epoch}

    assert len({frozenset(batches(epoch)) for epoch in official[:10]}) == 1
    assert len({tuple(step[0].numpy().tobytes() for step in epoch) for epoch in official[:10]}) > 1  # in another order
    assert not batches(official[10]) & batches(official[0])
    assert not batches(own[1]) & batches(own[0])
    assert [epoch[0][4] for epoch in official] == [0.0] * 10 + [1.0]


def test_fewer_videos_than_a_batch_are_one_batch_even_for_official():
    rng = np.random.default_rng(0)
    for official in (True, False):
        (only,) = dgam._batches(5, dgam.Config(batch=32, official=official), rng)
        assert sorted(only) == [0, 1, 2, 3, 4]
    sizes = [len(batch) for batch in dgam._batches(100, dgam.Config(batch=32), rng)]
    assert sizes == [25, 25, 25, 25]
    assert sorted(np.concatenate(dgam._batches(100, dgam.Config(batch=32), rng))) == list(range(100))


@pytest.mark.parametrize(("share", "moves"), [(1.0, False), (0.5, True)])
def test_the_attention_waits_for_the_classifier(share, moves, planted, tmp_path):
    fitted, began, _ = fit("dgam", planted, tmp_path, {"attention_delay": share, "ema_decay": 0, "schedule": "constant"})
    for one, other in zip(fitted.streams.values(), began.streams.values()):
        assert torch.equal(one.attention_hidden.weight, other.attention_hidden.weight) != moves
        assert not torch.equal(one.classifier.weight, other.classifier.weight)
        assert not torch.equal(one.cvae.decoder[2].weight, other.cvae.decoder[2].weight)


def test_averaged_weights_are_the_mean_along_the_way(planted, tmp_path):
    last, _, _ = fit("dgam", planted, tmp_path / "last", {"ema_decay": 0})
    averaged, began, _ = fit("dgam", planted, tmp_path / "averaged", {"ema_decay": 0.5})
    frozen, _, _ = fit("dgam", planted, tmp_path / "frozen", {"ema_decay": 0.99999})

    def distance(a, b):
        return max((p - q).abs().max().item() for p, q in zip(a.parameters(), b.parameters()))

    assert 0 < distance(averaged, last) < distance(began, last)
    assert distance(frozen, began) < distance(averaged, began)  # hardly moved from the first step's weights


# The presets -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", presets_of("dgam"))
def test_every_preset_resolves(preset):
    chosen = resolve("dgam", preset)
    assert not chosen.method.official
    assert not chosen.localization.official
    assert set(chosen.to_dict()) == {"method", "localization", "data"}


def test_presets_that_the_design_names_are_there():
    assert {"default", "thumos14", "activitynet", "demo"} <= set(presets_of("dgam"))


def test_the_papers_values():
    thumos, activitynet = resolve("dgam", "thumos14"), resolve("dgam", "activitynet")
    by_stream = {s: of_stream(thumos.method, s) for s in ("rgb", "flow")}
    assert {s: config.reconstruction for s, config in by_stream.items()} == {"rgb": 0.5, "flow": 0.3}
    assert {of_stream(thumos.localization, s).stream_weight for s in ("rgb", "flow")} == {0.35, 0.65}
    assert {of_stream(thumos.localization, s).thresholds for s in ("rgb", "flow")} == {(0.03,), (0.08,)}
    assert (thumos.data.snippets, thumos.method.batch, thumos.method.ramp_epochs) == (400, 32, 300)
    assert {s: of_stream(activitynet.method, s).foreground for s in ("rgb", "flow")} == {"rgb": 1.0, "flow": 0.3}
    assert (activitynet.method.background, activitynet.method.ramp_reconstruction) == (1.0, False)
    assert activitynet.localization.smooth == 25


def test_overrides_lie_over_the_preset():
    chosen = resolve("dgam", "thumos14", {"epochs": 3, "flow": {"kl": 0.2}, "localization": {"nms": 0.4}, "data": {"snippets": 7}})
    flow = of_stream(chosen.method, "flow")
    assert (chosen.method.epochs, flow.kl, flow.reconstruction, chosen.localization.nms) == (3, 0.2, 0.3, 0.4)
    assert chosen.data.snippets == 7
    assert chosen.data.test_most == 400


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epoch": 3}, "method: unknown name 'epoch'; did you mean 'epochs'"),
        ({"localization": {"nsm": 0.5}}, "localization: unknown name 'nsm'; did you mean 'nms'"),
        ({"flow": {"recontruction": 0.3}}, "did you mean 'reconstruction'"),
        ({"epochs": 0}, "method.epochs: 0 is out of range; it must be at least 1"),
        ({"epochs": 2.5}, "expected a whole number"),
        ({"epochs": "many"}, "method.epochs: expected a whole number, found 'many'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"gam": 1}, "method.gam: expected true or false"),
        ({"data": {"snippets": 0}}, "data.snippets: 0 is out of range"),
        ({"localization": {"nms": float("nan")}}, "out of range"),
    ],
)
def test_settings_that_are_wrong(settings, words):
    with pytest.raises(InputError) as fault:
        resolve("dgam", "default", settings)
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)


def test_unknown_method_and_preset():
    with pytest.raises(InputError, match="did you mean 'dgam'"):
        resolve("dgma")
    with pytest.raises(InputError, match="did you mean 'thumos14'"):
        resolve("dgam", "thumos")


def test_it_needs_labels(planted, tmp_path):
    from untrimmed.training import TrainingSet

    model = dgam.DGAM(dgam.Config(), planted.classes, planted.store.streams)
    with pytest.raises(InputError, match="dgam learns from labels"):
        model.fit(TrainingSet(("train000",), planted.classes, None, planted.store), None)

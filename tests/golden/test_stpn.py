"""Losses, gradients, optimizer steps and detections of two reproductions of STPN; the authors released no code."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.localization import localize
from untrimmed.methods import stpn
from untrimmed.methods.base import resolve

CONFIG = resolve("stpn", "thumos14").method
NAMES = {"fc1": "attention_hidden", "fc2": "attention_out", "fc3": "classifier"}


def ours(weights: dict[str, torch.Tensor], group: str) -> dict[str, torch.Tensor]:
    return {f"{our}.{kind}": weights[f"{group}.{their}.{kind}"] for their, our in NAMES.items() for kind in ("weight", "bias")}


@pytest.mark.parametrize("precision", ["f64", "f32"])
def test_losses_gradients_and_parameters(golden, precision):
    """Of the reproduction that sums over time, as the paper's formula does."""
    inputs, weights = np.load(golden / "stpn_demian_inputs.npz"), load_file(golden / "stpn_demian_weights_grads.safetensors")
    truth = json.loads((golden / "stpn_demian_losses.json").read_text())
    dtype, tolerance = {"f64": (torch.float64, 1e-10), "f32": (torch.float32, 2e-6)}[precision]
    config = replace(CONFIG, pooling="sum", sparsity=1 / 5000)
    net = stpn.StreamNet(1024, 256, 20)
    net.load_state_dict(ours(weights, "init"))
    net.to(dtype)
    optimizer = torch.optim.Adam(net.parameters(), config.learning_rate)
    for step, labels in enumerate(torch.from_numpy(inputs["labels"]).to(dtype)):
        x = torch.from_numpy(inputs[f"feat_{step}"]).to(dtype)
        if step == 0 and precision == "f64":
            attention, logit = net(x, config.pooling)
            np.testing.assert_allclose(attention.detach(), inputs["attention_step0"][..., 0], rtol=1e-10)
            np.testing.assert_allclose(logit.sigmoid().detach(), inputs["prob_step0"], rtol=1e-10)
        losses = stpn.losses_of(net, x, labels, config)
        optimizer.zero_grad()
        losses["total"].backward()
        if step == 0 and precision == "f64":
            for name, value in ours(weights, "grad0").items():
                torch.testing.assert_close(dict(net.named_parameters())[name].grad.float(), value, rtol=1e-6, atol=1e-12)
        optimizer.step()
        assert np.isclose(losses["class"].item(), truth["bce_f64"][step], rtol=tolerance)
        assert np.isclose(losses["sparsity"].item() / 5000, truth["l1_over_5000_f64"][step], rtol=tolerance)
    for name, value in ours(weights, "after5").items():
        found = dict(net.named_parameters())[name].detach().float()
        if precision == "f64":
            torch.testing.assert_close(found, value, rtol=1e-6, atol=1e-9)
        else:
            assert (found - value).square().mean().sqrt() < 10 * truth["max_abs_param5_diff_f32_f64"], name


def test_the_loss_of_what_the_other_reproduction_says(golden):
    """Of the one that reaches the paper's numbers: it averages over time. Its weights are not kept."""
    arrays, truth = np.load(golden / "stpn_bellos.npz"), json.loads((golden / "stpn_bellos.json").read_text())
    labels, attention, logit = (torch.from_numpy(arrays[name]) for name in ("labels", "attention_step0", "class_logit_step0"))
    attention = attention.view(len(logit), -1)
    total = stpn.loss_class(logit, labels[0]) + CONFIG.sparsity * stpn.loss_sparsity(attention)
    assert CONFIG.sparsity == truth["beta"]
    assert CONFIG.learning_rate == truth["lr"]
    assert np.isclose(total.item(), truth["loss_total_f32"][0], rtol=2e-6)
    np.testing.assert_allclose(logit.sigmoid(), arrays["class_prob_step0"], rtol=1e-6)


def test_detections(golden):
    arrays, truth = np.load(golden / "stpn_bellos.npz"), json.loads((golden / "stpn_bellos.json").read_text())["inference"]
    count, classes = truth["num_segments"], tuple(f"{c:02}" for c in range(20))
    seconds = 16 * truth["vid_len"] / truth["sampling_frames"]
    streams = {}
    for name in ("rgb", "flow"):
        score = np.isin(np.arange(20), truth[f"pred_{name}"]).astype(float)
        streams[name] = StreamActivation(arrays[f"inf_attention_{name}"][:, 0], arrays[f"inf_tcam_{name}"], score)
    activation = Activation("v", classes, Timeline(0.0, seconds / count, count, seconds), streams)
    settings = replace(resolve("stpn", "thumos14").localization, official=True)
    assert settings.upsample == truth["scale"]

    def compare(found, theirs):
        mine = sorted((int(d.label), d.start, d.end, d.score) for d in found)
        expected = sorted((int(c), start, end, score) for c, score, start, end in theirs)
        np.testing.assert_allclose([d[:3] for d in mine], [d[:3] for d in expected], rtol=0, atol=1e-9)
        np.testing.assert_allclose([d[3] for d in mine], [d[3] for d in expected], rtol=0, atol=1e-5)

    compare(localize([activation], settings)["v"], truth["final"])
    for name, other in (("rgb", "flow"), ("flow", "rgb")):
        muted = replace(settings, nms=1.0, streams={other: {"thresholds": (2.0,)}})
        compare(localize([activation], muted)["v"], truth[f"{name}_props"])

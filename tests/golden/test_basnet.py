"""Forward passes, losses, gradients and optimizer steps of the released BaS-Net code, and the segments it cuts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.localization import localize
from untrimmed.methods import basnet
from untrimmed.methods.base import JOINT, resolve

CONFIG = resolve("basnet", "thumos14").method
NAMES = {
    "filter_module.conv_1.0": "filter_hidden",
    "filter_module.conv_2.0": "filter_out",
    "cas_module.conv_1.0": "first",
    "cas_module.conv_2.0": "second",
    "cas_module.conv_3.0": "classifier",
}
LINEAR = ("filter_hidden", "filter_out", "classifier")


def ours(weights: dict[str, torch.Tensor], group: str) -> dict[str, torch.Tensor]:
    """The released code's parameters of one group under our names; its convolutions over one snippet are linear layers here."""
    found = {}
    for their, our in NAMES.items():
        for kind in ("weight", "bias"):
            if (value := weights.get(f"{group}.{their}.{kind}")) is not None:
                found[f"{our}.{kind}"] = value.squeeze(-1) if our in LINEAR and kind == "weight" else value
    return found


@pytest.fixture(scope="module")
def recorded(golden):
    inputs = np.load(golden / "basnet_inputs.npz")
    shape = inputs["keep_shape"]
    keep = np.unpackbits(inputs["keep"])[: np.prod(shape)].reshape(shape)
    return {
        "features": torch.from_numpy(inputs["features"]),
        "labels": torch.from_numpy(inputs["labels"]),
        "keep": torch.from_numpy(keep).transpose(-1, -2),  # the code has time last
        "weights": load_file(golden / "basnet_weights_grads.safetensors"),
    }


def fresh_net(recorded, dtype) -> basnet.Net:
    weights = ours(recorded["weights"], "init")
    width, hidden = recorded["features"].shape[-1], len(weights["first.weight"])
    net = basnet.Net(width, hidden, len(weights["filter_hidden.weight"]), len(weights["classifier.weight"]))
    net.load_state_dict(weights)
    return net.to(dtype)


def test_forward(golden, recorded):
    truth = np.load(golden / "basnet_forward_step0.npz")
    net, x, keep = fresh_net(recorded, torch.float64), recorded["features"][0].double(), recorded["keep"][0]
    foreground = net.foreground_logit(x).sigmoid()
    np.testing.assert_allclose(foreground.detach(), truth["fore_weights"][..., 0], rtol=1e-10)
    for branch, given, mask in (("base", x, keep[0]), ("supp", foreground.unsqueeze(-1) * x, keep[1])):
        cas = net.cas(given, mask, CONFIG.dropout)
        np.testing.assert_allclose(cas.detach(), truth[f"cas_{branch}"], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(basnet.video_logit(cas).softmax(-1).detach(), truth[f"score_{branch}"], rtol=1e-10)


@pytest.mark.parametrize("precision", ["f64", "f32"])
def test_losses_gradients_and_parameters(golden, recorded, precision):
    truth = json.loads((golden / "basnet_losses.json").read_text())
    assert CONFIG.sparsity == truth["alpha"]
    dtype, tolerance = {"f64": (torch.float64, 1e-10), "f32": (torch.float32, 2e-6)}[precision]
    net = fresh_net(recorded, dtype)
    optimizer = torch.optim.Adam(net.parameters(), CONFIG.learning_rate, weight_decay=CONFIG.weight_decay)
    for step, (x, labels, keep) in enumerate(zip(recorded["features"], recorded["labels"], recorded["keep"])):
        losses = basnet.losses_of(net, x.to(dtype), labels.to(dtype), (keep[0], keep[1]), CONFIG)
        optimizer.zero_grad()
        losses["total"].backward()
        if step == 0:
            for name, value in ours(recorded["weights"], "grad0").items():
                found = dict(net.named_parameters())[name].grad
                if precision == "f64":
                    torch.testing.assert_close(found.float(), value, rtol=1e-6, atol=1e-12)
                else:
                    assert (found - value).norm() / value.norm() < 10 * truth["max_rel_grad_diff_f32_f64"], name
        optimizer.step()
        for mine, theirs in (("base", "loss_base"), ("supp", "loss_supp"), ("norm", "loss_norm"), ("total", "loss_total")):
            assert np.isclose(losses[mine].item(), truth["losses_f64"][theirs][step], rtol=tolerance, atol=0), mine
    for name, value in ours(recorded["weights"], "after5").items():
        found = dict(net.named_parameters())[name].detach().float()
        if precision == "f64":
            torch.testing.assert_close(found, value, rtol=1e-6, atol=1e-9)
        else:
            assert (found - value).square().mean().sqrt() < 10 * truth["max_abs_param5_diff_f32_f64"], name


def test_segments(golden):
    """The preset's settings cut the released code's scores into the released code's segments."""
    stored, truth = np.load(golden / "basnet_det_cas.npz"), json.loads((golden / "basnet_det.json").read_text())
    classes = tuple(truth["class_dict"][str(c)] for c in range(20))
    count = truth["num_segments"]
    activations = []
    for video, snippets, cas, score in zip(stored["names"], stored["vid_num_seg"], stored["cas_supp"], stored["score_supp"]):
        seconds = 16 * int(snippets) / truth["fps"]
        stream = StreamActivation(None, cas[:, :-1], score[:-1].astype(float))
        activations.append(Activation(str(video), classes, Timeline(0.0, seconds / count, count, seconds), {JOINT: stream}))
    settings = replace(resolve("basnet", "thumos14").localization, official=True)
    assert (settings.class_threshold, settings.upsample, settings.nms) == (truth["class_thresh"], truth["scale"], truth["nms"])
    np.testing.assert_allclose(settings.thresholds, truth["act_thresh"], atol=1e-12)
    found = localize(activations, settings)
    for video, theirs in truth["results"].items():
        mine = sorted((d.label, d.start, d.end, d.score) for d in found[video])
        expected = sorted((d["label"], *d["segment"], d["score"]) for d in theirs)
        assert [d[0] for d in mine] == [d[0] for d in expected], video
        np.testing.assert_allclose([d[1:3] for d in mine], [d[1:3] for d in expected], rtol=0, atol=1e-9, err_msg=video)
        np.testing.assert_allclose([d[3] for d in mine], [d[3] for d in expected], rtol=0, atol=1e-5, err_msg=video)
    assert sum(map(len, found.values())) == sum(map(len, truth["results"].values()))

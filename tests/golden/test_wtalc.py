"""Forward passes, losses, gradients and optimizer steps of the released W-TALC code, and the segments it cuts."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.localization import localize
from untrimmed.methods import wtalc
from untrimmed.methods.base import resolve

NAMES = {"fc": "embedding", "classifier": "classifier"}  # the released code makes a layer `fc1` besides, but does not use it
CONFIG = resolve("wtalc", "thumos14").method
PAIRS = 3


def ours(weights: dict[str, torch.Tensor], group: str) -> dict[str, torch.Tensor]:
    """The released code's parameters of one group under our names."""
    names = {f"{group}.{their}.{kind}": f"{our}.{kind}" for their, our in NAMES.items() for kind in ("weight", "bias")}
    return {our: weights[their] for their, our in names.items()}


@pytest.fixture(scope="module")
def recorded(golden):
    inputs = np.load(golden / "wtalc_inputs.npz")
    shape = inputs["dropout_keep_mask_shape"]
    keep = np.unpackbits(inputs["dropout_keep_mask"])[: np.prod(shape)].reshape(shape)
    return {"weights": load_file(golden / "wtalc_weights_grads.safetensors"), "keep": keep} | {
        name: inputs[name] for name in ("features", "labels", "seq_len")
    }


def fresh_net(recorded, dtype=torch.float64) -> wtalc.Net:
    weights = ours(recorded["weights"], "init")
    outputs, hidden = weights["classifier.weight"].shape
    net = wtalc.Net(weights["embedding.weight"].shape[1], hidden, outputs)
    net.load_state_dict(weights)
    return net.to(dtype)


def batch(recorded, step, dtype=torch.float64):
    length = torch.from_numpy(recorded["seq_len"][step])
    x, labels = (torch.from_numpy(recorded[name][step]).to(dtype) for name in ("features", "labels"))
    return x[:, : int(length.max())], length, labels, torch.from_numpy(recorded["keep"][step])


def train(recorded, dtype=torch.float64):
    """The released `train`, as often as there are batches; losses, first gradients and the final net."""
    net = fresh_net(recorded, dtype)
    optimizer = torch.optim.Adam(net.parameters(), CONFIG.learning_rate, weight_decay=CONFIG.weight_decay)
    losses: list[dict[str, float]] = []
    grads: dict[str, torch.Tensor] = {}
    for step in range(len(recorded["features"])):
        x, length, labels, keep = batch(recorded, step, dtype)
        found = wtalc.losses_of(net, x, length, labels, keep, PAIRS, CONFIG)
        optimizer.zero_grad()
        found["total"].backward()
        if step == 0:
            grads = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
        optimizer.step()
        losses.append({name: loss.item() for name, loss in found.items()})
    return losses, grads, net


def test_forward(golden, recorded):
    truth = np.load(golden / "wtalc_forward_step0.npz")
    x, _, _, keep = batch(recorded, 0)
    embedded, logit = fresh_net(recorded)(x, keep, CONFIG.dropout)
    np.testing.assert_allclose(embedded.detach(), truth["embedded"], rtol=1e-5, atol=1e-6)  # kept as float32
    np.testing.assert_allclose(logit.detach(), truth["logits"], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("precision", ["f64", "f32"])
def test_losses_gradients_and_parameters(golden, recorded, precision):
    truth = json.loads((golden / "wtalc_losses.json").read_text())
    losses, grads, net = train(recorded, {"f64": torch.float64, "f32": torch.float32}[precision])
    tolerance = {"f64": 1e-10, "f32": 2e-6}[precision]
    for mine, theirs in (("mil", "milloss"), ("cas", "casloss"), ("total", "total_loss")):
        np.testing.assert_allclose([step[mine] for step in losses], truth["losses_f64"][theirs], rtol=tolerance, err_msg=mine)
    after = dict(net.named_parameters())
    for name, value in ours(recorded["weights"], "grad0").items():
        if precision == "f64":
            torch.testing.assert_close(grads[name].float(), value, rtol=1e-6, atol=1e-9)
        else:
            assert (grads[name] - value).norm() / value.norm() < 10 * truth["max_rel_grad_diff_f32_f64"], name
    for name, value in ours(recorded["weights"], "after5").items():
        found = after[name].detach().float()
        if precision == "f64":
            torch.testing.assert_close(found, value, rtol=1e-6, atol=1e-9)
        else:
            assert (found - value).square().mean().sqrt() < 10 * truth["max_abs_param5_diff_f32_f64"], name


def test_segments(golden):
    """The preset's settings cut the released code's scores into the released code's segments."""
    stored = np.load(golden / "wtalc_det_cas.npz")
    logits = np.split(stored["cas_int8_x16"].astype(np.float32) / 16, np.cumsum(stored["lengths"])[:-1])
    classes = tuple(map(str, stored["class_names"]))
    activations = [
        # A snippet lasts a second, so that times are snippets.
        Activation(
            str(video),
            classes,
            Timeline(0.0, 1.0, len(logit), float(len(logit))),
            {wtalc.JOINT: StreamActivation(None, logit, np.zeros(len(classes)))},
        )
        for video, logit in zip(stored["names"], logits, strict=True)
    ]
    found = localize(activations, resolve("wtalc", "thumos14").localization)
    theirs = json.loads((golden / "wtalc_det_detections.json").read_text())
    for video, *segments in theirs:
        mine = sorted((d.label, d.start, d.end, d.score) for d in found[video])
        segments = sorted(map(tuple, segments))
        assert [s[:3] for s in mine] == [s[:3] for s in segments], video
        assert all(math.isclose(a[3], b[3], abs_tol=1e-5) for a, b in zip(mine, segments, strict=True)), video
    assert sum(map(len, found.values())) == sum(len(segments) for _, *segments in theirs)

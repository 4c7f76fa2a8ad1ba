"""Forward pass, losses, gradients and optimizer steps of the released CMCS code, and the segments it cuts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.localization import localize
from untrimmed.methods import cmcs
from untrimmed.methods.base import JOINT, resolve

CONFIG = resolve("cmcs", "thumos14").method


def ours(weights: dict[str, torch.Tensor], group: str) -> dict[str, torch.Tensor]:
    """The released code's parameters of one group under our names; its convolutions over one snippet are linear layers here."""
    names = {"base.base_conv_0": "embedding", "att_bottom.att_conv_0": "attention_hidden", "att_head": "attention_out"}
    for n in range(CONFIG.branches):
        names |= {f"cls_bottoms.{n}.cls_b{n}_conv_0": f"branches.{n}", f"cls_heads.{n}": f"classifier.{n}"}
    found = {f"{our}.{kind}": weights[f"{group}.{their}.{kind}"] for their, our in names.items() for kind in ("weight", "bias")}
    return {name: value.squeeze(-1) if value.ndim == 3 and "branches" not in name else value for name, value in found.items()}


@pytest.fixture(scope="module")
def recorded(golden):
    inputs = np.load(golden / "cmcs_inputs.npz")
    shape = inputs["keep_shape"]
    keep = torch.from_numpy(np.unpackbits(inputs["keep_channels"])[: np.prod(shape)].reshape(shape))
    videos = [torch.from_numpy(inputs[f"video_{n:02}"]) for n in range(len(keep))]
    return {"videos": videos, "keep": keep} | {name: torch.from_numpy(inputs[name]) for name in ("labels", "weights")}


@pytest.fixture(scope="module")
def weights(golden):
    return load_file(golden / "cmcs_weights_grads.safetensors")


def fresh_net(weights, dtype) -> cmcs.Net:
    start = ours(weights, "init")
    net = cmcs.Net(start["embedding.weight"].shape[1], len(start["classifier.0.weight"]), CONFIG)
    net.load_state_dict(start)
    return net.to(dtype)


def test_forward(golden, recorded, weights):
    truth = np.load(golden / "cmcs_forward_video0.npz")
    x = recorded["videos"][0].double() * recorded["keep"][0] / (1 - CONFIG.dropout)
    attention, scores = fresh_net(weights, torch.float64)(x.unsqueeze(0))
    np.testing.assert_allclose(scores.detach(), truth["branch_scores"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(attention.softmax(1).detach(), truth["att_weight"][..., 0], rtol=1e-9)
    pooled = attention.softmax(1).unsqueeze(1) @ scores.mean(0)
    np.testing.assert_allclose(pooled[:, 0].detach(), truth["global_score"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("precision", ["f64", "f32"])
def test_losses_gradients_and_parameters(golden, recorded, weights, precision):
    """The code accumulates its batches video by video; here they are padded to one length."""
    truth = json.loads((golden / "cmcs_losses.json").read_text())
    assert (CONFIG.learning_rate, CONFIG.weight_decay, CONFIG.diversity) == tuple(
        truth[name] for name in ("lr", "weight_decay", "diversity_weight")
    )
    dtype, tolerance = {"f64": (torch.float64, 1e-8), "f32": (torch.float32, 1e-5)}[precision]
    net, size = fresh_net(weights, dtype), truth["batch_size_accumulated"]
    optimizer = torch.optim.Adam(net.parameters(), CONFIG.learning_rate, weight_decay=CONFIG.weight_decay)
    for step in range(len(recorded["videos"]) // size):
        chosen = slice(step * size, (step + 1) * size)
        videos = recorded["videos"][chosen]
        length = torch.tensor([len(video) for video in videos])
        x = torch.nn.utils.rnn.pad_sequence([video.to(dtype) for video in videos], batch_first=True)
        given = length, recorded["labels"][chosen], recorded["weights"][chosen].to(dtype), recorded["keep"][chosen]
        losses = cmcs.losses_of(net, x, *given, CONFIG)
        optimizer.zero_grad()
        losses["total"].backward()
        if step == 0 and precision == "f64":
            for name, value in ours(weights, "grad0").items():
                torch.testing.assert_close(dict(net.named_parameters())[name].grad.float(), value, rtol=1e-5, atol=1e-10)
        optimizer.step()
        for mine, theirs in (("cls", "cls"), ("div", "div"), ("norm", "norm"), ("total", "sum")):
            found = losses[mine].item() / size
            assert np.isclose(found, truth["per_step_f64"][f"Loss_{theirs}_ps"][step], rtol=tolerance), (mine, step)
    for name, value in ours(weights, "after5").items():
        found = dict(net.named_parameters())[name].detach().float()
        assert (found - value).square().mean().sqrt() < {"f64": 1e-8, "f32": 1e-6}[precision], name


def test_segments(golden):
    """The preset's settings cut the released code's scores into the released code's segments."""
    stored, truth = np.load(golden / "cmcs_det_cas.npz"), json.loads((golden / "cmcs_det.json").read_text())
    classes = tuple(truth["class_order"][str(c)] for c in range(20))
    activations = []
    for video, about in truth["videos"].items():
        score, logit = stored[f"{video}_global_score"].astype(float), stored[f"{video}_avg_score"].astype(float)
        score = np.exp(score - score.max())
        stream = StreamActivation(None, logit[:, :-1] - logit[:, -1:], (score / score.sum())[:-1])
        step = truth["sample_rate"] / about["frame_rate"]
        activations.append(Activation(video, classes, Timeline(0.0, step, len(logit), about["duration"]), {JOINT: stream}))
    settings = replace(resolve("cmcs", "thumos14").localization, official=True)
    found = localize(activations, settings)
    theirs = truth["results"]["default_thumos"]["detections"]
    for video in truth["videos"]:
        mine = sorted((d.label, d.start, d.end, d.score) for d in found[video])
        expected = sorted((truth["class_index_thumos"][str(c)], a, b, s) for name, a, b, c, s in theirs if name == video)
        assert [d[0] for d in mine] == [d[0] for d in expected], video
        np.testing.assert_allclose([d[1:3] for d in mine], [d[1:3] for d in expected], rtol=0, atol=1e-9, err_msg=video)
        np.testing.assert_allclose([d[3] for d in mine], [d[3] for d in expected], rtol=0, atol=1e-5, err_msg=video)
    assert sum(map(len, found.values())) == len(theirs)

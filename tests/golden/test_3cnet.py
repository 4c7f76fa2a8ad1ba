"""Forward pass, losses, gradients and optimizer steps of the released 3C-Net code, and the segments it cuts."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.localization import localize
from untrimmed.methods import threecnet
from untrimmed.methods.base import JOINT, resolve

CONFIG = replace(resolve("3cnet", "thumos14").method, official=True)
STREAMS = {"rgb": "r", "flow": "f"}
LAYERS = {"first": "fc", "second": "fc1", "classifier": "classifier"}


def ours(weights, group, centers="centers_{}"):
    """The released code's parameters of one group under our names: of the net, and the centres."""
    net = {}
    for our, their in STREAMS.items():
        for layer, name in LAYERS.items():
            net |= {f"streams.{our}.{layer}.{kind}": weights[f"{group}.{name}_{their}.{kind}"] for kind in ("weight", "bias")}
        net[f"classifier.weights.{our}"] = weights[f"{group}.mul_{their}"]
    return net, {our: weights[f"{group}.{centers.format(their)}"] for our, their in STREAMS.items()}


@pytest.fixture(scope="module")
def recorded(golden):
    inputs = np.load(golden / "3cnet_inputs.npz")
    shape = inputs["keep_shape"]
    keep = {s: np.unpackbits(inputs[f"keep_{t}"])[: np.prod(shape)].reshape(shape) for s, t in STREAMS.items()}
    return {name: inputs[name] for name in inputs} | {
        "keep": keep,
        "saved": load_file(golden / "3cnet_weights_grads.safetensors"),
        "truth": json.loads((golden / "3cnet_losses.json").read_text()),
    }


def fresh(recorded, dtype):
    weights, centers = ours(recorded["saved"], "init")
    hidden, width = weights["streams.rgb.first.weight"].shape
    net = threecnet.Net(dict.fromkeys(STREAMS, width), len(weights["classifier.weights.rgb"]), replace(CONFIG, hidden=hidden))
    net.load_state_dict(weights)
    return net.to(dtype), torch.nn.ParameterDict(centers).to(dtype)


def batch_of(recorded, step, number, dtype):
    """What the code sees in its step `number` of the recorded batch `step`; of 101 classes 20 have counts."""
    length, keep = torch.from_numpy(recorded["seq_len"][step]), recorded["keep"]
    x = torch.from_numpy(recorded["features"][step]).to(dtype)[:, : int(length.max())]
    half, counts = x.shape[-1] // 2, None
    if number % 2 == 0:
        counts = torch.full((len(x), 101), math.nan, dtype=dtype)
        counts[:, recorded["labels101to20"]] = torch.from_numpy(recorded["counts"][step]).to(dtype)
    return threecnet.Batch(
        {"rgb": x[..., :half], "flow": x[..., half:]},
        length,
        torch.from_numpy(recorded["labels"][step]).to(dtype),
        {stream: torch.from_numpy(mask[step])[:, : x.shape[1]] for stream, mask in keep.items()},
        counts,
        number >= CONFIG.single_label_steps,
    )


def test_forward(golden, recorded):
    truth = np.load(golden / "3cnet_forward_itr1.npz")
    net, _ = fresh(recorded, torch.float64)
    batch = batch_of(recorded, 0, 1, torch.float64)
    scores = {}
    for stream, their in STREAMS.items():
        embedded, scores[stream] = net.streams[stream](batch.x[stream], batch.keep[stream], CONFIG.dropout)
        np.testing.assert_allclose(embedded.detach(), truth[f"x_{their}"], rtol=1e-5, atol=1e-6)  # kept as float32
        np.testing.assert_allclose(scores[stream].detach(), truth[f"cls_{their}"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.classifier(scores).detach(), truth["tcam"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("part", "after"), [("A", "after5"), ("B", "after_6000_6001")])
def test_losses_gradients_and_parameters(recorded, part, after):
    """A: the first five steps, of videos of a single label; B: steps after the 5,000th, of all videos."""
    truth, numbers = recorded["truth"], recorded["truth"][f"itrs_{part}"]
    theirs = truth[f"losses_{part}_f64"]
    net, centers = fresh(recorded, torch.float64)
    optimizer = torch.optim.Adam(net.parameters(), CONFIG.learning_rate, weight_decay=CONFIG.weight_decay)
    center_optimizer = torch.optim.SGD(centers.parameters(), CONFIG.center_rate)
    counts = []
    for step, number in enumerate(numbers):
        batch = batch_of(recorded, step, number, torch.float64)
        losses = threecnet.losses_of(net, centers, batch, CONFIG)
        threecnet.step_of(losses["total"], optimizer, center_optimizer, CONFIG.center)
        if step == 0:
            grads, center_grads = ours(recorded["saved"], f"grad_itr{number}", "centers_{}_x1000")
            for name, value in grads.items():
                torch.testing.assert_close(dict(net.named_parameters())[name].grad.float(), value, rtol=1e-6, atol=1e-9)
            for stream, value in center_grads.items():
                torch.testing.assert_close(centers[stream].grad.float(), value, rtol=1e-6, atol=1e-6)
        assert np.isclose(losses["cls"].item(), sum(theirs["cls"][3 * step : 3 * step + 3]), rtol=1e-10)
        assert np.isclose(losses["center"].item(), sum(theirs["center"][2 * step : 2 * step + 2]), rtol=1e-10)
        assert np.isclose(losses["total"].item(), theirs["total"][step], rtol=1e-10)
        counts += [losses["count"].item()] if "count" in losses else []
    np.testing.assert_allclose(counts, theirs["count"], rtol=1e-10)
    weights, ends = ours(recorded["saved"], after)
    for name, value in weights.items():
        torch.testing.assert_close(dict(net.named_parameters())[name].detach().float(), value, rtol=1e-6, atol=1e-9)
    for stream, value in ends.items():
        torch.testing.assert_close(centers[stream].detach().float(), value, rtol=1e-6, atol=1e-6)


def test_float32_is_as_near_as_the_released_code_is(recorded):
    theirs = recorded["truth"]["losses_A_f64"]["total"][0]
    net, centers = fresh(recorded, torch.float32)
    losses = threecnet.losses_of(net, centers, batch_of(recorded, 0, 1, torch.float32), CONFIG)
    losses["total"].backward()
    assert np.isclose(losses["total"].item(), theirs, rtol=2e-6)
    for name, value in ours(recorded["saved"], "grad_itr1", "centers_{}_x1000")[0].items():
        found = dict(net.named_parameters())[name].grad
        assert (found - value).norm() / value.norm() < 10 * recorded["truth"]["max_rel_grad_diff_f32_f64"], name


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
            {JOINT: StreamActivation(None, logit, np.zeros(len(classes)))},
        )
        for video, logit in zip(stored["names"], logits, strict=True)
    ]
    found = localize(activations, resolve("3cnet", "thumos14").localization)
    theirs = json.loads((golden / "3cnet_detections.json").read_text())
    for video, *segments in theirs:
        mine = sorted((d.label, d.start, d.end, d.score) for d in found[video])
        segments = sorted(map(tuple, segments))
        assert [s[:3] for s in mine] == [s[:3] for s in segments], video
        assert all(math.isclose(a[3], b[3], abs_tol=1e-5) for a, b in zip(mine, segments, strict=True)), video
    assert sum(len(found[video]) for video, *_ in theirs) == sum(len(segments) for _, *segments in theirs)

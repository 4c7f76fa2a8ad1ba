"""Forward passes, losses, gradients and optimizer steps of the released DGAM code, in double precision."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from untrimmed.methods import dgam
from untrimmed.training.data import stratified_sampling, uniform_sampling

NAMES = {
    "att_head.fc1": "attention_hidden",
    "att_head.fc2": "attention_out",
    "clf_head.fc1": "classifier",
    **{f"c{half}coder.fc{n}": f"cvae.{half}coder.{n - 1}" for half in ("en", "de") for n in (1, 2, 3)},
}


def ours(theirs: str) -> str:
    """The released code's parameter name as ours."""
    name = theirs.removeprefix("model.").removeprefix("cvae.")
    layer, kind = name.rsplit(".", 1)
    return f"{NAMES[layer]}.{kind}"


def config_of(setting: dict) -> dgam.Config:
    """The weights that the released code has for a dataset and a stream (methods' facts, in the presets as well)."""
    if setting["dataset"] == "THUMOS14":
        return dgam.Config(reconstruction={"rgb": 0.5, "flow": 0.3}[setting["modality"]])
    return dgam.Config(
        foreground={"rgb": 1.0, "flow": 0.3}[setting["modality"]], background=1.0, reconstruction=0.1, ramp_reconstruction=False
    )


@pytest.fixture(scope="module")
def inputs(golden):
    files = {name: np.load(golden / f"dgam_train_{name}.npz") for name in ("inputs", "noise", "forward_step0", "guidance_step0")}
    return {name: {key: file[key] for key in file.files} for name, file in files.items()}


def fresh_net(golden, dtype=torch.float64) -> dgam.StreamNet:
    net = dgam.StreamNet(1024, 20, dgam.Config())
    net.load_state_dict({ours(k): v for k, v in load_file(golden / "dgam_train_init.safetensors").items()})
    return net.to(dtype)


def tensors(inputs, step, dtype=torch.float64):
    x = torch.from_numpy(inputs["inputs"]["features"][step]).to(dtype)
    labels = torch.from_numpy(inputs["inputs"]["labels"][step][:, :-1]).to(dtype)
    noise = [torch.from_numpy(inputs["noise"][f"eps_{stage}_stage"][step]).to(dtype) for stage in ("cvae", "model")]
    return x, labels, *noise


def train(golden, inputs, setting, dtype=torch.float64):
    """Five VAE steps, then five model steps, as the released `train` does; losses, first gradients and the final net."""
    net, config = fresh_net(golden, dtype), config_of(setting)
    ramp = min(setting["epoch"], 300) / 300
    losses, grads = {"cvae": [], "model": []}, {}
    for stage, parameters in (("cvae", list(net.cvae.parameters())), ("model", net.discriminative_parameters())):
        optimizer = torch.optim.Adam(parameters, 1e-3, dgam.ADAM_BETAS)
        for step in range(5):
            x, labels, cvae_noise, model_noise = tensors(inputs, step, dtype)
            if stage == "cvae":
                found = dgam.cvae_stage(net, x, cvae_noise, config, ramp)
            else:
                found = dgam.model_stage(net, x, labels, model_noise, config, ramp)
            optimizer.zero_grad()
            found["total"].backward()
            if step == 0:
                grads |= {n: p.grad.clone() for n, p in net.named_parameters() if n.startswith("cvae.") == (stage == "cvae")}
            optimizer.step()
            losses[stage].append({name: loss.item() for name, loss in found.items()})
    return losses, grads, net


def settings(golden):
    return json.loads((golden / "dgam_train_losses.json").read_text())


def test_forward_of_the_vae_stage(golden, inputs):
    net, truth = fresh_net(golden), inputs["forward_step0"]
    x, _, noise, _ = tensors(inputs, 0)
    attention = net.attention_logit(x).sigmoid()
    mean, log_variance = net.cvae.encode(x, attention)
    z = mean + noise * (0.5 * log_variance).exp()
    np.testing.assert_allclose(attention.detach(), truth["attention_cvae_stage"][..., 0], rtol=1e-10)
    for name, value in (("mu", mean), ("logvar", log_variance), ("z", z), ("recon", net.cvae.decode(z, attention))):
        np.testing.assert_allclose(value.detach(), truth[f"cvae_{name}"], rtol=1e-5, atol=1e-6, err_msg=name)  # kept as float32


def test_forward_of_the_model_stage(golden, inputs):
    truth = inputs["forward_step0"]
    first = next(iter(settings(golden).values()))
    net, config = fresh_net(golden), config_of(first)
    optimizer = torch.optim.Adam(net.cvae.parameters(), 1e-3, dgam.ADAM_BETAS)
    for step in range(5):  # the VAE of the recorded model stage has been through its own five steps
        x, labels, noise, _ = tensors(inputs, step)
        optimizer.zero_grad()
        dgam.cvae_stage(net, x, noise, config, min(first["epoch"], 300) / 300)["total"].backward()
        optimizer.step()
    x, labels, _, noise = tensors(inputs, 0)
    attention = net.attention_logit(x).sigmoid()
    fg, bg = dgam.foreground_background(x, attention)
    reconstruction = net.cvae.decode(attention.unsqueeze(-1) + noise, attention)
    for name, value in (
        ("feature_fg", fg),
        ("feature_bg", bg),
        ("logits_fg", net.classifier(fg)),
        ("logits_bg", net.classifier(bg)),
    ):
        np.testing.assert_allclose(value.detach(), truth[name], rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(reconstruction.detach(), truth["recon_inference_stage"], rtol=1e-4, atol=1e-5)
    smooth = dgam.smoothing(x.shape[1]) @ F.linear(x, net.classifier.weight).softmax(-1)
    np.testing.assert_allclose(smooth.detach(), inputs["guidance_step0"]["tcam_smoothed"], rtol=1e-10)
    g_fg, g_bg = dgam.guidance(F.linear(x, net.classifier.weight), labels)
    np.testing.assert_allclose(g_fg, inputs["guidance_step0"]["guidance_fg"], rtol=1e-10)
    np.testing.assert_allclose(g_bg, inputs["guidance_step0"]["guidance_bg"], rtol=1e-10)


def test_losses_gradients_and_parameters_of_every_setting(golden, inputs):
    for name, setting in settings(golden).items():
        losses, grads, net = train(golden, inputs, setting)
        theirs = setting["f64"]
        pairs = {"cvae": {"kl": "kld", "mse": "mse", "cvae": "loss_cvae", "total": "total"}}
        pairs["model"] = {"fg": "loss_fg", "bg": "loss_bg", "guide": "loss_guide", "re": "loss_recon", "total": "total"}
        for stage, names in pairs.items():
            for mine, their in names.items():
                found = [step[mine] for step in losses[stage]]
                np.testing.assert_allclose(found, theirs[f"{stage}_stage"][their], rtol=1e-10, err_msg=f"{name} {stage} {mine}")
        for their, norm in setting["grad_norms_step0"].items():
            assert math.isclose(grads[ours(their)].norm().item(), norm, rel_tol=1e-8), (name, their)
        for kind, found in (("grads_step0", grads), ("params_after5", dict(net.named_parameters()))):
            file = golden / f"dgam_train_{name.removesuffix('_ep150')}_ep150_{kind}.safetensors"
            if not file.exists():
                continue
            for their, value in load_file(file).items():
                torch.testing.assert_close(
                    found[ours(their)].detach().float(), value, rtol=1e-6, atol=1e-9, msg=f"{name} {kind} {their}"
                )


def test_single_precision_is_as_close_as_the_released_code_is_to_itself(golden, inputs):
    for name, setting in settings(golden).items():
        losses, grads, net = train(golden, inputs, setting, torch.float32)
        _, exact_grads, exact = train(golden, inputs, setting)
        for stage in ("cvae", "model"):
            found, theirs = ([step["total"] for step in losses[stage]], setting["f64"][f"{stage}_stage"]["total"])
            np.testing.assert_allclose(found, theirs, rtol=2e-6, err_msg=name)
        worst = max(((grads[n] - exact_grads[n]).norm() / exact_grads[n].norm()).item() for n in grads)
        assert worst < 10 * setting["max_rel_grad_diff_f32_f64"], name
        difference = torch.cat([(p - q).flatten() for p, q in zip(net.parameters(), exact.parameters())])
        assert difference.square().mean().sqrt().item() < 10 * setting["max_rms_param5_diff_f32_f64"], name


def test_sampling(golden):
    cases = np.load(golden / "dgam_sampling.npz")
    for key in cases.files:
        kind, length, count = key.split("_")
        length, count = int(length), int(count)
        if kind == "uniform":
            found = uniform_sampling(length, count)
        else:
            found = stratified_sampling(length, count, np.random.RandomState(length))
        np.testing.assert_array_equal(found, cases[key], err_msg=key)


def test_whole_inference_from_features(golden):
    official = json.loads((golden / "dgam_inf.json").read_text())
    features, arrays = np.load(golden / "dgam_inf_features_v00_v01.npz"), np.load(golden / "dgam_inf_arrays.npz")
    method = dgam.DGAM(dgam.Config(), tuple(official["class_names"]), {"rgb": 1024, "flow": 1024})
    for stream in ("rgb", "flow"):
        weights = load_file(golden / f"dgam_inf_model_{stream}.safetensors")
        method.streams[stream].load_state_dict({ours(k): v for k, v in weights.items()}, strict=False)
    for video in official["videos"][:2]:
        rows = {s: features[f"{video['name']}_{s}"] for s in ("rgb", "flow")}
        x = {s: torch.from_numpy(r[uniform_sampling(len(r), video["num_segments"])]) for s, r in rows.items()}
        with torch.no_grad():
            pooled = method.pool(x, method.curves(x))
        for stream, found in pooled.items():
            key = f"{video['name']}_{stream}"
            np.testing.assert_allclose(found.attention, arrays[f"{key}_attention"][:, 0], atol=2e-6)
            np.testing.assert_allclose(found.class_logit, arrays[f"{key}_tcam"], rtol=1e-5, atol=2e-5)
            np.testing.assert_allclose(found.class_score, arrays[f"{key}_class_prob"][:20], rtol=1e-4, atol=2e-6)

"""benchmarks/attention.py from one end to the other on a tiny store whose parts look nothing alike."""

import json

import numpy as np
import pytest
import torch

import attention
from untrimmed.data.annotations import VideoTruth, write_annotations
from untrimmed.data.labels import write_labels
from untrimmed.data.store import FeatureWriter, Header, VideoEntry
from untrimmed.data.types import Segment
from untrimmed.jobs.train import train
from untrimmed.methods.base import load_method

BRIEF = {"epochs": 4, "batch": 8, "hidden": 4, "latent": 4, "data": {"snippets": 12}}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Videos of background, context and an action, of twelve features each with its own pattern; two runs on them."""
    folder, random = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    kinds = 3 * np.abs(random.normal(size=(4, 12)))
    writer = FeatureWriter(folder / "features", Header("made-up", {}, 1.0, 1.0, {"rgb": 12}))
    truth, rows, parts = {}, [], {}
    for number in range(12):
        name, label, lengths = f"v{number:02}", number % 2, random.integers(3, 7, 3)
        x = kinds[np.repeat([2, 3, label], lengths)] + random.normal(0, 0.05, (lengths.sum(), 12))
        ends = [0, *np.cumsum(lengths).tolist()]
        writer.write(name, {"rgb": x.astype(np.float32)}, VideoEntry(ends[-1], float(ends[-1])))
        truth[name] = VideoTruth(("train", "test")[number >= 8], float(ends[-1]), (Segment(ends[2], ends[3], f"act{label}"),))
        parts[name] = [[kind, ends[i], int(lengths[i])] for i, kind in enumerate(("background", "context", f"act{label}"))]
        rows += [(name, f"act{label}")] if number < 8 else []
    writer.compact()
    write_annotations(folder / "annotations.json", truth, "demo")
    write_labels(folder / "labels.csv", rows)
    (folder / "parts.json").write_text(json.dumps(parts))
    for name, gam in (("on", True), ("off", False)):
        settings = BRIEF | {"gam": gam}
        train("dgam", features=folder / "features", labels=folder / "labels.csv", out=folder / name, settings=settings)
    return folder


def test_tables_and_plots(world, tmp_path, capsys):
    files = ["--features", world / "features", "--annotations", world / "annotations.json", "--parts", world / "parts.json"]
    options = ["--subset", "test", "--out", tmp_path, "--steps", 400, "--batch", 64]
    attention.main([str(word) for word in (world / "on", world / "off", *files, *options)])
    found = json.loads((tmp_path / "latents.json").read_text())
    assert set(found[str(world / "on")]) == {f"with generative modelling|{vae}|rgb" for vae in ("own", "afterwards")}
    (without,) = found[str(world / "off")].values()
    assert without["purity plane"] > without["purity chance"] + 0.2  # parts that look nothing alike lie apart
    assert 0 < without["error action"] < 1.5
    printed = capsys.readouterr().out
    assert "4 videos" in printed
    assert "| rgb | with generative modelling, own (1 runs) |" in printed
    assert "| gain action > context |" in printed
    assert {file.name for file in tmp_path.glob("*.png")} == {"on.rgb.own.png", "on.rgb.afterwards.png", "off.rgb.afterwards.png"}


def test_errors_are_those_of_the_reconstruction(world):
    net = load_method(world / "on" / "model").streams["rgb"]
    x, z, level = torch.rand(5, 12), torch.rand(5, 4), torch.rand(5)
    expected = [((net.cvae.decode(z[i], level[i]) - x[i]) ** 2).mean().item() for i in range(5)]
    assert attention.errors(net.cvae, z, level, x).tolist() == pytest.approx(expected, rel=1e-5)


def test_fitting_afterwards_lowers_the_loss_and_keeps_the_attention(world):
    method = load_method(world / "off" / "model")
    net, x = method.streams["rgb"], torch.rand(64, 12)
    short, long = (attention.fit_afterwards(net, method.config, x, steps, 64) for steps in (1, 200))
    level = attention.attention_of(net, x)
    assert torch.equal(attention.attention_of(long, x), level)
    before, after = (attention.errors(own.cvae, own.cvae.encode(x, level)[0], level, x).mean() for own in (short, long))
    assert after < 0.8 * before

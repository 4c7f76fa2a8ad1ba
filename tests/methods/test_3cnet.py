"""3C-Net's own parts, against slow and obvious versions; what it shares with all methods is tested in test_every_method."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.methods.planted import plant
from untrimmed.data.errors import InputError
from untrimmed.jobs.train import train
from untrimmed.methods import threecnet
from untrimmed.methods.base import carry_over, resolve
from untrimmed.methods.registry import presets_of

CONFIG = replace(resolve("3cnet").method, hidden=4)


def random_batch(several=True):
    rng = torch.Generator().manual_seed(0)
    labels = torch.tensor([[1.0, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=torch.float64)
    length = torch.tensor([9, 5, 3])
    x = {name: torch.randn(3, 9, width, generator=rng, dtype=torch.float64) for name, width in (("rgb", 5), ("flow", 6))}
    keep = {name: torch.rand(3, 9, 4, generator=rng) >= CONFIG.dropout for name in x}
    counts = torch.tensor([[2.0, 0, math.nan], [0, 7, 0], [0, 0, 0]], dtype=torch.float64)  # 7 in 5 snippets cannot be
    return threecnet.Batch(x, length, labels, keep, counts, several)


def random_net():
    torch.manual_seed(0)
    net = threecnet.Net({"rgb": 5, "flow": 6}, 4, CONFIG).double()
    for weight in net.classifier.weights.values():
        torch.nn.init.uniform_(weight)
    return net, {name: torch.randn(3, 4, dtype=torch.float64) for name in ("rgb", "flow")}


def softmax(x):
    e = np.exp(x - x.max(0))
    return e / e.sum(0)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("official", [False, True])
def test_the_losses_are_those_of_the_paper(several, official):
    batch, (net, centers) = random_batch(several), random_net()
    config = replace(CONFIG, official=official)
    told = {name: net.streams[name](x, batch.keep[name], CONFIG.dropout) for name, x in batch.x.items()}
    tcam = sum(net.classifier.weights[name] * score for name, (_, score) in told.items()).detach().numpy()
    cls, center, count = 0.0, 0.0, 0.0
    rows = [n for n in range(3) if batch.length[n] >= 5 or not official]
    for score in (*(score.detach().numpy() for _, score in told.values()), tcam):
        for n in rows:
            t = int(batch.length[n])
            top = np.sort(score[n, :t], axis=0)[::-1][: math.ceil(t / 8)].mean(0)
            target = np.append(batch.labels[n], float(not batch.labels[n].any()))
            cls -= target / target.sum() @ np.log(softmax(top)) / len(rows)
    for name, (embedded, score) in told.items():
        distances = []
        for n in range(3):
            own, t = np.flatnonzero(batch.labels[n]), int(batch.length[n])
            for c in own if several or len(own) == 1 else ():
                attention = softmax(score[n, :t, c].detach().numpy())
                attention[attention < attention.mean()] = 0
                feature = attention @ embedded[n, :t].detach().numpy() / attention.sum()
                distances.append(((feature - centers[name][c].numpy()) ** 2).sum() * (c if official else 1))
        center += sum(distances) / len(distances) ** 2
    for n in range(3):
        t = int(batch.length[n])
        for c in range(3):
            found, true = tcam[n, :t, c] @ softmax(tcam[n, :t, c]), batch.counts[n, c].item()
            if not math.isnan(true):
                count += (abs(found - true) / true if 0 < true < t else 0.001 * abs(found)) / 3
    losses = threecnet.losses_of(net, centers, batch, config)
    assert math.isclose(losses["cls"].item(), cls, rel_tol=1e-10)
    assert math.isclose(losses["center"].item(), center, rel_tol=1e-10)
    assert math.isclose(losses["count"].item(), count, rel_tol=1e-10)
    assert math.isclose(losses["total"].item(), cls + 1e-3 * center + count, rel_tol=1e-10)


def test_gradients_by_finite_differences():
    batch, (net, centers) = random_batch(), random_net()

    def total(rgb, flow, *of_centers):
        given = replace(batch, x={"rgb": rgb, "flow": flow})
        return threecnet.losses_of(net, dict(zip(centers, of_centers)), given, CONFIG)["total"]

    inputs = [*batch.x.values(), *centers.values()]
    assert torch.autograd.gradcheck(total, tuple(x.requires_grad_() for x in inputs), fast_mode=True)


def test_a_step_moves_the_centres_by_their_own_loss_whatever_its_weight():
    moved = []
    for weight in (1e-3, 0.5):
        net, centers = random_net()
        centers = {name: torch.nn.Parameter(center) for name, center in centers.items()}
        optimizers = torch.optim.Adam(net.parameters(), 1e-4), torch.optim.SGD(centers.values(), 0.1)
        losses = threecnet.losses_of(net, centers, random_batch(), replace(CONFIG, center=weight))
        threecnet.step_of(losses["total"], *optimizers, weight)
        moved.append(centers["rgb"].detach())
    torch.testing.assert_close(*moved)
    assert not torch.equal(moved[0], random_net()[1]["rgb"])


def test_another_run_takes_the_weights_of_the_classes_that_both_know():
    methods = []
    for classes in (("jump", "run"), ("run", "throw")):
        method = threecnet.ThreeCNet(replace(CONFIG, temporal=True), classes, {"rgb": 5})
        torch.nn.init.uniform_(method.net.classifier.weights["rgb"])
        methods.append(method)
    later, earlier = methods
    own = later.net.classifier.weights["rgb"].detach().clone()
    assert carry_over(later, earlier) == []
    weights, given = (method.net.classifier.weights["rgb"].tolist() for method in methods)
    assert weights == [own[0].item(), given[0], given[2]]  # jump; run; background
    assert torch.equal(later.net.classifier.temporal.weight[1], earlier.net.classifier.temporal.weight[0])


def with_counts(planted, file, wrong=""):
    """The planted problem's labels, and beside each how often the action happens; `wrong` in place of the first."""
    rows = ["video,label,count"]
    for video, truth in planted.subset("train").items():
        for label in sorted({s.label for s in truth.segments}) or [""]:
            count = sum(s.label == label for s in truth.segments) or ""
            rows.append(f"{video},{label},{wrong or count}")
    file.write_text("\n".join(rows))
    return file


def test_counts_beside_the_labels_are_learned_from(tmp_path, capsys):
    planted = plant(tmp_path / "problem", train=10, test=2)
    labels = with_counts(planted, tmp_path / "counts.csv")
    settings = {"epochs": 2, "hidden": 4, "batch": 4}
    logged, weights = {}, {}
    for name, file, more in (("with", labels, {}), ("without", planted.labels, {}), ("off", labels, {"count": 0.0})):
        run = train("3cnet", features=planted.features, labels=file, out=tmp_path / name, settings=settings | more).run
        logged[name] = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
        weights[name] = (run / "model" / "weights.safetensors").read_bytes()
        said = "how often each action happens" in capsys.readouterr().err
        assert said == (file == labels)
    assert "count" in logged["with"]
    assert "count" not in logged["without"]
    assert "count" not in logged["off"]
    assert weights["without"] == weights["off"] != weights["with"]


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5"])
def test_a_count_is_a_whole_number(wrong, tmp_path):
    planted = plant(tmp_path / "problem", train=10, test=2)
    labels = with_counts(planted, tmp_path / "counts.csv", wrong)
    with pytest.raises(InputError, match=rf"counts.csv, line \d+: the count '{wrong}' is no whole number from 1 on"):
        train("3cnet", features=planted.features, labels=labels, out=tmp_path / "run", settings={"epochs": 1})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("preset", "videos"), [("thumos14", 200), ("thumos14-101", 1010), ("activitynet-1.2", 4819), ("activitynet-1.3", 10_024)]
)
def test_presets_end_after_the_codes_fifty_thousand_steps(preset, videos):
    chosen = resolve("3cnet", preset).method
    assert abs(chosen.epochs * math.ceil(videos / chosen.batch) - 50_000) < 300
    assert {"default", "demo", "activitynet"} <= set(presets_of("3cnet"))


@pytest.mark.parametrize("preset", ["thumos14", "activitynet"])
def test_the_released_settings_train(preset, tmp_path):
    planted = plant(tmp_path / "problem", train=8, test=1, empty=0)
    labels = with_counts(planted, tmp_path / "counts.csv")
    settings = {"epochs": 3, "hidden": 4}
    run = train("3cnet", features=planted.features, labels=labels, out=tmp_path / "run", preset=preset, settings=settings).run
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [("count" in line) for line in lines] == [False, False, True]  # of a single step each, the third is due

"""Do the parts of DGAM, TCAM and TSRNet give more together than the best of the three alone?

`python benchmarks/candidates.py choose --splice SPLICE --worlds WORLD... --out OUT` trains every combination that was tried and
prints how well each localizes. `python benchmarks/candidates.py confirm --data DATA --out OUT` compares the chosen one with the
best of the three on each data set, with seeds and data that played no part in the choice.

No test annotation of splice, sfinge3d or cctv takes part in the choice. On splice a candidate learns from 120 of the 160 training
videos and is scored on the other 40 (drawn at random once, `splice-held-out.csv`); WORLD are folders as
`untrimmed demo --world-seed N` makes them, to which `trimmed-features` was added, the clips' features extracted as the world's own.
DATA is as for the experiments. The parts:

- TSRNet's attention is a softmax over time; `gate` makes it DGAM's, a sigmoid, whose shares of the video pool the features.
- `background` and `guide` are the weights of DGAM's L_bg and L_guide, which grow over `ramp` of the run; `reconstruction` that of
  L_re in units of the features' variance, for which DGAM's VAE learns in alternation, and with `clip_model` from clips too, whose
  attention is known to be 1. `clip_gate` is the weight of -log lambda on clips.
- `aggregation` puts TCAM's local-global block before the attention, or before all.
"""

import argparse
import csv
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.annotations import read_annotations, write_annotations
from untrimmed.data.files import atomic_write
from untrimmed.data.settings import of_stream, setting
from untrimmed.data.types import StreamActivation
from untrimmed.jobs.compare import compare
from untrimmed.methods import tcam, tsrnet
from untrimmed.methods.base import Method, SnippetScores
from untrimmed.methods.dgam import CVAE, guidance, loss_bg, loss_cvae, loss_guide, loss_re
from untrimmed.methods.tsrnet import Batch, loss_class, r_smooth
from untrimmed.nn.mmd import mmd2
from untrimmed.training import Run, TrainingSet

HELD_OUT = Path(__file__).with_name("splice-held-out.csv")
METRICS = ["mAP@0.3", "mAP@0.5", "mAP@0.7", "mAP@avg"]
GATE = {"gate": True}
CHOSEN = "gate, background 0.3, guide 0.3"
CANDIDATES: dict[str, dict[str, Any]] = {
    "TSRNet": {},
    "gate": GATE,
    "gate, background 0.1": GATE | {"background": 0.1},
    "gate, background 0.3": GATE | {"background": 0.3},
    "gate, background 1": GATE | {"background": 1.0},
    "gate, background 3": GATE | {"background": 3.0},
    "gate, background 1, no transfer": GATE | {"background": 1.0, "fc1": 0, "fc2": 0},
    "gate, background 1, smoothness 1": GATE | {"background": 1.0, "smoothness": 1.0},
    "gate, background 0.1, guide 0.1": GATE | {"background": 0.1, "guide": 0.1},
    "gate, background 0.1, guide 0.3": GATE | {"background": 0.1, "guide": 0.3},
    "gate, background 0.3, guide 0.3": GATE | {"background": 0.3, "guide": 0.3},
    "gate, background 0.3, guide 0.3, no ramp": GATE | {"background": 0.3, "guide": 0.3, "ramp": 0.0},
    "gate, background 1, guide 0.1": GATE | {"background": 1.0, "guide": 0.1},
    "gate, background 0.3, clip gate": GATE | {"background": 0.3, "clip_gate": 0.1},
    "gate, background 0.3, guide 0.3, clip gate": GATE | {"background": 0.3, "guide": 0.3, "clip_gate": 0.1},
    "the same, reconstruction": GATE | {"background": 0.3, "guide": 0.3, "clip_gate": 0.1, "reconstruction": 0.3},
    "gate, background 1, reconstruction": GATE | {"background": 1.0, "reconstruction": 0.3},
    "gate, background 1, reconstruction without clips": GATE | {"background": 1.0, "reconstruction": 0.3, "clip_model": False},
    "aggregation before the attention": {"aggregation": "attention"},
    "aggregation before all": {"aggregation": "all"},
}


@dataclass(frozen=True)
class Config(tsrnet.Config):
    """TSRNet's settings, and which parts of the others take part."""

    background: float = setting(0.0, "weight of L_bg", low=0)
    guide: float = setting(0.0, "weight of L_guide", low=0)
    ramp: float = setting(0.3, "share of the run over which the weights of L_bg, L_guide and L_re grow; 0 = at once", low=0, high=1)
    gate: bool = setting(False, "attention is a gate")
    clip_gate: float = setting(0.0, "weight of -log lambda on clips", low=0)
    reconstruction: float = setting(0.0, "weight of L_re over the features' variance; 0 = no VAE", low=0)
    clip_model: bool = setting(True, "the VAE learns from clips too")
    latent: int = setting(128, "width of the VAE", low=1)
    kl: float = setting(0.1, "beta of the VAE", low=0)
    aggregation: Literal["none", "attention", "all"] = setting(
        "none", "what stands behind TCAM's block", choices=("none", "attention", "all")
    )
    aggregation_hidden: int = setting(256, "width of X_e", low=8)
    aggregation_dropout: float = setting(0.5, "share of the channels left out before the block", low=0, high=0.9)


class Block(nn.Module):
    """TCAM's local-global feature aggregation block: [B, T, D] -> X_e [B, T, H]."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        half = max(hidden // 8, 1) * 4
        self.local = tcam.Convolution(width, hidden, dilation=1)
        self.pyramid = tcam.Pyramid(width, half)
        self.context = tcam.GlobalContext(width, half)
        self.fuse = tcam.Convolution(hidden + 2 * half, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(torch.cat([self.local(x).relu(), self.pyramid(x), self.context(x)], -1)).relu()


class StreamNet(nn.Module):
    """One stream's attention and classifier, and the VAE and the block where they take part."""

    def __init__(self, width: int, classes: int, config: Config) -> None:
        super().__init__()
        self.config = config
        seen = config.aggregation_hidden
        if config.aggregation != "none":
            self.block = Block(width, seen)
        attended = width if config.aggregation == "none" else seen
        self.attention_hidden = nn.Linear(attended, config.attention_hidden, bias=config.gate)
        self.attention_out = nn.Linear(config.attention_hidden, 1, bias=config.gate)
        self.fc1 = nn.Linear(seen if config.aggregation == "all" else width, config.hidden)
        self.classifier = nn.Linear(config.hidden, classes + 1)
        self.cvae = CVAE(width, config.latent) if config.reconstruction else None

    def see(self, x: Tensor, kept: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
        """What is classified, [..., T, .], and the attention's logit, [..., T]; `kept` scales the channels before the block."""
        extended = x if self.config.aggregation == "none" else self.block(x * kept)
        logit = self.attention_out(torch.tanh(self.attention_hidden(extended))).squeeze(-1)
        return extended if self.config.aggregation == "all" else x, logit

    def shares(self, logit: Tensor) -> Tensor:
        """The attention a, which sums to one over time."""
        if not self.config.gate:
            return logit.softmax(-1)
        gate = logit.sigmoid()
        return gate / gate.sum(-1, keepdim=True).clamp_min(1e-6)

    def hidden(self, m: Tensor) -> Tensor:
        return F.relu(self.fc1(m))

    def classify(self, h: Tensor, keep: Tensor) -> Tensor:
        return self.classifier(h * keep / (1 - self.config.dropout))


Noise = Callable[[str, Tensor], Any]
"""Random numbers of a step, by what they are for and the tensor that they go with."""


def losses(
    net: StreamNet, videos: Batch, clips: Batch | None, config: Config, ramp: float, variance: float, noise: Noise
) -> dict[str, Tensor]:
    """All terms and their weighted sum `total`."""
    features, logit = net.see(videos.x, noise("block", videos.x))
    a, gate = net.shares(logit), logit.sigmoid()
    m = (a.unsqueeze(1) @ features).squeeze(1)
    h = net.hidden(m)
    found = {"class": loss_class(net.classify(h, videos.keep), videos.labels), "smooth": r_smooth(a)}
    total = found["class"] + config.smoothness * a.shape[1] * found["smooth"]
    if config.background:
        rest = 1 - gate
        m_bg = ((rest / rest.sum(-1, keepdim=True).clamp_min(1e-6)).unsqueeze(1) @ features).squeeze(1)
        found["bg"] = loss_bg(net.classify(net.hidden(m_bg), videos.keep))
        total = total + ramp * config.background * found["bg"]
    if config.guide:
        with torch.no_grad():
            g_fg, g_bg = guidance(net.classifier(net.hidden(features)), videos.labels)
        found["guide"] = loss_guide(gate, g_fg, g_bg)
        total = total + ramp * config.guide * found["guide"]
    if net.cvae is not None:
        net.cvae.requires_grad_(False)
        found["re"] = loss_re(net, videos.x, gate, noise("model", gate)) / variance
        net.cvae.requires_grad_(True)
        total = total + ramp * config.reconstruction * found["re"]
    if clips is not None:
        clip_features, clip_logit = net.see(clips.x, noise("clip block", clips.x))
        clip_m = (net.shares(clip_logit).unsqueeze(1) @ clip_features).squeeze(1)
        clip_h, rows = net.hidden(clip_m), clips.classified
        found["trimmed_class"] = loss_class(net.classify(clip_h[rows], clips.keep[rows]), clips.labels[rows])
        total = total + found["trimmed_class"]
        if config.clip_gate:
            found["clip_gate"] = -F.logsigmoid(clip_logit[clips.acting]).mean()
            total = total + config.clip_gate * found["clip_gate"]
        for name, weight, t, u in (("fc1", config.fc1, clip_m, m), ("fc2", config.fc2, clip_h, h)):
            if weight:
                found[name] = mmd2(t[clips.acting], u[videos.acting])
                total = total + weight * found[name]
    return {"total": total, **found}


class Candidate(Method):
    """Without any of the parts it is TSRNet, presets and all.

    It is found by entry point, as a method of another package: candidates-1.0.dist-info says so where this folder is on the path.
    """

    name: ClassVar = "candidate"
    title: ClassVar = "parts of DGAM, TCAM and TSRNet together"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels", "trimmed"})
    reach: ClassVar = None

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        self.attention_kind = "gate" if config.gate else "distribution"
        nets = {name: StreamNet(width, len(classes), of_stream(config, name)) for name, width in streams.items()}
        self.streams = nn.ModuleDict(nets)

    def fit(self, data: TrainingSet, run: Run) -> None:
        self.train()
        for stream in self.widths:
            self._fit_stream(stream, data, run)
        self.eval()

    def _fit_stream(self, stream: str, data: TrainingSet, run: Run) -> None:
        config, net = of_stream(self.config, stream), self.streams[stream]
        assert data.labels is not None
        of_videos = tsrnet.Rows(data.labels, np.ones(len(data), dtype=bool), data.labels.sum(1) > 0)
        trimmed = tsrnet._useful(data.trimmed, config)
        of_clips = None if trimmed is None else tsrnet._rows_of_clips(trimmed, data.classes)
        steps = math.ceil(len(data) / config.batch)
        epochs = max(config.epochs, math.ceil(config.iterations / steps))
        model = [weight for name, weight in net.named_parameters() if not name.startswith("cvae.")]
        state: dict[str, Any] = {"net": net, "optimizer": torch.optim.Adam(model, config.learning_rate)}
        variance = 1.0
        if net.cvae is not None:
            state["cvae_optimizer"] = torch.optim.Adam(net.cvae.parameters(), 1e-3, (0.8, 0.999))
            x = data.sample(np.arange(len(data)), stream, np.random.default_rng(0))
            variance = float(x.flatten(0, 1).var(0).mean())

        def draw(what: str, source: TrainingSet, rows: tsrnet.Rows, chosen: np.ndarray) -> Batch:
            x = source.sample(chosen, stream, run.rng(f"{stream} snippets of {what}"))
            dropped = torch.rand((len(chosen), config.hidden), generator=run.torch_rng(f"{stream} dropout of {what}"))
            about = (torch.from_numpy(values[chosen]) for values in (rows.labels, rows.classified, rows.acting))
            return Batch(x, dropped >= config.dropout, *about)

        def noise_of(step: int) -> Noise:
            def noise(what: str, x: Tensor) -> Any:
                rng, share = run.torch_rng(f"{stream} {what} {step}"), config.aggregation_dropout
                if "block" not in what:
                    return torch.randn((*x.shape, config.latent), generator=rng)
                if config.aggregation == "none":
                    return 1.0
                return (torch.rand((len(x), 1, x.shape[2]), generator=rng) >= share) / (1 - share)

            return noise

        for epoch in run.loop(stream, epochs, **state):
            batches = np.array_split(run.rng(f"{stream} videos").permutation(len(data)), steps)
            clip_batches = tsrnet._batches_of_clips(trimmed, steps, config.batch, run.rng(f"{stream} clips")) if trimmed else []
            ramp = min((epoch + 1) / (config.ramp * epochs), 1.0) if config.ramp else 1.0
            for step, chosen in enumerate(batches):
                rate = tsrnet._learning_rate(epoch * steps + step, epochs * steps, config)
                state["optimizer"].param_groups[0]["lr"] = rate
                videos, clips = draw(f"videos {step}", data, of_videos, chosen), None
                if trimmed is not None and of_clips is not None:
                    clips = draw(f"clips {step}", trimmed, of_clips, clip_batches[step])
                noise = noise_of(step)
                if net.cvae is not None:
                    with torch.no_grad():
                        gate = net.see(videos.x)[1].sigmoid()
                    vae = loss_cvae(net, videos.x, gate, noise("cvae", gate), config.kl)[0]
                    if clips is not None and config.clip_model:
                        x = clips.x[clips.acting]
                        one = x.new_ones(x.shape[:2])
                        vae = vae + loss_cvae(net, x, one, noise("clip cvae", one), config.kl)[0]
                    _step(state["cvae_optimizer"], vae / variance)
                _step(state["optimizer"], losses(net, videos, clips, config, ramp, variance, noise)["total"])

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        found = {}
        for stream, x in features.items():
            net = self.streams[stream]
            seen, logit = net.see(x.unsqueeze(0))
            found[stream] = SnippetScores(logit[0], net.classifier(net.hidden(seen[0])))
        return found

    def pool(self, features: Mapping[str, Tensor], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        pooled = {}
        for stream, curve in curves.items():
            net, logit = self.streams[stream], curve.attention_logit
            assert logit is not None
            seen, _ = net.see(features[stream].unsqueeze(0))
            shares = net.shares(logit)
            attention = logit.sigmoid() if self.config.gate else shares
            score = net.classifier(net.hidden(shares @ seen[0])).softmax(-1)[:-1]
            class_logit = curve.class_logit[:, :-1] - curve.class_logit[:, -1:]
            pooled[stream] = StreamActivation(attention.numpy(), class_logit.numpy(), score.double().numpy())
        return pooled


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def choice(splice: Path, worlds: list[Path], out: Path, names: Sequence[str], clips: bool = True) -> dict[str, Any]:
    """The experiment by which was chosen; writes who learns and who is held out of splice's training videos to `out`."""
    held = {row["video"] for row in csv.DictReader(HELD_OUT.read_text(encoding="utf-8").splitlines())}
    annotations = read_annotations(splice / "annotations.json")
    kept = {video: one for video, one in annotations.videos.items() if video in held}
    write_annotations(out / "held-out.json", kept, "splice, held-out training videos")
    with atomic_write(out / "only.csv") as stream:
        stream.write("\n".join(["video", *sorted(set(annotations.subset("train")) - held)]) + "\n")
    data = {"splice": of_folder(splice) | {"only": str(out / "only.csv"), "annotations": str(out / "held-out.json")}}
    del data["splice"]["subset"]
    data |= {world.name: of_world(world) for world in worlds}
    runs: dict[str, dict[str, Any]] = {}
    for name in names:
        runs[name] = {"method": "candidate", "settings": CANDIDATES[name], "trimmed": clips, "data": ["splice"]}
        if worlds:
            runs[f"demo {name}"] = runs[name] | {"preset": "demo", "data": [world.name for world in worlds]}
    return {"data": data, "runs": runs, "metrics": METRICS}


def confirmation(folder: Path) -> dict[str, Any]:
    """The chosen candidate against the best of the three on each data set: TSRNet, or on cctv, where no clips are, TCAM.

    (Best at tIoU 0.5 in `experiments/methods.yaml`, seeds 0 to 4.)
    """
    folds = [of_folder(folder / "sfinge3d" / str(fold)) for fold in range(4)]
    for fold in folds:
        del fold["subset"]
    cctv = of_folder(folder / "cctv")
    del cctv["trimmed"], cctv["trimmed_labels"]
    data = {
        "splice": of_folder(folder / "splice"),
        "sfinge3d": {"subset": "test", "folds": folds},
        "cctv": cctv,
        "demo": of_world(folder / "demo", "trimmed"),
    }
    together = {"method": "candidate", "settings": CANDIDATES[CHOSEN]}
    runs = {
        "TSRNet": {"method": "candidate", "data": ["splice", "sfinge3d"]},
        "SRNet": {"method": "candidate", "trimmed": False, "data": ["cctv"]},
        "DGAM": {"method": "dgam", "data": ["cctv"]},
        "TCAM (weak)": {"method": "tcam", "settings": {"guide": 0.0}, "data": ["cctv"]},
        "together": together | {"data": ["splice", "sfinge3d", "cctv"]},
        "demo TSRNet": {"method": "candidate", "preset": "demo", "data": ["demo"]},
        "demo together": together | {"preset": "demo", "data": ["demo"]},
    }
    with_clips = {
        "splice": ["together", "TSRNet"],
        "sfinge3d": ["together", "TSRNet"],
        "demo": ["demo together", "demo TSRNet"],
    }
    return {
        "data": data,
        "runs": runs,
        "metrics": METRICS,
        "pairs": [["together", other] for other in ("TSRNet", "SRNet", "DGAM", "TCAM (weak)")] + [["demo together", "demo TSRNet"]],
        "averages": {
            "together − the best of the three": with_clips | {"cctv": ["together", "TCAM (weak)"]},
            "together − TSRNet or SRNet": with_clips | {"cctv": ["together", "SRNet"]},
        },
    }


def of_folder(folder: Path) -> dict[str, str]:
    """A data set as the tools that make splice and sfinge3d lay it out."""
    names = {"features": "features", "labels": "labels.csv", "annotations": "annotations.json"}
    names |= {"trimmed": "trimmed", "trimmed_labels": "trimmed.csv"}
    return {key: str(folder / name) for key, name in names.items()} | {"subset": "test"}


def of_world(folder: Path, trimmed: str = "trimmed-features") -> dict[str, str]:
    """A data set as `untrimmed demo` lays it out, with the features of its clips."""
    return of_folder(folder / "world") | {"features": str(folder / "features"), "trimmed": str(folder / trimmed)}


def main() -> None:
    """Train, score and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    choose = commands.add_parser("choose")
    choose.add_argument("--splice", type=Path, required=True)
    choose.add_argument("--worlds", type=Path, nargs="*", default=[])
    choose.add_argument("--only", nargs="+", choices=list(CANDIDATES), metavar="CANDIDATE", default=list(CANDIDATES))
    choose.add_argument("--without-clips", action="store_true", help="as for data that have none; TSRNet is then SRNet")
    confirm = commands.add_parser("confirm")
    confirm.add_argument("--data", type=Path, required=True)
    for command, seeds in ((choose, range(5)), (confirm, range(5, 10))):
        command.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
        command.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.command == "choose":
        worlds = [world.resolve() for world in given.worlds]
        tree = choice(given.splice.resolve(), worlds, given.out.resolve(), given.only, clips=not given.without_clips)
    else:
        tree = confirmation(given.data.resolve())
    here = str(Path(__file__).resolve().parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])  # for compare's processes
    file = given.out / "experiment.yaml"
    with atomic_write(file) as stream:
        yaml.safe_dump(tree | {"seeds": given.seeds}, stream, sort_keys=False)
    print(compare(file, out=given.out / "compared").markdown())


if __name__ == "__main__":
    main()

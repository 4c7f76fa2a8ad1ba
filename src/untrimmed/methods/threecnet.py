"""3C-Net: Category Count and Center Loss for Weakly-Supervised Action Localization (Narayan, Cholakkal, Khan, Shao; ICCV 2019;
arXiv:1908.08216).

Each stream embeds and scores its snippets by itself; the streams' scores, times learned weights of each class, are added up to the
final temporal class activation map (T-CAM). Three losses train it:

    L_cls      of each stream and of the T-CAM: the mean of a class's top eighth of scores is the video's, compared with the labels
    L_center   the features that a class attends to should be near a centre of that class
    L_count    the T-CAM, weighed by its softmax over time and summed, should be how often an action happens in the video

L_count needs more than labels: the column `count` of labels.csv. Where it is missing, this is 3C-Net without counts.

Values that the paper does not give are the released code's; see `3cnet.yaml` and docs/paper_index.md.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.settings import setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import JOINT, Method, SnippetScores
from untrimmed.nn.pooling import inside, one_in, top_mean
from untrimmed.nn.targets import check_background, targets_of
from untrimmed.nn.temporal import TemporalConvolution
from untrimmed.training import Run, TrainingSet

TOP = 8
"""A video's score is the mean of its top T / 8 snippets."""
SHORT = 5
"""The released code's L_cls leaves out videos of fewer snippets."""
ABSENT = 0.001
"""Weight of the counts of actions that are not in the video."""


@dataclass(frozen=True)
class Config:
    """3C-Net's settings. Defaults are the released code's for THUMOS14, except for `background`."""

    hidden: int | None = setting(None, "width of each stream's two layers; none = that of its features", low=1, source="code")
    dropout: float = setting(0.7, "dropout of the embedded features", low=0, high=0.99, source="code")
    temporal: bool = setting(
        False, "the T-CAM goes through a convolution over 25 snippets, each class by itself, and ReLU", source="code: ActivityNet"
    )
    background: bool = setting(
        True, "the softmax has a background class, the target of videos without action; the released code: false"
    )
    center: float = setting(1e-3, "weight of L_center", low=0, source="code")
    center_rate: float = setting(0.1, "learning rate of the centres, SGD's", low=0, source="code")
    single_label_steps: int = setting(5000, "for so many steps L_center takes videos of a single label only", low=0, source="code")
    count: float = setting(1.0, "weight of L_count, every second step", low=0, source="code: 0.1 for ActivityNet")
    count_snippets: int = setting(2800, "with `whole`: the longest crop in steps with L_count", low=1, source="code")
    whole: bool = setting(
        False,
        "train on one contiguous crop of each video, or all of a short one; false: on snippets drawn from all of it",
        source="code: true",
    )
    epochs: int = setting(7143, "passes over the training videos", low=1, source="code: 50,000 steps")
    batch: int = setting(32, "videos per step", low=1, source="code")
    learning_rate: float = setting(1e-4, "Adam's", low=0, source="code")
    weight_decay: float = setting(5e-4, "Adam's", low=0, source="code")
    official: bool = setting(
        False,
        "as the released code: L_center's distances are multiplied by the number of their class, and L_cls leaves out videos of "
        "fewer than five snippets",
    )


class StreamNet(nn.Module):
    """Embedding and classifier of single snippets of one stream: D -> hidden -> hidden, ReLU each, dropout -> C (+ 1)."""

    def __init__(self, width: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, hidden)
        self.classifier = nn.Linear(hidden, outputs)
        for layer in (self.first, self.second, self.classifier):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, keep: Tensor | None = None, dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """Embedded features [..., hidden] and scores [..., C (+ 1)] of x [..., D]; `keep` is the dropout mask."""
        embedded = F.relu(self.second(F.relu(self.first(x))))
        if keep is not None:
            embedded = embedded * keep / (1 - dropout)
        return embedded, self.classifier(embedded)


class Fusion(nn.Module):
    """The final T-CAM: the streams' scores times a weight per class, and over it, if `temporal`, a convolution per class."""

    def __init__(self, streams: Iterable[str], outputs: int, temporal: bool) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({name: nn.Parameter(torch.ones(outputs)) for name in streams})
        self.temporal = None
        if temporal:
            self.temporal = TemporalConvolution(outputs, outputs, 13, dilation=2, groups=outputs, bias=False)
            nn.init.xavier_uniform_(self.temporal.weight)

    def forward(self, scores: Mapping[str, Tensor], own: Tensor | None = None) -> Tensor:
        """The streams' scores [B, T, C (+ 1)] as one; `own` [B, T]: what is no padding."""
        tcam = torch.stack([scores[name] * weight for name, weight in self.weights.items()]).sum(0)
        return tcam if self.temporal is None else F.relu(self.temporal(tcam, own))


class Net(nn.Module):
    """A `StreamNet` of each stream, and their fusion, which is per class and so part of the classifier."""

    def __init__(self, widths: Mapping[str, int], outputs: int, config: Config) -> None:
        super().__init__()
        self.streams = nn.ModuleDict({name: StreamNet(width, config.hidden or width, outputs) for name, width in widths.items()})
        self.classifier = Fusion(widths, outputs, config.temporal)


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def video_score(score: Tensor, length: Tensor) -> Tensor:
    """Each video's scores: the mean of the top ceil(length / 8) of each class, [B, T, C] -> [B, C]."""
    return top_mean(score, length, one_in(TOP, length, up=True))


def loss_cls(score: Tensor, length: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross-entropy of the videos' scores, of [B, T, C] or [B, T, C + 1], with the labels, [B, C], shared equally; a video
    without labels is background, the last of C + 1."""
    target = targets_of(labels, background=score.shape[2] > labels.shape[1])
    return -(target * F.log_softmax(video_score(score, length), -1)).sum(1).mean()


def attended(features: Tensor, score: Tensor, length: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What each label of each video attends to: features [M, D] and their classes [M].

    The softmax over time of a class's scores, [B, T, C], weighs the features, [B, T, D], where it is not below its mean.
    """
    own = inside(length, score.shape[1]).unsqueeze(-1)
    attention = score.masked_fill(~own, -math.inf).softmax(1)
    attention = attention * (attention >= (1 - 1e-6) / length.view(-1, 1, 1)) * own
    video, label = torch.nonzero(labels, as_tuple=True)
    weight = attention[video, :, label]
    return (weight.unsqueeze(1) @ features[video]).squeeze(1) / weight.sum(1, keepdim=True), label


def loss_center(features: Tensor, label: Tensor, centers: Tensor, by_number: bool) -> Tensor:
    """The squared distance of features [M, D] from the centres, [C, D], of their classes, [M]; summed and, as in the released code,
    divided by M twice. `by_number`: each distance times the number of its class, which that code does, too."""
    distance = (features - centers[label]).square().sum(1)
    if by_number:
        distance = distance * label
    return distance.clamp(1e-12, 1e12).mean() / max(len(features), 1) if len(features) else features.sum()


def loss_count(tcam: Tensor, length: Tensor, counts: Tensor) -> Tensor:
    """How far the sum of the attended T-CAM, [B, T, C], is from the counts, [B, C]: relative to them where the action happens,
    less often than there are snippets; else `ABSENT` times the sum itself. Summed over classes, mean over videos; a count that is
    not known, NaN, is left out."""
    own = inside(length, tcam.shape[1]).unsqueeze(-1)
    found = (tcam * tcam.masked_fill(~own, -math.inf).softmax(1)).masked_fill(~own, 0).sum(1)
    known, counts = ~counts.isnan(), counts.nan_to_num()
    counted = (counts > 0) & (counts < length.unsqueeze(1))
    relative = (found - counts).abs() / counts.clamp_min(1e-10)
    return (torch.where(counted, relative, ABSENT * found.abs()) * known).sum(1).mean()


@dataclass
class Batch:
    """The videos of one step: x per stream [B, T, D], beyond `length` [B] padding; labels [B, C]; the dropout masks per stream;
    counts [B, C] where L_count is due; whether L_center takes videos of several labels."""

    x: Mapping[str, Tensor]
    length: Tensor
    labels: Tensor
    keep: Mapping[str, Tensor]
    counts: Tensor | None
    several: bool


def losses_of(net: Net, centers: Mapping[str, Tensor], batch: Batch, config: Config) -> dict[str, Tensor]:
    """All losses and their weighted sum; `centers` per stream [C, hidden]. L_count is missing where it is not due."""
    told = {name: net.streams[name](x, batch.keep[name], config.dropout) for name, x in batch.x.items()}
    tcam = net.classifier(
        {name: score for name, (_, score) in told.items()}, inside(batch.length, next(iter(batch.x.values())).shape[1])
    )
    heads = [*(score for _, score in told.values()), tcam]
    long = batch.length >= SHORT if config.official else batch.length > 0
    cls = torch.stack([loss_cls(score[long], batch.length[long], batch.labels[long]) for score in heads]).sum()
    taken = batch.labels if batch.several else batch.labels * (batch.labels.sum(1, keepdim=True) == 1)
    count = batch.labels.shape[1]
    center = torch.stack(
        [
            loss_center(*attended(embedded, score[..., :count], batch.length, taken), centers[name], config.official)
            for name, (embedded, score) in told.items()
        ]
    ).sum()
    losses = {"cls": cls, "center": center}
    total = cls + config.center * center
    if batch.counts is not None:
        losses["count"] = loss_count(tcam[..., :count], batch.length, batch.counts)
        total = total + config.count * losses["count"]
    return {"total": total, **losses}


class ThreeCNet(Method):
    """The method: one `Net` over all streams, and centres that training alone uses."""

    name: ClassVar = "3cnet"
    title: ClassVar = "3C-Net: category counts and centre loss (ICCV 2019), from video-level labels, with counts or without"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels", "counts"})
    reach: ClassVar = 25  # of the convolution over the T-CAM; 1 without it

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        self.net = Net(streams, len(classes) + config.background, config)

    def fit(self, data: TrainingSet, run: Run) -> None:
        """Train all streams together, on shuffled batches.

        Raises:
            InputError: the training set needs a background class which is switched off, or the training diverges.
        """
        config, labels = self.config, np.asarray(data.labels, dtype=np.float32)
        check_background(config.background, labels)
        self.to(run.device).train()
        with run.seeded("centers"):
            hidden = {name: config.hidden or width for name, width in self.widths.items()}
            centers = nn.ParameterDict({name: torch.randn(len(data.classes), width) for name, width in hidden.items()})
        centers.to(run.device)
        optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        center_optimizer = torch.optim.SGD(centers.parameters(), config.center_rate)
        counts = data.counts if config.count else None
        longer = replace(data, settings=replace(data.settings, snippets=config.count_snippets)) if config.whole else data
        steps = math.ceil(len(data) / config.batch)
        state = {"net": self.net, "centers": centers, "optimizer": optimizer}
        for epoch in run.loop(JOINT, config.epochs, **state):
            sums: Counter[str] = Counter()
            times: Counter[str] = Counter()  # L_count is not in every step
            for step, chosen in enumerate(np.array_split(run.rng("videos").permutation(len(data)), steps)):
                number = epoch * steps + step
                due = counts is not None and number % 2 == 0 and number > 0
                source = longer if due else data
                drawn, length = source.draw(chosen, self.widths, partial(run.rng, f"snippets {step}"), config.whole)
                masks = {
                    name: torch.rand((*x.shape[:2], hidden[name]), generator=run.torch_rng(f"{name} dropout {step}"))
                    for name, x in drawn.items()
                }
                batch = Batch(
                    {name: x.to(run.device) for name, x in drawn.items()},
                    length.to(run.device),
                    torch.from_numpy(labels[chosen]).to(run.device),
                    {name: (mask >= config.dropout).to(run.device) for name, mask in masks.items()},
                    torch.from_numpy(counts[chosen]).to(run.device) if due and counts is not None else None,
                    number >= config.single_label_steps,
                )
                losses = losses_of(self.net, dict(centers.items()), batch, config)
                step_of(losses["total"], optimizer, center_optimizer, config.center)
                sums.update({name: loss.item() for name, loss in losses.items()})
                times.update(losses.keys())
            run.log(**{name: value / times[name] for name, value in sums.items()})
        self.eval()

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The T-CAM, under one name for all streams; background last."""
        scores = {name: self.net.streams[name](features[name].unsqueeze(0))[1] for name in self.widths}
        return {JOINT: SnippetScores(None, self.net.classifier(scores)[0])}

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores: the softmax of the mean of each class's highest eighth of the T-CAM, without background."""
        tcam = curves[JOINT].class_logit
        score = video_score(tcam.unsqueeze(0), torch.tensor([len(tcam)], device=tcam.device))[0].softmax(-1)
        count = len(self.classes)
        return {JOINT: StreamActivation(None, tcam[:, :count].cpu().numpy(), score[:count].double().cpu().numpy())}


def step_of(total: Tensor, optimizer: torch.optim.Optimizer, centers: torch.optim.Optimizer, weight: float) -> None:
    """A step of the network, and one of the centres down L_center itself, whatever its `weight` in the total."""
    optimizer.zero_grad(set_to_none=True)
    centers.zero_grad(set_to_none=True)
    total.backward()
    optimizer.step()
    for group in centers.param_groups:
        for center in group["params"]:
            if weight and center.grad is not None:
                center.grad /= weight
    centers.step()

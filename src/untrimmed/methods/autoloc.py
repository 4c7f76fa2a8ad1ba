"""AutoLoc: Weakly-supervised Temporal Action Localization in Untrimmed Videos (Shou, Gao, Zhang, Miyazawa, Chang;
ECCV 2018; arXiv:1807.08333).

A second stage, which predicts where segments begin and end instead of cutting a curve. At each snippet a network moves
and scales anchors of several widths. No boundary is known; what a segment is held to is the activation of its class,
which should be high inside and low in the `SIDE` just outside:

    L_OIC = (mean of the outer area - mean of the inner area + 1) / 2

In training and in use the best anchor of each snippet that is activated stands, where its loss is low enough, and
suppresses those that it overlaps.

The first stage is any method: a trained run (`run`), or one that is trained here (`first`); it says which class is
activated where, and becomes part of the model. Values that the paper does not give are the released code's; see
`autoloc.yaml` and docs/paper_index.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.errors import InputError
from untrimmed.data.settings import setting
from untrimmed.data.types import StreamActivation
from untrimmed.localization.nms import suppress
from untrimmed.methods.base import Method, SnippetScores, activations_of
from untrimmed.methods.first_stage import first_stage
from untrimmed.nn.temporal import TemporalConvolution
from untrimmed.training import Run, TrainingSet

SIDE = 0.25
"""Width of the outer area at either side, as a share of the segment's length; a snippet at least."""
SLOPE = 0.1
"""Of the activation functions, below zero."""


@dataclass(frozen=True)
class Config:
    """AutoLoc's settings. Defaults are the released code's for THUMOS14."""

    run: str | None = setting(None, "folder of a trained run, of any method on the same videos: the first stage; none = train one")
    first: str = setting("untrimmednet", "the first stage's method, where it is trained here", source="code: UntrimmedNet's scores")
    stage_preset: str = setting("default", "the first stage's preset, where it is trained here")
    stage: tuple[str, ...] = setting((), "settings laid over it, as in [epochs=60]")
    anchors: tuple[float, ...] = setting((1, 2, 4, 8, 16, 32), "widths of the anchors, in snippets", source="code")
    hidden: int = setting(128, "channels of the three convolutions over time", low=1, source="code")
    foreground: float = setting(0.1, "a snippet is looked at where its activation is above this", low=0, high=1, source="code")
    highest_loss: float = setting(0.7, "a segment of a higher loss is none", low=0, high=1, source="code")
    overlap: float = setting(
        0.4, "of two segments of a class that overlap by more tIoU, the worse goes", low=0, high=1, source="code"
    )
    epochs: int = setting(1, "passes over the training videos, a video a step", low=1, source="code: 200 steps for 200 videos")
    learning_rate: float = setting(1e-3, "of stochastic gradient descent", low=0, source="code")
    weight_decay: float = setting(5e-4, "of stochastic gradient descent", low=0, source="code")

    def __post_init__(self) -> None:
        if not self.anchors or min(self.anchors) <= 0:
            raise InputError("method.anchors: name the width of one at least, each above 0")


class Net(nn.Module):
    """Three convolutions over three snippets, each with batch normalization; a shift and a log scale of A anchors."""

    def __init__(self, width: int, hidden: int, anchors: tuple[float, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TemporalConvolution(d, hidden, 3, bias=False) for d in (width, hidden, hidden))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in self.layers)
        self.boundaries = nn.Linear(hidden, 2 * len(anchors))
        nn.init.normal_(self.boundaries.weight, std=0.01)
        nn.init.zeros_(self.boundaries.bias)
        self.register_buffer("widths", torch.tensor(anchors, dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Where each anchor of each snippet begins and ends, in snippets: x [T, D] -> [T, A, 2].

        At first each is centred on its snippet.
        """
        count, x = len(x), x.unsqueeze(0)
        for layer, norm in zip(self.layers, self.norms):
            x = F.leaky_relu(norm(layer(x).transpose(1, 2)).transpose(1, 2), SLOPE)
        shift, scale = self.boundaries(x[0]).view(count, 2, -1).unbind(1)
        centre = torch.arange(count, device=x.device).unsqueeze(1) + 0.5 + shift * self.widths
        half = scale.exp() * self.widths / 2
        return torch.stack([centre - half, centre + half], -1)


# The loss, named as in the paper ---------------------------------------------------------------------------------------------


def integral_to(at: Tensor, activation: Tensor) -> Tensor:
    """The integral from 0 to each place in `at` of an activation, [T]: value i from i to i + 1, and 0 beyond."""
    integral = F.pad(activation.cumsum(0), (1, 0))
    at = at.clamp(0, len(activation))
    left = at.detach().nan_to_num(0).floor().long().clamp(max=len(activation) - 1)  # NaN, where training diverges, stays NaN
    return integral[left] + (at - left) * activation[left]


def loss_oic(segments: Tensor, activation: Tensor) -> Tensor:
    """L_OIC, [...] in 0..1, of segments [..., 2], start and end in snippets, by a class's activation, [T] in 0..1."""
    start, end = segments.unbind(-1)
    length = (end - start).clamp_min(1e-6)
    side = (SIDE * length).clamp_min(1)
    inner = integral_to(end, activation) - integral_to(start, activation)
    outer = integral_to(end + side, activation) - integral_to(start - side, activation) - inner
    return (outer / (2 * side) - inner / length + 1) / 2


def chosen_segments(loss: Tensor, segments: Tensor, activation: Tensor, config: Config) -> Tensor:
    """Which anchors stand for a class, as indices of the T * A anchors: of each activated snippet the best, of those
    whose loss is low enough the ones that no better one overlaps. loss [T, A], segments [T, A, 2], activation [T]."""
    best, anchor = loss.min(1)
    snippet = torch.nonzero((activation > config.foreground) & (best < config.highest_loss)).flatten()
    index = snippet * loss.shape[1] + anchor[snippet]
    start, end = segments.detach().flatten(0, 1)[index].double().cpu().numpy().T
    one_group = np.zeros(len(index), dtype=np.intp)
    kept, _ = suppress(one_group, start, end, 1 - best.detach()[snippet].double().cpu().numpy(), config.overlap)
    return index[torch.from_numpy(kept).to(index.device)]


def class_activation(said: Mapping[str, StreamActivation], kind: str) -> np.ndarray:
    """What the boundaries are held to, [T, C] in 0..1: each snippet's class score times the attention, mean of the
    streams.

    The score is the first stage's own, or else the sigmoid of its logit; an attention that sums to one is multiplied by
    T.
    """
    found = []
    for stream in said.values():
        score = stream.extra["own"] if "own" in stream.extra else 1 / (1 + np.exp(-stream.class_logit.astype(np.float64)))
        if stream.attention is not None:
            gate = stream.attention * (len(score) if kind == "distribution" else 1)
            score = score * np.minimum(gate, 1)[:, None]
        found.append(score)
    return np.mean(found, axis=0).astype(np.float32)


class AutoLoc(Method):
    """The method: the first stage, and a `Net` on all streams side by side. Of a first stage from a run `config` says
    what it is, not where it was."""

    name: ClassVar = "autoloc"
    title: ClassVar = "AutoLoc: a second stage that predicts boundaries (ECCV 2018), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = None  # a segment may be as long as the video

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        stage = first_stage(config, self.name, classes, streams)
        super().__init__(stage.config, classes, streams)
        self.first, self.is_given = stage.method, stage.is_given
        self.net = Net(sum(streams.values()), config.hidden, config.anchors)

    def fit(self, data: TrainingSet, run: Run) -> None:
        """The first stage, unless it is given; then the boundaries, on whole videos, one a step. One without labels only
        counts for the normalization.

        Raises:
            InputError: a training diverges.
        """
        config, matrix = self.config, np.asarray(data.labels, dtype=bool)
        if not self.is_given:
            self.first.fit(data, run)
        self.to(run.device)
        self.first.eval()
        activations = [  # of each video [T, its labels]
            self._activation(data.store.load(video, check=False))[:, own] for video, own in zip(data.videos, matrix)
        ]
        optimizer = torch.optim.SGD(self.net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        for _ in run.loop("boundaries", config.epochs, net=self.net, optimizer=optimizer):
            losses, found = 0.0, 0
            for number in run.rng("videos").permutation(len(data)):
                x = self._rows(data.store.load(data.videos[number], check=False))
                self.net.train(len(x) > 1)  # one snippet alone has no variance to be normalized by
                segments = self.net(x)
                terms = []
                for activation in torch.from_numpy(activations[number]).to(run.device).unbind(1):
                    loss = loss_oic(segments, activation)
                    terms.append(loss.flatten()[chosen_segments(loss, segments, activation, config)])
                term = torch.cat(terms) if terms else segments.new_empty(0)
                if len(term):
                    optimizer.zero_grad(set_to_none=True)
                    term.mean().backward()
                    optimizer.step()
                diverged = not torch.isfinite(segments).all()  # no loss of such a segment is low enough to count
                losses, found = math.nan if diverged else losses + term.sum().item(), found + len(term)
            run.log(total=losses / max(found, 1), segments=found / len(data))
        self.eval()

    def _rows(self, x: Mapping[str, Any]) -> Tensor:
        """The streams side by side, [T, sum of D], of arrays or tensors."""
        device = next(self.net.parameters()).device
        rows = [x[stream] if isinstance(x[stream], Tensor) else torch.from_numpy(np.array(x[stream])) for stream in self.widths]
        return torch.cat([row.to(device, torch.float32) for row in rows], -1)

    def _activation(self, x: Mapping[str, Any]) -> np.ndarray:
        """What the first stage says of a video, see `class_activation`."""
        said = activations_of(
            self.first, {stream: x[stream] for stream in self.widths}, device=str(next(self.net.parameters()).device)
        )
        return class_activation(said, self.first.attention_kind)

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The first stage's."""
        return self.first.curves(features)

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """The first stage's activations, of its streams, with the segments of each class: one scores 1 - L_OIC for its
        class and 0, which is none, for others."""
        said = self.first.pool(features, curves)
        segments = self.net(self._rows(features))
        activation = torch.from_numpy(class_activation(said, self.first.attention_kind)).to(segments)
        proposals, scores = [np.empty((0, 2), dtype=np.float32)], [np.empty((0, len(self.classes)), dtype=np.float32)]
        for label in range(len(self.classes)):
            loss = loss_oic(segments, activation[:, label])
            index = chosen_segments(loss, segments, activation[:, label], self.config)
            proposals.append(segments.flatten(0, 1)[index].clamp(0, len(activation)).cpu().numpy())
            scores.append(np.zeros((len(index), len(self.classes)), dtype=np.float32))
            scores[-1][:, label] = (1 - loss.flatten()[index]).cpu().numpy()
        extra = {"proposals": np.concatenate(proposals), "proposal_score": np.concatenate(scores)}
        return {name: replace(stream, extra={**stream.extra, **extra}) for name, stream in said.items()}

"""TSRNet: Learning Transferable Self-attentive Representations for Action Recognition in Untrimmed Videos with Weak Supervision
(Zhang, Shi, Li, Zheng, Zhu, Duan; AAAI 2019; arXiv:1902.07370).

A video X of n snippets is pooled by self-attention and classified:

    a = softmax(w2 tanh(W1 X)),   m = X a,   s = softmax(FC2(FC1(m)))

Besides the long videos there may be trimmed clips of the same actions. They pass the same attention and layers, and the two
distributions are aligned: the squared maximum mean discrepancy (MMD) between clips and videos is minimized for m (L_FC1) and for
FC1's output (L_FC2).

    L = L_class + alpha R_smooth + beta R_sparsity + L_FC1 + L_FC2

Without clips this is the authors' SRNet; without self-attention as well it is their Two-Stream. There is no released code: the
formulas are those of the authors' slides, and what they leave open is our reading, see docs/paper_index.md.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.errors import InputError
from untrimmed.data.settings import of_stream, setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import Method, SnippetScores, weighted_sum
from untrimmed.nn.mmd import mmd2
from untrimmed.nn.targets import cross_entropy
from untrimmed.training import Run, TrainingSet

PAPER = "TSRNet, arXiv:1902.07370"
ATTENTION = f"{PAPER}, self-attentive action classification (slides)"
TRANSFER = f"{PAPER}, knowledge transfer (slides)"
DETAILS = f"{PAPER}, implementation details (slides)"


@dataclass(frozen=True)
class Config:
    """TSRNet's settings. `self_attention`, `fc1`, `fc2` and `trimmed_class_loss` switch off parts of the paper's model."""

    self_attention: bool = setting(
        True, "pool by self-attention; false pools by the mean, the paper's Two-Stream", source=ATTENTION
    )
    fc1: float = setting(1.0, "weight of L_FC1, the MMD of what enters FC1; 0 = off", low=0, source=TRANSFER)
    fc2: float = setting(1.0, "weight of L_FC2, the MMD of what leaves FC1; 0 = off", low=0, source=TRANSFER)
    trimmed_class_loss: bool = setting(
        True, "clips whose class is among the videos' are classified as well; others only serve the MMD", source="our reading"
    )
    attention_hidden: int = setting(512, "rows of W1", low=1, source="ours")
    hidden: int = setting(1024, "width of FC1", low=1, source="ours")
    dropout: float = setting(0.8, "share of FC1's outputs that is dropped in a step", low=0, high=0.99, source=DETAILS)
    class_loss: Literal["softmax", "sigmoid"] = setting(
        "softmax",
        "softmax cross-entropy with the video's labels, shared equally, or a binary cross-entropy per class",
        choices=("softmax", "sigmoid"),
        source=f"{ATTENTION}: multi-label cross-entropy; s is a softmax",
    )
    smoothness: float = setting(0.1, "alpha, times the number of snippets: weight of R_smooth", low=0, source="ours")
    sparsity: float = setting(0.0, "beta, the weight of R_sparsity", low=0, source="ours")
    sparsity_kind: Literal["l1", "entropy"] = setting(
        "l1",
        "R_sparsity: the paper's L1 norm, which is 1 for every softmax and has no gradient, or (ours) the attention's entropy",
        choices=("l1", "entropy"),
        source=f"{ATTENTION}; entropy is ours",
    )
    kernels: int = setting(1, "bandwidths of the MMD's kernel, doubling, around the median distance", low=1, high=20, source="ours")
    mmd: Literal["biased", "unbiased", "linear"] = setting(
        "biased",
        "estimator of the MMD; linear compares neighbours only, for large batches",
        choices=("biased", "unbiased", "linear"),
        source=TRANSFER,
    )
    trimmed_snippets: int | None = setting(None, "snippets drawn from a clip for a step; none = as many as of a video", low=1)
    epochs: int = setting(100, "passes over the training videos", low=1, source="ours")
    iterations: int = setting(1, "minimum number of steps, rounded up to whole epochs", low=1, source="ours")
    batch: int = setting(16, "videos per step, and as many clips", low=1, source=f"{DETAILS}; as many clips is ours")
    optimizer: Literal["sgd", "adam"] = setting(
        "sgd", "sgd with momentum, or adam", choices=("sgd", "adam"), source=f"{DETAILS}: a momentum", by_stream=False
    )
    learning_rate: float = setting(1e-4, "initial learning rate", low=0, source=f"{DETAILS}; 5e-4 for flow")
    momentum: float = setting(0.9, "of SGD", low=0, high=1, source=DETAILS)
    weight_decay: float = setting(5e-4, "of the optimizer", low=0, source="ours")
    decay_every: int | None = setting(
        5000,
        "steps between divisions of the learning rate by 10; none = cosine decay to zero",
        low=1,
        source=DETAILS,
    )
    streams: dict[str, dict[str, Any]] = setting({}, "settings that differ by stream")


class StreamNet(nn.Module):
    """One stream's self-attention and classifier (background last)."""

    def __init__(self, width: int, classes: int, config: Config) -> None:
        super().__init__()
        self.self_attention = config.self_attention
        self.attention_hidden = nn.Linear(width, config.attention_hidden, bias=False)  # W1
        self.attention_out = nn.Linear(config.attention_hidden, 1, bias=False)  # w2
        self.fc1 = nn.Linear(width, config.hidden)
        self.classifier = nn.Linear(config.hidden, classes + 1)  # FC2

    def attention_logit(self, x: Tensor) -> Tensor:
        """w2 tanh(W1 x): [..., n, D] -> [..., n]; equal everywhere without self-attention."""
        if not self.self_attention:
            return x.new_zeros(x.shape[:-1])
        return self.attention_out(torch.tanh(self.attention_hidden(x))).squeeze(-1)

    def attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The attention a, [B, n], and m = X a, [B, D], of [B, n, D]."""
        attention = self.attention_logit(x).softmax(-1)
        return attention, (attention.unsqueeze(1) @ x).squeeze(1)

    def hidden(self, m: Tensor) -> Tensor:
        """FC1's output, after its ReLU and before dropout."""
        return F.relu(self.fc1(m))


# The losses ------------------------------------------------------------------------------------------------------------------


def loss_class(logit: Tensor, labels: Tensor, kind: Literal["softmax", "sigmoid"] = "softmax") -> Tensor:
    """L_class of [B, C + 1] against the labels, [B, C].

    softmax: cross-entropy with each video's labels, shared equally; one without labels is background.
    sigmoid: binary cross-entropy of every class, summed over classes, without background.
    """
    if kind == "sigmoid":
        return F.binary_cross_entropy_with_logits(logit[:, :-1], labels, reduction="none").sum(1).mean()
    return cross_entropy(F.log_softmax(logit, -1), labels)


def r_smooth(attention: Tensor) -> Tensor:
    """R_smooth = sum over i of (a_i - a_{i+1})^2, [B, n], averaged over the batch."""
    return attention.diff(dim=1).square().sum(1).mean()


def r_sparsity(attention: Tensor, kind: Literal["l1", "entropy"] = "l1") -> Tensor:
    """R_sparsity: the L1 norm of the attention (constant for a softmax), or its entropy as a share of the highest, log n (ours)."""
    if kind == "l1":
        return attention.abs().sum(1).mean()
    entropy = -(attention * attention.clamp_min(1e-12).log()).sum(1)
    return (entropy / max(math.log(attention.shape[1]), 1e-12)).mean()


@dataclass
class Rows:
    """The videos, or the clips: labels [N, C]; which of them L_class uses, and which show some action, so that the MMD uses
    them, [N] bool each."""

    labels: np.ndarray
    classified: np.ndarray
    acting: np.ndarray


@dataclass
class Batch:
    """The videos, or the clips, of one step: x [B, n, D]; the dropout mask of FC1's output, [B, hidden]; and their
    rows of `Rows`."""

    x: Tensor
    keep: Tensor
    labels: Tensor
    classified: Tensor
    acting: Tensor


def losses(net: StreamNet, videos: Batch, clips: Batch | None, config: Config) -> dict[str, Tensor]:
    """All terms of L, and their weighted sum `total`. The regularizers look at the videos' attention only."""
    attention, m = net.attend(videos.x)
    h = net.hidden(m)
    terms = {"class": loss_class(_classify(net, h, videos.keep, config), videos.labels, config.class_loss)}
    total = terms["class"]
    if config.self_attention:
        terms["smooth"] = r_smooth(attention)
        terms["sparsity"] = r_sparsity(attention, config.sparsity_kind)
        total = total + config.smoothness * attention.shape[1] * terms["smooth"] + config.sparsity * terms["sparsity"]
    if clips is not None:
        _, clip_m = net.attend(clips.x)
        clip_h = net.hidden(clip_m)
        if config.trimmed_class_loss and clips.classified.any():
            rows = clips.classified
            logit = _classify(net, clip_h[rows], clips.keep[rows], config)
            terms["trimmed_class"] = loss_class(logit, clips.labels[rows], config.class_loss)
            total = total + terms["trimmed_class"]
        if videos.acting.any() and clips.acting.any():
            for name, weight, t, u in (("fc1", config.fc1, clip_m, m), ("fc2", config.fc2, clip_h, h)):
                if weight:
                    terms[name] = mmd2(t[clips.acting], u[videos.acting], kernels=config.kernels, estimator=config.mmd)
                    total = total + weight * terms[name]
    return {"total": total, **terms}


def _classify(net: StreamNet, h: Tensor, keep: Tensor, config: Config) -> Tensor:
    return net.classifier(h * keep / (1 - config.dropout))


class TSRNet(Method):
    """The method: a `StreamNet` per stream, each trained by itself."""

    name: ClassVar = "tsrnet"
    title: ClassVar = "TSRNet: self-attention, and knowledge transferred from trimmed clips (AAAI 2019), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels", "trimmed"})
    reach: ClassVar = 1
    attention_kind: ClassVar = "distribution"

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        self.streams = nn.ModuleDict(
            {name: StreamNet(width, len(classes), of_stream(config, name)) for name, width in streams.items()}
        )

    def fit(self, data: TrainingSet, run: Run) -> None:
        """Train each stream on the videos and, where there are any, on the trimmed clips.

        Raises:
            InputError: the training set has no labels, or the training diverges.
        """
        if data.labels is None:
            raise InputError("tsrnet learns from labels; give `labels`")
        self.to(run.device).train()
        run.side_by_side(self.streams, self._fit_stream, data)
        self.eval()

    def _fit_stream(self, stream: str, data: TrainingSet, run: Run) -> None:
        config, net = of_stream(self.config, stream), self._net(stream)
        assert data.labels is not None
        labels = np.asarray(data.labels, dtype=np.float32)
        of_videos = Rows(labels, np.ones(len(data), dtype=bool), labels.sum(1) > 0)
        trimmed = _useful(data.trimmed, config)
        of_clips = None if trimmed is None else _rows_of_clips(trimmed, data.classes)
        steps = math.ceil(len(data) / config.batch)
        epochs = max(config.epochs, math.ceil(config.iterations / steps))
        optimizer = _optimizer(net, config)

        def draw(what: str, source: TrainingSet, rows: Rows, chosen: np.ndarray) -> Batch:
            x = source.sample(chosen, stream, run.rng(f"{stream} snippets of {what}"))
            noise = torch.rand((len(chosen), config.hidden), generator=run.torch_rng(f"{stream} dropout of {what}"))
            about = (torch.from_numpy(values[chosen]).to(run.device) for values in (rows.labels, rows.classified, rows.acting))
            return Batch(x.to(run.device), (noise >= config.dropout).to(run.device), *about)

        for epoch in run.loop(stream, epochs, net=net, optimizer=optimizer):
            batches = np.array_split(run.rng(f"{stream} videos").permutation(len(data)), steps)
            clip_batches = _batches_of_clips(trimmed, steps, config.batch, run.rng(f"{stream} clips")) if trimmed else []
            sums: Counter[str] = Counter()
            for step, chosen in enumerate(batches):
                for group in optimizer.param_groups:
                    group["lr"] = _learning_rate(epoch * steps + step, epochs * steps, config)
                videos, clips = draw(f"videos {step}", data, of_videos, chosen), None
                if trimmed is not None and of_clips is not None:
                    clips = draw(f"clips {step}", trimmed, of_clips, clip_batches[step])
                terms = losses(net, videos, clips, config)
                optimizer.zero_grad(set_to_none=True)
                terms["total"].backward()
                optimizer.step()
                sums.update({name: term.item() for name, term in terms.items()})
            run.log(**{name: value / steps for name, value in sums.items()})

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """Per stream the attention before its softmax over time, and the classifier applied to each snippet by itself."""
        curves = {}
        for stream, x in features.items():
            net = self._net(stream)
            curves[stream] = SnippetScores(net.attention_logit(x), net.classifier(net.hidden(x)))
        return curves

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """The attention a sums to one over the video; video scores are the classifier's on m = X a.

        The snippets' class logits are relative to the background's: the softmax over them and a zero is that over all classes.
        Without self-attention there is no attention to return.
        """
        pooled = {}
        for stream, curve in curves.items():
            net, config = self._net(stream), of_stream(self.config, stream)
            assert curve.attention_logit is not None
            attention = curve.attention_logit.softmax(0)
            logit = net.classifier(net.hidden(weighted_sum(attention, features[stream])))
            softmax = config.class_loss == "softmax"
            score = (logit.softmax(-1) if softmax else logit.sigmoid())[:-1]
            class_logit = curve.class_logit[:, :-1] - curve.class_logit[:, -1:] if softmax else curve.class_logit[:, :-1]
            pooled[stream] = StreamActivation(
                attention.cpu().numpy() if config.self_attention else None,
                class_logit.cpu().numpy(),
                score.double().cpu().numpy(),
            )
        return pooled

    def _net(self, stream: str) -> StreamNet:
        net = self.streams[stream]
        assert isinstance(net, StreamNet)
        return net


def _useful(trimmed: TrainingSet | None, config: Config) -> TrainingSet | None:
    """The clips, sampled as the settings say; None where no loss uses them."""
    if trimmed is None or not (config.trimmed_class_loss or config.fc1 or config.fc2):
        return None
    snippets = config.trimmed_snippets or trimmed.settings.snippets
    return replace(trimmed, settings=replace(trimmed.settings, snippets=snippets))


def _rows_of_clips(trimmed: TrainingSet, classes: tuple[str, ...]) -> Rows:
    """The clips' labels, among the videos' classes.

    A clip of another class only serves the MMD; one with an empty label is background.
    """
    assert trimmed.labels is not None
    labels = np.zeros((len(trimmed), len(classes)), dtype=np.float32)
    for number, name in enumerate(classes):
        if name in trimmed.classes:
            labels[:, number] = trimmed.labels[:, trimmed.classes.index(name)]
    acting = trimmed.labels.sum(1) > 0
    return Rows(labels, (labels.sum(1) > 0) | ~acting, acting)


def _batches_of_clips(trimmed: TrainingSet, steps: int, batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """A batch of different clips for each step of an epoch, each clip equally often as far as possible."""
    batch = min(batch, len(trimmed))
    whole = len(trimmed) // batch
    batches: list[np.ndarray] = []
    while len(batches) < steps:
        batches += np.split(rng.permutation(len(trimmed))[: whole * batch], whole)
    return batches[:steps]


def _optimizer(net: StreamNet, config: Config) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam(net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(net.parameters(), config.learning_rate, config.momentum, weight_decay=config.weight_decay)


def _learning_rate(step: int, steps: int, config: Config) -> float:
    if config.decay_every is not None:
        return config.learning_rate * 0.1 ** (step // config.decay_every)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))

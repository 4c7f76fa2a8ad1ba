"""W-TALC: Weakly-supervised Temporal Activity Localization and Classification (Paul, Roy, Roy-Chowdhury; ECCV 2018;
arXiv:1807.10418).

A video of T snippets has labels and no times. One linear classifier scores every snippet for every class, on the concatenated
features of all streams; two losses train it:

    multiple-instance learning (MIL): the mean of a class's top eighth of scores is the video's score, compared with the labels
    co-activity similarity (CAS loss): in two videos of a class, the features that the class's scores attend to must be similar,
                                       and unlike those they do not attend to

There is no attention besides the class scores and no generative model: a neutral baseline. Values that the paper does not give
are the released code's; see `wtalc.yaml` and docs/paper_index.md.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.errors import InputError
from untrimmed.data.settings import setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import JOINT, Method, SnippetScores
from untrimmed.nn.coactivity import draw_videos, loss_cas
from untrimmed.nn.pooling import one_in, top_mean
from untrimmed.nn.targets import check_background, cross_entropy
from untrimmed.training import Run, TrainingSet

TOP = 8
"""A video's score is the mean of its top T / 8 snippets."""


@dataclass(frozen=True)
class Config:
    """W-TALC's settings. Defaults are the released code's for THUMOS14, except for `background`."""

    hidden: int | None = setting(None, "width of the embedded features; none = that of the features", low=1, source="code")
    dropout: float = setting(0.7, "dropout of the embedded features", low=0, high=0.99, source="code")
    background: bool = setting(
        True, "the softmax has a background class, the target of videos without action; the released code: false"
    )
    multiple_instance: float = setting(
        0.5,
        "weight of the multiple-instance learning loss; the co-activity similarity loss has the rest of 1",
        low=0,
        high=1,
        source="code",
    )
    margin: float = setting(0.5, "of the co-activity similarity loss", low=0, source="code")
    pairs: int = setting(
        3, "pairs of videos in a batch that share a class; fewer where the batch is too small", low=0, source="code"
    )
    whole: bool = setting(
        False,
        "train on one contiguous crop of each video, or all of a short one; false: on snippets drawn from all of it",
        source="code: true",
    )
    epochs: int = setting(5000, "passes, of as many drawn videos as there are; the released code has 100,000 batches", low=1)
    batch: int = setting(10, "videos per step", low=1, source="code")
    learning_rate: float = setting(1e-4, "Adam's", low=0, source="code")
    weight_decay: float = setting(5e-4, "Adam's", low=0, source="code")


class Net(nn.Module):
    """Embedding and classifier of single snippets: D -> hidden, ReLU, dropout -> classes (and background, last)."""

    def __init__(self, width: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.embedding, self.classifier = nn.Linear(width, hidden), nn.Linear(hidden, outputs)
        for layer in (self.embedding, self.classifier):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, keep: Tensor | None = None, dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """Embedded features [..., hidden] and logits [..., outputs] of x [..., D]; `keep` is the dropout mask."""
        embedded = F.relu(self.embedding(x))
        if keep is not None:
            embedded = embedded * keep / (1 - dropout)
        return embedded, self.classifier(embedded)


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def video_score(logit: Tensor, length: Tensor) -> Tensor:
    """Each video's logits: the mean of the top ceil(length / 8) of each class, [B, T, C] -> [B, C]."""
    return top_mean(logit, length, one_in(TOP, length, up=True))


def loss_mil(video_logit: Tensor, labels: Tensor) -> Tensor:
    """Multiple-instance loss: softmax cross-entropy of [B, C] or [B, C + 1] with the labels, [B, C], shared equally; a
    video without labels is background, the last of C + 1."""
    return cross_entropy(F.log_softmax(video_logit, -1), labels)


def losses_of(
    net: Net, x: Tensor, length: Tensor, labels: Tensor, keep: Tensor | None, pairs: int, config: Config
) -> dict[str, Tensor]:
    """Both losses and their weighted sum for a batch whose first 2 x `pairs` videos are pairs: x [B, T, D], zero beyond length."""
    embedded, logit = net(x, keep, config.dropout)
    mil = loss_mil(video_score(logit, length), labels)
    paired = slice(0, 2 * pairs)
    cas = loss_cas(embedded[paired], logit[paired, :, : labels.shape[1]], length[paired], labels[paired], config.margin)
    return {"total": config.multiple_instance * mil + (1 - config.multiple_instance) * cas, "mil": mil, "cas": cas}


class WTALC(Method):
    """The method: one `Net` on all streams side by side."""

    name: ClassVar = "wtalc"
    title: ClassVar = "W-TALC: multiple-instance and co-activity losses (ECCV 2018), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 1

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        width = sum(streams.values())
        self.net = Net(width, config.hidden or width, len(classes) + config.background)

    def fit(self, data: TrainingSet, run: Run) -> None:
        """Train on batches of pairs and others; an epoch draws about as many videos as there are.

        Raises:
            InputError: the training set has no labels, or some that need a background class which is switched off, or the
                training diverges.
        """
        if data.labels is None:
            raise InputError("wtalc learns from labels; give `labels`")
        config, matrix = self.config, np.asarray(data.labels, dtype=np.float32)
        check_background(config.background, matrix)
        self.to(run.device).train()
        optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        steps = math.ceil(len(data) / config.batch)
        for _ in run.loop(JOINT, config.epochs, net=self.net, optimizer=optimizer):
            sums: Counter[str] = Counter()
            rng = run.rng("videos")
            for step in range(steps):
                chosen, pairs = draw_videos(matrix, min(config.batch, len(data)), config.pairs, rng)
                drawn, length = data.draw(chosen, self.widths, partial(run.rng, f"snippets {step}"), config.whole)
                x, length = torch.cat(list(drawn.values()), -1).to(run.device), length.to(run.device)
                keep = torch.rand((*x.shape[:2], self.net.classifier.in_features), generator=run.torch_rng(f"dropout {step}"))
                labels = torch.from_numpy(matrix[chosen]).to(run.device)
                losses = losses_of(self.net, x, length, labels, (keep >= config.dropout).to(run.device), pairs, config)
                optimizer.zero_grad(set_to_none=True)
                losses["total"].backward()
                optimizer.step()
                sums.update({name: loss.item() for name, loss in losses.items()})
            run.log(**{name: value / steps for name, value in sums.items()})
        self.eval()

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The class logits of each snippet by itself, under one name for all streams; background last."""
        _, logit = self.net(torch.cat([features[stream] for stream in self.widths], -1))
        return {JOINT: SnippetScores(None, logit)}

    def pool(self, features: Mapping[str, Tensor], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores: the softmax of the mean of each class's highest eighth of logits, without background."""
        logit = curves[JOINT].class_logit
        score = video_score(logit.unsqueeze(0), torch.tensor([len(logit)], device=logit.device))[0].softmax(-1)
        count = len(self.classes)
        return {JOINT: StreamActivation(None, logit[:, :count].cpu().numpy(), score[:count].double().cpu().numpy())}

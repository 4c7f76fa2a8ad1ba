"""CMCS: Completeness Modeling and Context Separation for Weakly Supervised Temporal Action Localization (Liu, Jiang, Wang;
CVPR 2019).

A single classifier finds only an action's most telling part. So several branches, on one embedding, each score every snippet for
every class, and are kept apart:

    L_div    the branches' class activations should differ: their mean cosine similarity over time
    L_norm   ... but weigh the same: the deviation of their mean absolute scores from the branches' mean
    L_cls    softmax cross-entropy of the video's score, the branches' mean score weighed by an attention over time

Context is told from action by hard negatives: stretches of the videos that hardly move are videos of background. Here these are
the videos with an empty label; static stretches can be given as such. All streams are put side by side (the paper's early fusion).

Values that the paper does not give are the released code's; see `cmcs.yaml` and docs/paper_index.md.
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

from untrimmed.data.settings import setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import JOINT, Method, SnippetScores
from untrimmed.nn.pooling import inside
from untrimmed.nn.temporal import TemporalConvolution
from untrimmed.training import Run, TrainingSet


@dataclass(frozen=True)
class Config:
    """CMCS's settings. Defaults are the released code's for THUMOS14 and I3D features."""

    branches: int = setting(4, "classification branches", low=1, source="code")
    embedding: int = setting(32, "channels of the embedding of single snippets", low=1, source="code")
    hidden: int = setting(16, "channels of each branch, a convolution over three snippets", low=1, source="code")
    attention_hidden: int = setting(16, "channels of the attention's hidden layer", low=1, source="code")
    dropout: float = setting(
        0.5, "share of the features' channels that is left out, all over a video", low=0, high=0.99, source="code"
    )
    diversity: float = setting(0.2, "weight of L_div and of L_norm", low=0, source="code")
    whole: bool = setting(
        False,
        "train on one contiguous crop of each video, or all of a short one; false: on snippets drawn from all of it",
        source="code: true, without a limit",
    )
    epochs: int = setting(1500, "passes over the training videos", low=1, source="code: 15,000 steps")
    batch: int = setting(24, "videos per step; one of k labels counts as k videos of weight 1/k", low=1, source="code")
    learning_rate: float = setting(1e-4, "Adam's", low=0, source="code")
    decay: bool = setting(False, "the learning rate falls to a tenth after half of the epochs", source="code: ActivityNet")
    weight_decay: float = setting(1e-3, "Adam's", low=0, source="code")


class Net(nn.Module):
    """Embedding, D -> embedding; branches, three snippets -> hidden -> C + 1; attention, embedding -> attention_hidden -> 1."""

    def __init__(self, width: int, outputs: int, config: Config) -> None:
        super().__init__()
        self.embedding = nn.Linear(width, config.embedding)
        self.branches = nn.ModuleList(TemporalConvolution(config.embedding, config.hidden, 3) for _ in range(config.branches))
        self.classifier = nn.ModuleList(nn.Linear(config.hidden, outputs) for _ in range(config.branches))
        self.attention_hidden = nn.Linear(config.embedding, config.attention_hidden)
        self.attention_out = nn.Linear(config.attention_hidden, 1)

    def forward(self, x: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Attention logits [B, T] and each branch's scores [branches, B, T, C + 1] of x [B, T, D]; `own`, [B, T]: no padding."""
        embedded = F.relu(self.embedding(x))
        attention = self.attention_out(F.relu(self.attention_hidden(embedded))).squeeze(-1)
        scores = [head(F.relu(branch(embedded, own))) for branch, head in zip(self.branches, self.classifier, strict=True)]
        return attention, torch.stack(scores)


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def loss_div(scores: Tensor, own: Tensor) -> Tensor:
    """Diversity loss of each video, [B]: the cosine over time of two branches' activations of a class, the softmax over classes;
    mean over all pairs of branches and all classes. scores [branches, B, T, C + 1], own [B, T]."""
    activation = scores.softmax(-1) * own.unsqueeze(-1)
    norm = activation.norm(dim=2)
    similar = torch.einsum("mbtc,nbtc->bcmn", activation, activation) / (torch.einsum("mbc,nbc->bcmn", norm, norm) + 1e-6)
    count = len(scores)
    others = similar.sum((-1, -2)) - similar.diagonal(dim1=-1, dim2=-2).sum(-1)
    return (others / max(count * (count - 1), 1)).mean(1)


def loss_norm(scores: Tensor, own: Tensor) -> Tensor:
    """Norm regularization of each video, [B]: how far the mean absolute scores of a branch are from the branches' mean."""
    norm = (scores.abs() * own.unsqueeze(-1)).sum(2) / own.sum(1).unsqueeze(-1)  # [branches, B, C + 1]
    return (norm - norm.mean(0)).abs().mean((0, 2))


def losses_of(
    net: Net, x: Tensor, length: Tensor, label: Tensor, weight: Tensor, keep: Tensor, config: Config
) -> dict[str, Tensor]:
    """All losses and their sum, each summed over the videos by their weights.

    Args:
        x: [B, T, D], beyond a video's `length`, [B], padding. keep: [B, D], the dropout mask of whole channels.
        label: [B], each video's single label; C is background. weight: [B].
    """
    own = inside(length, x.shape[1])
    attention, scores = net(x * (keep / (1 - config.dropout)).unsqueeze(1), own)
    video_score = (attention.masked_fill(~own, -math.inf).softmax(1).unsqueeze(1) @ scores.mean(0)).squeeze(1)
    losses = {
        "cls": weight @ F.cross_entropy(video_score, label, reduction="none"),
        "div": config.diversity * weight @ loss_div(scores, own),
        "norm": config.diversity * weight @ loss_norm(scores, own),
    }
    return {"total": losses["cls"] + losses["div"] + losses["norm"], **losses}


def single_labels(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each label of each video by itself, [M]: the video's number, the label, C for background, and the weight, 1 / labels of the
    video; labels is [N, C]."""
    count = labels.sum(1)
    video, label = np.nonzero(np.concatenate([labels, (count == 0)[:, None]], 1))
    return video, label, (1 / np.maximum(count, 1)[video]).astype(np.float32)


class CMCS(Method):
    """The method: one `Net` on all streams side by side."""

    name: ClassVar = "cmcs"
    title: ClassVar = "CMCS: completeness modelling and context separation (CVPR 2019), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 3
    attention_kind: ClassVar = "distribution"

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        self.net = Net(sum(streams.values()), len(classes) + 1, config)

    def fit(self, data: TrainingSet, run: Run) -> None:
        """Train on shuffled batches of videos, one for each label.

        Raises:
            InputError: the training diverges.
        """
        config = self.config
        self.to(run.device).train()
        video, label, weight = single_labels(np.asarray(data.labels, dtype=np.float32))
        optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        steps = math.ceil(len(video) / config.batch)
        for epoch in run.loop(JOINT, config.epochs, net=self.net, optimizer=optimizer):
            late = config.decay and 2 * epoch >= config.epochs
            optimizer.param_groups[0]["lr"] = config.learning_rate * (0.1 if late else 1.0)
            sums: Counter[str] = Counter()
            for step, chosen in enumerate(np.array_split(run.rng("videos").permutation(len(video)), steps)):
                drawn, length = data.draw(video[chosen], self.widths, partial(run.rng, f"snippets {step}"), config.whole)
                x = torch.cat(list(drawn.values()), -1).to(run.device)
                noise = torch.rand((len(x), x.shape[-1]), generator=run.torch_rng(f"dropout {step}"))
                losses = losses_of(
                    self.net,
                    x,
                    length.to(run.device),
                    torch.from_numpy(label[chosen]).to(run.device),
                    torch.from_numpy(weight[chosen]).to(run.device),
                    (noise >= config.dropout).to(run.device),
                    config,
                )
                optimizer.zero_grad(set_to_none=True)
                losses["total"].backward()
                optimizer.step()
                sums.update({name: loss.item() / len(chosen) for name, loss in losses.items()})
            run.log(**{name: value / steps for name, value in sums.items()})
        self.eval()

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The attention before its softmax over time, and the branches' mean score, background last."""
        attention, scores = self.net(torch.cat([features[stream] for stream in self.widths], -1).unsqueeze(0))
        return {JOINT: SnippetScores(attention[0], scores.mean(0)[0])}

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """The attention sums to one over the video; video scores are the softmax of the score that it weighs, without background.

        The snippets' class logits are relative to the background's: the softmax over them and a zero is that over all classes.
        """
        logit, score = curves[JOINT].attention_logit, curves[JOINT].class_logit
        assert logit is not None
        attention = logit.softmax(0)
        class_score = (attention @ score).softmax(-1)[:-1].double()
        relative = score[:, :-1] - score[:, -1:]
        return {JOINT: StreamActivation(attention.cpu().numpy(), relative.cpu().numpy(), class_score.cpu().numpy())}

"""CASE: Revisiting Foreground and Background Separation in Weakly-supervised Temporal Action Localization: A
Clustering-based Approach (Liu, Wang, Rong, Li, Zhang; ICCV 2023; arXiv:2312.14138).

A video of T snippets has labels and no times. Per stream a classifier of single snippets makes a class activation
sequence (CAS), and another network an attention: foreground or background. What the latter learns from are pseudo
labels, the snippets that make a video's score, which are few and often wrong. But snippets of all videos form clusters,
and a cluster can be told foreground or background as a whole:

    video classification L_vid:    the mean of a class's highest scores is the video's, compared with the labels
    foreground attention L_att:    attention is high at those snippets, low elsewhere, by a loss that tolerates wrong
                                   ones
    snippet clustering L_clu:      the attention's features are near the prototype of the cluster that optimal transport
                                   assigns them to
    cluster classification L_cls:  a cluster's features are like those of the foreground or of the background, as
                                   optimal transport assigns it

What a snippet's clusters say of it, foreground or not, then counts like the attention. Values that the paper does not
give are the released code's; see `case.yaml` and docs/paper_index.md.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.settings import setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import JOINT, Method, SnippetScores
from untrimmed.nn.mining import one_of
from untrimmed.nn.targets import check_background, cross_entropy
from untrimmed.nn.transport import assign
from untrimmed.training import Run, TrainingSet

SHARPNESS = 20.0
"""Of the assignments: exp(20 x cosine), as in the released code."""


@dataclass(frozen=True)
class Config:
    """CASE's settings. Defaults are the released code's for THUMOS14, except for `background`."""

    hidden: int = setting(512, "width of the embedded features", low=1, source="code")
    background: bool = setting(
        True, "the softmax has a background class, the target of videos without action; the released code: false"
    )
    top: float = setting(8, "a video's score is the mean of its T / top highest", low=1, source="code")
    tolerance: float = setting(0.7, "q of the generalized cross-entropy of L_att", low=1e-3, high=1, source="code: q_val")
    clusters: int = setting(16, "clusters of snippets", low=2, source="paper; code")
    temperature: float = setting(10.0, "by which cosines are multiplied before a softmax", low=0, source="code: temp")
    spread: float = setting(10.0, "sigma of what cluster is expected of a snippet by its rank", low=1e-3, source="code")
    clustering: float = setting(1.0, "weight of L_clu", low=0, source="code: w_clu")
    classification: float = setting(0.3, "weight of L_cls", low=0, source="code: w_cls")
    epochs: int = setting(300, "passes over the training videos", low=1, source="code")
    batch: int = setting(16, "videos per step", low=1, source="code")
    learning_rate: float = setting(1e-4, "Adam's", low=0, source="code")
    weight_decay: float = setting(5e-4, "Adam's", low=0, source="code")


class Told(NamedTuple):
    """What the network says of a stream's snippets [B, T, D].

    cas: [B, T, C(+1)]. attention: [B, T]. embedded: [B, T, hidden], of the attention. cluster: [B, T, K], cosines with
        the prototypes.
    """

    cas: Tensor
    attention: Tensor
    embedded: Tensor
    cluster: Tensor


class Net(nn.Module):
    """One stream, snippet by snippet: D -> hidden, ReLU -> classes; and D -> hidden, ReLU -> attention and clusters."""

    def __init__(self, width: int, outputs: int, config: Config) -> None:
        super().__init__()
        self.cas, self.classifier = nn.Linear(width, config.hidden), nn.Linear(config.hidden, outputs)
        self.base, self.attention = nn.Linear(width, config.hidden), nn.Linear(config.hidden, 1)
        self.prototypes = nn.Linear(config.hidden, config.clusters, bias=False)

    def forward(self, x: Tensor) -> Told:
        """x [B, T, D]."""
        embedded = F.relu(self.base(x))
        cosine = F.normalize(embedded, dim=-1) @ F.normalize(self.prototypes.weight, dim=1).t()
        cas = self.classifier(F.relu(self.cas(x)))
        return Told(cas, self.attention(embedded).squeeze(-1).sigmoid(), embedded, cosine)


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def combined(cas: list[Tensor], *gates: Tensor) -> Tensor:
    """What chooses snippets: the mean of the streams' mean softmax over classes, [..., T, C], and of gates, [..., T]
    each."""
    p = torch.stack([logit.softmax(-1) for logit in cas]).mean(0)
    return (p + sum(gate.unsqueeze(-1) for gate in gates)) / (1 + len(gates))


def video_logit(cas: Tensor, chosen: Tensor) -> Tensor:
    """A stream's mean over each class's chosen snippets: cas [..., T, C], chosen [..., k, C] -> [..., C]."""
    return cas.gather(-2, chosen).mean(-2)


def loss_vid(logits: list[Tensor], labels: Tensor) -> Tensor:
    """L_vid: softmax cross-entropy of each stream's video logits, [B, C(+1)], with the labels, [B, C]; mean of the
    streams."""
    return torch.stack([cross_entropy(F.log_softmax(logit, -1), labels) for logit in logits]).mean()


def pseudo_foreground(chosen: Tensor, labels: Tensor, count: int) -> Tensor:
    """Which of `count` snippets are chosen for a label of the video: chosen [B, k, C(+1)], labels [B, C] -> [B, T]."""
    own = labels.unsqueeze(1).expand(-1, chosen.shape[1], -1)
    found = labels.new_zeros(len(labels), count)
    return found.scatter_reduce(1, chosen[..., : labels.shape[1]].flatten(1), own.flatten(1), "amax")


def loss_att(attention: Tensor, foreground: Tensor, q: float) -> Tensor:
    """L_att: generalized cross-entropy (1 - p^q) / q of foreground and background, each by its mean over the video's
    snippets,
    summed, and mean over videos: attention and foreground [B, T]."""

    def part(p: Tensor, there: Tensor) -> Tensor:
        loss = (1 - (p + 1e-7) ** q) / q
        return ((loss * there).sum(1) / (there.sum(1) + 1e-7)).mean()

    return part(attention, foreground) + part(1 - attention, 1 - foreground)


def expected_clusters(attention: Tensor, background: Tensor, spread: float) -> Tensor:
    """The prior of L_clu, [N, K]: a snippet whose attention, [N], has rank r of N is expected in clusters whose
    background, [K] in 0..1, is about r / N."""
    rank = attention.argsort(descending=True, stable=True).argsort()
    distance = (rank.unsqueeze(1) + 1).to(background) / len(attention) - background
    return torch.exp(-(distance**2) / (2 * spread**2))


def loss_assigned(logits: list[Tensor], assigned: Tensor) -> Tensor:
    """L_clu and L_cls: cross-entropy of the softmax of logits, [N, K] of each stream, with what is assigned, [N, K];
    summed."""
    return torch.stack([-(assigned * F.log_softmax(logit, -1)).sum(1).mean() for logit in logits]).sum()


def prototypes_of(embedded: Tensor, assigned: Tensor) -> Tensor:
    """Each cluster's mean direction: embedded [N, D], assigned [N, K] -> [K, D] of length one."""
    return F.normalize(assigned.t() @ embedded, dim=-1)


class CASE(Method):
    """The method: a `Net` per stream, trained together; `foreground` tells of each cluster how much it is foreground,
    [K, 2]."""

    name: ClassVar = "case"
    title: ClassVar = "CASE: foreground and background by clusters of snippets (ICCV 2023), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 1
    foreground: Tensor

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        outputs = len(classes) + config.background
        self.nets = nn.ModuleDict({name: Net(width, outputs, config) for name, width in streams.items()})
        self.register_buffer("foreground", torch.full((config.clusters, 2), 1 / config.clusters))

    def fit(self, data: TrainingSet, run: Run) -> None:
        """All losses, all videos in each epoch.

        Raises:
            InputError: some labels need a background class which is switched off, or the training diverges.
        """
        config, matrix = self.config, np.asarray(data.labels, dtype=np.float32)
        check_background(config.background, matrix)
        self.to(run.device).train()
        optimizer = torch.optim.Adam(self.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        for _ in run.loop(JOINT, config.epochs, method=self, optimizer=optimizer):
            sums: Counter[str] = Counter()
            batches = np.array_split(run.rng("batches").permutation(len(data)), -(-len(data) // config.batch))
            for step, chosen in enumerate(batches):
                drawn, _ = data.draw(chosen, self.widths, partial(run.rng, f"snippets {step}"))
                told = [self.nets[stream](x.to(run.device)) for stream, x in drawn.items()]
                losses = self.losses(told, torch.from_numpy(matrix[chosen]).to(run.device))
                optimizer.zero_grad(set_to_none=True)
                losses["total"].backward()
                optimizer.step()
                sums.update({name: loss.item() for name, loss in losses.items()})
            run.log(**{name: value / len(batches) for name, value in sums.items()})
        self.eval()

    def losses(self, told: list[Told], labels: Tensor) -> dict[str, Tensor]:
        """The losses and their weighted sum, of what the streams' networks say; what the clusters are is kept for the
        next step."""
        config, count = self.config, told[0].attention.shape[1]
        gates = [one.attention for one in told]
        chosen = combined([one.cas for one in told], *gates).detach().topk(one_of(count, config.top), -2).indices
        vid = loss_vid([video_logit(one.cas, chosen) for one in told], labels)
        foreground = pseudo_foreground(chosen, labels, count)
        att = torch.stack([loss_att(gate, foreground, config.tolerance) for gate in gates]).sum()

        clusters = [one.cluster.flatten(0, 1) for one in told]
        attention = torch.stack(gates).mean(0).detach().flatten()
        prior = expected_clusters(attention, 1 - self.foreground[:, 0], config.spread)
        of_snippets = assign(torch.stack(clusters).mean(0), SHARPNESS, prior)
        clu = loss_assigned([config.temperature * one for one in clusters], of_snippets)

        sides = torch.stack([foreground.flatten(), 1 - foreground.flatten()], 1)
        embedded = [one.embedded.flatten(0, 1) for one in told]
        likeness = [prototypes_of(x, of_snippets) @ prototypes_of(x, sides).t() for x in embedded]  # [K, 2] each
        of_clusters = assign(torch.stack(likeness).mean(0), SHARPNESS, shares=sides.mean(0))
        cls = loss_assigned([config.temperature * one for one in likeness], of_clusters)
        self.foreground.copy_(of_clusters)
        total = vid + att + config.clustering * clu + config.classification * cls
        return {"total": total, "vid": vid, "att": att, "clu": clu, "cls": cls}

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """Per stream the CAS, background last, and the logit of what says foreground: the mean of attention and
        clusters."""
        found = {}
        for stream in self.widths:
            told = self.nets[stream](features[stream].unsqueeze(0))
            of_clusters = (self.config.temperature * told.cluster[0]).softmax(-1) @ self.foreground[:, 0]
            gate = (told.attention[0] + of_clusters) / 2
            found[stream] = SnippetScores(torch.logit(gate, 1e-6), told.cas[0])
        return found

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores as in L_vid, of the snippets that CAS, attention and clusters choose; their mean is what is cut
        and scored, the same in every stream."""
        count, cas = len(self.classes), [curve.class_logit for curve in curves.values()]
        gates = [curve.attention_logit.sigmoid() for curve in curves.values() if curve.attention_logit is not None]
        scores = combined(cas, *gates, *gates)  # each gate stands for two, an attention and the clusters
        chosen = scores.topk(one_of(len(scores), self.config.top), -2).indices
        found, own = {}, scores[:, :count].cpu().numpy()
        for stream, logit, gate in zip(curves, cas, gates):
            score = video_logit(logit, chosen).softmax(-1)[:count].double().cpu().numpy()
            found[stream] = StreamActivation(gate.cpu().numpy(), logit[:, :count].cpu().numpy(), score, {"own": own})
        return found

"""CoLA: Weakly-Supervised Temporal Action Localization with Snippet Contrastive Learning (Zhang, Cao, Yang, Chen, Zou;
CVPR 2021; arXiv:2103.16392).

A video of T snippets has labels and no times. A convolution embeds the snippets of all streams side by side, a
classifier makes them a class activation sequence (CAS), whose sum over the classes is the actionness: how much a
snippet looks like any action. Two losses train them:

    action loss L_a:  the mean of a class's highest scores is the video's, compared with the labels
    SniCo loss L_s:   snippets that are hard to tell are drawn to those that are easy: hard action (HA), just inside the
                      edges of what is active, to easy action (EA), of the highest actionness, and away from easy
                      background (EB); hard background (HB), just outside of these edges, to EB and away from EA

Values that the paper does not give are the released code's; see `cola.yaml` and docs/paper_index.md.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from scipy.ndimage import binary_dilation, binary_erosion
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.settings import setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import JOINT, Method, SnippetScores
from untrimmed.nn.dropout import dropout, kept
from untrimmed.nn.mining import easy, in_unit_range, one_of, rows_at, top
from untrimmed.nn.targets import binary_cross_entropy, check_background, targets_of
from untrimmed.nn.temporal import TemporalConvolution, reach_of
from untrimmed.training import Run, TrainingSet


@dataclass(frozen=True)
class Config:
    """CoLA's settings. Defaults are the released code's for THUMOS14, except for `background`."""

    hidden: int = setting(2048, "width of the embedded features", low=1, source="code")
    kernel: int = setting(3, "snippets that the embedding's convolution sees; odd", low=1, source="code: 3, ActivityNet 9")
    classifier_kernel: int = setting(1, "snippets that the classifier sees; odd", low=1, source="code: 1, ActivityNet 9")
    class_filter: bool = setting(
        False, "a convolution over seven snippets, two apart, of each class's scores by itself", source="code: ActivityNet"
    )
    dropout: float = setting(0.7, "dropout of the embedded features", low=0, high=0.99, source="code")
    background: bool = setting(
        True, "the softmax has a background class, the target of videos without action; the released code: false"
    )
    r_easy: int = setting(5, "a video's score, and its easy snippets, are the T / r_easy highest", low=1, source="paper; code")
    r_hard: int = setting(20, "T / r_hard of the hard snippets are taken", low=1, source="paper; code")
    mask: int = setting(3, "m, the smaller mask: edges move by half of it", low=1, source="paper; code")
    larger_mask: int = setting(6, "M, the larger mask: hard is what lies between the two", low=1, source="paper; code")
    mining_dropout: float = setting(0.6, "share of the snippets that cannot be easy in a step", low=0, high=0.99, source="code")
    temperature: float = setting(0.07, "tau of the SniCo loss", low=1e-3, source="paper; code")
    contrast: float = setting(0.01, "lambda, the weight of the SniCo loss", low=0, source="paper; code")
    epochs: int = setting(462, "passes over the training videos; the released code has 6,000 batches", low=1)
    batch: int = setting(16, "videos per step", low=1, source="paper; code")
    learning_rate: float = setting(1e-4, "Adam's", low=0, source="paper; code")
    weight_decay: float = setting(5e-4, "Adam's", low=0, source="code")


class Net(nn.Module):
    """Embedding and classifier: convolutions over time, without a bias in the latter; scores below zero are zero."""

    def __init__(self, width: int, outputs: int, config: Config) -> None:
        super().__init__()
        hidden, kernel, last = config.hidden, config.kernel, config.classifier_kernel
        self.embedding = TemporalConvolution(width, hidden, kernel)
        layers = [TemporalConvolution(hidden, outputs, last, bias=False)]
        if config.class_filter:
            layers.append(TemporalConvolution(outputs, outputs, 7, dilation=2, groups=outputs, bias=False))
        self.classifier = nn.Sequential(*layers)
        self.reach = reach_of(self.embedding, *layers)

    def forward(self, x: Tensor, share: float = 0.0, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """x [B, T, D] -> embedded features [B, T, hidden] and CAS [B, T, outputs]; with `rng`, dropout."""
        embedded = F.relu(self.embedding(x))
        return embedded, F.relu(self.classifier(dropout(embedded, share, rng)))


class Mined(NamedTuple):
    """Which snippets of each video are what, [B, k] each: easy and hard action, easy and hard background."""

    easy_action: Tensor
    easy_background: Tensor
    hard_action: Tensor
    hard_background: Tensor


def mine(actionness: Tensor, keep: Tensor | None, config: Config) -> Mined:
    """Snippet mining by the actionness, [B, T].

    Active is what lies above the video's median. Eroded by the smaller mask but not by the larger, it is hard action;
    dilated by the larger but not by the smaller, hard background. Of both the snippets of the highest actionness are
    taken, as in the code.
    """
    count = actionness.shape[1]
    easy_action, easy_background = easy(actionness, one_of(count, config.r_easy), keep)
    values = actionness.cpu().numpy()
    active = values > np.median(values, 1, keepdims=True)
    masks = np.ones((1, config.mask)), np.ones((1, config.larger_mask))
    inner, more_inner = (binary_erosion(active, mask) for mask in masks)
    outer, more_outer = (binary_dilation(active, mask) for mask in masks)
    hard = [
        (actionness * torch.from_numpy(edge).to(actionness)).topk(one_of(count, config.r_hard), 1).indices
        for edge in (inner & ~more_inner, more_outer & ~outer)
    ]
    return Mined(easy_action, easy_background, *hard)


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def loss_action(cas: Tensor, labels: Tensor, r_easy: int) -> Tensor:
    """L_a: binary cross-entropy of the softmax of the video scores with the labels, shared equally: [B, T, C(+1)],
    [B, C]."""
    return binary_cross_entropy(top(cas, r_easy), targets_of(labels, background=cas.shape[-1] > labels.shape[1]))


def nce(query: Tensor, key: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """-log of the key's share of all keys, by exp(cosine / temperature): [B, D], [B, D], [B, k, D] -> [B]."""
    query, key, negatives = (F.normalize(x, dim=-1) for x in (query, key, negatives))
    positive, negative = (query * key).sum(-1, keepdim=True), (negatives @ query.unsqueeze(-1)).squeeze(-1)
    return -F.log_softmax(torch.cat([positive, negative], 1) / temperature, 1)[:, 0]


def loss_snico(embedded: Tensor, mined: Mined, labels: Tensor, temperature: float) -> Tensor:
    """L_s: HA near EA and far from EB, HB near EB and far from EA; mean over the videos that have a label, else 0.

    Args:
        embedded: [B, T, D]. labels: [B, C]; a video without action has none that could be easy or hard.
    """
    acting = labels.sum(1) > 0
    if not acting.any():
        return embedded.new_zeros(())
    ea, eb, ha, hb = (rows_at(embedded[acting], index[acting]) for index in mined)
    action = nce(ha.mean(1), ea.mean(1), eb, temperature)
    background = nce(hb.mean(1), eb.mean(1), ea, temperature)
    return (action + background).mean()


class CoLA(Method):
    """The method: one `Net` on all streams side by side."""

    name: ClassVar = "cola"
    title: ClassVar = "CoLA: snippet contrastive learning (CVPR 2021), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 3

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        self.net = Net(sum(streams.values()), len(classes) + config.background, config)
        self.reach = self.net.reach  # type: ignore[misc]

    def fit(self, data: TrainingSet, run: Run) -> None:
        """Both losses, all videos in each epoch.

        Raises:
            InputError: some labels need a background class which is switched off, or the training diverges.
        """
        config, matrix = self.config, np.asarray(data.labels, dtype=np.float32)
        check_background(config.background, matrix)
        self.to(run.device).train()
        optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        for _ in run.loop(JOINT, config.epochs, net=self.net, optimizer=optimizer):
            sums: Counter[str] = Counter()
            batches = np.array_split(run.rng("batches").permutation(len(data)), -(-len(data) // config.batch))
            for step, chosen in enumerate(batches):
                drawn, _ = data.draw(chosen, self.widths, partial(run.rng, f"snippets {step}"))
                x = torch.cat(list(drawn.values()), -1).to(run.device)
                labels = torch.from_numpy(matrix[chosen]).to(run.device)
                losses = self.losses(x, labels, run.torch_rng(f"dropout {step}"))
                optimizer.zero_grad(set_to_none=True)
                losses["total"].backward()
                optimizer.step()
                sums.update({name: loss.item() for name, loss in losses.items()})
            run.log(**{name: value / len(batches) for name, value in sums.items()})
        self.eval()

    def losses(self, x: Tensor, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """Both losses and their weighted sum: x [B, T, D], labels [B, C]."""
        config, (videos, count, _) = self.config, x.shape
        embedded, cas = self.net(x, config.dropout, rng)
        actionness = cas[..., : len(self.classes)].detach().sum(-1)
        mined = mine(actionness, kept((videos, count), config.mining_dropout, rng, x.device), config)
        action = loss_action(cas, labels, config.r_easy)
        snico = loss_snico(embedded, mined, labels, config.temperature)
        return {"total": action + config.contrast * snico, "action": action, "snico": snico}

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The CAS, under one name for all streams; background last."""
        _, cas = self.net(torch.cat([features[stream] for stream in self.widths], -1).unsqueeze(0))
        return {JOINT: SnippetScores(None, cas[0])}

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores as in L_a; CAS and actionness, each brought to 0..1 in the video: what the paper cuts."""
        cas = curves[JOINT].class_logit
        score = top(cas, self.config.r_easy).softmax(-1)[: len(self.classes)]
        cas = cas[:, : len(self.classes)]
        attention, own = (in_unit_range(x).cpu().numpy() for x in (cas.sum(-1), cas))
        return {JOINT: StreamActivation(attention, cas.cpu().numpy(), score.double().cpu().numpy(), {"own": own})}

"""Crosstalk: streams that are trained together, each looking at the other. Not a published method: what the suite is tried on.

It has what the methods of this package lack: one loop and one optimizer over all streams, a loss between them, features of one
stream that gate those of the other, convolutions over time whose zero padding shows at both ends of a video, and torch's dropout.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.settings import setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import Method, SnippetScores
from untrimmed.training import Run, TrainingSet


@dataclass(frozen=True)
class Config:
    """Crosstalk's settings."""

    epochs: int = setting(100, "passes over the training videos", low=1)
    batch: int = setting(16, "videos per step", low=1)
    hidden: int = setting(64, "channels of each stream", low=1)
    learning_rate: float = setting(2e-3, "Adam's", low=0)
    dropout: float = setting(0.2, "share of the gated features that is left out in training", low=0, high=0.9)
    agreement: float = setting(0.5, "weight of the squared difference between the streams' attentions", low=0)


class Crosstalk(Method):
    """Per stream a convolution of three snippets, gated by a convolution of three of the other streams'; then linear heads."""

    name: ClassVar = "crosstalk"
    title: ClassVar = "crosstalk: streams that gate each other, trained together, from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 5  # two convolutions of three snippets, one behind the other

    def __init__(self, config: Config, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        hidden = config.hidden
        self.embed = nn.ModuleDict({name: nn.Conv1d(width, hidden, 3, padding=1) for name, width in streams.items()})
        self.gate = nn.ModuleDict({name: nn.Conv1d(hidden, hidden, 3, padding=1) for name in streams})
        self.dropout = nn.Dropout(config.dropout)
        self.attention = nn.ModuleDict({name: nn.Linear(hidden, 1) for name in streams})
        self.classifier = nn.ModuleDict({name: nn.Linear(hidden, len(classes) + 1) for name in streams})

    def forward(self, x: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Per stream [B, T, D] -> attention logits [B, T] and class logits [B, T, C + 1]; a single stream is not gated."""
        seen = {stream: self.embed[stream](one.transpose(1, 2)).relu() for stream, one in x.items()}
        found = {}
        for stream, own in seen.items():
            others = [other for name, other in seen.items() if name != stream]
            gated = own * self.gate[stream](torch.stack(others).mean(0)).sigmoid() if others else own
            rows = self.dropout(gated.transpose(1, 2))
            found[stream] = self.attention[stream](rows).squeeze(-1), self.classifier[stream](rows)
        return found

    def fit(self, data: TrainingSet, run: Run) -> None:
        """All streams in one loop."""
        self.to(run.device).train()
        labels = torch.from_numpy(np.asarray(data.labels, dtype=np.float32)).to(run.device)
        optimizer = torch.optim.Adam(self.parameters(), self.config.learning_rate)
        for _ in run.loop("joint", self.config.epochs, model=self, optimizer=optimizer):
            batches = np.array_split(run.rng("batches").permutation(len(data)), -(-len(data) // self.config.batch))
            sums = {"class": 0.0, "background": 0.0, "agreement": 0.0}
            for step, chosen in enumerate(batches):
                # The same name gives the same numbers again: all streams are drawn at the same snippets.
                x = {stream: data.sample(chosen, stream, run.rng(f"snippets {step}")).to(run.device) for stream in self.widths}
                with run.seeded(f"dropout {step}"):  # which torch draws from numbers that all programs share
                    losses = self.losses(x, labels[chosen])
                optimizer.zero_grad()
                (losses["class"] + losses["background"] + self.config.agreement * losses["agreement"]).backward()
                optimizer.step()
                sums = {name: total + losses[name].item() / len(batches) for name, total in sums.items()}
            run.log(**sums)
        self.eval()

    def losses(self, x: Mapping[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of what is attended to and of what is not, mean over streams, and how far the attentions differ."""
        empty = (labels.sum(1, keepdim=True) == 0).float()
        target = torch.cat([labels, empty], 1)
        target = target / target.sum(1, keepdim=True)
        background = torch.zeros_like(target)
        background[:, -1] = 1
        told = self(x)
        attentions = torch.stack([logit.sigmoid() for logit, _ in told.values()])
        attended = [pooled(attention, class_logit) for attention, (_, class_logit) in zip(attentions, told.values())]
        ignored = [pooled(1 - attention, class_logit) for attention, (_, class_logit) in zip(attentions, told.values())]
        return {
            "class": torch.stack([F.cross_entropy(logit, target) for logit in attended]).mean(),
            "background": torch.stack([F.cross_entropy(logit, background) for logit in ignored]).mean(),
            "agreement": attentions.var(0, correction=0).mean(),
        }

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """Of one video, {stream: [T, D]}."""
        told = self({stream: x.unsqueeze(0) for stream, x in features.items()})
        return {stream: SnippetScores(attention[0], class_logit[0]) for stream, (attention, class_logit) in told.items()}

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores: the softmax of the attended logits, without background. The features are not looked at again."""
        found = {}
        for stream, curve in curves.items():
            assert curve.attention_logit is not None
            attention = curve.attention_logit.sigmoid()
            score = pooled(attention[None], curve.class_logit[None])[0].softmax(-1)[:-1]
            logit = curve.class_logit[:, :-1] - curve.class_logit[:, -1:]
            found[stream] = StreamActivation(attention.cpu().numpy(), logit.cpu().numpy(), score.double().cpu().numpy())
        return found


def pooled(weight: Tensor, logit: Tensor) -> Tensor:
    """Weighted mean over time: [B, T], [B, T, C + 1] -> [B, C + 1]."""
    return (weight.unsqueeze(1) @ logit).squeeze(1) / weight.sum(1, keepdim=True).clamp_min(1e-6)

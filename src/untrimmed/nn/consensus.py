"""Streams that tell each other what of them matters: the cross-modal consensus of CO2-Net (Hong et al., ACM MM 2021,
arXiv 2107.12589), which DELU and others build on."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.nn.dropout import dropout
from untrimmed.nn.temporal import TemporalConvolution

SLOPE = 0.2
"""Of the leaky ReLU below zero."""


class Consensus(nn.Module):
    """Cross-modal consensus module of one stream, the main one, with the help of the others: re-weighs its features,
    and attends.

    Features whose channels matter in the video as a whole (global context, of the main stream) and at this snippet
    (local, of the others) stay; the gate is the sigmoid of the product of both. Without other streams it is that of the
    global context alone.
    """

    def __init__(self, width: int, others: int, hidden: int, share: float) -> None:
        super().__init__()
        self.context = TemporalConvolution(width, width, 3)
        self.local = TemporalConvolution(others, width, 3) if others else None
        self.attention = nn.ModuleList([TemporalConvolution(width, hidden, 3), TemporalConvolution(hidden, hidden, 3)])
        self.attend = nn.Linear(hidden, 1)
        self.share = share

    def forward(self, x: Tensor, others: Tensor | None, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """x [B, T, D], others [B, T, E] -> attention logits [B, T] and re-weighed features [B, T, D]; with `rng`,
        dropout.

        As in the code, dropout falls on the attention's logit as well, which makes it 0.5.
        """
        gate = dropout(F.leaky_relu(self.context(x.mean(1, keepdim=True)), SLOPE), self.share, rng)
        if self.local is not None and others is not None:
            gate = gate * dropout(F.leaky_relu(self.local(others), SLOPE), self.share, rng)
        filtered = gate.sigmoid() * x
        first, second = self.attention
        seen = dropout(F.leaky_relu(first(filtered), SLOPE), self.share, rng)
        seen = F.leaky_relu(second(seen), SLOPE)
        return dropout(self.attend(seen).squeeze(-1), self.share, rng), filtered


class ConsensusNet(nn.Module):
    """All of CO2-Net: a `Consensus` per stream; their features side by side are fused and classified, background last.

    Args:
        widths: of each stream's features. outputs: classes and background. hidden: width of the fused features.
        attention_hidden: width of the attentions' layers.
        embedding: width that each stream is embedded to first, or None.
        smoothing: so many snippets' scores, and attentions, are averaged at the end; odd.
    """

    def __init__(
        self, widths: Mapping[str, int], outputs: int, hidden: int, attention_hidden: int, embedding: int | None, smoothing: int
    ) -> None:
        super().__init__()
        inner = {name: embedding or width for name, width in widths.items()}
        total = sum(inner.values())
        self.embedding = nn.ModuleDict(
            {name: nn.Identity() if embedding is None else nn.Linear(width, embedding) for name, width in widths.items()}
        )
        self.consensus = nn.ModuleDict(
            {name: Consensus(width, total - width, attention_hidden, 0.5) for name, width in inner.items()}
        )
        self.fusion, self.mixing = nn.Linear(total, hidden), TemporalConvolution(hidden, hidden, 3)
        self.classifier = nn.Linear(hidden, outputs)
        self.smoothing = smoothing
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv1d):
                nn.init.kaiming_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(
        self, x: Mapping[str, Tensor], share: float = 0.0, rng: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Per stream [B, T, D] -> fused features [B, T, hidden], CAS [B, T, outputs], each stream's attention [B, T]."""
        seen = {name: self.embedding[name](one) for name, one in x.items()}
        attention, filtered = {}, []
        for name, own in seen.items():
            rest = [other for key, other in seen.items() if key != name]
            logit, kept = self.consensus[name](own, torch.cat(rest, -1) if rest else None, rng)
            attention[name] = logit.sigmoid()
            filtered.append(kept)
        fused = dropout(F.leaky_relu(self.fusion(torch.cat(filtered, -1)), SLOPE), share, rng)
        mixed = F.leaky_relu(self.mixing(dropout(fused, share, rng)), SLOPE)
        cas = self.classifier(dropout(mixed, share, rng))
        if self.smoothing > 1:
            cas = self._smooth(cas)
            attention = {name: self._smooth(one.unsqueeze(-1)).squeeze(-1) for name, one in attention.items()}
        return fused, cas, attention

    def _smooth(self, x: Tensor) -> Tensor:
        """Each snippet's mean with its neighbours, [B, T, C]; beyond the video's ends stand zeros."""
        return F.avg_pool1d(x.transpose(1, 2), self.smoothing, 1, self.smoothing // 2).transpose(1, 2)

"""STPN: Weakly Supervised Action Localization by Sparse Temporal Pooling Network (Nguyen, Liu, Prasad, Han; CVPR 2018;
arXiv:1712.05080).

Each snippet has an attention lambda in 0..1. The features that it weighs, pooled over time, must predict the video's labels, each
class by itself; and the attention must be sparse:

    L = L_class + beta ||lambda||_1

A class's weights, applied to single snippets, are its temporal class activation map (T-CAM). Localization cuts it where it is
attended to. The streams are trained apart. The authors released no code; values that the paper does not give are those of a
reproduction that reaches its numbers, see `stpn.yaml` and docs/paper_index.md.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.settings import of_stream, setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import Method, SnippetScores
from untrimmed.training import Run, TrainingSet

NODES = 200
"""Of the quadrature in MAAN's pooling."""


@dataclass(frozen=True)
class Config:
    """STPN's settings. Defaults are the reproduction's for THUMOS14."""

    hidden: int = setting(256, "width of the attention's hidden layer", low=1, source="reproduction")
    pooling: Literal["mean", "sum", "marginal"] = setting(
        "mean",
        "of the attended features over time: their mean; as in the paper's formula, their sum; or MAAN's marginalized average",
        choices=("mean", "sum", "marginal"),
        source="reproduction: mean; marginal: MAAN",
    )
    sparsity: float = setting(1e-4, "beta, the weight of ||lambda||_1", low=0, source="reproduction")
    epochs: int = setting(680, "passes over the training videos", low=1, source="reproduction: 23,100 steps")
    batch: int = setting(6, "videos per step", low=1, source="reproduction")
    learning_rate: float = setting(1e-4, "Adam's", low=0, source="reproduction")
    streams: dict[str, dict[str, Any]] = setting({}, "settings that differ by stream")


class StreamNet(nn.Module):
    """Attention and classifier of one stream: D -> hidden, ReLU -> 1, and D -> C."""

    def __init__(self, width: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.attention_hidden, self.attention_out = nn.Linear(width, hidden), nn.Linear(hidden, 1)
        self.classifier = nn.Linear(width, classes)

    def attention_logit(self, x: Tensor) -> Tensor:
        """[..., T, D] -> [..., T]; its sigmoid is lambda."""
        return self.attention_out(F.relu(self.attention_hidden(x))).squeeze(-1)

    def forward(self, x: Tensor, pooling: str) -> tuple[Tensor, Tensor]:
        """Attention [B, T] and the video's class logits [B, C] of x [B, T, D]."""
        attention = self.attention_logit(x).sigmoid()
        return attention, self.classifier((pooling_weights(attention, pooling).unsqueeze(1) @ x).squeeze(1))


def pooling_weights(attention: Tensor, pooling: str) -> Tensor:
    """How much each snippet counts in the pooled features, by the attention, [..., T] each."""
    if pooling == "marginal":
        return marginal_weights(attention)
    return attention / attention.shape[-1] if pooling == "mean" else attention


def marginal_weights(attention: Tensor) -> Tensor:
    """MAAN's marginalized average (Yuan et al., ICLR 2019, arXiv 1905.08586), [..., T] each.

    Draw a subset of the snippets, each by itself with its attention p as the probability, and take its mean feature, 0 of none.
    The expectation weighs snippet t by p_t E[1 / (1 + number of others)]. As 1 / (1 + n) is the integral of u^n from 0 to 1, that
    is p_t times the integral of prod_{s != t} (1 - p_s + p_s u) du: a polynomial of degree T - 1, which Gauss's quadrature
    integrates exactly with T / 2 nodes, and to a millionth with `NODES` where T is some ten thousand. The authors' recursion takes
    T steps, one after the other.
    """
    node, weight = (torch.from_numpy(a).to(attention) for a in _quadrature(min(math.ceil(attention.shape[-1] / 2), NODES)))
    log = torch.log1p(attention.unsqueeze(-1) * (node - 1))  # [..., T, nodes]
    others = (log.sum(-2, keepdim=True) - log).exp()
    return attention * (others @ weight)


@lru_cache
def _quadrature(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss's quadrature from 0 to 1."""
    node, weight = np.polynomial.legendre.leggauss(nodes)
    return (node + 1) / 2, weight / 2


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def loss_class(logit: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each class's sigmoid, mean over classes and videos: [B, C] each. A video without labels shows no class."""
    return F.binary_cross_entropy_with_logits(logit, labels)


def loss_sparsity(attention: Tensor) -> Tensor:
    """||lambda||_1 over time, [B, T], mean over videos."""
    return attention.sum(1).mean()


def losses_of(net: StreamNet, x: Tensor, labels: Tensor, config: Config) -> dict[str, Tensor]:
    """Both losses and their weighted sum for x [B, T, D] and labels [B, C]."""
    attention, logit = net(x, config.pooling)
    of_class, sparsity = loss_class(logit, labels), loss_sparsity(attention)
    return {"total": of_class + config.sparsity * sparsity, "class": of_class, "sparsity": sparsity}


class STPN(Method):
    """The method: a `StreamNet` per stream, each trained by itself."""

    name: ClassVar = "stpn"
    title: ClassVar = "STPN: sparse temporal pooling (CVPR 2018), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 1

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        self.streams = nn.ModuleDict(
            {name: StreamNet(width, of_stream(config, name).hidden, len(classes)) for name, width in streams.items()}
        )

    def fit(self, data: TrainingSet, run: Run) -> None:
        """Train each stream.

        Raises:
            InputError: the training diverges.
        """
        self.to(run.device).train()
        run.side_by_side(self.streams, self._fit_stream, data)
        self.eval()

    def _fit_stream(self, stream: str, data: TrainingSet, run: Run) -> None:
        config, net = of_stream(self.config, stream), self._net(stream)
        labels = torch.from_numpy(np.asarray(data.labels, dtype=np.float32)).to(run.device)
        optimizer = torch.optim.Adam(net.parameters(), config.learning_rate)
        steps = math.ceil(len(data) / config.batch)
        for _ in run.loop(stream, config.epochs, net=net, optimizer=optimizer):
            sums: Counter[str] = Counter()
            for step, chosen in enumerate(np.array_split(run.rng(f"{stream} videos").permutation(len(data)), steps)):
                x = data.sample(chosen, stream, run.rng(f"{stream} snippets {step}")).to(run.device)
                losses = losses_of(net, x, labels[chosen], config)
                optimizer.zero_grad(set_to_none=True)
                losses["total"].backward()
                optimizer.step()
                sums.update({name: loss.item() for name, loss in losses.items()})
            run.log(**{name: value / steps for name, value in sums.items()})

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """Per stream the attention and the T-CAM, the class's weights without its bias, of each snippet by itself."""
        curves = {}
        for stream, x in features.items():
            net = self._net(stream)
            curves[stream] = SnippetScores(net.attention_logit(x), (net.classifier.weight @ x.t()).t())
        return curves

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores: the classifier's sigmoid on the pooled features; as it is linear, that of the pooled T-CAM plus bias."""
        found = {}
        for stream, curve in curves.items():
            assert curve.attention_logit is not None
            attention = curve.attention_logit.sigmoid()
            pooled = pooling_weights(attention, of_stream(self.config, stream).pooling) @ curve.class_logit
            score = (pooled + self._net(stream).classifier.bias).sigmoid()
            found[stream] = StreamActivation(attention.cpu().numpy(), curve.class_logit.cpu().numpy(), score.double().cpu().numpy())
        return found

    def _net(self, stream: str) -> StreamNet:
        net = self.streams[stream]
        assert isinstance(net, StreamNet)
        return net

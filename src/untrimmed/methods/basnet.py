"""BaS-Net: Background Suppression Network for Weakly-supervised Temporal Action Localization (Lee, Uh, Byun; AAAI 2020;
arXiv:1911.09963).

One network scores every snippet for every class and for background, of all streams side by side, and looks at each video twice:

    base branch          the video as it is: its labels and background are there
    suppression branch   the same video, its features times the foreground weights of a filter: the labels are there, background
                         is not

The two share their weights and differ in the target of background alone, so that the filter must learn to suppress it. L_norm
keeps the foreground weights small. Localization cuts the suppression branch's scores.

Values that the paper does not give are the released code's; see `basnet.yaml` and docs/paper_index.md.
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
from untrimmed.nn.pooling import one_in, top_mean
from untrimmed.nn.targets import binary_cross_entropy, targets_of
from untrimmed.nn.temporal import TemporalConvolution
from untrimmed.training import Run, TrainingSet

TOP = 8
"""A video's score is the mean of its top T / 8 snippets."""


@dataclass(frozen=True)
class Config:
    """BaS-Net's settings. Defaults are the released code's for THUMOS14."""

    hidden: int | None = setting(
        None, "channels of the two convolutions over time; none = width of the features", low=1, source="code: 2048"
    )
    filter_hidden: int = setting(512, "channels of the filter's hidden layer", low=1, source="code")
    dropout: float = setting(0.7, "dropout before the classifier", low=0, high=0.99, source="code")
    sparsity: float = setting(1e-4, "alpha, the weight of L_norm", low=0, source="code")
    epochs: int = setting(116, "passes over the training videos", low=1, source="code: 1,500 steps")
    batch: int = setting(16, "videos per step", low=1, source="code")
    learning_rate: float = setting(1e-4, "Adam's", low=0, source="code")
    weight_decay: float = setting(5e-4, "Adam's", low=0, source="code")


class Net(nn.Module):
    """Filter, D -> filter_hidden -> 1; and CAS module, two convolutions over three snippets and a classifier without bias."""

    def __init__(self, width: int, hidden: int, filter_hidden: int, outputs: int) -> None:
        super().__init__()
        self.filter_hidden, self.filter_out = nn.Linear(width, filter_hidden), nn.Linear(filter_hidden, 1)
        self.first, self.second = TemporalConvolution(width, hidden, 3), TemporalConvolution(hidden, hidden, 3)
        self.classifier = nn.Linear(hidden, outputs, bias=False)

    def foreground_logit(self, x: Tensor) -> Tensor:
        """[..., T, D] -> [..., T]; its sigmoid is the foreground weight."""
        return self.filter_out(F.leaky_relu(self.filter_hidden(x))).squeeze(-1)

    def cas(self, x: Tensor, keep: Tensor | None = None, dropout: float = 0.0) -> Tensor:
        """Class activation sequence: x [B, T, D] -> [B, T, C + 1]; `keep`, [B, T, hidden], is the dropout mask."""
        hidden = F.leaky_relu(self.second(F.leaky_relu(self.first(x))))
        if keep is not None:
            hidden = hidden * keep / (1 - dropout)
        return self.classifier(hidden)


def video_logit(cas: Tensor) -> Tensor:
    """Of each video the mean of each class's top T // 8, [B, T, C + 1] -> [B, C + 1]; its softmax is the video's scores."""
    length = torch.full((len(cas),), cas.shape[1], device=cas.device)
    return top_mean(cas, length, one_in(TOP, length))


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def targets(labels: Tensor) -> tuple[Tensor, Tensor]:
    """What the base and the suppression branch are held to, [B, C + 1] each of sum one: in the base branch background is one of
    the labels, in the other it is not; a video without labels (ours) is background in both."""
    base = torch.cat([labels, torch.ones_like(labels[:, :1])], 1)
    return base / base.sum(1, keepdim=True), targets_of(labels)


def losses_of(net: Net, x: Tensor, labels: Tensor, keep: tuple[Tensor, Tensor], config: Config) -> dict[str, Tensor]:
    """All losses and their weighted sum of x [B, T, D] and labels [B, C]; `keep`: a dropout mask for either branch."""
    foreground = net.foreground_logit(x).sigmoid()
    base = video_logit(net.cas(x, keep[0], config.dropout))
    suppressed = video_logit(net.cas(foreground.unsqueeze(-1) * x, keep[1], config.dropout))
    target_base, target_suppressed = targets(labels)
    losses = {
        "base": binary_cross_entropy(base, target_base),
        "supp": binary_cross_entropy(suppressed, target_suppressed),
        "norm": foreground.sum(1).mean(),
    }
    return {"total": losses["base"] + losses["supp"] + config.sparsity * losses["norm"], **losses}


class BaSNet(Method):
    """The method: one `Net` on all streams side by side."""

    name: ClassVar = "basnet"
    title: ClassVar = "BaS-Net: background suppression (AAAI 2020), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 5

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        width = sum(streams.values())
        self.net = Net(width, config.hidden or width, config.filter_hidden, len(classes) + 1)

    def fit(self, data: TrainingSet, run: Run) -> None:
        """Train both branches on shuffled batches.

        Raises:
            InputError: the training diverges.
        """
        config = self.config
        self.to(run.device).train()
        labels = torch.from_numpy(np.asarray(data.labels, dtype=np.float32)).to(run.device)
        optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        steps = math.ceil(len(data) / config.batch)
        for _ in run.loop(JOINT, config.epochs, net=self.net, optimizer=optimizer):
            sums: Counter[str] = Counter()
            for step, chosen in enumerate(np.array_split(run.rng("videos").permutation(len(data)), steps)):
                drawn, _ = data.draw(chosen, self.widths, partial(run.rng, f"snippets {step}"))
                x = torch.cat(list(drawn.values()), -1).to(run.device)
                noise = torch.rand((2, *x.shape[:2], self.net.classifier.in_features), generator=run.torch_rng(f"dropout {step}"))
                keep = (noise >= config.dropout).to(run.device)
                losses = losses_of(self.net, x, labels[chosen], (keep[0], keep[1]), config)
                optimizer.zero_grad(set_to_none=True)
                losses["total"].backward()
                optimizer.step()
                sums.update({name: loss.item() for name, loss in losses.items()})
            run.log(**{name: value / steps for name, value in sums.items()})
        self.eval()

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The foreground weights as attention, and the suppression branch's scores, background last."""
        x = torch.cat([features[stream] for stream in self.widths], -1)
        foreground = self.net.foreground_logit(x)
        cas = self.net.cas((foreground.sigmoid().unsqueeze(-1) * x).unsqueeze(0))[0]
        return {JOINT: SnippetScores(foreground, cas)}

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores: the suppression branch's, without background."""
        foreground, cas = curves[JOINT].attention_logit, curves[JOINT].class_logit
        assert foreground is not None
        score = video_logit(cas.unsqueeze(0))[0].softmax(-1)[:-1]
        attention = foreground.sigmoid().cpu().numpy()
        return {JOINT: StreamActivation(attention, cas[:, :-1].cpu().numpy(), score.double().cpu().numpy())}

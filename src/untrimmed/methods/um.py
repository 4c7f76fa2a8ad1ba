"""UM: Weakly-supervised Temporal Action Localization by Uncertainty Modeling (Lee, Wang, Lu, Byun; AAAI 2021;
arXiv:2006.07006).

A video of T snippets has labels and no times. A convolution embeds the snippets of all streams side by side, a
classifier makes them a class activation sequence (CAS). Background is no class of its own here, since it has no
appearance of its own: it is what the features say little about. How long a snippet's embedded feature is, its
magnitude, tells how surely it is action:

    classification loss L_cls:       the mean of a class's highest scores is the video's, compared with the labels
    uncertainty modeling loss L_um:  the features of the snippets of the highest magnitude must be long, of the lowest
                                     short
    background entropy loss L_be:    the latter must be equally much of every class

Values that the paper does not give are the released code's; see `um.yaml` and docs/paper_index.md.
"""

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
from untrimmed.nn.dropout import dropout, kept
from untrimmed.nn.mining import easy, in_unit_range, one_of, rows_at, top
from untrimmed.nn.targets import binary_cross_entropy, check_background, targets_of
from untrimmed.nn.temporal import TemporalConvolution
from untrimmed.training import Run, TrainingSet


@dataclass(frozen=True)
class Config:
    """UM's settings. Defaults are the released code's for THUMOS14, except for `background`."""

    hidden: int = setting(2048, "width of the embedded features", low=1, source="code")
    dropout: float = setting(0.7, "dropout of the embedded features", low=0, high=0.99, source="code")
    background: bool = setting(
        True, "the softmax of a video has a background class, for videos without action; paper and released code: false"
    )
    r_act: float = setting(9, "T / r_act snippets are pseudo action, and make a video's score", low=1, source="paper; code")
    r_bkg: float = setting(4, "T / r_bkg snippets are pseudo background", low=1, source="paper; code")
    selection_dropout: float = setting(
        0.7, "share of the snippets that are not selected in a step", low=0, high=0.99, source="code"
    )
    margin: float = setting(100, "m, how long the features of pseudo action should be", low=0, source="paper; code")
    uncertainty: float = setting(5e-4, "alpha, the weight of L_um", low=0, source="paper; code")
    entropy: float = setting(1, "beta, the weight of L_be", low=0, source="paper; code")
    epochs: int = setting(770, "passes over the training videos; the released code has 10,000 batches", low=1)
    batch: int = setting(16, "videos per step", low=1, source="code")
    learning_rate: float = setting(1e-4, "Adam's", low=0, source="code")
    weight_decay: float = setting(5e-4, "Adam's", low=0, source="code")


class Net(nn.Module):
    """Embedding by a convolution of three snippets, ReLU; classifier of single ones, without a bias."""

    def __init__(self, width: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.embedding, self.classifier = TemporalConvolution(width, hidden, 3), nn.Linear(hidden, outputs, bias=False)

    def forward(self, x: Tensor, share: float = 0.0, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """x [B, T, D] -> embedded features [B, T, hidden] and CAS [B, T, outputs]; with `rng`, dropout."""
        embedded = F.relu(self.embedding(x))
        return embedded, self.classifier(dropout(embedded, share, rng))


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def loss_cls(cas: Tensor, labels: Tensor, r_act: float) -> Tensor:
    """L_cls: binary cross-entropy of the softmax of the video scores with the labels, shared equally: [B, T, C(+1)],
    [B, C]."""
    return binary_cross_entropy(top(cas, r_act), targets_of(labels, background=cas.shape[-1] > labels.shape[1]))


def loss_um(action: Tensor, background: Tensor, labels: Tensor, margin: float) -> Tensor:
    """L_um: (max(0, m - |mean action|) + |mean background|)^2, mean over the videos.

    Of a video without action, which is ours, everything is background: (|mean action| + |mean background|)^2.

    Args:
        action: [B, k, D], features of the pseudo action. background: [B, l, D]. labels: [B, C].
    """
    long, short = action.mean(1).norm(dim=1), background.mean(1).norm(dim=1)
    lacking = torch.where(labels.sum(1) > 0, F.relu(margin - long), long)
    return ((lacking + short) ** 2).mean()


def loss_be(cas: Tensor) -> Tensor:
    """L_be: binary cross-entropy of the softmax of the pseudo background's mean CAS, [B, l, C], with equal shares."""
    logit = cas.mean(1)
    return binary_cross_entropy(logit, torch.full_like(logit, 1 / logit.shape[1]))


class UM(Method):
    """The method: one `Net` on all streams side by side."""

    name: ClassVar = "um"
    title: ClassVar = "UM: uncertainty modeling by feature magnitudes (AAAI 2021), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 3

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        self.net = Net(sum(streams.values()), config.hidden, len(classes) + config.background)

    def fit(self, data: TrainingSet, run: Run) -> None:
        """All three losses, all videos in each epoch.

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
        """The losses and their weighted sum: x [B, T, D], labels [B, C]."""
        config, (videos, count, _) = self.config, x.shape
        embedded, cas = self.net(x, config.dropout, rng)
        keep = kept((videos, count), config.selection_dropout, rng, x.device)
        magnitude = embedded.detach().norm(dim=-1)
        action, _ = easy(magnitude, one_of(count, config.r_act), keep)
        _, background = easy(magnitude, one_of(count, config.r_bkg), keep)
        cls = loss_cls(cas, labels, config.r_act)
        um = loss_um(rows_at(embedded, action), rows_at(embedded, background), labels, config.margin)
        be = loss_be(rows_at(cas[..., : len(self.classes)], background))
        return {"total": cls + config.uncertainty * um + config.entropy * be, "cls": cls, "um": um, "be": be}

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The features' magnitudes and the CAS, under one name for all streams; background last."""
        embedded, cas = self.net(torch.cat([features[stream] for stream in self.widths], -1).unsqueeze(0))
        return {JOINT: SnippetScores(embedded[0].norm(dim=-1), cas[0])}

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores as in L_cls. Attention: magnitudes, 0 at the mean of the lowest T / r_bkg, 1 at that of the
        highest T / r_act. What the paper cuts: attention times the softmax of the CAS, brought to 0..1 in the video."""
        config, magnitude, cas = self.config, curves[JOINT].attention_logit, curves[JOINT].class_logit
        assert magnitude is not None
        high, low = top(magnitude.unsqueeze(-1), config.r_act), -top(-magnitude.unsqueeze(-1), config.r_bkg)
        attention = ((magnitude - low) / torch.where(high > low, high - low, 1)).clamp(0, 1)
        count = len(self.classes)
        own = in_unit_range(cas.softmax(-1)[:, :count] * attention.unsqueeze(-1))
        score = top(cas, config.r_act).softmax(-1)[:count].double()
        extra = {"own": own.cpu().numpy()}
        return {JOINT: StreamActivation(attention.cpu().numpy(), cas[:, :count].cpu().numpy(), score.cpu().numpy(), extra)}

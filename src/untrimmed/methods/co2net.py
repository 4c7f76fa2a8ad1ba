"""CO2-Net: Cross-modal Consensus Network for Weakly Supervised Temporal Action Localization (Hong, Feng, Xu, Shan,
Zheng; ACM MM 2021; arXiv:2107.12589).

A video of T snippets has labels and no times. Features of networks that were trained for something else hold much that
does not matter here, and the streams can tell each other what does: a consensus module per stream re-weighs its
features by what the video as a whole, in this stream, and the other streams at this snippet agree on, and attends to
snippets. The features side by side are fused and classified, with a background class. The attention is the streams'
mean; suppressed scores are the class activation sequence (CAS) times attention.

    multiple-instance losses L_mil:   the mean of a class's highest scores is the video's; with the labels and
                                      background for the plain CAS, the labels alone for the suppressed
    co-activity similarity L_cas:     as in W-TALC, of the fused features and suppressed scores
    mutual learning L_ml:             each stream's attention learns from the other's
    normalization L_norm:             attentions are small
    guidance L_oppo:                  attention is the opposite of the background's score

Values that the paper does not give are the released code's; see `co2net.yaml` and docs/paper_index.md.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from untrimmed.data.settings import setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import JOINT, Method, SnippetScores
from untrimmed.nn.coactivity import draw_videos, loss_cas
from untrimmed.nn.consensus import ConsensusNet
from untrimmed.nn.mining import top
from untrimmed.training import Run, TrainingSet


@dataclass(frozen=True)
class Config:
    """CO2-Net's settings. Defaults are the released code's for THUMOS14."""

    hidden: int = setting(2048, "width of the fused features", low=1, source="code")
    attention_hidden: int = setting(512, "width of the attention's layers", low=1, source="code")
    embedding: int | None = setting(None, "ours: width to which a linear layer brings each stream first; none = no such", low=1)
    dropout: float = setting(0.7, "dropout of the fused features; the consensus modules have 0.5", low=0, high=0.99, source="code")
    smoothing: int = setting(1, "scores and attentions are means over so many snippets; odd", low=1, source="code")
    top: float = setting(7, "k: a video's score is the mean of its T / k highest", low=1, source="code; 5 for ActivityNet")
    test_top: float = setting(10, "the same when a video is localized", low=1, source="code")
    co_activity: float = setting(1, "weight of L_cas", low=0, source="code: alpha3")
    margin: float = setting(0.5, "of L_cas", low=0, source="code")
    pairs: int = setting(3, "pairs of videos in a batch that share a class; fewer in a small batch", low=0, source="code")
    mutual: float = setting(1, "weight of L_ml", low=0, source="code: alpha4")
    norm: float = setting(0.8, "weight of L_norm", low=0, source="paper; code: alpha1")
    guide: float = setting(0.8, "weight of L_oppo", low=0, source="paper; code: alpha2")
    epochs: int = setting(250, "passes, of as many drawn videos as there are; the released code has 5,000 batches", low=1)
    batch: int = setting(10, "videos per step", low=1, source="paper; code")
    learning_rate: float = setting(5e-5, "Adam's", low=0, source="paper; code")
    weight_decay: float = setting(1e-3, "Adam's", low=0, source="paper; code")


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def suppressed(cas: Tensor, attention: Tensor) -> Tensor:
    """The CAS times attention, above the lowest score of the snippet: cas [B, T, C + 1], attention [B, T]."""
    low = cas.amin(-1, keepdim=True)
    return attention.unsqueeze(-1) * (cas - low) + low


def loss_mil(cas: Tensor, labels: Tensor, share: float, background: bool) -> Tensor:
    """L_mil: softmax cross-entropy of the mean of the T / share highest scores with the labels, shared equally, mean
    over videos.

    Args:
        cas: [B, T, C + 1]. labels: [B, C]. background: whether it is a label too; if not, a video without labels has no
        loss.
    """
    target = torch.cat([labels, torch.full_like(labels[:, :1], float(background))], 1)
    target = target / (target.sum(1, keepdim=True) + 1e-4)
    return -(target * F.log_softmax(top(cas, share), -1)).sum(1).mean()


def loss_mutual(attentions: Sequence[Tensor]) -> Tensor:
    """L_ml: squared difference of each stream's attention, [B, T], from each other's, which is held; mean of pairs."""
    pairs = [(one, other) for one in attentions for other in attentions if one is not other]
    if not pairs:
        return attentions[0].new_zeros(())
    return torch.stack([F.mse_loss(one, other.detach()) for one, other in pairs]).mean()


def loss_norm(attentions: Sequence[Tensor]) -> Tensor:
    """L_norm: the mean of the attentions, [B, T] each."""
    return torch.stack([attention.mean() for attention in attentions]).mean()


def gap_to_background(attentions: Sequence[Tensor], cas: Tensor) -> Tensor:
    """How far an attention is from one less the background's softmax in cas [B, T, C + 1]; mean of attentions, [B, T]."""
    background = cas.softmax(-1)[..., -1]
    return torch.stack([(1 - attention - background).abs() for attention in attentions]).mean(0)


def loss_guide(attentions: Sequence[Tensor], cas: Tensor) -> Tensor:
    """L_oppo: the mean of `gap_to_background`."""
    return gap_to_background(attentions, cas).mean()


class CO2Net(Method):
    """The method: one network over all streams."""

    name: ClassVar = "co2net"
    title: ClassVar = "CO2-Net: cross-modal consensus of streams (ACM MM 2021), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = None  # the context of the consensus is the whole video

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        size = config.hidden, config.attention_hidden, config.embedding, config.smoothing
        self.net = ConsensusNet(streams, len(classes) + 1, *size)

    def fit(self, data: TrainingSet, run: Run) -> None:
        """All losses, on batches of pairs and others; an epoch draws about as many videos as there are.

        Raises:
            InputError: the training diverges.
        """
        config, matrix = self.config, np.asarray(data.labels, dtype=np.float32)
        self.to(run.device).train()
        optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        steps = math.ceil(len(data) / config.batch)
        for epoch in run.loop(JOINT, config.epochs, net=self.net, optimizer=optimizer):
            sums: Counter[str] = Counter()
            rng = run.rng("videos")
            for step in range(steps):
                chosen, pairs = draw_videos(matrix, min(config.batch, len(data)), config.pairs, rng)
                drawn, _ = data.draw(chosen, self.widths, partial(run.rng, f"snippets {step}"))
                x = {stream: one.to(run.device) for stream, one in drawn.items()}
                labels = torch.from_numpy(matrix[chosen]).to(run.device)
                part = (epoch + step / steps) / config.epochs
                losses = self.losses(x, labels, pairs, run.torch_rng(f"dropout {step}"), part)
                optimizer.zero_grad(set_to_none=True)
                losses["total"].backward()
                optimizer.step()
                sums.update({name: loss.item() for name, loss in losses.items()})
            run.log(**{name: value / steps for name, value in sums.items()})
        self.eval()

    def losses(self, x: Mapping[str, Tensor], labels: Tensor, pairs: int, rng: torch.Generator, part: float) -> dict[str, Tensor]:
        """The losses and their weighted sum for a batch whose first 2 x `pairs` videos are pairs.

        Args:
            x: per stream [B, T, D]. labels: [B, C]. part: which part of the run is over; CO2-Net does not look at it.
        """
        fused, cas, attention = self.net(x, self.config.dropout, rng)
        return self.losses_of(fused, cas, list(attention.values()), labels, pairs, part)

    def losses_of(
        self, fused: Tensor, cas: Tensor, attentions: Sequence[Tensor], labels: Tensor, pairs: int, part: float
    ) -> dict[str, Tensor]:
        """The same from what the network says: [B, T, hidden], [B, T, C + 1], [B, T] of each stream."""
        config = self.config
        mean = torch.stack(list(attentions)).mean(0)
        supp = suppressed(cas, mean)
        paired = slice(0, 2 * pairs)
        length = torch.full((2 * pairs,), cas.shape[1], device=cas.device)
        losses = {
            "mil": loss_mil(cas, labels, config.top, background=True),
            "mil_supp": loss_mil(supp, labels, config.top, background=False),
            "cas": loss_cas(fused[paired], supp[paired, :, :-1], length, labels[paired], config.margin),
            "mutual": loss_mutual(attentions),
            "norm": loss_norm([mean, *attentions]),
            "guide": loss_guide([mean, *attentions], cas),
        }
        weights = {"cas": config.co_activity, "mutual": config.mutual, "norm": config.norm, "guide": config.guide}
        total = sum(weights.get(name, 1) * loss for name, loss in losses.items())
        return {"total": total, **losses}

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The logit of the streams' mean attention, and the CAS, background last."""
        _, cas, attention = self.net({stream: features[stream].unsqueeze(0) for stream in self.widths})
        mean = torch.stack(list(attention.values())).mean(0)[0]
        return {JOINT: SnippetScores(torch.logit(mean, 1e-6), cas[0])}

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores: softmax of the mean of the highest of CAS times attention, which also scores a segment."""
        attention_logit, cas = curves[JOINT].attention_logit, curves[JOINT].class_logit
        assert attention_logit is not None
        attention = attention_logit.sigmoid()
        product = cas * attention.unsqueeze(-1)
        score = top(product, self.config.test_top).softmax(-1)[:-1].double()
        logit, own = (x.cpu().numpy() for x in (cas[:, :-1] - cas[:, -1:], product[:, :-1]))
        return {JOINT: StreamActivation(attention.cpu().numpy(), logit, score.cpu().numpy(), {"own": own})}

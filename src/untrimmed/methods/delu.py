"""DELU: Dual-Evidential Learning for Weakly-supervised Temporal Action Localization (Chen, Gao, Yang, Xu; ECCV 2022).

CO2-Net (see `co2net.py`) with two more losses. Evidential learning reads the scores of C classes as evidence
e = exp(score) for each, the parameters alpha = e + 1 of a Dirichlet distribution over what the truth may be. Its
strength S = sum(alpha) tells how much is known, and u = C / S how uncertain it is:

    generalized evidential loss L_edl:  a video's evidence, from the snippets that are attended to most, must be for its
                                        labels; each label weighs as it lacks evidence, and the video the less the more
                                        uncertain it is
    uncertainty-guided loss L_ug:       CO2-Net's guidance, snippet by snippet: uncertain snippets weigh more at first,
                                        certain ones at the end of the run

Values that the paper does not give are the released code's; see `delu.yaml` and docs/paper_index.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from untrimmed.data.settings import setting
from untrimmed.methods import co2net
from untrimmed.nn.mining import one_of, rows_at


@dataclass(frozen=True)
class Config(co2net.Config):
    """DELU's settings: CO2-Net's, and its own. Defaults are the released code's for THUMOS14, except for `official`."""

    guide: float = setting(0.4, "weight of L_oppo", low=0, source="code: alpha2")
    evidence: float = setting(1.3, "weight of L_edl", low=0, source="code: alpha_edl")
    attended: float = setting(
        9, "a video's evidence is that of the T / attended snippets of the highest attention", low=1, source="code"
    )
    uncertainty_guide: float = setting(0.4, "weight of L_ug", low=0, source="code: alpha_uct_guide")
    amplitude: float = setting(0.7, "by how much more or less than 1 a snippet may weigh in L_ug", low=0, high=1, source="code")
    official: bool = setting(
        False, "L_ug as in the released code, which takes the order of the snippets by uncertainty for their ranks"
    )


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def dirichlet(score: Tensor) -> Tensor:
    """The parameters alpha = exp(score) + 1 of the Dirichlet distribution; beyond -10 and 10 a score counts no more."""
    return score.clamp(-10, 10).exp() + 1


def video_evidence(supp: Tensor, attention: Tensor, share: float) -> Tensor:
    """A video's scores: the mean over the T / share snippets of the highest attention, without background.

    supp [B, T, C + 1], attention [B, T] -> [B, C].
    """
    return rows_at(supp, attention.topk(one_of(supp.shape[1], share), 1).indices).mean(1)[:, :-1]


def loss_edl(score: Tensor, labels: Tensor) -> Tensor:
    """L_edl = (1 - u) sum over the labels of g (log S - log alpha), mean over videos: scores [B, C], labels [B, C].

    A label's weight g goes with 1 / alpha; a video's weights have its number of labels as their sum. A video without
    labels has no loss. There is no gradient through u.
    """
    alpha = dirichlet(score)
    strength = alpha.sum(1, keepdim=True)
    certain = 1 - score.shape[1] / strength.detach()
    lack = labels / alpha
    g = labels.sum(1, keepdim=True) * lack / lack.sum(1, keepdim=True).clamp_min(1e-12)
    return (certain * g * (strength.log() - alpha.log())).sum(1).mean()


def snippet_weights(supp: Tensor, part: float, amplitude: float, official: bool) -> Tensor:
    """How much each snippet weighs in L_ug, [B, T]: 1 + amplitude x tanh(theta x delta), theta from -1, of the most
    certain snippet, to 1, of the least, and delta from 1, as the run begins, to -1.

    Args:
        supp: [B, T, C + 1]. part: which part of the run is over. official: as in `Config`.
    """
    count = supp.shape[1]
    theta = 2 * (torch.arange(count, device=supp.device, dtype=supp.dtype) + 0.5) / count - 1
    curve = 1 + amplitude * torch.tanh(theta * (1 - 2 * part))
    uncertainty = 1 / dirichlet(supp.detach()).sum(-1)
    order = uncertainty.argsort(dim=1, stable=True)
    return curve[order if official else order.argsort(dim=1)]


def loss_uncertainty_guide(
    attentions: Sequence[Tensor], cas: Tensor, supp: Tensor, part: float, amplitude: float, official: bool
) -> Tensor:
    """L_ug: the mean of `gap_to_background`, each snippet with its weight: attentions [B, T] each, cas and supp [B, T,
    C + 1]."""
    return (snippet_weights(supp, part, amplitude, official) * co2net.gap_to_background(attentions, cas)).mean()


class DELU(co2net.CO2Net):
    """CO2-Net with the losses above."""

    name: ClassVar = "delu"
    title: ClassVar = "DELU: CO2-Net with dual-evidential learning (ECCV 2022), from video-level labels"
    Config: ClassVar = Config

    def losses_of(
        self, fused: Tensor, cas: Tensor, attentions: Sequence[Tensor], labels: Tensor, pairs: int, part: float
    ) -> dict[str, Tensor]:
        """CO2-Net's losses and DELU's own, and their weighted sum."""
        config, losses = self.config, super().losses_of(fused, cas, attentions, labels, pairs, part)
        mean = torch.stack(list(attentions)).mean(0)
        supp = co2net.suppressed(cas, mean)
        edl = loss_edl(video_evidence(supp, mean, config.attended), labels)
        ug = loss_uncertainty_guide([mean, *attentions], cas, supp, part, config.amplitude, config.official)
        total = losses["total"] + config.evidence * edl + config.uncertainty_guide * ug
        return {**losses, "total": total, "edl": edl, "ug": ug}

"""P-MIL: Proposal-based Multiple Instance Learning for Weakly-supervised Temporal Action Localization (Ren, Yang,
Zhang, Zhang; CVPR 2023; arXiv:2305.17861).

A second stage. Methods that classify snippets learn from the most telling ones and are asked about segments; here the
segments that such a method finds, its proposals, are what is classified. A proposal's feature is that of its inside and
what sets it apart from its surroundings; per stream one network says of it a class (or background), an attention and a
completeness.

    classification L_cls:       the mean of a class's highest proposals is the video's score, as CO2-Net's of snippets
    rank consistency L_irc:     among proposals that overlap, a stream orders them as the other stream does
    completeness L_comp:        how far a proposal overlaps the best of those around, by the other stream's attention

The first stage is any method: a trained run (`run`), or one that is trained here (`first`). What it becomes is part of
the model. Values that the paper does not give are the released code's; see `pmil.yaml` and docs/paper_index.md.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.settings import setting
from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.localization import localize
from untrimmed.localization.nms import tiou
from untrimmed.methods.base import Method, SnippetScores, activations_of
from untrimmed.methods.co2net import loss_mil
from untrimmed.methods.first_stage import first_stage
from untrimmed.nn.dropout import dropout
from untrimmed.nn.roi import roi_align
from untrimmed.training import Run, TrainingSet

BINS = 12
"""Of a proposal with a quarter of its length at either side: two on the left, eight inside, two on the right."""
SIDE = 0.25
"""Width of each side, as a share of the proposal's length."""


@dataclass(frozen=True)
class Config:
    """P-MIL's settings. Defaults are the released code's for THUMOS14."""

    run: str | None = setting(None, "folder of a trained run, of any method on the same videos: the first stage; none = train one")
    first: str = setting("co2net", "the first stage's method, where it is trained here", source="paper: CO2-Net's proposals")
    stage_preset: str = setting("default", "the first stage's preset, where it is trained here")
    stage: tuple[str, ...] = setting((), "settings laid over it, as in [epochs=60, localization.nms=0.7]")
    proposals: int = setting(1000, "most proposals of a video in a training step", low=1, source="code: max_proposal")
    hidden: int | None = setting(None, "width of a proposal's feature; none = that of the stream's features", low=2, source="code")
    dropout: float = setting(0.5, "dropout of the proposals' features", low=0, high=0.99, source="code")
    top: float = setting(8, "a video's score is the mean of its M / top highest proposals", low=1, source="code: k")
    plain: float = setting(2, "weight of L_cls with background as a label of every video", low=0, source="code")
    suppressed: float = setting(1, "weight of L_cls of class times attention, without background", low=0, source="code")
    consistency: float = setting(2, "weight of L_irc after its ramp", low=0, source="code")
    completeness: float = setting(20, "weight of L_comp after its ramp", low=0, source="code")
    pseudo: float = setting(
        0.8, "gamma: what has this share of the highest attention may be a pseudo instance", low=0, high=1, source="code"
    )
    ramp_epochs: int = setting(30, "epochs of the ramp of L_irc and L_comp; 0 = none", low=0, source="code: rampup_length")
    epochs: int = setting(200, "passes over the training videos", low=1, source="code")
    batch: int = setting(10, "videos per step", low=1, source="code")
    learning_rate: float = setting(5e-5, "Adam's", low=0, source="code")
    weight_decay: float = setting(1e-3, "Adam's", low=0, source="code")


class Told(NamedTuple):
    """What a stream says of M proposals: class logits cas [M, C + 1], background last; attention and completeness
    [M]."""

    cas: Tensor
    attention: Tensor
    completeness: Tensor


class Net(nn.Module):
    """One stream: a proposal's feature 3 D -> hidden, ReLU, dropout; and from it three heads of two layers each."""

    def __init__(self, width: int, hidden: int, outputs: int, share: float) -> None:
        super().__init__()
        self.fusion, self.share = nn.Linear(3 * width, hidden), share
        self.before = nn.ModuleDict({head: nn.Linear(hidden, hidden // 2) for head in ("cas", "attention", "completeness")})
        self.classifier = nn.Linear(hidden // 2, outputs)
        self.attention, self.completeness = nn.Linear(hidden // 2, 1), nn.Linear(hidden // 2, 1)

    def forward(self, feature: Tensor, rng: torch.Generator | None = None) -> Told:
        """feature [M, 3 D], see `contrasted`; with `rng`, dropout."""
        seen = dropout(F.relu(self.fusion(feature)), self.share, rng)
        cas, attention, completeness = (F.relu(layer(seen)) for layer in self.before.values())
        gates = self.attention(attention).squeeze(-1).sigmoid(), self.completeness(completeness).squeeze(-1).sigmoid()
        return Told(self.classifier(cas), *gates)


def contrasted(x: Tensor, proposals: np.ndarray) -> Tensor:
    """Surrounding contrastive features, [M, 3 D]: inside less left, inside, inside less right, each the maximum of its
    bins.

    Args:
        x: [T, D]. proposals: [M, 2] in snippets.
    """
    side = SIDE * (proposals[:, 1] - proposals[:, 0])
    bins = roi_align(x, np.stack([proposals[:, 0] - side, proposals[:, 1] + side], 1), BINS)
    left, inside, right = (part.amax(1) for part in (bins[:, : BINS // 6], bins[:, BINS // 6 : -BINS // 6], bins[:, -BINS // 6 :]))
    return torch.cat([inside - left, inside, inside - right], 1)


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def loss_irc(student: Tensor, teacher: Tensor, attention: Tensor, overlap: Tensor) -> Tensor:
    """L_irc of a video and a class: scores [M] of two streams, of which the teacher does not learn.

    For each proposal that the teacher attends to more than on average, the divergence of the student's softmax over the
    proposals that overlap it from the teacher's; mean over these proposals.

    Args:
        attention: [M], the teacher's. overlap: [M, M] tIoU.
    """
    apart = torch.where(overlap > 0, 0.0, -1e3)
    log_student = F.log_softmax(apart + student, 1)
    divergence = F.kl_div(log_student, (apart + teacher.detach()).softmax(1), reduction="none").sum(1)
    retained = attention > attention.mean()
    return divergence[retained].mean() if retained.any() else student.new_zeros(())


def pseudo_instances(attention: Tensor, overlap: Tensor, share: float) -> list[int]:
    """Those of the highest attention, [M], none of which overlaps another, down to `share` of the highest of all."""
    left = attention > share * attention.max()
    if not left.any():  # all are zero, or the training diverges, which is told when it is logged
        left = torch.ones_like(left)
    found = []
    while left.any():
        best = int(attention.masked_fill(~left, -math.inf).argmax())
        found.append(best)
        left = left & ~(overlap[best] > 0)
        left[best] = False
    return found


def loss_comp(completeness: Tensor, attention: Tensor, overlap: Tensor, share: float) -> Tensor:
    """L_comp of a video: squared difference of a stream's completeness, [M], from the tIoU with the nearest pseudo
    instance of another stream's attention, [M]; overlap [M, M] tIoU."""
    goal = overlap[:, pseudo_instances(attention.detach(), overlap, share)].amax(1)
    return F.mse_loss(completeness, goal)


def ramp(epoch: int, length: int) -> float:
    """exp(-5 (1 - epoch / length)^2), 1 from epoch `length` on (Laine and Aila, ICLR 2017)."""
    return 1.0 if length == 0 else math.exp(-5 * (1 - min(epoch / length, 1.0)) ** 2)


def losses_of(told: Sequence[Told], labels: Tensor, overlap: Tensor, config: Config, part: float) -> dict[str, Tensor]:
    """The losses of one video and their weighted sum; each stream learns from every other, or, where it is alone, from
    itself.

    Args:
        told: of each stream. labels: [C]. overlap: [M, M] tIoU. part: of the ramp, 0..1. A video without labels has
            neither L_irc nor L_comp: which of its proposals would be instances?
    """
    tags, none = labels.unsqueeze(0), overlap.new_zeros(())
    supp = [one.cas * one.attention.unsqueeze(1) for one in told]
    plain = torch.stack([loss_mil(one.cas.unsqueeze(0), tags, config.top, background=True) for one in told]).mean()
    suppressed = torch.stack([loss_mil(cas.unsqueeze(0), tags, config.top, background=False) for cas in supp]).mean()
    irc, comp = none, none
    own = torch.nonzero(labels).flatten().tolist()
    if own:
        pairs = [(a, b) for a in told for b in told if a is not b] or [(told[0], told[0])]
        irc = torch.stack([loss_irc(a.cas[:, c], b.cas[:, c], b.attention, overlap) for a, b in pairs for c in own]).mean()
        comp = torch.stack([loss_comp(a.completeness, b.attention, overlap, config.pseudo) for a, b in pairs]).mean()
    total = config.plain * plain + config.suppressed * suppressed
    total = total + part * (config.consistency * irc + config.completeness * comp)
    return {"total": total, "cls": plain, "cls_supp": suppressed, "irc": irc, "comp": comp}


class PMIL(Method):
    """The method: the first stage, and a `Net` per stream. Of a first stage from a run `config` says what it is, not
    where it was."""

    name: ClassVar = "pmil"
    title: ClassVar = "P-MIL: a second stage that classifies a run's proposals (CVPR 2023), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = None  # a proposal may be as long as the video

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        stage = first_stage(config, self.name, classes, streams)
        config = stage.config
        super().__init__(config, classes, streams)
        self.first, self.cutting, self.is_given = stage.method, stage.cutting, stage.is_given
        outputs = len(classes) + 1
        self.nets = nn.ModuleDict(
            {name: Net(width, config.hidden or width, outputs, config.dropout) for name, width in streams.items()}
        )

    def fit(self, data: TrainingSet, run: Run) -> None:
        """The first stage, unless it is given; then the networks, on its proposals in the training videos.

        Raises:
            InputError: a training diverges.
        """
        config, matrix = self.config, np.asarray(data.labels, dtype=np.float32)
        if not self.is_given:
            self.first.fit(data, run)
        self.to(run.device)
        self.first.eval()
        proposals = [self._proposals(self._first(data.store.load(video, check=False))) for video in data.videos]
        self.nets.train()
        optimizer = torch.optim.Adam(self.nets.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        for epoch in run.loop("proposals", config.epochs, nets=self.nets, optimizer=optimizer):
            sums: Counter[str] = Counter()
            batches = np.array_split(run.rng("batches").permutation(len(data)), -(-len(data) // config.batch))
            for step, chosen in enumerate(batches):
                rng, drop = run.rng(f"proposals {step}"), run.torch_rng(f"dropout {step}")
                optimizer.zero_grad(set_to_none=True)
                for number in chosen:
                    own = proposals[number]
                    own = own[np.sort(rng.permutation(len(own))[: config.proposals])]
                    x = data.store.load(data.videos[number], check=False)
                    overlap = overlap_of(own).to(run.device)
                    labels = torch.from_numpy(matrix[number]).to(run.device)
                    losses = losses_of(self._told(x, own, drop), labels, overlap, config, ramp(epoch, config.ramp_epochs))
                    (losses["total"] / len(chosen)).backward()
                    sums.update({name: loss.item() / len(data) for name, loss in losses.items()})
                optimizer.step()
            run.log(**sums)
        self.eval()

    def _told(self, x: Mapping[str, Any], proposals: np.ndarray, rng: torch.Generator | None) -> list[Told]:
        """What each stream says of proposals in a video: x {stream: [T, D]}, arrays or tensors."""
        device = next(self.nets.parameters()).device
        told = []
        for stream in self.widths:
            rows = x[stream] if isinstance(x[stream], Tensor) else torch.from_numpy(np.array(x[stream], dtype=np.float32))
            told.append(self.nets[stream](contrasted(rows.to(device), proposals), rng))
        return told

    def _first(self, x: Mapping[str, Any]) -> dict[str, StreamActivation]:
        """What the first stage says of a video."""
        device = next(self.nets.parameters()).device
        return activations_of(self.first, {stream: x[stream] for stream in self.widths}, device=str(device))

    def _proposals(self, said: Mapping[str, StreamActivation]) -> np.ndarray:
        """The segments that the first stage finds, of whatever class, each once: [M, 2] in snippets; or else the whole
        video."""
        count = len(next(iter(said.values())).class_logit)
        timeline = Timeline(0.0, 1.0, count, float(count))
        activation = Activation("", self.classes, timeline, dict(said), attention_kind=self.first.attention_kind)
        found = {(d.start, d.end) for d in localize([activation], self.cutting)[""]}
        return np.array(sorted(found) or [(0.0, float(count))])

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The first stage's."""
        return self.first.curves(features)

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """The first stage's activations, of its streams, with the scores of its proposals.

        A proposal's score for a class is the product of the streams' mean softmax, attention and completeness; a
        video's is the mean of the softmax, weighted by attention.
        """
        said = self.first.pool(features, curves)
        proposals = self._proposals(said)
        told = self._told(features, proposals, None)
        cas = torch.stack([one.cas.softmax(-1) for one in told]).mean(0)[:, :-1]
        attention, complete = (torch.stack([getattr(one, key) for one in told]).mean(0) for key in ("attention", "completeness"))
        video = (attention @ cas / (attention.sum() + 1e-6)).double().cpu().numpy()
        score = (cas * (attention * complete).unsqueeze(1)).cpu().numpy()
        extra = {"proposals": proposals.astype(np.float32), "proposal_score": score}
        return {name: replace(stream, class_score=video, extra={**stream.extra, **extra}) for name, stream in said.items()}


def overlap_of(proposals: np.ndarray) -> Tensor:
    """tIoU of each with each: [M, 2] -> [M, M]; of each with itself it is 1."""
    start, end = proposals.T
    overlap = tiou(start[:, None], end[:, None], start, end)
    np.fill_diagonal(overlap, 1.0)
    return torch.from_numpy(overlap.astype(np.float32))

"""Self-training from tags: a method of our own, in which a linear classifier teaches the next one.

A video of T snippets carries tags and no times. Per stream, logistic regression over the classes and a background says of each
snippet what it shows, P [T, C + 1]; P is the streams' mean. What it learns from is what the one before it said:

    start      every snippet of a tagged video shows its tags, at equal shares; one of an empty video shows background
    relabel    by classifiers of other videos (cross-fitting): q_c = P_c smoothed over time, divided by the level at which it is
               cut in this video, for the video's tags only. A snippet whose largest q is above 1 shows that tag, the others show
               background; the quarter of each side that is nearest to the cut is left out
    again      fit to that, relabel, a few rounds; then one last fit to all videos

Why it works: what a tag's videos share and others lack gets a higher P than the rest of the same video, however wrong its level;
cutting at the video's own level cancels what the whole video has in common, such as its scene, and a classifier that has not seen
the video cannot know it by heart. `rounds` takes targets of any origin: another method's curves, votes, true segments.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import fmin_l_bfgs_b
from torch import Tensor, nn

from untrimmed.data.settings import setting
from untrimmed.data.store import FeatureStore, release_pages
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import WINDOW, Method, SnippetScores
from untrimmed.nn.spectral import spectral_clustering
from untrimmed.training import Run, TrainingSet
from untrimmed.training.rounds import clusters_by_votes, clusters_of_stretches, estimate_by_votes, votes_of


@dataclass(frozen=True)
class Config:
    """Self-training's settings; all of them are ours."""

    rounds: int = setting(5, "fits, each but the first to what the one before it said", low=1, high=99)
    folds: int = setting(3, "groups of videos, each relabelled by a classifier of the others; 1 = no cross-fitting", low=1)
    strength: float = setting(0.01, "C: weight of the loss, summed over snippets, against half the squared weights", low=1e-9)
    cut: Literal["mean", "groups", "tags"] | None = setting(
        None,
        "where P is cut in a video: at its mean, or between the two groups that its values fall into where that is higher, or "
        "between the groups only if the video has three tags or more; null = groups, but tags with a teacher",
        choices=("mean", "groups", "tags"),
    )
    smooth: float = setting(1.0, "sigma in snippets of a Gaussian over P before it is cut", low=0)
    margin: float = setting(0.25, "share of each side of the cut, the nearest to it, that is left out", low=0, high=0.99)
    belief: float | None = setting(
        None,
        "weight of what is merely believed beside what a person has marked; null = by cross-validation on the marked videos",
        low=0,
    )
    stretch: int = setting(5, "without labels: snippets in a stretch that other videos vote on; shorter than an action", low=1)
    voters: int = setting(15, "without labels: stretches of other videos that vote on each", low=1)
    several: bool = setting(
        False, "without labels: a video may hold several clusters, since stretches are clustered instead of videos"
    )
    snippets: int = setting(65536, "most snippets that a fit looks at, drawn anew for each round where there are more", low=1)
    iterations: int = setting(30, "most steps of the optimizer (L-BFGS) in a fit", low=1)


MANY = 3
"""Tags of a video from which on none of its actions can fill much of it."""
CLUSTERINGS, SETTLED = 4, 0.01
"""Without labels: clusterings by votes at most, and the share of videos that changes cluster below which there is no other."""


class StreamClassifier(nn.Module):
    """Logistic regression on standardized features: x [T, D] -> logits [T, C + 1], background last."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.classifier = nn.Linear(width, classes + 1)

    def standardized(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.standardized(x))


# What is believed of each snippet ---------------------------------------------------------------------------------------------


@dataclass
class Believed:
    """What is believed of a video's (or a clip's) T snippets, and what of it is known.

    tags: [k] classes that it holds, by number. share: float32 [T, k + 1], how much each snippet shows each of them, and
    background, last; a row's sum is the snippet's weight, 0 leaves it out. known: [T] bool, snippets whose share stays.
    """

    store: FeatureStore
    name: str
    tags: np.ndarray
    share: np.ndarray
    known: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def __post_init__(self) -> None:
        if not len(self.known):
            self.known = np.zeros(len(self.share), dtype=bool)

    def windows(self) -> Iterator[tuple[slice, dict[str, Tensor]]]:
        """The features of all streams, float32, a stretch at a time."""
        features = self.store.load(self.name, check=False)
        for first in range(0, len(self.share), WINDOW):
            rows = slice(first, min(first + WINDOW, len(self.share)))
            yield rows, {stream: torch.from_numpy(x[rows].astype(np.float32)) for stream, x in features.items()}
            for x in features.values():
                release_pages(x)


def start_from_tags(data: TrainingSet) -> list[Believed]:
    """Each snippet of a tagged video shows its tags at equal shares; one of a video without tags surely shows background."""
    assert data.labels is not None
    believed = []
    for video, row in zip(data.videos, data.labels):
        tags = np.flatnonzero(row)
        count = data.store.timeline(video).count
        share = np.zeros((count, len(tags) + 1), dtype=np.float32)
        share[:, : len(tags)] = 1 / max(len(tags), 1)
        share[:, -1] = len(tags) == 0
        believed.append(Believed(data.store, video, tags, share, np.full(count, len(tags) == 0)))
    return believed


def start_from_stretches(data: TrainingSet, shown: Sequence[np.ndarray]) -> list[Believed]:
    """Each snippet shows the cluster that its stretch is of, [T] numbers by video, or background where that is -1."""
    believed = start_from_tags(data)
    for video, cluster in zip(believed, shown):
        video.share = np.concatenate([cluster[:, None] == video.tags, cluster[:, None] < 0], 1).astype(np.float32)
    return believed


def mark_known(believed: Sequence[Believed], known: Mapping[str, np.ndarray]) -> None:
    """Put what a person has marked, [T, C + 1] by video, in the place of what is believed; it stays."""
    for video in believed:
        if video.name in known:
            rows = known[video.name].sum(1) > 0
            video.share[rows] = known[video.name][rows][:, [*video.tags, -1]]
            video.known = video.known | rows


def start_from_clips(clips: TrainingSet | None, classes: Sequence[str]) -> list[Believed]:
    """Each snippet of a trimmed clip surely shows its class; clips of classes that no video holds teach nothing."""
    if clips is None or clips.labels is None:
        return []
    place = {label: c for c, label in enumerate(classes)}
    believed = []
    for clip, row in zip(clips.videos, clips.labels):
        tags = np.array([place[label] for label in np.array(clips.classes)[row > 0] if label in place], dtype=np.intp)
        if len(tags) or not row.any():
            share = np.zeros((clips.store.timeline(clip).count, len(tags) + 1), dtype=np.float32)
            share[:, : len(tags)] = 1 / max(len(tags), 1)
            share[:, -1] = len(tags) == 0
            believed.append(Believed(clips.store, clip, tags, share, np.ones(len(share), dtype=bool)))
    return believed


def level(curve: np.ndarray, cut: str | None) -> np.ndarray:
    """Where each column of [T, k] is cut, [k]: at its "mean"; with "groups" (or None) halfway between the two groups that its
    values fall into, where that is higher; with "tags" at the mean if there are fewer than `MANY`, else between the groups.

    The groups are those of least variance inside (Otsu's): few values that stand far out are a group of their own, however few.
    Where the action fills most of a video, what stands out is background, and the mean is the higher.
    """
    count, mean = len(curve), curve.mean(0)
    if cut == "mean" or count == 1 or (cut == "tags" and curve.shape[1] < MANY):
        return mean
    ordered = np.sort(curve, axis=0)
    below = np.arange(1, count)[:, None]
    low, high = ordered.cumsum(0)[:-1] / below, ordered[::-1].cumsum(0)[::-1][1:] / (count - below)
    best = (below * (count - below) * (high - low) ** 2).argmax(0)
    each = np.arange(curve.shape[1])
    return np.maximum(mean, (ordered[best, each] + ordered[best + 1, each]) / 2)


def relabel(probability: np.ndarray, cut: str | None, smooth: float, margin: float) -> np.ndarray:
    """What a classifier's P of a video's tags, [T, k], says of its snippets: share [T, k + 1], as in `Believed`."""
    count, tags = probability.shape
    q = probability.astype(np.float64)
    if smooth:
        q = gaussian_filter1d(q, smooth, axis=0, mode="nearest")
    q = q / np.maximum(level(q, cut), 1e-30)
    best, height = q.argmax(1), q.max(1)
    acting = height >= 1 - 1e-9  # all of a flat curve, such as a single snippet's
    share = np.zeros((count, tags + 1), dtype=np.float32)
    for side, shown, nearest in ((np.flatnonzero(acting), best, 1), (np.flatnonzero(~acting), np.full(count, tags), -1)):
        by_distance = side[np.argsort(nearest * height[side], kind="stable")]
        sure = by_distance[int(margin * len(side)) :]
        share[sure, shown[sure]] = 1
    return share


def start_from_curves(data: TrainingSet, curves: Mapping[str, np.ndarray], config: Config) -> list[Believed]:
    """What another method's curves say, relabelled as a classifier's P: per tagged video [T, C], not below zero, such as attention
    times class activation."""
    believed = start_from_tags(data)
    for video in believed:
        if len(video.tags):
            video.share = relabel(curves[video.name][:, video.tags], config.cut, config.smooth, config.margin)
    return believed


# The classifier ---------------------------------------------------------------------------------------------------------------


def standardize(nets: Mapping[str, StreamClassifier], believed: Sequence[Believed]) -> None:
    """Set each stream's mean and scale to those of all snippets; what does not vary is left as it is."""
    count = 0
    sums = {stream: torch.zeros(2, len(net.mean), dtype=torch.float64) for stream, net in nets.items()}
    for video in believed:
        count += len(video.share)
        for _, features in video.windows():
            for stream, x in features.items():
                sums[stream] += torch.stack([x.double().sum(0), x.double().square().sum(0)])
    for stream, net in nets.items():
        mean, square = sums[stream] / count
        deviation = (square - mean.square()).clamp_min(0).sqrt()
        varies = deviation > 1e-6 * (mean.abs() + deviation.mean())
        net.mean.copy_(mean)
        net.scale.copy_(torch.where(varies, deviation, 1.0))


def logistic_regression(linear: nn.Linear, x: Tensor, share: Tensor, strength: float, iterations: int) -> float:
    """Fit `linear` to x [n, D] and share [n, C + 1], from where it stands, by L-BFGS; returns the loss per unit of weight.

    Minimizes strength x the sum of the cross-entropies + half the squared weights; the biases are free.
    """
    weight = share.sum(1, keepdim=True)
    outputs, width = linear.weight.shape

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = torch.from_numpy(flat).to(x).split([outputs * width, outputs])
        w = w.view(outputs, width)
        log_p = torch.addmm(b, x, w.T).log_softmax(1)
        loss = -(share * log_p).sum(dtype=torch.float64) * strength + 0.5 * w.square().sum(dtype=torch.float64)
        error = (log_p.exp() * weight - share) * strength
        gradient = torch.cat([(error.T @ x + w).flatten(), error.sum(0)])
        return loss.item(), gradient.double().cpu().numpy()

    start = torch.cat([linear.weight.detach().flatten(), linear.bias.detach()]).double().cpu().numpy()
    optimum, loss, _ = fmin_l_bfgs_b(loss_and_gradient, start, maxiter=iterations, factr=1e8, pgtol=1e-4 * strength * len(x) ** 0.5)
    with torch.no_grad():
        w, b = torch.from_numpy(optimum).split([outputs * width, outputs])
        linear.weight.copy_(w.view(outputs, width))
        linear.bias.copy_(b)
    return float(loss) / max(strength * float(weight.sum()), 1e-30)


def draw(believed: Sequence[Believed], most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Per video the snippets that are learned from, by number: those with a weight, or `most` of them at random."""
    rows = [np.flatnonzero(video.share.sum(1)) for video in believed]
    total = sum(map(len, rows))
    if total <= most:
        return rows
    chosen = np.zeros(total, dtype=bool)
    chosen[rng.choice(total, most, replace=False)] = True
    return [of_video[part] for of_video, part in zip(rows, np.split(chosen, np.cumsum([len(of_video) for of_video in rows])[:-1]))]


def fit_to(
    nets: Sequence[Mapping[str, StreamClassifier]],
    believed: Sequence[Believed],
    fold: np.ndarray,
    config: Config,
    rng: np.random.Generator,
    device: torch.device,
    weight: float = 1.0,
) -> float:
    """Fit classifier number f of each stream to all snippets but those of fold f; a fold of -1 is in all of them.

    Args:
        weight: of a snippet of which nothing is known, beside one that is known.

    Returns:
        The mean loss of the fits.
    """
    rows = draw(believed, config.snippets, rng)
    outputs = next(iter(nets[0].values())).classifier.out_features
    share = np.zeros((sum(map(len, rows)), outputs), dtype=np.float32)
    for video, chosen, target in zip(believed, rows, np.split(share, np.cumsum([len(chosen) for chosen in rows])[:-1])):
        target[:, [*video.tags, outputs - 1]] = video.share[chosen] * np.where(video.known[chosen, None], 1, weight)
    of_fold = np.repeat(fold, [len(chosen) for chosen in rows])
    losses = []
    for stream, first in nets[0].items():
        x = torch.empty(len(share), len(first.mean), device=device)
        for video, chosen, rows_of_x in zip(believed, rows, x.split([len(chosen) for chosen in rows])):
            features = video.store.load(video.name, [stream], check=False)[stream]
            rows_of_x.copy_(first.standardized(torch.from_numpy(features[chosen].astype(np.float32)).to(device)))
            release_pages(features)
        for number, of_streams in enumerate(nets):
            seen = torch.from_numpy(np.flatnonzero(of_fold != number))
            classifier, shown = of_streams[stream].classifier, torch.from_numpy(share)[seen].to(device)
            losses.append(logistic_regression(classifier, x[seen.to(device)], shown, config.strength, config.iterations))
    return float(np.mean(losses))


@torch.no_grad()
def probability_of_tags(nets: Mapping[str, StreamClassifier], video: Believed) -> np.ndarray:
    """P of the video's tags, the mean of the streams' softmaxes: float32 [T, k]."""
    probability = np.empty((len(video.share), len(video.tags)), dtype=np.float32)
    for rows, features in video.windows():
        p = [net(features[stream].to(net.mean.device)).softmax(1)[:, video.tags] for stream, net in nets.items()]
        probability[rows] = torch.stack(p).mean(0).cpu().numpy()
    return probability


# The rounds -------------------------------------------------------------------------------------------------------------------


def deal(believed: Sequence[Believed], folds: int, rng: np.random.Generator) -> np.ndarray:
    """The fold of each video, [N], each tag's videos spread over all; -1 for those of which everything is known."""
    order = sorted(rng.permutation(len(believed)), key=lambda number: tuple(believed[number].tags))
    fold = np.full(len(believed), -1)
    if folds > 1:
        open_ones = [number for number in order if not believed[number].known.all()]
        fold[open_ones] = np.arange(len(open_ones)) % folds
    return fold


WEIGHTS = (1.0, 0.3, 0.1, 0.03, 0.0)
"""Of what is believed, beside what a person has marked: those that are tried."""


def weight_of_belief(
    nets: Mapping[str, StreamClassifier], believed: Sequence[Believed], marked: Sequence[int], config: Config, run: Run
) -> float:
    """How much what is believed should weigh beside what is marked: cross-validated on the marked videos.

    The weight whose classifiers, fitted without a marked video, give its marked snippets the highest likelihood. As marks become
    many, what is merely believed weighs less by itself. It is never 0 while a class has no mark. Where no background is marked, as
    with points, a likelihood of actions alone cannot judge it, and a weight of 0 would teach no background: it keeps its weight.

    Args:
        marked: the videos in which something is marked, by number.
    """
    background_marked = any(believed[number].share[believed[number].known, -1].any() for number in marked)
    if len(marked) < 2 or not background_marked:
        return 1.0
    folds = min(max(config.folds, 2), len(marked))
    fold = np.full(len(believed), -1)
    fold[run.rng("marked").permutation(marked)] = np.arange(len(marked)) % folds
    shown = {
        c
        for number in marked
        for c, its in zip(believed[number].tags, believed[number].share.T)
        if its[believed[number].known].any()
    }
    losses = {}
    for weight in WEIGHTS:
        if weight == 0 and len(shown) < next(iter(nets.values())).classifier.out_features - 1:
            continue
        of_folds = [{stream: copy.deepcopy(net) for stream, net in nets.items()} for _ in range(folds)]
        fit_to(of_folds, believed, fold, config, run.rng("marked snippets"), run.device, weight)
        loss = total = 0.0
        for number in marked:
            video = believed[number]
            p = probability_of_tags(of_folds[fold[number]], video)
            share = video.share * video.known[:, None]
            loss -= float((share * np.log(np.maximum(np.c_[p, 1 - p.sum(1)], 1e-6))).sum())
            total += float(share.sum())
        losses[weight] = loss / total
        run.log(weight=weight, likelihood=losses[weight])
    return min(losses, key=lambda weight: losses[weight])


class _Shares:
    """What is believed of all videos as one tensor, so that a run can keep it."""

    def __init__(self, believed: Sequence[Believed]) -> None:
        self.believed = believed

    def state_dict(self) -> dict[str, Tensor]:
        return {"share": torch.from_numpy(np.concatenate([video.share.ravel() for video in self.believed]))}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        ends = np.cumsum([video.share.size for video in self.believed])
        for video, share in zip(self.believed, np.split(state["share"].numpy(), ends[:-1])):
            video.share = share.reshape(video.share.shape).copy()


def rounds(nets: Mapping[str, StreamClassifier], believed: Sequence[Believed], config: Config, run: Run) -> None:
    """Fit the streams' classifiers to what is believed, over and over; `believed` is changed on the way.

    The start may be anything: tags, another method's curves, votes; what is known stays as it is.
    """
    standardize(nets, believed)
    weight = 1.0 if config.belief is None else config.belief
    fold = deal(believed, config.folds, run.rng("folds"))
    # The tags that a fold's classifier has seen; of another, that only this fold has, nobody can tell.
    taught = {f: {c for g, video in zip(fold, believed) if g != f or g == -1 for c in video.tags} for f in {-1, *fold}}
    of_folds = [{stream: copy.deepcopy(net) for stream, net in nets.items()} for _ in range(config.folds)]
    kept = nn.ModuleList([nn.ModuleDict(of_fold) for of_fold in of_folds])
    for _ in run.loop("relabel", config.rounds - 1, shares=_Shares(believed), classifiers=kept):
        loss = fit_to(of_folds, believed, fold, config, run.rng("snippets"), run.device, weight)
        changed, acting, total = 0.0, 0.0, 0
        for number, video in zip(fold, believed):
            if video.known.all() or not taught[number].issuperset(video.tags):
                continue
            probability = probability_of_tags(of_folds[max(number, 0)], video)
            share = relabel(probability, config.cut, config.smooth, config.margin)
            share[video.known] = video.share[video.known]
            changed += float((share.argmax(1) != video.share.argmax(1)).sum())
            acting += float((share[:, :-1].sum(1) > 0).sum())
            total += len(share)
            video.share = share
        run.log(loss=loss, changed=changed / max(total, 1), acting=acting / max(total, 1))
    marked = [
        number
        for number, video in enumerate(believed)
        if video.known.any() and len(video.tags) and video.store is believed[0].store
    ]
    if marked and config.belief is None:
        weight = weight_of_belief(nets, believed, marked, config, run)
    everything = np.full(len(believed), -1)
    run.log(loss=fit_to([nets], believed, everything, config, run.rng("last snippets"), run.device, weight))


class SelfTrain(Method):
    """The method: a `StreamClassifier` per stream."""

    name: ClassVar = "selftrain"
    title: ClassVar = "self-training (ours): cross-fitted linear classifiers of snippets, from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels", "clusters", "trimmed"})
    reach: ClassVar = 1

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        self.streams = nn.ModuleDict({name: StreamClassifier(width, len(classes)) for name, width in streams.items()})

    def fit(self, data: TrainingSet, run: Run) -> None:
        """From the tags, and trimmed clips where there are any; without tags from the clusters that votes make."""
        self.to(run.device)
        shown = None
        if data.labels is None and self.config.several:
            shown = clusters_of_stretches(data, run, self.config.stretch, self.config.voters)
            labels = np.array([np.isin(np.arange(len(data.classes)), its) for its in shown], dtype=np.float32)
            data = replace(data, labels=labels)
        elif data.labels is None:
            votes = votes_of(data, run, self.config.stretch, self.config.voters)
            data = replace(data, labels=clusters_by_votes(data, run, votes, self._cluster, CLUSTERINGS, SETTLED))
        # What a teacher has missed of an action, a student that is cut as high would never find; but of many actions in a video
        # none fills so much of it that the mean would do.
        config = replace(self.config, cut=self.config.cut or ("groups" if data.teacher is None else "tags"))
        if shown is not None:
            believed = start_from_stretches(data, shown)
        else:
            believed = start_from_tags(data) if data.teacher is None else start_from_curves(data, data.teacher, config)
        mark_known(believed, data.known or {})
        rounds(self._nets(), believed + start_from_clips(data.trimmed, data.classes), config, run)
        self.eval()

    def _cluster(self, f: np.ndarray, seed: int) -> np.ndarray:
        return spectral_clustering(f, len(self.classes), seed=seed)

    @classmethod
    def estimate_clusters(cls, data: TrainingSet, config: Any, seed: int) -> int:
        """The number whose clusters the votes agree with best, see `untrimmed.training.rounds.estimate_by_votes`."""
        return estimate_by_votes(data, config.stretch, config.voters, seed)

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The logits of each snippet by itself, background last; there is no attention."""
        return {stream: SnippetScores(None, self.streams[stream](x)) for stream, x in features.items()}

    def _nets(self) -> dict[str, StreamClassifier]:
        return {stream: net for stream, net in self.streams.items() if isinstance(net, StreamClassifier)}

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Logits relative to the background's, whose softmax with a zero is P; video scores sum(p_c) / sum(1 - p_background), which
        of a single class says nothing: there it is the highest p."""
        pooled = {}
        for stream, curve in curves.items():
            p = curve.class_logit.double().softmax(1)[:, :-1]
            score = p.sum(0) / p.sum().clamp_min(1e-30) if p.shape[1] > 1 else p.amax(0)
            logit = curve.class_logit[:, :-1] - curve.class_logit[:, -1:]
            pooled[stream] = StreamActivation(None, logit.cpu().numpy(), score.cpu().numpy())
        return pooled

"""What a trained run can be trusted with: how well its labels can be told apart, and above which score to believe it.

Both look at training videos and their labels alone, never at a time.

**Labels.** Each video is its features' mean and standard deviation over time. A linear classifier (ridge regression) is fitted to
four fifths of the training videos and ranks the last fifth, five times over; the average precision of the ranks says how well
the features tell the label apart, whatever the method. A label whose ranks could as well come by chance (the rank-sum test of
Mann and Whitney, Annals of Mathematical Statistics 1947, z < 2) is weak. An action that is short in a long video can do better
than this says, for a method need not take the mean of the whole video.

**The score cut** is the least score above which nothing is detected in the training videos without an action.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from untrimmed.console import columns
from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json, write_json
from untrimmed.data.labels import read_labels
from untrimmed.data.ranks import ranks
from untrimmed.data.store import FeatureStore, release_pages
from untrimmed.data.types import Results
from untrimmed.evaluation.classification import average_precision
from untrimmed.localization import localize
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.infer import activations_of_run

FOLDS = 5
RIDGE = 0.1  # chosen by this very AP on the training labels of splice and three demo worlds, where 0.01 to 1 do about the same
FEW = 5
"""With fewer videos of a label, nothing can be said of it."""

MOST = 1000
"""Videos that labels are told apart in; at random where there are more."""

LOOKED_AT = 100
"""Videos without an action, and with one, that the score cut is found on; at random where there are more."""


@dataclass(frozen=True)
class LabelCheck:
    """videos: with this label. ap: held-out average precision. chance: that of ranks by chance, the share of such videos.
    z: of the rank-sum test. kept: of `tested` videos with this label, those that keep a detection of it above the score cut."""

    videos: int
    ap: float
    chance: float
    z: float
    kept: int = 0
    tested: int = 0

    @property
    def remark(self) -> str:
        if self.videos < FEW:
            return "too few videos to tell"
        return "weak: hardly better than chance" if self.z < 2 else ""


@dataclass(frozen=True)
class Reliability:
    """labels: by name. empty: training videos without an action that were looked at. score_cut: None where there is no such video,
    or nothing is detected in any."""

    labels: dict[str, LabelCheck]
    empty: int = 0
    score_cut: float | None = None

    def text(self) -> str:
        """A few lines for the person."""
        rows = [[name, str(c.videos), f"{c.ap:.2f}", f"{c.chance:.2f}", c.remark] for name, c in self.labels.items()]
        head = ["label", "videos", "AP", "by chance", ""]
        if self.score_cut is not None:
            head.insert(4, "above the cut")
            for row, check in zip(rows, self.labels.values()):
                row.insert(4, f"{check.kept} of {check.tested}")
        lines = ["how well the features tell the labels apart (AP in training videos, held out):", *columns(head, rows)]
        if weak := [name for name, check in self.labels.items() if check.remark]:
            lines.append(f"warning: do not trust {', '.join(weak)} before you have looked at the page")
        if self.score_cut is not None:
            lines.append(
                f"score cut {self.score_cut:g}: above it nothing is detected in {self.empty} training video(s) without an action; "
                f"the table says how many of those with one keep a detection"
            )
        elif not self.empty:
            lines.append("no training video is labelled as empty, so that no score cut can be suggested")
        return "\n".join(lines)


def check_run(run: RunFolder, device: str = "cpu") -> Reliability | None:
    """Look at a trained run, and keep what is seen in its folder, where that is not done yet; None for a run without labels, or
    one whose features or labels are no longer where they were.

    Raises:
        InputError: the run is damaged.
    """
    if run.reliability.is_file():
        return read_reliability(run)
    record = run.record()
    features, labels = record["data"]["features"], record["data"]["labels"]
    if labels is None or not Path(labels).is_file() or not Path(features).is_dir():
        return None
    classes, store = record["classes"], FeatureStore(features)
    known = read_labels(labels).tags
    tags = {video: known[video] & set(classes) for video in record["training_videos"] if video in known}
    checked = Reliability(check_labels(store, tags, classes))
    rng = np.random.default_rng(0)
    empty = _some([video for video, labels_of_video in tags.items() if not labels_of_video], rng, LOOKED_AT)
    if empty:
        full = _some([video for video, labels_of_video in tags.items() if labels_of_video], rng, LOOKED_AT)
        activations, cutting, _ = activations_of_run(run.path, features, {*empty, *full}, {}, device)
        checked = with_score_cut(checked, localize(activations, cutting), tags)
    write_json(run.reliability, asdict(checked), indent=1)
    return checked


def read_reliability(run: RunFolder) -> Reliability | None:
    """What `check_run` has kept in a run folder, if it has."""
    if not run.reliability.is_file():
        return None
    content = read_json(run.reliability)
    try:
        labels = {name: LabelCheck(**check) for name, check in content["labels"].items()}
        return Reliability(labels, content["empty"], content["score_cut"])
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{run.reliability}: not as a run writes it; delete it, it is of no other use") from error


def check_labels(store: FeatureStore, tags: Mapping[str, frozenset[str]], classes: Sequence[str]) -> dict[str, LabelCheck]:
    """How well each label is told apart by the features of whole videos, held out."""
    videos = _some(sorted(tags), np.random.default_rng(0), MOST)
    truth = np.array([[label in tags[video] for label in classes] for video in videos])
    score = held_out_scores(np.stack([_descriptor(store, video) for video in videos]), truth)
    checks = {}
    for c, label in enumerate(classes):
        count, chance = int(truth[:, c].sum()), float(truth[:, c].mean())
        if 0 < count < len(videos):
            ranked = truth[:, c], score[:, c]
            checks[label] = LabelCheck(count, average_precision(*ranked), chance, rank_sum_z(*ranked))
        else:
            checks[label] = LabelCheck(count, chance, chance, 0.0)
    return checks


def held_out_scores(x: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Scores [N, C] of ridge regression from descriptors [N, D] to labels [N, C], each video's from the folds that it is not in."""
    order = np.lexsort(truth.T)  # videos of the same labels are spread over the folds
    fold = np.empty(len(x), dtype=int)
    fold[order] = np.arange(len(x)) % FOLDS
    score = np.zeros(truth.shape)
    for number in range(min(FOLDS, len(x)) if len(x) > 1 else 0):
        fitted, held = fold != number, fold == number
        mean, std = x[fitted].mean(0), x[fitted].std(0) + 1e-6
        a, b = (x[fitted] - mean) / std, (x[held] - mean) / std
        kernel = a @ a.T / x.shape[1] + RIDGE * np.eye(len(a))
        y = truth[fitted].astype(float)
        score[held] = b @ a.T / x.shape[1] @ np.linalg.solve(kernel, y - y.mean(0))
    return score


def rank_sum_z(positive: np.ndarray, score: np.ndarray) -> float:
    """How many standard deviations the rank sum of the positives [N] is above that of ranks by chance."""
    m, n = int(positive.sum()), int((~positive).sum())
    above = ranks(score)[positive].sum() - m * (m + 1) / 2
    return float((above - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12))


def with_score_cut(checked: Reliability, results: Results, tags: Mapping[str, frozenset[str]]) -> Reliability:
    """The score cut by the detections in training videos with and without an action."""
    empty = [video for video in results if not tags[video]]
    scores = [d.score for video in empty for d in results[video]]
    if not scores:
        return Reliability(checked.labels, len(empty))
    cut = rounded_above(max(scores))
    labels = {}
    for label, check in checked.labels.items():
        tested = [video for video in results if label in tags[video]]
        kept = sum(any(d.label == label and d.score >= cut for d in results[video]) for video in tested)
        labels[label] = LabelCheck(check.videos, check.ap, check.chance, check.z, kept, len(tested))
    return Reliability(labels, len(empty), cut)


def rounded_above(score: float) -> float:
    """The least number of three digits above a score."""
    step = 10.0 ** (math.floor(math.log10(abs(score))) - 2) if score else 1e-3
    steps = math.floor(score / step) + 1
    while float(f"{steps * step:.6g}") <= score:  # the division may have been rounded down
        steps += 1
    return float(f"{steps * step:.6g}")


def _descriptor(store: FeatureStore, video: str) -> np.ndarray:
    parts = []
    for features in store.load(video, check=False).values():
        rows = np.asarray(features, dtype=np.float32)
        parts += [rows.mean(0), rows.std(0)]
        release_pages(features)
    return np.concatenate(parts)


def _some(videos: list[str], rng: np.random.Generator, most: int) -> list[str]:
    return videos if len(videos) <= most else sorted(rng.choice(videos, most, replace=False).tolist())

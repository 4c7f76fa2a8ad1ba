"""Video-level classification: accuracy of the top class, and mean average precision over the classes.

A video may show several actions, so there is no one right answer: the top class is right if it is among the video's labels. Videos
without any label cannot be classified rightly by that rule; they stay out of the accuracy, but in the average precisions, where
whatever they score counts against the class.

Average precision is not interpolated: AP = sum over thresholds of (R_n - R_{n-1}) P_n, where videos of equal score come in together
(as scikit-learn's average_precision_score does), so that the order of the videos never matters.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from untrimmed.data.errors import InputError


@dataclass(frozen=True)
class ClassificationScores:
    """How well class scores name what videos show: C classes with truth.

    classes:       the C classes that some video has, sorted; the mean is over these.
    accuracy:      share of the videos with labels whose top class is among them.
    ap:            [C] average precision, in 0..1.
    videos, empty: how many videos were scored against, and how many of them have no label.
    class_videos:  [C] how many videos have each class.
    unlisted:      videos that have no scores at all; they count as wrong, and come last in every class.
    unknown:       classes that are scored but that no video has, subset or not; a video whose top class is one of them is wrong.
    """

    classes: tuple[str, ...]
    accuracy: float
    ap: np.ndarray
    videos: int
    empty: int
    class_videos: np.ndarray
    unlisted: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def mean_ap(self) -> float:
        """Mean over the classes of `ap`."""
        return float(self.ap.mean())


def evaluate_classification(
    truth: Mapping[str, Collection[str]], scores: Mapping[str, np.ndarray], classes: Sequence[str]
) -> ClassificationScores:
    """Score class scores against labels.

    Args:
        truth: the labels of each video to score, none for an empty one.
        scores: [C'] by video, any finite numbers; higher is surer. Videos outside `truth` are left out.
        classes: [C'] what the scores stand for. Of equal top scores, the first class is the top one.

    Raises:
        InputError: no video has a label, or no scored class is among the labels.
    """
    videos = sorted(truth)
    shown = sorted({label for labels in truth.values() for label in labels})
    if not shown:
        raise InputError("none of the chosen videos has a label, so nothing can be scored; choose another subset")
    column = {label: c for c, label in enumerate(classes)}
    if not column.keys() & set(shown):
        raise InputError(f"none of the scored classes (such as {classes[0]!r}) is among the labels (such as {shown[0]!r})")
    matrix = np.full((len(videos), len(shown)), -np.inf)
    right = labelled = 0
    for v, video in enumerate(videos):
        of_video = scores.get(video)
        if of_video is not None:
            matrix[v] = [of_video[column[label]] if label in column else -np.inf for label in shown]
        if truth[video]:
            labelled += 1
            right += of_video is not None and classes[int(np.argmax(of_video))] in truth[video]
    relevant = np.array([[label in truth[video] for label in shown] for video in videos])
    return ClassificationScores(
        classes=tuple(shown),
        accuracy=right / labelled,
        ap=np.array([average_precision(relevant[:, c], matrix[:, c]) for c in range(len(shown))]),
        videos=len(videos),
        empty=len(videos) - labelled,
        class_videos=relevant.sum(axis=0),
        unlisted=tuple(video for video in videos if video not in scores),
        unknown=tuple(label for label in classes if label not in set(shown)),
    )


def average_precision(relevant: np.ndarray, score: np.ndarray) -> float:
    """Area under the precision-recall curve by steps, not interpolated; items of equal score come in together.

    Args:
        relevant: [N] whether each item is one to find; at least one is.
        score: [N] higher is surer; minus infinity is allowed.
    """
    order = np.argsort(-score, kind="stable")
    relevant, score = relevant[order], score[order]
    last = np.append(score[1:] != score[:-1], True)  # the last item of each group of equal scores
    recalled = np.cumsum(relevant)[last]
    precision = recalled / (np.flatnonzero(last) + 1)
    return float((np.diff(recalled, prepend=0) * precision).sum() / recalled[-1])

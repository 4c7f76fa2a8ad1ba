"""What `splice.py` and `cctv.py` share: resumable runs, baselines, and tables.

Only `Data.score`, which scores detections, reads the test annotations.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from untrimmed.console import note
from untrimmed.data.activations import read_activations
from untrimmed.data.annotations import Annotations, VideoTruth, read_annotations, read_detections, write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json, write_json
from untrimmed.data.labels import read_labels
from untrimmed.data.settings import of_stream
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Activation, Detection, Results, StreamActivation, Timeline
from untrimmed.evaluation.activitynet import DetectionScores, evaluate_detections
from untrimmed.evaluation.baselines import random_segments, whole_video
from untrimmed.jobs.demo import TIOUS, class_scores
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.localization import Localization, kept_classes
from untrimmed.localization import localize as cut_activations
from untrimmed.methods.base import Preset, resolve
from untrimmed.runs.folder import RunFolder

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Data:
    """A feature store, the labels of its training videos, and the ground truth of all its videos."""

    features: Path
    labels: Path
    annotations: Path

    @cached_property
    def truth(self) -> Annotations:
        return read_annotations(self.annotations)

    @cached_property
    def test(self) -> dict[str, VideoTruth]:
        return self.truth.subset("test")

    @cached_property
    def training_videos(self) -> tuple[str, ...]:
        return tuple(sorted(read_labels(self.labels).tags))

    def score(self, results: Results) -> DetectionScores:
        """The ActivityNet protocol on the test subset, at `TIOUS`."""
        return evaluate_detections(self.test, results, self.truth.classes, TIOUS)


# Runs ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Training:
    """One run of DGAM from labels.csv alone. Its last checkpoint is kept: nothing is selected."""

    out: Path
    data: Data
    preset: str
    settings: Mapping[str, Any]
    seed: int

    @property
    def finished(self) -> bool:
        return (self.out / "model" / "model.json").exists()

    @property
    def resolved(self) -> Preset:
        return resolve("dgam", self.preset, self.settings, FeatureStore(self.data.features).streams)

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of training; NaN for a resumed run."""
        seconds = read_json(self.out / "cost.json")["cpu_seconds"]
        return np.nan if seconds is None else seconds

    def check_same(self) -> None:
        """Raise InputError if the folder holds a run of other settings or features; what differs is named."""
        if not (self.out / "config.yaml").exists():
            return
        there = RunFolder(self.out).sections()
        here = self.resolved.to_dict()
        differing = [f"{part}.{name}" for part in here for name in here[part] if there[part].get(name) != here[part][name]]
        if read_json(self.out / "environment.json")["data"]["features"] != str(self.data.features.resolve()):
            differing.append("the folder of the features")
        if differing:
            raise InputError(f"{self.out}: was made with other settings ({', '.join(differing)}); give another --out, or delete it")


def train_all(trainings: Sequence[Training], workers: int) -> None:
    """Train what is not finished yet, in `workers` processes of one thread each.

    Raises:
        InputError: a run's folder holds a run of other settings, or a training fails.
    """
    for training in trainings:
        training.check_same()
    left = [training for training in trainings if not training.finished]
    if not left:
        return
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        with get_context("spawn").Pool(min(workers, len(left))) as pool:  # whose end, however it comes, ends the processes
            for done, (name, seconds) in enumerate(pool.imap_unordered(train_one, left), 1):
                note(f"{name}: trained in {seconds:.0f} CPU s ({done} of {len(left)})")
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def train_one(training: Training) -> tuple[str, float]:
    """Train or resume a run; returns its name and its CPU seconds. Its messages go to `<out>.log`."""
    torch.set_num_threads(1)
    out, resumed = training.out, (training.out / "config.yaml").exists()
    out.parent.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    with open(out.with_suffix(".log"), "a", encoding="utf-8") as log, redirect_stderr(log):
        train(
            "dgam",
            features=training.data.features,
            labels=training.data.labels,
            out=out,
            preset=training.preset,
            settings=training.settings,
            seed=training.seed,
            workers=1,  # the runs are what goes side by side; and the CPU seconds are this process's
            resume=resumed,
            force=not resumed,
        )
    seconds = time.process_time() - began
    write_json(out / "cost.json", {"cpu_seconds": None if resumed else seconds})
    return out.name, seconds


def found_by(training: Training) -> tuple[Results, list[Activation]]:
    """The detections and activations of a finished run on the test videos."""
    out = training.out / "detections.json"
    if not (out.exists() and out.with_suffix(".activations").exists()):
        data = training.data
        localize(training.out, features=data.features, subset_from=data.annotations, subset="test", out=out)
    return read_detections(out).results, read_activations(out.with_suffix(".activations"))[0]


# Beside DGAM: the same class activations, other segments ---------------------------------------------------------------------


def beside(
    data: Data, training: Training, results: Results, activations: list[Activation], cuts: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """mAP at `TIOUS` of other segments than DGAM's, classified and scored by its own activations. cuts: by video, in seconds."""
    settings = training.resolved.localization
    named = class_scores(activations, settings)
    durations = {activation.video: activation.timeline.duration for activation in activations}
    pieces = {activation.video: score_pieces(activation, cuts[activation.video], settings) for activation in activations}
    random = random_segments(results, named, durations, data.test, data.truth.classes, TIOUS, training.seed)
    return {
        "segments between cuts": data.score(pieces).mean_ap,
        "random segments": np.array(random),
        "the whole video": np.array(whole_video(named, durations, data.test, data.truth.classes, TIOUS)),
    }


def score_pieces(activation: Activation, cuts: np.ndarray, settings: Localization) -> list[Detection]:
    """Every piece between two cuts as a detection of each class that the localizer keeps.

    Its score is the mean over the piece of attention times class activation, the streams weighted as when localizing, and the
    share of the video's class score that the localizer adds.
    """
    duration = activation.timeline.duration
    ends = np.concatenate([[0.0], cuts[(cuts > 0) & (cuts < duration)], [duration]])
    edges = activation.timeline.edges
    shared = np.minimum(ends[1:, None], edges[1:]) - np.maximum(ends[:-1, None], edges[:-1])
    shared = np.maximum(shared, 0.0)  # [P, T], seconds of snippet t in piece p
    streams = activation.streams
    weights = np.array([of_stream(settings, name).stream_weight for name in streams])
    weights = weights / weights.sum()
    gated = sum(w * s.attention[:, None] * expit(s.class_logit) for w, s in zip(weights, streams.values()))
    score = shared @ gated / np.maximum(shared.sum(1, keepdims=True), 1e-9)
    return [
        Detection(float(start), float(end), label, float(score[p, c]) + settings.class_weight * video_score)
        for label, video_score in kept_classes(activation, settings).items()
        for c in (activation.classes.index(label),)
        for p, (start, end) in enumerate(zip(ends[:-1], ends[1:]))
    ]


def cosine_distances(x: np.ndarray) -> np.ndarray:
    """Between neighbouring rows: [T, D] -> [T - 1]."""
    x = np.asarray(x, dtype=np.float64)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return 1 - (x[1:] * x[:-1]).sum(1)


def otsu(values: np.ndarray) -> float:
    """The threshold that parts values into two groups whose means differ most, weighted by their sizes (Otsu 1979); the middle of
    the gap where there is one."""
    count, edges = np.histogram(values, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    below, mass = np.cumsum(count), np.cumsum(count * middle)
    total = below[-1]
    between = (mass[-1] * below / total - mass) ** 2 / np.maximum(below * (total - below), 1)
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(edges[best + 1].mean())


def peaks(distance: np.ndarray, threshold: float) -> np.ndarray:
    """Indices of the local maxima above the threshold; the first of a plateau."""
    padded = np.concatenate([[-np.inf], distance, [-np.inf]])
    return np.flatnonzero((distance > threshold) & (distance > padded[:-2]) & (distance >= padded[2:]))


def found_boundaries(data: Data, cuts: Mapping[str, np.ndarray], within: float) -> float:
    """Share of the test videos' action boundaries (but for the ends of videos) that have a cut within so many seconds."""
    hits = []
    for video, truth in data.test.items():
        if len(truth.segments) and len(cuts[video]):
            times = np.array([time for s in truth.segments for time in (s.start, s.end)])
            inner = times[(times > within) & (times < truth.duration - within)]
            hits.append(np.abs(inner[:, None] - cuts[video]).min(1) <= within)
        else:
            hits.append(np.zeros(2 * len(truth.segments), dtype=bool))
    return float(np.concatenate(hits).mean())


def pieces_per_video(cuts: Mapping[str, np.ndarray]) -> float:
    return float(np.mean([len(times) + 1 for times in cuts.values()]))


# Above DGAM: what a linear classifier makes of the same features under full supervision -----------------------------------------


def with_true_times(data: Data, settings: Localization, out: Path) -> DetectionScores:
    """Scores of a linear classifier of snippets (classes and background, one per stream) trained with the ground truth of the
    training videos and cut by the same localizer. Its detections are kept in `out`.

    Logistic regression on standardized features, C = 0.01; of each snippet the segment at its middle is the label. Attention is the
    probability of not being background, a class's activation its probability, the video's class score its mean under the attention.
    """
    if not out.exists():
        store = FeatureStore(data.features)
        streams = {stream: _snippet_probabilities(data, store, stream) for stream in store.streams}
        classes = data.truth.classes
        activations = []
        for video in data.test:
            found = {}
            for stream, by_video in streams.items():
                probability = by_video[video]
                attention = 1 - probability[:, -1]
                p = np.clip(probability[:, :-1], 1e-9, 1 - 1e-9)
                score = p.sum(0) / max(attention.sum(), 1e-9)
                found[stream] = StreamActivation(attention, np.log(p / (1 - p)), score)
            activations.append(Activation(video, classes, store.timeline(video), found))
        about = {"run": out.stem, "method": "linear, fully supervised"}
        write_detections(out, cut_activations(activations, settings), about)
    return data.score(read_detections(out).results)


def _snippet_probabilities(data: Data, store: FeatureStore, stream: str) -> dict[str, np.ndarray]:
    """By test video the probabilities [T, C + 1], background last."""
    classes = data.truth.classes
    x = [np.asarray(store.load(video)[stream], dtype=np.float32) for video in data.training_videos]
    y = [_snippet_labels(data.truth.videos[v], store.timeline(v), classes) for v in data.training_videos]
    scaler = StandardScaler().fit(np.concatenate(x))
    model = LogisticRegression(C=0.01, tol=1e-3, max_iter=1000)
    model.fit(scaler.transform(np.concatenate(x)), np.concatenate(y))
    found = {}
    for video in data.test:
        probability = np.zeros((len(store.load(video)[stream]), len(classes) + 1))
        rows = scaler.transform(np.asarray(store.load(video)[stream], dtype=np.float32))
        probability[:, model.classes_] = model.predict_proba(rows)
        found[video] = probability
    return found


def _snippet_labels(truth: VideoTruth, timeline: Timeline, classes: tuple[str, ...]) -> np.ndarray:
    """Class index of each snippet by what is at its middle, [T]; background is C."""
    middle = (timeline.edges[1:] + timeline.edges[:-1]) / 2
    labels = np.full(timeline.count, len(classes))
    for start, end, label in truth.segments:
        labels[(middle >= start) & (middle < end)] = classes.index(label)
    return labels


# Tables ----------------------------------------------------------------------------------------------------------------------


def table(rows: Mapping[str, np.ndarray], signed: Iterable[str] = ()) -> list[str]:
    """Markdown: mAP in per cent at each of `TIOUS` and their average.

    rows: [S, K] over S seeds gives mean ± standard deviation, [K] one number.
    """
    lines = ["| mAP in per cent at tIoU | " + " | ".join(f"{tiou:g}" for tiou in TIOUS) + " | average |"]
    lines.append("|---|" + "---:|" * (len(TIOUS) + 1))
    for name, values in rows.items():
        columns = 100 * np.column_stack([np.atleast_2d(values), np.atleast_2d(values).mean(1)]).T
        lines.append(f"| {name} | " + " | ".join(spread(column, name in signed) for column in columns) + " |")
    return lines


BESIDE = """The baselines use DGAM's class activations and class scores, so that only the segments differ:
- Segments between cuts: each segment between two cuts is scored by its mean of attention times class activation, and by the
  video's class score as DGAM's own segments are, for the classes that the localizer keeps. {cuts}
- Random segments: as many as DGAM detected in the video, with the lengths of its detections in all videos, mean of 20 draws. The
  whole video: one segment per class.
- Fully supervised: logistic regression on single snippets of the training videos (classes and background, one per stream), with
  the same localization: an upper bound for the features."""
"""For the reader of a section; `cuts` says how cuts are found."""


def spread(values: Sequence[float] | np.ndarray, signed: bool = False) -> str:
    """Mean ± standard deviation (n - 1), or the number alone if there is one."""
    values = np.asarray(values, dtype=float)
    mean = f"{values.mean():+.1f}" if signed else f"{values.mean():.1f}"
    return mean if len(values) == 1 else f"{mean} ± {values.std(ddof=1):.1f}"


def interval(differences: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of paired differences by Student's t, n - 1 degrees of freedom; infinite for a single pair."""
    n = len(differences)
    if n < 2:
        return -np.inf, np.inf
    half = float(student.ppf(0.975, n - 1)) * differences.std(ddof=1) / np.sqrt(n)
    return differences.mean() - half, differences.mean() + half


def whole_costs(trainings: Sequence[Training]) -> np.ndarray:
    """CPU seconds of the runs that were never interrupted."""
    seconds = np.array([training.cpu_seconds for training in trainings])
    return seconds[np.isfinite(seconds)]


def training_cost(trainings: Sequence[Training]) -> str:
    """CPU seconds per run, in words."""
    seconds = whole_costs(trainings)
    return f"{spread(seconds)} s" if len(seconds) else "unknown (every run was resumed)"


def called(main: Callable[[], None]) -> None:
    """Run a program; what is wrong with its input is one line and exit code 2, and to be terminated is to end in order."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def arguments(description: str, folder: str) -> argparse.ArgumentParser:
    """The options that both programs have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar=folder)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs; run the same command again to resume")
    parser.add_argument("--seeds", type=int, default=5, choices=range(1, 101), metavar="N")
    parser.add_argument("--workers", type=int, default=2, choices=range(1, 65), metavar="N", help="processes of one thread each")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--set", action="append", default=[], metavar="K=V", help="a setting over the preset, such as epochs=2")
    return parser


def command(program: str, folder: str, asked: argparse.Namespace) -> str:
    """How a section was made, for its reader: the options that matter, not the place of the folders."""
    options = "".join(f" --set {assignment}" for assignment in asked.set)
    return f"python benchmarks/{program} {folder} --out OUT --seeds {asked.seeds} --preset {asked.preset}{options}"

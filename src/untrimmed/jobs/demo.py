"""`untrimmed demo`: the whole way for real, on videos that the program draws itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.data.activations import read_activations
from untrimmed.data.annotations import VideoTruth, read_annotations, read_detections, write_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json, write_json
from untrimmed.data.outputs import activations_beside
from untrimmed.data.run_files import RunFiles
from untrimmed.data.settings import build
from untrimmed.data.types import Activation
from untrimmed.demo_world.plan import FPS
from untrimmed.demo_world.world import build_world
from untrimmed.evaluation.activitynet import evaluate_detections
from untrimmed.evaluation.baselines import random_segments, whole_video
from untrimmed.evaluation.results import Evaluation
from untrimmed.jobs.extract import extract
from untrimmed.jobs.localize import localize
from untrimmed.jobs.refine import refine
from untrimmed.jobs.report import report
from untrimmed.jobs.train import train
from untrimmed.localization import Localization, kept_classes
from untrimmed.methods.base import resolve

TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
EXTRACTOR_SETTINGS = {"fps": FPS, "frames": 8, "stride": 4}  # of `motion`: snippets of 2/3 s, three a second
SIZES = {False: {"train": 72, "test": 20, "clips": 10}, True: {"train": 30, "test": 10, "clips": 2}}  # by `quick`
QUICK_SETTINGS = {"epochs": 100}  # with 40 its few videos give too few steps: worse than random at tIoU 0.1 on seed 1


@dataclass(frozen=True)
class DemoReport:
    """What the demo showed.

    rows: mAP at each of `tious`, in 0..1, by name: two baselines, the method, the method refined, self-training, and a student that
        is told the true times of the training videos.
    page: the HTML page. detections: the file of what the refined run found. seconds: what this call took.
    """

    out: Path
    tious: tuple[float, ...]
    rows: dict[str, list[float]]
    page: Path
    detections: Path
    seconds: float

    def text(self) -> str:
        """The table for the terminal, in per cent, and where to look."""
        width = max(map(len, self.rows))
        lines = ["mAP in per cent".ljust(width) + "".join(f"{f'@{tiou:g}':>7}" for tiou in self.tious) + "   mean"]
        for name, values in self.rows.items():
            lines.append(name.ljust(width) + "".join(f"{100 * value:7.1f}" for value in [*values, float(np.mean(values))]))
        return "\n".join([*lines, "", f"done in {self.seconds:.0f} s; now open {self.page}"])


def demo(
    out: str | Path = "demo-out", method: str = "dgam", quick: bool = False, seed: int = 0, workers: int | None = None
) -> DemoReport:
    """Draw videos, extract features, train from labels, localize unseen videos, score them and write the page.

    Everything goes to the folder `out`; what an earlier call finished there is not done again.

        world/              videos, labels.csv, annotations.json, parts.json, trimmed clips (see `build_world`)
        features/           the feature store
        <method>/           the run, detections.json, detections.activations and scores.json
        <method>-refined/, self-trained/, told/    the same of a student of that run, of self-training, and with the true times
        report.html

    Args:
        quick: a world of half the size, which teaches less.
        seed: of the world and of the training.
        workers: processes for drawing and extracting; None: one per core.

    Raises:
        InputError: `out` holds another demo, or cannot be written; an unknown method.
    """
    out = Path(out)
    began = time.monotonic()
    world, features = out / "world", out / "features"
    resolve(method, "demo")  # an unknown method is an error before anything is drawn
    if out.exists() and not (world / "world.json").exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: holds something else than a demo; give another `out`")
    build_world(world, seed=seed, workers=workers, **SIZES[quick])
    failed = extract(world / "videos", features, settings=EXTRACTOR_SETTINGS, workers=workers).failures
    if failed:
        raise InputError(f"{world}: damaged videos ({', '.join(failed)}); delete them and run the same again")

    truth = read_annotations(world / "annotations.json")
    told = world / "told.json"
    write_annotations(told, truth.subset("train"), "the true times of the training videos")
    teacher, refined = out / method, out / f"{method}-refined"
    labels: dict[str, Any] = {"features": features, "labels": world / "labels.csv", "preset": "demo", "seed": seed}
    quicker: dict[str, Any] = {"settings": QUICK_SETTINGS} if quick else {}
    steps: dict[str, tuple[Path, Callable[..., Any]]] = {
        method: (teacher, partial(train, method, **labels, **quicker)),
        f"{method}, refined": (refined, partial(refine, teacher, seed=seed)),
        "self-trained": (out / "self-trained", partial(train, "selftrain", **labels)),
        "told the true times": (out / "told", partial(refine, teacher, annotations=told, seed=seed)),
    }
    for run, learn in steps.values():
        if not RunFiles(run).is_finished:
            learn(out=run, resume=RunFiles(run).is_begun)
        detections = RunFiles(run).detections
        if not (detections.exists() and activations_beside(detections).exists()):
            localize(run, features=features, subset_from=truth.path, subset="test", out=detections)
    test = truth.subset("test")
    rows = _baselines(RunFiles(teacher).detections, test, truth.classes, seed)
    scores = {}
    for name, (run, _) in steps.items():
        file = read_detections(RunFiles(run).detections)
        scores[name] = evaluate_detections(test, file.results, truth.classes, TIOUS)
        evaluation = Evaluation("activitynet", truth.path, "test", file.untrimmed.get("selection"), scores[name]).to_json()
        write_json(run / "scores.json", evaluation, indent=1)
    rows |= {name: its.mean_ap.tolist() for name, its in scores.items()}

    best = f"{method}, refined"
    shown = {
        **read_json(refined / "scores.json"),
        "beside": {name: row for name, row in rows.items() if name != best},
        "precision_recall": scores[best].plot_data(0.5),
        "precision_recall_tiou": 0.5,
    }
    page = report(
        RunFiles(refined).detections,
        out=out / "report.html",
        annotations=truth.path,
        subset="test",
        videos=world / "videos",
        scores=shown,
        beside=RunFiles(teacher).detections,
    )
    return DemoReport(out, TIOUS, rows, page, RunFiles(refined).detections, time.monotonic() - began)


def _baselines(detections: Path, truth: dict[str, VideoTruth], classes: tuple[str, ...], seed: int) -> dict[str, list[float]]:
    """mAP at `TIOUS` of two baselines that name the actions as the method does, and know nothing of when."""
    file = read_detections(detections)
    activations, about = read_activations(activations_beside(detections))
    named = class_scores(activations, build(Localization, about["localization"], "localization"))
    durations = {activation.video: activation.timeline.duration for activation in activations}
    return {
        "random segments": random_segments(file.results, named, durations, truth, classes, TIOUS, seed),
        "the whole video": whole_video(named, durations, truth, classes, TIOUS),
    }


def class_scores(activations: list[Activation], settings: Localization) -> dict[str, dict[str, float]]:
    """Per video the classes that it is localized for, and their video scores."""
    return {activation.video: kept_classes(activation, settings) for activation in activations}

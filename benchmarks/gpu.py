"""Training, extraction and localization on a GPU beside the same on the CPU: `python benchmarks/gpu.py [--device cuda]`.

Each is timed once on either device, after a small one that warms up, and what they give is compared: rows of features, and the
curves of one run, must agree within a tolerance; two trainings need only find about as much, since their random numbers differ. The
data are synthetic, the extractor is `dinov2` with random weights. Prints a table, and ends with 1 where something differs.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from speed import write_film
from untrimmed.console import note
from untrimmed.data.activations import read_activations
from untrimmed.data.annotations import VideoTruth, write_annotations
from untrimmed.data.labels import write_labels
from untrimmed.data.store import FeatureWriter, Header, VideoEntry
from untrimmed.data.types import Segment
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.training.device import check_device
from untrimmed.video.extractors.named import NAMED
from untrimmed.video.extractors.pace import untrained
from untrimmed.video.features import VideoFeatures

CLASSES, LENGTH = 5, 120
FEATURES, CURVES, MAP = 2e-3, 1e-3, 0.1
"""Tolerances: of a stored feature (float16, of the order of one), of a class activation sequence, and of mAP at tIoU 0.5."""


def planted(folder: Path, videos: int, width: int) -> None:
    """A store of so many videos of 120 snippets, in each of which one of five actions takes twelve; labels and ground truth."""
    random = np.random.default_rng(0)
    ways = random.standard_normal((CLASSES, width)).astype(np.float32)
    writer = FeatureWriter(folder / "features", Header("synthetic", {}, 1.0, 1.0, {"rgb": width, "flow": width}))
    truth, rows = {}, []
    for number in range(videos):
        video, c, at = f"v{number:04}", number % CLASSES, int(random.integers(0, LENGTH - 12))
        acting = (np.arange(LENGTH) - at) // 12 == 0
        noise = random.standard_normal((2, LENGTH, width)).astype(np.float32)
        rgb, flow = (noise + acting[:, None] * ways[c]).astype(np.float16)
        writer.write(video, {"rgb": rgb, "flow": flow}, VideoEntry(LENGTH, float(LENGTH)))
        subset = "test" if number % 4 == 0 else "train"
        truth[video] = VideoTruth(subset, float(LENGTH), (Segment(float(at), float(at + 12), f"action {c}"),))
        if subset == "train":
            rows.append((video, f"action {c}"))
    writer.compact()
    write_labels(folder / "labels.csv", rows)
    write_annotations(folder / "annotations.json", truth, "planted")


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def learn(folder: Path, method: str, device: str, epochs: int) -> tuple[float, float]:
    """Seconds of a training, and mAP at tIoU 0.5 of its detections in the test videos."""
    settings = {"epochs": epochs} if epochs else {}
    run, found = folder / f"{method}-{device}", folder / f"{method}-{device}.json"
    about = {"features": folder / "features", "labels": folder / "labels.csv", "out": run, "settings": settings, "device": device}
    took = seconds(lambda: train(method, **about, force=True))
    truth = folder / "annotations.json"
    localize(run, features=folder / "features", out=found, subset_from=truth, subset="test", device=device)
    return took, evaluate(found, annotations=truth, subset="test", tiou="0.5").scores.average


def curves(folder: Path, run: Path, device: str) -> tuple[float, np.ndarray]:
    """Seconds of localization, and the class activation sequences of all videos."""
    out = folder / f"curves-{device}.json"
    took = seconds(lambda: localize(run, features=folder / "features", out=out, device=device))
    activations, _ = read_activations(out.with_suffix(".activations"))
    return took, np.concatenate([stream.class_logit for of_video in activations for stream in of_video.streams.values()])


def rows_of(films: list[Path], device: str) -> tuple[float, np.ndarray]:
    """Seconds of extraction by a network, with decoding, and its features."""
    torch.manual_seed(0)  # the same random weights
    extractor = untrained(NAMED["dinov2"], device)
    found: list[np.ndarray] = []
    next(iter(VideoFeatures(films[0], extractor, "dis")))  # warms up
    took = seconds(lambda: found.extend(row["rgb"] for film in films for row in VideoFeatures(film, extractor, "dis")))
    return took, np.concatenate(found)


def compared(device: str, folder: Path, videos: int, width: int, epochs: int, films: list[Path]) -> tuple[list[str], bool]:
    """The rows of the table, and whether all agree."""
    planted(folder, videos, width)
    planted(folder / "small", 8, 16)
    rows, fine = [], True

    def add(what: str, cpu: float, other: float, differs: float, most: float) -> None:
        nonlocal fine
        fine &= differs <= most
        rows.append(f"| {what} | {cpu:.1f} | {other:.1f} | {cpu / max(other, 1e-9):.1f} | {differs:.2g} (at most {most:g}) |")

    for method, count in (("dgam", epochs), ("selftrain", 0)):
        learn(folder / "small", method, device, min(count, 1))
        (cpu, one), (other, two) = (learn(folder, method, at, count) for at in ("cpu", device))
        add(f"train {method}, {videos} videos", cpu, other, abs(one - two), MAP)
    run = folder / "dgam-cpu"
    (cpu, x), (other, y) = (curves(folder, run, at) for at in ("cpu", device))
    add(f"localize dgam, {videos} videos", cpu, other, float(np.abs(x - y).max()), CURVES)
    (cpu, x), (other, y) = (rows_of(films, at) for at in ("cpu", device))
    add(f"extract dinov2, {len(x)} snippets", cpu, other, float(np.abs(x - y).max()), FEATURES)
    return rows, fine


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--videos", type=int, default=400)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--films", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30, help="of each film")
    given = parser.parse_args(argv)
    check_device(given.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = [write_film(folder / f"{k}.mp4", given.seconds, 25, 640, 360) for k in range(given.films)]
        note(f"{given.device} beside cpu")
        rows, fine = compared(given.device, folder, given.videos, given.width, given.epochs, films)
    print(f"| | cpu, s | {given.device}, s | times faster | differs by |\n|---|---:|---:|---:|---:|")
    print("\n".join(rows))
    sys.exit(not fine)


if __name__ == "__main__":
    main()

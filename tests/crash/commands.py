"""The commands that are ended at every point, each on a small problem."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.methods.planted import plant, plant_clips
from tests.methods.suite import HERE, read
from tests.video.films import film, moving_blocks, steady
from untrimmed.methods.registry import METHODS

QUICK = ["--set", "size=32", "--set", "fps=10", "--set", "frames=4", "--set", "stride=4"]
STORE = ["--features", "features"]
LABELLED = [*STORE, "--labels", "labels.csv"]


def settings_of(method: str) -> list[str]:
    """Those with which a method merely runs, in two turns."""
    suite = read(HERE / "suite.yaml")[method]
    brief = suite["brief"] | dict.fromkeys(suite.get("once", {"epochs": 1}), 2)
    return [f"{name}={value}" for name, value in brief.items() if name != "data"] + ["data.snippets=8"]


def _set(values: list[str]) -> list[str]:
    return [part for value in values for part in ("--set", value)]


def planted(folder: Path) -> None:
    """Features, labels, truth and clips."""
    made = plant(folder, train=6, test=2, empty=1, length=(12, 14), streams={"rgb": 8, "flow": 6})
    plant_clips(made, count=4)


def pack(folder: Path) -> None:
    """A pack of the layout acmnet, of which one file is damaged."""
    for part in ("train", "test"):
        (folder / "pack" / part).mkdir(parents=True)
        for number in range(2):
            np.save(folder / "pack" / part / f"{part}{number}.npy", np.ones((6, 8), np.float32) * number)
    np.save(folder / "pack" / "test" / "flat.npy", np.ones(6, np.float32))


def videos(folder: Path) -> None:
    """Videos in the folders of their labels."""
    for place in ("run/one", "run/two", "jump/three"):
        film(folder / "videos" / f"{place}.mp4", steady(1), draw=moving_blocks, width=64, height=48)
    (folder / "labels.csv").write_text("video,label\none,run\ntwo,run\nthree,jump\n")


def marked(folder: Path) -> None:
    """Two videos, and detections in them; a table of marks, and an older annotations file."""
    for name in ("one", "two"):
        film(folder / "videos" / f"{name}.mp4", steady(1), draw=moving_blocks, width=64, height=48)
    found = {name: [{"label": "run", "score": 1.0, "segment": [0.2, 0.6]}] for name in ("one", "two")}
    (folder / "d.json").write_text(json.dumps({"results": found, "untrimmed": {}}))
    (folder / "marks.csv").write_text("video,start,end,label\none,0.1,0.5,run\n")
    (folder / "a.json").write_text('{"database": {}}')


@dataclass(frozen=True)
class Command:
    """A command line, what it works on, and what is done before."""

    arguments: list[str]
    make: Callable[[Path], None] = planted
    before: list[list[str]] = field(default_factory=list)


def _train(method: str, *more: str) -> list[str]:
    return ["train", method, "--out", "run", "--workers", "1", *_set(settings_of(method)), *more]


RUN = _train("dgam", *LABELLED)
CLIPS = ["--trimmed", "clips", "--trimmed-labels", "clips.csv"]
OTHER = ["--format", "csv", "--min-score", "2", "--out", "d.csv"]
FOUND = ["localize", "run", *STORE, "--out", "d.json"]

TRAININGS = {f"train-{method}": Command(_train(method, *LABELLED)) for method in METHODS} | {
    "train-tsrnet": Command(_train("tsrnet", *LABELLED, *CLIPS)),
    "train-tcam-unlabelled": Command(_train("tcam", *STORE, "--unlabelled", "--clusters", "2", *_set(["rounds=3"]))),
}
FEW = ("train-dgam", "train-tcam-unlabelled")
"""Of the trainings, those of which points are tried each time: learned side by side, and in rounds of clusters."""

COMMANDS = {
    "extract": Command(["extract", "videos", "--out", "store", "--workers", "1", *QUICK], videos),
    "init": Command(["init", "videos", "--out", "tags.csv"], videos),
    "init-force": Command(["init", "videos", "--out", "labels.csv", "--force"], videos),
    "train-videos": Command(
        [*_train("wtalc", "--videos", "videos", "--labels", "labels.csv"), *_set(["extractor.size=32", "extractor.fps=10"])], videos
    ),
    "train-force": Command([*RUN, "--force"], before=[RUN]),
    "localize": Command([*FOUND, "--report", "page.html"], before=[RUN]),
    "localize-again": Command([*FOUND, "--set", "nms=0.1"], before=[RUN, FOUND]),
    "report": Command(
        ["report", "d.json", "--annotations", "annotations.json", "--subset", "test", "--out", "page.html"], before=[RUN, FOUND]
    ),
    "export": Command(["export", "d.json", "--format", "srt", "--out", "subtitles"], before=[RUN, FOUND]),
    "export-again": Command(["export", "d.json", "--format", "csv", "--out", "d.csv"], marked, [["export", "d.json", *OTHER]]),
    "import-force": Command(["import", "marks.csv", "--out", "a.json", "--force"], marked),
    "clips": Command(["clips", "d.json", "--videos", "videos", "--out", "clips", "--copy"], marked),
    "convert": Command(
        ["convert", "pack", "--layout", "acmnet", "--out", "converted", "--fps", "25"],
        pack,
    ),
    "refine": Command(["refine", "run", "--out", "student", *_set(settings_of("selftrain"))], before=[RUN]),
} | TRAININGS

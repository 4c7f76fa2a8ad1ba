"""The commands that are ended at every point, each on a small problem; and the saving of `review`, which is a function."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import numpy as np
import yaml

from tests.methods.planted import plant, plant_clips
from tests.methods.suite import HERE, read
from tests.video.films import film, moving_blocks, steady
from untrimmed.methods.registry import METHODS
from untrimmed.reviewing.marks import MarksFile

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


def experiment(folder: Path) -> None:
    """Two candidates, of which one is chosen by its loss, and a student of the other run."""
    planted(folder)
    brief = {"epochs": 1, "batch": 4, "hidden": 8, "data": {"snippets": 8}}
    runs = {
        "one": {"method": "wtalc", "settings": brief, "candidates": [{"epochs": 1}, {"epochs": 2}]},
        "teacher": {"method": "wtalc", "settings": brief},
        "student": {"refine": "teacher", "settings": {"rounds": 1}},
    }
    data = {"features": "features", "labels": "labels.csv", "annotations": "annotations.json", "subset": "test"}
    tree = {"data": {"d": data}, "runs": runs, "seeds": 1, "selection": "weak-loss", "metrics": ["mAP@0.5"], "keep": True}
    (folder / "e.yaml").write_text(yaml.safe_dump(tree))


def papers(folder: Path) -> None:
    """The planted problem as a pack of the layout basnet, of which one file is damaged."""
    planted(folder)
    truth = json.loads((folder / "annotations.json").read_text())
    for video, about in truth["database"].items():
        for stream in ("rgb", "flow"):
            file = folder / "pack" / "features" / about["subset"] / stream / f"{video}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes((folder / "features" / stream / f"{video}.npy").read_bytes())
    (folder / "pack" / "features" / "train" / "rgb" / "train000.npy").write_bytes(b"no array")
    (folder / "pack" / "gt.json").write_text(json.dumps(truth))


def nothing(folder: Path) -> None:
    """An empty folder."""


def save_marks(_: list[str]) -> None:
    """What the page asks the server of `review` for: each change on what is there, unless it was made already."""
    with mock.patch("untrimmed.reviewing.marks.datetime") as clock:
        clock.now.return_value = datetime(2026, 1, 1, tzinfo=UTC)
        marks = MarksFile(Path("marks.json"), "ann", {"run"}, {"one": 9.0, "two": 9.0})
        for number in range(4):
            video, revision = ("one", "two")[number % 2], number // 2
            drawn = [{"segment": [0.0, 1.0 + number], "label": "run"}]
            if marks.entries().get(video, {"revision": 0})["revision"] == revision:
                marks.save(video, revision, {"annotations": drawn, "note": ""}, f"drew {number}")


@dataclass(frozen=True)
class Command:
    """A command line, what it works on, and what is done before; or a function that is called in its place."""

    arguments: list[str]
    make: Callable[[Path], None] = planted
    before: list[list[str]] = field(default_factory=list)
    function: Callable[[list[str]], None] | None = None


def _train(method: str, *more: str) -> list[str]:
    return ["train", method, "--out", "run", "--workers", "1", *_set(settings_of(method)), *more]


RUN = _train("dgam", *LABELLED)
CLIPS = ["--trimmed", "clips", "--trimmed-labels", "clips.csv"]
OTHER = ["--format", "csv", "--min-score", "2", "--out", "d.csv"]
RECIPE = ["recipe", "thumos14", "--method", "wtalc", "--features", "pack", "--layout", "basnet", "--out", "out"]
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
    "compare": Command(["compare", "e.yaml", "--out", "compared"], experiment),
    "recipe": Command([*RECIPE, *_set([*settings_of("wtalc"), "background=true"])], papers),
    "review-saving": Command(["review"], nothing, function=save_marks),
    "refine": Command(["refine", "run", "--out", "student", *_set(settings_of("selftrain"))], before=[RUN]),
} | TRAININGS

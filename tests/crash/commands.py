"""The commands that are ended at every point, each on a small problem."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.methods.planted import plant, plant_clips
from tests.video.films import film, moving_blocks, steady
from untrimmed.training import Run

# A run is saved after every step, so that there are points to go on from; and videos are extracted in the process itself.
assert Run.__init__.__kwdefaults__ is not None
Run.__init__.__kwdefaults__["save_seconds"] = 0.0

QUICK = ["--set", "size=32", "--set", "fps=10", "--set", "frames=4", "--set", "stride=4"]
EXTRACTING = [text.replace("size", "extractor.size").replace("fps", "extractor.fps") for text in QUICK[:4]]
STORE = ["--features", "features"]
LABELLED = [*STORE, "--labels", "labels.csv"]
SETTINGS = {
    "dgam": ["epochs=2", "batch=8", "hidden=8", "latent=4", "data.snippets=8"],
    "wtalc": ["epochs=2", "batch=4", "data.snippets=8"],
    "tsrnet": ["epochs=2", "data.snippets=8"],
    "tcam": ["epochs=2", "hidden=8", "data.snippets=8", "rounds=3"],
    "selftrain": ["epochs=2", "hidden=8", "rounds=2", "data.snippets=8"],
}


def _set(values: list[str]) -> list[str]:
    return [part for value in values for part in ("--set", value)]


def _one_process() -> None:
    """Workers in the process itself: their own deaths are tested where they are."""
    from untrimmed.video import extraction

    def each(function, shared, items, **_):
        for index, item in enumerate(items):
            yield index, function(shared, item), None

    extraction.each = each


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
    _one_process()


@dataclass(frozen=True)
class Command:
    """A command line, what it works on, and what is done before."""

    arguments: list[str]
    make: Callable[[Path], None] = planted
    before: list[list[str]] = field(default_factory=list)


def _train(method: str, *more: str) -> list[str]:
    return ["train", method, "--out", "run", "--workers", "1", *_set(SETTINGS[method]), *more]


RUN = _train("dgam", *LABELLED)
CLIPS = ["--trimmed", "clips", "--trimmed-labels", "clips.csv"]
FOUND = ["localize", "run", *STORE, "--out", "d.json"]

COMMANDS = {
    "extract": Command(["extract", "videos", "--out", "store", "--workers", "1", *QUICK], videos),
    "init": Command(["init", "videos", "--out", "tags.csv"], videos),
    "init-force": Command(["init", "videos", "--out", "labels.csv", "--force"], videos),
    "train-dgam": Command(RUN),
    "train-wtalc": Command(_train("wtalc", *LABELLED)),
    "train-tsrnet": Command(_train("tsrnet", *LABELLED, *CLIPS)),
    "train-tcam": Command(_train("tcam", *STORE, "--unlabelled", "--clusters", "2")),
    "train-selftrain": Command(_train("selftrain", *LABELLED)),
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
    "convert": Command(
        ["convert", "pack", "--layout", "acmnet", "--out", "converted", "--fps", "25"],
        pack,
    ),
    "refine": Command(
        ["refine", "run", "--out", "student", *_set(["epochs=2", "hidden=8", "rounds=2", "data.snippets=8"])], before=[RUN]
    ),
}

"""A folder like the README's, with short films in it."""

import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import untrimmed.jobs.demo as demo_job
from tests.docs.pages import Block, blocks
from tests.video.films import film, moving_blocks, steady
from untrimmed import cli

FILMS = {
    **{f"train/goal/match_0{i}.mp4": 4.0 for i in (1, 2, 3)},
    **{f"train/foul/match_0{i}.mp4": 1.0 for i in (4, 5, 6)},
    "train/none/match_07.mp4": 0.0,
    "new/match_08.mp4": 1.0,
    "new/match_09.mp4": 4.0,
}
"""The README's films, and how fast the patch in them moves."""

TRUTH = {
    f"match_0{i}": {"subset": "new", "annotations": [{"segment": [0.0, 2.0], "label": label}]}
    for i, label in ((8, "foul"), (9, "goal"))
}
NOT_RUN = ("make", "python3 -m venv", "pip install", ". .venv/bin/activate", "git clone", "cd ", "OMP_NUM_THREADS=1 pytest")
"""What a page may tell people to type besides `untrimmed`; it is not run here."""

SHORTER = {"demo": ["--quick"], "train": ["--set", "epochs=2"], "refine": ["--rounds", "1"]}
"""What is put behind a command here, so that it ends soon."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with `videos/` and `annotations.json`."""
    folder = tmp_path_factory.mktemp("own")
    for i, (name, speed) in enumerate(FILMS.items()):
        film(folder / "videos" / name, steady(2), width=96, height=72, draw=partial(moving_blocks, speed=speed, seed=i))
    (folder / "annotations.json").write_text(json.dumps({"database": TRUTH}))
    return folder


@pytest.fixture(scope="module")
def run_page(folder) -> Callable[[Path], list[str]]:
    """Runs a page in that folder: every command and Python block, in order; returns the commands that were run."""

    def run(page: Path) -> list[str]:
        done = []
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(demo_job, "SIZES", {True: {"train": 2, "test": 1, "clips": 0}})
            patch.setattr(demo_job, "QUICK_SETTINGS", {"epochs": 2})
            for block in blocks(page):
                done += _run(block, page)
        return done

    return run


def _run(block: Block, page: Path) -> list[str]:
    if block.language == "python":
        exec(compile(block.text, str(page), "exec"), {"__name__": "page"})
        return ["python"]
    if block.language == "csv" and block.file:  # what the reader fills in
        Path(block.file).write_text(block.text, encoding="utf-8")
    if block.language != "sh":
        return []
    done = []
    for line in block.text.replace("\\\n", " ").splitlines():
        line = line.partition(" #")[0].strip()
        if line.startswith("untrimmed "):
            words = shlex.split(line)[1:]
            with pytest.raises(SystemExit) as ended:
                cli.main(words + SHORTER.get(words[0], []))
            assert ended.value.code == 0, line
            done.append(line)
        else:
            assert not line or line.startswith(NOT_RUN), f"{page.name}: {line!r} is neither run nor known"
    return done

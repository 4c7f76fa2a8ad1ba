"""What a person sees when the machine fails: every row of the table in SECURITY.md."""

import contextlib
import errno
import fcntl
import os
import re
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.crash.commands import LABELLED, QUICK, planted, settings_of
from tests.crash.points import call, disk_full, in_this_process, mended, tree
from tests.video.films import film, moving_blocks, steady
from untrimmed.cli import main as command_line
from untrimmed.data.locks import lock
from untrimmed.training import Run
from untrimmed.video import extraction
from untrimmed.video.features import VideoFeatures

TRAIN = ["train", "wtalc", "--out", "run", *LABELLED, *(part for value in settings_of("wtalc") for part in ("--set", value))]
EXTRACT = ["extract", "videos", "--out", "store", "--workers", "1", *QUICK]


def table() -> dict[str, str]:
    """What happens: what one sees."""
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    return {what: seen for what, seen in rows if what != "what happens"}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("machine") / "base"
    planted(folder)
    film(folder / "videos" / "one.mp4", steady(1), draw=moving_blocks, width=64, height=48)
    return folder


@pytest.fixture
def work(base) -> Path:
    """Always the same place, since a run records where its features lie."""
    work = base.with_name("work")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work)
    return work


@pytest.fixture(scope="module")
def undisturbed(base) -> dict:
    """What a training leaves. It is done in this process, so that what it imports is there in every fork."""
    work = base.with_name("work")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(base, work)
    with contextlib.chdir(work), pytest.raises(SystemExit) as end:
        command_line(TRAIN)
    assert end.value.code == 0
    return tree(work)


# What happens ------------------------------------------------------------------------------------------------------------------


def read_only(change: str) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def moved_away(folder: str) -> Callable[[str], None]:
    done = []

    def strike(change: str) -> None:
        if not done and change == "open":
            done.append(folder)
            os.rename(folder, "elsewhere")

    return strike


def stopped(sign: signal.Signals) -> Callable[[str], None]:
    def strike(change: str) -> None:
        os.kill(os.getpid(), sign)
        time.sleep(5)

    return strike


def impatient(change: str) -> None:
    """Ctrl-C, and again at everything that is tidied up."""
    raise KeyboardInterrupt


def without_locks(arguments: list[str]) -> None:
    def missing(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    fcntl.flock = fcntl.lockf = missing  # type: ignore[assignment]
    command_line(arguments)


def with_a_jumping_clock(arguments: list[str]) -> None:
    """Two hours ahead, two hours back, at each look."""
    real, looks = time.time, []

    def jumping() -> float:
        looks.append(1)
        return real() + 7200 * (-1) ** len(looks)

    time.time = jumping
    command_line(arguments)


def with_memory_for_little(arguments: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (2 * 2**30, resource.RLIM_INFINITY))
    command_line(arguments)


def with_workers_that_get(sign: signal.Signals) -> Callable[[list[str]], None]:
    """The first worker gets a signal, once its program has begun: one that is stopped before stops whoever starts it, too."""

    def run(arguments: list[str]) -> None:
        def strike() -> None:
            children = Path(f"/proc/self/task/{os.getpid()}/children")
            while True:
                for child in children.read_text().split():
                    if b"engine.local" in Path(f"/proc/{child}/cmdline").read_bytes():
                        return os.kill(int(child), sign)
                time.sleep(0.01)

        threading.Thread(target=strike, daemon=True).start()
        extraction.PATIENCE = 1.0
        command_line(arguments)

    return run


def with_a_video_that_changes(arguments: list[str]) -> None:
    whole = VideoFeatures.__iter__

    def changing(self):
        for part in whole(self):
            os.utime(self.path, ns=(1, 1))
            yield part

    VideoFeatures.__iter__ = changing
    extraction.each = in_this_process
    command_line(arguments)


def with_a_full_stdout(arguments: list[str]) -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    command_line(arguments)


def beside_another(arguments: list[str]) -> None:
    Path("run/checkpoints").mkdir(parents=True)
    held = lock(Path("run"))
    child = os.fork()
    if child == 0:
        command_line(arguments)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    held.release()
    raise SystemExit(code)


LARGE = [*TRAIN, "--set", "data.snippets=100000000"]
RUN_SAVED = 13
"""The number of a change to the disk that a training makes after it has begun."""

MADE = {
    "the disk is full": (2, TRAIN, {"at": 3, "strike": disk_full}),
    "the folder is read-only": (2, TRAIN, {"at": 1, "strike": read_only}),
    "the features vanish during a training": (2, TRAIN, {"at": 3, "strike": moved_away("features")}),
    "the run folder vanishes during a training": (2, TRAIN, {"at": RUN_SAVED, "strike": moved_away("run")}),
    "the file system has no locks": (0, TRAIN, {"run": without_locks}),
    "the clock jumps": (0, TRAIN, {"run": with_a_jumping_clock}),
    "SIGTERM, SIGHUP, SIGKILL": (-signal.SIGTERM, TRAIN, {"at": RUN_SAVED, "strike": stopped(signal.SIGTERM)}),
    "Ctrl-C, once or more": (130, TRAIN, {"at": RUN_SAVED, "strike": impatient}),
    "a worker is killed": (2, EXTRACT, {"run": with_workers_that_get(signal.SIGKILL)}),
    "a worker stands still, as on a file server that does not answer": (
        2,
        EXTRACT,
        {"run": with_workers_that_get(signal.SIGSTOP)},
    ),
    "there is not enough memory": (2, LARGE, {"run": with_memory_for_little}),
    "another process is at work on the same output": (2, TRAIN, {"run": beside_another}),
    "a video changes while it is read": (0, EXTRACT, {"run": with_a_video_that_changes}),
    "stdout is full": (2, ["methods"], {"run": with_a_full_stdout}),
}


def test_the_table_says_what_is_tried():
    assert table().keys() == MADE.keys()


@pytest.mark.parametrize("what", MADE)
def test_what_is_seen_is_what_the_table_says(what, work, undisturbed, monkeypatch):
    monkeypatch.setitem(Run.__init__.__kwdefaults__, "save_seconds", 0.0)
    ending, arguments, how = MADE[what]
    code, said, _ = call(arguments, work, **how)
    assert (code, "Traceback" in said) == (ending, False), said
    words = re.search("`(.+?)`", table()[what])
    if words is not None:
        assert re.search(re.escape(words[1]).replace("…", ".+"), said), said
    if (work / "elsewhere").exists():
        (work / "elsewhere").rename(work / ("run" if "run folder" in what else "features"))
    if arguments is TRAIN:
        code, said = mended(TRAIN, work, command_line) if ending else (code, said)
        assert code == 0, said
        left = tree(work)
        assert {name for name in left.keys() | undisturbed.keys() if left.get(name) != undisturbed.get(name)} == set()

"""End a command before each of its changes to the disk, do what it says, and compare with one that was never disturbed.

python -m tests.crash.points [--full] FOLDER TRIED COMMAND...

A change is a rename, an unlink, a folder made or removed, a file opened for writing, or an fsync. Python tells of each before it is
done (`sys.addaudithook`), and there the process is killed. The process is a fork of one that has imported everything, so that a
point costs what the command costs. Then the same command runs again, to its end. If it refuses because of what the dead one left,
it must name the option that helps, `--resume` or `--force`, and runs with that.

With --full nothing is killed, but from the point on there is no room on the disk: the command must say so in one line, or do
without what it can do without, and again the same command must mend it.

TRIED is how many points of each command are tried, spread evenly, or `all`. Prints a line of JSON for each command: how many points
it has, how many were tried, and for each bad one what was wrong.
"""

import errno
import json
import os
import shutil
import signal
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import safe_open

import untrimmed.jobs.clips
import untrimmed.jobs.compare
import untrimmed.jobs.export
import untrimmed.jobs.import_
import untrimmed.jobs.recipe
import untrimmed.jobs.refine  # noqa: F401 (all is imported once, not in every fork)
from tests.crash.commands import COMMANDS, Command
from untrimmed.cli import main as command_line
from untrimmed.console import LONGEST
from untrimmed.data.errors import InputError
from untrimmed.methods.base import method_class
from untrimmed.methods.registry import METHODS
from untrimmed.training import Run
from untrimmed.video import extraction

Strike, Function = Callable[[str], None], Callable[[list[str]], None]
"""What happens at a point, told which kind of change is about to be made; and what is called with a command's arguments."""

UNLIKE = ("log.txt", ".lock")
"""Files that need not be the same: logs of what was said, and locks, which are empty."""


def killed(change: str) -> None:
    """The process is ended."""
    os.kill(os.getpid(), signal.SIGKILL)


def disk_full(change: str) -> None:
    """There is no room for anything new."""
    if change in ("open", "os.mkdir", "os.fsync"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def watch(work: Path, at: int, tell: int, strike: Strike) -> None:
    """From now on count the changes below `work`; from that of number `at` on `strike` is called before each. Each is told by a
    byte to `tell`."""
    seen = 0
    inside = str(work)

    def change(what: str) -> None:
        nonlocal seen
        seen += 1
        os.write(tell, b".")
        if 0 < at <= seen:
            strike(what)

    def hook(event: str, arguments: tuple) -> None:
        if event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"):
            relative = len(arguments) > 1 and isinstance(arguments[-1], int) and arguments[-1] >= 0  # as rmtree does it
            if relative or os.path.abspath(os.fsdecode(arguments[0])).startswith(inside):
                change(event)
        elif event == "open" and isinstance(arguments[0], str | bytes):
            written = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if written and os.path.abspath(os.fsdecode(arguments[0])).startswith(inside):
                change(event)

    sys.addaudithook(hook)
    fsync = os.fsync

    def counted_fsync(descriptor: int) -> None:
        change("os.fsync")
        fsync(descriptor)

    os.fsync = counted_fsync


def call(
    arguments: list[str], work: Path, at: int = 0, run: Function = command_line, strike: Strike = killed
) -> tuple[int, str, int]:
    """The command line in a fork, in the folder `work`: how it ended, what it said, its changes; see `watch` for `at`."""
    said, counted = work.with_name("said"), work.with_name("counted")
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.chdir(work)
            for stream in (1, 2):
                os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            sys.stdout, sys.stderr = (open(stream, "w", buffering=1, closefd=False) for stream in (1, 2))  # noqa: SIM115
            tell = os.open(counted, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            watch(work, at, tell, strike)
            run(arguments)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except InputError as error:  # of a function that is called in place of the command line
            print(f"error: {error}", file=sys.stderr)
            code = 2
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 98
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):  # a full disk; the fork must end here, whatever cannot be written
                    stream.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text(errors="replace"), counted.stat().st_size


def content_of(path: Path) -> Any:
    """Every bit; of safetensors not the order in which the head, a hash map of each process, names things."""
    if path.is_dir():
        return "folder"
    if path.suffix != ".safetensors":
        return path.read_bytes()
    with safe_open(path, "np") as tensors:
        return tensors.metadata(), {name: tensors.get_tensor(name).tobytes() for name in tensors.keys()}  # noqa: SIM118


def tree(work: Path) -> dict[str, Any]:
    """Everything in a folder but what need not be the same."""
    return {str(path.relative_to(work)): content_of(path) for path in sorted(work.rglob("*")) if path.name not in UNLIKE}


def mended(arguments: list[str], work: Path, run: Function) -> tuple[int, str]:
    """Run the same command again, and with what it names, if it refuses."""
    if "--force" in arguments and (work / "run.1").exists():  # what was there is aside: the new run is to be gone on with
        code, said, _ = call([*[a for a in arguments if a != "--force"], "--resume"], work)
        if "there is no run to resume" not in said:
            return code, said
    code, said, _ = call(arguments, work, run=run)
    for flag in ("--resume", "--force"):
        if code == 2 and flag in said:
            arguments = [a for a in arguments if a != "--force"]
            code, said, _ = call([*arguments, flag], work)
            break
    return code, said


def fault_of(
    command: Command, ending: int, want: dict, work: Path, make: Callable[[], None], at: int, strike: Strike
) -> str | None:
    """What is wrong after an end at one point, if the undisturbed ended with `ending` and left `want`; None: nothing."""
    make()
    arguments, run = command.arguments, command.function or command_line
    code, said, _ = call(arguments, work, at, run, strike)
    if strike is killed and code != -signal.SIGKILL:
        return f"was not killed, but ended with {code}: {said[-300:]}"
    if strike is disk_full:
        if fault := unlike_full(code, said):
            return fault
        if code == ending and tree(work) == want:  # nothing that it needed room for was left to do
            return None
    code, said = mended(arguments, work, run)
    if code != ending:
        return f"again: {code}: {said[-400:]}"
    found = tree(work)
    lost, more = sorted(want.keys() - found.keys()), sorted(found.keys() - want.keys())
    other = sorted(name for name in want.keys() & found.keys() if want[name] != found[name])
    parts = [f"{what}: {names}" for what, names in (("lost", lost), ("left over", more), ("other", other)) if names]
    return "; ".join(parts) or None


def unlike_full(code: int, said: str) -> str | None:
    """What is wrong with how a command ended when the disk was full; None: nothing. What it can do without may be missing."""
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    if "Traceback" in said or code not in (0, 2, 3):
        return f"full: {code}: {said[-400:]}"
    if code == 2 and not (len(errors) == 1 and len(errors[0]) <= LONGEST and os.strerror(errno.ENOSPC) in errors[0]):
        return f"full: not in one line: {said[-400:]}"
    return None


def in_this_process(function: Callable, shared: Any, items: list, **_: Any) -> Iterator[tuple[int, Any, None]]:
    """An engine without processes."""
    for index, item in enumerate(items):
        yield index, function(shared, item), None


def spread(points: int, tried: int | None) -> list[int]:
    """So many of the numbers from 1 to `points`, evenly; None: all."""
    if tried is None or tried >= points:
        return list(range(1, points + 1))
    return sorted({1 + (2 * number + 1) * points // (2 * tried) for number in range(tried)})


def base_of(command: Command, folder: Path) -> Path:
    """What a command begins with; made once for all commands that begin with the same, and always in `folder / "work"`."""
    done = json.dumps([command.make.__name__, command.before])
    base, work = folder / f"base-{zlib.crc32(done.encode())}", folder / "work"
    if not base.exists():
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        command.make(work)
        (work / "diary.txt").write_text("the user's")
        for before in command.before:
            code, said, _ = call(before, work)
            assert code == 0, said
        work.rename(base)
    return base


def try_command(name: str, folder: Path, tried: int | None, strike: Strike = killed) -> dict[str, Any]:
    """Everything about one command; see `main`."""
    command, work = COMMANDS[name], folder / "work"
    base = base_of(command, folder)

    def make() -> None:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work, symlinks=True)

    make()
    ending, said, points = call(command.arguments, work, run=command.function or command_line)
    assert ending in (0, 3), said
    want = tree(work)
    chosen = spread(points, tried)
    bad = {at: fault for at in chosen if (fault := fault_of(command, ending, want, work, make, at, strike)) is not None}
    return {"command": name, "points": points, "tried": len(chosen), "bad": bad}


def main() -> None:
    strike = disk_full if "--full" in sys.argv else killed
    place, tried, *names = [argument for argument in sys.argv[1:] if argument != "--full"]
    folder = Path(place).resolve()
    for method in METHODS:
        method_class(method)
    assert Run.__init__.__kwdefaults__ is not None
    Run.__init__.__kwdefaults__["save_seconds"] = 0.0  # a run is saved after every step, so that there are points to go on from
    extraction.each = in_this_process  # the deaths of workers are tested where they are
    bad = False
    for name in names or COMMANDS:
        about = try_command(name, folder, None if tried == "all" else int(tried), strike)
        print(json.dumps(about), flush=True)
        bad |= bool(about["bad"])
    sys.exit(bad)


if __name__ == "__main__":
    main()

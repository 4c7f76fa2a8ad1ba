"""What the engines' tests let processes do."""

import os
import signal
import sys
import time
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.engine import progress


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return (os._exit, (9,))


def double(shared, item):
    return shared + 2 * item


def surroundings(_, __):
    """Threads of the products, whether torch is there, and the script that the process runs."""
    return os.environ["OMP_NUM_THREADS"], "torch" in sys.modules, getattr(sys.modules["__main__"], "__file__", None)


def die_of(_, item):
    """Die of what is asked for: a signal, or an exit code in words."""
    if isinstance(item, str):
        os._exit(int(item))
    if item:
        os.kill(os.getpid(), item)
    return "alive"


def stumble(folder: Path, falls: int) -> int:
    """Die as often as asked, then answer how often it was tried."""
    mine = folder / str(falls)
    with mine.open("a") as file:
        file.write("x")
    if mine.stat().st_size <= falls:
        os._exit(3)
    return mine.stat().st_size


def tell_and_sleep(_, item):
    """Say how far it is so many times, a moment apart, then be stuck, if asked to."""
    times, stuck = item
    progress.TELLING = 0
    for i in range(times):
        progress.tell((i + 1) / times)
        time.sleep(0.2)
    while stuck:
        time.sleep(1)
    return times


def half_a_file(folder: Path, name: str) -> None:
    """Write a file that goes if this does, tell that it is there, and never come to an end."""
    file = folder / f"{name}.part"
    try:
        file.write_text("half")
        time.sleep(1000)
    finally:
        file.unlink()


def deaf(folder: Path, name: str) -> None:
    """Be stuck so that not even a signal gets through."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    (folder / name).touch()
    time.sleep(1000)


def refuse(_, item: str) -> None:
    raise InputError(f"{item}: refused")


class Odd(Exception):
    """An error that cannot be pickled back: it wants two arguments and keeps one."""

    def __init__(self, one, two):
        super().__init__(one)


def odd(_, item):
    raise Odd(item, "two")


def print_a_lot(_, item):
    os.write(1, b"from a library\n")
    return item

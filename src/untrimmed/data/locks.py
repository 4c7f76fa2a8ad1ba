"""One lock, for whatever only one process may do in a folder at a time: `.lock`, held until it is released or its process ends."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from untrimmed.console import note
from untrimmed.data.errors import InputError

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}  # some network file systems have none


class Busy(InputError):
    """Another process holds the lock."""


def lock(folder: Path, busy: str = "another process is at work in it", wait: float = 0.0) -> FileLock:
    """Lock a folder that exists; `release()` when done. Where the file system has no locks, that is noted and nothing held.

    Args:
        busy: what is said where another process holds it.
        wait: seconds to wait for that process; negative: for ever.

    Raises:
        Busy: another process holds it. InputError: the folder cannot be written.
    """
    held = FileLock(folder / ".lock", thread_local=False, fallback_to_soft=False, poll_interval=0.02)
    try:
        held.acquire(timeout=wait)
    except Timeout:
        raise Busy(f"{folder}: {busy}") from None
    except (OSError, NotImplementedError) as error:
        if not isinstance(error, NotImplementedError) and error.errno not in NO_LOCKS:
            raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error
        _say_once(folder)
    return held


def hold(descriptor: int, wait: bool = False) -> bool | None:
    """Lock what is open under a descriptor, a file or a folder, for as long as it is open.

    Returns:
        Whether it is locked now; False: another process holds it; None: the file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Within it no other process is within it, for the same folder; nothing is written there. Held for moments only."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        hold(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)


@cache
def _say_once(folder: Path) -> None:
    note(f"warning: {folder}: its file system has no locks; see to it that only one command at a time works in it")

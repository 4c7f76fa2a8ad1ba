"""What a command may write over: a file of its own kind, written before. Anything else at that place is the user's.

A command looks at its targets before any work (`check_output`) and makes room just before it writes (`make_room`).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from untrimmed.console import shortened
from untrimmed.data.errors import InputError
from untrimmed.data.files import check_writable, exists, read_json, set_aside, sweep, target_of


@dataclass(frozen=True)
class Kind:
    """A kind of file that the program writes: what it is called, and how one is told from others."""

    name: str
    ours: Callable[[Path], bool]


def check_output(path: str | Path, kind: Kind, force: bool | None = False) -> None:
    """See, before any work, that a file of a kind can be written; what dead processes left beside it is swept.

    Args:
        force: another file that is there will be renamed (see `make_room`); None: the command does not do that.

    Raises:
        InputError: a file of another kind is there, or none can be made there.
    """
    path = Path(path)
    check_writable(path)
    if not (force or _is_free(path, kind)):
        raise InputError(
            f"{shortened(path)}: exists already and is not {kind.name} that this program wrote; "
            + ("choose another place" if force is None else "choose another `out`, or rename it with `force`")
        )
    target = target_of(path)
    sweep(target.parent, target.name)


def make_room(path: Path, kind: Kind) -> Path | None:
    """Rename what is not of the kind to NAME.1, and return its new place; just before a file is written there."""
    return None if _is_free(path, kind) else set_aside(path)


def _is_free(path: Path, kind: Kind) -> bool:
    if not exists(path) or not path.exists():  # nothing, or a link to nothing
        return True
    try:
        return os.stat(path).st_size == 0 or kind.ours(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _is_json(says: Callable[[object], bool]) -> Callable[[Path], bool]:
    def ours(path: Path) -> bool:
        try:
            return says(read_json(path))
        except InputError:
            return False

    return ours


def _begins(mark: bytes, within: int = 4096) -> Callable[[Path], bool]:
    def ours(path: Path) -> bool:
        with open(path, "rb") as stream:
            return mark in stream.read(within)

    return ours


def _reasons(content: object) -> bool:
    return isinstance(content, dict) and bool(content) and all(isinstance(reason, str) for reason in content.values())


DETECTIONS = Kind(
    "a file of detections",
    _is_json(lambda content: isinstance(content, dict) and isinstance(content.get("untrimmed"), dict) and "results" in content),
)
FAILURES = Kind("a list of what was left out", _is_json(_reasons))
DIAGNOSIS = Kind("a diagnosis", _is_json(lambda content: isinstance(content, dict) and "false_positives" in content))
PAGE = Kind("a page", _begins(b'<meta name="generator" content="untrimmed">'))


def activations_beside(detections: Path) -> Path:
    """Where the activations of a detections file lie: `X.activations` for `X.json`, and for any other name `NAME.activations`."""
    return named_after(detections, ".activations")


def failures_beside(detections: Path) -> Path:
    """Where it is said what was left out of a detections file: `X.failures.json` for `X.json`."""
    return named_after(detections, ".failures.json")


def named_after(detections: Path, ending: str) -> Path:
    """What goes with a detections file: its name without `.json`, which is the only ending that is one, and `ending`."""
    return detections.with_name(f"{detections.name.removesuffix('.json')}{ending}")

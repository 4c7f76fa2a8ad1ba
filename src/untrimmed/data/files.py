"""Files that are replaced whole or not at all, and clear words when one cannot be read or written."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from untrimmed.data.errors import InputError


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` that takes its place when the block ends without an error.

    A reader sees the old file or the new one, never a half; a killed writer leaves the old one.

    Raises:
        InputError: the folder cannot be made or the file cannot be written (no space, not a folder, no permission).
    """
    path = Path(path)
    # The name is known before the file is: a signal that arrives while it is being created must not leave it behind.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.part")
    create = mode.replace("w", "x")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, create, encoding=None if "b" in mode else "utf-8", newline=None if "b" in mode else "") as stream:
            yield stream
        os.replace(temporary, path)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path}: cannot be written: a folder on its way is a file") from error
    except OSError as error:
        # NumPy reports a short write without an error number.
        raise InputError(f"{path}: cannot be written: {error.strerror or f'is the disk full? ({error})'}") from error
    finally:
        with suppress(OSError):  # nothing is left under this name after a write that succeeded
            os.unlink(temporary)


def check_writable(path: str | Path) -> None:
    """See, before long work, that a file can be made at `path`; nothing is written.

    Raises:
        InputError: it is a folder, lies below a file, or its folder may not be written to.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: cannot be written: it is a folder; give the name of a file")
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written: no permission in {folder}")


def write_json(path: str | Path, value: Any, indent: int | None = None) -> None:
    """Write `value` as JSON, atomically; NaN and infinities are refused (ValueError: a bug, not an input)."""
    with atomic_write(path) as stream:
        json.dump(value, stream, indent=indent, allow_nan=False, ensure_ascii=False)
        stream.write("\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it is not there, not UTF-8, not whole JSON, or an object in it has one key twice; the message names the
            line or the key.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        return json.loads(text, object_pairs_hook=_without_doubles)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a JSON file (it is not UTF-8 text)") from error
    except json.JSONDecodeError as error:
        open_end = error.msg.startswith("Unterminated") or (error.msg != "Extra data" and error.pos >= len(text.rstrip()) - 5)
        cut = " (the file seems cut off; make or fetch it again)" if open_end else ""
        raise InputError(f"{path}: not valid JSON at line {error.lineno}: {error.msg}{cut}") from error
    except (ValueError, RecursionError) as error:  # a key twice, a number of thousands of digits, or nested without end
        raise InputError(f"{path}: not usable JSON: {error}") from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {double!r} stands twice in one object; all but one would be lost")
    return made


def set_aside(path: Path) -> Path:
    """Rename an existing file or folder to NAME.1 (or the next free number) and return its new place: nothing is ever deleted."""
    number = 1
    while (old := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    path.rename(old)
    return old

"""Files that are replaced whole or not at all, and clear words when one cannot be read or written."""

import errno
import json
import math
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from untrimmed.console import shortened
from untrimmed.data.errors import InputError
from untrimmed.data.locks import hold

LARGEST_JSON, DEEPEST_JSON = 2**30, 64
"""Bytes of a JSON file, and values within each other in it: more than any dataset needs, and what a machine can hold."""

ESCAPED_HALF = re.compile(r"\\(u|U0000)[dD][89a-fA-F]")
"""An escape that spells half of a character, in JSON or YAML, or with the other half behind it a whole one."""

PART = re.compile(r"\..*\.[0-9a-f]{12}\.part")
"""What a file or folder is called while it is written. Its writer holds a lock on it; one that nobody holds is of a dead one."""


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` that takes its place when the block ends without an error.

    A reader sees the old file or the new one, never a half; a killed writer leaves the old one. A symbolic link stays, and what it
    points to is replaced.

    Raises:
        InputError: `path` is a folder, a device or a pipe, the folder cannot be made, or the file cannot be written (no space, not
            a folder, no permission), or a text in it holds half of a character.
    """
    path = Path(path)
    target = target_of(path)
    # The name is known before the file is: a signal that arrives while it is being created must not leave it behind.
    temporary = beside(target)
    create = mode.replace("w", "x")
    held, done = -1, False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with open(temporary, create, encoding=None if "b" in mode else "utf-8", newline=None if "b" in mode else "") as stream:
                held = os.dup(stream.fileno())  # holds the lock until the file has its name
                hold(held)
                if os.fstat(held).st_nlink == 0:  # swept before it was locked
                    os.close(held)
                    continue
                yield stream
            break
        os.replace(temporary, target)
        done = True
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path}: cannot be written: a folder on its way is a file") from error
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: cannot be written: {_half(error)}") from error
    except OSError as error:
        # NumPy reports a short write without an error number.
        raise InputError(f"{path}: cannot be written: {error.strerror or f'is the disk full? ({error})'}") from error
    finally:
        if not done:
            with suppress(OSError):
                os.unlink(temporary)
        with suppress(OSError):
            os.close(held)


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, to be filled and renamed; what is left of it when the block ends is deleted.

    Raises:
        InputError: it cannot be made.
    """
    temporary = beside(path)
    held = -1
    try:
        while True:
            temporary.mkdir(parents=True)
            with suppress(FileNotFoundError):
                held = os.open(temporary, os.O_RDONLY)
                hold(held)
                if os.fstat(held).st_nlink > 0:
                    break
        yield temporary
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            os.close(held)


def beside(path: Path) -> Path:
    """A name for what will take the place of `path` when it is written; no other process has the same."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.part")


def sweep(folder: Path, name: str = "") -> None:
    """Delete what processes that died were just writing into a folder; only what was to be called `name`, where that is given.

    A process that lives holds a lock on what it writes. Where the file system has no locks, nothing is deleted.
    """
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if PART.fullmatch(entry.name) and entry.name.startswith(f".{name[:40]}") and not entry.is_symlink():
                _sweep_one(entry.path)


def _sweep_one(path: str) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if hold(descriptor):
                shutil.rmtree(path) if stat.S_ISDIR(os.fstat(descriptor).st_mode) else os.unlink(path)
        finally:
            os.close(descriptor)


def target_of(path: Path) -> Path:
    """The file that a write to `path` replaces: what a symbolic link points to.

    Raises:
        InputError: it is a folder, a device or a pipe, or there is no telling what it is.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = stat.S_IFREG
    except (OSError, ValueError) as error:  # too long a name, a loop of links, a folder that may not be entered
        raise InputError(f"{shortened(path)}: cannot be written: {getattr(error, 'strerror', None) or error}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: cannot be written: it is a folder; give the name of a file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: cannot be written: it is a device or a pipe; give the name of a file")
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def check_writable(path: str | Path) -> None:
    """See, before long work, that a file can be made at `path`; nothing is written.

    Raises:
        InputError: it is a folder, a device or a pipe, lies below a file, or its folder may not be written to.
    """
    path = Path(path)
    folder = target_of(path).absolute().parent
    while not exists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written: no permission in {folder}")


def exists(path: str | Path) -> bool:
    """Whether there is something at `path`, be it a link to nothing.

    Raises:
        InputError: there is no telling: too long a name, a folder on its way that may not be entered.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise InputError(f"{shortened(path)}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return True


def write_json(path: str | Path, value: Any, indent: int | None = None) -> None:
    """Write `value` as JSON, atomically; NaN and infinities are refused (ValueError: a bug, not an input)."""
    with atomic_write(path) as stream:
        json.dump(value, stream, indent=indent, allow_nan=False, ensure_ascii=False)
        stream.write("\n")


def write_text(path: str | Path, text: str) -> None:
    """Write a text as UTF-8, atomically."""
    with atomic_write(path) as stream:
        stream.write(text)


def read_text(path: str | Path, most: int = 2**26) -> str:
    """Read a UTF-8 text, with or without a byte-order mark.

    Args:
        most: bytes that such a file may have.

    Raises:
        InputError: it is not there, not a regular file (a pipe could be waited for without end), too large, or not UTF-8.
    """
    path = Path(path)
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            what = os.strerror(errno.EISDIR) if stat.S_ISDIR(about.st_mode) else "not a regular file"
            raise InputError(f"{path}: cannot be read: {what}")
        if about.st_size > most:
            raise InputError(
                f"{path}: expected at most {most // 2**20 or most / 2**20:g} MiB, found {about.st_size / 2**20:.0f} MiB"
            )
        with open(path, encoding="utf-8-sig", newline="") as stream:
            size = os.fstat(stream.fileno()).st_size  # another file than above, where somebody has just put a new one there
            return stream.read(min(most, size + 1))  # Python sets aside as much memory as is asked for
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise InputError(f"{path}: not UTF-8 text; save it as UTF-8") from error
        raise InputError(f"{shortened(path)}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def whole_characters(value: Any) -> Any:
    """The value itself, if every text in it can be written.

    Raises:
        ValueError: one holds half of a character, which an escape such as \\ud800 can spell.
    """
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        raise ValueError(_half(error)) from error
    return value


def _half(error: UnicodeEncodeError) -> str:
    at = error.start
    before = f", behind {error.object[max(0, at - 20) : at]!r}" if at else ""
    return f"half of a character, \\u{ord(error.object[at]):x}{before}"


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it is not there, not UTF-8, not whole JSON, an object in it has one key twice, a text half of a character, or it
            is larger, deeper or has longer numbers than any such file needs; the message names the line or the key.
    """
    try:
        text = read_text(path, LARGEST_JSON)
    except InputError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise InputError(f"{path}: not a JSON file (it is not UTF-8 text)") from error
        raise
    try:
        content = json.loads(text, object_pairs_hook=_without_doubles, parse_int=_whole_number)
        _check_depth(content)
        if ESCAPED_HALF.search(text):
            whole_characters(content)
    except json.JSONDecodeError as error:
        open_end = error.msg.startswith("Unterminated") or (error.msg != "Extra data" and error.pos >= len(text.rstrip()) - 5)
        cut = " (the file seems cut off; make or fetch it again)" if open_end else ""
        raise InputError(f"{path}: not valid JSON at line {error.lineno}: {error.msg}{cut}") from error
    except (ValueError, RecursionError) as error:  # a key twice, thousands of digits, half of a character, nested without end
        raise InputError(f"{path}: not usable JSON: {shortened(error)}") from error
    return content


def _whole_number(text: str) -> int:
    if len(text) > 1000:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _check_depth(content: Any) -> None:
    level, depth = [content], 0
    while level:
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(item, dict | list)
        ]
        depth += 1
        if depth > DEEPEST_JSON:
            raise ValueError(f"more than {DEEPEST_JSON} values within each other")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shortened(repr(double), 60)} stands twice in one object; all but one would be lost")
    return made


def check_movable(path: Path) -> None:
    """Raise InputError where `set_aside` cannot rename a folder, because this process is in it."""
    if path.is_dir() and path.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise InputError(f"{path}: cannot be renamed: it is the folder that you are in; choose another one")


def set_aside(path: Path) -> Path:
    """Rename an existing file or folder to NAME.1 (or the next free number) and return its new place: nothing is ever deleted.

    Raises:
        InputError: it is the folder that this process is in, or one above it, or it cannot be renamed.
    """
    check_movable(path)
    if not path.name or path.name == "..":
        path = path.resolve()
    number = 1
    while exists(old := path.with_name(f"{path.name}.{number}")):
        number += 1
    try:
        path.rename(old)
    except OSError as error:
        raise InputError(f"{path}: cannot be renamed: {error.strerror or error}") from error
    return old


# What a file of ours holds -----------------------------------------------------------------------------------------------------


Shape = Any
"""A type (`str`, `int`, `float`: any finite number, `bool`, `dict`, `list`); None; `[shape]`: a list of such; `{str: shape}`: an
object of such; `{"field": shape}`: an object that has these fields, or may have them where the name ends in `?`; a tuple: one of
these shapes."""

LONGEST = 1000
"""Characters of a text in a field; longer ones are of no use anywhere, and no one could read a line that shows them."""

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object", list: "a list"}


def check_shape(value: Any, shape: Shape, where: str) -> None:
    """See that what was read from a file is of a shape.

    Raises:
        InputError: it is not; the message names the place and what is expected there.
    """
    if isinstance(shape, tuple):
        _check_one_of(value, shape, where)
    elif isinstance(shape, list):
        if not isinstance(value, list | tuple):
            raise _unlike(value, "a list", where)
        for number, item in enumerate(value, 1):
            check_shape(item, shape[0], f"{where}: entry {number}")
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            raise _unlike(value, "an object", where)
        if str in shape:
            for name, item in value.items():
                if not isinstance(name, str):
                    raise _unlike(name, "text as a name", where)
                check_shape(item, shape[str], f"{where}: {shortened(name, 60)}")
            return
        for name, inner in shape.items():
            bare = name.removesuffix("?")
            if bare in value:
                check_shape(value[bare], inner, f"{where}: {bare}")
            elif bare == name:
                raise InputError(f"{where}: the field {bare!r} is missing")
    elif not _is(value, shape):
        raise _unlike(value, "nothing (null)" if shape is None else _WORDS[shape], where)


def _check_one_of(value: Any, shapes: tuple[Shape, ...], where: str) -> None:
    faults = []
    for shape in shapes:
        try:
            return check_shape(value, shape, where)
        except InputError as error:
            faults.append(error)
    raise faults[0]


def _is(value: Any, kind: Any) -> bool:
    if kind is None:
        return value is None
    if kind is str:
        return isinstance(value, str) and len(value) <= LONGEST
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, kind)


def _unlike(value: Any, expected: str, where: str) -> InputError:
    return InputError(f"{where}: expected {expected}, found {shown(value)}")


def shown(value: Any) -> str:
    """A value as a message shows it: short, and what holds others by its kind."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list | tuple) and len(value) <= 3 and len(text := repr(value)) <= 40:
        return text
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    try:
        return shortened(repr(value), 60)
    except ValueError:  # a number of more digits than Python writes
        return f"a {type(value).__name__}"


# Cells of a table: a spreadsheet must not run a label as a formula, and what was written must be read again -------------------

# Some programs take the full-width forms for formulas, too.
_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
_QUOTED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")


def quote_cell(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would take for a formula: one that begins with `= + - @`, a tab or
    a carriage return (or already with such a quoted text, so that `unquote_cell` always gives back what went in)."""
    return f"'{text}" if _FORMULA.match(text) else text


def unquote_cell(cell: str) -> str:
    """Undo `quote_cell`; any other text, such as `'til dawn`, stays as it is."""
    return cell[1:] if _QUOTED.match(cell) else cell

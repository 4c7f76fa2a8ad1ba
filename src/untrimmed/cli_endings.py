"""How a command ends: its exit code, and the one line that says what went wrong or how to go on."""

import os
import re
import sys
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import typer

from untrimmed.console import LONGEST, Terminal, note, shortened, spelled
from untrimmed.data.errors import InputError

DONE, BUG, USER_FAULT, SOME_LEFT_OUT, INTERRUPTED = 0, 1, 2, 3, 130

SAVED, KEPT = ("train", "refine", "recipe"), ("demo", "extract", "compare", "localize", "convert")
"""Commands that go on after Ctrl-C where they were saved, with --resume, and those that skip what is done already."""


def run(app: typer.Typer, arguments: list[str]) -> None:
    """Run a command and leave the program with its exit code.

    Raises:
        SystemExit: always, but for a bug, which is shown whole.
    """
    _mend_streams()
    with spelled(partial(with_flags, app)):
        _run(app, arguments)


def _mend_streams() -> None:
    """A result that was not asked for, a letter that the terminal lacks, or a control character in a name stops no command."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (it stays open)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stdout.isatty():
        terminal: Any = Terminal(sys.stdout)
        sys.stdout = terminal


def _run(app: typer.Typer, arguments: list[str]) -> None:
    try:
        code: Any = app(arguments, standalone_mode=False)
        sys.stdout.flush()
    except InputError as error:
        _say(str(error))
        sys.exit(USER_FAULT)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as in `untrimmed … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(DONE)
    except OSError as error:  # what the machine refuses, such as a folder that one may not enter
        where = "stdout" if error.filename is None else shortened(error.filename)
        if error.filename is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _say(f"{where}: cannot be read or written: {error.strerror or error}")
        sys.exit(USER_FAULT)
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):  # how typer takes it
            raise
        sys.exit(DONE)
    except Exception as error:
        if _is_memory(error):
            _say("not enough memory; try fewer `workers`, or settings that look at less at a time")
            sys.exit(USER_FAULT)
        if not hasattr(error, "format_message"):  # not click's: a bug, shown whole
            raise
        if type(error).__name__ == "NoArgsIsHelpError":  # no command: the help, as it is
            note(error.format_message())
            sys.exit(USER_FAULT)
        hint = ""
        if (context := getattr(error, "ctx", None)) is not None:
            hint = f" (see {context.command_path} --help)"
        _say(f"{error.format_message().replace('Value error, ', '')}{hint}")
        sys.exit(USER_FAULT)
    if code == INTERRUPTED:  # typer turns a KeyboardInterrupt into this
        with suppress(KeyboardInterrupt):  # of an impatient second Ctrl-C
            note("interrupted" + _how_to_go_on(arguments))
    sys.exit(code if isinstance(code, int) else DONE)


def _is_memory(error: Exception) -> bool:
    """Whether the machine has no more memory, which torch says in its own way."""
    return isinstance(error, MemoryError) or (type(error) is RuntimeError and "allocate memory" in str(error))


def _how_to_go_on(arguments: list[str]) -> str:
    """What to type after Ctrl-C, where a command keeps what it has done."""
    if arguments[:1] and arguments[0] in (*SAVED, *KEPT):
        out = dict(zip(arguments, arguments[1:])).get("--out", "")
        begun = Path(out) / ("data" if arguments[0] == "recipe" else "config.yaml")
        resumes = arguments[0] in SAVED and "--resume" not in arguments and begun.exists()
        return f"; to go on, run the same command {'with --resume' if resumes else 'again'}"
    return ""


def _say(message: str) -> None:
    note(shortened("error: " + " ".join(message.split()), LONGEST))


def with_flags(app: typer.Typer, text: str) -> str:
    """A message as the command line puts it: parameters, which functions name in backticks, become options (`trimmed_labels`:
    --trimmed-labels); other single words lose their backticks."""
    return re.sub(r"`(\w+)`", lambda name: _flags(app).get(name[1], name[1]), text)


@cache
def _flags(app: typer.Typer) -> dict[str, str]:
    """The option of each parameter, of whatever command."""
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    options = [parameter for command in commands for parameter in command.params if parameter.opts[0].startswith("--")]
    flags = {str(option.name).rstrip("_"): option.opts[0] for option in options}
    return flags | {"settings": "--set"}

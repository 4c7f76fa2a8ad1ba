"""The one exception that means "the user's input is at fault"."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Something the user gave is wrong: the message says in one line what, where, and how to mend it.

    The command line prints it and exits with 2; nothing has been written.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: `; did you mean 'x'?`, or nothing where no known name is alike."""
    names = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), list(names), n=1)
    return f"; did you mean {names[close[0]]!r}?" if close else ""

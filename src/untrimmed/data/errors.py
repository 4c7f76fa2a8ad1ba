"""The one exception that means "the user's input is at fault"."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Something the user gave is wrong: the message says in one line what, where, and how to mend it.

    The command line prints it and exits with 2; nothing has been written.
    """


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like another, upper or lower case alike; None where none is alike."""
    names = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold()[:200], list(names), n=1)  # its time grows with the square of the length
    return names[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The end of a message about an unknown name: `; did you mean 'x'?`, or `otherwise` where no known name is alike."""
    near = nearest(name, known)
    return otherwise if near is None else f"; did you mean {near!r}?"

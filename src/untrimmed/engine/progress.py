"""How far an item is: told by the function that works at it, heard by whoever waits for it."""

import time
from collections.abc import Callable

TELLING = 1.0  # seconds at least between two words

_listener: Callable[[float], None] | None = None
_told = 0.0


def tell(share: float) -> None:
    """Say how much of the item under way is done, 0..1; may be called as often as one likes, and anywhere."""
    global _told
    if _listener is not None and time.monotonic() - _told >= TELLING:
        _told = time.monotonic()
        _listener(min(share, 0.99))  # the result says when it is done


def listen(listener: Callable[[float], None] | None) -> None:
    """Let a listener hear of the item that begins now in this process."""
    global _listener
    _listener = listener

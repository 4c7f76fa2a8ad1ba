"""Where a network computes, and with how many threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from untrimmed.data.errors import InputError


def check_device(device: str) -> None:
    """Raise InputError for a device that is not there."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise InputError(f"`device` {device}: no such device; use cpu or cuda") from None
    if kind not in ("cpu", "cuda"):
        raise InputError(f"`device` {device}: use cpu or cuda")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"`device` {device}: torch sees no GPU here; use `device` cpu")
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise InputError(f"`device` {device}: there are only {torch.cuda.device_count()} GPU(s), counted from cuda:0")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let products take one thread for a while: with more, they wait for each other at every step, the longer the busier the cores
    are, and the last bits of results depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)

"""The engines by name, and what they have in common."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from untrimmed.data.errors import InputError

ENGINES = ("local", "ray")
RETRIES = 2
"""Of an item whose machine may die, on a cluster. On this machine what crashes once will do so again."""

Done = tuple[int, Any, str | None]
"""An item's index, the function's result or None, and how its process ended where there is none, such as "crashed (SIGSEGV)"."""


class Each(Protocol):
    """What an engine does: call `function(shared, item)` for each item, each in one process of one thread.

    Yields the items as they are done, in any order. An item whose process or machine dies is tried again `retries` times; then
    that is its reason. What the function itself raises is raised here. Closing the iterator, Ctrl-C too, ends what is under way.

    Args:
        function: importable by name; called with one thread for its products. It may say how far it is: `engine.progress.tell`.
        shared: what all items need; sent once to each process.
        timeout: seconds after which an item is given up, counted from its beginning or from when it last told how far it is.
        under_way: called with an item's index and how much of it is done, 0..1, while others are waited for.
    """

    def __call__(
        self,
        function: Callable[[Any, Any], Any],
        shared: Any,
        items: Sequence[Any],
        *,
        retries: int = 0,
        timeout: float | None = None,
        under_way: Callable[[int, float], None] = lambda index, share: None,
    ) -> Iterator[Done]: ...


def check_engine(engine: str) -> None:
    """Raise InputError for an engine that does not exist, or is not installed."""
    if engine not in ENGINES:
        raise InputError(f"engine: expected {' or '.join(ENGINES)}, not {engine!r}")
    if engine == "ray":
        from untrimmed.engine.ray import check_installed

        check_installed()


def opened(engine: str, workers: int | None = None, gpu_share: float = 0.0) -> AbstractContextManager[Each]:
    """An engine for several rounds of work: its processes stay until the context ends.

    Args:
        workers: processes; on Ray tasks at a time. None: one per core, on Ray as many as the cluster has cores.
        gpu_share: on Ray, how much of a GPU each task takes.

    Raises:
        InputError: there is no such engine, or no cluster can be reached or started.
    """
    check_engine(engine)
    if engine == "ray":
        from untrimmed.engine.ray import Cluster

        return Cluster(workers, gpu_share)
    from untrimmed.engine.local import Pool

    return Pool(workers)


def each(
    function: Callable[[Any, Any], Any],
    shared: Any,
    items: Sequence[Any],
    *,
    engine: str = "local",
    workers: int | None = None,
    gpu_share: float = 0.0,
    **more: Any,
) -> Iterator[Done]:
    """One round of work on an engine: see `opened` for the engine, and `Each` for the rest."""
    if not items:
        return
    with opened(engine, workers, gpu_share) as run:
        yield from run(function, shared, items, **more)

"""Work on many machines: one function, called once per video as a task of a Ray cluster."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from untrimmed.console import note
from untrimmed.data.errors import InputError

RETRIES = 2  # of a task whose process or machine died; what a function raises is not tried again
ENGINES = ("local", "ray")


def check_engine(engine: str) -> None:
    """Raise InputError for an engine that does not exist, or is not installed."""
    if engine not in ENGINES:
        raise InputError(f"engine: expected {' or '.join(ENGINES)}, not {engine!r}")
    if engine == "ray":
        try:
            import ray  # noqa: F401
        except ImportError as error:
            raise InputError("--engine ray needs Ray: pip install 'untrimmed[ray]'") from error


def on_ray(
    function: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any], gpu_share: float = 0.0
) -> Iterator[tuple[int, Any, str | None]]:
    """Call `function(shared, item)` for each item, on one CPU each: yields (index, result, None) as they are ready, in any order.

    The cluster is that of RAY_ADDRESS, or the one that the caller has joined; without either one is started on this machine, and
    stopped at the end. A task whose process or machine dies is tried again elsewhere, RETRIES times; then (index, None, the
    reason) is yielded. What the function itself raises is raised here. Closing the iterator ends the tasks.

    Args:
        function: importable on all machines.
        shared: sent once, not once per item.
        gpu_share: of a GPU, for each task.
    """
    import ray

    own = not ray.is_initialized()
    if own:
        try:
            ray.init(
                include_dashboard=None if "RAY_ADDRESS" in os.environ else False, logging_level=logging.ERROR, log_to_driver=False
            )
        except Exception as error:
            raise InputError(f"Ray: no cluster can be reached or started ({' '.join(str(error).split())[:300]})") from error
    nodes = [node for node in ray.nodes() if node["Alive"]]
    note(f"Ray: {len(nodes)} machine(s) with {ray.cluster_resources().get('CPU', 0):.0f} cores")
    waiting: dict[Any, int] = {}
    try:
        task = ray.remote(num_cpus=1, num_gpus=gpu_share, max_retries=RETRIES)(function)
        sent = ray.put(shared)
        waiting = {task.remote(sent, item): i for i, item in enumerate(items)}
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            i = waiting.pop(ready)
            try:
                yield i, ray.get(ready), None
            except ray.exceptions.RayTaskError as error:
                raise (error.cause if isinstance(error.cause, Exception) else error) from None
            except ray.exceptions.RayError as error:
                yield i, None, f"its process died {RETRIES + 1} times ({type(error).__name__})"
    finally:
        for left in waiting:
            with suppress(Exception):
                ray.cancel(left, force=True)
        if own:
            ray.shutdown()

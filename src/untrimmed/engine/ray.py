"""Work on many machines: one function, called once per video as a task of Ray Data on a Ray cluster."""

import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from untrimmed.console import note
from untrimmed.data.errors import InputError

RETRIES = 2  # of a task whose process or machine died; what a function raises is not tried again
ENGINES = ("local", "ray")
PATIENCE = 10.0  # seconds in which a cluster must answer at all


def check_engine(engine: str) -> None:
    """Raise InputError for an engine that does not exist, or is not installed."""
    if engine not in ENGINES:
        raise InputError(f"engine: expected {' or '.join(ENGINES)}, not {engine!r}")
    if engine == "ray":
        try:
            import pandas  # noqa: F401
            import pyarrow  # noqa: F401
            import ray  # noqa: F401
        except ImportError as error:
            raise InputError(f"--engine ray needs Ray Data: pip install 'untrimmed[ray]' ({error})") from error


def on_ray(
    function: Callable[[Any, Any], Any],
    shared: Any,
    items: Sequence[Any],
    gpu_share: float = 0.0,
    at_once: int | None = None,
) -> Iterator[tuple[int, Any, str | None]]:
    """Call `function(shared, item)` for each item, on one core each: yields (index, result, None) as they are ready, in any order.

    The cluster is the one that the caller has joined, or that RAY_ADDRESS names, or that runs on this machine; where there is none,
    one is started here, and stopped at the end. A task whose process or machine dies is tried again, RETRIES times; then (index,
    None, the reason) is yielded. What the function itself raises is raised here. Closing the iterator ends all tasks.

    Args:
        function: importable on all machines.
        shared: sent once, not once per item.
        gpu_share: of a GPU, for each task.
        at_once: at most so many tasks at a time; else as many as the cluster has cores.

    Raises:
        InputError: no cluster can be reached or started, it has no GPU where one is needed, or its machines lack a module.
    """
    import ray
    import ray.data
    from ray import cloudpickle

    if not items:
        return
    own = not ray.is_initialized()
    if own:
        _join()
    rows = None
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        there = ray.cluster_resources()
        note(f"Ray: {len(nodes)} machine(s) with {there.get('CPU', 0):.0f} cores")
        if gpu_share and not there.get("GPU"):
            raise InputError("--device cuda: no machine of the Ray cluster has a GPU; use --device cpu")
        work = ray.put(cloudpickle.dumps((function, shared)))

        # What is defined here is pickled as a whole, so that it runs, and can say what is wrong, where untrimmed is missing.
        class Tries:
            def __init__(self) -> None:
                self.counts: Counter[int] = Counter()

            def one_more(self, place: int) -> int:
                self.counts[place] += 1
                return self.counts[place]

        tries: Any = ray.remote(num_cpus=0, max_restarts=-1)(Tries).remote()  # since Ray Data itself tries again for ever

        def call(row: dict[str, Any]) -> dict[str, Any]:
            place, result, error = row["place"], None, None
            lost = ray.get(tries.one_more.remote(place)) > RETRIES + 1
            try:
                if not lost:
                    called, given = cloudpickle.loads(ray.get(work))
                    result = called(given, cloudpickle.loads(row["item"]))
            except Exception as raised:
                error = raised
            return {"place": place, "answer": cloudpickle.dumps((result, error, lost))}

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        packed = [{"place": i, "item": cloudpickle.dumps(item)} for i, item in enumerate(items)]
        data = ray.data.from_items(packed, override_num_blocks=len(packed))  # a block, and so a task, for each
        data.context.enable_progress_bars = False
        rows = iter(data.map(call, num_cpus=1, num_gpus=gpu_share or None, concurrency=at_once).iter_rows())
        for row in rows:
            result, error, lost = cloudpickle.loads(row["answer"])
            if isinstance(error, ModuleNotFoundError):
                raise InputError(f"Ray: a machine of the cluster lacks what this one has: {error}") from error
            if error is not None:
                raise error
            yield row["place"], result, f"its process or its machine died {RETRIES + 1} times" if lost else None
    finally:
        del rows  # ends what is under way
        if own:
            ray.shutdown()


def _join() -> None:
    """Join the cluster that RAY_ADDRESS names or that runs on this machine, or start one."""
    import ray

    address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        if host and port.isdigit() and not os.environ.get("RAY_USE_TLS"):  # Ray itself goes on trying for many minutes
            _greet(host, int(port))
        ray.init(include_dashboard=None if address else False, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:
        named = f" at RAY_ADDRESS={address}" if address else ""
        raise InputError(f"Ray: no cluster can be reached or started{named} ({' '.join(str(error).split())[:300]})") from error


def _greet(host: str, port: int) -> None:
    """Raise OSError for an address at which nothing answers, or something that does not speak HTTP/2 as all of Ray's servers do."""
    with socket.create_connection((host, port), timeout=PATIENCE) as line:
        line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))  # its opening, and no settings
        if line.recv(9)[3:4] != b"\x04":  # it tells its own settings first
            raise ConnectionError("what answers there is not Ray")

"""Tasks of Ray Data on a Ray cluster: the same work on many machines."""

import logging
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from typing import Any

from untrimmed.console import note
from untrimmed.data.errors import InputError

PATIENCE = 10.0  # seconds in which a cluster must answer at all
LISTENING = 1.0  # seconds between two looks at how far the tasks are


def check_installed() -> None:
    """Raise InputError where Ray Data is not installed."""
    try:
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401
        import ray  # noqa: F401
    except ImportError as error:
        raise InputError(f"engine ray needs Ray Data: pip install 'untrimmed[ray]' ({error})") from error


class Cluster:
    """The Ray cluster that the caller has joined, or that RAY_ADDRESS names, or that runs on this machine; where there is none, one
    is started here, and stopped when the context ends. Called, it is an `engine.Each`, of one core an item.

    Args:
        at_once: at most so many tasks at a time; None: as many as the cluster has cores.
        gpu_share: of a GPU, for each task.

    Raises:
        InputError: no cluster can be reached or started, or it has no GPU where one is needed.
    """

    def __init__(self, at_once: int | None = None, gpu_share: float = 0.0) -> None:
        self.at_once, self.gpu_share, self.joined = at_once, gpu_share, False
        self.quiet = redirect_stdout(sys.stderr)  # Ray itself says on stdout that a machine was lost

    def __enter__(self) -> "Cluster":
        import ray

        if not ray.is_initialized():
            _join()
            self.joined = True
        machines = sum(bool(node["Alive"]) for node in ray.nodes())
        resources = ray.cluster_resources()
        note(f"Ray: {machines} machine(s) with {resources.get('CPU', 0):.0f} cores")
        self.quiet.__enter__()
        if self.gpu_share and not resources.get("GPU"):
            self.__exit__()
            raise InputError("device cuda: no machine of the Ray cluster has a GPU; use cpu")
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        self.quiet.__exit__(None, None, None)
        if self.joined:
            ray.shutdown()

    def __call__(
        self,
        function: Callable[[Any, Any], Any],
        shared: Any,
        items: Sequence[Any],
        *,
        retries: int = 0,
        timeout: float | None = None,
        under_way: Callable[[int, float], None] = lambda index, share: None,
    ) -> Iterator[tuple[int, Any, str | None]]:
        import ray
        import ray.data
        from ray import cloudpickle
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if not items:
            return
        work = ray.put(cloudpickle.dumps((function, shared)))
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)  # the one machine that must live
        watch: Any = ray.remote(num_cpus=0, scheduling_strategy=here)(_watch()).remote(retries)
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        packed = [{"index": i, "item": cloudpickle.dumps(item)} for i, item in enumerate(items)]
        data = ray.data.from_items(packed, override_num_blocks=len(packed))  # a block, and so a task, for each
        data.context.enable_progress_bars = False
        call = _called(work, watch, timeout)
        rows = iter(data.map(call, num_cpus=1, num_gpus=self.gpu_share or None, concurrency=self.at_once).iter_rows())
        ended = threading.Event()

        def listen() -> None:
            while not ended.wait(LISTENING):
                for index, share in ray.get(watch.shares.remote()).items():
                    under_way(index, share)

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        try:
            for row in rows:
                result, error, lost = cloudpickle.loads(row["answer"])
                if isinstance(error, ModuleNotFoundError):
                    raise InputError(f"Ray: a machine of the cluster lacks what this one has: {error}") from error
                if error is not None:
                    raise error
                yield row["index"], result, lost
        finally:
            ended.set()
            listening.join(PATIENCE)
            del rows  # ends what is under way


# What these functions define is pickled as a whole, so that it runs, and can say what is wrong, where untrimmed is missing.


def _watch() -> type:
    """The actor that counts tries, since Ray Data itself tries again for ever, and that hears how far the items are."""

    class Watch:
        def __init__(self, retries: int) -> None:
            self.retries = retries
            self.tries: Counter[int] = Counter()
            self.lost: dict[int, str] = {}
            self.told: dict[int, float] = {}

        def one_more(self, index: int) -> str | None:
            """Another try begins; why it should not, if it should not."""
            self.tries[index] += 1
            if index not in self.lost and self.tries[index] > self.retries + 1:
                self.lost[index] = f"died {self.retries + 1} times, or its machine did"
            return self.lost.get(index)

        def give_up(self, index: int, reason: str) -> None:
            self.lost[index] = reason

        def tell(self, index: int, share: float) -> None:
            self.told[index] = share

        def shares(self) -> dict[int, float]:
            told, self.told = self.told, {}
            return told

    return Watch


def _called(work: Any, watch: Any, timeout: float | None) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The function of a row of Ray Data: it does the work on an item, unless that was tried often enough."""

    def call(row: dict[str, Any]) -> dict[str, Any]:
        import ray
        from ray import cloudpickle

        index, result, error = row["index"], None, None
        lost = ray.get(watch.one_more.remote(index))
        done, heard = threading.Event(), [time.monotonic()]

        def tell(share: float) -> None:
            heard[0] = time.monotonic()
            watch.tell.remote(index, share)

        def give_up(after: float) -> None:
            while not done.wait(max(0.0, heard[0] + after - time.monotonic())):
                if time.monotonic() - heard[0] >= after:
                    ray.get(watch.give_up.remote(index, f"gave no sign of life for {after:g} s"))
                    os._exit(1)

        try:
            if lost is None:
                called, shared = cloudpickle.loads(ray.get(work))
                from untrimmed.engine.progress import listen

                listen(tell)
                if timeout is not None:
                    threading.Thread(target=give_up, args=(timeout,), daemon=True).start()
                result = called(shared, cloudpickle.loads(row["item"]))
        except Exception as raised:
            error = raised
        finally:
            done.set()
        return {"index": index, "answer": cloudpickle.dumps((result, error, lost))}

    return call


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

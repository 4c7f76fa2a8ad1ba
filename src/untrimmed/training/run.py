"""A run: one folder that holds all of a training, and that a killed training goes on from, bit for bit on CPU.

config.yaml          every resolved value
environment.json     versions, threads, seed, data hashes, selection rule, training videos
metrics.jsonl        what was logged, a line each, with the loop position
rounds/NN/           clusters.csv, of an unlabelled run
checkpoints/         one file per loop, and what `once` computed
model/               weights.safetensors and model.json, when finished
.lock                held while a process trains
"""

import hashlib
import json
import math
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from untrimmed.console import progress, progress_within, shortened
from untrimmed.data.clusters import Clusters, clusters_file, write_held
from untrimmed.data.errors import InputError
from untrimmed.data.files import PART, atomic_write, check_shape, exists, read_json, set_aside, sweep, write_json
from untrimmed.data.locks import lock
from untrimmed.data.run_files import RunFiles
from untrimmed.data.yaml_files import read_yaml, write_yaml
from untrimmed.engine.local import Pool
from untrimmed.engine.progress import tell
from untrimmed.stages import Counts, merge, stage, take

BUSY = "another process is training in it"


def claim(folder: Path, *, resume: bool = False, force: bool = False) -> None:
    """Check that a run may be made (or with `resume` resumed) in a folder, before anything costly begins.

    A folder that holds nothing but a cache of features, or a run that was killed before anything was learned, is free.

    Raises:
        InputError: it holds something else (and `force`, which renames it, is not given), or there is no run to resume.
    """
    is_run = exists(folder / "config.yaml")
    if resume:
        if not (is_run or _was_beginning(folder)):
            raise InputError(f"{folder}: there is no run to resume")
        return
    if not exists(folder) or (folder.is_dir() and (_was_beginning(folder) or all(map(_of_cache, folder.iterdir())))):
        return
    if not force:
        hint = "`resume` continues it, `force` renames it first" if is_run else "`force` renames it first"
        raise InputError(f"{folder}: already exists; {hint}")
    if is_run:
        lock(folder, BUSY).release()  # a folder that is trained in must not be pulled away
    set_aside(folder)


def _of_cache(child: Path) -> bool:
    """Whether it is a cache of features, or one that was renamed because it was made with other settings."""
    return re.fullmatch(r"features(\.\d+)?", child.name) is not None


def _was_beginning(folder: Path, besides: Set[str] = frozenset()) -> bool:
    """Whether a run was killed there before its `config.yaml` (or what else is `besides`) was written: nothing has been learned."""
    try:
        others = {child.name for child in folder.iterdir() if not (_of_cache(child) or PART.fullmatch(child.name))}
        return "checkpoints" in others <= {".lock", "checkpoints", "environment.json", *besides} and not any(
            (folder / "checkpoints").iterdir()
        )
    except OSError:
        return False


class Run:
    """Loops that resume, random streams that do not disturb each other, and a log.

    A method's `fit` is written as if nothing could interrupt it:

        for epoch in run.loop("rgb", epochs, net=net, optimizer=optimizer):
            rng = run.rng("batches")
            ...
            run.log(loss=loss)

    Everything that a loop changes must be named in it. Whatever is drawn must come from `rng` or `torch_rng`, which depend only
    on the seed, their name and the loop position: so a resumed run draws what the killed one would have drawn, and switching
    one part of a method off leaves the others' draws as they were.
    """

    def __init__(
        self,
        folder: str | Path,
        config: dict[str, Any],
        environment: dict[str, Any],
        *,
        seed: int = 0,
        device: str = "cpu",
        resume: bool = False,
        save_seconds: float = 10.0,
        processes: int = 1,
    ) -> None:
        """Open the folder of a new run (see `claim`), or with `resume` that of a killed one; see `side_by_side` for processes.

        Raises:
            InputError: another process trains in it, it cannot be written, or it is resumed with other settings or data; what
                differs is named.
        """
        self.folder, self.seed, self.device, self.save_seconds = Path(folder), seed, torch.device(device), save_seconds
        self.processes = processes
        self._pool: Pool | None = None  # once something is learned side by side
        self._position: list[tuple[str, int]] = []
        self._part: tuple[str, int] | None = None  # what is learned, of several things side by side, and at which depth of loops
        self._showing = False
        self._logged: Counter[tuple] = Counter()
        try:
            (self.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written: {error.strerror or error}") from error
        self._lock = lock(self.folder, BUSY)
        self._log_file = self.folder / "metrics.jsonl"
        self._inode = os.stat(self.folder).st_ino
        try:
            self._sweep()
            if resume and not _was_beginning(self.folder):
                self._check_same(config, environment)
                if not RunFiles(self.folder).is_finished:  # else the last lines are of no loop that will be gone through again
                    self._cut_log()
            else:
                if exists(self.folder / "config.yaml"):  # made since `claim` looked
                    raise InputError(f"{self.folder}: already exists; `resume` continues it, `force` renames it first")
                write_json(self.folder / "environment.json", environment, indent=1)
                write_yaml(self.folder / "config.yaml", config)  # last: its presence means "a run"
        except BaseException:
            self.close()
            raise

    def forget(self) -> None:
        """Remove what stands in the folder of a run in which nothing has been learned yet, so that the folder is free again."""
        if not _was_beginning(self.folder, {"config.yaml"}):
            return
        for name in ("config.yaml", "environment.json", ".lock"):
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / "checkpoints").rmdir()
        if not any(self.folder.iterdir()):  # else a cache of features
            self.folder.rmdir()

    def check_there(self) -> None:
        """See that the folder is still the one that the run was begun in: what was deleted must not be made again in part.

        Raises:
            InputError: it is not.
        """
        try:
            there = os.stat(self.folder).st_ino == self._inode
        except OSError:
            there = False
        if not there:
            raise InputError(f"{self.folder}: was deleted or replaced while it was trained in; train again")

    def _sweep(self) -> None:
        """Take away what a killed process was just writing."""
        for folder, inside, _ in os.walk(self.folder):
            inside[:] = [name for name in inside if not name.startswith("features")]
            sweep(Path(folder))

    def close(self) -> None:
        """Let another process have the folder."""
        if self._pool is not None:
            self._pool.close()
        self._lock.release()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What a method's fit uses ------------------------------------------------------------------------------------------------

    def loop(self, name: str, n: int, **stateful: Any) -> Iterator[int]:
        """`range(n)` that goes on where a killed run was last saved, with the state that was saved.

        Loops may be nested; an inner loop starts anew in each turn of the outer one.

        Args:
            stateful: all that the loop changes, by name: modules, optimizers, anything with `state_dict` and
                `load_state_dict`. Saved at most every `save_seconds`, and at the end.
        """
        of_part = self._part is not None and len(self._position) == self._part[1]
        if self._part is not None and of_part and name != self._part[0]:
            raise ValueError(f"the loop of the part {self._part[0]!r} must have its name, not {name!r}")
        file = self._file(name)
        start = self._load(file, stateful) if file.exists() else 0
        for turn in file.with_suffix("").glob("[0-9]*"):
            if int(turn.name) < start:  # over, but the process died between the save and the removal of its inner loops
                shutil.rmtree(turn, ignore_errors=True)
        last_save = time.monotonic()
        with ExitStack() as stack:
            advance, unit = None, "rounds" if name in ("round", "relabel") else "epochs"
            if not self._showing:
                advance, self._showing = stack.enter_context(progress(f"training: {name}", n, start, unit)), True
                stack.callback(setattr, self, "_showing", False)
            for index in range(start, n):
                self._position.append((name, index))
                try:
                    with stage(f"train: {name}"):
                        yield index
                finally:
                    self._position.pop()
                if advance:
                    advance()
                if of_part:
                    tell((index + 1) / n)
                if index + 1 == n or time.monotonic() - last_save >= self.save_seconds:
                    self._save(file, index + 1, stateful)
                    last_save = time.monotonic()
                    shutil.rmtree(file.with_suffix(""), ignore_errors=True)  # inner loops of turns that are over

    def side_by_side(self, parts: nn.ModuleDict, learn: Callable[..., None], *given: Any) -> None:
        """Call `learn(name, *given, run)` for each part, which trains that module and nothing else.

        With `processes` the parts are learned side by side, on a CPU. Weights, checkpoints and log are in every bit those of one
        process that learns one after the other; so a run may go on with more or fewer processes than it was begun with.

        Args:
            learn: a method or function of a module that can be imported; the one loop in which it learns, and logs, has the name
                of its part. It and what it is given must be such as can be pickled.

        Raises:
            InputError: a training diverges, or its process dies.
        """
        importable = getattr(learn, "__module__", None) != "__main__"
        if min(self.processes, len(parts)) > 1 and self.device.type == "cpu" and importable:
            self._in_processes(parts, learn, given)
        else:
            for name in parts:
                with self._learning(name):
                    learn(name, *given, self)
        self._sort_log(list(parts))

    def once(self, name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Arrays that are computed once at this loop position and kept: a resumed run reads them instead."""
        file = self._file(f"once-{name}")
        if file.exists():
            with _opened(file, "np") as content:
                return {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118 (not a mapping)
        arrays = {key: np.ascontiguousarray(value) for key, value in make().items()}
        with atomic_write(file, "wb") as stream:
            stream.write(save({key: torch.from_numpy(value) for key, value in arrays.items()}))
        return arrays

    def rng(self, name: str, *key: int) -> np.random.Generator:
        """A NumPy random stream of the seed, its name and the loop position (or of `key` in its place)."""
        return np.random.default_rng(self._entropy(name, key))

    def torch_rng(self, name: str, *key: int) -> torch.Generator:
        """The same for torch, on the CPU, so that a GPU run draws the same numbers."""
        state = np.random.SeedSequence(self._entropy(name, key)).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state >> np.uint64(1)))

    @contextmanager
    def seeded(self, name: str) -> Iterator[None]:
        """Make torch's global random numbers (module initialization) those of `torch_rng(name)` for a while."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.torch_rng(name).initial_seed())
            yield

    def log(self, **values: float) -> None:
        """Append a line to metrics.jsonl.

        Raises:
            InputError: a value is not finite: the training has diverged; or the file cannot be written.
        """
        for name, value in values.items():
            if not math.isfinite(value):
                where = ", ".join(f"{loop} {index}" for loop, index in self._position)
                what = f"{name} is {value} at {where}"
                raise InputError(f"{self.folder}: training diverged ({what}); try a lower learning_rate, and `force`")
        if self._part is not None and len(self._position) == self._part[1]:
            raise ValueError(f"what the part {self._part[0]!r} logs must be logged in its loop")
        line = {**dict(self._position), **{name: round(float(value), 7) for name, value in values.items()}}
        if self._logged[_place(line)] > 0:  # what a resumed run does again, because it stood before an inner loop that was saved
            self._logged[_place(line)] -= 1
            return
        try:
            with open(self._log_file, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        except OSError as error:
            self.check_there()
            raise InputError(f"{self._log_file}: cannot be written: {error.strerror or error}") from error

    def keep_clusters(self, number: int, held: Clusters) -> None:
        """Write `rounds/NN/clusters.csv` of round `number`, counted from 0: the clusters of each training video."""
        write_held(clusters_file(self.folder, number), held)

    def _in_processes(self, parts: nn.ModuleDict, learn: Callable[..., None], given: tuple) -> None:
        names, shared = list(parts), (parts, learn, given, self)
        self._pool = self._pool or Pool(self.processes)
        with ExitStack() as stack:
            at = None
            if not self._showing:
                at = stack.enter_context(progress_within(f"training: {' and '.join(names)}", dict.fromkeys(names, 1.0), "streams"))

            def under_way(index: int, share: float) -> None:
                if at:
                    at(names[index], share)

            for index, learned, ending in self._pool(_learn_part, shared, names, under_way=under_way):
                if ending is not None:
                    raise InputError(f"{self.folder}: the process that learned {names[index]} {ending}; `resume` goes on with it")
                state, counts = learned
                merge(counts)
                parts[names[index]].load_state_dict(state)
                under_way(index, 1.0)

    @contextmanager
    def _learning(self, part: str) -> Iterator[None]:
        self._part = part, len(self._position)
        try:
            yield
        finally:
            self._part = None

    def __getstate__(self) -> dict[str, Any]:
        """The run as another process knows it, which learns a part of it under this one's lock and is silent."""
        return self.__dict__ | {"_lock": None, "_pool": None, "_showing": True, "processes": 1}

    # How it is kept ----------------------------------------------------------------------------------------------------------

    def _entropy(self, name: str, key: tuple[int, ...]) -> list[int]:
        place = key or tuple(part for loop, index in self._position for part in (_number(loop), index))
        return [self.seed, _number(name), *place]

    def _file(self, name: str) -> Path:
        folder = self.folder / "checkpoints"
        for loop, index in self._position:
            folder = folder / loop / str(index)
        return folder / f"{name}.safetensors"

    def _save(self, file: Path, position: int, stateful: dict[str, Any]) -> None:
        self.check_there()
        tensors: dict[str, torch.Tensor] = {}
        state = {name: _flatten(thing.state_dict(), tensors, name) for name, thing in stateful.items()}
        log_size = self._log_file.stat().st_size if self._log_file.exists() else 0
        metadata = {"position": str(position), "log_size": str(log_size), "state": json.dumps(state)}
        try:
            with atomic_write(file, "wb") as stream:
                stream.write(save(tensors, metadata))
        except InputError:
            self.check_there()
            raise

    def _load(self, file: Path, stateful: dict[str, Any]) -> int:
        with _opened(file, "pt") as content:
            try:
                metadata = content.metadata()
                state = json.loads(metadata["state"])
                for name, thing in stateful.items():
                    thing.load_state_dict(_unflatten(state[name], content))
                return int(metadata["position"])
            except (SafetensorError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
                raise _damaged(file, error) from error

    def _check_same(self, config: dict[str, Any], environment: dict[str, Any]) -> None:
        earlier = _read_yaml(self.folder / "config.yaml")
        if not isinstance(earlier, dict):
            raise InputError(f"{self.folder / 'config.yaml'}: damaged (not as a run writes it); begin with `force`")
        if differences := list(_differences(earlier, config)):
            raise InputError(f"{self.folder}: cannot resume with other settings: {shortened('; '.join(differences), 200)}")
        before = read_json(self.folder / "environment.json")
        check_shape(before, {"classes?": ([str], None), "data?": (dict, None)}, str(self.folder / "environment.json"))
        then, now = (len(about.get("classes") or ()) for about in (before, environment))
        if then != now:
            raise InputError(f"{self.folder}: cannot resume with other data: it was begun with {then} classes, now there are {now}")
        if _fingerprint(before) != _fingerprint(environment):  # at whatever place the same data lie
            raise InputError(f"{self.folder}: cannot resume with other data: features or labels have changed since it began")

    def _sort_log(self, parts: Sequence[str]) -> None:
        """Put the lines that parts logged at this loop position in the order of the parts."""
        if not self._log_file.exists():
            return
        lines = self._log_file.read_text(encoding="utf-8").splitlines(keepends=True)
        depth, places = len(self._position), []
        for number, line in enumerate(lines):
            start = list(json.loads(line).items())[: depth + 1]
            if len(start) > depth and start[:depth] == self._position and start[depth][0] in parts:
                places.append((number, parts.index(start[depth][0])))
        ordered = sorted(places, key=lambda place: place[1])
        if ordered == places:
            return
        texts = [lines[number] for number, _ in ordered]
        for (number, _), text in zip(places, texts, strict=True):
            lines[number] = text
        with atomic_write(self._log_file) as stream:
            stream.writelines(lines)

    def _cut_log(self) -> None:
        """Drop the lines that were logged after the last save: they will be logged again. The others will not."""
        sizes = [0]
        for file in (self.folder / "checkpoints").rglob("*.safetensors"):
            with _opened(file, "pt") as content:
                try:
                    sizes.append(int((content.metadata() or {}).get("log_size", 0)))
                except ValueError as error:
                    raise _damaged(file, error) from error
        if self._log_file.exists():
            kept = self._log_file.read_bytes()[: max(sizes)]
            kept = kept[: kept.rfind(b"\n") + 1]  # the size may have been taken while another part wrote a line
            lines = self._log_lines(kept)
            os.truncate(self._log_file, len(kept))
            self._logged = Counter(_place(line) for line in lines)

    def _log_lines(self, text: bytes) -> list[dict[str, Any]]:
        """The lines of a log.

        Raises:
            InputError: one is not as it was written.
        """
        lines = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                lines.append(dict(json.loads(line)))
            except (ValueError, TypeError, RecursionError) as error:
                raise InputError(
                    f"{self._log_file}: line {number}: damaged; delete the file to go on without what was logged before, "
                    "or begin with `force`"
                ) from error
        return lines


def _learn_part(shared: tuple[nn.ModuleDict, Callable[..., None], tuple, Run], name: str) -> tuple[dict[str, torch.Tensor], Counts]:
    """What a process of `side_by_side` does."""
    parts, learn, given, run = shared
    with run._learning(name):
        learn(name, *given, run)
    return parts[name].state_dict(), take()


def _place(line: dict[str, Any]) -> tuple:
    """What a line of the log is about: the loop position (whole numbers) and the names of the values."""
    return tuple((name, value if isinstance(value, int) else None) for name, value in line.items())


def _fingerprint(environment: dict[str, Any]) -> Any:
    return (environment.get("data") or {}).get("sha256")


@contextmanager
def _opened(file: Path, framework: str) -> Iterator[Any]:
    try:
        content = safe_open(file, framework)
    except (OSError, SafetensorError) as error:
        raise _damaged(file, error) from error
    with content:
        yield content


def _read_yaml(file: Path) -> Any:
    try:
        return read_yaml(file)
    except InputError as error:
        raise InputError(f"{file}: damaged ({str(error).removeprefix(f'{file}: ')}); begin with `force`") from error


def _damaged(file: Path, error: Exception) -> InputError:
    why = shortened(" ".join(str(error).split()))
    return InputError(f"{file}: damaged ({why}); delete it to do its part again, or begin with `force`")


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


def _flatten(value: Any, tensors: dict[str, torch.Tensor], key: str) -> Any:
    """Replace every tensor of a state by its key, and every mapping by its items (JSON would turn numbers into text)."""
    if isinstance(value, torch.Tensor):
        tensors[key] = value.detach().cpu().contiguous().clone()
        return {"tensor": key}
    if isinstance(value, dict):
        return {"items": [[k, _flatten(v, tensors, f"{key}/{k}")] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return [_flatten(v, tensors, f"{key}/{i}") for i, v in enumerate(value)]
    return value


def _unflatten(value: Any, content: Any) -> Any:
    if isinstance(value, dict) and "tensor" in value:
        return content.get_tensor(value["tensor"])
    if isinstance(value, dict):
        return {k: _unflatten(v, content) for k, v in value["items"]}
    if isinstance(value, list):
        return [_unflatten(v, content) for v in value]
    return value


def _differences(then: Any, now: Any, where: str = "") -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            yield from _differences(then.get(key), now.get(key), f"{where}.{key}" if where else str(key))
    elif then != now:
        yield f"{where} was {shortened(then, 60)}, is now {shortened(now, 60)}"

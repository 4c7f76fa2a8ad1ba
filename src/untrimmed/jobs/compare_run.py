"""What one process of `untrimmed compare` does: train one run, or score one; and the key under which the result is kept.

A key is a hash of all that a result depends on: resolved settings, seed, the content of the data, the package's source as far as
the result can depend on it, and the versions of torch and NumPy. So a kept result is never stale, whatever was changed since.
"""

import ast
import contextlib
import hashlib
import json
import os
import pickle
import queue
import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import untrimmed
from untrimmed.data.activations import read_activations, write_activations
from untrimmed.data.annotations import VideoTruth, read_annotations, read_detections, write_annotations, write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, read_json, write_json
from untrimmed.data.labels import read_labels, read_only
from untrimmed.data.settings import merge
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Results
from untrimmed.evaluation.bootstrap import Matched
from untrimmed.evaluation.detections import DetectionScores
from untrimmed.jobs.evaluate import DETECTION_PROTOCOLS, evaluate
from untrimmed.jobs.localize import activations_of_run, localize
from untrimmed.jobs.train import train
from untrimmed.methods.base import METHODS, Curves, Method, load_method, resolve

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Part:
    """What one training gets, and what it is scored on: a data set, or one fold of it."""

    features: str
    labels: str
    annotations: str
    subset: str | None = None
    only: str | None = None
    trimmed: str | None = None
    trimmed_labels: str | None = None
    clusters: int | None = None
    parts: str | None = None


@dataclass(frozen=True)
class Training:
    """One training: what `untrimmed train` would be told.

    held_out: videos that are kept from it, to choose a candidate by. init: the folder of the training that it starts from.
    """

    name: str
    folder: Path
    part: Part
    method: str
    preset: str
    settings: dict[str, Any]
    seed: int
    unlabelled: bool = False
    trimmed: bool = False
    classes: tuple[str, ...] | None = None
    held_out: tuple[str, ...] = ()
    init: Path | None = None


@dataclass(frozen=True)
class Scoring:
    """One set of scores: a run's detections in the test videos of all parts, by each protocol.

    runs: the trained run of each part. attention: where given, the runs whose attention takes the place of their own.
    """

    name: str
    folder: Path
    parts: tuple[Part, ...]
    runs: tuple[Path, ...]
    attention: tuple[Path, ...]
    settings: dict[str, Any]
    protocols: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    selection: str = "last"
    keep: bool = False


Task = Training | Scoring


# Keys ----------------------------------------------------------------------------------------------------------------------


def key_of(**parts: Any) -> str:
    """A name for what depends on `parts` (plain values) and on nothing else."""
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    text = json.dumps({"versions": versions, **parts}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def training_key(training: Training) -> str:
    """Of a training, whatever its name and folder."""
    part, module = training.part, METHODS[training.method].partition(":")[0]
    store = FeatureStore(part.features)
    return key_of(
        method=training.method,
        preset=training.preset,
        settings=resolve(training.method, training.preset, training.settings, store.streams).to_dict(),
        seed=training.seed,
        features=store_hash(part.features),
        labels=None if training.unlabelled else file_hash(part.labels),
        clusters=part.clusters if training.unlabelled else None,
        only=None if part.only is None else file_hash(part.only),
        trimmed=[store_hash(part.trimmed), file_hash(part.trimmed_labels)]
        if training.trimmed and part.trimmed and part.trimmed_labels
        else None,
        classes=training.classes,
        held_out=list(training.held_out),
        init=training.init and training.init.name,
        source=source_hash("untrimmed.jobs.train", "untrimmed.jobs.compare_run", module),
    )


def scoring_key(scoring: Scoring) -> str:
    """Of scores; the runs stand for all that they depend on."""
    return key_of(
        runs=[path.name for path in scoring.runs],
        attention=[path.name for path in scoring.attention],
        truth=[[file_hash(part.annotations), part.subset, part.parts and file_hash(part.parts)] for part in scoring.parts],
        labels=[file_hash(part.labels) for part in scoring.parts],
        settings=scoring.settings,
        protocols=sorted(scoring.protocols),
        options=scoring.options,
        selection=scoring.selection,
        source=source_hash("untrimmed.jobs.localize", "untrimmed.jobs.evaluate", "untrimmed.jobs.compare_run"),
    )


@cache
def file_hash(path: str) -> str:
    """SHA-256 of a file, read once in a process.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


@cache
def store_hash(path: str) -> str:
    """SHA-256 over all that a feature store holds, read once in a process."""
    store = FeatureStore(path)
    digest = hashlib.sha256(json.dumps(asdict(store.header), sort_keys=True).encode())
    for video, entry in store.videos.items():
        digest.update(json.dumps([video, {**entry.to_json(), "source": None}], sort_keys=True).encode())
        for stream, features in sorted(store.load(video).items()):
            digest.update(f"{stream} {features.shape} {features.dtype}".encode())
            digest.update(np.ascontiguousarray(features).data)
    return digest.hexdigest()


@cache
def source_hash(*modules: str) -> str:
    """SHA-256 over the source of modules of this package, and of all that they import of it, directly or not.

    So a change of one method, or of a page, does not spend the results of the others.
    """
    root = Path(untrimmed.__file__).parent
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        file = _source_file(root, name)
        if name in seen or file is None:
            continue
        text = file.read_text(encoding="utf-8")
        seen[name] = hashlib.sha256(text.encode()).hexdigest()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def _source_file(root: Path, module: str) -> Path | None:
    package, *rest = module.split(".")
    if package != root.name:
        return None
    path = root.joinpath(*rest)
    return next((file for file in (path / "__init__.py", path.with_name(f"{path.name}.py")) if file.is_file()), None)


# Training ------------------------------------------------------------------------------------------------------------------


def run_of(folder: Path) -> Path:
    """The run folder of a training."""
    return folder / "run"


def is_done(task: Task) -> bool:
    if isinstance(task, Scoring):
        return (task.folder / "scores.json").is_file() and (not task.keep or (task.folder / "kept").is_dir())
    trained = (run_of(task.folder) / "model" / "model.json").is_file()
    return trained and (not task.held_out or (task.folder / "loss.json").is_file())


def train_one(task: Training) -> None:
    """Train, or go on with a training that was killed; of a candidate also the loss on the videos that were held out."""
    run, part = run_of(task.folder), task.part
    if task.held_out:
        only = str(task.folder / "only.csv")
        with atomic_write(only) as stream:
            stream.write("\n".join(["video", *(f'"{v}"' for v in training_videos(part) if v not in task.held_out)]) + "\n")
    else:
        only = part.only  # type: ignore[assignment]
    arguments: dict[str, Any] = {
        "features": part.features,
        "labels": None if task.unlabelled else part.labels,
        "unlabelled": task.unlabelled,
        "clusters": part.clusters if task.unlabelled else None,
        "trimmed": part.trimmed if task.trimmed else None,
        "trimmed_labels": part.trimmed_labels if task.trimmed else None,
        "only": only,
        "preset": task.preset,
        "settings": task.settings,
        "seed": task.seed,
        "classes": task.classes,
        "init": None if task.init is None else run_of(task.init),
        "out": run,
    }
    begun = (run / "config.yaml").exists()
    if not begun:
        shutil.rmtree(run, ignore_errors=True)  # of a process that was killed before it had written what it was to do
    try:
        train(task.method, **arguments, resume=begun)
    except InputError as error:
        if not begun or "another process" in str(error):
            raise
        shutil.rmtree(run)  # what was kept of it cannot be gone on with
        train(task.method, **arguments)
    if task.held_out:
        write_json(task.folder / "loss.json", held_out_loss(run, part, task.held_out))
    shutil.rmtree(run / "checkpoints", ignore_errors=True)


def training_videos(part: Part) -> list[str]:
    """The videos that a training on labels sees, sorted."""
    store = FeatureStore(part.features)
    tagged = set(read_labels(part.labels, store.videos).tags)
    return sorted(tagged & read_only(part.only, store.videos) if part.only else tagged)


def held_out_fifth(part: Part) -> tuple[str, ...]:
    """A fixed fifth of the training videos: those whose names have the smallest hashes."""
    videos = sorted(training_videos(part), key=lambda video: hashlib.sha256(video.encode()).digest())
    return tuple(sorted(videos[: max(1, len(videos) // 5)]))


def held_out_loss(run: Path, part: Part, videos: Sequence[str]) -> float:
    """Mean binary cross-entropy, over videos and classes, between the tags and the video scores (mean over the streams)."""
    found, _, _ = activations_of_run(run, part.features, set(videos), {}, "cpu")
    tags = read_labels(part.labels).tags
    losses = []
    for activation in found:
        score = np.mean([stream.class_score for stream in activation.streams.values()], axis=0).clip(1e-6, 1 - 1e-6)
        there = np.array([label in tags[activation.video] for label in activation.classes])
        losses.append(-np.where(there, np.log(score), np.log1p(-score)).mean())
    return float(np.mean(losses))


# Scoring -------------------------------------------------------------------------------------------------------------------


def score_one(task: Scoring) -> None:
    """Localize the test videos of every part, put them together, and score them by every protocol."""
    work = task.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    folders = [work / f"part-{number}" for number in range(len(task.parts))]
    with_activations = task.keep or any(protocol not in DETECTION_PROTOCOLS for protocol in task.protocols)
    for number, (part, folder) in enumerate(zip(task.parts, folders, strict=True)):
        run = run_of(task.runs[number])
        wanted: dict[str, Any] = {"subset_from": part.annotations, "subset": part.subset} if part.subset else {}
        source: dict[str, Any] = {"source": run, "features": part.features}
        if task.attention:
            write_swapped(folder / "swapped", run_of(task.attention[number]), run, part)
            source = {"source": folder / "swapped"}
        localize(
            **source,
            out=folder / "detections.json",
            settings=task.settings,
            activations=with_activations,
            **wanted,
        )
        shutil.rmtree(folder / "swapped", ignore_errors=True)
    pooled, annotations = (folders[0], Path(task.parts[0].annotations)) if len(folders) == 1 else pool(folders, task.parts, work)

    scores: dict[str, dict[str, float]] = {}
    for protocol in task.protocols:
        truth: dict[str, Any] = {"annotations": annotations, "subset": task.parts[0].subset}
        if protocol == "clustering":  # of the training videos
            truth = {"labels": task.parts[0].labels}
        if protocol == "attention" and not _has_attention(pooled):
            continue
        target = _target(protocol, pooled, run_of(task.runs[0]))
        result: Any = evaluate(target, protocol=protocol, **truth, **_options(protocol, task, work))
        scores[protocol] = {name: float(value) for name, value in result.scalars().items()}
        found = getattr(result, "scores", None)
        if isinstance(found, DetectionScores) and found.hit_videos is not None and found.video_instances is not None:
            with atomic_write(task.folder / f"{protocol}.npz", "wb") as stream:
                Matched.of(found).write(stream)
    kept = task.folder / "kept"
    if task.keep:
        shutil.rmtree(kept, ignore_errors=True)
        pooled.rename(kept)
    about = {"name": task.name, "selection": task.selection, "settings": task.settings, "options": task.options}
    write_json(task.folder / "scores.json", {**about, "scores": scores}, indent=1)
    shutil.rmtree(work)


def _target(protocol: str, folder: Path, run: Path) -> Path:
    """What a protocol looks at."""
    if protocol == "clustering":
        return run
    return folder / ("detections.json" if protocol in DETECTION_PROTOCOLS else "detections.activations")


def _has_attention(folder: Path) -> bool:
    activations, _ = read_activations(folder / "detections.activations")
    return all(stream.attention is not None for stream in activations[0].streams.values())


def _options(protocol: str, task: Scoring, work: Path) -> dict[str, Any]:
    """Those of the options that a protocol knows."""
    known = {"map_clusters", "map_clusters_oracle"} if protocol in ("classification", "attention") else set()
    chosen = {name: value for name, value in task.options.items() if protocol in DETECTION_PROTOCOLS or name in known}
    if chosen.get("map_clusters"):
        chosen["labels"] = task.parts[0].labels
    files = [part.parts for part in task.parts if part.parts is not None]
    if protocol == "attention" and len(files) == len(task.parts):
        told: dict[str, Any] = {}
        for file, part in zip(files, task.parts, strict=True):
            tested = read_annotations(part.annotations).subset(part.subset)
            told |= {video: kinds for video, kinds in read_json(file).items() if video in tested}
        write_json(work / "parts.json", told)
        chosen["parts"] = work / "parts.json"
    return chosen


def pool(folders: Sequence[Path], parts: Sequence[Part], work: Path) -> tuple[Path, Path]:
    """The folds as one data set: every test video once, with the detections and activations of the fold that tests it.

    Raises:
        InputError: a video is tested in two folds.
    """
    truth: dict[str, VideoTruth] = {}
    tested: dict[str, int] = {}
    for number, part in enumerate(parts):
        annotations = read_annotations(part.annotations)
        for video, one in annotations.videos.items():
            truth.setdefault(video, one if part.subset is None else replace(one, subset=f"not {part.subset}"))
        for video, one in annotations.subset(part.subset).items():
            if video in tested:
                raise InputError(f"{part.annotations}: {video!r} is tested in fold {number} and in fold {tested[video]}")
            truth[video], tested[video] = one, number
    out = work / "pooled"
    write_annotations(work / "annotations.json", truth, "folds")

    results: Results = {}
    about: dict[str, Any] = {}
    for folder in folders:
        found = read_detections(folder / "detections.json")
        results |= found.results
        about = merge(about, found.untrimmed)
    about.pop("localization", None)
    write_detections(out / "detections.json", results, about)
    if all((folder / "detections.activations").is_dir() for folder in folders):
        everything, classes = [], None
        for folder in folders:
            activations, about = read_activations(folder / "detections.activations")
            for activation in activations:
                classes = classes or activation.classes
                if activation.classes != classes:
                    raise InputError(f"the folds' runs know different classes, such as {set(classes) ^ set(activation.classes)}")
            everything += activations
        write_activations(out / "detections.activations", everything, about)
    return out, work / "annotations.json"


def write_swapped(out: Path, attention: Path, classification: Path, part: Part) -> None:
    """Activations of one model, pooled with the attention of another (slides S1, 09: the models are assembled from O and N).

    The attention logits come from `attention`; the class logits, the pooling and all settings from `classification`.
    """
    swapped = Swapped(load_method(attention / "model"), load_method(classification / "model"))
    wanted = None if part.subset is None else set(read_annotations(part.annotations).subset(part.subset))
    found, cutting, about = activations_of_run(classification, part.features, wanted, {}, "cpu", instead=swapped)
    write_activations(out, found, about | {"localization": asdict(cutting)})


class Swapped(Method):
    """Two trained models as one: where to look from the first, what it is from the second."""

    name = "swapped"

    def __init__(self, attention: Method, classification: Method) -> None:
        if attention.classes != classification.classes or attention.widths != classification.widths:
            raise InputError("the two runs of a swap know different classes or streams")
        super().__init__(classification.config, classification.classes, classification.widths)
        self.attention, self.classification = attention, classification
        self.attention_kind = classification.attention_kind  # type: ignore[misc]
        reaches = [attention.reach, classification.reach]
        self.reach = None if None in reaches else max(reach for reach in reaches if reach is not None)  # type: ignore[misc]

    def fit(self, data: Any, run: Any) -> None:
        raise TypeError("a swap is made of trained models")

    def curves(self, features: Any) -> dict[str, Curves]:
        looked, named = self.attention.curves(features), self.classification.curves(features)
        for stream in named:
            if looked[stream].attention_logit is None or named[stream].attention_logit is None:
                raise InputError("a swap needs two methods with an attention")
        return {stream: Curves(looked[stream].attention_logit, named[stream].class_logit) for stream in named}

    def pool(self, features: Any, curves: Any) -> Any:
        return self.classification.pool(features, curves)


# Processes -----------------------------------------------------------------------------------------------------------------


def perform(task: Task) -> str | None:
    """Do a task with one thread; what is said on the way goes to its log. The reason in one line where it fails, else None."""
    task.folder.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with open(task.folder / "log.txt", "a", encoding="utf-8") as log, contextlib.redirect_stderr(log), threadpool_limits(1):
            try:
                if isinstance(task, Training):
                    train_one(task)
                else:
                    score_one(task)
            except InputError as error:
                return " ".join(str(error).split())
            except Exception as error:
                traceback.print_exc()
                return f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (see {task.folder / 'log.txt'})"
        return None
    finally:
        torch.set_num_threads(threads)


DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""Ctrl-C reaches every process of a terminal; the parent's answer is to end the others, which need not say anything."""


class Processes:
    """Some processes of one thread each that do tasks until they are closed; one that dies costs only its task."""

    def __init__(self, count: int) -> None:
        self.children: list[subprocess.Popen[bytes] | None] = [None] * count

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.children:
            if child is not None:
                child.kill()
                _close(child)

    def perform_all(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, str | None]]:
        """Each task with the reason why it failed, or None, in the order they end."""
        waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        ended: queue.SimpleQueue[tuple[Task, str | None]] = queue.SimpleQueue()
        for task in tasks:
            waiting.put(task)

        def hand_out(number: int) -> None:
            with contextlib.suppress(queue.Empty):
                while True:
                    task = waiting.get_nowait()
                    ended.put((task, self._perform(number, task)))

        for number in range(min(len(self.children), len(tasks))):
            threading.Thread(target=hand_out, args=(number,), daemon=True).start()
        for _ in tasks:
            yield ended.get()

    def _perform(self, number: int, task: Task) -> str | None:
        child = self.children[number]
        if child is None:
            command = [sys.executable, "-c", f"{DEAF}; from untrimmed.jobs.compare_run import serve; serve()"]
            environment = {**os.environ, **ONE_THREAD}
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            self.children[number] = child
        assert child.stdin is not None
        assert child.stdout is not None
        line = b""
        with contextlib.suppress(OSError, ValueError):  # it is gone, or closed by another thread since the call was interrupted
            child.stdin.write(pickle.dumps(task))
            child.stdin.flush()
            line = child.stdout.readline()
        if line:
            return json.loads(line)
        self.children[number] = None
        _close(child)
        return f"its process ended with {child.returncode} (out of memory?)"


def _close(child: "subprocess.Popen[bytes]") -> None:
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def serve() -> None:
    """The loop of a process: tasks come by standard input, answers go to standard output. It ends when its parent does."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is not an answer
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()

    def listen() -> None:
        with contextlib.suppress(EOFError):
            while True:
                tasks.put(pickle.load(sys.stdin.buffer))
        os._exit(0)  # nobody is there to answer to

    threading.Thread(target=listen, daemon=True).start()
    while True:
        answer = perform(tasks.get())
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def read_scores(folder: Path) -> dict[str, dict[str, float]]:
    """The single numbers by protocol that `score_one` has written."""
    return read_json(folder / "scores.json")["scores"]

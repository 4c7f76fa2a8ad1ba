"""Videos to a feature store: which have to be extracted, in which processes, and what became of each."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from untrimmed.console import note, progress_within
from untrimmed.data.errors import InputError
from untrimmed.data.files import PART, check_shape, exists, read_json, set_aside, sweep, write_json
from untrimmed.data.store import FeatureStore, FeatureWriter, Header, VideoEntry
from untrimmed.engine import RETRIES, check_engine, each
from untrimmed.engine.local import cores
from untrimmed.stages import merge
from untrimmed.video.decode import find_videos
from untrimmed.video.extractors import make_extractor, plain_name
from untrimmed.video.extractors.named import NAMED
from untrimmed.video.features import Outcome, Task, extract_one, header_of

NETWORKS = (
    "motion: hand-made features; if they do not tell the labels apart, try a network's: pip install 'untrimmed[hub]', "
    "then --extractor dinov2, or vjepa2 on a GPU, with --download; see: untrimmed extractors"
)
SHARING = 4  # processes of one GPU
PATIENCE = 1800.0  # seconds in which not a single batch of a video was done: it is stuck, and given up


@dataclass
class ExtractReport:
    """What `extract` did: ids of videos that were finished now and before; why others failed; seconds of work and of video, and
    frames that went through the extractor."""

    finished: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    media_seconds: float = 0.0
    frames: int = 0


# Many parameters: it is the function of the command `extract`, and has one for each option.
def extract(
    paths: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    extractor: str = "motion",
    settings: dict[str, Any] | None = None,
    flow: str = "dis",
    engine: str = "local",
    workers: int | None = None,
    device: str = "cpu",
    ids: Literal["stem", "relative"] = "stem",
    force: bool = False,
    download: bool = False,
    keep: Collection[str] | None = None,
) -> ExtractReport:
    """Extract the features of videos into the store `out`, in parallel over videos.

    A video that the store holds already is skipped if its file has not changed since; so a killed extraction is resumed by the
    same call. A video that cannot be extracted does not stop the others: it is noted, and its reason kept in `out/failures.json`.

    Args:
        paths: files or folders (searched recursively).
        settings: of the extractor, e.g. `{"fps": 12}`; others keep their defaults.
        engine: "local", or "ray": a task per video on the cluster that RAY_ADDRESS names, whose machines all see `paths` and `out`.
        workers: processes, by default one per core, on a GPU at most four; with "ray" tasks at a time, by default as many as fit.
        download: fetch the extractor's model from the hub, if it is not here; without it nothing is fetched.
        keep: the only ids that another file's features keep in a store that is a mere cache, where those of other ids give way to
            the file that is named now; None: all of them, since two files of one id are a mistake in a store of one's own.
        force: a store at `out` that was made with other settings is renamed to `out.1` instead of being an error.

    Raises:
        InputError: no video at all, two with one id, an unknown extractor or setting, a store with other settings, a store that
            cannot be written (a full disk: what is finished stays), or not one video that could be extracted.
    """
    began = time.monotonic()
    out = Path(out)
    check_engine(engine)
    if workers is not None and workers < 1:
        raise InputError(f"workers: expected at least 1, not {workers}")
    header = header_for(extractor, settings, flow, download)
    device = _device_for(header, device, engine)
    videos = find_videos([paths] if isinstance(paths, str | Path) else paths, ids)

    if force and exists(out) and not (_matches(out, header) or _was_beginning(out)):
        note(f"{out}: made with other settings; renamed to {set_aside(out)}")
    fresh = not exists(out / "features.json")
    if fresh:
        _check_free(out, header, videos)
    writer = FeatureWriter(out, header)
    _sweep(out)
    report = ExtractReport()
    finished = writer.finished()
    _check_ids(videos, finished, out, keep)
    for video, file in videos.items():
        if video in finished and _is_current(finished[video], file) and _is_whole(out, header, video):
            report.skipped.append(video)
    if report.skipped:
        note(f"{len(report.skipped)} of {len(videos)} videos are extracted already and unchanged")
    plain = {name: value for name, value in header.settings.items() if name != "flow"}
    done = set(report.skipped)
    tasks = [Task(v, str(f), str(out), header.extractor, plain, flow, device) for v, f in videos.items() if v not in done]
    # Long videos first, so that no core idles while the last one is at work.
    tasks.sort(key=lambda task: -_size(task.path))

    try:
        _extract_all(tasks, engine, workers, report, alone=len(videos) == 1)
        _check_any(report)
    except InputError:
        if fresh:
            writer.remove_if_empty()
        raise
    report.seconds = time.monotonic() - began
    writer.compact()
    _keep_failures(out, report)
    return report


def _extract_all(tasks: list[Task], engine: str, workers: int | None, report: ExtractReport, alone: bool) -> None:
    """Extract each task's video, and put down what became of it; what no further video could get past ends it."""
    with progress_within("extracting", {task.video: max(_size(task.path), 1) for task in tasks}) as at:
        for outcome in _outcomes(tasks, engine, workers, at):
            _take(outcome, report, alone)
            if outcome.fatal:
                kept = len(report.finished) + len(report.skipped)
                raise InputError(f"{outcome.fault}; {kept} videos are finished and kept: make room and run the same again to go on")
            at(outcome.video, 1.0)
    report.finished.sort()
    report.failures = dict(sorted(report.failures.items()))


def _check_any(report: ExtractReport) -> None:
    """Refuse an extraction in which every video failed, with the first reasons."""
    if report.failures and not report.finished and not report.skipped:
        reasons = list(report.failures.values())
        more = f" (and {len(reasons) - 3} more)" if len(reasons) > 3 else ""
        raise InputError("; ".join(reasons[:3]) + more if len(reasons) > 1 else reasons[0])


def header_for(extractor: str, settings: dict[str, Any] | None, flow: str, download: bool = False) -> Header:
    """The header of the store that `extract` makes with these arguments.

    Raises:
        InputError: an unknown extractor, setting or flow, a value that is not allowed, or weights that are not there.
    """
    extractor, settings = plain_name(extractor, settings)
    if download:
        _download(extractor, settings)
    return header_of(extractor, settings, flow)


def _download(extractor: str, settings: dict[str, Any]) -> None:
    """Fetch the model; under which licence it is, is said once, when it comes."""
    if extractor != "hub" or not settings.get("model"):
        raise InputError(f"`download`: the extractor {extractor!r} has nothing to fetch; it is for hub:ID, and names of models")
    from untrimmed.video.extractors.hub_files import download

    model = settings["model"]
    if folder := download(model, settings.get("revision", "")):
        licence = next((known.licence for known in NAMED.values() if known.model == model), "see its page on the hub")
        note(f"{model}: downloaded in the revision {folder.name[:12]}; licence: {licence}")


def arguments_of(header: Header) -> dict[str, Any]:
    """The arguments with which `extract` makes features that can be mixed with those of a store."""
    settings = dict(header.settings)
    flow = settings.pop("flow", "dis")
    return {"extractor": header.extractor, "settings": settings, "flow": flow}


def _outcomes(tasks: list[Task], engine: str, workers: int | None, under_way: Callable[[str, float], None]) -> Iterator[Outcome]:
    """What becomes of each video, as they are done, each in one process at a time."""
    on_gpu = any(task.device != "cpu" for task in tasks)
    sent = tasks
    if engine == "ray":
        sent = [replace(task, path=os.path.abspath(task.path), store=os.path.abspath(task.store)) for task in tasks]
    elif workers is None and on_gpu:
        workers = min(cores(), SHARING)
    if engine == "local" and not on_gpu:
        sent = [replace(task, threads=_threads(len(tasks), workers)) for task in tasks]
    done = each(
        extract_one,
        None,
        sent,
        engine=engine,
        workers=workers,
        gpu_share=1 / SHARING if on_gpu else 0.0,
        retries=RETRIES if engine == "ray" else 0,
        timeout=PATIENCE,
        under_way=lambda i, share: under_way(tasks[i].video, share),
    )
    for i, outcome, reason in done:
        task, path = tasks[i], sent[i].path
        if outcome is None:
            outcome = Outcome(task.video, task.path, fault=f"{task.path}: the process that decoded it {reason}")
        outcome.fault = outcome.fault and outcome.fault.replace(path, task.path)  # as it was named here
        outcome.notes = [text.replace(path, task.path) for text in outcome.notes]
        yield outcome


def _threads(videos: int, workers: int | None) -> int:
    """For each video: the cores that would idle because there are fewer videos than cores."""
    return max(1, cores() // max(1, videos)) if workers is None else 1


def _take(outcome: Outcome, report: ExtractReport, alone: bool) -> None:
    """Keep what became of a video, and say it, in one line whatever its folder is called; the fault of the only one is raised."""
    merge(outcome.stages)
    for text in outcome.notes:
        note(_one_line(text))
    if outcome.fault is None:
        report.finished.append(outcome.video)
        report.media_seconds += outcome.media_seconds
        report.frames += outcome.frames
    elif not outcome.fatal:
        report.failures[outcome.video] = outcome.fault
        if not alone:
            note(f"left out: {_one_line(outcome.fault)}")


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _device_for(header: Header, device: str, engine: str) -> str:
    """Where the extractor computes: as asked for, if it can. Its weights are read once, so that their faults come first."""
    kind = device.split(":")[0]
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device: expected cpu or cuda, not {device!r}")
    made = make_extractor(header.extractor, {name: value for name, value in header.settings.items() if name != "flow"})
    if kind == "cuda" and not hasattr(made, "device"):
        note(f"the extractor {header.extractor!r} runs on the CPU only, and does so")
        device = "cpu"
    elif kind == "cuda" and engine == "ray":
        device = "cuda"  # the one that Ray gives to the task; the cluster is asked whether it has any
    elif kind == "cuda":
        from untrimmed.training.device import check_device  # brings torch, which the extractor has anyway

        check_device(device)
    if hasattr(made, "load"):
        made.load()
    return device


def _matches(out: Path, header: Header) -> bool:
    try:
        return not FeatureStore(out).header.differences(header)
    except InputError:
        return False


def _was_beginning(out: Path) -> bool:
    """Whether an extraction was killed there before it had written anything."""
    return out.is_dir() and all(child.name == ".lock" or PART.fullmatch(child.name) for child in out.iterdir())


def _is_current(entry: VideoEntry, file: Path) -> bool:
    """Whether the file is the one that was extracted, by its size and time of change."""
    source, stat = entry.source or {}, file.stat()
    return source.get("size") == stat.st_size and source.get("mtime_ns") == stat.st_mtime_ns


def _check_ids(videos: dict[str, Path], finished: dict[str, VideoEntry], out: Path, keep: Collection[str] | None) -> None:
    """Raise InputError where a video would take the place of another file's that is kept: one id, two files (also by case)."""
    by_case = {video.casefold(): video for video in finished}
    for video, file in videos.items():
        known = by_case.get(video.casefold())
        if known is None:
            continue
        before = (finished[known].source or {}).get("path")
        moved = known == video and _is_current(finished[known], file)
        if before is None or moved or Path(before).resolve() == file.resolve():
            continue
        if keep is not None and known == video and video not in keep:
            note(f"{video}: extracted anew from {file}; the features of {before} give way")
            continue
        raise InputError(
            f"two videos have the id {video!r}: {before}, which {out} holds, and {file}; "
            "rename one, or extract it into a store of its own"
        )


def _is_whole(out: Path, header: Header, video: str) -> bool:
    return all((out / stream / f"{video}.npy").is_file() for stream in header.streams)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _sweep(out: Path) -> None:
    """Take away what a killed worker left half-written; what another extraction is just writing stays."""
    for folder in (out, *(folder for folder in out.iterdir() if folder.is_dir())):
        sweep(folder)


def _check_free(out: Path, header: Header, videos: Mapping[str, Path]) -> None:
    """Raise InputError where a new store would write over what is the user's, or among the videos."""
    if exists(out) and not out.is_dir():
        raise InputError(f"{out}: a file; name the folder for the features")
    place = out.resolve()
    if among := [file for file in videos.values() if file.parent.resolve().is_relative_to(place)]:
        raise InputError(f"{out}: videos such as {among[0]} are in it; give the features a folder of their own")
    for name in ("videos", *header.streams, "failures.json"):
        there = out / name
        if exists(there) and not (there.is_dir() and not any(there.iterdir())):
            raise InputError(
                f"{out}: holds {name!r}, which is of no feature store, and in whose place features would be written; "
                "choose a folder of their own"
            )


def _keep_failures(out: Path, report: ExtractReport) -> None:
    """Write this call's failures; those of videos that it did not handle are kept."""
    file = out / "failures.json"
    failures = read_json(file) if exists(file) else {}
    check_shape(failures, {str: str}, str(file))
    failures = {video: reason for video, reason in failures.items() if video not in {*report.finished, *report.skipped}}
    failures |= report.failures
    if failures:
        write_json(file, dict(sorted(failures.items())), indent=1)
    else:
        file.unlink(missing_ok=True)

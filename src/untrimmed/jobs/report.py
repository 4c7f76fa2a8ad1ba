"""`untrimmed report`: one HTML page with what was found, beside the videos and the truth."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.console import note, progress
from untrimmed.data.activations import find_activations, read_activations
from untrimmed.data.annotations import Annotations, DetectionFile, VideoTruth, read_annotations, read_detections
from untrimmed.data.errors import InputError
from untrimmed.data.labels import NO_ACTION
from untrimmed.data.outputs import PAGE, check_output, make_room
from untrimmed.data.types import Activation, Results
from untrimmed.engine.progress import tell
from untrimmed.evaluation.activitynet import evaluate_detections, parse_tious
from untrimmed.evaluation.diagnosis import diagnose
from untrimmed.evaluation.results import Evaluation
from untrimmed.jobs.names import assigned_clusters, held_clusters
from untrimmed.reporting.clusters import clusters_of
from untrimmed.reporting.media import COPY_FPS, copy_size, files_to_show, link, playable, write_copy
from untrimmed.reporting.page import Media, Page, write_page
from untrimmed.runs.target import scored_videos, where_in
from untrimmed.video.decode import Frames, open_video, video_track


def report(
    detections: str | os.PathLike[str],
    *,
    out: str | Path,
    activations: str | Path | None = None,
    annotations: str | Path | None = None,
    videos: str | Path | Mapping[str, Path] | None = None,
    subset: str | None = None,
    proxies: bool = False,
    scores: Mapping[str, Any] | None = None,
    tiou: str = "0.1:0.9:0.1",
    beside: str | Path | None = None,
    force: bool = False,
) -> Path:
    """Write the page and return its path.

    Args:
        detections: a detections file.
        activations: its stored activations; by default `X.activations` beside `X.json`, where that exists.
        annotations: the truth. The detections are then scored by the ActivityNet protocol, on the annotated videos that they list,
            or on all videos of `subset`.
        videos: a folder with the video files, or the file of each video; they are linked to, not copied.
        subset: show and score only the videos of this subset of the annotations.
        proxies: write small copies, into `OUT_files` beside the page, of the videos that browsers cannot play.
        scores: show these instead of scoring here: what `evaluate --json` says, and optionally `precision_recall`,
            `precision_recall_tiou` and `beside` (see `untrimmed.reporting.page.Page`).
        tiou: thresholds to score at, see `parse_tious`.
        beside: a detections file of another run, drawn below this one's in the same videos, and scored as it is.
        force: what is at `out` and no page of this program is renamed instead of refused.

    Raises:
        InputError: an input cannot be read or is at fault, no video is left to show, or the page cannot be written.
    """
    out = Path(out)
    check_output(out, PAGE, force)
    page = page_of(
        read_detections(Path(detections)),
        activations=activations,
        truth=None if annotations is None else read_annotations(annotations),
        subset=subset,
        media=None if videos is None else lambda ids: _media(videos, ids, out, proxies),
        scores=scores,
        tiou=tiou,
        beside=None if beside is None else read_detections(beside),
    )
    make_room(out, PAGE)
    write_page(page, out)
    return out


def page_of(
    file: DetectionFile,
    *,
    activations: str | Path | None = None,
    truth: Annotations | None = None,
    subset: str | None = None,
    media: Callable[[list[str]], Mapping[str, Media]] | None = None,
    scores: Mapping[str, Any] | None = None,
    tiou: str = "0.1:0.9:0.1",
    beside: DetectionFile | None = None,
) -> Page:
    """What `report` writes, as plain data.

    Args:
        media: finds the files of videos. The rest as in `report`.

    Raises:
        InputError: an input is at fault, or no video is left to show.
    """
    results, shown_truth, notes = _choose(file.results, file.path, truth, subset)
    curves = _activations(file.path, activations, results)
    assigned = assigned_clusters(file)
    runs = None if beside is None else _names(file, beside)
    diagnosis = None
    if truth is not None and scores is None:
        tious = parse_tious(tiou)
        scores, diagnosis, more = _score(file, results, truth, shown_truth, subset, tious)
        notes += more
        if scores and beside is not None and runs is not None:
            scores = {**scores, "name": runs[0], "beside": {runs[1]: _mean_ap(beside, truth, shown_truth, subset, tious)}}
    files = None if media is None else media(sorted(results))
    if files is not None and (without := len(results) - len(files)):
        notes.append(f"{_many(without, 'video')} without a file: only the timelines are shown.")
    return Page(
        results=results,
        about=_about(file, results, runs, scores),
        truth=None if truth is None else shown_truth,
        activations=curves,
        media=files,
        scores=scores,
        diagnosis=diagnosis,
        beside={} if beside is None else beside.results,
        runs=runs,
        clusters=clusters_of(results, held_clusters(file, assigned)) if assigned else (),
        no_action=sorted(NO_ACTION),
        notes=notes,
        title=f"What happens when, in {_many(len(results), 'video')}",
    )


def _about(
    file: DetectionFile, results: Results, runs: tuple[str, str] | None, scores: Mapping[str, Any] | None
) -> list[tuple[str, str]]:
    """The head of the page: names and what they stand for."""
    about = [
        ("method", file.untrimmed.get("method")),
        ("run", file.untrimmed.get("run")),
        ("videos", f"{len(results)}"),
        ("detections", f"{sum(map(len, results.values())):,}".replace(",", "\u202f")),
        ("beside", None if runs is None else runs[1]),
        ("checkpoint", None if file.untrimmed.get("selection") == "last" else file.untrimmed.get("selection")),
    ]
    if scores:
        protocol = scores.get("protocol")
        about += [
            ("protocol", "ActivityNet" if protocol == "activitynet" else protocol),
            ("subset", scores.get("subset")),
            ("tIoU", _grid(scores["tiou"])),
        ]
    return [(name, str(text)) for name, text in about if text not in (None, "")]


def _names(file: DetectionFile, other: DetectionFile) -> tuple[str, str]:
    """What to call two runs: by their run's name, else by their file's, else by its folder too."""
    files = (file, other)
    for names in (
        tuple(str(f.untrimmed.get("run") or f.path.stem) for f in files),
        tuple(f.path.stem for f in files),
        tuple(f"{f.path.resolve().parent.name}/{f.path.stem}" for f in files),
    ):
        if names[0] != names[1]:
            return names[0], names[1]
    return "this file", "the file beside it"


def _choose(
    results: Results, path: Path, truth: Annotations | None, subset: str | None
) -> tuple[Results, dict[str, VideoTruth], list[str]]:
    """The videos to show, and their truth."""
    if not results:
        raise InputError(f"{path}: it lists no video, so that there is nothing to show")
    if truth is None:
        if subset is not None:
            raise InputError(f"subset {subset!r}: which videos that is stands in the annotations; give them too")
        return results, {}, []
    inside, said = scored_videos(truth, subset, results.keys(), path)
    for text in said:
        note(text)
    common = {video: detections for video, detections in results.items() if video in inside}
    if not common:
        raise InputError(
            f"{path}: none of its {len(results)} videos is in {where_in(truth.path, subset)}; the ids must be the same"
        )
    if subset is not None:
        return common, {video: inside[video] for video in common}, list(truth.notes)
    return results, {video: inside[video] for video in common}, list(truth.notes)


def _activations(detections: Path, folder: str | Path | None, results: Results) -> dict[str, Activation]:
    if folder is None:
        folder = find_activations(detections)
        if folder is None:
            return {}
    read, _ = read_activations(folder)
    return {activation.video: activation for activation in read if activation.video in results}


def _score(
    file: DetectionFile,
    results: Results,
    truth: Annotations,
    shown: Mapping[str, VideoTruth],
    subset: str | None,
    tious: Sequence[float],
) -> tuple[dict[str, Any] | None, dict[str, Any] | None, list[str]]:
    """Scores and diagnosis as plain data, and what a reader of them must know."""
    if any(d.label.startswith("cluster_") for video in shown for d in results[video]):
        return None, None, ["The labels are clusters, not classes of the annotations, so that nothing is scored here."]
    scored = truth.subset(subset) if subset is not None else shown
    if not any(video.segments for video in scored.values()):
        return None, None, ["None of these videos has a true segment, so that nothing is scored."]
    try:
        inside = {video: results[video] for video in shown}
        outcome = evaluate_detections(scored, inside, truth.classes, tious)
        diagnosis = diagnose(scored, inside, truth.classes, tious).to_json()
    except InputError as error:
        raise InputError(f"{file.path} against {truth.path}: {error}") from None
    middle = min(tious, key=lambda t: abs(t - 0.5))
    notes = []
    if subset is None and (left := len(truth.videos) - len(shown)):
        notes.append(
            f"Scored on the annotated videos that the detections list ({len(shown)}); "
            f"{_many(left, 'more video')} of the annotations not among them (--subset NAME scores a whole subset)."
        )
    if subset is None and (left := len(results) - len(shown)):
        notes.append(f"{_many(left, 'video')} not in the annotations: shown, but not scored.")
    if outcome.unlisted:
        notes.append(
            f"{_many(len(outcome.unlisted), 'video')} of the subset not in the detections file: all their segments count as missed."
        )
    if outcome.without_truth:
        notes.append(f"Left out of the mean, since no scored video shows them: {', '.join(outcome.without_truth)}.")
    scores = Evaluation("activitynet", truth.path, subset, file.untrimmed.get("selection"), outcome).to_json()
    return {**scores, "precision_recall": outcome.plot_data(middle), "precision_recall_tiou": float(middle)}, diagnosis, notes


def _mean_ap(
    other: DetectionFile,
    truth: Annotations,
    shown: Mapping[str, VideoTruth],
    subset: str | None,
    tious: Sequence[float],
) -> list[float]:
    """The mAP of another run's detections, scored in the same videos; where it lists none of a video, it found nothing there."""
    theirs = {video: other.results.get(video, []) for video in shown}
    scored = truth.subset(subset) if subset is not None else shown
    try:
        return evaluate_detections(scored, theirs, truth.classes, tious).mean_ap.tolist()
    except InputError as error:
        raise InputError(f"{other.path} against {truth.path}: {error}") from None


def _media(videos: str | Path | Mapping[str, Path], ids: list[str], out: Path, proxies: bool) -> dict[str, Media]:
    """Where each video is, for the page; with `proxies`, copies of those that browsers cannot play."""
    copies = out.with_name(f"{out.stem}_files")
    media = {}
    unplayable: dict[str, Path] = {}
    if isinstance(videos, Mapping):
        files = {video: videos[video] for video in ids if video in videos and videos[video].is_file()}
    else:
        files = files_to_show(videos, ids, leave_out=copies)
    for video, file in files.items():
        try:
            with open_video(file) as container:
                plays, holds = playable(file.suffix, video_track(container))
        except InputError as error:
            note(str(error))
            media[video] = Media(link(file, out), "", False, fault=str(error).removeprefix(f"{file}: "))
            continue
        media[video] = Media(link(file, out), holds, plays)
        if not plays:
            unplayable[video] = file
    if not unplayable:
        return media
    if not proxies:
        note(f"{len(unplayable)} video(s) are of a kind that browsers cannot play ({_kinds(media)}); `proxies` writes small copies")
        return media
    with progress("small copies for browsers", len(unplayable)) as advance:
        for video, file in unplayable.items():
            copy = copies / f"{video}.webm"
            try:
                if not copy.exists() or copy.stat().st_mtime_ns < file.stat().st_mtime_ns:
                    small_copy(file, copy)
                media[video] = Media(link(copy, out), f"vp8 in .webm, a small copy of {file.name}", True)
            except InputError as error:
                note(f"no copy of {file.name}: {error}")
            advance(suffix=video)
    return media


def small_copy(file: Path, target: Path) -> None:
    """Write a small copy of a video that browsers play; says how far it is by `engine.progress.tell`.

    Raises:
        InputError: the video cannot be read, or the copy cannot be written.
    """
    with open_video(file) as container:
        track = video_track(container)
        fps = min(float(track.average_rate or 25), COPY_FPS)
        duration = float((container.duration or 0) / 1_000_000) or 3600.0
    frames = Frames(file, fps, copy_size)

    def told() -> Iterator[np.ndarray]:
        for k, frame in enumerate(frames):
            tell(k / (fps * duration))
            yield frame

    write_copy(target, told(), fps, late=lambda: frames.start)


def make_copy(shared: None, item: tuple[str, str]) -> None:
    """`small_copy` of a file to another, as a background process calls it, which need not import torch for that."""
    small_copy(Path(item[0]), Path(item[1]))


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _kinds(media: Mapping[str, Media]) -> str:
    kinds = sorted({media_file.holds for media_file in media.values() if not media_file.plays and not media_file.fault})
    return ", ".join(kinds[:3]) + (" …" if len(kinds) > 3 else "")


def _grid(tiou: Sequence[float]) -> str:
    """`0.1, 0.2 … 0.7`, or all of a short list."""
    texts = [f"{t:g}" for t in tiou]
    return ", ".join(texts) if len(texts) <= 3 else f"{texts[0]}, {texts[1]} … {texts[-1]}"

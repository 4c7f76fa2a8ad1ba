"""`untrimmed export`: detections, or annotations, in the formats of spreadsheets, players, video editors and annotation tools."""

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from untrimmed.console import note
from untrimmed.data.errors import InputError
from untrimmed.data.files import exists, target_of
from untrimmed.data.outputs import Kind, check_output
from untrimmed.data.settings import unknown
from untrimmed.interchange.activitynet import items_of
from untrimmed.interchange.formats import FORMATS, guess, suffixes
from untrimmed.interchange.media import Known, Media
from untrimmed.interchange.text import Item, score_of
from untrimmed.runs.known import look_up, note_missing


def export(
    detections: str | os.PathLike[str],
    *,
    format: str,
    out: str | Path,
    min_score: float | None = None,
    videos: str | Path | None = None,
    features: str | Path | None = None,
    fps: float | None = None,
) -> list[Path]:
    """Write a file of detections, or of annotations, in another format and return the files written.

    Some formats are one file for all videos (see `interchange.formats`). The others hold one video each: with a single video `out`
    is that file (or an existing folder to put it in); with more, `out` is a folder, made where it is missing, with `<id>.<ending>`
    for each video.

    Args:
        min_score: leave out detections below this score; all videos are kept, even without a detection.
        videos: the folder with the video files: their names, frame rates and lengths go into the formats that hold such.
        features: a feature store that knows the videos' lengths.
        fps: frames per second of all videos.

    Raises:
        InputError: an unknown format, a file at fault, a rate or length that the format needs and nobody knows, or an output that
            cannot be written, is the input, or is a file of another kind.
    """
    source, out = Path(detections), Path(out)
    if format not in FORMATS:
        raise unknown(format, FORMATS, "`format`")
    results, truth = selected(source, min_score)
    look = look_up(videos, features, fps)
    if videos is not None:
        note_missing(look, results, videos)
    classes = tuple(sorted({item.label for items in results.values() for item in items}))
    known = Known(look, fps, classes, truth)
    targets = _targets(source, results, format, out)
    for target in targets.values():
        _check_target(target, source, format)
    module = FORMATS[format].module
    for video, target in targets.items():
        with _kept(target):
            if FORMATS[format].all_videos:
                module.write(results, target, known)
            else:
                media = known.of(video) if results else Media("", None, 1.0, 0.0)  # no video at all is a file without anything
                module.write(results.get(video, []), target, media)
    return list(targets.values())


def selected(source: Path, min_score: float | None) -> tuple[dict[str, list[Item]], bool]:
    """The items of each video of a file, without those that score less, and whether they are true segments.

    Raises:
        InputError: the file is at fault, or the score is.
    """
    if min_score is not None and math.isnan(min_score):
        raise InputError("`min_score`: expected a number, found NaN")
    results, truth = items_of(source)
    if min_score is not None and truth:
        raise InputError(f"{source}: annotations have no scores; leave `min_score` out")
    if min_score is not None:
        results = {video: [d for d in found if (score_of(d) or 0.0) >= min_score] for video, found in results.items()}
    return results, truth


def _targets(source: Path, results: dict[str, list[Item]], name: str, out: Path) -> dict[str, Path]:
    """The file of each video; of a format for all videos, the one file, under no name."""
    ending, count = FORMATS[name].ending, len(results)
    if FORMATS[name].all_videos:
        return {"": out / f"{source.stem}{ending}" if out.is_dir() else out}
    if count <= 1 and not out.is_dir():
        return {next(iter(results), ""): out}
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: a file; {count} videos need a folder, one {ending} file each: name a folder as `out`")
    if out.suffix.lower() in suffixes() and not out.is_dir():
        raise InputError(f"{out}: the name of a file; {count} videos need a folder, one {ending} file each: name a folder as `out`")
    return {video: out / f"{video}{ending}" for video in results}


def _check_target(target: Path, source: Path, name: str) -> None:
    if target.exists() and target.samefile(source):
        raise InputError(f"{target}: is the file to be exported; choose another `out`")
    check_output(target, Kind(f"of the format {name}", lambda path: _is_of(path, name)), force=None)


def _is_of(path: Path, name: str) -> bool:
    try:
        return guess(path) == name
    except InputError:
        return False


@contextmanager
def _kept(target: Path) -> Iterator[None]:
    """While a file is written: what is there is kept as NAME.1, unless it is the same, since it may have been corrected by hand.
    At no time is there neither the old file nor the new one."""
    place = target_of(target)
    old = _linked(place) if place.is_file() and place.stat().st_size else None
    try:
        yield
    except BaseException:
        if old is not None:
            old.unlink()
        raise
    if old is not None and old.read_bytes() == place.read_bytes():
        old.unlink()
    elif old is not None:
        note(f"{target}: what was there is now {old}")


def _linked(place: Path) -> Path:
    """A second name for a file, NAME.1 or the next that is free; a copy where the file system has no links."""
    number = 1
    while exists(old := place.with_name(f"{place.name}.{number}")):
        if old.exists() and old.samefile(place):  # of a call that was interrupted
            return old
        number += 1
    try:
        try:
            os.link(place, old)
        except OSError:
            shutil.copy2(place, old)
    except OSError as error:
        raise InputError(f"{old}: cannot be written: {error.strerror or error}") from error
    return old

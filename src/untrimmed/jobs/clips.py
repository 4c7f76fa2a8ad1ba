"""`untrimmed clips`: detections cut out of their videos, one file each."""

import csv
import math
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from untrimmed.console import note, progress
from untrimmed.data.errors import InputError, did_you_mean
from untrimmed.data.files import atomic_write, quote_cell, sweep, unquote_cell
from untrimmed.interchange.tables import table_of
from untrimmed.interchange.text import Item, one_line, score_text, short_clock
from untrimmed.jobs.export import selected
from untrimmed.runs.known import look_up, note_missing
from untrimmed.video.cut import cut, suffix_of

LIST = "clips.csv"
"""The list of the clips, in their folder: it also tells them from other files there."""

COLUMNS = ("file", "video", "start", "end", "label", "score", "how")


class Clip(NamedTuple):
    """A row of the list. start, end: seconds of the video, as asked for; how: `encoded` or `copied`."""

    file: str
    video: str
    start: str
    end: str
    label: str
    score: str
    how: str


@dataclass(frozen=True)
class ClipsReport:
    """The clips that are in the folder now, and why others could not be cut, by video."""

    out: Path
    clips: list[Path]
    failures: dict[str, str]


def clips(
    detections: str | os.PathLike[str],
    *,
    videos: str | Path,
    out: str | Path,
    min_score: float | None = None,
    label: str | Sequence[str] | None = None,
    pad: float = 0.0,
    copy: bool = False,
) -> ClipsReport:
    """Cut detections, or annotated segments, out of the videos, into `out`, with a list of them, `clips.csv`. Clips of an earlier
    call that are in the list and are asked for again are kept, so that an interrupted call goes on.

    Args:
        videos: the folder with the video files.
        min_score: leave out detections that score less.
        label: only these labels.
        pad: seconds before and behind.
        copy: copy the packets instead of encoding the frames anew: quick, and nothing is lost, but a clip begins at the keyframe
            before its start.

    Raises:
        InputError: a file at fault, a label that nothing has, no video in the folder, or a file in `out` that is not in its list.
    """
    source, out = Path(detections), Path(out)
    if not math.isfinite(pad) or pad < 0:
        raise InputError(f"`pad` {pad:g}: expected seconds, not below 0")
    results, _ = selected(source, min_score)
    if label is not None:
        results = _of_labels(results, [label] if isinstance(label, str) else list(label), source)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: a file; name a folder for the clips")
    look = look_up(videos, None, None)
    note_missing(look, [video for video, items in results.items() if items], videos)
    planned: list[tuple[Clip, Path, float, float]] = []
    names: set[str] = set()
    for video, items in sorted(results.items()):
        media = look(video)
        for item in sorted(items):
            if media.file is None:
                continue
            start, end = max(item.start - pad, 0.0), item.end + pad
            name = _name(video, item, suffix_of(media.file, copy), names)
            times = (f"{start:.3f}", f"{end:.3f}")
            how = "copied" if copy else "encoded"
            planned.append((Clip(name, video, *times, one_line(item.label), score_text(item), how), media.file, start, end))
    sweep(out)
    before = _listed(out)
    for clip, *_ in planned:
        if clip.file not in before and (out / clip.file).exists():
            raise InputError(f"{out / clip.file}: exists already, and {LIST} does not list it; choose another `out`")
    return ClipsReport(out, *_cut_all(planned, before, out))


def _cut_all(
    planned: list[tuple[Clip, Path, float, float]], before: dict[str, Clip], out: Path
) -> tuple[list[Path], dict[str, str]]:
    # The list is written first: a clip that is there and listed so is whole, and of this very stretch.
    stale = [clip.file for clip, *_ in planned if before.get(clip.file, clip) != clip]
    for name in stale:
        (out / name).unlink(missing_ok=True)
    kept = {name: clip for name, clip in before.items() if (out / name).is_file()}
    _write_list(kept | {clip.file: clip for clip, *_ in planned}, out)
    made, failures = [], {}
    with progress("cutting", len(planned), unit="clips") as advance:
        for clip, file, start, end in planned:
            target = out / clip.file
            try:
                if not target.exists():
                    cut(file, start, end, target, copy=clip.how == "copied")
                made.append(target)
            except InputError as error:
                note(f"left out: {error}")
                failures[clip.video] = str(error)
            advance(suffix=clip.video)
    _write_list({name: clip for name, clip in _listed(out).items() if (out / name).is_file()}, out)
    return made, failures


def _of_labels(results: dict[str, list[Item]], wanted: list[str], source: Path) -> dict[str, list[Item]]:
    there = {item.label for items in results.values() for item in items}
    for label in wanted:
        if label not in there:
            raise InputError(f"{source}: nothing in it is labelled {label!r}{did_you_mean(label, there)}")
    return {video: [item for item in items if item.label in wanted] for video, items in results.items()}


def _name(video: str, item: Item, suffix: str, taken: set[str]) -> str:
    """`match_01_0-01-12.500_goal.mp4`: letters, digits and `._-`, whatever the label and the system, and no name twice."""
    clock = f"{short_clock(item.start).replace(':', '-')}.{max(round(item.start * 1000), 0) % 1000:03d}"
    stem = f"{_plain(video, 120)}_{clock}_{_plain(item.label, 60)}"
    name, number = f"{stem}{suffix}", 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}{suffix}"
    taken.add(name.casefold())
    return name


def _plain(text: str, most: int) -> str:
    """Letters and digits of any script, `.`, `_` and `-`; at most so many bytes."""
    kept = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", text)).strip("._-")
    return kept.encode()[:most].decode(errors="ignore") or "unnamed"


def _listed(out: Path) -> dict[str, Clip]:
    """The clips of the folder's list, by file; names that lead out of the folder are not ours."""
    path = out / LIST
    if not path.exists():
        return {}
    table = table_of(path)
    if tuple(table.header) != COLUMNS:
        raise InputError(f"{path}: not a list of clips; choose another `out`")
    rows = [Clip(*(unquote_cell(row[name]) for name in COLUMNS)) for _, row in table.rows]
    return {clip.file: clip for clip in rows if Path(clip.file).name == clip.file}


def _write_list(clips: dict[str, Clip], out: Path) -> None:
    with atomic_write(out / LIST) as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows([quote_cell(cell) for cell in clip] for _, clip in sorted(clips.items()))

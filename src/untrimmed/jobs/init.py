"""`untrimmed init`: a first labels.csv from a folder of videos: sub-folders' names as labels, or a form to fill in."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from untrimmed.data.errors import InputError
from untrimmed.data.files import exists, set_aside, sweep
from untrimmed.data.ids import VIDEO_SUFFIXES, ids_of
from untrimmed.data.labels import FORM_MARK, NO_ACTION, scan_labels, write_labels

PARTS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "new", "videos"})
"""Names of folders that say what videos are for, not what happens in them."""


@dataclass(frozen=True)
class InitReport:
    """What `init` wrote: the file, its rows, videos per label, how many have no action, how many rows are to be filled in,
    and where an older file went.

    silent: the folders that were taken to say that nothing happens. slips: labels so alike that one may be meant for the other.
    """

    out: Path
    rows: int
    videos: dict[str, int]
    empty: int
    unfilled: int
    set_aside: Path | None
    silent: tuple[str, ...] = ()
    slips: tuple[str, ...] = ()

    def text(self) -> str:
        """A few lines for the person."""
        lines = [f"{self.out}: {self.rows} row(s)"]
        lines += [f"  {label}: {number}" for label, number in self.videos.items()]
        if self.empty:
            lines.append(f"  no action: {self.empty} (in {', '.join(self.silent)})")
        if self.unfilled:
            lines.append(
                f"  to be filled in: {self.unfilled}; write what happens in each video in place of {FORM_MARK!r} "
                f"(one row per label), leave it empty where nothing happens, or delete the row"
            )
        lines += [f"warning: {slip}" for slip in self.slips]
        if self.videos:
            lines.append("A video that shows two actions needs a second row.")
        if self.set_aside is not None:
            lines.append(f"The file that was there is now {self.set_aside}")
        return "\n".join(lines)


def init(videos: str | Path, out: str | Path, *, ids: Literal["stem", "relative"] = "stem", force: bool = False) -> InitReport:
    """Write `labels.csv` for the videos of a folder.

    A video in a sub-folder is tagged with that folder's name (`VIDEOS/goal/match_01.mp4` -> `match_01,goal`), however deep it
    lies below it; in a folder named as in `NO_ACTION` it gets an empty label. A video that lies directly in `videos` gets the
    mark `?`, which train refuses until it is replaced. A file that is linked into several sub-folders is one video with all
    their labels. Hidden files and folders are passed over.

    Args:
        ids: "stem" names a video by its file, "relative" by its folders too (`goal__match_01`), as in `extract --ids`.
        force: an existing `out` is renamed instead of refused.

    Raises:
        InputError: no such folder, no video in it, two videos of one id, an existing `out`, or one that cannot be written.
    """
    videos, out = Path(videos), Path(out)
    if not videos.is_dir():
        raise InputError(
            f"{videos}: {'not a folder' if videos.exists() else 'no such folder'}; name the folder that holds the videos"
        )
    if out.is_dir():
        raise InputError(f"{out}: a folder; name the file to write, such as {out / 'labels.csv'}")
    if exists(out) and not force:
        raise InputError(f"{out}: exists already and is not overwritten; choose another `out`, or rename it with `force`")
    files = _videos_below(videos)
    if not files:
        raise InputError(f"{videos}: no video in it (files named {', '.join(sorted(VIDEO_SUFFIXES)[:5])} ...)")
    places: dict[Path, list[Path]] = {}  # one video, linked into the folders of all its labels
    for file in files:
        places.setdefault(Path(os.path.realpath(file)), []).append(file)
    _check_level(files, videos)
    named = ids_of((linked[0] for linked in places.values()), videos if ids == "relative" else None)
    rows = sorted(
        {(video, _label(place, videos)) for video, file in named.items() for place in places[Path(os.path.realpath(file))]}
    )

    sweep(out.absolute().parent, out.name)
    aside = set_aside(out) if exists(out) else None
    write_labels(out, rows)
    counts = Counter(label for _, label in rows)
    tags = {label: counts[label] for label in sorted(counts) if label not in ("", FORM_MARK)}
    folders = {_folders(place, videos)[0] for linked in places.values() for place in linked if _folders(place, videos)}
    silent = tuple(sorted(folder for folder in folders if folder.strip().casefold() in NO_ACTION))
    slips = scan_labels(out)[0].slips()
    return InitReport(out, len(rows), tags, counts[""], counts[FORM_MARK], aside, silent, tuple(slips))


def _check_level(files: Sequence[Path], videos: Path) -> None:
    """Raise InputError where the sub-folders are parts of a data set, and no actions: the folder named is one too high."""
    below = {folders[0] for file in files if (folders := _folders(file, videos))}
    if parts := sorted(folder for folder in below if folder.strip().casefold() in PARTS):
        deeper = [
            folder
            for folder in parts
            if any(_folders(file, videos)[:1] == (folder,) and len(_folders(file, videos)) > 1 for file in files)
        ]
        raise InputError(
            f"{videos}: its folder {parts[0]!r} is a part of the data, no action; the folder to name is the one whose "
            f"sub-folders are called by what happens{f': untrimmed init {videos / deeper[0]}' if deeper else ''}"
        )


def _folders(file: Path, videos: Path) -> tuple[str, ...]:
    return file.relative_to(videos).parts[:-1]


def _videos_below(folder: Path) -> list[Path]:
    files = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(file for file in files if file.suffix.lower() in VIDEO_SUFFIXES)


def _label(file: Path, videos: Path) -> str:
    folders = _folders(file, videos)
    if not folders:
        return FORM_MARK
    label = unicodedata.normalize("NFC", folders[0].strip())
    if not label or label == FORM_MARK:
        raise InputError(f"{videos / folders[0]}: a folder's name becomes the label, and {folders[0]!r} cannot be one; rename it")
    return "" if label.casefold() in NO_ACTION else label

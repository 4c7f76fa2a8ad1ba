"""`untrimmed init`: a first labels.csv from a folder of videos: sub-folders' names as labels, or a form to fill in."""

import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from untrimmed.data.errors import InputError
from untrimmed.data.files import exists, set_aside, sweep
from untrimmed.data.ids import VIDEO_SUFFIXES, ids_of
from untrimmed.data.labels import FORM_MARK, NO_ACTION, write_labels


@dataclass(frozen=True)
class InitReport:
    """What `init` wrote: the file, its rows, videos per label, how many have no action, how many rows are to be filled in,
    and where an older file went."""

    out: Path
    rows: int
    videos: dict[str, int]
    empty: int
    unfilled: int
    set_aside: Path | None

    def text(self) -> str:
        """A few lines for the person."""
        lines = [f"{self.out}: {self.rows} row(s)"]
        lines += [f"  {label}: {number}" for label, number in self.videos.items()]
        if self.empty:
            lines.append(f"  no action: {self.empty}")
        if self.unfilled:
            lines.append(
                f"  to be filled in: {self.unfilled}; write what happens in each video in place of {FORM_MARK!r} "
                f"(one row per label), leave it empty where nothing happens, or delete the row"
            )
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
        raise InputError(f"{out}: exists already and is not overwritten; choose another --out, or rename it with --force")
    files = _videos_below(videos)
    if not files:
        raise InputError(f"{videos}: no video in it (files named {', '.join(sorted(VIDEO_SUFFIXES)[:5])} ...)")
    places: dict[Path, list[Path]] = {}  # one video, linked into the folders of all its labels
    for file in files:
        places.setdefault(Path(os.path.realpath(file)), []).append(file)
    named = ids_of((linked[0] for linked in places.values()), videos if ids == "relative" else None)
    rows = sorted(
        {(video, _label(place, videos)) for video, file in named.items() for place in places[Path(os.path.realpath(file))]}
    )

    sweep(out.absolute().parent, out.name)
    aside = set_aside(out) if exists(out) else None
    write_labels(out, rows)
    counts = Counter(label for _, label in rows)
    tags = {label: counts[label] for label in sorted(counts) if label not in ("", FORM_MARK)}
    return InitReport(out, len(rows), tags, counts[""], counts[FORM_MARK], aside)


def _videos_below(folder: Path) -> list[Path]:
    files = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(file for file in files if file.suffix.lower() in VIDEO_SUFFIXES)


def _label(file: Path, videos: Path) -> str:
    folders = file.relative_to(videos).parts[:-1]
    if not folders:
        return FORM_MARK
    label = unicodedata.normalize("NFC", folders[0].strip())
    if not label or label == FORM_MARK:
        raise InputError(f"{videos / folders[0]}: a folder's name becomes the label, and {folders[0]!r} cannot be one; rename it")
    return "" if label.casefold() in NO_ACTION else label

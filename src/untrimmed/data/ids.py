"""Which names a video may have, and how a file becomes a name."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from untrimmed.data.errors import InputError

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .m2v .ts .mts .m2ts .wmv .asf .flv .3gp .ogv .ogg .vob .mxf .gif .y4m".split()  # noqa: SIM905
)


def check_id(video: str, where: str | Path) -> str:
    """Return the id, NFC-normalized.

    Raises:
        InputError: it is empty, has a separator or a control character, begins with a dot, is longer than 200 bytes (such a
            name could leave the folder it is written to), or is not Unicode text (such a name cannot be written to a file).
    """
    video = unicodedata.normalize("NFC", video)
    fault = None
    if not video:
        fault = "is empty"
    elif "/" in video or "\\" in video:
        fault = "has a path separator"
    elif any(unicodedata.category(c) == "Cc" for c in video):
        fault = "has a control character"
    elif any(unicodedata.category(c) == "Cs" for c in video):
        fault = "is not valid Unicode text"
    elif video.startswith("."):
        fault = "begins with a dot"
    elif len(video.encode()) > 200:
        fault = "is longer than 200 bytes"
    if fault:
        raise InputError(f"{where}: the video id {video[:60]!r} {fault}; rename the video")
    return video


def videos_below(folder: Path) -> Iterator[Path]:
    """The files in a folder and its sub-folders that have a video's ending; hidden files and folders are skipped."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES:
                yield Path(place) / name


def relative_name(file: Path, folder: Path) -> str:
    """A file's place in a folder as a name, its sub-folders joined by two underscores: `a__match`."""
    inside = file.relative_to(folder)
    return "__".join([*inside.parent.parts, inside.stem])


def ids_of(files: Iterable[Path], relative_to: Path | None = None) -> dict[str, Path]:
    """Map ids to files: the file's stem, or with `relative_to` its place in that folder (see `relative_name`).

    Raises:
        InputError: two files have one id (also when only upper and lower case differ); both are named.
    """
    ids: dict[str, Path] = {}
    folded: dict[str, Path] = {}
    for file in files:
        video = check_id(file.stem if relative_to is None else relative_name(file, relative_to), file)
        if (other := folded.get(video.casefold())) is not None:
            raise InputError(
                f"two videos have the id {video!r}: {other} and {file}; rename one, or use `ids` relative on their folder"
            )
        ids[video] = folded[video.casefold()] = file
    return ids

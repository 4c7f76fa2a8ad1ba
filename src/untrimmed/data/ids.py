"""Which names a video may have, and how a file becomes a name."""

import unicodedata
from collections.abc import Iterable
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


def ids_of(files: Iterable[Path], relative_to: Path | None = None) -> dict[str, Path]:
    """Map ids to files: the file's stem, or with `relative_to` its folders too, joined by two underscores (`a__match`).

    Raises:
        InputError: two files have one id (also when only upper and lower case differ); both are named.
    """
    ids: dict[str, Path] = {}
    folded: dict[str, Path] = {}
    for file in files:
        if relative_to is None:
            name = file.stem
        else:
            inside = file.relative_to(relative_to)
            name = "__".join([*inside.parent.parts, inside.stem])
        video = check_id(name, file)
        if (other := folded.get(video.casefold())) is not None:
            raise InputError(
                f"two videos have the id {video!r}: {other} and {file}; rename one, or use `ids` relative on their folder"
            )
        ids[video] = folded[video.casefold()] = file
    return ids

"""`untrimmed import`: what people marked in other programs, as an annotations file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.data.files import check_writable, set_aside, sweep
from untrimmed.data.settings import unknown
from untrimmed.interchange.formats import FORMATS, guess, suffixes
from untrimmed.interchange.marks import Marks, write_marks
from untrimmed.interchange.media import Known
from untrimmed.runs.known import look_up, note_missing


@dataclass(frozen=True)
class ImportReport:
    """What was written where. formats: that of each file."""

    out: Path
    marks: Marks
    formats: dict[Path, str]

    def text(self) -> str:
        """One line."""
        marks = self.marks.values()
        counts = [(len(self.marks), "video"), (sum(len(own.segments) for own in marks), "segment")]
        counts += [(points, "point")] if (points := sum(len(own.points) for own in marks)) else []
        classes = sorted({label for own in marks for label in own.labels})
        shown = ", ".join(classes[:8]) + (" …" if len(classes) > 8 else "")
        said = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
        return f"{self.out}: {said}; labels: {shown or 'none'}"


def import_(
    files: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    format: str | None = None,
    videos: str | Path | None = None,
    features: str | Path | None = None,
    fps: float | None = None,
    unchecked: bool = False,
    force: bool = False,
) -> ImportReport:
    """Read other programs' files, and write one annotations file that `evaluate`, `report` and `refine` take.

    The function has an underscore, since `import` is a word of Python.

    Args:
        files: one or more; of a folder, all files in it whose endings are those of a format.
        format: that of all files (see `interchange.formats.FORMATS`); None: told by ending and content.
        videos: the folder with the video files, for formats that need frame rates or lengths; the lengths are written, too.
        features: a feature store that knows the videos' lengths.
        fps: frames per second of all videos.
        unchecked: what is not marked is not known. Otherwise it is background: the videos are checked completely.
        force: rename an existing `out` first.

    Raises:
        InputError: a file is at fault, its format cannot be told, two files hold marks of one video, something is needed that
            nobody knows, or `out` exists.
    """
    out = Path(out)
    if format is not None and format not in FORMATS:
        raise unknown(format, FORMATS, "`format`")
    check_writable(out)
    if out.exists() and not force:
        raise InputError(f"{out}: exists already and is not overwritten; choose another `out`, or `force` renames it")
    look = look_up(videos, features, fps)
    known = Known(look, fps)
    marks: Marks = {}
    places: dict[str, Path] = {}
    formats = {}
    for file in _files([files] if isinstance(files, str | Path) else files):
        formats[file] = format or guess(file)
        for video, own in FORMATS[formats[file]].module.read(file, known).items():
            if video in marks:
                raise InputError(f"the video {video!r} is in {places[video]} and in {file}; import only one of them")
            marks[video], places[video] = replace(own, checked=own.checked and not unchecked), file
    if videos is not None:
        note_missing(look, marks, videos)
    sweep(out.absolute().parent, out.name)
    if out.exists():
        set_aside(out)
    write_marks(out, marks, known)
    return ImportReport(out, marks, formats)


def _files(paths: Sequence[str | Path]) -> list[Path]:
    files = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
            inside = [file for file in inside if file.suffix.lower() in suffixes()]
            if not inside:
                raise InputError(f"{path}: there is no file in this folder that could be imported")
            files += inside
        elif not path.is_file():
            raise InputError(f"{path}: no such file")
        else:
            files.append(path)
    if not files:
        raise InputError("name a file to import")
    return list(dict.fromkeys(files))

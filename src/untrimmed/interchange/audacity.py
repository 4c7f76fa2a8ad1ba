"""Detections of one video as a label track of Audacity."""

from collections.abc import Iterable
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.interchange.marks import Marks, mark, marks_of, text_of
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.text import Item, cues, label_of_caption


def write(items: Iterable[Item], path: str | Path, media: Media | None = None) -> None:
    """Write a line per detection: start, end and `label (score)`, with tabs between. Nothing that is known of the video
    (`media`) is needed.

    Source: https://manual.audacityteam.org/man/importing_and_exporting_labels.html.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        for start, end, text in cues(items):
            stream.write(f"{start / 1000:.6f}\t{end / 1000:.6f}\t{text}\n")


def read(path: Path, known: Known) -> Marks:
    """Read a label track; a label of no length is a point. Lines with frequencies, which begin with a backslash, are left alone.
    The file is called as the video is.

    Raises:
        InputError: a line is not as above.
    """
    video = video_of(path.stem, path)
    found = []
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        if line.strip() and not line.startswith("\\"):
            where = f"{path}, line {number}"
            start, end, label = (*line.split("\t", 2), "", "")[:3]
            if not label.strip():
                raise InputError(f"{where}: expected start, end and label, with tabs between")
            start, end = start.replace(",", "."), end.replace(",", ".")  # the decimal sign of the user's language
            found.append((video, mark(start, end, label_of_caption(label), where)))
    return marks_of([video], found)

"""The files of the videos, as the server sends them."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from untrimmed.console import note
from untrimmed.data.annotations import DetectionFile
from untrimmed.data.errors import InputError
from untrimmed.reporting.media import files_to_show, playable
from untrimmed.reporting.page import Media
from untrimmed.reviewing.source import Source
from untrimmed.video.decode import open_video, video_track


@dataclass(frozen=True)
class Film:
    """A video's file.

    folder: what the file must lie in, whatever links lead to it; None for a file that a feature store names.
    copy: where a small copy is made of what browsers do not play.
    """

    file: Path
    folder: Path | None = None
    plays: bool = True
    copy: Path | None = None

    def is_inside(self) -> bool:
        """Whether the file is there, and in its folder when all links are followed."""
        file = self.file.resolve()
        return file.is_file() and (self.folder is None or file.is_relative_to(self.folder.resolve()))


def films_of(
    file: DetectionFile, shown: Source, folder: Path | None
) -> tuple[dict[str, Media] | None, dict[str, Film], dict[str, float], dict[str, float]]:
    """Of the videos with a file: what the page says of it, what the server needs, frames per second and length in seconds.

    Raises:
        InputError: there is no such folder, or none of the videos has a file in it.
    """
    ids = sorted(file.results)
    files = files_to_show(folder, ids, leave_out=shown.work) if folder is not None else dict(shown.sources)
    media: dict[str, Media] = {}
    films: dict[str, Film] = {}
    fps: dict[str, float] = {}
    lengths: dict[str, float] = {}
    for video in ids:
        if video not in files or not files[video].is_file():
            continue
        film = Film(files[video], folder, copy=shown.work / "copies" / f"{video}.webm")
        link = f"video/{quote(video, safe='')}"
        if not film.is_inside():
            media[video] = Media(link, "", False, fault="a link that leads out of the folder of videos")
            continue
        try:
            with open_video(film.file) as container:
                track = video_track(container)
                plays, holds = playable(film.file.suffix, track)
                fps[video] = round(float(track.average_rate or 25), 3)
                lengths[video] = float((container.duration or 0) / 1_000_000)
        except InputError as error:
            note(str(error))
            media[video] = Media(link, "", False, fault=str(error).removeprefix(f"{film.file}: "))
            continue
        media[video] = Media(link, holds, plays)
        films[video] = Film(film.file, folder, plays, film.copy)
    return (media if folder is not None or media else None), films, fps, lengths

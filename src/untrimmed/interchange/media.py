"""What is known of videos besides what happens in them: their files, frame rates and lengths."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from untrimmed.data.errors import InputError
from untrimmed.data.ids import VIDEO_SUFFIXES, check_id


class Media(NamedTuple):
    """One video.

    file: where it is, or None. fps: frames per second, and duration: seconds; None where nobody said. classes: all labels of all
    videos that are written together.
    """

    video: str
    file: Path | None = None
    fps: float | None = None
    duration: float | None = None
    classes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name, as other programs show it; the id where no file is known."""
        return self.video if self.file is None else self.file.name

    def rate(self) -> float:
        """Frames per second.

        Raises:
            InputError: they are not known.
        """
        if self.fps is None:
            raise InputError(
                f"video {self.video}: the format counts frames, and its frame rate is not known; name the folder of the `videos`, "
                "or the rate as `fps`"
            )
        return self.fps

    def length(self) -> float:
        """Seconds.

        Raises:
            InputError: they are not known.
        """
        if self.duration is None:
            raise InputError(
                f"video {self.video}: the format needs its length, which is not known; name the folder of the `videos`, or a store "
                "of their `features`"
            )
        return self.duration


@dataclass(frozen=True)
class Known:
    """What is known of all videos; `fps`, where it is given, is the rate of each.

    look: what is known of one, by its id. classes: all labels that are written. truth: they are true segments, not detections.
    """

    look: Callable[[str], Media] = Media
    fps: float | None = None
    classes: tuple[str, ...] = ()
    truth: bool = False

    def of(self, video: str) -> Media:
        """What is known of one video, be it nothing."""
        media = self.look(video)._replace(classes=self.classes)
        return media if self.fps is None else media._replace(fps=self.fps)

    def one_rate(self, videos: Iterable[str]) -> float:
        """The rate of all these videos, for formats that have but one.

        Raises:
            InputError: it is not known, or they differ in it.
        """
        rates = {round(media.rate(), 3): media for media in map(self.of, videos)}
        if len(rates) > 1:
            (first, one), (second, other), *_ = sorted(rates.items())
            raise InputError(
                f"the format has one frame rate, but {one.video} has {first:g} and {other.video} {second:g} frames a second; "
                "write videos of each rate by themselves, or name the rate of the list as `fps`"
            )
        return next((media.rate() for media in rates.values()), self.fps or 25.0)


def video_of(name: str, where: str | Path) -> str:
    """The id of the video whose file another program names: the name without folders (of any system), address and ending.

    Raises:
        InputError: that is no id.
    """
    name = name.strip().replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return check_id(stem if dot and f".{ending.lower()}" in VIDEO_SUFFIXES else name, where)

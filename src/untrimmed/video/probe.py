"""How many frames a second a video has and how long it is, by its headers, without decoding it."""

from pathlib import Path
from typing import NamedTuple

import av

from untrimmed.video.decode import clock_offset, open_video, video_track


class Probe(NamedTuple):
    """fps: frames a second, on average. duration: where the video ends on a player's clock, in seconds. None where the file does
    not say."""

    fps: float | None
    duration: float | None


def probe(path: str | Path) -> Probe:
    """Look at a video file.

    Raises:
        VideoError: it cannot be opened (see `open_video`).
    """
    with open_video(path) as container:
        track = video_track(container)
        rate = float(track.average_rate or track.guessed_rate or 0)
        end = None
        if track.duration:
            end = float(((track.start_time or 0) + track.duration) * track.time_base) - clock_offset(container, track)
        elif container.duration:
            end = container.duration / av.time_base
        return Probe(rate if 0 < rate <= 1000 else None, end)

"""What is known of videos from their files and features, as other programs' formats want it."""

import math
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from untrimmed.console import note
from untrimmed.data.errors import InputError
from untrimmed.data.ids import relative_name, videos_below
from untrimmed.data.store import FeatureStore
from untrimmed.interchange.media import Media
from untrimmed.video.probe import probe


def look_up(videos: str | Path | None, features: str | Path | None, fps: float | None) -> Callable[[str], Media]:
    """A function that looks up one video: its file below `videos`, rate and length by that or, the length, by the features.

    Raises:
        InputError: there is no such folder or store, or `fps` is no rate. The function: two files answer to one id.
    """
    if fps is not None and not (math.isfinite(fps) and 0 < fps <= 1000):
        raise InputError(f"`fps` {fps:g}: expected frames per second, above 0 and at most 1000")
    files = {} if videos is None else _files(Path(videos))
    store = None if features is None else FeatureStore(features)

    @cache
    def look(video: str) -> Media:
        own = files.get(video, [])
        if len(own) > 1:
            raise InputError(f"two videos have the id {video!r}: {own[0]} and {own[1]}; rename or move one")
        rate = duration = None
        if own:
            try:
                rate, duration = probe(own[0])
            except InputError as error:
                note(str(error))
        if duration is None and store is not None and video in store.videos:
            duration = store.videos[video].duration
        return Media(video, own[0] if own else None, rate, duration)

    return look


def _files(folder: Path) -> dict[str, list[Path]]:
    """The files of each id: those whose place in the folder it is (`a__match`), or else those whose stem."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of videos")
    places: dict[str, list[Path]] = {}
    stems: dict[str, list[Path]] = {}
    for file in sorted(videos_below(folder)):
        places.setdefault(unicodedata.normalize("NFC", relative_name(file, folder)), []).append(file)
        stems.setdefault(unicodedata.normalize("NFC", file.stem), []).append(file)
    return stems | places


def note_missing(look: Callable[[str], Media], ids: Iterable[str], folder: str | Path) -> None:
    """Say which videos have no file in the folder.

    Raises:
        InputError: none of them has one.
    """
    ids = list(ids)
    missing = [video for video in ids if look(video).file is None]
    if ids and len(missing) == len(ids):
        raise InputError(f"{folder}: none of the {len(ids)} video(s) is in this folder, such as {ids[0]!r}; is it another folder?")
    if missing:
        note(f"{folder}: {len(missing)} of {len(ids)} video(s) are not in this folder, such as {missing[0]!r}")

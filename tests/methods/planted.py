"""A small problem with a known answer, as a feature store: what every method must be able to learn.

Each class has a direction in feature space that its action's snippets carry, and another for the context that always comes with
it; all contexts look somewhat alike. Some videos hold two actions, some only a context. A snippet lasts a second, so that times are
easily read.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from untrimmed.data.annotations import VideoTruth, write_annotations
from untrimmed.data.labels import write_labels
from untrimmed.data.store import FeatureStore, FeatureWriter, Header, VideoEntry
from untrimmed.data.types import Segment

STREAMS = {"rgb": 24, "flow": 20}
SECONDS = 1.0


@dataclass(frozen=True)
class Planted:
    """A feature store, labels of its training videos, and the truth of all (subsets `train` and `test`)."""

    folder: Path
    truth: dict[str, VideoTruth]
    classes: tuple[str, ...]

    @property
    def features(self) -> Path:
        return self.folder / "features"

    @property
    def labels(self) -> Path:
        return self.folder / "labels.csv"

    @property
    def clips(self) -> dict[str, Path]:
        """The trimmed clips and their labels, as `train` takes them (of `plant_clips`)."""
        return {"trimmed": self.folder / "clips", "trimmed_labels": self.folder / "clips.csv"}

    @property
    def annotations(self) -> Path:
        return self.folder / "annotations.json"

    @property
    def store(self) -> FeatureStore:
        return FeatureStore(self.features)

    def subset(self, name: str) -> dict[str, VideoTruth]:
        return {video: truth for video, truth in self.truth.items() if truth.subset == name}


def plant(
    folder: Path,
    *,
    classes: int = 3,
    train: int = 24,
    test: int = 12,
    empty: int = 4,
    streams: dict[str, int] | None = None,
    length: tuple[int, int] = (36, 44),
    constant: bool = False,
    seed: int = 0,
) -> Planted:
    """Write the problem to `folder`.

    Args:
        empty: so many of the training videos (and half as many test videos) hold no action.
        constant: every feature is the same number everywhere.
    """
    streams = streams or STREAMS
    rng = np.random.default_rng(seed)
    names = tuple(f"act{c:02}" for c in range(classes))
    directions = _directions(streams, classes, rng)
    writer = FeatureWriter(folder / "features", Header("planted", {}, SECONDS, SECONDS, streams))
    truth: dict[str, VideoTruth] = {}
    rows: list[tuple[str, str]] = []
    for subset, count, without in (("train", train, empty), ("test", test, empty // 2)):
        for number in range(count):
            video = f"{subset}{number:03}"
            holds = [] if number < without else sorted({(number - without) % classes, *([number % classes] * (number % 5 == 0))})
            kinds, segments = _script(int(rng.integers(*length)), holds, classes, rng)
            features = {
                stream: (d[kinds] + 0.5 * rng.normal(size=(len(kinds), d.shape[1]))).astype(np.float32)
                for stream, d in directions.items()
            }
            if constant:
                features = {stream: np.full_like(x, 0.5) for stream, x in features.items()}
            duration = len(kinds) * SECONDS
            writer.write(video, features, VideoEntry(len(kinds), duration))
            truth[video] = VideoTruth(subset, duration, tuple(Segment(a, b, names[c]) for a, b, c in segments))
            if subset == "train":
                rows += [(video, names[c]) for c in holds] or [(video, "")]
    writer.compact()
    write_labels(folder / "labels.csv", rows)
    write_annotations(folder / "annotations.json", truth, "planted")
    return Planted(folder, truth, names)


def plant_clips(planted: Planted, *, count: int = 12, others: int = 0, seed: int = 0) -> Planted:
    """Add trimmed clips to the problem that `plant` made with the same seed, each of one action throughout.

    Args:
        others: so many clips are of an action that no video holds.
    """
    streams, classes = planted.store.streams, len(planted.classes)
    directions = _directions(streams, classes, np.random.default_rng(seed))
    rng = np.random.default_rng([seed, 1])
    writer = FeatureWriter(planted.folder / "clips", Header("planted", {}, SECONDS, SECONDS, streams))
    rows = []
    for number in range(count + others):
        clip, length = f"clip{number:03}", int(rng.integers(3, 7))
        known = number < count
        features = {
            stream: (d[number % classes if known else classes] + 0.5 * rng.normal(size=(length, d.shape[1]))).astype(np.float32)
            for stream, d in directions.items()
        }
        writer.write(clip, features, VideoEntry(length, length * SECONDS))
        rows.append((clip, planted.classes[number % classes] if known else "else"))
    writer.compact()
    write_labels(planted.folder / "clips.csv", rows)
    return planted


def _directions(streams: dict[str, int], classes: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Per stream the mean features of the actions, of their contexts, and of background: [2 C + 1, D]."""
    directions = {}
    for stream, width in streams.items():
        drawn = rng.normal(size=(2 * classes + 1, width))
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        drawn[classes:-1] = 0.3 * drawn[classes:-1] + 0.7 * rng.normal(size=width) / width**0.5  # contexts look alike
        directions[stream] = 4.0 * drawn
    return directions


def _script(length: int, holds: list[int], classes: int, rng: np.random.Generator) -> tuple[np.ndarray, list[tuple]]:
    """What each snippet shows (action c: c, its context: classes + c, background: 2 classes), and the actions' segments."""
    kinds = np.full(length, 2 * classes)
    segments: list[tuple] = []
    if not holds:
        kinds[length // 4 : 3 * length // 4] = classes + int(rng.integers(classes))
    for place, c in enumerate(holds):
        first, last = place * length // len(holds), (place + 1) * length // len(holds)
        kinds[first + 1 : last - 1] = classes + c
        at = first + 2
        for _ in range(3 if len(holds) == 1 else 2):
            size = int(rng.integers(3, 7))
            at += int(rng.integers(2, 5))
            if at + size > last - 2:
                break
            kinds[at : at + size] = c
            segments.append((at * SECONDS, (at + size) * SECONDS, c))
            at += size
    return kinds, segments

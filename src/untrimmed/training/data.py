"""The videos that a method learns from. But for `known`, no field of it says when anything happens."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch

from untrimmed.data.settings import setting
from untrimmed.data.store import FeatureStore


@dataclass(frozen=True)
class DataSettings:
    """How many snippets of a video are used."""

    snippets: int = setting(
        400, "snippets drawn from a video for one training step, one at random from each of as many equal stretches", low=1
    )
    test_least: int = setting(1, "a shorter video's snippets are repeated up to this number when it is localized", low=1)
    test_most: int | None = setting(None, "a longer video is thinned out to this number when it is localized; null = never", low=1)


@dataclass(frozen=True)
class TrainingSet:
    """What training may see.

    videos: [N] ids. classes: [C]. labels: [N, C] in {0, 1}, or None without labels; a row of zeros is a video that surely holds
    no action. store: their features. trimmed: a second set of short clips, each showing its class throughout, or None.
    settings: how many snippets are drawn.
    teacher: by video float32 [T, C], how much more than the video's mean a snippet shows a class, by an earlier run.
    known: by video float32 [T, C + 1], what a person has marked, see `known_snippets`: the only door by which a time of a training
        video may enter training, opened by `untrimmed refine --annotations`.
    counts: [N, C] float32, how often each class happens in each video, NaN where nobody knows, or None (3C-Net).
    """

    videos: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray | None
    store: FeatureStore
    trimmed: "TrainingSet | None" = None
    settings: DataSettings = DataSettings()
    teacher: Mapping[str, np.ndarray] | None = None
    known: Mapping[str, np.ndarray] | None = None
    counts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.videos)

    def sample(self, chosen: np.ndarray, stream: str, rng: np.random.Generator) -> torch.Tensor:
        """`settings.snippets` = T stratified random snippets of each chosen video: float32 [len(chosen), T, D]."""
        return self.sample_with_rows(chosen, stream, rng)[0]

    def sample_with_rows(self, chosen: np.ndarray, stream: str, rng: np.random.Generator) -> tuple[torch.Tensor, np.ndarray]:
        """What `sample` draws, and which rows of the videos that is: intp [len(chosen), T]."""
        count = self.settings.snippets
        batch = np.empty((len(chosen), count, self.store.streams[stream]), dtype=np.float32)
        rows = np.empty((len(chosen), count), dtype=np.intp)
        for row, index, number in zip(batch, rows, chosen):
            features = self.store.load(self.videos[number], [stream], check=False)[stream]
            index[:] = stratified_sampling(len(features), count, rng)
            if features.dtype == np.float32:
                np.take(features, index, axis=0, out=row, mode="clip")
            else:
                row[:] = features[index]
        return torch.from_numpy(batch), rows

    def stretch(self, chosen: np.ndarray, stream: str, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """One stretch of at most `settings.snippets` neighbouring snippets of each chosen video, begun at random (W-TALC).

        Returns:
            float32 [len(chosen), T, D], T the longest stretch, shorter videos padded with zeros; int64 [len(chosen)], how many
            rows are snippets.
        """
        features = [self.store.load(self.videos[number], [stream], check=False)[stream] for number in chosen]
        lengths = [min(len(rows), self.settings.snippets) for rows in features]
        batch = np.zeros((len(chosen), max(lengths), self.store.streams[stream]), dtype=np.float32)
        for stretch, rows, length in zip(batch, features, lengths):
            first = int(rng.integers(len(rows) - length + 1))
            stretch[:length] = rows[first : first + length]
        return torch.from_numpy(batch), torch.tensor(lengths)

    def draw(
        self, chosen: np.ndarray, streams: Iterable[str], rng: Callable[[], np.random.Generator], whole: bool = False
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The same snippets of several streams, for methods that train them together: `sample`, or where `whole` a `stretch`.

        Args:
            rng: gives the same random numbers again at each call, as `lambda: run.rng(name)` does.

        Returns:
            By stream float32 [len(chosen), T, D]; int64 [len(chosen)], how many rows are snippets.
        """
        if not whole:
            found = {stream: self.sample(chosen, stream, rng()) for stream in streams}
            return found, torch.full((len(chosen),), self.settings.snippets)
        stretches = {stream: self.stretch(chosen, stream, rng()) for stream in streams}
        return {stream: x for stream, (x, _) in stretches.items()}, next(iter(stretches.values()))[1]

    def fingerprint(self) -> str:
        """SHA-256 over what training depends on: the store's header, ids, labels and every array."""
        digest = hashlib.sha256(json.dumps(asdict(self.store.header), sort_keys=True).encode())
        digest.update(json.dumps([self.videos, self.classes]).encode())
        for matrix in (self.labels, self.counts):
            if matrix is not None:
                digest.update(matrix.tobytes())
        for video in self.videos:
            for stream, features in self.store.load(video, check=False).items():
                digest.update(f"{stream} {features.shape} {features.dtype}".encode())
                digest.update(np.ascontiguousarray(features).data)
        for given in (self.teacher, self.known):
            for video, array in sorted((given or {}).items()):
                digest.update(video.encode())
                digest.update(np.ascontiguousarray(array).data)
        if self.trimmed is not None:
            digest.update(self.trimmed.fingerprint().encode())
        return digest.hexdigest()


def uniform_sampling(length: int, count: int) -> np.ndarray:
    """`count` row indices spread evenly over `length` rows, rounded down; rows repeat where there are fewer (DGAM, STPN)."""
    return np.floor(np.arange(count) * length / count).astype(np.intp)


def stratified_sampling(length: int, count: int, rng: np.random.Generator | np.random.RandomState) -> np.ndarray:
    """One random row of each of `count` equal stretches, both ends included (DGAM's `random_perturb`).

    Index i is drawn from floor(i L / T) to floor((i + 1) L / T), so that neighbouring stretches may share a row.
    """
    edges = np.floor(np.arange(count + 1) * length / count).astype(np.intp)
    low, high = edges[:-1], np.minimum(edges[1:], length - 1)
    draw = rng.integers if isinstance(rng, np.random.Generator) else rng.randint
    return np.asarray(draw(low, high + 1), dtype=np.intp)

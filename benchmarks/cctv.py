"""DGAM on real pixels: `python benchmarks/cctv.py CCTV --out OUT` prints a section of RESULTS.md.

CCTV is made by tools/make_cctv.py of the data: 60 untrimmed videos strung together from real surveillance clips, half of them with
fights. Features are extracted with `motion`, DGAM is trained from labels.csv alone (which also tells the videos without fights) and
set beside a cut detector, random segments, whole videos, a fully supervised linear classifier, and DGAM on features that
see nothing but how each clip was recorded. A stopped call is gone on with by the same call.
"""

import resource
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from baselines import (
    BESIDE,
    TIOUS,
    Data,
    Training,
    arguments,
    beside,
    called,
    command,
    found_boundaries,
    found_by,
    otsu,
    peaks,
    pieces_per_video,
    table,
    train_all,
    training_cost,
    with_true_times,
)
from untrimmed.console import note, progress
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, read_json, write_json
from untrimmed.data.labels import read_labels
from untrimmed.data.settings import parse_assignments
from untrimmed.data.store import FeatureStore, FeatureWriter, Header
from untrimmed.data.types import Timeline
from untrimmed.jobs.extract import extract
from untrimmed.video.decode import Frames

FPS = 15  # of all the videos that make_cctv.py writes
DARK = 24  # grey levels: a pixel that is nowhere brighter belongs to a bar; coding lets black flicker
LIT = 0.02  # share of a row or column that must be brighter for it to count as image
SAME = 0.2  # grey levels of mean difference below which a frame repeats the previous one; a codec never restores it exactly


def looked_at(frames: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What shows how a video was recorded, and not what happens in it.

    Returns:
        bars: float32 [N, 4], the black bars left, right, above and below each frame, as shares of its width or height.
        change: float32 [N], mean absolute difference of each frame from the one before, in grey levels; 0 for the first.
    """
    bars, change, before = [], [], None
    for frame in frames:
        lit = frame.max(-1) > DARK
        bars.append([*_edges(lit.mean(0)), *_edges(lit.mean(1))])
        now = frame.astype(np.int16)
        change.append(0.0 if before is None else float(np.abs(now - before).mean()))
        before = now
    return np.array(bars, dtype=np.float32).reshape(-1, 4), np.array(change, dtype=np.float32)


def _edges(lit: np.ndarray) -> tuple[float, float]:
    """How far the frame is from the first and from the last column (or row); nothing where all is dark."""
    where = np.flatnonzero(lit > LIT)
    return (where[0] / len(lit), 1 - (where[-1] + 1) / len(lit)) if len(where) else (0.0, 0.0)


def geometry(bars: np.ndarray, change: np.ndarray, timeline: Timeline) -> np.ndarray:
    """The features that see only the recording, [T, 5]: of each snippet the mean bars and the share of repeated frames."""
    rows = np.column_stack([bars, change < SAME])
    rows[0, 4] = rows[1, 4] if len(rows) > 1 else 0.0
    snippet = np.clip(np.searchsorted(timeline.edges, (np.arange(len(rows)) + 0.5) / FPS, "right") - 1, 0, timeline.count - 1)
    count = np.bincount(snippet, minlength=timeline.count)
    total = np.stack([np.bincount(snippet, column, timeline.count) for column in rows.T], axis=1)
    return total / np.maximum(count, 1)[:, None]


def look(folder: Path, out: Path, video: str) -> None:
    """`looked_at` of one video, kept in `<out>/<video>.npz`."""
    bars, change = looked_at(Frames(folder / f"{video}.mp4", FPS, lambda width, height: (width, height)))
    with atomic_write(out / f"{video}.npz", "wb") as stream:
        np.savez(stream, bars=bars, change=change)


def look_at_all(videos: Iterable[str], folder: Path, out: Path, workers: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`looked_at` of all videos, in parallel; what was looked at before is read."""
    left = [video for video in videos if not (out / f"{video}.npz").exists()]
    if left:
        with progress("looking at the recordings", len(left)) as advance:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(partial(look, folder, out), left):
                    advance()
    found = {}
    for video in videos:
        with np.load(out / f"{video}.npz") as arrays:
            found[video] = arrays["bars"], arrays["change"]
    return found


def geometry_store(seen: dict[str, tuple[np.ndarray, np.ndarray]], like: Path, training_videos: Iterable[str], out: Path) -> Path:
    """A feature store of `geometry`, with the timing of the store `like`, standardized over the training videos."""
    if (out / "features.json").exists() and FeatureStore(out).videos.keys() == seen.keys():
        return out
    motion = FeatureStore(like)
    rows = {video: geometry(bars, change, motion.timeline(video)) for video, (bars, change) in seen.items()}
    training = np.concatenate([rows[video] for video in training_videos])
    mean, deviation = training.mean(0), np.maximum(training.std(0), 1e-6)
    header = Header("geometry", {}, motion.header.window_seconds, motion.header.stride_seconds, {"rgb": 5})
    writer = FeatureWriter(out, header)
    for video, features in rows.items():
        writer.write(video, {"rgb": ((features - mean) / deviation).astype(np.float32)}, motion.videos[video])
    writer.compact()
    return out


def extract_timed(videos: Path, out: Path, workers: int) -> dict[str, float]:
    """Extract with `motion`'s defaults; seconds of CPU and of waiting per minute of video, over all calls that it took."""
    cost_file = out.with_name("extraction.json")
    cost = read_json(cost_file) if cost_file.exists() else {"cpu_seconds": 0.0, "wall_seconds": 0.0, "media_seconds": 0.0}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = extract(videos, out, workers=workers)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.failures:
        raise InputError(f"{videos}: damaged videos: {', '.join(done.failures)}")
    if done.finished:
        cost["cpu_seconds"] += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        cost["wall_seconds"] += time.monotonic() - began
        cost["media_seconds"] += done.media_seconds
        write_json(cost_file, cost)
    minutes = max(cost["media_seconds"], 1e-9) / 60
    return {"cpu": cost["cpu_seconds"] / minutes, "wall": cost["wall_seconds"] / minutes, "minutes": minutes}


def cuts_of(data: Data, seen: dict[str, tuple[np.ndarray, np.ndarray]]) -> tuple[dict[str, np.ndarray], float]:
    """The cuts of each test video, in seconds; and the threshold, from the training videos' frames alone."""
    threshold = otsu(np.concatenate([seen[video][1] for video in data.training_videos]))
    return {video: peaks(seen[video][1], threshold) / FPS for video in data.test}, threshold


def main(argv: list[str] | None = None) -> None:
    asked = arguments(__doc__, "CCTV").parse_args(argv)
    folder, out = asked.folder, asked.out
    settings = parse_assignments(asked.set)
    data = Data(out / "features", folder / "labels.csv", folder / "annotations.json")
    cost = extract_timed(folder / "videos", data.features, asked.workers)
    seen = look_at_all(data.truth.videos, folder / "videos", out / "recordings", asked.workers)
    blind = Data(geometry_store(seen, data.features, data.training_videos, out / "geometry"), data.labels, data.annotations)
    seeds = range(asked.seeds)
    motion, recording = (
        [Training(out / f"{name}-{s}", of, asked.preset, settings, s) for s in seeds]
        for name, of in (("motion", data), ("recording", blind))
    )
    train_all([*motion, *recording], asked.workers)

    cuts, threshold = cuts_of(data, seen)
    rows: dict[str, list[np.ndarray]] = {}

    def add(name: str, values: np.ndarray) -> None:
        rows.setdefault(name, []).append(values)

    for training in motion:
        results, activations = found_by(training)
        add("DGAM", data.score(results).mean_ap)
        for name, values in beside(data, training, results, activations, cuts).items():
            add(f"{name}, scored by DGAM", values)
    for training in recording:
        results, activations = found_by(training)
        add("DGAM that sees only the recording", data.score(results).mean_ap)
        add("segments between cuts, scored by it", beside(data, training, results, activations, cuts)["segments between cuts"])
    supervised = with_true_times(data, motion[0].resolved.localization, out / "true-times.json")
    shown = {name: np.array(values) for name, values in rows.items()} | {"linear classifier, fully supervised": supervised.mean_ap}
    means = {name: values.tolist() for name, values in shown.items()}
    write_json(out / "results.json", {"tiou": list(TIOUS), "mAP": means, "seconds_per_minute": cost}, indent=1)
    note(f"{out / 'results.json'}: written")

    print(
        SECTION.format(
            command=command("cctv.py", "CCTV", asked),
            training=len(data.training_videos),
            empty=sum(not tags for tags in read_labels(data.labels).tags.values()),
            test=supervised.videos,
            fights=supervised.instances,
            without=sum(not truth.segments for truth in data.test.values()),
            seeds=asked.seeds,
            table="\n".join(table(shown)),
            training_cost=training_cost(motion),
            workers=asked.workers,
            beside=BESIDE.format(cuts=CUTS.format(threshold, found_boundaries(data, cuts, 1 / FPS), pieces_per_video(cuts))),
            **cost,
        )
    )


CUTS = """A cut is a
  peak of the mean difference of neighbouring frames above {:.1f} grey levels, Otsu's threshold of the training videos' differences;
  no annotation is used. {:.1%} of the ground-truth boundaries have a cut within one frame; {:.1f} segments per video."""
SECTION = """## Real surveillance footage: cctv

`{command}`

{training} training videos, {empty} of them with an empty label; {test} test videos, {without} of them empty, with {fights} fights.
{seeds} seed(s), last checkpoint of each run; mean ± standard deviation (n - 1) over the seeds.

{table}

Extraction (`motion`, its defaults) of {minutes:.1f} minutes of video took {cpu:.1f} CPU seconds per minute of video,
and {wall:.1f} s wall time with {workers} process(es). CPU time of training (one thread): {training_cost}.

{beside}
- That sees only the recording: DGAM trained in the same way, with the same labels and preset, on features that describe only the
  width of the four black bars and the share of repeated frames of each snippet: the source's aspect ratio and frame rate.

Limits: the videos are composed, so that a fight begins and ends at a cut; and the clips with fights come from other sources than
the ordinary ones, so that whatever separates recordings separates fights. A result that is not well above both shortcuts is no
evidence that fights are recognized, and none of it says how well they are localized in one camera's recording. With so few test
videos a handful of detections changes mAP by points."""


if __name__ == "__main__":
    called(main)

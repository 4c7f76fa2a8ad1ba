"""Write a whole demo world to a folder: videos, weak labels, the truth, and trimmed clips."""

from fractions import Fraction
from pathlib import Path

import av
import cv2

from untrimmed.console import note, progress
from untrimmed.data.annotations import write_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, read_json, write_json
from untrimmed.data.labels import write_labels
from untrimmed.demo_world.film import frames
from untrimmed.demo_world.plan import FPS, Plan, plan_clips, plan_world
from untrimmed.demo_world.scenes import HEIGHT, WIDTH
from untrimmed.engine import each
from untrimmed.engine.local import cores

FORMAT = "untrimmed-demo-world/1"
# One thread, and none of x264's adaptive quantization: with them the same frames give another file now and then.
ENCODER = {"preset": "veryfast", "crf": "25", "x264-params": "threads=1:aq-mode=0:mbtree=0"}


def build_world(out: Path, seed: int = 0, train: int = 72, test: int = 20, clips: int = 10, workers: int | None = None) -> None:
    """Draw the world into the folder `out`; videos that stand there already are kept, so an interrupted build continues.

    videos/<id>.mp4    the untrimmed videos, 20 to 60 seconds each
    labels.csv         video,label of the training videos; an empty label: surely no action
    annotations.json   the truth of all videos in the ActivityNet schema, subsets train and test
    parts.json         {video: [[kind, start, length], ...]} in seconds; kind is a label, "context" or "background"
    trimmed/<id>.mp4   clips of 2 to 4 seconds of one action, `clips` per action
    trimmed.csv        video,label of the clips

    Args:
        train, test: number of training and test videos.
        workers: processes that draw; None: one per core.

    Raises:
        InputError: `out` holds a world of another seed or size, or cannot be written.
    """
    out = Path(out)
    about = {"format": FORMAT, "seed": seed, "train": train, "test": test, "clips": clips}
    plans, trimmed = plan_world(seed, train, test), plan_clips(seed, clips)
    if not (out / "world.json").exists():
        write_labels(out / "labels.csv", ((p.video, label) for p in plans if p.subset == "train" for label in p.actions or ("",)))
        write_annotations(out / "annotations.json", {p.video: p.truth for p in plans}, "untrimmed demo world")
        write_json(out / "parts.json", {p.video: p.parts for p in plans})
        write_labels(out / "trimmed.csv", ((p.video, p.actions[0]) for p in trimmed))
        write_json(out / "world.json", about)
    elif (earlier := read_json(out / "world.json")) != about:
        raise InputError(f"{out}: holds another demo world ({_words(earlier)}, not {_words(about)}); choose another folder")

    whole = [(plan, out / "videos" / f"{plan.video}.mp4") for plan in plans]
    whole += [(plan, out / "trimmed" / f"{plan.video}.mp4") for plan in trimmed]
    jobs = [(plan, file) for plan, file in whole if not file.exists()]
    if not jobs:
        return
    workers = min(workers or cores(), len(jobs))
    seconds = sum(plan.duration for plan, _ in whole)
    note(f"drawing {len(plans)} videos and {len(trimmed)} clips ({seconds / 60:.0f} minutes) in {out}")
    # The longest first, so that no worker is left alone with one at the end.
    jobs.sort(key=lambda job: -job[0].frames)
    with progress("drawing", len(whole), len(whole) - len(jobs), "films") as advance:
        if workers == 1:
            for job in jobs:
                _write_video(None, job)
                advance()
            return
        for i, _, reason in each(_write_video, None, jobs, workers=workers):
            if reason is not None:
                raise InputError(f"{jobs[i][1]}: the process that drew it {reason}; run the same again to go on")
            advance()


def _words(about: dict) -> str:
    return f"seed {about.get('seed')}, {about.get('train')} + {about.get('test')} videos, {about.get('clips')} clips an action"


def _write_video(_: None, job: tuple[Plan, Path]) -> None:
    """Draw and encode one video as H.264 in MP4; it appears under its name when it is whole."""
    plan, file = job
    cv2.setNumThreads(1)
    with atomic_write(file, "wb") as stream:
        with av.open(stream, "w", format="mp4") as container:
            track = container.add_stream("h264", rate=FPS, options=ENCODER)
            track.width, track.height, track.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            track.time_base = Fraction(1, FPS)
            for image in frames(plan):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
                container.mux(track.encode(frame))
            container.mux(track.encode())

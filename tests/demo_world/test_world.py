"""A tiny world, drawn and encoded."""

import csv
import json

import av
import numpy as np
import pytest

from untrimmed.data.annotations import read_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.labels import read_labels
from untrimmed.demo_world.film import frames
from untrimmed.demo_world.plan import FPS, plan_clips, plan_world
from untrimmed.demo_world.world import build_world

SIZE = {"seed": 1, "train": 3, "test": 1, "clips": 1, "workers": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "world"
    build_world(out, **SIZE)
    return out


def test_the_world_is_complete(world):
    names = {file.relative_to(world).as_posix() for file in world.rglob("*") if file.is_file()}
    assert names == {
        *(f"videos/video_{i:03d}.mp4" for i in range(4)),
        *(f"trimmed/clip_{i:03d}.mp4" for i in range(6)),
        *("world.json", "labels.csv", "annotations.json", "parts.json", "trimmed.csv"),
    }


def test_labels_are_those_of_the_training_videos_only(world):
    truth = read_annotations(world / "annotations.json")
    labels = read_labels(world / "labels.csv")
    assert labels.tags == {v: frozenset(s.label for s in t.segments) for v, t in truth.subset("train").items()}
    assert not set(labels.tags) & set(truth.subset("test"))


def test_parts_and_annotations_agree_with_the_files(world):
    truth = read_annotations(world / "annotations.json")
    parts = json.loads((world / "parts.json").read_text())
    assert truth.notes == ()
    for video, told in truth.videos.items():
        with av.open(str(world / "videos" / f"{video}.mp4")) as container:
            track = container.streams.video[0]
            assert track.codec_context.name == "h264"
            assert max(track.width, track.height) <= 240
            assert track.average_rate == FPS
            assert track.frames / FPS == pytest.approx(told.duration, abs=1e-4)
        actions = [(kind, start, start + length) for kind, start, length in parts[video] if kind not in ("context", "background")]
        assert actions == [(s.label, pytest.approx(s.start, abs=1e-4), pytest.approx(s.end, abs=1e-4)) for s in told.segments]
        assert sum(length for _, _, length in parts[video]) == pytest.approx(told.duration, abs=1e-4)


def test_clips_have_their_labels(world):
    with open(world / "trimmed.csv", newline="") as stream:
        rows = {row["video"]: row["label"] for row in csv.DictReader(stream)}
    assert rows == {clip.video: clip.actions[0] for clip in plan_clips(1, 1)}


def test_frames_are_determined_by_the_plan():
    plan, other = plan_clips(1, 1)[2], plan_clips(2, 1)[2]
    first, again = np.stack(list(frames(plan))), np.stack(list(frames(plan)))
    assert first.shape == (plan.frames, 180, 240, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], next(frames(other)))
    # Something moves, and it is not only noise.
    assert np.abs(first[5].astype(int) - first[0]).max() > 60


def test_every_kind_of_stretch_can_be_drawn():
    wanted = {stretch.does for plan in plan_world(1, 12, 4) for stretch in plan.stretches}
    for plan in plan_world(1, 12, 4):
        if new := wanted & {stretch.does for stretch in plan.stretches}:
            wanted -= new
            assert sum(1 for _ in frames(plan)) == plan.frames
    assert not wanted


def test_an_interrupted_build_continues(world):
    kept, lost = world / "videos" / "video_000.mp4", world / "videos" / "video_001.mp4"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    build_world(world, **SIZE)
    assert lost.stat().st_size > 10_000
    assert kept.stat().st_mtime_ns == before


def test_another_world_is_not_drawn_into_the_same_folder(world):
    with pytest.raises(InputError, match=r"holds another demo world .seed 1, 3 . 1 videos"):
        build_world(world, **SIZE | {"seed": 2})


def test_a_folder_that_cannot_be_made_is_the_users_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        build_world(tmp_path / "file" / "world", **SIZE)

"""benchmarks/cctv.py: what it sees of how a video was recorded, on tiny drawn videos; and all of it from one end to the other."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import cctv
from untrimmed.data.annotations import VideoTruth, write_annotations
from untrimmed.data.labels import write_labels
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Segment, Timeline
from untrimmed.video.decode import Frames

WIDTH, HEIGHT = 64, 48


def draw(file: Path, takes: list[tuple[int, int, int, int]]) -> None:
    """A video of takes (frames, bar left and right, bar above and below, every how manieth frame repeats the one before)."""
    random = np.random.default_rng(len(takes))
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(cctv.FPS), options={"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for count, side, above, every in takes:
            scene = random.integers(60, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            for k in range(count):
                if not every or k % every:
                    scene = np.roll(scene, 1, axis=1)
                frame = np.zeros_like(scene)
                frame[above : HEIGHT - above, side : WIDTH - side] = scene[above : HEIGHT - above, side : WIDTH - side]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


def test_geometry_sees_bars_and_repeated_frames_and_cuts(tmp_path: Path) -> None:
    draw(tmp_path / "v.mp4", [(30, 8, 0, 0), (30, 0, 12, 3)])
    bars, change = cctv.looked_at(Frames(tmp_path / "v.mp4", cctv.FPS, lambda width, height: (width, height)))
    assert bars.shape == (60, 4)
    np.testing.assert_allclose(bars[:30], np.tile([8 / 64, 8 / 64, 0, 0], (30, 1)), atol=1.01 / WIDTH)
    np.testing.assert_allclose(bars[30:], np.tile([0, 0, 12 / 48, 12 / 48], (30, 1)), atol=1.01 / HEIGHT)
    assert cctv.peaks(change, 0.5 * change.max()).tolist() == [30]

    rows = cctv.geometry(bars, change, Timeline(0.0, 1.0, 4, 4.0))
    np.testing.assert_allclose(rows[[0, 1, 3], 4], [0, 0, 1 / 3], atol=1e-6)
    assert 0.15 < rows[2, 4] < 1 / 3  # its first frame differs from the other take's last
    np.testing.assert_allclose(rows[0, :4], bars[0], atol=1e-6)


def test_a_dark_frame_has_no_bars() -> None:
    bars, change = cctv.looked_at(np.zeros((2, 8, 8, 3), dtype=np.uint8))
    assert not bars.any()
    assert not change.any()


def test_cctv_prints_a_section_and_goes_on_with_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "cctv", tmp_path / "out"
    (folder / "videos").mkdir(parents=True)
    truth, tags = {}, []
    for number in range(8):
        name = f"{('train', 'test')[number >= 6]}_{number}"
        fights = number % 2 == 0
        draw(folder / "videos" / f"{name}.mp4", [(20, 8, 0, 0), (20, 0, 12, 3) if fights else (20, 8, 0, 0), (20, 8, 0, 0)])
        segments = (Segment(20 / cctv.FPS, 40 / cctv.FPS, "fight"),) if fights else ()
        truth[name] = VideoTruth(name[:-2], 60 / cctv.FPS, segments)
        tags += [(name, "fight" if fights else "")] if number < 6 else []
    write_annotations(folder / "annotations.json", truth, "drawn")
    write_labels(folder / "labels.csv", tags)

    asked = [str(folder), "--out", str(out), "--seeds", "1", "--workers", "1", "--set", "epochs=1", "--set", "data.snippets=8"]
    cctv.main(asked)
    first = capsys.readouterr()
    said = json.loads((out / "results.json").read_text())
    assert all(np.shape(values)[-1] == 7 for values in said["mAP"].values())
    assert said["seconds_per_minute"]["minutes"] == pytest.approx(8 * 4 / 60)
    assert said["seconds_per_minute"]["cpu"] > 0
    assert "6 training videos, 3 of them with an empty label; 2 test videos, 1 of them empty, with 1 fights." in first.out
    assert "100.0% of the ground-truth boundaries" in first.out
    motion, geometry = FeatureStore(out / "features"), FeatureStore(out / "geometry")
    assert geometry.streams == {"rgb": 5}
    assert all(geometry.timeline(video) == motion.timeline(video) for video in truth)
    seen = np.concatenate([geometry.load(video)["rgb"] for video, tag in tags])
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-4)

    cctv.main(asked)
    again = capsys.readouterr()
    assert again.out == first.out
    assert "trained in" not in again.err

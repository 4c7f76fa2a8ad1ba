"""What the `motion` features tell apart, and what they do not depend on."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from untrimmed.data.errors import InputError
from untrimmed.video import flow
from untrimmed.video.extractors import make_extractor, motion
from untrimmed.video.features import VideoFeatures, header_of

from .films import film, moving_blocks, steady


def features(path, **settings):
    source = VideoFeatures(path, make_extractor("motion", settings), "dis")
    parts = list(source)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def fast(i, w, h):
    return moving_blocks(i, w, h, speed=1.0)


def still(i, w, h):
    return moving_blocks(0, w, h)


def distance(one, other):
    """Between the mean rows of two videos, relative to their length."""
    one, other = one.mean(0), other.mean(0)
    return np.linalg.norm(one - other) / np.sqrt(np.linalg.norm(one) * np.linalg.norm(other))


def test_shapes_scale_and_determinism(tmp_path):
    path = film(tmp_path / "a.mp4", steady(2), width=160, height=120, draw=fast)
    extractor = make_extractor("motion")
    once, again = features(path), features(path)
    for stream, width in extractor.streams.items():
        assert once[stream].shape == (4, width)  # 50 frames: three whole windows and one of two frames
        assert once[stream].dtype == np.float32
        assert 300 <= width <= 1024
        assert np.array_equal(once[stream], again[stream])
        assert 0.4 < np.sqrt((once[stream] ** 2).mean()) < 1.5  # of a size that a linear layer learns from
        assert np.abs(once[stream]).max() < 10


def test_one_scene_at_two_sizes_and_rates_gives_close_features(tmp_path):
    """Closer than two different scenes of one size are."""

    def at(width, height, rate, speed=1.0, seed=0):
        def draw(i, w, h):
            return moving_blocks(i * 25 / rate, w, h, speed, seed)

        name = f"{width}_{rate}_{speed}_{seed}.mp4"
        return features(film(tmp_path / name, steady(2, rate), width=width, height=height, draw=draw, rate=rate))

    small, large, slow_rate = at(160, 120, 25), at(480, 360, 25), at(160, 120, 12)
    other_scene, other_speed = at(160, 120, 25, seed=1), at(160, 120, 25, speed=0.0)
    assert distance(small["rgb"], large["rgb"]) < 0.5 * distance(small["rgb"], other_scene["rgb"])
    assert distance(small["flow"], large["flow"]) < 0.5 * distance(small["flow"], other_speed["flow"])
    assert distance(small["flow"], slow_rate["flow"]) < 0.5 * distance(small["flow"], other_speed["flow"])


def test_moving_and_still_differ_where_it_is_about_motion(tmp_path):
    moving = features(film(tmp_path / "a.mp4", steady(2), draw=fast))
    resting = features(film(tmp_path / "b.mp4", steady(2), draw=still))
    assert distance(moving["flow"], resting["flow"]) > 0.3
    assert distance(moving["flow"], resting["flow"]) > distance(moving["rgb"], resting["rgb"])


def test_the_cameras_own_motion_counts_little(tmp_path):
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(40, 200, (14, 40)).astype(np.uint8), np.ones((8, 8), np.uint8))

    def pan(i, w, h):
        return np.repeat(wide[:h, i : i + w, None], 3, axis=2)

    panned = make_extractor("motion")(*_clip(lambda i: pan(i, 160, 112)))["flow"]
    rest = make_extractor("motion")(*_clip(lambda i: pan(0, 160, 112)))["flow"]
    acted = make_extractor("motion")(*_clip(lambda i: moving_blocks(i, 160, 112)))["flow"]
    histogram = slice(0, 272)
    assert np.linalg.norm(panned[:, histogram] - rest[:, histogram]) < np.linalg.norm(acted[:, histogram] - rest[:, histogram])
    assert panned[:, -6:].max() > 0.5  # but it is not hidden


def _clip(draw):
    from untrimmed.video.flow import with_flow
    from untrimmed.video.snippets import batches, windows

    return next(batches(windows(with_flow([draw(i) for i in range(16)], "dis"), 16, 16), 1))


def test_flow_is_that_of_each_frame_and_the_one_before_however_many_are_made_in_turn(monkeypatch):
    drawn = [moving_blocks(i, 160, 112) for i in range(6)]
    shown = [drawn[i] for i in (0, 1, 1, 1, 2, 3, 4, 4, 5)]
    dis = flow.flow_method("dis")
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in shown]
    still = np.zeros((112, 160, 2), np.float32)
    expected = [still if i == 0 or shown[i] is shown[i - 1] else dis(grey[i - 1], grey[i]) for i in range(len(shown))]
    for in_turn in (1, 2, 3, 9, 32):
        monkeypatch.setattr(flow, "IN_TURN", in_turn)
        made = list(flow.with_flow(iter(shown), "dis"))
        assert all(frame is before for (frame, _), before in zip(made, shown, strict=True))
        assert all(np.array_equal(moved, right) for (_, moved), right in zip(made, expected, strict=True))
    assert np.abs(expected[1]).max() > 0.5


def test_histograms_and_medians_are_those_of_plain_numpy():
    rng = np.random.default_rng(0)
    for count, height, width in ((1, 5, 7), (3, 18, 25), (2, 4, 4)):
        angle = rng.uniform(0, 4 * np.pi, (count, height, width)).astype(np.float32)
        weight = rng.random((count, height, width)).astype(np.float32)
        (found,) = motion._histogram(angle, weight)
        expected = np.zeros((count, motion.GRID**2, 2 * motion.BINS))
        pixels = np.zeros(motion.GRID**2)
        for y, x in np.ndindex(height, width):
            cell = y * motion.GRID // height * motion.GRID + x * motion.GRID // width
            pixels[cell] += 1
            for n in range(count):
                expected[n, cell, int(angle[n, y, x] * np.float32(8 / np.pi)) % 16] += weight[n, y, x]
        assert found == pytest.approx(expected @ motion.SMOOTH / np.maximum(pixels, 1)[:, None], rel=1e-6)
        values = angle.reshape(count, -1)
        assert np.array_equal(motion._median(values), np.median(values, axis=-1))
        assert np.array_equal(motion._median(values[:, :-1]), np.median(values[:, :-1], axis=-1))


@pytest.mark.parametrize("size", [(1, 1), (4, 300), (16, 16), (161, 97)])
def test_frames_of_any_shape_have_finite_features(tmp_path, size):
    path = film(tmp_path / "a.mkv", steady(0.8), width=size[0], height=size[1], codec="ffv1", pix_fmt="yuv444p")
    for rows in features(path).values():
        assert rows.shape[0] == 2
        assert np.isfinite(rows).all()


def test_settings_change_what_they_say(tmp_path):
    path = film(tmp_path / "a.mp4", steady(2), draw=fast)
    assert len(features(path, stride=8)["rgb"]) == 6
    assert len(features(path, fps=10, frames=5, stride=5)["rgb"]) == 4
    header = header_of("motion", {"fps": 10, "frames": 8}, "farneback")
    assert (header.window_seconds, header.stride_seconds) == (0.8, 1.6)
    assert header.settings == {"fps": 10.0, "frames": 8, "stride": 16, "size": 160, "flow": "farneback"}


@pytest.mark.parametrize(
    ("name", "settings", "flow", "words"),
    [
        ("moton", {}, "dis", "motion"),
        ("motion", {"fsp": 10}, "dis", "fps"),
        ("motion", {"fps": "quick"}, "dis", "number"),
        ("motion", {"fps": -1}, "dis", "fps"),
        ("motion", {"frames": 2.5}, "dis", "whole number"),
        ("motion", {"size": 5}, "dis", "size"),
        ("motion", {}, "raft", "dis, farneback, tvl1"),
    ],
)
def test_faults_in_settings(name, settings, flow, words):
    with pytest.raises(InputError, match=words):
        header_of(name, settings, flow)


def test_a_worker_never_imports_torch():
    modules = "untrimmed.engine.local, untrimmed.video.features, untrimmed.video.extractors.motion"
    program = f"import sys, {modules}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "False"

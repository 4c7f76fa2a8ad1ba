"""The figure of one video."""

import numpy as np
import pytest
from PIL import Image

from untrimmed.data.errors import InputError
from untrimmed.data.types import Activation, Detection, Segment, StreamActivation, Timeline
from untrimmed.reporting.plots import timeline_figure


def make_activation(attention):
    stream = StreamActivation(attention, np.zeros((20, 1)), np.array([0.5]))
    return Activation("a", ("jump",), Timeline(0.0, 1.0, 20, 20.0), {"rgb": stream})


def colours(path):
    """The colours of an image and how many pixels have each."""
    values, counts = np.unique(np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3), axis=0, return_counts=True)
    return {tuple(map(int, v)): int(n) for v, n in zip(values, counts, strict=True)}


def test_all_parts_are_drawn(tmp_path):
    film = [np.full((30, 40, 3), (10, 200, 30), np.uint8)] * 4
    truth, found = [Segment(2, 8, "jump")], [Detection(3, 9, "jump", 0.9), Detection(4, 7, "jump", 0.1)]
    timeline_figure(make_activation(np.linspace(0, 1, 20)), found, truth, film, tmp_path / "all.png")
    timeline_figure(make_activation(None), [], [], None, tmp_path / "bare.png")
    whole, bare = Image.open(tmp_path / "all.png"), Image.open(tmp_path / "bare.png")
    assert whole.width == bare.width == 1600
    assert whole.height > bare.height + 200
    assert colours(tmp_path / "all.png")[10, 200, 30] > 100_000, "the frames of the video"
    assert (10, 200, 30) not in colours(tmp_path / "bare.png")


def test_a_bar_lies_where_its_segment_is(tmp_path):
    timeline_figure(make_activation(None), [], [Segment(5, 10, "jump")], None, tmp_path / "a.png")
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    left, right = 160, 1600 - 48  # the margins of the time axis
    lane = pixels[pixels.shape[0] // 3]
    coloured = np.flatnonzero(np.ptp(lane[left:right], axis=1) > 60)
    assert coloured.min() / (right - left) == pytest.approx(5 / 20, abs=0.005)
    assert coloured.max() / (right - left) == pytest.approx(10 / 20, abs=0.005)


def test_a_figure_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        timeline_figure(make_activation(None), [], [], None, tmp_path / "file" / "a.png")

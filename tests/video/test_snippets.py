"""Windows over a stream of frames, and the flow between them."""

import threading

import numpy as np
import pytest

from untrimmed.data.errors import InputError
from untrimmed.video.flow import FLOWS, flow_method, with_flow
from untrimmed.video.snippets import ahead, batches, windows

from .films import moving_blocks


def numbered(count):
    return [(np.full((2, 3, 3), i, np.uint8), np.full((2, 3, 2), i, np.float32)) for i in range(count)]


def starts_and_ends(count, frames, stride):
    return [(int(w[0][0][0, 0, 0]), int(w[-1][0][0, 0, 0])) for w in windows(numbered(count), frames, stride)]


@pytest.mark.parametrize(
    ("count", "frames", "stride", "expected"),
    [
        (8, 4, 4, [(0, 3), (4, 7)]),
        (9, 4, 4, [(0, 3), (4, 7), (8, 8)]),
        (3, 4, 4, [(0, 2)]),  # shorter than a window: one snippet
        (1, 16, 16, [(0, 0)]),
        (8, 4, 2, [(0, 3), (2, 5), (4, 7)]),  # the last window ends with the video: no window of repetitions follows
        (9, 4, 2, [(0, 3), (2, 5), (4, 7), (6, 8)]),
        (10, 4, 6, [(0, 3), (6, 9)]),
        (6, 4, 6, [(0, 3)]),
        (7, 4, 6, [(0, 3), (6, 6)]),
    ],
)
def test_windows(count, frames, stride, expected):
    assert starts_and_ends(count, frames, stride) == expected


def test_the_last_window_repeats_the_last_frame_with_no_flow():
    (window,) = windows(numbered(3), 5, 5)
    assert [int(p[0, 0, 0]) for p, _ in window] == [0, 1, 2, 2, 2]
    assert [float(f[0, 0, 0]) for _, f in window] == [0, 1, 2, 0, 0]


def test_batches_stack_windows():
    stacked = list(batches(windows(numbered(10), 4, 4), 2))
    assert [(p.shape, f.shape) for p, f in stacked] == [((2, 4, 2, 3, 3), (2, 4, 2, 3, 2)), ((1, 4, 2, 3, 3), (1, 4, 2, 3, 2))]
    assert stacked[0][0][1, 2, 0, 0, 0] == 6
    ((frames, flow),) = batches(windows([(frame, None) for frame, _ in numbered(4)], 4, 4), 2)
    assert frames.shape == (1, 4, 2, 3, 3)
    assert flow is None


@pytest.mark.parametrize("name", FLOWS)
def test_flow_finds_a_shift(name):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (24, 32)).astype(np.uint8)
    frame = np.kron(coarse, np.ones((4, 4), np.uint8))
    flow = flow_method(name)(frame, np.roll(frame, (1, 2), (0, 1)))
    assert flow.shape == (96, 128, 2)
    assert flow.dtype == np.float32
    assert np.median(flow[16:-16, 16:-16].reshape(-1, 2), axis=0) == pytest.approx([2, 1], abs=0.3)


def test_an_unknown_flow_is_named():
    with pytest.raises(InputError, match="farneback"):
        flow_method("raft")


def test_repeated_frames_have_no_flow_and_cost_none():
    first, second = (moving_blocks(i, 64, 48) for i in (0, 5))
    flows = [flow for _, flow in with_flow([first, first, second, second], "dis")]
    assert [bool(np.abs(flow).max() > 0.1) for flow in flows] == [False, False, True, False]


def test_ahead_gives_the_same_items_and_the_same_error():
    def broken():
        yield 1
        raise ValueError("here")

    assert list(ahead(range(100))) == list(range(100))
    assert list(ahead([])) == []
    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="here"):
        next(items)


def test_ahead_is_no_further_ahead_than_asked_and_stops_when_left():
    made = []

    def count():
        for i in range(1000):
            made.append(i)
            yield i

    threads = threading.active_count()
    items = ahead(count(), 2)
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    items.close()
    assert len(made) <= 5 + 2 + 1
    assert threading.active_count() == threads

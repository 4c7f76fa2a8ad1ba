"""Drawing videos anew against scoring copies of them, and what the intervals cover."""

import numpy as np
import pytest

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection, Segment
from untrimmed.evaluation import activitynet, thumos14, wtalc
from untrimmed.evaluation.bootstrap import (
    Matched,
    drawn_differences,
    drawn_videos,
    interval_over_draws,
    interval_over_seeds,
    mean_average_precision,
    over_thresholds,
)

TIOUS = (0.3, 0.5, 0.7)


def problem(rng, videos=6, ambiguous=False):
    """Videos with segments of three classes (the last without truth in some), and detections near them and elsewhere."""
    truth, results, classes = {}, {}, ("a", "b", "c")
    for number in range(videos):
        segments = [
            Segment(10.0 * place, 10.0 * place + rng.uniform(3, 9), classes[rng.integers(3 if number < 2 else 2)])
            for place in range(rng.integers(0, 4))
        ]
        found = [
            Detection(s.start + rng.normal(0, 1.5), s.end + rng.normal(0, 1.5) + 0.5, s.label, rng.random())
            for s in segments
            for _ in range(rng.integers(0, 3))
        ]
        found += [Detection(t, t + 4.0, classes[rng.integers(3)], rng.random()) for t in rng.uniform(0, 40, rng.integers(0, 4))]
        doubtful = (Segment(12.0, 16.0, "Ambiguous"),) if ambiguous else ()
        truth[f"v{number}"] = VideoTruth("test", 50.0, tuple(segments), doubtful)
        results[f"v{number}"] = [d for d in found if d.end > d.start]
    return truth, results, classes


@pytest.mark.parametrize("protocol", [activitynet, thumos14, wtalc])
@pytest.mark.parametrize("seed", range(8))
def test_equals_scoring_copies_of_the_videos(protocol, seed):
    rng = np.random.default_rng(seed)
    truth, results, classes = problem(rng, ambiguous=protocol is not activitynet)
    truth["v0"] = VideoTruth("test", 50.0, (Segment(1.0, 5.0, "a"), *truth["v0"].segments), truth["v0"].ambiguous)
    scores = protocol.evaluate_detections(truth, results, classes, TIOUS)
    matched = Matched.of(scores)
    times = np.concatenate([np.ones((1, len(truth)), dtype=np.int64), drawn_videos(len(truth), 12, rng)])
    values = mean_average_precision(matched, times)
    assert values[0] == pytest.approx(scores.mean_ap)
    for row, value in zip(times, values, strict=True):
        copies = {f"{video}-{copy}": video for video, count in zip(sorted(truth), row, strict=True) for copy in range(count)}
        many = {name: truth[video] for name, video in copies.items()}
        if not any(one.segments for one in many.values()):
            assert np.isnan(value).all()
            continue
        slow = protocol.evaluate_detections(many, {n: results[v] for n, v in copies.items()}, classes, TIOUS)
        assert value == pytest.approx(slow.mean_ap, abs=1e-12)


def test_is_kept_whole(tmp_path):
    for protocol in (activitynet, thumos14):
        matched = Matched.of(protocol.evaluate_detections(*problem(np.random.default_rng(1), ambiguous=True), TIOUS))
        with open(tmp_path / "kept.npz", "wb") as stream:
            matched.write(stream)
        again = Matched.read(tmp_path / "kept.npz")
        times = drawn_videos(6, 20, np.random.default_rng(0))
        np.testing.assert_array_equal(mean_average_precision(matched, times), mean_average_precision(again, times))
    (tmp_path / "kept.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"kept\.npz: damaged"):
        Matched.read(tmp_path / "kept.npz")


def test_draws_are_of_as_many_videos():
    times = drawn_videos(7, 2000, np.random.default_rng(0))
    assert (times.sum(axis=1) == 7).all()
    assert times.mean(axis=0) == pytest.approx(np.ones(7), abs=0.1)


def test_interval_over_draws_is_that_of_drawing_seeds_and_videos_by_hand():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.5, 0.05, (4, 3000)), rng.normal(0.4, 0.05, (4, 3000))
    low, high = interval_over_draws(drawn_differences(first, second, np.random.default_rng(1)))
    by_hand = []
    for draw in range(3000):
        seeds = rng.integers(4, size=4)
        by_hand.append(np.mean([first[s, draw] - second[s, draw] for s in seeds]))
    assert (low, high) == pytest.approx(np.quantile(by_hand, (0.025, 0.975)), abs=0.01)
    assert low < 0.1 < high


def test_equal_runs_differ_by_nothing():
    same = np.random.default_rng(0).random((3, 100))
    assert interval_over_draws(drawn_differences(same, same, np.random.default_rng(0))) == (0.0, 0.0)


def test_interval_over_seeds_is_students():
    from scipy.stats import ttest_1samp

    values = [0.1, 0.3, 0.15, 0.22]
    assert interval_over_seeds(values) == pytest.approx(tuple(ttest_1samp(values, 0.0).confidence_interval(0.95)))
    assert interval_over_seeds([0.1]) is None


def test_metrics_over_thresholds():
    values, tious = np.array([[1.0, 2.0, 4.0]]), np.array([0.1, 0.3, 0.5])
    for metric, expected in (("mAP@avg", 7 / 3), ("mAP@0.3", 2.0), ("mAP@0.1:0.3", 1.5), ("mAP@0.3:0.5", 3.0)):
        assert over_thresholds(values, tious, metric) == pytest.approx([expected])
    for metric in ("mAP@0.2", "mAP@x", "mAP", "map@0.3", "mAP@0.6:0.9"):
        with pytest.raises(InputError, match="no such metric"):
            over_thresholds(values, tious, metric)

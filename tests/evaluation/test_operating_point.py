"""The operating point against a literal count."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.types import Detection, Segment
from untrimmed.evaluation.operating_point import operating_point

times = st.tuples(st.integers(0, 12), st.integers(1, 6)).map(lambda pair: (float(pair[0]), float(pair[0] + pair[1])))
labels = st.sampled_from(["run", "jump"])
segments = st.lists(st.builds(lambda t, label: Segment(*t, label), times, labels), max_size=3)
detections = st.lists(
    st.builds(lambda t, label, s: Detection(*t, label, s), times, labels, st.sampled_from([0.1, 0.4, 0.5, 0.6, 0.9])), max_size=5
)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.tuples(segments, detections), min_size=1, max_size=4))
def test_counts_are_those_of_a_literal_loop(videos):
    truth = {f"v{i}": VideoTruth(None, 30.0, tuple(true)) for i, (true, _) in enumerate(videos)}
    if not any(one.segments for one in truth.values()):
        return
    results = {f"v{i}": found for i, (_, found) in enumerate(videos)} | {"elsewhere": [Detection(0, 1, "run", 1.0)]}
    point = operating_point(truth, results, ["run", "jump"], 0.5)

    paired = touching = kept = touched = 0
    for video, one in truth.items():
        free = sorted(one.segments)
        sure = sorted((d for d in results[video] if d.score >= 0.5), key=lambda d: (-d.score, d.start, d.end))
        kept += len(sure)
        for d in sure:
            overlaps = [
                ((min(d.end, s.end) - max(d.start, s.start)) / (max(d.end, s.end) - min(d.start, s.start)), s)
                for s in free
                if s.label == d.label
            ]
            if overlaps and (best := max(overlaps, key=lambda pair: pair[0]))[0] >= 0.5:
                paired += 1
                free.remove(best[1])
        pairs = [(d, s) for d in sure for s in one.segments if d.label == s.label and d.start < s.end and s.start < d.end]
        touching += len({id(d) for d, _ in pairs})
        touched += len({i for i, s in enumerate(one.segments) if any(s is other for _, other in pairs)})
    instances = sum(len(one.segments) for one in truth.values())
    assert (point.at_tiou.right, point.at_tiou.wrong, point.at_tiou.missed) == (paired, kept - paired, instances - paired)
    at_any = point.at_any_overlap
    assert (at_any.right, at_any.wrong, at_any.hit, at_any.missed) == (touching, kept - touching, touched, instances - touched)
    assert at_any.false_alarms_per_hour == pytest.approx((kept - touching) / (len(truth) / 120))
    assert (point.at_tiou.precision is None) == (kept == 0)
    empty = [video for video, one in truth.items() if not one.segments]
    quiet = [video for video in empty if all(d.score < 0.5 for d in results[video])]
    assert point.silent_share == (len(quiet) / len(empty) if empty else None)


def test_without_durations_there_are_no_alarms_per_hour():
    truth = {"a": VideoTruth(None, None, (Segment(0, 1, "run"),)), "b": VideoTruth(None, 9.0, ())}
    point = operating_point(truth, {"a": [Detection(0, 1, "run", 0.5)], "b": [Detection(0, 1, "run", 0.5)]}, ["run"], 0.5)
    assert point.at_tiou.false_alarms_per_hour is None
    assert (point.at_tiou.precision, point.at_tiou.recall, point.silent_share) == (0.5, 1.0, 0.0)
    assert point.at_tiou.f1 == pytest.approx(2 / 3)

"""The THUMOS'14 protocol against a literal walk through its rules, and each rule alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection, Segment
from untrimmed.evaluation import activitynet, detections
from untrimmed.evaluation.thumos14 import evaluate_detections

CLASSES = ("dig", "jump", "run")
TIOUS = (0.1, 0.3, 0.5, 0.75)
quick = settings(deadline=None, derandomize=True, max_examples=80)


def truth_of(segments: dict[str, list[Segment]]) -> dict[str, VideoTruth]:
    """Those labelled Ambiguous go where the reader puts them."""
    return {
        video: VideoTruth(
            "test", 100.0, tuple(s for s in found if s.label != "Ambiguous"), tuple(s for s in found if s.label == "Ambiguous")
        )
        for video, found in segments.items()
    }


def overlap(a, b) -> float:
    both = min(a[1], b[1]) - max(a[0], b[0])
    return both / (max(a[1], b[1]) - min(a[0], b[0])) if both > 0 else 0.0


def literal_ap(truth, results, label: str, threshold: float) -> float:
    """AP of one class at one threshold: video by video, one true segment after the other."""
    counted = []
    number = 0
    for video, one in truth.items():
        found = sorted((d for d in results.get(video, []) if d.label == label), key=lambda d: (-d.score, d.start, d.end))
        segments = sorted(s[:2] for s in one.segments if s.label == label)
        number += len(segments)
        free = set(range(len(found)))
        for segment in segments:
            if not free:
                continue
            best = max(sorted(free), key=lambda j: overlap(segment, found[j]))
            if overlap(segment, found[best]) > threshold:
                free.remove(best)
        for j, d in enumerate(found):
            if j not in free:
                counted.append((-d.score, video, d.start, d.end, True))
            elif all(overlap(a, d) == 0 for a in one.ambiguous):
                counted.append((-d.score, video, d.start, d.end, False))
    hits = [hit for *_, hit in sorted(counted, key=lambda row: row[:4])]
    return sum(sum(hits[: n + 1]) / (n + 1) for n in range(len(hits)) if hits[n]) / number


times = st.tuples(st.integers(0, 7), st.integers(1, 4)).map(lambda t: (float(t[0]), float(t[0] + t[1])))
segment = st.builds(lambda t, label: Segment(*t, label), times, st.sampled_from((*CLASSES, "Ambiguous")))
detection = st.builds(
    # Equal detections of one video differ in score, so that which of them is correct does not matter.
    lambda t, label, score: Detection(*t, label, score / 50),
    times,
    st.sampled_from(CLASSES),
    st.integers(0, 200),
)
truths = st.dictionaries(st.sampled_from("abc"), st.lists(segment, max_size=8), min_size=1).filter(
    lambda t: any(s.label != "Ambiguous" for found in t.values() for s in found)
)
findings = st.dictionaries(
    st.sampled_from("abcz"), st.lists(detection, max_size=12, unique_by=(lambda d: d.score, lambda d: d[:3]))
)


@quick
@given(truths, findings)
def test_agrees_with_a_literal_evaluator(segments, results):
    truth = truth_of(segments)
    scores = evaluate_detections(truth, results, CLASSES, TIOUS)
    expected = [[literal_ap(truth, results, label, t) for t in TIOUS] for label in scores.classes]
    np.testing.assert_allclose(scores.ap, expected, rtol=0, atol=1e-12)
    assert scores.instances == sum(len(one.segments) for one in truth.values())
    assert "Ambiguous" not in scores.classes
    curves = scores.plot_data(0.3)
    area = [np.dot(np.diff(curves[c]["recall"], prepend=0.0), curves[c]["precision"]) for c in scores.classes]
    np.testing.assert_allclose(area, scores.ap[:, 1], atol=1e-12)


@quick
@given(truths, findings, st.randoms(use_true_random=False))
def test_ignores_the_order_in_the_files(segments, results, random):
    def shuffled(table):
        videos = random.sample(list(table), len(table))
        return {video: random.sample(list(table[video]), len(table[video])) for video in videos}

    one = evaluate_detections(truth_of(segments), results, CLASSES, TIOUS)
    other = evaluate_detections(truth_of(shuffled(segments)), shuffled(results), reversed(CLASSES), TIOUS)
    np.testing.assert_array_equal(one.ap, other.ap)


@quick
@given(truths, findings)
def test_comparing_in_small_portions_changes_nothing(segments, results):
    truth = truth_of(segments)
    whole = evaluate_detections(truth, results, CLASSES, TIOUS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detections, "PAIRS_AT_ONCE", 3)
        portions = evaluate_detections(truth, results, CLASSES, TIOUS)
    np.testing.assert_array_equal(whole.ap, portions.ap)


@quick
@given(truths, st.randoms(use_true_random=False))
def test_the_truth_itself_scores_one(segments, random):
    segments = {video: sorted(set(found)) for video, found in segments.items()}
    results = {v: [Detection(*s, random.random()) for s in found if s.label != "Ambiguous"] for v, found in segments.items()}
    np.testing.assert_array_equal(evaluate_detections(truth_of(segments), results, CLASSES, TIOUS).ap, 1.0)


def test_the_truth_takes_the_best_detection_however_unsure():
    truth = truth_of({"a": [Segment(0, 10, "run")]})
    results = {"a": [Detection(0, 8, "run", 0.9), Detection(0, 10, "run", 0.1)]}
    assert evaluate_detections(truth, results, ["run"], (0.5,)).ap.tolist() == [[0.5]]
    assert activitynet.evaluate_detections(truth, results, ["run"], (0.5,)).ap.tolist() == [[1.0]]


def test_the_overlap_must_be_above_the_threshold():
    truth = truth_of({"a": [Segment(0, 10, "run")]})
    results = {"a": [Detection(0, 5, "run", 0.9)]}
    assert evaluate_detections(truth, results, ["run"], (0.49, 0.5)).ap.tolist() == [[1.0, 0.0]]


def test_a_wrong_detection_on_an_ambiguous_segment_is_not_counted():
    truth = truth_of({"a": [Segment(0, 10, "run"), Segment(50, 60, "Ambiguous")]})
    found = [Detection(59, 70, "run", 0.9), Detection(0, 10, "run", 0.5)]
    scores = evaluate_detections(truth, {"a": found}, ["run"], (0.5,))
    assert scores.ap.tolist() == [[1.0]]
    assert scores.counted.tolist() == [[False], [True]]
    assert [values.tolist() for values in scores.precision_recall("run", 0.5)] == [[1.0], [1.0]]
    # It only has to touch; and a correct detection that touches one is correct all the same.
    beside = {"a": [Detection(60, 70, "run", 0.9), found[1]]}
    assert evaluate_detections(truth, beside, ["run"], (0.5,)).ap.tolist() == [[0.5]]
    both = truth_of({"a": [Segment(0, 10, "run"), Segment(5, 20, "Ambiguous")]})
    assert evaluate_detections(both, {"a": found[1:]}, ["run"], (0.5,)).ap.tolist() == [[1.0]]


def test_the_precision_is_not_interpolated():
    truth = truth_of({"a": [Segment(0, 10, "run"), Segment(20, 30, "run")]})
    results = {"a": [Detection(80, 90, "run", 0.9), Detection(0, 10, "run", 0.8), Detection(20, 30, "run", 0.7)]}
    assert evaluate_detections(truth, results, ["run"], (0.5,)).ap.tolist() == [[(1 / 2 + 2 / 3) / 2]]
    np.testing.assert_allclose(activitynet.evaluate_detections(truth, results, ["run"], (0.5,)).ap, [[2 / 3]])


def test_faults_are_named():
    truth = truth_of({"a": [Segment(0, 10, "run"), Segment(0, 1, "Ambiguous")]})
    with pytest.raises(InputError, match=r"'Ambiguous' \(in video a\) is no class"):
        evaluate_detections(truth, {"a": [Detection(0, 1, "Ambiguous", 1.0)]}, ["run"], TIOUS)
    with pytest.raises(InputError, match="nothing can be scored"):
        evaluate_detections(truth_of({"a": [Segment(0, 1, "Ambiguous")]}), {}, [], TIOUS)


def test_nothing_detected_scores_zero():
    truth = truth_of({"a": [Segment(0, 10, "run")], "b": []})
    for results in ({}, {"a": [], "b": []}, {"elsewhere": [Detection(0, 10, "run", 1.0)]}):
        scores = evaluate_detections(truth, results, ["run"], TIOUS)
        assert scores.ap.tolist() == [[0.0] * len(TIOUS)]
        assert scores.unlisted == (() if "a" in results else ("a", "b"))

"""The W-TALC protocol against a literal walk through its rules, and each rule alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.types import Detection, Segment
from untrimmed.evaluation import activitynet, detections
from untrimmed.evaluation.wtalc import SNIPPETS_PER_SECOND, evaluate_detections, in_snippets

from .test_thumos14 import CLASSES, findings, segment, truth_of, truths

TIOUS = (0.1, 0.3, 0.5, 0.75, 1.0)
quick = settings(deadline=None, derandomize=True, max_examples=80)


def snippets(segment) -> set[int]:
    return set(range(round(segment[0] * 25 / 16), round(segment[1] * 25 / 16)))


def overlap(a, b) -> float:
    return len(snippets(a) & snippets(b)) / max(len(snippets(a) | snippets(b)), 1)


def literal_ap(truth, results, label: str, threshold: float) -> float:
    """AP of one class at one threshold, one detection after the other, with sets of snippets."""
    segments = {video: [s for s in one.segments if s.label == label] for video, one in truth.items()}
    number = sum(map(len, segments.values()))
    listed = [(-d.score, video, d.start, d.end) for video in truth for d in results.get(video, []) if d.label == label]
    hits = []
    for _, video, start, end in sorted(listed):
        if any(overlap((start, end), a) > 0 for a in truth[video].ambiguous):
            continue
        hits.append(False)
        for s in segments[video]:
            if overlap((start, end), s) >= threshold:
                segments[video].remove(s)
                hits[-1] = True
                break
    return sum(sum(hits[: n + 1]) / (n + 1) for n in range(len(hits)) if hits[n]) / number


@quick
@given(truths, findings)
def test_agrees_with_a_literal_evaluator(segments, results):
    truth = truth_of(segments)
    scores = evaluate_detections(truth, results, CLASSES, TIOUS)
    expected = [[literal_ap(truth, results, label, t) for t in TIOUS] for label in scores.classes]
    np.testing.assert_allclose(scores.ap, expected, rtol=0, atol=1e-12)
    curves = scores.plot_data(0.3)
    area = [np.dot(np.diff(curves[c]["recall"], prepend=0.0), curves[c]["precision"]) for c in scores.classes]
    np.testing.assert_allclose(area, scores.ap[:, 1], atol=1e-12)


@quick
@given(truths, findings, st.randoms(use_true_random=False))
def test_ignores_the_order_of_videos_and_detections(segments, results, random):
    mixed = {video: random.sample(results[video], len(results[video])) for video in random.sample(list(results), len(results))}
    other_truth = {video: segments[video] for video in random.sample(list(segments), len(segments))}
    one = evaluate_detections(truth_of(segments), results, CLASSES, TIOUS)
    other = evaluate_detections(truth_of(other_truth), mixed, reversed(CLASSES), TIOUS)
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
@given(st.lists(segment.filter(lambda s: s.label != "Ambiguous"), min_size=1, max_size=8, unique_by=lambda s: s[:2]))
def test_the_truth_itself_scores_one_where_no_two_overlap(segments):
    apart = [Segment(s.start + 20 * i, s.end + 20 * i, s.label) for i, s in enumerate(segments)]
    results = {"a": [Detection(*s, 1.0) for s in apart]}
    np.testing.assert_array_equal(evaluate_detections(truth_of({"a": apart}), results, CLASSES, TIOUS).ap, 1.0)


def test_time_is_cut_into_whole_snippets():
    assert SNIPPETS_PER_SECOND == 25 / 16
    assert in_snippets(np.array([0.0, 0.3, 0.32, 0.96, 1.6, 16.0])).tolist() == [0, 0, 0, 2, 2, 25]
    # 1.0 to 2.0 s and 1.2 to 1.7 s both round to the snippet 2 alone.
    truth = truth_of({"a": [Segment(1.0, 2.0, "run")]})
    found = {"a": [Detection(1.2, 1.7, "run", 0.9)]}
    assert evaluate_detections(truth, found, ["run"], (1.0,)).ap.tolist() == [[1.0]]
    assert activitynet.evaluate_detections(truth, found, ["run"], (0.51,)).ap.tolist() == [[0.0]]
    # What rounds to nothing matches nothing, though it still counts.
    short = truth_of({"a": [Segment(0.0, 0.3, "run")]})
    scores = evaluate_detections(short, {"a": [Detection(0.0, 0.3, "run", 0.9)]}, ["run"], (0.1,))
    assert (scores.ap.tolist(), scores.instances) == ([[0.0]], 1)


def test_a_detection_takes_the_first_segment_of_the_file_not_the_best():
    short, long = Segment(0.0, 6.4, "run"), Segment(0.0, 12.8, "run")
    # The surer fits both by 0.5 at least and takes the one listed first; the less sure fits only the longer.
    results = {"a": [Detection(0.0, 12.8, "run", 0.9), Detection(0.0, 25.6, "run", 0.8)]}
    assert evaluate_detections(truth_of({"a": [short, long]}), results, ["run"], (0.5,)).ap.tolist() == [[1.0]]
    assert evaluate_detections(truth_of({"a": [long, short]}), results, ["run"], (0.5,)).ap.tolist() == [[0.5]]


def test_a_detection_on_an_ambiguous_segment_is_deleted_even_if_correct():
    truth = truth_of({"a": [Segment(0, 12.8, "run"), Segment(12.0, 20.0, "Ambiguous")], "b": [Segment(0, 12.8, "run")]})
    results = {"a": [Detection(0, 12.8, "run", 0.9)], "b": [Detection(0, 12.8, "run", 0.5)]}
    scores = evaluate_detections(truth, results, ["run"], (0.5,))
    assert scores.ap.tolist() == [[0.5]]
    assert scores.counted.tolist() == [[False], [True]]
    assert scores.hits.tolist() == [[False], [True]]


def test_a_class_without_detections_scores_zero_alone():
    truth = truth_of({"a": [Segment(0, 12.8, "run"), Segment(20, 30, "dig")]})
    scores = evaluate_detections(truth, {"a": [Detection(0, 12.8, "run", 0.9)]}, CLASSES, (0.5,))
    assert (scores.classes, scores.ap.tolist(), scores.without_truth) == (("dig", "run"), [[0.0], [1.0]], ("jump",))

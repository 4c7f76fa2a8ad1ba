"""The vectorized evaluator against a literal one, and what must hold of any evaluator."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection, Segment
from untrimmed.evaluation import activitynet
from untrimmed.evaluation.activitynet import evaluate_detections, parse_tious

CLASSES = ("dig", "jump", "run")
TIOUS = (0.1, 0.3, 0.5, 0.75, 1.0)
quick = settings(deadline=None, derandomize=True, max_examples=80)


def truth_of(segments: dict[str, list[Segment]]) -> dict[str, VideoTruth]:
    return {video: VideoTruth("test", 100.0, tuple(found)) for video, found in segments.items()}


def tiou(a, b) -> float:
    """Intersection over union of two (start, end, ...), by the book."""
    if a[:2] == b[:2]:
        return 1.0
    both = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    either = (b[1] - b[0]) + (a[1] - a[0]) - both
    return both / either if either > 0 else 0.0


def literal_ap(truth, results, label: str, threshold: float) -> float:
    """AP of one class at one threshold, one detection after the other."""
    segments = {video: sorted(s[:2] for s in one.segments if s.label == label) for video, one in truth.items()}
    detections = [
        (-d.score, video, d.start, d.end) for video in results if video in truth for d in results[video] if d.label == label
    ]
    free = {video: [True] * len(found) for video, found in segments.items()}
    hits = []
    for _, video, start, end in sorted(detections):
        overlaps = np.array([tiou((start, end), segment) for segment in segments[video]])
        hits.append(False)
        for j in overlaps.argsort()[::-1]:
            if overlaps[j] < threshold:
                break
            if free[video][j]:
                free[video][j], hits[-1] = False, True
                break
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    gained = [max(precision[n:]) for n in range(len(hits)) if hits[n]]
    return sum(gained) / sum(map(len, segments.values()))


# Few distinct times, scores and labels, so that ties, duplicates and zero lengths are common.
times = st.tuples(st.integers(0, 7), st.integers(0, 7)).map(sorted)
segment = st.builds(lambda t, label: Segment(float(t[0]), float(t[1]), label), times, st.sampled_from(CLASSES))
detection = st.builds(
    lambda t, label, score: Detection(float(t[0]), float(t[1]), label, score / 4),
    times,
    st.sampled_from(CLASSES),
    st.integers(-3, 3),
)
truths = st.dictionaries(st.sampled_from("abc"), st.lists(segment, max_size=8), min_size=1).filter(lambda t: any(t.values()))
findings = st.dictionaries(st.sampled_from("abcz"), st.lists(detection, max_size=12))


@quick
@given(truths, findings)
def test_agrees_with_a_literal_evaluator(segments, results):
    truth = truth_of(segments)
    scores = evaluate_detections(truth, results, CLASSES, TIOUS)
    assert scores.classes == tuple(sorted({s.label for found in segments.values() for s in found}))
    expected = [[literal_ap(truth, results, label, t) for t in TIOUS] for label in scores.classes]
    np.testing.assert_allclose(scores.ap, expected, rtol=0, atol=1e-12)
    assert scores.ignored == sum(len(found) for video, found in results.items() if video not in truth)
    assert scores.instances == sum(map(len, segments.values()))
    assert set(scores.classes) | set(scores.without_truth) == set(CLASSES)


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
@given(truths, st.randoms(use_true_random=False))
def test_the_truth_itself_scores_one(segments, random):
    segments = {video: sorted(set(found)) for video, found in segments.items()}
    results = {video: [Detection(*s, random.random()) for s in found] for video, found in segments.items()}
    scores = evaluate_detections(truth_of(segments), results, CLASSES, TIOUS)
    np.testing.assert_array_equal(scores.ap, 1.0)
    assert scores.average == 1.0


@quick
@given(st.lists(st.tuples(st.floats(1, 50), st.floats(0.5, 20)), min_size=1, max_size=12), st.data())
def test_falls_as_the_boundaries_shift(spans, data):
    """One true segment per video: the further the detections are off, the lower every AP."""
    segments = {f"v{v}": [Segment(start, start + n, CLASSES[v % 3])] for v, (start, n) in enumerate(spans)}
    random = data.draw(st.randoms(use_true_random=False))
    sure = {video: random.random() for video in segments}

    def shifted(share: float):
        results = {}
        for video, [s] in segments.items():
            off = share * (s.end - s.start)
            results[video] = [Detection(s.start + off, s.end + off, s.label, sure[video])]
        return evaluate_detections(truth_of(segments), results, CLASSES, TIOUS).ap

    last = shifted(0.0)
    np.testing.assert_array_equal(last, 1.0)
    for share in (0.05, 0.2, 0.4, 0.7):
        now = shifted(share)
        assert (now <= last).all()
        last = now
    # Shifted by 0.7 of the length, tIoU is 0.3 / 1.7 = 0.18: right at 0.1, wrong at 0.3.
    np.testing.assert_array_equal(last[:, 0], 1.0)
    np.testing.assert_array_equal(last[:, 1:], 0.0)


@quick
@given(truths, findings, st.sampled_from("abc"), st.sampled_from(CLASSES))
def test_a_wrong_detection_below_all_others_never_raises_ap(segments, results, video, label):
    truth = truth_of({"a": [], "b": [], "c": [], **segments})
    before = evaluate_detections(truth, results, CLASSES, TIOUS)
    wrong = Detection(90.0, 91.0, label, -100.0)
    after = evaluate_detections(truth, {**results, video: [*results.get(video, []), wrong]}, CLASSES, TIOUS)
    assert (after.ap <= before.ap).all()


@quick
@given(truths, findings)
def test_comparing_in_small_portions_changes_nothing(segments, results):
    truth = truth_of(segments)
    whole = evaluate_detections(truth, results, CLASSES, TIOUS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activitynet, "PAIRS_AT_ONCE", 3)
        portions = evaluate_detections(truth, results, CLASSES, TIOUS)
    np.testing.assert_array_equal(whole.ap, portions.ap)


def test_a_worked_example():
    truth = truth_of({"a": [Segment(0, 10, "run"), Segment(20, 30, "run")]})
    results = {
        "a": [
            Detection(0, 10, "run", 0.9),  # right
            Detection(0, 9, "run", 0.8),  # the segment is taken: wrong
            Detection(21, 30, "run", 0.7),  # tIoU 0.9: right at 0.5, wrong at 0.95
        ]
    }
    scores = evaluate_detections(truth, results, ["run"], (0.5, 0.95))
    np.testing.assert_allclose(scores.ap, [[0.5 * 1 + 0.5 * 2 / 3, 0.5]])
    recall, precision = scores.precision_recall("run", 0.5)
    np.testing.assert_allclose(recall, [0.5, 0.5, 1.0])
    np.testing.assert_allclose(precision, [1.0, 0.5, 2 / 3])
    assert scores.plot_data(0.5) == {"run": {"recall": [0.5, 1.0], "precision": [1.0, 2 / 3]}}
    assert scores.plot_data(0.95) == {"run": {"recall": [0.5], "precision": [1.0]}}
    with pytest.raises(ValueError, match=r"tIoU 0\.7"):
        scores.precision_recall("run", 0.7)


def test_takes_the_next_best_segment_when_the_best_is_taken():
    truth = truth_of({"a": [Segment(0, 10, "run"), Segment(8, 18, "run")]})
    results = {"a": [Detection(0, 10, "run", 0.9), Detection(3, 13, "run", 0.8)]}
    # The second overlaps the first segment by 7/13, which is taken, and the other by 5/15.
    assert evaluate_detections(truth, results, ["run"], (0.3, 0.4)).ap.tolist() == [[1.0, 0.5]]


@quick
@given(truths, findings)
def test_the_area_under_the_plotted_curve_is_ap(segments, results):
    scores = evaluate_detections(truth_of(segments), results, CLASSES, TIOUS)
    curves = scores.plot_data(0.3)
    json.dumps(curves, allow_nan=False)
    area = [np.dot(np.diff(curves[c]["recall"], prepend=0.0), curves[c]["precision"]) for c in scores.classes]
    np.testing.assert_allclose(area, scores.ap[:, 1], atol=1e-12)


def test_nothing_detected_scores_zero():
    truth = truth_of({"a": [Segment(0, 10, "run")], "b": []})
    for results in ({}, {"a": [], "b": []}, {"elsewhere": [Detection(0, 10, "run", 1.0)]}):
        scores = evaluate_detections(truth, results, ["run"], TIOUS)
        assert scores.ap.tolist() == [[0.0] * len(TIOUS)]
        assert (scores.videos, scores.instances, scores.ignored) == (2, 1, len(results.get("elsewhere", [])))
        assert scores.unlisted == (() if "a" in results else ("a", "b"))


def test_a_video_without_annotations_makes_false_positives():
    truth = truth_of({"a": [Segment(0, 10, "run")], "b": []})
    results = {"a": [Detection(0, 10, "run", 0.5)], "b": [Detection(0, 10, "run", 0.9)]}
    assert evaluate_detections(truth, results, ["run"], (0.5,)).ap.tolist() == [[0.5]]


def test_classes_without_truth_are_left_out_of_the_mean():
    truth = truth_of({"a": [Segment(0, 10, "run")]})
    results = {"a": [Detection(0, 10, "run", 0.5), Detection(0, 10, "jump", 0.9)]}
    scores = evaluate_detections(truth, results, CLASSES, (0.5,))
    assert scores.classes == ("run",)
    assert scores.without_truth == ("dig", "jump")
    assert scores.mean_ap.tolist() == [1.0]


def test_only_the_same_instant_matches_a_segment_of_no_length():
    truth = truth_of({"a": [Segment(5, 5, "run")]})

    def ap(start: float, end: float) -> float:
        return evaluate_detections(truth, {"a": [Detection(start, end, "run", 1.0)]}, ["run"], (0.1,)).average

    assert [ap(5, 5), ap(6, 6), ap(4, 6)] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("rum", r"'rum' \(in video a\).*did you mean 'run'"),
        ("qqqqq", r"'qqqqq'.*those are: dig, jump, run"),
        ("cluster_03", r"'cluster_03'.*`map_clusters`"),
    ],
)
def test_an_unknown_label_is_named_with_a_way_out(label, words):
    truth = truth_of({"b": [Segment(0, 10, "run")]})
    with pytest.raises(InputError, match=words):
        evaluate_detections(truth, {"a": [Detection(0, 1, label, 0.5)]}, CLASSES, TIOUS)


def test_a_subset_without_any_truth_cannot_be_scored():
    with pytest.raises(InputError, match="true segment"):
        evaluate_detections(truth_of({"a": []}), {}, CLASSES, TIOUS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1:0.9:0.1", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
        ("0.5:0.95:0.05", (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)),
        ("0.1:0.95:0.2", (0.1, 0.3, 0.5, 0.7, 0.9)),
        ("0.5:1:0.5", (0.5, 1.0)),
        ("0.5", (0.5,)),
        (" 0.75, 0.5 ,0.5", (0.5, 0.75)),
    ],
)
def test_parses_thresholds(text, expected):
    assert parse_tious(text) == expected


@quick
@given(st.integers(1, 100), st.integers(0, 99), st.integers(1, 20))
def test_a_range_of_hundredths_includes_its_end(first, more, step):
    last = first + step * (1 + more)
    if last <= 100:
        expected = tuple(round(n / 100, 10) for n in range(first, last + 1, step))
        assert parse_tious(f"{first / 100}:{last / 100}:{step / 100}") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "half",
        "0.5,",
        "0",
        "1.5",
        "nan",
        "-0.1:0.5:0.1",
        "0.1:0.9",
        "0.1:0.9:0.1:1",
        "0.9:0.1:0.1",
        "0.1:0.9:0",
        "0.1:0.9:-0.1",
        "0.1:nan:0.1",
        "0.1:0.9:nan",
        "0.1:inf:0.1",
        "0.1:0.9:1e-9",
        "0.1:0.1:0.9",
    ],
)
def test_refuses_thresholds_that_make_no_sense(text):
    with pytest.raises(InputError, match=r"`tiou` .*; (write first:last:step|take a larger step)"):
        parse_tious(text)

"""The vectorized diagnosis against a literal one, and what must hold of any."""

import json

import numpy as np
import pytest
from hypothesis import given

from tests.evaluation.test_activitynet import CLASSES, TIOUS, findings, quick, tiou, truth_of, truths
from untrimmed.data.annotations import VideoTruth
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection, Segment
from untrimmed.evaluation.activitynet import evaluate_detections
from untrimmed.evaluation.diagnosis import KINDS, LEVELS, SIZES, Bins, diagnose


def literal_matches(truth, results, label, threshold):
    """Per detection of a class, surest first: (video, detection, the true segment it takes or None), one after the other."""
    free = {video: sorted(s for s in one.segments if s.label == label) for video, one in truth.items()}
    all_of = {video: list(found) for video, found in free.items()}
    left = {video: [True] * len(found) for video, found in free.items()}
    rows = []
    inside = [(-d.score, video, d.start, d.end) for video in results if video in truth for d in results[video] if d.label == label]
    for _, video, start, end in sorted(inside):
        overlaps = np.array([tiou((start, end), s) for s in all_of[video]])
        mine = None
        for j in overlaps.argsort()[::-1]:
            if overlaps[j] < threshold:
                break
            if left[video][j]:
                left[video][j], mine = False, (video, label, j)
                break
        rows.append((video, (start, end), mine))
    return rows


def literal_kind(truth, label, threshold, row):
    video, span, mine = row
    if mine is not None:
        return "true positive"
    overlaps = [(tiou(span, s), s.label == label) for s in truth[video].segments]
    top, same = max(overlaps, default=(0.0, False))
    if top >= threshold:
        return "double detection" if same else "wrong label"
    if top >= 0.1:
        return "localization error" if same else "confusion error"
    return "background error"


def literal_area(hits, instances, number):
    """Interpolated AP with the class's number of true segments in the precision replaced."""
    precision, right, wrong = [], 0, 0
    for hit in hits:
        right, wrong = right + hit, wrong + (not hit)
        precision.append(right / instances * number / (right / instances * number + wrong))
    return sum(max(precision[n:]) for n in range(len(hits)) if hits[n]) / instances


@quick
@given(truths, findings)
def test_agrees_with_a_literal_diagnosis(segments, results):
    truth = truth_of(segments)
    outcome = diagnose(truth, results, CLASSES, TIOUS)
    labels = sorted({s.label for found in segments.values() for s in found})
    number = {label: sum(s.label == label for found in segments.values() for s in found) for label in labels}
    mean = sum(number.values()) / len(labels)
    for k, threshold in enumerate(TIOUS):
        counts = np.zeros((LEVELS, len(KINDS)), int)
        without = {kind: [] for kind in KINDS}
        normal, missed = [], 0
        for label in labels:
            rows = literal_matches(truth, results, label, threshold)
            kinds = [literal_kind(truth, label, threshold, row) for row in rows]
            kept = kinds[: LEVELS * number[label]]
            for rank, kind in enumerate(kept):
                counts[rank // number[label], KINDS.index(kind)] += 1
            for kind in KINDS:
                hits = [one == "true positive" for one in kept if kind == "true positive" or one != kind]
                without[kind].append(literal_area(hits, number[label], number[label]))
            hits = [one == "true positive" for one in kinds]
            normal.append(literal_area(hits, number[label], mean))
            taken, wrong = 0, 0
            for hit in hits:
                taken, wrong = taken + hit, wrong + (not hit)
                if hit and taken / number[label] * mean / (taken / number[label] * mean + wrong) > 0.05:
                    missed -= 1
        missed += sum(number.values())
        np.testing.assert_array_equal(outcome.counts[k], counts)
        base = np.mean(without["true positive"])
        assert outcome.mean_ap[k] == pytest.approx(base)
        for i, kind in enumerate(KINDS[1:], 1):
            assert outcome.gain[k, i] == pytest.approx(np.mean(without[kind]) - base)
        assert outcome.map_n[k] == pytest.approx(np.mean(normal))
        assert outcome.missed[k] == pytest.approx(missed / sum(number.values()))


@quick
@given(truths, findings)
def test_the_kinds_share_out_the_detections(segments, results):
    outcome = diagnose(truth_of(segments), results, CLASSES, TIOUS)
    scores = evaluate_detections(truth_of(segments), results, CLASSES, TIOUS)
    looked_at = sum(
        min(LEVELS * n, b - a) for n, a, b in zip(scores.class_instances, scores.bounds[:-1], scores.bounds[1:], strict=True)
    )
    assert (outcome.counts.sum(axis=(1, 2)) == looked_at).all()
    assert (outcome.gain >= -1e-12).all(), "taking away mistakes never costs"
    if looked_at == len(scores.hits):
        np.testing.assert_allclose(outcome.mean_ap, scores.mean_ap, atol=1e-12)
        np.testing.assert_array_equal(outcome.counts[:, :, 0].sum(axis=1), scores.hits.sum(axis=0))
    for bins in outcome.bins:
        assert bins.count.sum() + bins.unknown == outcome.instances
        np.testing.assert_array_less(-1e-12, bins.map_n)
        np.testing.assert_array_less(bins.map_n, 1 + 1e-12)
        np.testing.assert_allclose((bins.missed * bins.count[:, None]).sum(axis=0), outcome.missed * outcome.instances, atol=1e-9)
    json.dumps(outcome.to_json(), allow_nan=False)
    assert "nan" not in outcome.text()


@quick
@given(truths)
def test_without_mistakes_there_is_nothing_to_gain(segments):
    segments = {video: sorted(set(found)) for video, found in segments.items()}
    results = {video: [Detection(*s, 1.0) for s in found] for video, found in segments.items()}
    outcome = diagnose(truth_of(segments), results, CLASSES, TIOUS)
    assert outcome.counts[:, :, 1:].sum() == 0
    assert (outcome.gain == 0).all()
    np.testing.assert_allclose(outcome.mean_ap, 1.0)
    assert (outcome.missed == 0).all()
    for bins in outcome.bins:
        np.testing.assert_allclose(bins.map_n[bins.count > 0], 1.0)


def test_each_kind_on_purpose():
    truth = {
        "a": VideoTruth("test", 100.0, (Segment(0, 10, "jump"), Segment(40, 50, "dig"), Segment(80, 90, "jump"))),
        "b": VideoTruth("test", 100.0, ()),
    }
    results = {
        "a": [
            Detection(0, 10, "jump", 0.9),
            Detection(0, 9, "jump", 0.8),
            Detection(40, 49, "jump", 0.7),
            Detection(80, 83, "jump", 0.6),
            Detection(40, 43, "jump", 0.5),
        ],
        "b": [Detection(0, 10, "jump", 0.4)],
        "outside": [Detection(0, 10, "jump", 1.0)],
    }
    outcome = diagnose(truth, results, CLASSES, (0.5,))
    np.testing.assert_array_equal(outcome.counts[0].sum(axis=0), [1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(outcome.counts[0, 0], [1, 1, 0, 0, 0, 0], "two true jumps, so two at a level")
    assert outcome.missed[0] == pytest.approx(2 / 3), "the second jump, and the digging"
    text = outcome.text()
    assert "missed: 66.7 of 3" in text
    assert "background error" in text


def test_the_bins_of_a_trait():
    short = [Segment(10 * k, 10 * k + 1.0 + k % 5, "jump") for k in range(20)]
    truth = {"a": VideoTruth("test", 250.0, tuple(short)), "b": VideoTruth("test", None, (Segment(0, 40, "jump"),))}
    results = {"a": [Detection(*s, 0.5) for s in short if s.end - s.start > 2]}
    bins = {one.trait: one for one in diagnose(truth, results, ["jump"], (0.5,)).bins}
    length = bins["length"]
    assert (length.source, length.bounds) == ("THUMOS14", (3.0, 6.0, 12.0, 18.0))
    assert length.count.tolist() == [12, 8, 0, 0, 1], "up to 3 s, the bound itself inside"
    np.testing.assert_allclose(length.missed[:, 0], [8 / 12, 0, 0, 0, 1])
    assert length.range(1) == "3 to 6"
    assert bins["coverage"].unknown == 1, "a video without a duration"
    assert bins["instances"].source == "fifths", "THUMOS14's and ActivityNet's bounds put nearly all into one bin"
    assert bins["instances"].range(0) == "all", "but one video has 20, the other 1: no fifth ends between"
    assert bins["instances"].names == SIZES[: len(bins["instances"].count)]


def test_numbers_of_instances_are_whole():
    none = np.zeros((4, 1))
    bins = Bins("instances", SIZES[:4], (1.0, 4.0, 8.0), "ActivityNet", np.zeros(4), none, none, 0)
    assert [bins.range(b) for b in range(4)] == ["1", "2 to 4", "5 to 8", "9 or more"]


def test_a_bin_counts_its_own_truth_only():
    """Half of the truth is short and found first, the other half long and never found."""
    truth = {"a": VideoTruth("test", 1000.0, tuple(Segment(50 * k, 50 * k + (2 if k % 2 else 20), "jump") for k in range(10)))}
    results = {"a": [Detection(*s, 1.0 - s.start / 1000) for s in truth["a"].segments if s.end - s.start < 3]}
    outcome = diagnose(truth, results, ["jump"], (0.5,))
    length = next(one for one in outcome.bins if one.trait == "length")
    assert length.map_n[0, 0] == 1.0
    assert length.map_n[-1, 0] == 0.0
    assert outcome.map_n[0] == pytest.approx(0.5)


def test_a_flood_of_detections_does_not_count_as_finding():
    """All truth is found, but behind so many mistakes that no one would look there."""
    truth = {"a": VideoTruth("test", 1000.0, (Segment(900, 910, "jump"),))}
    flood = [Detection(k, k + 1.0, "jump", 1.0) for k in range(100)]
    outcome = diagnose(truth, {"a": [*flood, Detection(900, 910, "jump", 0.1)]}, ["jump"], (0.5,))
    assert outcome.missed[0] == 1.0
    assert outcome.counts.sum() == 10


def test_faults_are_the_evaluators():
    truth = {"a": VideoTruth("test", 10.0, (Segment(0, 1, "jump"),))}
    with pytest.raises(InputError, match="'jmup'"):
        diagnose(truth, {"a": [Detection(0, 1, "jmup", 1.0)]}, CLASSES, TIOUS)
    with pytest.raises(InputError, match="none of the chosen videos"):
        diagnose({"a": VideoTruth("test", 10.0, ())}, {}, CLASSES, TIOUS)

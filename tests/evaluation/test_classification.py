"""Classification against slow versions, scikit-learn and the published codes' numbers."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from untrimmed.data.errors import InputError
from untrimmed.evaluation.classification import average_precision, evaluate_classification

quick = settings(deadline=None, derandomize=True, max_examples=80)


@st.composite
def ranked(draw):
    """Relevant or not, and scores with many ties."""
    n = draw(st.integers(1, 30))
    relevant = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(any))
    score = draw(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0]), min_size=n, max_size=n))
    return np.array(relevant), np.array(score)


def slow_average_precision(relevant, score) -> float:
    """At each score that occurs: the precision there, times the recall gained."""
    area, before = 0.0, 0
    for level in sorted(set(score), reverse=True):
        found = [right for right, own in zip(relevant, score, strict=True) if own >= level]
        area += (sum(found) - before) / sum(relevant) * sum(found) / len(found)
        before = sum(found)
    return area


@quick
@given(ranked())
def test_average_precision_is_scikit_learns_and_the_books(case):
    relevant, score = case
    ours = average_precision(relevant, score)
    assert ours == pytest.approx(average_precision_score(relevant, score), abs=1e-12)
    assert ours == pytest.approx(slow_average_precision(relevant, score), abs=1e-12)


@st.composite
def worlds(draw):
    classes = ("a", "b", "c")
    videos = [f"v{i}" for i in range(draw(st.integers(1, 8)))]
    truth = {video: draw(st.frozensets(st.sampled_from(classes))) for video in videos}
    scores = {
        video: np.array(draw(st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9]), min_size=3, max_size=3)))
        for video in videos
        if draw(st.integers(0, 5))
    }
    return classes, truth, scores


@quick
@given(worlds())
def test_scores_of_videos_are_those_of_a_literal_loop(world):
    classes, truth, scores = world
    if not any(truth.values()):
        with pytest.raises(InputError, match="none of the chosen videos has a label"):
            evaluate_classification(truth, scores, classes)
        return
    found = evaluate_classification(truth, scores, classes)
    right = total = 0
    for video, labels in truth.items():
        if labels:
            total += 1
            if video in scores:
                own = list(scores[video])
                right += classes[own.index(max(own))] in labels
    assert found.accuracy == right / total
    assert found.classes == tuple(sorted(set().union(*truth.values())))
    for label, ap in zip(found.classes, found.ap, strict=True):
        c = classes.index(label)
        relevant = [label in labels for labels in truth.values()]
        score = [scores[video][c] if video in scores else -1.0 for video in truth]
        assert ap == pytest.approx(slow_average_precision(relevant, score), abs=1e-12)
    assert found.mean_ap == pytest.approx(np.mean(found.ap))
    turned = dict(reversed(truth.items()))
    assert np.array_equal(evaluate_classification(turned, scores, classes).ap, found.ap)


def test_classes_that_no_video_has_still_take_the_top():
    truth = {"v": {"run"}, "w": {"run"}, "quiet": set()}
    scores = {"v": np.array([0.9, 0.1]), "w": np.array([0.1, 0.9]), "quiet": np.array([0.9, 0.8])}
    found = evaluate_classification(truth, scores, ("juggle", "run"))
    assert found.accuracy == 0.5
    assert found.unknown == ("juggle",)
    assert (found.videos, found.empty) == (3, 1)
    assert found.ap.tolist() == pytest.approx([(1 / 1 + 2 / 3) / 2])  # w, then quiet, then v
    with pytest.raises(InputError, match="none of the scored classes"):
        evaluate_classification(truth, {"v": np.array([1.0])}, ("rum",))


def test_agrees_with_the_published_code(golden):
    """W-TALC's classificationMAP on 212 videos."""
    data = np.load(golden / "wtalc_clsmap.npz")
    expected = json.loads((golden / "wtalc_3cnet_detmap.json").read_text())["classificationMAP"]
    classes = [f"{c:02}" for c in range(data["labels"].shape[1])]
    truth = {f"{v}": {classes[c] for c in np.flatnonzero(row)} for v, row in enumerate(data["labels"])}
    scores = {f"{v}": row for v, row in enumerate(data["conf"])}
    found = evaluate_classification(truth, scores, classes)
    # Its divisions have a small constant added, which moves the eighth digit; its mean is in per cent.
    assert found.ap == pytest.approx(np.array(expected["ap"]), abs=1e-7)
    assert 100 * found.mean_ap == pytest.approx(expected["mAP"], abs=1e-5)

"""The set statistics against sets, and attention by part against a loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from untrimmed.data.errors import InputError
from untrimmed.data.types import Segment, Timeline
from untrimmed.evaluation.attention import (
    LEVELS,
    Snippets,
    attention_by_part,
    attention_statistics,
    chance_above,
    check_parts,
    evidence_of,
    in_truth,
    kinds_of,
    softmax,
)

quick = settings(deadline=None, derandomize=True, max_examples=60)
snippet = st.tuples(st.booleans(), *[st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.55, 0.9, 1.0])] * 2)
videos = st.lists(st.lists(snippet, min_size=1, max_size=6), min_size=1, max_size=4)


@quick
@given(videos)
def test_the_statistics_are_those_of_sets(world):
    columns = [Snippets(*(np.array(column) for column in zip(*video, strict=True))) for video in world]
    every = {(v, t) for v, video in enumerate(world) for t in range(len(video))}
    gt = {(v, t) for v, t in every if world[v][t][0]}
    if not gt:
        with pytest.raises(InputError, match="nothing to divide by"):
            attention_statistics(columns)
        return
    found = attention_statistics(columns)
    assert (found.truth, found.snippets) == (len(gt), len(every))
    for i, level in enumerate(LEVELS):
        att = {(v, t) for v, t in every if world[v][t][1] > level}
        for j, class_level in enumerate(LEVELS):
            cls = {(v, t) for v, t in every if world[v][t][2] > class_level}
            sets = {
                "att-gt/gt": att - gt,
                "gt-att/gt": gt - att,
                "(cls-gt)-att/gt": (cls - gt) & (every - att),
                "(att&gt)-cls/gt": (att & gt) - cls,
            }
            for name, members in sets.items():
                assert found.ratios[name][i, j] == pytest.approx(len(members) / len(gt))
    assert found.at_standard() == {name: ratio[4, 4] for name, ratio in found.ratios.items()}
    flat = [one for video in world for one in video]
    assert found.precision == pytest.approx(average_precision_score([g for g, _, _ in flat], [a for _, a, _ in flat]))


def test_a_snippet_is_true_by_its_centre():
    timeline = Timeline(0.0, 2.0, 5, 9.0)  # centres 1, 3, 5, 7, 9 (the last is cut to the video's end)
    inside = in_truth(timeline, [Segment(0.9, 1.1, "a"), Segment(3.0, 5.0, "b"), Segment(2.0, 2.9, "c")])
    assert inside.tolist() == [True, True, False, False, False]
    assert not in_truth(timeline, []).any()


def test_evidence_is_that_of_the_best_true_class():
    logit = np.log([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    assert evidence_of(softmax(logit), ("a", "b", "c"), ["b", "c"]) == pytest.approx([0.2, 0.6])
    assert evidence_of(softmax(logit), ("a", "b", "c"), []).tolist() == [0, 0]
    assert evidence_of(softmax(logit), ("a", "b", "c"), ["z"]).tolist() == [0, 0]
    assert softmax(np.array([[0.0], [800.0], [-800.0]])).ravel().tolist() == [0.5, 1.0, 0.0]


@quick
@given(*[st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9]), min_size=1, max_size=12)] * 2)
def test_chance_above_counts_pairs(a, b):
    chance = chance_above(np.array(a), np.array(b))
    assert chance == pytest.approx(np.mean([(x > y) + 0.5 * (x == y) for x in a for y in b]))
    assert chance == pytest.approx(roc_auc_score([1] * len(a) + [0] * len(b), a + b))


def test_kinds_in_snippets_and_in_seconds():
    timeline = Timeline(0.0, 0.5, 8, 4.0)
    in_snippets = [["background", 0, 3], ["run", 3, 2], ["context", 5, 3]]
    in_seconds = [[kind, start / 2, length / 2] for kind, start, length in in_snippets]
    for parts in (in_snippets, in_seconds):
        assert kinds_of(parts, timeline).tolist() == [2, 2, 2, 0, 0, 1, 1, 1]
    assert kinds_of(in_snippets, Timeline(0.0, 1.0, 4, 4.0)).tolist() == [2, 0, 1, 1]  # centres 1, 3, 5, 7 snippets


def test_attention_by_part():
    attention = [np.array([0.9, 0.8, 0.2, 0.1]), np.array([0.6, 1.5])]
    report = attention_by_part(attention, [np.array([0, 0, 1, 1]), np.array([0, 1])])
    assert set(report.parts) == {"action", "context"}
    action = report.parts["action"]
    assert (action.snippets, action.mean) == (3, pytest.approx(2.3 / 3))
    assert action.quantiles[2] == pytest.approx(0.8)
    assert action.edges[-1] == 1.5
    assert sum(action.histogram) == pytest.approx(1)
    assert report.above == {"action>context": pytest.approx(6 / 9)}


@pytest.mark.parametrize(
    "parts",
    [[["run", 0, 3], ["run", 4, 1]], [["run", 1, 3]], [["run", 0]], [], [[3, 0, 1]], [["run", 0, 0]], [["run", 0, "x"]], None, 5],
)
def test_parts_at_fault(parts):
    with pytest.raises(InputError, match="video v"):
        check_parts({"v": parts}, "parts.json")
    with pytest.raises(InputError, match="expected an object"):
        check_parts([], "parts.json")

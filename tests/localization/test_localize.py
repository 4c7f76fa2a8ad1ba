"""The way from activations to detections: each setting does what it says, whatever the batch."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.errors import InputError
from untrimmed.data.settings import build
from untrimmed.data.types import Activation, Detection, StreamActivation, Timeline
from untrimmed.localization import Localization, kept_classes, localize

MODULE = importlib.import_module("untrimmed.localization.pipeline")
CLASSES = ("jump", "run", "throw")


def some(seed, videos=5, streams=("rgb", "flow"), kind="gate", longest=30):
    rng = np.random.default_rng(seed)
    found = []
    for v in range(videos):
        count = int(rng.integers(1, longest))
        duration = count * 0.64 - rng.uniform(0, 0.3)
        parts = {}
        for stream in streams:
            gate = rng.uniform(0, 1, count) ** 3
            parts[stream] = StreamActivation(
                gate if kind == "gate" else gate / gate.sum(), rng.normal(0, 2, (count, 3)), rng.dirichlet([0.3] * 3)
            )
        timeline = Timeline(float(rng.uniform(-0.2, 0.5)), 0.64, count, duration)
        found.append(Activation(f"v{v}", CLASSES, timeline, parts, attention_kind=kind))
    return found


def bump(peaks, count=20, label=0, height=6.0, score=(0.9, 0.05, 0.05), duration=None, streams=("rgb",)):
    """A video whose attention is 1 within the peaks [a, b) and 0 elsewhere, and whose class is sure there."""
    gate, logit = np.zeros(count), np.full((count, 3), -height)
    for a, b in peaks:
        gate[a:b] = 1.0
        logit[a:b, label] = height
    part = StreamActivation(gate, logit, np.array(score))
    return Activation("v", CLASSES, Timeline(0.0, 1.0, count, duration or count), dict.fromkeys(streams, part))


choices = st.fixed_dictionaries(
    {
        "class_threshold": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        "class_scores": st.sampled_from(["stream", "mean"]),
        "always_best": st.booleans(),
        "class_value": st.sampled_from(["score", "top"]),
        "curve": st.sampled_from(["gated", "attention", "class", "logit"]),
        "upsample": st.sampled_from([1, 3, 20]),
        "smooth": st.sampled_from([0.0, 2.0]),
        "thresholds": st.sampled_from([(0.03,), (0.1, 0.3, 0.6), (0.9,)]),
        "relative_to": st.sampled_from(["none", "max", "mean", "range"]),
        "least": st.sampled_from([0.0, 0.5, 2.0]),
        "inside": st.sampled_from(["mean", "max"]),
        "class_weight": st.sampled_from([0.0, 0.5]),
        "fusion": st.sampled_from(["union", "weighted"]),
        "nms": st.sampled_from([0.0, 0.5, 1.0]),
        "soft_nms": st.sampled_from([None, 0.3]),
        "official": st.booleans(),
        "streams": st.sampled_from([{}, {"flow": {"thresholds": (0.08,), "stream_weight": 0.65}, "rgb": {"stream_weight": 0.35}}]),
    }
).filter(lambda values: values["fusion"] == "union" or "thresholds" not in values["streams"].get("flow", {}))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 50), choices, st.sampled_from(["gate", "distribution"]))
def test_whatever_the_settings_detections_are_well_formed(seed, values, kind):
    activations = some(seed, kind=kind)
    results = localize(activations, Localization(**values))
    assert list(results) == [a.video for a in activations]
    for activation in activations:
        found = results[activation.video]
        for d in found:
            assert 0 <= d.start < d.end <= activation.timeline.duration
            assert d.label in CLASSES
            assert np.isfinite(d.score)
        assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
        if values["soft_nms"] is None and not values["official"]:
            for a in found:
                for b in found:
                    if a is not b and a.label == b.label:
                        inside = max(min(a.end, b.end) - max(a.start, b.start), 0)
                        assert inside / (a.end - a.start + b.end - b.start - inside) <= values["nms"] + 1e-12


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(0, 50), choices, st.sampled_from([1, 100, 700]))
def test_one_by_one_or_all_at_once(seed, values, steps):
    activations, chosen = some(seed), Localization(**values)
    together = localize(activations, chosen)
    single = {}
    for activation in activations:
        single |= localize([activation], chosen)
    before, MODULE.MAX_STEPS = MODULE.MAX_STEPS, steps
    try:
        batched = localize(activations, chosen)
    finally:
        MODULE.MAX_STEPS = before
    for other in (single, batched):
        assert list(other) == list(together)
        for video, found in together.items():
            assert [d.label for d in found] == [d.label for d in other[video]]
            np.testing.assert_allclose(
                [(d.start, d.end, d.score) for d in found], [(d.start, d.end, d.score) for d in other[video]], atol=1e-9
            )


def test_no_video_no_result():
    assert localize([], Localization()) == {}


def test_segments_lie_where_the_curve_does():
    """Not half a snippet early, as the released code has it."""
    activation = bump([(5, 9), (14, 17)], label=1, score=(0.05, 0.9, 0.05))
    found = sorted(localize([activation], Localization(thresholds=(0.5,), curve="attention"))["v"])
    assert [(d.start, d.end) for d in found] == [(5, 9), (14, 17)]
    assert {d.label for d in found} == {"run"}
    early = sorted(localize([activation], Localization(thresholds=(0.5,), curve="attention", official=True))["v"])
    assert [(d.start, d.end) for d in early] == [pytest.approx((4.55, 8.5)), pytest.approx((13.55, 16.5))]


def test_segments_follow_the_timeline():
    activation = bump([(5, 9)])
    activation.timeline = Timeline(-2.0, 0.5, 20, 1.75)  # starts before the video, ends after it
    (found,) = localize([activation], Localization(thresholds=(0.5,), curve="attention"))["v"]
    assert (found.start, found.end) == (0.5, 1.75)
    activation.timeline = Timeline(3.0, 0.5, 20, 4.0)  # all of the segment lies beyond the end
    assert localize([activation], Localization(thresholds=(0.5,), curve="attention"))["v"] == []


def test_a_distribution_is_a_gate_of_another_scale():
    """The same share of attention at a snippet means the same in a long and in a short video."""
    for count in (20, 200):
        spread = bump([(5, 9)], count)
        gate = spread.streams["rgb"].attention * 3 + 0.1
        own = replace(spread, streams={"rgb": replace(spread.streams["rgb"], attention=gate / gate.sum())})
        own.attention_kind = "distribution"
        as_gate = replace(spread, streams={"rgb": replace(spread.streams["rgb"], attention=gate / gate.sum() * count)})
        for curve in ("gated", "attention"):
            chosen = Localization(thresholds=(1.5,), curve=curve)
            found = localize([own], chosen)["v"]
            assert found == localize([as_gate], chosen)["v"]
            assert len(found) == 1


def test_classes_above_the_threshold_are_kept_and_the_best_always():
    def labels(score, **values):
        activation = bump([(5, 9)], score=score)
        activation.streams["rgb"].class_logit[5:9] = 6.0
        return {d.label for d in localize([activation], Localization(**values))["v"]}

    assert labels((0.5, 0.3, 0.05)) == {"jump", "run"}
    assert labels((0.5, 0.3, 0.05), class_threshold=0.01) == set(CLASSES)
    assert labels((0.05, 0.02, 0.07)) == {"throw"}  # none is above 0.1
    assert labels((0.5, 0.3, 0.05), class_threshold=1) == {"jump"}


def test_class_scores_of_the_stream_or_of_all():
    activation = bump([(5, 9)], streams=("rgb", "flow"))
    activation.streams["rgb"] = replace(activation.streams["rgb"], class_score=np.array([0.9, 0.0, 0.0]))
    activation.streams["flow"] = replace(activation.streams["flow"], class_score=np.array([0.0, 0.9, 0.0]))
    for part in activation.streams.values():
        part.class_logit[5:9] = 6.0
    weights = {"rgb": {"stream_weight": 0.95, "attention_share": 0.2}, "flow": {"stream_weight": 0.05}}
    both = localize([activation], Localization(streams=weights))["v"]
    mean = localize([activation], Localization(class_scores="mean", streams=weights))["v"]
    assert {d.label for d in both} == {"jump", "run"}
    assert {d.label for d in mean} == {"jump"}


def test_thresholds_relative_to_the_curve():
    activation = bump([(5, 9)])
    activation.streams["rgb"].attention[:] = 0.2
    activation.streams["rgb"].attention[5:9] = 0.3  # the mean is 0.22

    def found(**values):
        return [(d.start, d.end) for d in localize([activation], Localization(curve="attention", upsample=1, **values))["v"]]

    assert found(thresholds=(0.25,)) == [(5, 9)]
    assert found(thresholds=(0.9,)) == []
    assert found(thresholds=(0.9,), relative_to="max") == [(5, 9)]
    assert found(thresholds=(0.6,), relative_to="max") == [(0, 20)]
    assert found(thresholds=(1.1,), relative_to="mean") == [(5, 9)]
    assert found(thresholds=(0.8,), relative_to="mean") == [(0, 20)]


@pytest.mark.parametrize("count", [1, 3, 20])
def test_a_curve_that_is_as_high_as_its_mean_everywhere_is_one_run(count):
    """... however the mean is rounded: a video of a single snippet is not found or lost by luck."""
    settings = Localization(curve="attention", thresholds=(1.0,), relative_to="mean", smooth=2.0)
    for height in np.random.default_rng(0).uniform(0.01, 1, 20):
        activation = bump([(0, 0)], count=count)
        activation.streams["rgb"].attention[:] = height
        assert [(d.start, d.end) for d in localize([activation], settings)["v"]] == [(0, count)]


def test_several_thresholds_give_each_run_once():
    activation = bump([(5, 9)])
    one = localize([activation], Localization(curve="attention", upsample=1, nms=1.0, thresholds=(0.5,)))["v"]
    many = localize([activation], Localization(curve="attention", upsample=1, nms=1.0, thresholds=(0.3, 0.5, 0.7)))["v"]
    assert one == many


def test_weighted_fusion_cuts_the_mean_curve():
    activation = bump([(5, 9)], streams=("rgb", "flow"))
    other = bump([(9, 12)]).streams["rgb"]
    activation.streams["flow"] = other
    weights = {"rgb": {"stream_weight": 3.0}, "flow": {"stream_weight": 1.0}}

    def found(**values):
        chosen = Localization(curve="attention", upsample=1, nms=1.0, streams=weights, **values)
        return {(d.start, d.end) for d in localize([activation], chosen)["v"]}

    assert found(thresholds=(0.5,)) == {(5, 9), (9, 12)}
    assert found(thresholds=(0.5,), fusion="weighted") == {(5, 9)}
    assert found(thresholds=(0.2,), fusion="weighted") == {(5, 12)}
    fused = localize([activation], Localization(fusion="weighted", streams=weights, contrast=0))["v"]
    single = StreamActivation(
        *(
            0.75 * getattr(activation.streams["rgb"], n) + 0.25 * getattr(other, n)
            for n in ("attention", "class_logit", "class_score")
        )
    )
    alone = replace(activation, streams={"one": single})
    assert [d[:3] for d in fused] == [d[:3] for d in localize([alone], Localization(contrast=0))["v"]]


def test_weights_matter_only_by_their_ratio():
    activations = some(3)
    a, b, c = (
        localize(activations, Localization(streams={"rgb": {"stream_weight": w}, "flow": {"stream_weight": 2 * w}}))
        for w in (1.0, 10.0, 0.0)
    )
    for video in a:
        np.testing.assert_allclose([d.score for d in a[video]], [d.score for d in b[video]])
    assert set(c) == set(a)  # all weights zero: as if all were equal


def test_a_stream_without_attention_is_cut_by_its_class_curve():
    activation = bump([(5, 9)])
    activation.streams["rgb"].attention = None
    (found,) = localize([activation], Localization(thresholds=(0.5,)))["v"]
    assert (found.start, found.end) == (5, 9)


def test_a_method_s_own_proposals_replace_the_cut_ones():
    own = [Detection(1.0, 2.0, "run", 0.7)]
    activations = [
        replace(bump([(5, 9)]), segments=own),
        replace(bump([(5, 9)]), video="w"),
        replace(bump([]), video="x", segments=[]),
    ]
    found = localize(activations, Localization())
    assert found["v"] == own
    assert [d.label for d in found["w"]] == ["jump"]
    assert found["x"] == []


def test_what_stands_out_of_its_surroundings_scores_higher():
    activation = bump([(5, 9)])
    activation.streams["rgb"].attention[4] = activation.streams["rgb"].attention[9] = 0.4  # blurred borders
    activation.streams["rgb"].class_logit[:, 0] = 6
    sharp, blurred = bump([(5, 9)]), activation
    sharp.streams["rgb"].class_logit[:, 0] = 6
    chosen = Localization(curve="attention", thresholds=(0.7,), upsample=1)
    (a,), (b,) = (localize([x], chosen)["v"] for x in (sharp, blurred))
    assert a[:3] == b[:3]
    assert a.score > b.score
    assert a.score == pytest.approx(1 / (1 + np.exp(-6)))
    (plain,) = localize([blurred], replace(chosen, contrast=0.0))["v"]
    assert plain.score == pytest.approx(a.score)
    (with_class,) = localize([sharp], replace(chosen, class_weight=0.5))["v"]
    assert with_class.score == pytest.approx(a.score + 0.5 * 0.9)


@pytest.mark.parametrize("name", ["upsample", "fusion", "nms", "soft_nms", "official"])
def test_what_holds_for_all_streams_cannot_differ_by_stream(name):
    value = {"upsample": 10, "fusion": "weighted", "nms": 0.3, "soft_nms": 0.3, "official": True}[name]
    assert getattr(build(Localization, {name: value}, "localization"), name) == value
    with pytest.raises(InputError, match=f"localization.flow.{name}: holds for all streams alike"):
        build(Localization, {"flow": {name: value}}, "localization")


def test_weighted_fusion_takes_no_setting_of_one_stream_but_its_weight():
    with pytest.raises(InputError, match=r"localization.flow.thresholds: with fusion=weighted only stream_weight"):
        build(Localization, {"fusion": "weighted", "flow": {"thresholds": [0.2]}}, "localization")
    build(Localization, {"fusion": "weighted", "flow": {"stream_weight": 2.0}}, "localization")


def test_kept_classes_are_those_that_any_stream_is_localized_for():
    activation = bump([(5, 9)], score=(0.05, 0.3, 0.04), streams=("rgb", "flow"))
    activation.streams["flow"] = replace(activation.streams["flow"], class_score=np.array([0.6, 0.02, 0.05]))
    kept = kept_classes(activation, Localization())
    assert kept == {CLASSES[0]: pytest.approx(0.325), CLASSES[1]: pytest.approx(0.16)}
    found = localize([activation], Localization(thresholds=(0.0,), nms=1.0))["v"]
    assert {d.label for d in found} <= set(kept)
    only_mean = kept_classes(activation, Localization(class_scores="mean", class_threshold=0.2))
    assert list(only_mean) == [CLASSES[0]]


def waves(rows):
    """A video whose class logits are given, [T, 3], without attention."""
    logit = np.array(rows, dtype=np.float64)
    part = StreamActivation(None, logit, np.array([0.02, 0.01, 0.03]))
    return Activation("v", CLASSES, Timeline(0.0, 1.0, len(logit), float(len(logit))), {"joint": part})


def cut_of(video, **values):
    return localize([video], build(Localization, {"upsample": 1, "contrast": 0, "class_threshold": 0, **values}, "l"))["v"]


def test_a_threshold_between_the_lowest_and_the_highest_logit():
    first = [-5, -5, 3, -0.9, -5, -1.1, 1, -5]
    video = waves([[x, -9, -9] for x in first])
    found = cut_of(video, curve="logit", relative_to="range", thresholds=[0.5], class_threshold=0.015, inside="max")
    # Half the way from -5 to 3 is -1; the score is the highest logit.
    assert [d for d in found if d.label == "jump"] == [Detection(2.0, 4.0, "jump", 3.0), Detection(6.0, 7.0, "jump", 1.0)]
    means = cut_of(video, curve="logit", relative_to="range", thresholds=[0.5], class_threshold=0.015)
    assert max(d.score for d in means if d.label == "jump") == pytest.approx((3 - 0.9) / 2)
    long = cut_of(video, curve="logit", relative_to="range", thresholds=[0.5], class_threshold=0.015, least=2)
    assert [(d.start, d.end) for d in long if d.label == "jump"] == [(2.0, 4.0)]


def test_a_video_of_no_class_stays_empty_if_wanted():
    video = waves([[0, 0, 2], [0, 0, -2]])
    assert cut_of(video, class_threshold=0.5, curve="logit", relative_to="max", thresholds=[0.5])
    assert cut_of(video, class_threshold=0.5, curve="logit", relative_to="max", thresholds=[0.5], always_best=False) == []


def test_classes_by_the_mean_of_the_highest_eighth():
    rows = np.full((16, 3), -1.0)
    rows[:2, 0], rows[0, 1] = (3.0, 1.0), 1.5  # means of the two highest: 2, 0.25 and -1
    video, settings = waves(rows), Localization(class_value="top", class_threshold=0, always_best=False)
    assert kept_classes(video, settings) == {"jump": 2.0, "run": 0.25}
    found = cut_of(video, class_value="top", always_best=False, curve="logit", relative_to="max", thresholds=[0.9], inside="max")
    heavier = cut_of(
        video,
        class_value="top",
        always_best=False,
        curve="logit",
        relative_to="max",
        thresholds=[0.9],
        inside="max",
        class_weight=0.7,
    )
    assert [(d.label, d.score) for d in found] == [("jump", 3.0), ("run", 1.5)]
    assert [(d.label, d.score) for d in heavier] == [("jump", pytest.approx(3 + 1.4)), ("run", pytest.approx(1.5 + 0.175))]

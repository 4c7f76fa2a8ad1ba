"""TSRNet's curves: attention times the class score of the video, or of each snippet."""

import numpy as np
import pytest

from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.localization import Localization, localize

SETTINGS = {"upsample": 1, "contrast": 0.0, "class_threshold": 0.1, "nms": 1.0}


def video(streams, kind="distribution", name="v"):
    count = len(streams[0].class_logit)
    timeline = Timeline(0.0, 1.0, count, float(count))
    return Activation(name, ("a", "b"), timeline, dict(zip(("rgb", "flow"), streams)), attention_kind=kind)


def stream(attention, score, logit=None):
    attention = None if attention is None else np.array(attention)
    count = len(logit) if attention is None else len(attention)
    logit = np.zeros((count, 2)) if logit is None else np.array(logit, dtype=float)
    return StreamActivation(attention, logit, np.array(score))


def found(activation, **settings):
    results = localize([activation], Localization(**{**SETTINGS, **settings}))[activation.video]
    return {(d.start, d.end, d.label): pytest.approx(d.score) for d in results}


def test_w_is_attention_times_the_videos_score():
    a = [0.1, 0.4, 0.4, 0.1]
    one = video([stream(a, [0.6, 0.3])])
    # Times the length, 4: w = 0.24 0.96 0.96 0.24 for a, half of it for b.
    assert found(one, curve="video", thresholds=(0.3,)) == {(1, 3, "a"): 0.96, (1, 3, "b"): 0.48}
    assert found(one, curve="video", thresholds=(1.0,), relative_to="mean") == {(1, 3, "a"): 0.96, (1, 3, "b"): 0.48}
    assert found(one, curve="video", thresholds=(0.1,), literal=True) == {(1, 3, "a"): 0.24, (1, 3, "b"): 0.12}


def test_long_and_short_videos_compare_unless_literal():
    short, long = (video([stream(np.repeat([0.1, 0.4, 0.4, 0.1], n) / n, [0.9, 0.0])], name=f"{n}") for n in (1, 10))
    for literal, ratio in ((False, 1), (True, 10)):
        settings = Localization(**SETTINGS, curve="video", thresholds=(1.0,), relative_to="mean", literal=literal)
        results = localize([short, long], settings)
        assert max(d.score for d in results["1"]) == pytest.approx(ratio * max(d.score for d in results["10"]))


def test_the_snippets_own_class_tells_several_classes_apart():
    logit = [[5, -5], [5, -5], [-5, 5], [-5, 5], [-5, -5]]
    one = video([stream([0.2] * 5, [0.5, 0.5], logit)])
    assert set(found(one, curve="video", thresholds=(0.4,))) == {(0, 5, "a"), (0, 5, "b")}
    score = np.exp(5) / (np.exp(5) + np.exp(-5) + 1)  # beside the other class and a background of zero
    assert found(one, curve="snippet", thresholds=(0.4,)) == {(0, 2, "a"): score, (2, 4, "b"): score}


def test_streams_are_fused_by_the_mean_of_their_products():
    streams = [stream([0.5, 0.5, 0.0, 0.0], [0.8, 0.0]), stream([0.0, 0.5, 0.5, 0.0], [0.4, 0.0])]
    weights = {"rgb": {"stream_weight": 0.25}, "flow": {"stream_weight": 0.75}}
    # w = 0.25 x 4 x (0.4 0.4 0 0) + 0.75 x 4 x (0 0.2 0.2 0) = 0.4 1.0 0.6 0
    expected = {(0, 3, "a"): (0.4 + 1.0 + 0.6) / 3}
    assert found(video(streams), curve="video", fusion="weighted", thresholds=(0.3,), streams=weights) == expected
    # Proposals of either stream, scored by both.
    both = found(video(streams), curve="video", fusion="union", thresholds=(0.3,), streams=weights)
    assert both == {(0, 2, "a"): (0.4 + 1.0) / 2, (1, 3, "a"): (1.0 + 0.6) / 2}


def test_without_attention_every_snippet_counts_alike():
    one = video([stream(None, [0.7, 0.0], [[3, 0], [0, 3]])])
    assert found(one, curve="video", thresholds=(0.1,)) == {(0, 2, "a"): 0.7}

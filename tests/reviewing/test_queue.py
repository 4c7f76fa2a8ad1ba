"""What is worth a look next."""

import numpy as np
import pytest

from untrimmed.data.types import Activation, Detection, StreamActivation, Timeline
from untrimmed.reviewing.queue import disagreement, near_threshold, threshold, unlike_count, worth_a_look


def activation(video, *attention, logit=5.0):
    streams = {
        f"s{k}": StreamActivation(np.array(a, np.float32), np.full((len(a), 1), logit, np.float32), np.array([0.9]))
        for k, a in enumerate(attention)
    }
    return Activation(video, ("dig",), Timeline(0, 1, len(attention[0]), len(attention[0])), streams)


def found(*scores):
    return [Detection(10 * k, 10 * k + 5, "dig", score) for k, score in enumerate(scores)]


def test_the_threshold_lies_between_two_groups():
    assert threshold([0.1, 0.12, 0.11, 0.8, 0.9]) == 0.8
    assert threshold([3.0, 3.0, 3.0]) == 3.0
    assert threshold([-5, -4, 100]) == 100


def test_a_video_of_doubtful_detections_comes_first():
    sure = {f"sure{k}": found(0.95 + k / 100, 0.01 + k / 100) for k in range(4)}
    near = near_threshold({**sure, "doubtful": found(0.5, 0.52)})
    assert max(near, key=near.get) == "doubtful"
    looks = worth_a_look({**sure, "doubtful": found(0.5, 0.52)})
    assert looks[0].video == "doubtful"
    assert looks[0].why == "detections near the threshold"
    scaled = {v: [d._replace(score=1000 * d.score - 7) for d in ds] for v, ds in {**sure, "doubtful": found(0.5, 0.52)}.items()}
    assert [look.video for look in worth_a_look(scaled)] == [look.video for look in looks], "whatever the scale of the scores"


def test_streams_that_disagree():
    same, other = activation("a", [1, 0, 1], [1, 0, 1]), activation("b", [1, 0, 1], [0, 1, 0])
    assert disagreement(same) == pytest.approx(0, abs=1e-6)
    assert 0.3 < disagreement(other) <= 1
    assert disagreement(activation("c", [1, 0])) == 0
    assert disagreement(None) == 0
    results = {"a": found(0.5), "b": found(0.5)}
    looks = worth_a_look(results, {"a": same, "b": other})
    assert (looks[0].video, looks[0].why) == ("b", "streams that disagree")


def test_runs_that_disagree():
    ours = found(0.9, 0.8)
    assert unlike_count(ours, ours) == 0
    assert unlike_count(ours, ours[:1]) == 1
    assert unlike_count(ours, [ours[0]._replace(label="other"), ours[1]]) == 2
    looks = worth_a_look({"a": ours, "b": ours}, beside={"a": ours, "b": []})
    assert (looks[0].video, looks[0].why) == ("b", "runs that disagree")


def test_nothing_to_tell_them_apart():
    looks = worth_a_look({"b": [], "a": []})
    assert [look.video for look in looks] == ["a", "b"]
    assert worth_a_look({}) == []

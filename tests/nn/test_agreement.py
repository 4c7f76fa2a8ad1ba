"""How sure votes are of clusters that a person has changed."""

import numpy as np

from untrimmed.nn.agreement import halves, shares, surest
from untrimmed.nn.votes import Votes, nearest


def planted():
    """Six videos of four stretches: two of each show their action, which looks like that of two others, two a common background."""
    rng = np.random.default_rng(0)
    action, background = np.eye(8)[[0, 1]], np.eye(8)[2:]
    x, video = [], []
    for number in range(6):
        for place in range(4):
            own = action[number // 3] if place < 2 else background[rng.integers(6)]
            x.append(own + 0.01 * rng.normal(size=8))
            video.append(number)
    x = np.array(x, dtype=np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return Votes(np.full(6, 4), nearest(x, np.array(video), 4), stretch=1)


def one_hot(*clusters):
    return np.eye(2, dtype=np.float32)[list(clusters)]


def test_videos_agree_with_the_cluster_that_shows_their_action():
    votes = planted()
    right = shares(votes, one_hot(0, 0, 0, 1, 1, 1))
    assert np.allclose(right.sum(1), 1)
    assert (right.argmax(1) == [0, 0, 0, 1, 1, 1]).all()
    wrong = shares(votes, one_hot(0, 0, 1, 1, 1, 1))
    assert wrong[2].argmax() == 0, "a video that was moved to the wrong cluster is told"
    assert wrong[2, 1] < right[2, 0]


def test_the_surest_stretches_are_those_of_the_action():
    found = surest(planted(), one_hot(0, 0, 0, 1, 1, 1), most=4, of_one_video=2)
    assert [len(of) for of in found] == [4, 4]
    for cluster, stretches in enumerate(found):
        videos = [stretch // 4 for stretch, _ in stretches]
        assert all(video // 3 == cluster for video in videos)
        assert all(stretch % 4 < 2 for stretch, _ in stretches), "not the background"
        assert max(videos.count(video) for video in videos) <= 2
        assert [s for _, s in stretches] == sorted((s for _, s in stretches), reverse=True)


def test_a_cluster_without_videos_has_no_stretch():
    assert surest(planted(), np.c_[one_hot(0, 0, 0, 1, 1, 1), np.zeros(6)], 4, 2)[2] == []


def test_two_groups_are_told_apart_the_larger_first():
    f = np.repeat(np.eye(4)[[0, 1]], [3, 5], axis=0) + 0.01 * np.random.default_rng(1).normal(size=(8, 4))
    assert halves(f.astype(np.float32)).tolist() == [1, 1, 1, 0, 0, 0, 0, 0]

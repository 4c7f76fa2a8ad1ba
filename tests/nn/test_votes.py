"""Cross-video votes: stretches, voters and sureness against literal loops; what they find in a planted problem."""

import math

import numpy as np
import pytest

from tests.methods.planted import plant
from untrimmed.nn.votes import (
    FLOOR,
    Votes,
    descriptors,
    edges_of,
    find_votes,
    guide_of,
    guide_of_tags,
    modularity,
    nearest,
    nearest_of_cells,
    score_numbers,
    stretches_of,
    sureness,
    with_empty,
)


@pytest.mark.parametrize(("snippets", "lengths"), [(1, [1]), (4, [4]), (7, [7]), (8, [4, 4]), (13, [4, 4, 5]), (25, [5] * 5)])
def test_a_video_is_cut_into_about_equal_stretches(snippets, lengths):
    assert np.diff(edges_of(snippets, 5)).tolist() == lengths


def test_a_stretch_is_its_mean_with_each_stream_of_length_one():
    rng = np.random.default_rng(0)
    features = {"rgb": rng.normal(size=(13, 3)).astype(np.float16), "flow": np.zeros((13, 2), dtype=np.float32)}
    found = stretches_of(features, 5)
    assert found.dtype == np.float32
    assert found.shape == (3, 5)
    for row, (first, last) in zip(found, [(0, 4), (4, 8), (8, 13)]):
        mean = features["rgb"][first:last].astype(np.float64).mean(0)
        np.testing.assert_allclose(row[:3], mean / np.linalg.norm(mean), rtol=1e-5)
        assert not row[3:].any()


def test_voters_are_the_most_similar_of_other_videos(monkeypatch):
    rng = np.random.default_rng(0)
    lengths = [4, 1, 9, 3, 6]
    video = np.repeat(np.arange(5), lengths)
    x = rng.normal(size=(len(video), 4)).astype(np.float32)
    expected = []
    for m in range(len(x)):
        others = [n for n in range(len(x)) if video[n] != video[m]]
        expected.append(sorted(sorted(others, key=lambda n: -float(x[m] @ x[n]))[:6]))
    assert np.sort(nearest(x, video, 6), 1).tolist() == expected
    monkeypatch.setattr("untrimmed.nn.votes.BLOCK", 3 * len(x))  # in blocks that end within a video
    assert np.sort(nearest(x, video, 6), 1).tolist() == expected


def test_where_there_are_fewer_stretches_than_voters_all_vote():
    video = np.array([0, 0, 1, 2])
    found = nearest(np.eye(4, dtype=np.float32), video, 15)
    assert found.shape == (4, 15)
    assert [sorted(row[row >= 0]) for row in found] == [[2, 3], [2, 3], [0, 1, 3], [0, 1, 2]]
    assert (nearest(np.eye(3, dtype=np.float32), np.zeros(3, dtype=int), 2) == -1).all()


def test_votes_are_divided_by_the_clusters_size():
    votes = Votes(np.array([10, 5, 5, 5]), np.array([[2, 3, 4], [2, 3, -1], [0, 1, 3], [4, 2, 0], [-1, -1, -1]]), 5)
    targets = np.array([[1, 0], [1, 0], [0, 1], [1, 1]])
    size = [4, 2]  # stretches: videos 0, 1 and 3 have four, videos 2 and 3 two
    expected = []
    for voters in votes.neighbour:
        total = [sum(targets[votes.video[n]][c] for n in voters if n >= 0) / size[c] for c in range(2)]
        expected.append([value / sum(total) for value in total] if sum(total) else [0.5, 0.5])
    np.testing.assert_allclose(votes.of(targets), expected, rtol=1e-6)


def test_votes_at_random_are_alike_for_all_clusters():
    rng = np.random.default_rng(0)
    votes = Votes(np.full(50, 100), rng.integers(1000, size=(1000, 15)).astype(np.int32), 5)
    targets = np.eye(3)[rng.choice(3, 50, p=[0.7, 0.2, 0.1])]
    size = np.diff(votes.first) @ targets
    assert size.max() > 3 * size.min()
    np.testing.assert_allclose(votes.of(targets).mean(0), 1 / 3, atol=0.05)


def test_sureness_is_one_less_the_votes_entropy():
    p = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    entropy = [-sum(value * math.log(value) for value in row if value) for row in p]
    np.testing.assert_allclose(sureness(p), [max(FLOOR, 1 - h / math.log(3)) for h in entropy], rtol=1e-6)
    assert sureness(np.ones((2, 1))).tolist() == [1, 1]


def test_votes_for_nothing_make_nothing_sure():
    p = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.25, 0.25, 0.5]])
    np.testing.assert_allclose(sureness(p, 2), [FLOOR, 1, FLOOR])


def test_a_snippet_has_what_its_stretch_has():
    votes = Votes(np.array([8, 3]), np.zeros((3, 1), dtype=np.int32), 5)
    assert [its.tolist() for its in votes.snippetwise(np.array([0.5, 0.25, 1.0]))] == [[0.5] * 4 + [0.25] * 4, [1.0] * 3]
    assert votes.snippetwise(np.ones((3, 2)))[1].shape == (3, 2)


def test_a_video_is_described_by_its_sure_stretches(tmp_path):
    store = plant(tmp_path, train=3, test=0, empty=0).store
    votes = find_votes(store, list(store.videos))
    s = np.random.default_rng(0).random(len(votes.video)).astype(np.float32)
    found = descriptors(store, list(store.videos), s)
    for number, video in enumerate(store.videos):
        its = s[votes.video == number]
        begin = 0
        for stream, x in store.load(video).items():
            total = (stretches_of({stream: x}) * its[:, None]).sum(0)
            np.testing.assert_allclose(found[number, begin : begin + len(total)], total / np.linalg.norm(total), rtol=1e-4)
            begin += len(total)
    np.testing.assert_allclose(descriptors(store, list(store.videos)), descriptors(store, list(store.videos), np.ones_like(s)))


@pytest.mark.parametrize("empty", [0, 4])
def test_the_votes_of_tags_point_at_the_actions(empty, tmp_path):
    """A stretch of the planted action is surer than one of the context, of the tag that it is and not of the video's other."""
    planted = plant(tmp_path, train=35, test=0, empty=empty)
    videos = sorted(planted.store.videos)
    labels = np.array([[float(any(s.label == c for s in planted.truth[v].segments)) for c in planted.classes] for v in videos])
    votes = find_votes(planted.store, videos, stretch=1)
    inside, outside, right, wrong = [], [], [], []
    for video, tags, s, each in zip(videos, labels, guide_of(votes, labels), guide_of_tags(votes, labels)):
        assert s.shape == (planted.store.videos[video].snippets,)
        assert each.shape == (len(s), 3)
        assert not each[:, tags == 0].any()
        if not tags.any():
            assert not s.any()
            continue
        acting = np.zeros(len(s), dtype=bool)
        for segment in planted.truth[video].segments:
            place = slice(int(segment.start), int(segment.end))
            acting[place] = True
            own = planted.classes.index(segment.label)
            right += each[place, own].tolist()
            wrong += each[place, [c for c in np.flatnonzero(tags) if c != own]].ravel().tolist()
        inside += s[acting].tolist()
        outside += s[~acting].tolist()
    assert np.mean(inside) > np.mean(outside) + 0.2
    if empty:  # else no video has two tags
        assert np.mean(right) > np.mean(wrong) + 0.2


def test_videos_that_hold_nothing_are_a_cluster_of_their_own():
    assert with_empty(np.array([[1.0, 0.0], [0.0, 0.0]])).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert with_empty(np.eye(2)).shape == (2, 2)


def test_many_stretches_are_compared_in_cells(tmp_path):
    """Nearly the same voters, none of a stretch's own video, and the same each time."""
    store = plant(tmp_path, train=40, test=0, empty=0).store
    videos = list(store.videos)
    exact = find_votes(store, videos, stretch=1).neighbour
    votes = find_votes(store, videos, stretch=1, exact=100)
    found = votes.neighbour
    assert found.shape == exact.shape
    assert not (votes.video[found] == votes.video[:, None])[found >= 0].any()
    recall = np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(exact.tolist(), found.tolist())])
    assert 0.6 < recall < 1
    np.testing.assert_array_equal(found, find_votes(store, videos, stretch=1, exact=100).neighbour)


def test_few_or_equal_rows_in_cells():
    x, video = np.ones((6, 3), dtype=np.float32), np.array([0, 0, 1, 2, 2, 2])
    found = nearest_of_cells(x, video, 15)
    assert [len(row[row >= 0]) for row in found] == [4, 4, 5, 3, 3, 3]
    assert nearest_of_cells(x[:1], video[:1], 2).tolist() == [[-1, -1]]


def test_modularity_is_newmans():
    votes = Votes(np.array([10, 5, 5]), np.array([[2, 3], [3, -1], [0, 3], [2, 1]]), 5)
    cluster = np.array([0, 1, 0])
    own = [cluster[votes.video[n]] for n in range(4)]
    pairs = [(own[n], own[voter]) for n, voters in enumerate(votes.neighbour) for voter in voters if voter >= 0]
    within = sum(a == b for a, b in pairs) / len(pairs)
    chance = sum(
        sum(a == c for a, _ in pairs) / len(pairs) * sum(b == c for _, b in pairs) / len(pairs) for c in set(cluster.tolist())
    )
    assert modularity(votes, cluster) == pytest.approx(within - chance)
    assert modularity(votes, np.zeros(3, dtype=int)) == pytest.approx(0)


@pytest.mark.parametrize("classes", [3, 5])
def test_the_number_of_clusters_that_votes_agree_with(classes, tmp_path):
    """Right where one action a video is planted; of two videos and of one, nothing to say."""
    store = plant(tmp_path, classes=classes, train=8 * classes, test=0, empty=0).store
    videos = list(store.videos)
    scores = score_numbers(find_votes(store, videos), descriptors(store, videos), 10)
    assert list(scores) == list(range(2, 11))
    assert max(scores, key=lambda number: scores[number]) == classes
    assert score_numbers(find_votes(store, videos[:3]), descriptors(store, videos[:3])) == {}

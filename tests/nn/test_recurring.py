"""Clusters of stretches: what recurs in some videos is found in each of them, what is in all of them is none of it."""

import numpy as np
import pytest

from untrimmed.data.store import FeatureStore, FeatureWriter, Header, VideoEntry
from untrimmed.nn.recurring import gains, recurring, scale_of

STRETCH = 4


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """24 recordings of ten stretches: idling, and two of five actions, one stretch each; [24, 10], 0..4 or -1."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("recordings")
    idle, *actions = rng.normal(size=(6, 12)) * 3
    shown = np.full((24, 10), -1)
    for row in shown:
        row[rng.choice(10, 2, replace=False)] = rng.choice(5, 2, replace=False)
    writer = FeatureWriter(folder, Header("planted", {}, 1.0, 1.0, {"rgb": 8, "flow": 4}))
    for number, row in enumerate(shown):
        x = np.repeat([idle if c < 0 else actions[c] for c in row], STRETCH, axis=0) + rng.normal(size=(40, 12))
        x[:, 0] = 1000  # large, and the same everywhere
        features = {"rgb": x[:, :8].astype(np.float32), "flow": x[:, 8:].astype(np.float16)}
        writer.write(f"v{number:02}", features, VideoEntry(40, 40.0))
    return FeatureStore(folder), shown


def test_a_video_may_hold_several(recordings):
    store, shown = recordings
    found = np.array(recurring(store, store.videos, 5, STRETCH, 5, seed=0))
    assert found.shape == shown.shape
    clusters = [found[shown == action] for action in range(5)]
    commonest = [int(np.bincount(its + 1).argmax()) - 1 for its in clusters]
    assert sorted(commonest) == [0, 1, 2, 3, 4], "each action has a cluster of its own"
    assert all((its == cluster).mean() > 0.9 for its, cluster in zip(clusters, commonest))
    assert (found[shown < 0] == -1).mean() > 0.95, "what all videos share is no action"


def test_the_same_seed_finds_the_same(recordings):
    store, _ = recordings
    first, again = (recurring(store, store.videos, 5, STRETCH, 5, seed=1) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again))


def test_of_many_stretches_some_are_looked_at(recordings, monkeypatch):
    store, shown = recordings
    monkeypatch.setattr("untrimmed.nn.recurring.EXACT", 120)
    found = np.array(recurring(store, store.videos, 5, STRETCH, 5, seed=0))
    assert (found[shown < 0] == -1).mean() > 0.9
    assert (found[shown >= 0] >= 0).mean() > 0.9


def test_few_stretches_make_few_clusters(recordings):
    store, _ = recordings
    found = recurring(store, list(store.videos)[:1], 30, STRETCH, 5, seed=0)
    assert found[0].shape == (10,)
    assert found[0].max() < 10


def test_scale_is_that_of_all_snippets(recordings):
    store, _ = recordings
    x = np.concatenate([np.concatenate([s.astype(np.float64) for s in store.load(v).values()], 1) for v in store.videos])
    scale = scale_of(store, store.videos)
    np.testing.assert_allclose(scale.mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(scale.deviation[1:], x.std(0)[1:], rtol=1e-4)
    assert scale.deviation[0] == 1, "a dimension that does not vary"
    video = store.load(next(iter(store.videos)))
    means = x[:40].reshape(10, STRETCH, 12).mean(1)
    np.testing.assert_allclose(scale.stretches(video, STRETCH), (means - scale.mean) / scale.deviation, rtol=1e-3, atol=1e-3)


def test_gain_by_a_loop():
    rng = np.random.default_rng(0)
    cluster, neighbour = rng.integers(3, size=30), rng.integers(-1, 30, size=(30, 4))
    for number, gain in enumerate(gains(cluster, neighbour, 3)):
        shares = []
        for m in np.flatnonzero(cluster == number):
            voters = [n for n in neighbour[m] if n >= 0]
            shares.append(np.mean([cluster[n] == number for n in voters]) if voters else 0.0)
        a = np.mean(shares)
        assert gain == pytest.approx(a * np.log(a / np.mean(cluster == number)) if a else 0, abs=1e-9)

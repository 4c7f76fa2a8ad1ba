"""W-TALC's own parts, against slow and obvious versions; what it shares with all methods is tested in test_every_method."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.planted import plant
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore
from untrimmed.jobs.train import train
from untrimmed.methods import wtalc
from untrimmed.methods.base import load_method, resolve
from untrimmed.methods.registry import presets_of
from untrimmed.training import DataSettings, Run, TrainingSet


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("planted"), train=14, test=2, empty=0)


def random_batch(seed: int, videos: int = 6, snippets: int = 20, classes: int = 4):
    rng = torch.Generator().manual_seed(seed)
    embedded = torch.randn(videos, snippets, 5, generator=rng, dtype=torch.float64)
    logit = torch.randn(videos, snippets, classes, generator=rng, dtype=torch.float64)
    length = torch.randint(1, snippets + 1, (videos,), generator=rng)
    labels = (torch.rand(videos, classes, generator=rng) < 0.5).double()
    return embedded, logit, length, labels


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 10**6), margin=st.floats(0, 1))
def test_the_co_activity_loss_is_that_of_the_paper(seed, margin):
    embedded, logit, length, labels = random_batch(seed)
    hinges = []
    for i in range(0, len(labels), 2):
        for c in np.flatnonzero(labels[i] * labels[i + 1]):
            high, low = {}, {}
            for video in (i, i + 1):
                x, scores = embedded[video, : length[video]], logit[video, : length[video], c]
                attention = scores.softmax(0)
                high[video], low[video] = attention @ x, (1 - attention) @ x / max(int(length[video]) - 1, 1)

            def distance(a, b):
                return 1 - float(a @ b / max(float(a.norm() * b.norm()), 1e-12))

            near = distance(high[i], high[i + 1])
            hinges.append(max(0, near - distance(high[i], low[i + 1]) + margin) / 2)
            hinges[-1] += max(0, near - distance(high[i + 1], low[i]) + margin) / 2
    found = wtalc.loss_cas(embedded, logit, length, labels, margin).item()
    assert math.isclose(found, np.mean(hinges) if hinges else 0.0, rel_tol=1e-9, abs_tol=1e-9)


def test_gradients_by_finite_differences():
    embedded, logit, length, labels = random_batch(5)
    labels[:2, 0] = 1  # the first pair shares a class, whatever was drawn
    video_logit = wtalc.video_score(logit, length).requires_grad_()
    check = torch.autograd.gradcheck
    assert wtalc.loss_cas(embedded, logit, length, labels, 0.5) > 0
    assert check(lambda x, a: wtalc.loss_cas(x, a, length, labels, 0.5), (embedded.requires_grad_(), logit.requires_grad_()))
    assert check(lambda a: wtalc.video_score(a, length), (logit,))
    assert check(lambda p: wtalc.loss_mil(torch.cat([p, p[:, :1]], 1), labels), (video_logit,))


def test_what_lies_beyond_a_videos_end_changes_nothing():
    embedded, logit, length, labels = random_batch(1)
    other = [x.clone() for x in (embedded, logit)]
    for video, count in enumerate(length.tolist()):
        for x in other:
            x[video, count:] = 99.0
    assert torch.equal(wtalc.video_score(logit, length), wtalc.video_score(other[1], length))
    assert wtalc.loss_cas(embedded, logit, length, labels, 0.5) == wtalc.loss_cas(*other, length, labels, 0.5)


def test_a_video_without_labels_is_background():
    logit = torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]])
    labels = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    log_p = logit.log_softmax(-1)
    expected = -(log_p[0, 2] + (log_p[1, 0] + log_p[1, 1]) / 2) / 2
    assert torch.isclose(wtalc.loss_mil(logit, labels), expected)


def test_pairs_share_a_class_and_are_two_videos():
    labels = np.zeros((12, 4), dtype=np.float32)
    for video in range(10):
        labels[video, 0 if video < 7 else video - 6] = 1  # ten of which seven show the first class; the other classes have one each
    labels[9, 2] = 1
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        chosen, pairs = wtalc.draw_videos(labels, 10, 3, rng)
        assert len(chosen) == 10
        assert pairs == 3
        for a, b in chosen[:6].reshape(3, 2):
            assert a != b
            shared = np.flatnonzero(labels[a] * labels[b])
            assert len(shared)
            seen |= set(shared.tolist())
    assert seen == {0, 2}


@pytest.mark.parametrize(("batch", "expected"), [(1, 0), (3, 1), (6, 3), (20, 3)])
def test_a_small_batch_has_fewer_pairs(batch, expected):
    chosen, pairs = wtalc.draw_videos(np.ones((8, 2), dtype=np.float32), batch, 3, np.random.default_rng(0))
    assert len(chosen) == batch
    assert pairs == expected


def test_no_two_videos_of_a_class_make_no_pair():
    chosen, pairs = wtalc.draw_videos(np.eye(5, dtype=np.float32), 4, 3, np.random.default_rng(0))
    assert pairs == 0
    assert len(set(chosen)) == 4


@pytest.mark.parametrize("whole", [False, True])
def test_streams_that_are_drawn_together_are_drawn_at_the_same_snippets(planted, whole):
    videos = tuple(sorted(planted.store.videos))
    data = TrainingSet(videos, planted.classes, None, planted.store, settings=DataSettings(snippets=10))
    chosen = np.array([3, 0, 5])
    found, length = data.draw(chosen, planted.store.streams, lambda: np.random.default_rng(0), whole)
    assert length.tolist() == [10, 10, 10]
    for row, number in enumerate(chosen):
        stored = planted.store.load(videos[number])
        places = [[int(np.flatnonzero((stored[s] == one).all(1))[0]) for one in x[row].numpy()] for s, x in found.items()]
        assert places[0] == places[1]
        assert (np.diff(places[0]) == 1).all() == whole


def test_stretches_are_neighbouring_snippets_and_the_same_in_every_stream(planted):
    rows = {video: entry.snippets for video, entry in planted.store.videos.items()}
    videos = tuple(sorted(rows))
    data = TrainingSet(videos, planted.classes, None, planted.store, settings=DataSettings(snippets=40))
    chosen = np.arange(len(videos))
    begins = set()
    for seed in range(5):
        firsts = []
        for stream in planted.store.streams:
            x, length = data.stretch(chosen, stream, np.random.default_rng(seed))
            assert length.tolist() == [min(rows[video], 40) for video in videos]
            assert x.shape == (len(videos), max(length), planted.store.streams[stream])
            for video, found, count in zip(videos, x.numpy(), length.tolist()):
                whole = planted.store.load(video)[stream]
                (first,) = np.flatnonzero((whole == found[0]).all(1))
                np.testing.assert_array_equal(found[:count], whole[first : first + count])
                assert not found[count:].any()
                firsts.append(int(first))
        assert firsts[: len(videos)] == firsts[len(videos) :]
        begins.add(tuple(firsts))
    assert len(begins) > 1


@pytest.mark.parametrize("kind", ["empty", "one class"])
def test_without_background_there_must_be_action_and_a_choice(kind, tmp_path):
    planted = plant(tmp_path, train=8, test=1, empty=2 if kind == "empty" else 0, classes=3 if kind == "empty" else 1)
    with pytest.raises(InputError, match=r"background=false.*set it to true"):
        train(
            "wtalc",
            features=planted.features,
            labels=planted.labels,
            out=tmp_path / "run",
            settings={"background": False, "epochs": 1, "hidden": 4},
        )
    assert not (tmp_path / "run").exists()


def test_the_released_settings_train(planted, tmp_path):
    settings = {"epochs": 2, "hidden": 8}
    run = train(
        "wtalc", features=planted.features, labels=planted.labels, out=tmp_path / "run", preset="thumos14", settings=settings
    )
    method = load_method(run.run / "model")
    assert method.net.classifier.out_features == len(planted.classes)  # no background
    assert len((run.run / "metrics.jsonl").read_text().splitlines()) == 2


def test_the_two_losses_can_be_had_alone(planted, tmp_path):
    """Each weight switches its loss off and leaves what is drawn as it was."""
    logged = {}
    for share in (0.0, 0.5, 1.0):
        chosen = resolve("wtalc", "default", {"multiple_instance": share, "epochs": 1, "hidden": 4, "batch": 14})
        store = FeatureStore(planted.features)
        videos = tuple(sorted(planted.subset("train")))
        labels = np.array(
            [[c in {s.label for s in planted.truth[v].segments} for c in planted.classes] for v in videos], np.float32
        )
        data = TrainingSet(videos, planted.classes, labels, store, settings=chosen.data)
        with Run(tmp_path / f"{share}", {}, {}) as run:
            with run.seeded("init"):
                method = wtalc.WTALC(chosen.method, planted.classes, store.streams)
            lines = []
            run.log = lambda lines=lines, **values: lines.append(values)
            method.fit(data, run)
        logged[share] = lines[0]
    for share, line in logged.items():
        assert math.isclose(line["total"], share * line["mil"] + (1 - share) * line["cas"], rel_tol=1e-6)
        assert (line["mil"], line["cas"]) == (logged[0.5]["mil"], logged[0.5]["cas"])


def test_presets_of_the_paper_end_after_its_hundred_thousand_steps():
    for preset, videos in (("thumos14", 200), ("activitynet", 4819)):
        chosen = resolve("wtalc", preset).method
        assert abs(chosen.epochs * math.ceil(videos / chosen.batch) - 100_000) < 1000
    assert {"default", "demo", "thumos14", "activitynet"} <= set(presets_of("wtalc"))

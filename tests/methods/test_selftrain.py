"""Self-training: its classifier, its way of relabelling, who teaches whom, and what stays as it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from tests.methods.planted import plant, plant_clips
from untrimmed.data.annotations import read_detections
from untrimmed.data.labels import read_labels
from untrimmed.data.run_files import RunFiles
from untrimmed.data.store import FeatureStore
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.localize import localize
from untrimmed.jobs.names import names
from untrimmed.jobs.refine import refine
from untrimmed.jobs.train import train
from untrimmed.methods.base import activations_of, load_method, resolve
from untrimmed.methods.selftrain import (
    Believed,
    Config,
    SelfTrain,
    StreamClassifier,
    deal,
    draw,
    fit_to,
    level,
    logistic_regression,
    probability_of_tags,
    relabel,
    rounds,
    standardize,
    start_from_clips,
    start_from_curves,
    start_from_tags,
    weight_of_belief,
)
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.mapping import clusters_in
from untrimmed.runs.supervision import training_set, trimmed_set, unlabelled_set
from untrimmed.training import Run

each_cut = pytest.mark.parametrize("cut", ["mean", "groups", "tags"])


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant_clips(plant(tmp_path_factory.mktemp("planted")), others=2)


def set_of(planted):
    return training_set(planted.store, planted.labels, None, resolve("selftrain").data)


def nets_of(planted):
    return {stream: StreamClassifier(width, len(planted.classes)) for stream, width in planted.store.streams.items()}


def run_in(folder, seed=0):
    return Run(folder, {}, {}, seed=seed)


def test_the_classifier_is_scikit_learns():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 6)).astype(np.float32), rng.integers(3, size=300)
    weight = rng.uniform(0.2, 2, size=300).astype(np.float32)
    theirs = LogisticRegression(C=0.03, tol=1e-8, max_iter=1000).fit(x, y, weight)
    ours = nn.Linear(6, 3)
    share = torch.from_numpy(np.eye(3, dtype=np.float32)[y] * weight[:, None])
    logistic_regression(ours, torch.from_numpy(x), share, 0.03, 1000)
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.coef_, atol=1e-3)
    expected = theirs.predict_proba(x)
    np.testing.assert_allclose(ours(torch.from_numpy(x)).softmax(1).detach().numpy(), expected, atol=1e-3)


def test_soft_targets_are_as_good_as_each_row_twice():
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(size=(60, 4)).astype(np.float32))
    share = torch.from_numpy(rng.dirichlet([1, 1, 1], size=60).astype(np.float32))
    soft, hard = nn.Linear(4, 3), nn.Linear(4, 3)
    logistic_regression(soft, x, share, 0.5, 500)
    logistic_regression(hard, x.repeat(3, 1), torch.cat([torch.diag_embed(share)[:, c] for c in range(3)]), 0.5, 500)
    torch.testing.assert_close(soft.weight, hard.weight, atol=1e-3, rtol=0)


def test_relabelling_takes_what_is_above_the_mean_and_leaves_out_the_doubtful():
    p = np.array([[0.1, 0.0], [0.2, 0.1], [0.3, 0.0], [0.4, 0.1], [0.9, 0.2], [0.8, 0.0], [0.7, 0.0], [0.6, 0.1], [0.2, 0.9]])
    share = relabel(p, "mean", smooth=0, margin=0)
    # The first tag's mean is 0.467, the second's 0.156; the larger multiple of it decides.
    assert share.argmax(1).tolist() == [2, 2, 2, 2, 0, 0, 0, 0, 1]
    assert (share.sum(1) == 1).all()
    doubtful = relabel(p, "mean", smooth=0, margin=0.25).sum(1) == 0
    assert np.flatnonzero(doubtful).tolist() == [3, 7]  # of five acting one, of four others one: the nearest to the cut


@each_cut
def test_relabelling_does_not_ask_how_high_a_curve_is(cut):
    p = np.random.default_rng(0).uniform(size=(40, 2))
    np.testing.assert_array_equal(relabel(p, cut, 1.0, 0.25), relabel(p * [0.5, 0.001], cut, 1.0, 0.25))


@each_cut
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_flat_curve_is_all_action(count, cut):
    assert relabel(np.full((count, 1), 0.3), cut, 1.0, 0.0)[:, 0].tolist() == [1.0] * count


def test_the_groups_are_those_of_least_variance_inside():
    curve = np.random.default_rng(0).gamma(2.0, size=(30, 3))

    def inside(x, cut):
        return sum(((part - part.mean()) ** 2).sum() for part in (x[x < cut], x[x >= cut]))

    for x, cut in zip(curve.T, level(curve, "groups")):
        ordered = np.sort(x)
        assert cut > x.mean()
        assert inside(x, cut) == pytest.approx(min(inside(x, other) for other in (ordered[1:] + ordered[:-1]) / 2))


def test_where_the_action_fills_most_of_a_video_the_cut_is_its_mean():
    curve = np.r_[np.full(4, 0.1), np.linspace(0.8, 1.0, 36)][:, None]
    assert level(curve, "groups") == level(curve, "mean")


def test_by_tags_a_video_of_few_is_cut_at_its_mean_and_one_of_many_between_the_groups():
    curve = np.repeat(np.r_[np.linspace(0, 0.2, 28), 0.9, 1.0][:, None], 3, axis=1)
    np.testing.assert_array_equal(level(curve, "tags"), level(curve, "groups"))
    few = curve[:, :2]
    assert (level(few, "tags") == level(few, "mean")).all()
    assert (level(few, "tags") < level(few, "groups")).all()


def test_rare_action_is_told_from_what_merely_lies_above_the_mean():
    """Of 200 snippets, ten show the action: half of the rest lies above the mean, none of it between the groups."""
    rng = np.random.default_rng(0)
    p = np.r_[rng.normal(0.1, 0.05, 190), rng.normal(0.9, 0.05, 10)][:, None]
    assert (relabel(p, "mean", 0.0, 0.0)[:, 0] > 0).sum() > 30
    assert np.flatnonzero(relabel(p, "groups", 0.0, 0.0)[:, 0]).tolist() == list(range(190, 200))


def test_the_start_is_the_tags_at_equal_shares(planted):
    data = set_of(planted)
    for video, row, believed in zip(data.videos, data.labels, start_from_tags(data)):
        assert believed.share.shape == (planted.store.videos[video].snippets, row.sum() + 1)
        assert believed.known.all() == (row.sum() == 0)
        expected = [1 / row.sum()] * int(row.sum()) + [0] if row.any() else [1]
        np.testing.assert_allclose(believed.share, np.broadcast_to(expected, believed.share.shape))
    assert {int(row.sum()) for row in data.labels} == {0, 1, 2}


def test_clips_are_surely_their_class_and_others_are_left_out(planted):
    data = set_of(planted)
    clips = trimmed_set(FeatureStore(planted.clips["trimmed"]), planted.clips["trimmed_labels"], data)
    believed = start_from_clips(clips, data.classes)
    assert len(believed) == 12
    assert len(clips) == 14
    for clip in believed:
        assert clip.known.all()
        number = int(clip.name[-3:])
        assert data.classes[clip.tags[0]] == planted.classes[number % 3]


def test_features_are_standardized_by_the_training_videos(planted):
    data, nets = set_of(planted), nets_of(planted)
    standardize(nets, start_from_tags(data))
    x = np.concatenate([planted.store.load(video)["rgb"] for video in data.videos])
    np.testing.assert_allclose(nets["rgb"].mean.numpy(), x.mean(0), atol=1e-4)
    np.testing.assert_allclose(nets["rgb"].scale.numpy(), x.std(0), rtol=1e-4)


def test_folds_split_every_tag_evenly(planted):
    believed = start_from_tags(set_of(planted))
    fold = deal(believed, 3, np.random.default_rng(0))
    for number, video in zip(fold, believed):
        assert (number == -1) == video.known.all()
    for tag in range(3):
        sizes = np.bincount([f for f, video in zip(fold, believed) if tag in video.tags], minlength=3)
        assert np.ptp(sizes) <= 2
    assert (deal(believed, 1, np.random.default_rng(0)) == -1).all()


def test_a_folds_classifier_does_not_see_the_fold(planted):
    """Whatever is believed of a fold's videos, the classifier that judges them is the same."""
    data = set_of(planted)

    def first_of(change):
        believed = start_from_tags(data)
        fold = deal(believed, 3, np.random.default_rng(0))
        for number, video in zip(fold, believed):
            if number == 0 and change:
                video.share[:] = np.eye(len(video.tags) + 1)[-1]
        torch.manual_seed(0)
        folds = [nets_of(planted) for _ in range(3)]
        fit_to(folds, believed, fold, Config(), np.random.default_rng(0), torch.device("cpu"))
        return [net["rgb"].classifier.weight for net in folds]

    plain, changed = first_of(False), first_of(True)
    assert torch.equal(plain[0], changed[0])
    assert not torch.equal(plain[1], changed[1])


def test_more_snippets_than_are_looked_at_are_drawn(planted):
    believed = start_from_tags(set_of(planted))
    believed[5].share[3:7] = 0
    everything = draw(believed, 10**6, np.random.default_rng(0))
    assert set(range(len(believed[5].share))) - set(everything[5]) == {3, 4, 5, 6}
    some = draw(believed, 200, np.random.default_rng(0))
    assert sum(map(len, some)) == 200
    assert all(set(part) <= set(whole) for part, whole in zip(some, everything))
    assert any(not np.array_equal(a, b) for a, b in zip(some, draw(believed, 200, np.random.default_rng(1))))


def truth_of(planted, video):
    acting = np.zeros(planted.store.videos[video].snippets, dtype=bool)
    for segment in planted.truth[video].segments:
        acting[int(segment.start) : int(segment.end)] = True
    return acting


def test_rounds_find_the_action_in_the_training_videos(planted, tmp_path):
    data, nets = set_of(planted), nets_of(planted)
    believed = start_from_tags(data)
    with run_in(tmp_path / "run") as run:
        rounds(nets, believed, Config(), run)
    truth = np.concatenate([truth_of(planted, video.name) for video in believed])
    found = np.concatenate([video.share[:, :-1].sum(1) for video in believed])
    background = np.concatenate([video.share[:, -1] for video in believed])
    assert truth[found > 0].mean() > 0.95
    assert truth[background > 0].mean() < 0.05
    for video in believed:
        if len(video.tags):
            p, acting = probability_of_tags(nets, video).sum(1), truth_of(planted, video.name)
            assert p[acting].mean() > 5 * p[~acting].mean()


def test_what_is_known_stays_and_teaches(planted, tmp_path):
    """With the true times of half of the videos, the others are found better than from a start that says nothing."""
    data = set_of(planted)
    found = []
    for told in (False, True):
        believed = start_from_tags(data)
        for number, video in enumerate(believed):
            if told and number % 2 and len(video.tags) == 1:
                acting = truth_of(planted, video.name)
                known = Believed(video.store, video.name, video.tags, np.eye(2, dtype=np.float32)[(~acting).astype(int)])
                known.known[:] = True
                believed[number] = known
        before = [video.share.copy() for video in believed]
        with run_in(tmp_path / f"run{told}") as run:
            rounds(nets_of(planted), believed, Config(rounds=2), run)
        for old, video in zip(before, believed):
            np.testing.assert_array_equal(old[video.known], video.share[video.known])
        others = [video for number, video in enumerate(believed) if number % 2 == 0 and len(video.tags)]
        right = [(video.share[:, -1] == 0) == truth_of(planted, video.name) for video in others]
        found.append(np.concatenate(right).mean())
    assert found[1] > found[0] + 0.02


@pytest.mark.parametrize("background", [False, True])
def test_where_no_background_is_marked_what_is_believed_keeps_its_weight(planted, tmp_path, background):
    """Points are all action: how likely they are says nothing about background."""
    believed, nets = start_from_tags(set_of(planted)), nets_of(planted)
    standardize(nets, believed)
    marked = [number for number, video in enumerate(believed) if len(video.tags) == 1]
    for number in marked:
        acting = truth_of(planted, believed[number].name)
        rows = [np.flatnonzero(acting)[0], *np.flatnonzero(~acting)[: 1 if background else 0]]
        believed[number].share[rows] = np.eye(2, dtype=np.float32)[: len(rows)]
        believed[number].known[rows] = True
    with run_in(tmp_path / "run") as run:
        weight = weight_of_belief(nets, believed, marked, Config(), run)
    log = tmp_path / "run" / "metrics.jsonl"
    assert (log.is_file() and "likelihood" in log.read_text()) == background
    assert background or weight == 1


def test_a_teachers_curves_are_a_start(planted):
    data = set_of(planted)
    curves = {video: np.repeat(0.1 + 0.01 * truth_of(planted, video)[:, None], 3, axis=1) for video in data.videos}
    for plain, video in zip(start_from_tags(data), start_from_curves(data, curves, Config(smooth=0, margin=0))):
        assert video.known.all() == (len(video.tags) == 0)
        if len(video.tags):
            np.testing.assert_array_equal(video.share[:, -1] == 0, truth_of(planted, video.name))
        else:
            np.testing.assert_array_equal(video.share, plain.share)


def test_a_tag_of_a_single_video_keeps_its_start(planted, tmp_path):
    data = set_of(planted)
    believed = [video for video in start_from_tags(data) if 0 not in video.tags]
    lone = next(video for video in start_from_tags(data) if video.tags.tolist() == [0])
    with run_in(tmp_path / "run") as run:
        rounds(nets_of(planted), [*believed, lone], Config(rounds=3), run)
    assert (lone.share == [1, 0]).all()


def test_without_labels_it_learns_from_the_clusters_that_votes_make(planted, tmp_path):
    chosen = resolve("selftrain", "default", {"stretch": 2, "rounds": 2})
    data = unlabelled_set(planted.store, planted.labels, 3, chosen.data)
    with Run(tmp_path / "run", {}, {}) as run:
        torch.manual_seed(0)
        model = SelfTrain(chosen.method, data.classes, planted.store.streams)
        model.fit(data, run)
        clusters = RunFolder(tmp_path / "run").clusters()
        assert set(clusters) == set(data.videos)
        assert set(clusters.values()) == set(data.classes)
        torch.manual_seed(0)
        again = SelfTrain(chosen.method, data.classes, planted.store.streams)
    with Run(tmp_path / "again", {}, {}) as run:
        again.fit(replace(data, labels=np.array([[clusters[v] == c for c in data.classes] for v in data.videos], np.float32)), run)
    for mine, other in zip(model.state_dict().values(), again.state_dict().values()):
        assert torch.equal(mine, other), "as if the clusters had been its labels"


def test_a_video_may_hold_several_clusters(planted, tmp_path):
    """The stretches are clustered instead of the videos; where they lie is what it starts from."""
    out = tmp_path / "run"
    settings = {"several": True, "stretch": 2, "rounds": 2}
    run = train("selftrain", features=planted.features, unlabelled=True, clusters=3, out=out, settings=settings).run
    held = RunFiles(run).held()
    assert set(held) == set(planted.store.videos)
    assert max(map(len, held.values())) > 1
    assert RunFiles(run).clusters() == {video: its[0] for video, its in held.items() if its}
    found = tmp_path / "found.json"
    localize(run, features=planted.features, out=found)
    written = read_detections(found).untrimmed
    assert {video: tuple(its) for video, its in written["held"].items()} == held
    assert clusters_in(written) == held
    scores = evaluate(found, annotations=planted.annotations, subset="test", map_clusters="majority", labels=planted.labels).scores
    assert scores.average > 0.2
    assert evaluate(run, protocol="clustering", labels=planted.labels).rounds[0].shared.purity > 0.4

    (tmp_path / "names.csv").write_text("cluster,name\n" + "".join(f"cluster_{k:02},act {k}\n" for k in range(3)))
    names(found, out=tmp_path / "labels.csv", names=tmp_path / "names.csv")
    named = {video: {f"act {int(cluster[-2:])}" for cluster in its} for video, its in held.items() if its}
    assert read_labels(tmp_path / "labels.csv").tags == named, "a row for each"
    student = refine(run, out=tmp_path / "student", settings={"rounds": 1}).run
    assert RunFiles(student).held() == held


def test_with_one_class_videos_are_still_told_apart(tmp_path):
    """The share of the class among all classes is one in every video, whatever it shows."""
    planted = plant(tmp_path, classes=1, train=12, test=8, empty=6)
    run = train("selftrain", features=planted.features, labels=planted.labels, out=tmp_path / "run").run
    method, scores = load_method(run / "model"), {}
    for video, truth in planted.subset("test").items():
        streams = activations_of(method, planted.store.load(video)).values()
        scores.setdefault(bool(truth.segments), []).append(float(np.mean([s.class_score for s in streams])))
    assert max(scores[False]) < min(scores[True])

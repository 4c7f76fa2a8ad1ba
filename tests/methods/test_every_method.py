"""What every method must do, ours or another package's, on a small problem with a known answer.

`pytest tests/methods/test_every_method.py tests/methods/test_windows.py --method NAME` runs it over one; see docs/add-a-method.md.
"""

import itertools
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.methods.planted import Planted, plant, plant_clips
from tests.methods.suite import HERE, read, stops, suite_of
from untrimmed.data.clusters import read_clusters, rounds_of
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Detection
from untrimmed.evaluation.activitynet import evaluate_detections
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.methods.base import Method, activations_of, load_method, method_class, resolve, save_method
from untrimmed.methods.registry import METHODS, module_of
from untrimmed.runs.supervision import training_set, trimmed_set, unlabelled_set
from untrimmed.training import Run


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def fitted(planted):
    """Per method its run on the planted problem and the detections in the test videos, made once."""
    made = {}

    def of(name):
        if name not in made:
            run = planted.folder / name
            train(name, features=planted.features, labels=planted.labels, out=run, settings=suite_of(name).enough)
            found = localize(
                run, features=planted.features, subset_from=planted.annotations, subset="test", out=run / "detections.json"
            )
            made[name] = run, found.results
        return made[name]

    return of


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Planted:
    """The planted problem with fewer videos, for what need not be learned well."""
    return plant(tmp_path_factory.mktemp("few"), train=12, test=2)


@pytest.fixture(scope="module")
def uninterrupted(few, tmp_path_factory):
    """Per method a run with the settings `brief`, made once: the fitted method, the same as it began, and the log."""
    made = {}

    def of(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name) / "run"
            method, began, _ = fit(name, few, folder)
            made[name] = method, began, (folder / "metrics.jsonl").read_text()
        return made[name]

    return of


class Stopped(Exception):
    pass


def fit(
    name, planted, folder, settings=None, *, clusters=None, clips=False, seed=0, resume=False, save_seconds=0.0, stop_after=None
) -> tuple[Method, Method, Run]:
    """Fit a method in a run of its own, with `clusters` without labels; `stop_after` that many lines of the log it is cut off.

    Returns the fitted method, the same as it began, and the run.
    """
    chosen = resolve(name, "default", {**suite_of(name).brief, **(settings or {})})
    if clusters is None:
        data = training_set(planted.store, planted.labels, None, chosen.data)
    else:
        data = unlabelled_set(planted.store, planted.labels, clusters, chosen.data)
    if clips:
        paths = planted.clips
        data = replace(data, trimmed=trimmed_set(FeatureStore(paths["trimmed"]), paths["trimmed_labels"], data))
    run = Run(folder, chosen.to_dict(), {}, seed=seed, resume=resume, save_seconds=save_seconds)
    with run:
        models = []
        for _ in range(2):
            with run.seeded("init"):
                models.append(method_class(name)(chosen.method, data.classes, planted.store.streams))
        if stop_after is not None:
            log, lines = run.log, []

            def log_and_stop(**values):
                log(**values)
                lines.append(values)
                if len(lines) == stop_after:
                    raise Stopped

            run.log = log_and_stop
        models[0].fit(data, run)
    return *models, run


def features_of(planted, video):
    return {stream: torch.from_numpy(np.array(x)) for stream, x in planted.store.load(video).items()}


def same(a: Method, b: Method) -> bool:
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def mean_ap(planted, results, tiou=0.5):
    return evaluate_detections(planted.subset("test"), results, planted.classes, (tiou,)).mean_ap[0]


def check_detections(planted, results):
    """Well-formed whatever was learned."""
    for video, found in results.items():
        for d in found:
            assert 0 <= d.start < d.end <= planted.truth[video].duration
            assert np.isfinite(d.score)
            assert d.label in planted.classes


@pytest.mark.every_method
def test_it_says_what_it_is(name):
    cls = method_class(name)
    assert cls.name == name
    assert cls.title
    assert cls.learns_from <= {"labels", "clusters", "trimmed", "counts"}
    assert cls.attention_kind in ("gate", "distribution")
    assert cls.reach is None or (cls.reach >= 1 and cls.reach % 2 == 1)  # as far to one side as to the other
    assert cls.reach is None or suite_of(name).padding <= cls.reach // 2, (
        "`padding` in the settings of the suite says of more snippets than `reach` // 2 that the end of a video shows in them"
    )


@pytest.mark.every_method
def test_it_learns_the_planted_problem(name, planted, fitted):
    check_learned(planted, fitted(name)[1])


def check_learned(planted, results):
    """Far better than random segments with the right labels, and than whole videos."""
    assert set(results) == set(planted.subset("test"))
    check_detections(planted, results)
    rng = np.random.default_rng(0)
    whole, draws = {}, [{} for _ in range(10)]
    for video, truth in planted.subset("test").items():
        labels = sorted({s.label for s in truth.segments})  # what no method is told
        lengths = [s.end - s.start for s in truth.segments] or [4.0]
        whole[video] = [Detection(0.0, truth.duration, label, 1.0) for label in labels]
        for draw in draws:
            starts = [(rng.uniform(0, truth.duration - 8), rng.choice(lengths), label) for label in labels for _ in range(4)]
            draw[video] = [Detection(a, a + n, label, rng.uniform()) for a, n, label in starts]
    found, chance = mean_ap(planted, results), np.mean([mean_ap(planted, draw) for draw in draws])
    assert chance > 0.05  # random segments with the right labels and lengths are no straw man
    assert found > chance + 0.4
    assert found > mean_ap(planted, whole) + 0.4


@pytest.mark.every_method
def test_videos_without_action_score_low(name, planted, fitted):
    _, results = fitted(name)
    best = {video: max((d.score for d in found), default=0.0) for video, found in results.items()}
    empty = [best[video] for video, truth in planted.subset("test").items() if not truth.segments]
    acting = [best[video] for video, truth in planted.subset("test").items() if truth.segments]
    pairs = np.less.outer(empty, acting)
    assert pairs.mean() > 0.95, (
        f"an empty video's best detection scores {max(empty):.3f}, one with action {min(acting):.3f}: {pairs.mean():.0%} of the "
        "pairs are in order; a background class, or a loss that says of empty videos that all of them is background, mends that"
    )


@pytest.mark.every_method
def test_activations_are_as_promised(name, planted, fitted):
    run, _ = fitted(name)
    method = load_method(run / "model")
    video = next(iter(planted.subset("test")))
    features = features_of(planted, video)
    count = len(features["rgb"])
    for stream, curve in method.curves(features).items():
        assert stream in {*planted.store.streams, "joint"}  # joint: of all streams side by side
        assert curve.class_logit.shape[0] == count
        assert curve.class_logit.shape[1] in (3, 4)
    for stream in activations_of(method, features).values():
        assert stream.class_logit.shape == (count, 3)
        assert stream.class_score.shape == (3,)
        assert ((stream.class_score >= 0) & (stream.class_score <= 1)).all()
        if stream.attention is not None:
            assert stream.attention.shape == (count,)
            assert (stream.attention >= 0).all()
            total = stream.attention.sum() if method.attention_kind == "distribution" else stream.attention.max()
            assert total <= 1 + 1e-5


@pytest.mark.every_method
def test_curves_are_local(name, planted, fitted):
    """Curves computed in windows with `reach` snippets around them are the whole video's."""
    method = load_method(fitted(name)[0] / "model")
    if method.reach is None:
        pytest.skip("its curves need the whole video")
    side = method.reach // 2
    first, last = side + 10, side + 20
    videos = itertools.cycle(features_of(planted, video) for video in planted.subset("test"))
    features = next(videos)
    while len(features["rgb"]) < last + side + 10:
        longer = next(videos)
        features = {stream: torch.cat([x, longer[stream]]) for stream, x in features.items()}
    with torch.no_grad():
        whole = method.curves(features)
        part = method.curves({stream: x[first - side : last + side] for stream, x in features.items()})
    for stream, curve in whole.items():
        inside = slice(side, side + last - first)  # a difference there: `reach` is smaller than what `curves` looks at
        torch.testing.assert_close(part[stream].class_logit[inside], curve.class_logit[first:last], rtol=1e-5, atol=1e-5)
        if curve.attention_logit is not None:
            attention = part[stream].attention_logit[inside]
            torch.testing.assert_close(attention, curve.attention_logit[first:last], rtol=1e-5, atol=1e-5)


@pytest.mark.every_method
def test_saved_and_loaded_it_says_the_same(name, planted, fitted, tmp_path):
    run, _ = fitted(name)
    method = load_method(run / "model")
    save_method(method, tmp_path / "model")
    again = load_method(tmp_path / "model")
    assert same(method, again)
    assert again.config == method.config
    assert again.classes == method.classes == planted.classes
    for video in planted.subset("test"):
        before, after = (activations_of(m, features_of(planted, video)) for m in (method, again))
        for stream in before:
            np.testing.assert_array_equal(before[stream].class_logit, after[stream].class_logit)
            np.testing.assert_array_equal(before[stream].class_score, after[stream].class_score)
            np.testing.assert_array_equal(before[stream].attention, after[stream].attention)
    # The file names a method, not something to import, and the weights are no pickle.
    head = json.loads((tmp_path / "model" / "model.json").read_text())
    assert head["method"] == name
    assert head.keys() == {"format", "method", "classes", "streams", "config"}
    assert f"{module_of(name)}:" not in (tmp_path / "model" / "model.json").read_text()
    assert "untrimmed.methods" not in (tmp_path / "model" / "model.json").read_text()


@pytest.mark.every_method
@pytest.mark.parametrize("damage", ["cut", "foreign", "missing", "other", "config"])
def test_a_damaged_model_is_one_clear_line(name, damage, planted, fitted, tmp_path):
    save_method(load_method(fitted(name)[0] / "model"), tmp_path / "model")
    weights, head = tmp_path / "model" / "weights.safetensors", tmp_path / "model" / "model.json"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:100])
    elif damage == "foreign":
        weights.write_bytes(b"\x80\x04}q\x00.")  # a pickle
    elif damage == "missing":
        weights.unlink()
    elif damage == "other":
        head.write_text(head.read_text().replace(f'"{name}"', '"os:system"'))
    else:
        head.write_text(json.dumps(json.loads(head.read_text()) | {"streams": {"rgb": 3}}))
    with pytest.raises(InputError) as fault:
        load_method(tmp_path / "model")
    assert "\n" not in str(fault.value)


@pytest.mark.every_method
def test_seeds_make_the_weights(name, few, uninterrupted, tmp_path):
    first, began, _ = uninterrupted(name)
    again, _, _ = fit(name, few, tmp_path / "again", save_seconds=1e9)
    other, other_began, _ = fit(name, few, tmp_path / "other", seed=1)
    assert same(first, again)
    assert not same(first, began)
    assert not same(began, other_began)
    assert not same(first, other)


@pytest.mark.every_method
def test_what_others_draw_does_not_matter(name, few, uninterrupted, tmp_path):
    first, _, _ = uninterrupted(name)
    torch.manual_seed(12345)
    np.random.seed(12345)  # noqa: NPY002 (the global state is what is tested)
    torch.rand(7)
    again, _, _ = fit(name, few, tmp_path / "again")
    assert same(first, again)


@pytest.mark.every_method
@pytest.mark.parametrize("save_seconds", [0.0, 1e9], ids=["saved-often", "saved-at-the-end"])
def test_stopped_and_resumed_is_uninterrupted_bit_for_bit(name, save_seconds, few, uninterrupted, tmp_path):
    whole, _, log = uninterrupted(name)
    first, *others = stops(len(log.splitlines()))  # of two streams: in the first, in its last epochs, in the second
    for stop_after in [first, *others] if save_seconds == 0 else [first, others[-1]]:  # what was not saved is the same lost
        folder = tmp_path / f"{stop_after}"
        with pytest.raises(Stopped):
            fit(name, few, folder, stop_after=stop_after, save_seconds=save_seconds)
        resumed, _, _ = fit(name, few, folder, resume=True, save_seconds=save_seconds)
        assert same(resumed, whole), stop_after
        assert (folder / "metrics.jsonl").read_text() == log, stop_after


@pytest.mark.every_method
def test_one_class(name, tmp_path):
    planted = plant(tmp_path, classes=1, train=12, test=4)
    run = train(name, features=planted.features, labels=planted.labels, out=tmp_path / "run", settings=suite_of(name).brief).run
    found = localize(run, features=planted.features, out=tmp_path / "d.json").results
    assert set(found) == set(planted.truth)
    check_detections(planted, found)


@pytest.mark.every_method
def test_a_hundred_classes(name, tmp_path):
    planted = plant(tmp_path, classes=100, train=104, test=3, streams={"rgb": 16}, length=(8, 9))
    settings = {**suite_of(name).brief, **suite_of(name).many, **suite_of(name).once}
    run = train(name, features=planted.features, labels=planted.labels, out=tmp_path / "run", settings=settings).run
    found = localize(run, features=planted.features, out=tmp_path / "d.json").results
    check_detections(planted, found)
    for activation in activations_of(load_method(run / "model"), features_of(planted, "test000")).values():
        assert activation.class_score.shape == (100,)


@pytest.mark.every_method
def test_one_snippet(name, tmp_path):
    """Videos of a single row among those that are trained on and those that are localized."""
    planted = plant(tmp_path, train=10, test=4, length=(1, 2))
    assert {entry.snippets for entry in planted.store.videos.values()} == {1}
    run = train(name, features=planted.features, labels=planted.labels, out=tmp_path / "run", settings=suite_of(name).brief).run
    method = load_method(run / "model")
    for stream in activations_of(method, features_of(planted, "test002")).values():
        assert np.isfinite(stream.class_logit).all()
        assert np.isfinite(stream.class_score).all()
    check_detections(planted, localize(run, features=planted.features, out=tmp_path / "d.json").results)


@pytest.mark.every_method
def test_one_stream_counts_fully_whatever_its_weight(name, tmp_path):
    planted = plant(tmp_path, train=10, test=4, streams={"only": 16})
    run = train(name, features=planted.features, labels=planted.labels, out=tmp_path / "run", settings=suite_of(name).brief).run
    plain = localize(run, features=planted.features, out=tmp_path / "a.json").results
    weighted = localize(run, features=planted.features, out=tmp_path / "b.json", settings={"only": {"stream_weight": 0.2}}).results
    assert plain == weighted
    assert any(plain.values())
    check_detections(planted, plain)


@pytest.mark.every_method
def test_features_that_say_nothing(name, tmp_path):
    side = suite_of(name).padding
    planted = plant(tmp_path, train=10, test=2, constant=True, length=(36 + 2 * side, 44 + 2 * side))
    run = train(name, features=planted.features, labels=planted.labels, out=tmp_path / "run", settings=suite_of(name).brief).run
    found = localize(run, features=planted.features, out=tmp_path / "d.json").results
    check_detections(planted, found)
    for stream in activations_of(load_method(run / "model"), features_of(planted, "test001")).values():
        inside = stream.class_logit[side : len(stream.class_logit) - side]
        assert np.ptp(inside, axis=0).max() < 1e-5, (  # nothing tells one snippet from another
            f"snippets that look the same differ, {side} at either end left out; if that is zero padding, say over how many "
            "snippets it shows: `padding` in the settings of the suite"
        )


@pytest.mark.every_method
def test_a_batch_of_nothing_but_empty_videos(name, tmp_path):
    planted = plant(tmp_path, train=9, test=2, empty=6)
    method, _, _ = fit(name, planted, tmp_path / "run", suite_of(name).single)
    for stream in activations_of(method, features_of(planted, "test001")).values():
        assert np.isfinite(stream.class_logit).all()


@pytest.mark.every_method
def test_a_diverging_training_is_told(name, few, tmp_path):
    if suite_of(name).diverging is None:
        pytest.skip("it takes no steps that could be too long")
    with pytest.raises(InputError, match=r"training diverged .* try a lower learning_rate"):
        fit(name, few, tmp_path / "run", suite_of(name).diverging)


@pytest.mark.every_method(learns_from="trimmed")
def test_it_learns_the_planted_problem_with_trimmed_clips_as_well(name, tmp_path):
    planted = plant_clips(plant(tmp_path), count=12, others=4)
    data = {"features": planted.features, "labels": planted.labels, **planted.clips}
    run = train(name, **data, out=tmp_path / "run", settings=suite_of(name).enough).run
    subset = {"subset_from": planted.annotations, "subset": "test"}
    check_learned(planted, localize(run, features=planted.features, **subset, out=tmp_path / "d.json").results)


@pytest.mark.every_method(learns_from="trimmed")
def test_with_clips_seeds_make_the_weights_and_a_stopped_run_goes_on(name, tmp_path):
    planted = plant_clips(plant(tmp_path, train=12, test=2), others=3)
    whole, began, _ = fit(name, planted, tmp_path / "whole", clips=True)
    again, _, _ = fit(name, planted, tmp_path / "again", clips=True, save_seconds=1e9)
    without, _, _ = fit(name, planted, tmp_path / "without")
    assert same(whole, again)
    assert not same(whole, began)
    assert not same(whole, without)
    middle = stops(len((tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()))[1]
    with pytest.raises(Stopped):
        fit(name, planted, tmp_path / "stopped", clips=True, stop_after=middle)
    resumed, _, _ = fit(name, planted, tmp_path / "stopped", clips=True, resume=True)
    assert same(whole, resumed)


@pytest.mark.every_method(learns_from="trimmed")
@pytest.mark.parametrize(("count", "others"), [(1, 0), (0, 3), (90, 0)], ids=["one-clip", "of-other-classes", "many"])
@pytest.mark.parametrize("empty", [2, 9], ids=["some-empty", "mostly-empty"])
def test_whatever_the_clips_it_trains(name, count, others, empty, tmp_path):
    planted = plant_clips(plant(tmp_path, train=11, test=2, empty=empty, length=(1, 9)), count=count, others=others)
    method, began, _ = fit(name, planted, tmp_path / "run", suite_of(name).few, clips=True)
    assert not same(method, began)
    for stream in activations_of(method, features_of(planted, "test001")).values():
        assert np.isfinite(stream.class_logit).all()
        assert np.isfinite(stream.class_score).all()


@pytest.fixture(scope="module")
def recurring(tmp_path_factory) -> Planted:
    """The planted problem for those who have no labels: every video shows an action."""
    return plant(tmp_path_factory.mktemp("recurring"), empty=0)


@pytest.mark.every_method(learns_from="clusters")
def test_without_labels_it_finds_what_recurs(name, recurring, tmp_path):
    """The clusters are the actions, and the detections, once the clusters are named, are where the actions are."""
    run, settings = tmp_path / "run", suite_of(name).enough
    train(name, features=recurring.features, unlabelled=True, clusters=3, only=recurring.labels, out=run, settings=settings)
    assigned = read_clusters(rounds_of(run)[-1])
    assert set(assigned) == set(recurring.subset("train"))
    tags = {video: sorted({s.label for s in truth.segments}) for video, truth in recurring.truth.items()}
    single = [video for video in assigned if len(tags[video]) == 1]

    def most_common(assigned):
        """Per cluster its commonest tag, and how often it has it."""
        counts = {c: Counter(tags[video][0] for video in single if assigned[video] == c) for c in set(assigned.values())}
        return {c: count.most_common(1)[0] for c, count in counts.items() if count}

    def purity(assigned):
        return sum(count for _, count in most_common(assigned).values()) / len(single)

    rng = np.random.default_rng(0)
    chance = np.mean([purity(dict(zip(single, rng.integers(3, size=len(single))))) for _ in range(50)])
    assert chance < 0.6
    assert purity(assigned) > chance + 0.3
    names = {c: tag for c, (tag, _) in most_common(assigned).items()}
    out = tmp_path / "d.json"
    found = localize(run, features=recurring.features, subset_from=recurring.annotations, subset="test", out=out).results
    named = {video: [d._replace(label=names[d.label]) for d in its if d.label in names] for video, its in found.items()}
    whole = {video: [Detection(0.0, recurring.truth[video].duration, tag, 1.0) for tag in tags[video]] for video in found}
    assert mean_ap(recurring, named) > mean_ap(recurring, whole) + 0.2


@pytest.mark.every_method(learns_from="clusters")
@pytest.mark.parametrize("save_seconds", [0.0, 1e9], ids=["saved-often", "saved-at-the-end"])
def test_rounds_stopped_and_resumed_are_uninterrupted_bit_for_bit(name, save_seconds, recurring, tmp_path):
    settings = suite_of(name).rounds
    whole, _, _ = fit(name, recurring, tmp_path / "whole", settings, clusters=3)
    log = (tmp_path / "whole" / "metrics.jsonl").read_text()
    lines = len(log.splitlines())
    for stop_after in sorted({1, lines // 3, 2 * lines // 3, lines}):  # in the first round, before the second, at the very end
        folder = tmp_path / f"{stop_after}"
        with pytest.raises(Stopped):
            fit(name, recurring, folder, settings, stop_after=stop_after, save_seconds=save_seconds, clusters=3)
        resumed, _, _ = fit(name, recurring, folder, settings, resume=True, save_seconds=save_seconds, clusters=3)
        assert same(resumed, whole), stop_after
        assert (folder / "metrics.jsonl").read_text() == log, stop_after
        assert len(rounds_of(folder)) == len(rounds_of(tmp_path / "whole"))
        for file in rounds_of(tmp_path / "whole"):
            assert read_clusters(folder / file.relative_to(tmp_path / "whole")) == read_clusters(file)


def test_every_method_is_tested_with_settings_of_its_own():
    assert set(METHODS) == set(read(HERE / "suite.yaml"))

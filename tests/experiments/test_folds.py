"""Runs without labels on data with folds: what the clusters of each fold stand for, and what is put together."""

import json

import numpy as np
import pytest
import yaml

from tests.methods.planted import plant
from untrimmed.data.activations import read_activations, write_activations
from untrimmed.data.annotations import read_annotations, read_detections, write_detections
from untrimmed.data.clusters import read_clusters
from untrimmed.data.errors import InputError
from untrimmed.data.labels import read_labels
from untrimmed.data.types import Activation, Detection, StreamActivation, Timeline
from untrimmed.evaluation.activitynet import evaluate_detections
from untrimmed.evaluation.clustering import map_clusters, map_detections
from untrimmed.experiments.folds import name_clusters, pool
from untrimmed.experiments.task import Part
from untrimmed.jobs.compare import compare
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.localize import localize

FILES = {"features": "features", "labels": "labels.csv", "annotations": "annotations.json"}
SETTINGS = {"epochs": 6, "rounds": 2, "data": {"snippets": 8}}


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    """Two folds of other test videos, whose actions look alike but whose clusters are numbered each for itself."""
    folder = tmp_path_factory.mktemp("folds")
    for number in (0, 1):
        planted = plant(folder / f"f{number}", train=12, test=5, empty=0, seed=number)
        for file in ("annotations.json", "labels.csv", "features/features.json"):
            path = planted.folder / file
            path.write_text(path.read_text().replace('"test0', f'"{number}test0'))
        for file in [*(planted.folder / "features").rglob("test*")]:
            file.rename(file.with_name(f"{number}{file.name}"))
    return folder


def part(number):
    return {key: f"f{number}/{file}" for key, file in FILES.items()}


def experiment(folder, name="experiment.yaml", **changes):
    tree = {
        "data": {"both": {"subset": "test", "clusters": 3, "folds": [part(0), part(1)]}},
        "runs": {"tcam": {"method": "tcam", "unlabelled": True, "settings": SETTINGS}},
        "seeds": 1,
        "metrics": ["mAP@0.1", "mAP@0.3", "clustering:nmi", "clustering:purity", "classification:video_mAP"],
        "evaluate": {"map_clusters": "majority"},
        "keep": True,
    }
    path = folder / name
    path.write_text(yaml.safe_dump(tree | changes))
    return path


@pytest.fixture(scope="module")
def done(folds):
    return folds / "out", compare(experiment(folds), out=folds / "out")


def runs_of(out, folds):
    """By fold, its trained run."""
    found = {}
    for run in (out / "cache").glob("*/run"):
        features = json.loads((run / "environment.json").read_text())["data"]["features"]
        found[next(number for number in (0, 1) if features == str((folds / f"f{number}/features").resolve()))] = run
    return found


@pytest.mark.parametrize("how", ["majority", "soft", "hungarian"])
def test_each_fold_is_mapped_by_its_own_training_videos(folds, done, how):
    out, result = done
    if how != "majority":
        result = compare(experiment(folds, evaluate={"map_clusters": how}), out=out)
    assert not result.failures
    expected, truth = {}, {}
    for number, run in runs_of(out, folds).items():
        truth |= read_annotations(folds / f"f{number}/annotations.json").subset("test")
        found = folds / f"found-{number}.json"
        localize(
            run, features=folds / f"f{number}/features", out=found, subset_from=folds / f"f{number}/annotations.json", subset="test"
        )
        labels = {video: sorted(own) for video, own in read_labels(folds / f"f{number}/labels.csv").tags.items()}
        mapping = map_clusters(read_clusters(sorted(run.glob("rounds/*/clusters.csv"))[-1]), labels, how)
        expected |= map_detections(read_detections(found).results, mapping)
    scores = evaluate_detections(truth, expected, {"act00", "act01", "act02"}, [0.1, 0.3])
    kept = [read_detections(file).results for file in out.glob("cache/*/kept/detections.json")]
    assert expected in kept
    (row,) = result.tables[0].values
    assert row[0] == (pytest.approx(scores.mean_ap[0]),)
    assert row[1] == (pytest.approx(scores.mean_ap[1]),)
    assert row[0][0] > 0.3, "there is something to find, so that a wrong mapping would show"


def test_clustering_is_the_mean_over_the_folds_and_said_to_be(folds, done):
    out, result = done
    scores = [
        evaluate(run, labels=folds / f"f{number}/labels.csv", protocol="clustering").scalars()
        for number, run in runs_of(out, folds).items()
    ]
    assert len(scores) == 2
    for place, name in ((2, "nmi"), (3, "purity")):
        assert result.tables[0].values[0][place] == (pytest.approx(np.mean([own[name] for own in scores])),)
    assert "clustering is the mean over the folds" in result.tables[0].caption
    assert "by majority of the training videos' labels, in each fold by itself" in result.tables[0].caption


def test_oracle_maps_each_fold_by_its_test_videos_and_says_so(folds, done):
    out, _ = done
    result = compare(experiment(folds, evaluate={"map_clusters": "majority", "map_clusters_oracle": True}), out=out)
    assert result.tables[0].runs == ("tcam (oracle)",)
    assert "ORACLE, the test videos' own labels, in each fold by itself" in result.tables[0].caption
    kept = [read_detections(file) for file in out.glob("cache/*/kept/detections.json")]
    assert [found.untrimmed["selection"] for found in kept].count("oracle") == 1


def test_clusters_alone_need_no_mapping_and_folds_stay_apart(folds, done):
    out, _ = done
    result = compare(experiment(folds, metrics=["clustering:nmi"], evaluate={}), out=out)
    assert len(result.tables[0].values[0][0]) == 1
    assert "clusters as they are" in result.tables[0].caption
    assert list(out.glob("cache/*/kept/part-1/detections.json"))
    with pytest.raises(InputError, match=r"mAP@0\.1 needs classes for its clusters"):
        compare(experiment(folds, metrics=["mAP@0.1"], evaluate={}), out=out)


def write_fold(folder, number, names, logits):
    """A fold whose two training videos are in the clusters `names`, and whose one test video has these logits."""
    name = f"test{number}"
    (folder / "labels.csv").write_text('video,label\n"a","jump"\n"b","run"\n')
    truth = {"database": {name: {"subset": "test", "duration": 4.0, "annotations": [{"segment": [0, 2], "label": "run"}]}}}
    (folder / "annotations.json").write_text(json.dumps(truth))
    clusters = ("cluster_00", "cluster_01", "cluster_02")
    detections = {name: [Detection(0.0, 2.0, clusters[k], score) for k, score in enumerate((0.9, 0.6, 0.3))]}
    fold = folder / f"part-{number}"
    about = {"clusters": {"a": names[0], "b": names[1], name: names[0]}}
    write_detections(fold / "detections.json", detections, about)
    stream = StreamActivation(None, np.array(logits, np.float32), np.array([0.9, 0.6, 0.3]))
    write_activations(
        fold / "detections.activations", [Activation(name, clusters, Timeline(0.0, 1.0, 2, 2.0), {"rgb": stream})], about
    )
    return fold, Part("features", str(folder / "labels.csv"), str(folder / "annotations.json"), "test")


def test_the_same_cluster_may_stand_for_another_class_in_another_fold(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()
    logits = [[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    first, part_0 = write_fold(tmp_path / "0", 0, ("cluster_00", "cluster_01"), logits)
    second, part_1 = write_fold(tmp_path / "1", 1, ("cluster_02", "cluster_00"), logits)
    for fold, one in ((first, part_0), (second, part_1)):
        name_clusters(fold, one, "majority", oracle=False)
    pooled, annotations = pool([first, second], [part_0, part_1], tmp_path, named=True)
    results = read_detections(pooled / "detections.json").results
    assert [(d.label, d.score) for d in results["test0"]] == [("jump", 0.9), ("run", 0.6)]
    assert [(d.label, d.score) for d in results["test1"]] == [("run", 0.9), ("jump", 0.3)]
    assert set(read_annotations(annotations).subset("test")) == {"test0", "test1"}
    activations, about = read_activations(pooled / "detections.activations")
    assert "clusters" not in about
    power = np.exp(np.array(logits))
    shown = power / power.sum(1, keepdims=True)
    for activation, columns in zip(activations, ([0, 1], [2, 0]), strict=True):
        assert activation.classes == ("jump", "run")
        np.testing.assert_allclose(activation.streams["rgb"].class_score, np.array([0.9, 0.6, 0.3])[columns])
        np.testing.assert_allclose(np.exp(activation.streams["rgb"].class_logit), shown[:, columns], rtol=1e-5)


def test_oracle_asks_the_test_videos(tmp_path):
    fold, one = write_fold(tmp_path, 0, ("cluster_00", "cluster_01"), [[0.0, 0.0, 0.0]] * 2)
    name_clusters(fold, one, "majority", oracle=True)
    found = read_detections(fold / "detections.json")
    assert [(d.label, d.score) for d in found.results["test0"]] == [("run", 0.9)], "its surest cluster is what the video shows"
    assert found.untrimmed["selection"] == "oracle"


def test_a_class_that_no_cluster_of_a_fold_stands_for(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()
    logits = [[0.0, 0.0, 0.0]] * 2
    first, part_0 = write_fold(tmp_path / "0", 0, ("cluster_00", "cluster_01"), logits)
    second, part_1 = write_fold(tmp_path / "1", 1, ("cluster_00", "cluster_00"), logits)
    for fold, one in ((first, part_0), (second, part_1)):
        name_clusters(fold, one, "majority", oracle=False)
    pooled, _ = pool([first, second], [part_0, part_1], tmp_path, named=True)
    activations, _ = read_activations(pooled / "detections.activations")
    last = activations[1].streams["rgb"]
    assert activations[1].classes == ("jump", "run")
    np.testing.assert_allclose(last.class_score, [0.9, 0.0])
    assert (last.class_logit[:, 1] < last.class_logit[:, 0] - 20).all()

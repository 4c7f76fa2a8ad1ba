"""Experiments on planted data: tables, differences, swaps, folds and runs that start from others."""

import csv
import json

import numpy as np
import pytest
import torch
import yaml

from tests.experiments.planted import FAST, content, data, write
from tests.methods.planted import plant
from untrimmed.data.annotations import read_annotations, read_detections
from untrimmed.data.errors import InputError
from untrimmed.data.settings import build
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Activation
from untrimmed.evaluation.activitynet import evaluate_detections
from untrimmed.experiments.compare import Comparison
from untrimmed.jobs.compare import compare
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.localization import Localization
from untrimmed.localization import localize as cut
from untrimmed.methods.base import SnippetScores, load_method


def test_table_is_what_train_localize_and_evaluate_give(world, done, tmp_path):
    _, result = done
    part = {"features": world / "d/features", "annotations": world / "d/annotations.json"}
    expected = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for seed in (0, 1):
            run = tmp_path / f"run-{seed}"
            train("dgam", features=part["features"], labels=world / "d/labels.csv", out=run, settings=FAST, seed=seed)
            found = run / "detections.json"
            localize(run, features=part["features"], out=found, subset_from=part["annotations"], subset="test")
            expected.append(evaluate(found, annotations=part["annotations"], subset="test").scalars())
    finally:
        torch.set_num_threads(threads)
    table = result.tables[0]
    assert table.runs == ("with", "without")
    assert table.values[0][0] == tuple(scores["mAP@0.1"] for scores in expected)
    assert table.values[0][1] == tuple(scores["mAP@avg"] for scores in expected)


def test_files(done):
    out, result = done
    with open(out / "results.csv") as stream:
        rows = {(row["run"], row["metric"]): row for row in csv.DictReader(stream)}
    cells = result.tables[0].values[1][1]
    assert float(rows["without", "mAP@avg"]["mean"]) == pytest.approx(np.mean(cells), abs=1e-6)
    assert float(rows["without", "mAP@avg"]["std"]) == pytest.approx(np.std(cells, ddof=1), abs=1e-6)
    page = (out / "results.md").read_text()
    for word in ("protocol activitynet, classification", "subset test", "tIoU 0.1:0.9:0.1", "selection last", "seeds 0, 1"):
        assert word in page
    assert r"\begin{tabular}{lrrr}" in (out / "results.tex").read_text()
    assert (out / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert len((out / "pairs.csv").read_text().splitlines()) == 4
    kinds = {d.metric.name: d.how for d in result.differences}
    assert kinds["mAP@avg"] == "seeds and videos (bootstrap)"
    assert kinds["classification:accuracy"] == "seeds (t)"
    first = result.differences[0]
    assert first.value == pytest.approx(np.mean(np.subtract(*(result.tables[0].values[r][0] for r in (0, 1)))))
    assert first.interval[0] <= first.value <= first.interval[1]
    assert not list((out / "cache").glob("*/run/checkpoints")), "what only a resumed training needs goes"


def test_average_is_the_mean_of_the_data_sets_differences_and_surer_than_they_are(world, tmp_path):
    tree = content(data={name: data(name, subset="test") for name in "de"}, metrics=["mAP@0.1", "classification:accuracy"])
    tree["averages"] = {"gain": {"d": ["with", "without"], "e": ["with", "without"]}}
    result = compare(write(world, tree), out=tmp_path / "out")
    for metric, how in (("mAP@0.1", "seeds and videos (bootstrap)"), ("classification:accuracy", "seeds (t)")):
        *single, average = [d for d in result.differences if d.metric.name == metric]
        assert (average.data, average.first, average.second, average.how) == ("mean of 2", "gain", None, how)
        assert average.value == pytest.approx(np.mean([d.value for d in single]))
        assert average.interval[0] <= average.value <= average.interval[1]
    widths = [d.interval[1] - d.interval[0] for d in result.differences if d.metric.name == "mAP@0.1"]
    assert 0 < widths[2] < max(widths[:2]), "independent draws of two data sets partly cancel out"
    assert "| mean of 2 | gain " in (tmp_path / "out/pairs.md").read_text()


def test_swap_is_attention_of_one_and_classification_of_the_other(world, tmp_path):
    tree = content(seeds=[3], pairs=[["swap", "without"]], metrics=["mAP@0.1", "mAP@avg"], keep=True)
    tree["runs"] |= {"swap": {"attention": "with", "classification": "without"}}
    tree["runs"] |= {"same": {"attention": "without", "classification": "without"}}
    out = tmp_path / "out"
    result = compare(write(world, tree), out=out)
    table = result.tables[0]
    assert table.values[3] == table.values[1]

    runs = {}
    for folder in (out / "cache").glob("*/run"):
        runs[yaml.safe_load((folder / "config.yaml").read_text())["method"]["gam"]] = load_method(folder / "model")
    truth = read_annotations(world / "d/annotations.json")
    store, found, plain = FeatureStore(world / "d/features"), [], []
    with torch.no_grad():
        for video in truth.subset("test"):
            x = {stream: torch.from_numpy(array.copy()) for stream, array in store.load(video).items()}
            looked, named = runs[True].curves(x), runs[False].curves(x)
            both = {s: SnippetScores(looked[s].attention_logit, named[s].class_logit) for s in x}
            found.append(Activation(video, runs[False].classes, store.timeline(video), runs[False].pool(x, both)))
            plain.append(Activation(video, runs[False].classes, store.timeline(video), runs[False].pool(x, named)))
    config = next(yaml.safe_load(f.read_text())["localization"] for f in (out / "cache").glob("*/run/config.yaml"))
    settings = build(Localization, config, "localization")
    results = cut(found, settings)
    assert results != cut(plain, settings), "the swap makes a difference here"
    scores = evaluate_detections(truth.subset("test"), results, truth.classes, np.arange(1, 10) / 10)
    assert table.values[2][1] == (pytest.approx(scores.average, abs=1e-9),)
    kept = [read_detections(file).results for file in (out / "cache").glob("*/kept/detections.json")]
    assert results in kept


def test_folds_are_scored_together(world, tmp_path):
    tree = content(
        data={"both": {"subset": "test", "folds": [data("f0"), data("f1")]}},
        runs={"dgam": {"method": "dgam", "settings": FAST}},
        pairs=[],
        seeds=1,
        metrics=["mAP@0.1", "classification:video_mAP"],
        keep=True,
    )
    for number in (0, 1):
        planted = plant(tmp_path / f"f{number}", train=8, test=5, empty=2, seed=number)
        for file in ("annotations.json", "labels.csv"):
            path = planted.folder / file
            path.write_text(path.read_text().replace('"test', f'"{number}test').replace(f'"{number}test"', '"test"'))
        for file in [*(planted.folder / "features").rglob("test*")]:
            file.rename(file.with_name(f"{number}{file.name}"))
        header = planted.folder / "features/features.json"
        header.write_text(header.read_text().replace('"test', f'"{number}test'))
    result = compare(write(tmp_path, tree), out=tmp_path / "out")
    assert not result.failures
    assert "2 folds" in result.tables[0].caption
    kept = next((tmp_path / "out/cache").glob("*/kept"))
    results = read_detections(kept / "detections.json").results
    assert len(results) == 10
    truth = {}
    for number in (0, 1):
        truth |= read_annotations(tmp_path / f"f{number}/annotations.json").subset("test")
    scores = evaluate_detections(truth, results, {s.label for t in truth.values() for s in t.segments}, [0.1])
    assert result.tables[0].values[0][0] == (pytest.approx(scores.average),)

    tree["data"]["both"]["folds"][1] = data("f0")
    with pytest.raises(InputError, match="is tested in fold 1 and in fold 0"):
        compare(write(tmp_path, tree), out=tmp_path / "out")


def test_a_run_that_starts_from_another(world, tmp_path):
    tree = content(seeds=1, pairs=[], metrics=["mAP@0.1"])
    tree["runs"] = {"later": {"method": "dgam", "settings": FAST, "init": "first"}, "first": tree["runs"]["with"]}
    result = compare(write(world, tree), out=tmp_path / "out")
    assert not result.failures
    configs = [yaml.safe_load(file.read_text()) for file in (tmp_path / "out/cache").glob("*/run/config.yaml")]
    assert sum("init" in config for config in configs) == 1


def test_attention_with_its_parts(world, tmp_path):
    truth = read_annotations(world / "d/annotations.json").subset("test")
    counts = {video: FeatureStore(world / "d/features").videos[video].snippets for video in truth}
    parts = {
        v: [["act00", 0, n // 3], ["context", n // 3, n // 3], ["background", n // 3 * 2, n - n // 3 * 2]]
        for v, n in counts.items()
    }
    (world / "d/parts.json").write_text(json.dumps(parts))
    tree = content(seeds=1, pairs=[["with", "without"]], metrics=["attention:att-gt/gt", "attention:attention.context", "mAP@0.1"])
    tree["data"]["d"]["parts"] = "d/parts.json"
    tree["runs"]["wtalc"] = {"method": "wtalc", "settings": {"epochs": 2, "data": {"snippets": 8}}}
    result = compare(write(world, tree), out=tmp_path / "out")
    assert not result.failures
    table = result.tables[0]
    assert not table.metrics[0].higher_is_better
    assert len(table.values[0][0]) == len(table.values[0][1]) == 1
    assert table.values[2][0] == (), "a method that does not tell where it looks"
    assert len(table.values[2][2]) == 1


def test_groups_of_a_run_without_labels(world, tmp_path):
    tree = content(seeds=1, pairs=[], metrics=["clustering:nmi", "mAP@0.1"], evaluate={"map_clusters": "majority"})
    tree["data"]["d"]["clusters"] = 3
    settings = {"epochs": 1, "rounds": 2, "data": {"snippets": 8}}
    tree["runs"] = {"told": tree["runs"]["with"], "tcam": {"method": "tcam", "unlabelled": True, "settings": settings}}
    result = compare(write(world, tree), out=tmp_path / "out")
    assert not result.failures
    assert result.tables[0].values[0][0] == ()
    assert 0 <= result.tables[0].values[1][0][0] <= 1
    assert len(result.tables[0].values[1][1]) == 1


def test_result_is_a_value(done):
    assert isinstance(done[1], Comparison)

"""`untrimmed compare` on planted data: tables, cache, resume, processes, failures, swaps and what it says of faults."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from tests.methods.planted import plant
from untrimmed.cli import main
from untrimmed.data.annotations import read_annotations, read_detections
from untrimmed.data.errors import InputError
from untrimmed.data.settings import build
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Activation
from untrimmed.engine.local import Pool
from untrimmed.evaluation.activitynet import evaluate_detections
from untrimmed.experiments import cache, held_out, processes, task, train_task
from untrimmed.experiments.compare import Comparison
from untrimmed.experiments.metrics import numbers_of
from untrimmed.experiments.read import read_experiment
from untrimmed.jobs.compare import compare
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.localization import Localization
from untrimmed.localization import localize as cut
from untrimmed.methods.base import Curves, load_method

FAST = {"epochs": 2, "hidden": 8, "batch": 8, "attention_delay": 0.0, "learning_rate": 0.01, "data": {"snippets": 8}}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a data set `d` and a second one, `e`, of other videos."""
    folder = tmp_path_factory.mktemp("world")
    plant(folder / "d", train=8, test=5, empty=2)
    plant(folder / "e", train=8, test=4, empty=3, seed=1)
    return folder


def data(name="d", **more):
    return {"features": f"{name}/features", "labels": f"{name}/labels.csv", "annotations": f"{name}/annotations.json"} | more


def content(**changes):
    base = {
        "data": {"d": data(subset="test")},
        "runs": {"with": {"method": "dgam", "settings": FAST}, "without": {"method": "dgam", "settings": {**FAST, "gam": False}}},
        "seeds": 2,
        "metrics": ["mAP@0.1", "mAP@avg", "classification:accuracy"],
        "pairs": [["with", "without"]],
    }
    return base | changes


def write(world, tree, name="experiment.yaml"):
    path = world / name
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def done(world, tmp_path_factory):
    """One comparison that the tests look at, or go on from in a copy."""
    out = tmp_path_factory.mktemp("out") / "results"
    return out, compare(write(world, content(), "done.yaml"), out=out)


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


def count(monkeypatch):
    """The names of the tasks that are done from now on."""
    names: list[str] = []
    perform = processes.perform
    monkeypatch.setattr("untrimmed.jobs.compare.perform", lambda task: (names.append(task.name), perform(task))[1])
    return names


def test_a_second_call_does_nothing_and_a_changed_setting_only_what_it_must(world, done, monkeypatch):
    out, before = done
    names = count(monkeypatch)
    again = compare(write(world, content()), out=out)
    assert names == []
    assert again.tables == before.tables
    assert again.differences == before.differences

    tree = content()
    tree["runs"]["without"]["settings"]["epochs"] = 1
    compare(write(world, tree), out=out)
    assert names == [f"without on d, seed {seed}" for seed in (0, 1, 0, 1)], "trained, then scored"
    names.clear()
    compare(write(world, content(localize={"nms": 0.3})), out=out)
    assert len(names) == 4, "scored anew, not trained"
    names.clear()
    compare(write(world, content(seeds=[1, 2], metrics=["mAP@0.3"])), out=out)
    assert sorted(set(names)) == ["with on d, seed 1", "with on d, seed 2", "without on d, seed 1", "without on d, seed 2"]


def test_what_a_key_depends_on(world, tmp_path, monkeypatch):
    part = read_experiment(write(world, content())).data["d"].parts[0]
    base = task.Training("name", tmp_path, part, "dgam", "default", FAST, 0)
    key = cache.training_key(base)
    changed = replace
    others = [
        changed(base, seed=1),
        changed(base, settings={**FAST, "epochs": 3}),
        changed(base, preset="demo"),
        changed(base, held_out=("train003",)),
        changed(base, init=tmp_path / "0123"),
        changed(base, classes=("act00",)),
        changed(base, part=changed(part, features=str(world / "e/features"))),
        changed(base, part=changed(part, labels=str(world / "e/labels.csv"))),
    ]
    keys = [cache.training_key(other) for other in others]
    assert len({key, *keys}) == len(others) + 1
    assert cache.training_key(changed(base, name="other", folder=tmp_path / "x")) == key
    monkeypatch.setattr(cache, "version", lambda library: "2.0")
    assert cache.training_key(base) != key


def test_data_that_changed_in_place_is_trained_on_again(world, tmp_path):
    plant(tmp_path / "d", train=6, test=4, empty=1)
    part = read_experiment(write(tmp_path, content())).data["d"].parts[0]
    training = task.Training("name", tmp_path, part, "dgam", "default", FAST, 0)
    keys = set()
    for _ in range(3):
        cache.store_hash.cache_clear()
        cache.file_hash.cache_clear()
        keys.add(cache.training_key(training))
        file = next((tmp_path / "d/features/rgb").glob("*.npy"))
        array = np.load(file)
        array[0, 0] += 1
        np.save(file, array)
    assert len(keys) == 3


def test_two_processes_give_what_one_gives(world, done, tmp_path):
    _, one = done
    two = compare(write(world, content()), out=tmp_path / "two", workers=2)
    assert two.tables == one.tables
    assert two.differences == one.differences


def test_killed_and_called_again(world, done, tmp_path):
    """Whatever the killed processes had finished stays, and the result is the same as in one go."""
    _, one = done
    path, out = write(world, content()), tmp_path / "killed"
    command = [sys.executable, "-m", "untrimmed", "compare", str(path), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("cache/*/run/model/model.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    trained = {file: file.stat().st_mtime_ns for file in out.glob("cache/*/run/model/model.json")}
    assert trained
    assert not (out / "results.md").exists()
    assert compare(path, out=out).tables == one.tables
    assert trained == {file: file.stat().st_mtime_ns for file in trained}


def test_a_training_that_was_cut_off_is_gone_on_with(world, tmp_path, monkeypatch):
    path, out = write(world, content(seeds=1, pairs=[], metrics=["mAP@avg"])), tmp_path / "out"
    whole = compare(path, out=tmp_path / "whole").tables
    save = train_task.fit

    def stopped(options, supervision, features, out, **arguments):
        save(options, supervision, features, out, **arguments)
        (out / "model/model.json").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(train_task, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        compare(path, out=out)
    resumed = []
    monkeypatch.setattr(train_task, "fit", lambda *o, resume=False: (resumed.append(resume), save(*o, resume=resume))[1])
    assert compare(path, out=out).tables == whole
    assert resumed == [True, False]


def test_a_damaged_training_is_done_anew(world, tmp_path):
    path, out = write(world, content(seeds=1, pairs=[], metrics=["mAP@avg"])), tmp_path / "out"
    whole = compare(path, out=out).tables
    for file in out.glob("cache/*/scores.json"):
        file.unlink()
    for run in out.glob("cache/*/run"):
        (run / "model/model.json").unlink()
        (run / "config.yaml").write_text("{")
    assert compare(path, out=out).tables == whole


def test_a_run_that_fails_is_named_and_the_others_go_on(world, tmp_path, capsys):
    tree = content(seeds=1)
    tree["runs"]["with"]["settings"] = {**FAST, "learning_rate": 1e30, "epochs": 4}
    tree["runs"]["swap"] = {"attention": "with", "classification": "without"}
    path, out = write(world, tree), tmp_path / "out"
    with pytest.raises(SystemExit) as end:
        main(["compare", str(path), "--out", str(out)])
    assert end.value.code == 3
    failures = json.loads((out / "failures.json").read_text())
    assert set(failures) == {"with on d, seed 0", "swap on d, seed 0"}
    assert "diverged" in failures["with on d, seed 0"]
    said = capsys.readouterr()
    assert "with on d, seed 0: failed" in said.err
    assert "## Failed" in said.out
    row = next(line for line in said.out.splitlines() if line.startswith("| with "))
    assert "–" in row

    result = compare(write(world, content(seeds=1)), out=out)
    assert not result.failures
    assert not (out / "failures.json").exists()


def test_a_process_that_dies_costs_its_task_only(world, tmp_path):
    part = read_experiment(write(world, content())).data["d"].parts[0]
    good = task.Training("good", tmp_path / "good", part, "dgam", "default", FAST, 0)
    bad = replace(good, name="bad", folder=tmp_path / "bad", settings=Deadly())
    with Pool(1) as pool:
        ended = {task.name: why for task, why in processes.perform_all([bad, good], pool)}
    assert ended == {"bad": "its process crashed (exit code 9)", "good": None}
    assert (tmp_path / "good/run/model/model.json").is_file()


def test_an_interrupt_is_the_parents_to_answer(world, tmp_path):
    part = read_experiment(write(world, content())).data["d"].parts[0]
    tasks = [task.Training(f"{n}", tmp_path / f"{n}", part, "dgam", "default", FAST, n) for n in range(2)]
    with Pool(1) as pool:
        assert [why for _, why in processes.perform_all(tasks[:1], pool)] == [None]
        (child,) = pool.workers
        child.process.send_signal(signal.SIGINT)
        assert [why for _, why in processes.perform_all(tasks[1:], pool)] == [None]
        assert pool.workers == [child]


class Deadly(dict):
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return (os._exit, (9,))


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
            both = {s: Curves(looked[s].attention_logit, named[s].class_logit) for s in x}
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


@pytest.mark.parametrize("selection", ["weak-loss", "oracle"])
def test_candidates(world, tmp_path, selection):
    candidates = [{"epochs": 1}, {"epochs": 6}]
    tree = content(seeds=1, selection=selection, pairs=[], metrics=["mAP@0.1"])
    tree["runs"] = {"dgam": {"method": "dgam", "settings": FAST, "candidates": candidates}}
    out = tmp_path / "out"
    result = compare(write(world, tree), out=out)
    chosen = json.loads((out / "chosen.json").read_text())["dgam on d" + (", seed 0")]
    each = content(seeds=1, pairs=[], metrics=["mAP@0.1"])
    each["runs"] = {f"c{n}": {"method": "dgam", "settings": {**FAST, **c}} for n, c in enumerate(candidates)}
    values = [cells[0][0] for cells in compare(write(world, each), out=out).tables[0].values]
    word = "ORACLE" if selection == "oracle" else "weak-loss"
    assert word in result.tables[0].caption
    if selection == "oracle":
        assert result.tables[0].values[0][0] == (max(values),)
        assert result.tables[0].runs == ("dgam (oracle)",)
        assert chosen["mAP@0.1"] == values
    else:
        assert len(chosen["losses"]) == 2
        assert chosen["candidate"] == 1 + int(np.argmin(chosen["losses"]))
        assert result.tables[0].values[0][0] == (values[chosen["candidate"] - 1],)
    for scores in (json.loads(file.read_text()) for file in out.glob("cache/*/scores.json")):
        assert scores["selection"] in ("last", selection)


def test_a_candidate_that_is_another_runs_training_too_is_judged_all_the_same(world, tmp_path):
    candidates = [{"epochs": 6}, {"epochs": 1}]
    tree = content(seeds=1, selection="weak-loss", pairs=[], metrics=["mAP@0.1"])
    tree["runs"] = {"chosen": {"method": "dgam", "settings": FAST, "candidates": candidates}}
    tree["runs"] |= {f"plain {n}": {"method": "dgam", "settings": {**FAST, **c}} for n, c in enumerate(candidates)}
    compare(write(world, tree), out=tmp_path / "out")
    chosen = json.loads((tmp_path / "out/chosen.json").read_text())["chosen on d, seed 0"]
    assert min(chosen["losses"]) > 0
    assert chosen["candidate"] == 1 + int(np.argmin(chosen["losses"]))


def test_weak_loss_trains_without_the_held_out_videos(world, tmp_path):
    part = read_experiment(write(world, content())).data["d"].parts[0]
    held = held_out.held_out_fifth(part)
    everything = train_task.training_videos(part)
    assert len(held) == max(1, len(everything) // 5)
    training = task.Training("n", tmp_path / "t", part, "dgam", "default", FAST, 0, held_out=held)
    assert processes.perform(training) is None
    assert processes.perform(task.HeldOut("n, loss", tmp_path / "l", part, training.folder, held)) is None
    environment = json.loads((tmp_path / "t/run/environment.json").read_text())
    assert environment["training_videos"] == [video for video in everything if video not in held]
    assert 0 < json.loads((tmp_path / "l/loss.json").read_text()) < 5


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


def test_published_rows_stand_below(world, done, capsys):
    out, _ = done
    with pytest.raises(SystemExit) as end:
        main(["compare", str(write(world, content())), "--out", str(out), "--published"])
    assert end.value.code == 0
    page = capsys.readouterr().out
    ours, _, theirs = page.partition("## Published")
    assert "| with " in ours
    assert "S1: 10 THUMOS14" in theirs
    assert "| 60.0" in theirs
    assert "W-TALC" not in theirs, "only the methods that were run"


def test_help_for_what_is_missing(capsys):
    for arguments, words in (([], "give an experiment file"), (["x.yaml"], "--out DIR")):
        with pytest.raises(SystemExit) as end:
            main(["compare", *arguments])
        assert end.value.code == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seedz": 3}, r"unknown name 'seedz'; did you mean 'seeds'"),
        ({"runs": {}}, r"no 'runs' in it"),
        ({"data": {"d": data(subset="tset")}}, r"no video is in the subset 'tset'"),
        ({"data": {"d": data(feature="x")}}, r"data\.d: unknown name 'feature'; did you mean 'features'"),
        ({"data": {"d": {"features": "d/features"}}}, r"data\.d: no 'labels' in it"),
        ({"data": {"d": data("nowhere")}}, r"data\.d\.features: nowhere/features is neither beside"),
        ({"data": {"d": data(clusters="many")}}, r"clusters: expected a whole number"),
        ({"data": {"d": data(trimmed="d/features")}}, r"trimmed and trimmed_labels go together"),
        ({"data": {"d": {"folds": []}}}, r"folds: expected a list"),
        ({"runs": {"a": {"method": "dgan"}}}, r"unknown name 'dgan'; did you mean 'dgam'"),
        ({"runs": {"a": {"preset": "demo"}}}, r"runs\.a: no 'method'"),
        (
            {"runs": {"a": {"method": "dgam", "settings": {"epoch": 3}}}},
            r"runs\.a: method: unknown name 'epoch'; did you mean 'epochs'",
        ),
        ({"runs": {"a": {"method": "dgam", "settings": {"rbg": {"epochs": 3}}}}}, r"runs\.a: .*'rbg'; did you mean 'rgb'"),
        ({"runs": {"a": {"method": "dgam", "localize": {"nmz": 0.5}}}}, r"runs\.a: localization: unknown name 'nmz'"),
        ({"runs": {"a": {"method": "dgam", "unlabelled": True}}}, r"dgam cannot learn without labels"),
        ({"runs": {"a": {"method": "dgam", "unlabelled": "yes"}}}, r"expected true or false, found 'yes'"),
        ({"runs": {"a": {"method": "dgam", "data": ["x"]}}}, r"runs\.a\.data: unknown name 'x'"),
        ({"runs": {"a": {"method": "dgam", "candidates": [{"epochs": 1}]}}}, r"nothing is chosen with selection last"),
        ({"runs": {"a": {"method": "dgam", "init": "b"}}}, r"runs\.a\.init: unknown name 'b'"),
        ({"runs": {"a": {"method": "dgam", "init": "a"}}}, r"start from each other"),
        ({"runs": {"a": {"attention": "b"}}}, r"a swap names two runs"),
        (
            {"runs": {"a": {"method": "dgam"}, "b": {"attention": "a", "classification": "c"}}},
            r"b\.classification: unknown name 'c'",
        ),
        ({"pairs": [["with", "withot"]]}, r"pairs: unknown name 'withot'; did you mean 'without'"),
        ({"pairs": [["with"]]}, r"expected two runs"),
        ({"pairs": [["with", "with"]]}, r"with itself"),
        ({"averages": {"gain": {"d": ["with", "without"]}}}, r"averages\.gain: expected a pair for each of two data sets"),
        (
            {"averages": {"gain": {"d": ["with", "without"], "x": ["with", "without"]}}},
            r"averages\.gain: unknown name 'x'; there is d",
        ),
        ({"metrics": ["mAP@0.55"]}, r"mAP@0\.55: no such metric; there is mAP@avg and mAP@ one of 0\.1"),
        ({"metrics": ["mAP@x"]}, r"mAP@x: no such metric"),
        ({"metrics": ["mAP@0.1", "mAP@0.1"]}, r"stands twice"),
        ({"metrics": ["activtynet:mAP@0.1"]}, r"unknown name 'activtynet'; did you mean 'activitynet'"),
        ({"seeds": 0}, r"seeds: expected how many"),
        ({"seeds": [1, 1]}, r"one stands twice"),
        ({"selection": "best"}, r"selection: unknown name 'best'"),
        ({"evaluate": {"tiuo": "0.5"}}, r"evaluate: unknown name 'tiuo'; did you mean 'tiou'"),
        ({"evaluate": {"tiou": "0.5:"}}, r"evaluate: --tiou 0\.5:"),
        ({"evaluate": {"map_clusters": "majorty"}}, r"evaluate\.map_clusters: unknown name 'majorty'; did you mean 'majority'"),
        ({"evaluate": {"map_clusters_oracle": True}}, r"say which: map_clusters"),
        ({"evaluate": {"min_score": "high"}}, r"min_score: expected a number, found 'high'"),
        ({"metrics": ["classification:acuracy"]}, r"unknown name 'acuracy'; did you mean 'accuracy'"),
        ({"metrics": ["classification:accuracy.rbg"]}, r"unknown name 'accuracy\.rbg'; did you mean 'accuracy\.rgb'"),
        ({"metrics": ["accuracy"]}, r"write classification:accuracy"),
        ({"metrics": ["clustering:nmii"]}, r"unknown name 'nmii'; did you mean 'nmi'"),
        ({"metrics": ["clustering:nmi.round2"]}, r"runs with unlabelled: true, and there is none"),
        ({"metrics": ["attention:att-gt/gt@0.35"]}, r"unknown name 'att-gt/gt@0\.35'; did you mean 'att-gt/gt@0\.[35]'"),
        ({"metrics": ["attention:x"]}, r"unknown name 'x'; there is \(att&gt\)-cls/gt, "),
        ({"metrics": ["attention:attention.context"]}, r"no data set has 'parts'"),
        ({"metrics": ["f1"]}, r"evaluate: \{min_score: 0\.5\}"),
        ({"metrics": ["activitynet:"]}, r"unknown name ''; there is "),
        ({"runs": {"a": {"method": "dgam", "data": []}}}, r"runs\.a\.data: names no data set"),
        ({"runs": {"a": {"method": "dgam", "data": [{"b": 1}]}}}, r"runs\.a\.data: expected a name, found"),
        ({"runs": {"": {"method": "dgam"}}}, r"runs: '' is no name"),
        ({"runs": {"a": {"method": "dgam", "classes": ["nope"]}}}, r"runs\.a on d: --classes: .*unknown name 'nope'"),
        ({"runs": {"a": {"method": "tcam", "unlabelled": True}}}, r"mAP@0\.1 needs classes for its clusters"),
        (
            {
                "runs": {"a": {"method": "tcam", "unlabelled": True}},
                "data": {"d": data(subset="test", clusters=99)},
                "metrics": ["clustering:nmi"],
            },
            r"runs\.a on d: --clusters 99: there are only 13 videos",
        ),
        ({"selection": "oracle"}, r"selection oracle: there is nothing to choose from"),
        (
            {"selection": "weak-loss", "runs": {"a": {"method": "dgam", "candidates": [{"localization": {"nms": 0.3}}]}}},
            r"cannot tell settings of localization apart",
        ),
        ({"pairs": [["with", "without"], ["with", "without"]]}, r"stand twice"),
    ],
)
def test_faults_in_the_file(world, tmp_path, change, words):
    with pytest.raises(InputError, match=words) as fault:
        compare(write(world, {**content(pairs=[]), **change}), out=tmp_path / "out")
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out/cache").iterdir())


def test_other_faults(world, tmp_path):
    with pytest.raises(InputError, match=r"missing\.yaml: cannot be read"):
        compare(world / "missing.yaml", out=tmp_path / "out")
    with pytest.raises(InputError, match=r"not usable YAML"):
        compare(write(world, "data: [", "bad.yaml"), out=tmp_path / "out")
    with pytest.raises(InputError, match=r"key 'seeds' stands twice"):
        compare(write(world, "seeds: 2\nseeds: 3\n", "bad.yaml"), out=tmp_path / "out")
    with pytest.raises(InputError, match=r"expected names with values"):
        compare(write(world, "- a\n", "bad.yaml"), out=tmp_path / "out")


def test_names_stay_as_they_are_written(world):
    text = yaml.safe_dump(content(runs={}, pairs=[])).replace("runs: {}", "")
    runs = "runs:\n  O: {method: dgam, settings: {gam: false}}\n  N: {method: dgam}\n  ON: {attention: O, classification: N}\n"
    runs += "  NO: {attention: N, classification: O}\n  1: {method: dgam, init: N}\n"
    plan = read_experiment(write(world, f"{text}\n{runs}", "names.yaml"))
    assert list(plan.runs) == ["O", "N", "ON", "NO", "1"]
    assert plan.runs["O"].settings == {"gam": False}


def test_the_metrics_that_may_be_asked_for_are_those_that_evaluate_gives(world, done, tmp_path):
    run, found = tmp_path / "run", tmp_path / "found.json"
    features, annotations = world / "d/features", world / "d/annotations.json"
    train(
        "tcam",
        features=features,
        unlabelled=True,
        clusters=3,
        out=run,
        settings={"epochs": 1, "rounds": 1, "data": {"snippets": 8}},
    )
    localize(run, features=features, out=found, subset_from=annotations, subset="test")
    streams = ("rgb", "flow")
    counts = {v: one.snippets for v, one in FeatureStore(features).videos.items()}
    parts = {
        v: [["act00", 0, n // 3], ["context", n // 3, n // 3], ["background", n // 3 * 2, n - n // 3 * 2]]
        for v, n in counts.items()
    }
    (tmp_path / "parts.json").write_text(json.dumps(parts))
    for protocol, more in {
        "activitynet": {"min_score": 0.0},
        "classification": {},
        "attention": {"parts": tmp_path / "parts.json"},
    }.items():
        about = {
            "annotations": annotations,
            "subset": "test",
            "map_clusters": "soft",
            "labels": world / "d/labels.csv",
            "protocol": protocol,
        }
        given = {name for name in evaluate(found, **about, **more).scalars() if not name.startswith("mAP@")}
        assert given <= set(numbers_of(protocol, streams))
        assert protocol == "activitynet" or given == set(numbers_of(protocol, streams))
    given = evaluate(run, labels=world / "d/labels.csv", protocol="clustering").scalars()
    assert {name for name in given if ".round" not in name} == set(numbers_of("clustering"))


def test_a_number_that_a_run_does_not_have_is_left_out(world, tmp_path):
    tree = content(seeds=1, metrics=["precision", "f1", "silent_share"], evaluate={"min_score": 2.0, "tiou": [0.1, 0.5]})
    table = compare(write(world, tree), out=tmp_path / "out").tables[0]
    assert "tIoU 0.1,0.5" in table.caption
    assert table.values[0] == ((), (0.0,), (1.0,)), "no detection scores that much"


def test_result_is_a_value(done):
    assert isinstance(done[1], Comparison)

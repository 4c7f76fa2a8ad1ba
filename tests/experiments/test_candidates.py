"""Which candidate of a run is chosen, and by what."""

import json

import numpy as np
import pytest

from tests.experiments.planted import FAST, content, write
from untrimmed.experiments import held_out, processes, task, train_task
from untrimmed.experiments.read import read_experiment
from untrimmed.jobs.compare import compare


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

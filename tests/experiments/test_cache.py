"""What is done again, and what is not."""

from dataclasses import replace

import numpy as np

from tests.experiments.planted import FAST, content, write
from tests.methods.planted import plant
from untrimmed.experiments import cache, processes, task
from untrimmed.experiments.read import read_experiment
from untrimmed.jobs.compare import compare


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

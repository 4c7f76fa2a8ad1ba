"""Tasks in processes: the same results in one and in two, killed, cut off, damaged and failing ones."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tests.experiments.planted import FAST, content, write
from untrimmed.cli import main
from untrimmed.engine.local import Pool
from untrimmed.experiments import processes, task, train_task
from untrimmed.experiments.read import read_experiment
from untrimmed.jobs.compare import compare


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

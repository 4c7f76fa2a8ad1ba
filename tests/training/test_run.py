"""Runs: loops that go on where they were, random streams that do not disturb each other, and folders that are not lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from untrimmed.data.errors import InputError
from untrimmed.training import Run, claim

CONFIG = {"method_name": "some", "method": {"epochs": 3, "flow": {"kl": 0.1}}}
ENVIRONMENT = {"data": {"features": "f", "labels": "l", "sha256": "abc"}, "threads": 1}


class Counter:
    """Something that a loop changes."""

    def __init__(self):
        self.values = torch.zeros(3)
        self.turns = 0

    def state_dict(self):
        return {"values": self.values, "turns": self.turns, "nested": [{"x": 1.5}, None, True, "a"], 7: "number as a key"}

    def load_state_dict(self, state):
        assert state["nested"] == [{"x": 1.5}, None, True, "a"]
        assert state[7] == "number as a key"
        self.values, self.turns = state["values"].clone(), state["turns"]

    def turn(self, rng):
        self.values += torch.from_numpy(rng.normal(size=3).astype(np.float32))
        self.turns += 1


class Stopped(Exception):
    pass


def open_run(folder, resume=False, save_seconds=0.0, **more):
    return Run(
        folder, more.pop("config", CONFIG), more.pop("environment", ENVIRONMENT), resume=resume, save_seconds=save_seconds, **more
    )


def files_of(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


# Loops -----------------------------------------------------------------------------------------------------------------------


def nested(run, stop_at=None):
    """Two loops in sequence, the second with one inside, as methods with rounds have; stopped before the given tick."""
    ticks = 0

    def tick(where):
        nonlocal ticks
        if ticks == stop_at:
            raise Stopped
        ticks += 1
        seen.append(where)

    seen: list = []
    a, b, inner = Counter(), Counter(), Counter()
    for i in run.loop("first", 3, a=a):
        tick(("first", i))
        a.turn(run.rng("noise"))
        run.log(loss=float(a.values.sum()))
    for i in run.loop("rounds", 3, b=b, inner=inner):
        tick(("rounds", i))
        found = run.once("clusters", lambda: {"of": run.rng("clusters").integers(0, 9, 4)})
        b.values += float(found["of"].sum())
        run.log(clusters=float(found["of"].sum()))
        for j in run.loop("epochs", 2, inner=inner):
            tick(("epochs", i, j))
            inner.turn(run.rng("noise"))
            inner.values += b.values
            run.log(inner=float(inner.values.sum()))
        tick(("after", i))
        b.turn(run.rng("noise"))
        run.log(outer=float(b.values.sum()))
    return torch.cat([a.values, b.values, inner.values, torch.tensor([a.turns, b.turns, inner.turns])]), seen


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    with open_run(folder) as run:
        values, seen = nested(run)
    return values, seen, (folder / "metrics.jsonl").read_text()


def test_a_loop_is_a_range(uninterrupted):
    _, seen, log = uninterrupted
    turns = [t for i in range(3) for t in (("rounds", i), ("epochs", i, 0), ("epochs", i, 1), ("after", i))]
    assert seen == [("first", i) for i in range(3)] + turns
    lines = [json.loads(line) for line in log.splitlines()]
    assert [{k: v for k, v in line.items() if isinstance(v, int)} for line in lines[:5]] == [
        {"first": 0},
        {"first": 1},
        {"first": 2},
        {"rounds": 0},
        {"rounds": 0, "epochs": 0},
    ]


@pytest.mark.parametrize("save_seconds", [0.0, 1e9], ids=["saved-often", "saved-at-the-end"])
@pytest.mark.parametrize("stop_at", range(15))
def test_resumed_anywhere_it_is_the_same(stop_at, save_seconds, uninterrupted, tmp_path):
    values, seen, log = uninterrupted
    with open_run(tmp_path / "run", save_seconds=save_seconds) as run, pytest.raises(Stopped):
        nested(run, stop_at)
    with open_run(tmp_path / "run", resume=True, save_seconds=save_seconds) as run:
        again, rest = nested(run)
    assert torch.equal(again, values)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == log
    if save_seconds == 0:
        assert len(rest) < len(seen) or stop_at <= 1  # it did go on, and did not begin anew
    with open_run(tmp_path / "run", resume=True) as run:  # a finished run does nothing more
        finished, nothing = nested(run)
    assert torch.equal(finished, values)
    assert nothing == []


def test_stopped_again_and_again(uninterrupted, tmp_path):
    values, _, log = uninterrupted
    with open_run(tmp_path / "run") as run, pytest.raises(Stopped):
        nested(run, 1)
    for _ in range(40):
        with open_run(tmp_path / "run", resume=True) as run:
            try:
                again, _ = nested(run, 2)  # two ticks further at most
                break
            except Stopped:
                pass
    assert torch.equal(again, values)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == log


def test_inner_loops_of_turns_that_are_over_leave_nothing(tmp_path):
    with open_run(tmp_path / "run") as run:
        nested(run)
    assert sorted(str(f.relative_to(tmp_path / "run")) for f in (tmp_path / "run" / "checkpoints").rglob("*")) == [
        "checkpoints/first.safetensors",
        "checkpoints/rounds.safetensors",
    ]


def test_a_loop_that_is_left_early_leaves_the_position(tmp_path):
    with open_run(tmp_path / "run") as run:
        for i in run.loop("search", 10):
            if i == 2:
                break
        outside = run.rng("x").random()
        assert outside == run.rng("x").random()
        run.log(done=1)
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text()) == {"done": 1.0}


def test_modules_and_optimizers_come_back_exactly(tmp_path):
    def make():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
        return net, torch.optim.AdamW(net.parameters(), 0.1, amsgrad=True), torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)

    def work(run, stop_at=None):
        net, adam, sgd = make()
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 6)
        for epoch in run.loop("epochs", 6, net=net, adam=adam, sgd=sgd, scheduler=scheduler):
            if epoch == stop_at:
                raise Stopped
            x = torch.randn(8, 4, generator=run.torch_rng("x"))
            for optimizer in (adam, sgd):
                optimizer.zero_grad()
                net(x).square().mean().backward()
                optimizer.step()
            scheduler.step()
        return net.state_dict() | {"rate": torch.tensor(adam.param_groups[0]["lr"])}

    with open_run(tmp_path / "whole") as run:
        whole = work(run)
    with open_run(tmp_path / "run") as run, pytest.raises(Stopped):
        work(run, 4)
    with open_run(tmp_path / "run", resume=True) as run:
        resumed = work(run)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_a_killed_process_goes_on_bit_for_bit(tmp_path):
    killed = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from tests.training import test_run; test_run.train_a_little({str(tmp_path / 'run')!r}, kill_at=5)",
        ],
        cwd=Path(__file__).parents[2],
    )
    assert killed.wait() == -signal.SIGKILL
    resumed, whole = train_a_little(tmp_path / "run", resume=True), train_a_little(tmp_path / "whole")
    assert all(torch.equal(p, q) for p, q in zip(resumed.parameters(), whole.parameters()))
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()


def train_a_little(folder, resume=False, kill_at=None):
    net = torch.nn.Linear(3, 3)
    with Run(folder, {}, {}, resume=resume, save_seconds=0) as run:
        with run.seeded("init"):
            net.reset_parameters()
        optimizer = torch.optim.Adam(net.parameters())
        for epoch in run.loop("epochs", 12, net=net, optimizer=optimizer):
            assert not resume or epoch >= 5
            optimizer.zero_grad()
            net(torch.randn(5, 3, generator=run.torch_rng("x"))).square().sum().backward()
            optimizer.step()
            run.log(weight=net.weight.sum().item())
            if epoch == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
    return net


# once and random streams ------------------------------------------------------------------------------------------------------


def test_once_is_computed_once(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"a": np.arange(6).reshape(2, 3)[:, ::-1], "b": np.array([0.5])}

    with open_run(tmp_path / "run") as run:
        first = run.once("x", make)
        again = run.once("x", make)
    with open_run(tmp_path / "run", resume=True) as run:
        later = run.once("x", make)
    assert len(calls) == 1
    for found in (first, again, later):
        np.testing.assert_array_equal(found["a"], [[2, 1, 0], [5, 4, 3]])
        assert found["b"].tolist() == [0.5]


def test_once_belongs_to_its_turn(tmp_path):
    with open_run(tmp_path / "run", save_seconds=1e9) as run:
        found = [int(run.once("x", lambda i=i: {"i": np.array([i])})["i"][0]) for i in run.loop("rounds", 3)]
    assert found == [0, 1, 2]


def test_random_streams_depend_on_seed_name_and_place_only(tmp_path):
    def draw(run, names):
        return {(name, i): run.rng(name).random() for i in run.loop("epochs", 2) for name in names}

    with open_run(tmp_path / "a", seed=1) as run:
        both = draw(run, ("x", "y"))
    with open_run(tmp_path / "b", seed=1) as run:
        run.rng("z").random(100)  # what others draw leaves it as it is
        one = draw(run, ("y",))
    with open_run(tmp_path / "c", seed=2) as run:
        other = draw(run, ("x", "y"))
    assert one == {key: value for key, value in both.items() if key[0] == "y"}
    assert len({*both.values(), *other.values()}) == 8  # all differ


def test_random_streams_with_a_key_do_not_depend_on_the_place(tmp_path):
    with open_run(tmp_path / "run") as run:
        outside = run.rng("x", 3).random()
        inside = [(run.rng("x", 3).random(), run.rng("x").random()) for _ in run.loop("epochs", 2)]
    assert {first for first, _ in inside} == {outside}
    assert len({second for _, second in inside}) == 2


def test_torch_streams_and_seeded_do_not_touch_the_global_one(tmp_path):
    with open_run(tmp_path / "run") as run:
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        with run.seeded("init"):
            inside = torch.rand(3)
        assert torch.equal(torch.rand(3), expected)
        assert torch.equal(inside, torch.rand(3, generator=run.torch_rng("init")))
        assert not torch.equal(inside, torch.rand(3, generator=run.torch_rng("other")))


# The log ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_a_diverged_training(value, tmp_path):
    def diverge(run):
        for epoch in run.loop("rgb", 3):
            for _ in run.loop("batches", 1):
                run.log(re=0.5, fg=value if epoch else 1.0)

    with open_run(tmp_path / "run") as run:
        with pytest.raises(InputError, match=r"training diverged \(fg is .* at rgb 1, batches 0\); try a lower learning_rate"):
            diverge(run)
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1  # no line of it


def test_a_torn_line_of_the_log_is_cut(tmp_path):
    def work(run, stop_at=None):
        for i in run.loop("epochs", 4):
            if i == stop_at:
                raise Stopped
            run.log(loss=i)

    with open_run(tmp_path / "run") as run, pytest.raises(Stopped):
        work(run, 2)
    with open(tmp_path / "run" / "metrics.jsonl", "a") as stream:
        stream.write('{"epochs": 2, "lo')
    with open_run(tmp_path / "run", resume=True) as run:
        work(run)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == [0, 1, 2, 3]


# The folder -------------------------------------------------------------------------------------------------------------------


def test_nothing_in_it_is_a_pickle(tmp_path):
    with open_run(tmp_path / "run") as run, pytest.raises(Stopped):
        nested(run, 6)
    files = files_of(tmp_path / "run")
    assert {"config.yaml", "environment.json", "metrics.jsonl", ".lock"} <= set(files)
    for name, content in files.items():
        assert not content.startswith((b"\x80", b"PK")), name
        if name.endswith(".safetensors"):
            with safe_open(tmp_path / "run" / name, "pt") as opened:
                assert opened.keys() is not None


def test_only_one_process_trains_in_it(tmp_path):
    with open_run(tmp_path / "run"):
        before = files_of(tmp_path / "run")
        with pytest.raises(InputError, match="another process is training in it"):
            open_run(tmp_path / "run", resume=True)
        assert files_of(tmp_path / "run") == before
    open_run(tmp_path / "run", resume=True).close()  # it is free again


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (CONFIG | {"method": {"epochs": 4, "flow": {"kl": 0.1}}}, "method.epochs was 3, is now 4"),
        (CONFIG | {"method": {"epochs": 3, "flow": {"kl": 0.2}}}, "method.flow.kl was 0.1, is now 0.2"),
        (CONFIG | {"seed": 1}, "seed was None, is now 1"),
        ({"method_name": "other"}, "method_name was some, is now other"),
    ],
)
def test_resumed_with_other_settings(config, words, tmp_path):
    open_run(tmp_path / "run").close()
    before = files_of(tmp_path / "run")
    with pytest.raises(InputError, match="cannot resume with other settings") as fault:
        open_run(tmp_path / "run", resume=True, config=config)
    assert words in str(fault.value)
    assert files_of(tmp_path / "run") == before
    open_run(tmp_path / "run", resume=True).close()  # the lock was given back


def test_resumed_with_other_data(tmp_path):
    open_run(tmp_path / "run").close()
    other = ENVIRONMENT | {"data": ENVIRONMENT["data"] | {"sha256": "abd"}}
    with pytest.raises(InputError, match="cannot resume with other data: features or labels have changed"):
        open_run(tmp_path / "run", resume=True, environment=other)
    with pytest.raises(InputError, match="other data: it was begun with 0 classes, now there are 2"):
        open_run(tmp_path / "run", resume=True, environment=ENVIRONMENT | {"classes": ["a", "b"]})


def test_a_run_in_which_nothing_was_learned_is_forgotten_and_no_other(tmp_path):
    (tmp_path / "run" / "features").mkdir(parents=True)
    for folder in (tmp_path / "run", tmp_path / "empty"):
        with open_run(folder) as run:
            run.forget()
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["features"]
    assert not (tmp_path / "empty").exists()
    with open_run(tmp_path / "logged") as run:
        run.log(x=1.0)
        run.forget()
    with open_run(tmp_path / "saved") as run:
        run.once("something", lambda: {"x": np.zeros(1)})
        run.forget()
    for name in ("logged", "saved"):
        open_run(tmp_path / name, resume=True).close()


def test_resumed_with_the_same_data_at_another_place(tmp_path):
    open_run(tmp_path / "run").close()
    moved = ENVIRONMENT | {"data": {"features": "elsewhere/f", "labels": "./l", "sha256": "abc"}, "threads": 2}
    open_run(tmp_path / "run", resume=True, environment=moved).close()


@pytest.mark.parametrize("file", ["config.yaml", "environment.json", "checkpoints/epochs.safetensors"])
def test_a_damaged_run_is_one_clear_line(file, tmp_path):
    with open_run(tmp_path / "run") as run:
        list(run.loop("epochs", 1, counter=Counter()))
    (tmp_path / "run" / file).write_text('{"a": [1,')
    with pytest.raises(InputError) as fault:
        with open_run(tmp_path / "run", resume=True) as run:
            list(run.loop("epochs", 1, counter=Counter()))
    assert str(tmp_path / "run" / file) in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match="cannot be written"):
        open_run(tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_full_disk_is_told_and_the_checkpoint_before_stays(tmp_path):
    """In a child process, where files may have so many bytes."""
    program = textwrap.dedent(
        """
        import resource, sys, torch
        from untrimmed.data.errors import InputError
        from untrimmed.training import Run
        net = torch.nn.Linear(64, 64)
        for what, least in (("checkpoint", 4000), ("log", 10)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            with Run(f"{sys.argv[1]}/{what}", {}, {}, save_seconds=0) as run:
                try:
                    for i in run.loop("epochs", 3, net=net):
                        if i == 1:
                            resource.setrlimit(resource.RLIMIT_FSIZE, (least, resource.RLIM_INFINITY))
                        if what == "log":
                            run.log(loss=1.0)
                except InputError as error:
                    print(error)
        """
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line, what, file in zip(lines, ("checkpoint", "log"), ("epochs.safetensors", "metrics.jsonl")):
        assert "cannot be written" in line
        assert file in line
        with safe_open(tmp_path / what / "checkpoints" / "epochs.safetensors", "pt") as content:
            assert content.metadata()["position"] == "1"
        assert not [f for f in files_of(tmp_path / what) if f.endswith(".part")]


# claim ------------------------------------------------------------------------------------------------------------------------


def make_run(folder: Path) -> dict:
    open_run(folder).close()
    return files_of(folder)


def test_a_new_folder_is_free(tmp_path):
    claim(tmp_path / "run")
    assert not (tmp_path / "run").exists()  # nothing is made yet
    (tmp_path / "cache" / "features").mkdir(parents=True)
    claim(tmp_path / "cache")


def test_an_existing_run_is_not_overwritten(tmp_path):
    before = make_run(tmp_path / "run")
    with pytest.raises(InputError, match="already exists; `resume` continues it, `force` renames it first"):
        claim(tmp_path / "run")
    assert files_of(tmp_path / "run") == before


def test_other_things_are_not_overwritten_either(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for name in ("thesis", "file"):
        with pytest.raises(InputError, match="already exists; `force` renames it first"):
            claim(tmp_path / name)
        with pytest.raises(InputError, match="there is no run to resume"):
            claim(tmp_path / name, resume=True)
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "years of work"


def test_force_renames_and_loses_nothing(tmp_path):
    first = make_run(tmp_path / "run")
    claim(tmp_path / "run", force=True)
    assert not (tmp_path / "run").exists()
    assert files_of(tmp_path / "run.1") == first
    second = make_run(tmp_path / "run")
    claim(tmp_path / "run", force=True)
    assert files_of(tmp_path / "run.1") == first
    assert files_of(tmp_path / "run.2") == second


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(InputError, match="there is no run to resume"):
        claim(tmp_path / "nothing", resume=True)
    make_run(tmp_path / "run")
    claim(tmp_path / "run", resume=True)


# Side by side -----------------------------------------------------------------------------------------------------------------


class Nets(torch.nn.Module):
    """Two small networks that learn apart, each in a loop of its name, within rounds."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.nets = torch.nn.ModuleDict({name: torch.nn.Linear(3, 3) for name in ("second", "first")})

    def learn(self, name, kill_at, run):
        optimizer = torch.optim.Adam(self.nets[name].parameters(), 0.01)
        for epoch in run.loop(name, 6, net=self.nets[name], optimizer=optimizer):
            optimizer.zero_grad()
            loss = self.nets[name](torch.randn(5, 3, generator=run.torch_rng(name))).square().mean()
            loss.backward()
            optimizer.step()
            run.log(loss=loss.item())
            if (name, epoch, run._position[0][1]) == kill_at:
                while not (run.folder / "checkpoints" / "round" / "1" / "second.safetensors").exists():
                    time.sleep(0.01)  # the other one has begun, too
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(1000)

    def fit(self, run, kill_at=None):
        for number in run.loop("round", 2, nets=self.nets):
            run.log(number=number)
            run.side_by_side(self.nets, self.learn, kill_at)
            run.log(done=number)


def learn_apart(folder, processes, kill_at=None, **more):
    nets = Nets()
    with open_run(folder, processes=processes, **more) as run:
        nets.fit(run, kill_at)
    return nets.state_dict(), (Path(folder) / "metrics.jsonl").read_text()


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory):
    return learn_apart(tmp_path_factory.mktemp("one") / "run", 1)


def same(one, other):
    return (
        one[1] == other[1] and one[0].keys() == other[0].keys() and all(torch.equal(one[0][key], other[0][key]) for key in one[0])
    )


def test_side_by_side_is_in_every_bit_what_one_process_does(in_one_process, kept_processes, tmp_path):
    assert same(learn_apart(tmp_path / "two", 2), in_one_process)
    places = [tuple(key for key in json.loads(line) if key in ("second", "first")) for line in in_one_process[1].splitlines()]
    assert places == [(), *[("second",)] * 6, *[("first",)] * 6, ()] * 2


@pytest.fixture(scope="module")
def killed_side_by_side(tmp_path_factory):
    """The parent is killed from within one part, while the other is at work; their lines stand as they came until the end."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    arguments = f"{str(folder)!r}, 2, ('first', 3, 1)"
    code = f"from tests.training.test_run import learn_apart; learn_apart({arguments})"
    killed = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2], stderr=subprocess.PIPE)
    assert killed.wait(300) == -signal.SIGKILL
    killed.communicate(timeout=300)  # until the parts have ended, too
    assert '"done": 1' not in (folder / "metrics.jsonl").read_text()
    return folder


@pytest.mark.parametrize("then", [1, 2])
def test_killed_side_by_side_and_resumed(in_one_process, killed_side_by_side, then, kept_processes, tmp_path):
    shutil.copytree(killed_side_by_side, tmp_path / "run")
    assert same(learn_apart(tmp_path / "run", then, resume=True), in_one_process)


def test_a_log_out_of_order_is_put_in_order_whoever_goes_on(tmp_path):
    """As two processes write it that are at work at the same time."""
    line = '{{"round": 0, "{}": {}, "loss": 1.0}}\n'.format
    before, after = '{"round": 0, "number": 0.0}\n', '{"round": 1, "number": 1.0}\n'
    mixed = [line("first", 0), line("second", 0), line("first", 1), line("second", 1)]
    with open_run(tmp_path / "run") as run:
        (tmp_path / "run" / "metrics.jsonl").write_text("".join([before, *mixed, after]))
        for _ in run.loop("round", 1):
            run.side_by_side(torch.nn.ModuleDict(dict.fromkeys(("second", "first"), torch.nn.Identity())), nothing)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == "".join([before, *(mixed[i] for i in (1, 3, 0, 2)), after])


def nothing(name, run):
    """Learn nothing."""


def stray(name, how, run):
    """Leave the loop of its name, or log outside it, or diverge, or die."""
    if how == "another loop":
        next(run.loop("other", 1))
    elif how == "outside":
        run.log(loss=1.0)
    elif how == "die":
        os._exit(5)
    for _ in run.loop(name, 1):
        run.log(loss=float("nan"))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("how", "fault", "words"),
    [
        ("another loop", ValueError, "must have its name"),
        ("outside", ValueError, "must be logged in its loop"),
        ("diverge", InputError, "training diverged .loss is nan at"),
    ],
)
def test_parts_that_do_not_keep_to_themselves_and_those_that_diverge(how, fault, words, processes, kept_processes, tmp_path):
    nets = Nets().nets
    with open_run(tmp_path / "run", processes=processes) as run, pytest.raises(fault, match=words):
        run.side_by_side(nets, stray, how)


def test_a_part_whose_process_dies(tmp_path):
    with open_run(tmp_path / "run", processes=2) as run:
        with pytest.raises(InputError, match=r"the process that learned (second|first) crashed .exit code 5.; `resume` goes on"):
            run.side_by_side(Nets().nets, stray, "die")


def test_a_torn_line_that_a_save_of_another_part_counted_is_cut(tmp_path):
    with open_run(tmp_path / "run") as run:
        for _ in run.loop("second", 1):
            run.log(loss=1.0)
            with open(tmp_path / "run" / "metrics.jsonl", "a") as stream:
                stream.write('{"first": 0, "lo')  # and here it is saved
    open_run(tmp_path / "run", resume=True).close()
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == '{"second": 0, "loss": 1.0}\n'

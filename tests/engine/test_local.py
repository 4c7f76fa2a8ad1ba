"""The pool of processes: what crashes, hangs, raises or is interrupted costs no more than it must."""

import ast
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.engine import work
from untrimmed.data.errors import InputError
from untrimmed.engine import each, local
from untrimmed.engine.local import Pool

ROOT = Path(__file__).resolve().parents[2]


def found(*arguments, **more):
    return {index: (result, reason) for index, result, reason in each(*arguments, **more)}


def test_every_item_is_done_once_and_processes_are_kept_for_the_next_round():
    with Pool(2) as pool:
        assert sorted(pool(work.double, 100, range(20))) == [(i, 100 + 2 * i, None) for i in range(20)]
        processes = [worker.process.pid for worker in pool.workers]
        assert len(processes) == 2
        assert sorted(pool(work.double, 0, range(3))) == [(i, 2 * i, None) for i in range(3)]
        assert [worker.process.pid for worker in pool.workers] == processes
    assert not pool.workers
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)
    assert list(each(work.double, 0, [])) == []


def test_a_worker_has_one_thread_and_nothing_of_its_parent():
    import torch  # noqa: F401 (this process has it)

    ((_, there, _),) = each(work.surroundings, None, [None])
    assert there == ("1", False, None)


def test_a_crash_costs_one_item_whenever_it_comes():
    items = [0, signal.SIGSEGV, work.Deadly(), "0", 0, signal.SIGKILL, 0]
    assert found(work.die_of, None, items, workers=2) == {
        0: ("alive", None),
        1: (None, "crashed (SIGSEGV)"),
        2: (None, "crashed (exit code 9)"),
        3: (None, "crashed (exit code 0)"),
        4: ("alive", None),
        5: (None, "was killed (SIGKILL; out of memory?)"),
        6: ("alive", None),
    }


def test_a_process_that_died_between_two_rounds_costs_none():
    with Pool(1) as pool:
        list(pool(work.double, 0, [1]))
        pool.workers[0].process.kill()
        pool.workers[0].process.wait()
        assert list(pool(work.double, 0, [1])) == [(0, 2, None)]


def test_what_crashes_is_tried_again_if_asked_for(tmp_path):
    assert found(work.stumble, tmp_path, [1, 99], retries=2) == {0: (2, None), 1: (None, "crashed (exit code 3), 3 times")}
    assert (tmp_path / "99").stat().st_size == 3


def test_what_is_stuck_is_given_up_and_what_tells_that_it_goes_on_is_not():
    told = []
    items = [(0, True), (10, False), (2, True)]  # the second takes two seconds in all
    done = found(work.tell_and_sleep, None, items, workers=3, timeout=1.5, under_way=lambda *share: told.append(share))
    late = (None, "gave no sign of life for 1.5 s")
    assert done == {0: late, 1: (10, None), 2: late}
    assert [share for index, share in told if index == 1] == [*(pytest.approx((i + 1) / 10) for i in range(9)), 0.99]
    assert {index for index, _ in told} == {1, 2}


def test_what_does_not_even_listen_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "GRACE", 0.5)
    began = time.monotonic()
    assert found(work.deaf, tmp_path, ["there"], timeout=3)[0][1] == "gave no sign of life for 3 s"
    assert (tmp_path / "there").exists()
    assert time.monotonic() - began < 30


def test_what_the_function_raises_is_raised_here_and_ends_the_others(tmp_path):
    with Pool(2) as pool:
        with pytest.raises(InputError, match=r"^b: refused$"):
            list(pool(work.refuse, None, ["b"]))
        with pytest.raises(TypeError, match="unsupported operand") as fault:
            list(pool(work.double, None, [1]))
        assert "work.py" in "".join(fault.value.__notes__), "where it was raised is kept"
        with pytest.raises(RuntimeError, match=r"work\.Odd: x"):
            list(pool(work.odd, None, ["x"]))
        with pytest.raises(ModuleNotFoundError, match="not_there"):
            list(pool(work.double, 0, [Missing()]))
        assert list(pool(work.double, 0, [1])) == [(0, 2, None)]


class Missing:
    """Needs a module that is not there where it is sent to."""

    def __reduce__(self):
        return (importlib.import_module, ("not_there",))


def test_an_interrupt_ends_what_is_under_way_and_leaves_nothing_half_written(tmp_path):
    with Pool(2) as pool:
        going = pool(work.half_a_file, tmp_path, ["a", "b"])

        def interrupt():
            while len(list(tmp_path.iterdir())) < 2:
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does

        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            next(going)
        assert not list(tmp_path.iterdir())
        assert not pool.workers


BARE = """
import sys
from pathlib import Path
from tests.engine import work
from untrimmed.engine import each
print("once", flush=True)
for done in each(work.{function}, {shared}, {items}, workers=2):
    print(done, flush=True)
"""


def script(tmp_path, **values):
    (tmp_path / "bare.py").write_text(BARE.format(**values))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [sys.executable, str(tmp_path / "bare.py")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_a_script_needs_no_guard_and_its_output_is_its_own(tmp_path):
    said, errors = script(tmp_path, function="print_a_lot", shared=None, items=["x"]).communicate(timeout=60)
    assert said == "once\n(0, 'x', None)\n"
    assert errors == "from a library\n"


def test_when_the_parent_is_killed_its_workers_end_and_tidy_up(tmp_path):
    (tmp_path / "files").mkdir()
    process = script(tmp_path, function="half_a_file", shared=f"Path({str(tmp_path / 'files')!r})", items=["a", "b"])
    end = time.monotonic() + 60
    while len(list((tmp_path / "files").iterdir())) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=60)  # which waits until nobody holds its output any more
    assert not list((tmp_path / "files").iterdir())


def test_nothing_else_starts_processes():
    """Outside engine/, no module imports what starts processes."""
    starting = {"subprocess", "multiprocessing", "concurrent", "pty"}
    for file in sorted((ROOT / "src" / "untrimmed").rglob("*.py")):
        if file.parent.name == "engine":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not starting & {name.split(".")[0] for name in names}, file
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os":
                assert node.attr not in ("fork", "forkpty", "popen", "posix_spawn", "system"), file

"""The lock: one process at a time, freed however that process ends, and not in the way where the file system has none."""

import errno
import fcntl
import subprocess
import sys
import time

import pytest

from untrimmed.data.errors import InputError
from untrimmed.data.locks import Busy, lock

HOLD = (
    "import sys, time; from pathlib import Path; from untrimmed.data.locks import lock; "
    "held = lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(1000)"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_only_one_process_holds_it_and_a_killed_one_does_not(holder, tmp_path):
    with pytest.raises(Busy, match=r"^.*: somebody is in there$"):
        lock(tmp_path, "somebody is in there")
    began = time.monotonic()
    with pytest.raises(Busy):
        lock(tmp_path, wait=0.3)
    assert 0.25 < time.monotonic() - began < 5
    holder.kill()
    lock(tmp_path, wait=30).release()
    lock(tmp_path).release()


def test_it_is_held_once_in_one_process_too(tmp_path):
    held = lock(tmp_path)
    with pytest.raises(Busy):
        lock(tmp_path)
    held.release()
    lock(tmp_path).release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_noted_once_and_gone_on_with(number, tmp_path, monkeypatch, capsys):
    def missing(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", missing)
    for _ in range(2):
        lock(tmp_path).release()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{tmp_path}: its file system has no locks" in said


def test_a_folder_that_is_not_there(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        lock(tmp_path / "file")

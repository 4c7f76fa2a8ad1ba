"""What a command may write over, and what becomes of what was there."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from untrimmed.data.errors import InputError
from untrimmed.data.files import PART, atomic_write, beside, fresh_folder, set_aside, sweep, write_json
from untrimmed.data.outputs import (
    DETECTIONS,
    DIAGNOSIS,
    FAILURES,
    PAGE,
    activations_beside,
    check_output,
    failures_beside,
    make_room,
)

OURS = {"results": {}, "untrimmed": {"run": "run"}}


def test_a_device_and_a_pipe_are_refused_and_stay(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/dev/null", tmp_path / "nothing")
    for target in (tmp_path / "pipe", tmp_path / "nothing", Path("/dev/null")):
        for write in (lambda path: write_json(path, 1), lambda path: check_output(path, DETECTIONS, force=True)):
            with pytest.raises(InputError, match=r"cannot be written: it is a device or a pipe; give the name of a file$"):
                write(target)
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "nothing").is_char_device()
    assert Path("/dev/null").is_char_device()
    assert sorted(os.listdir(tmp_path)) == ["nothing", "pipe"]


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "d.json").symlink_to("disk/real.json")
    for value in (1, 2):  # at first it points to nothing
        check_output(tmp_path / "d.json", DETECTIONS, force=True)
        write_json(tmp_path / "d.json", value)
        assert (tmp_path / "d.json").is_symlink()
        assert json.loads((tmp_path / "disk" / "real.json").read_text()) == value
    assert os.listdir(tmp_path / "disk") == ["real.json"]
    (tmp_path / "round.json").symlink_to("round.json")
    with pytest.raises(InputError, match="cannot be written"):
        write_json(tmp_path / "round.json", 1)


@pytest.mark.parametrize(
    ("kind", "ours", "foreign"),
    [
        (DETECTIONS, json.dumps(OURS), json.dumps({"results": {}})),
        (DETECTIONS, "", "video,label\na,b\n"),
        (FAILURES, '{"a": "why"}', '{"a": 1}'),
        (FAILURES, '{"a": "why"}', "[]"),
        (DIAGNOSIS, '{"false_positives": {}}', '{"a": "why"}'),
        (PAGE, '<!doctype html>\n<meta name="generator" content="untrimmed">\n', "<!doctype html>\n<p>mine"),
    ],
)
def test_only_a_file_of_the_same_kind_gives_way(kind, ours, foreign, tmp_path):
    file = tmp_path / "out"
    check_output(file, kind)
    file.write_text(ours)
    check_output(file, kind)
    assert make_room(file, kind) is None
    file.write_text(foreign)
    with pytest.raises(InputError, match=r"exists already and is not an? .* that this program wrote; choose another `out`, or"):
        check_output(file, kind)
    check_output(file, kind, force=True)
    assert file.read_text() == foreign
    assert make_room(file, kind) == tmp_path / "out.1"
    assert (tmp_path / "out.1").read_text() == foreign


def test_activations_and_failures_are_named_after_the_whole_name():
    named = {
        name: (activations_beside(Path(name)).name, failures_beside(Path(name)).name) for name in ("d.json", "d-v1.0", "d-v1.1")
    }
    assert named == {
        "d.json": ("d.activations", "d.failures.json"),
        "d-v1.0": ("d-v1.0.activations", "d-v1.0.failures.json"),
        "d-v1.1": ("d-v1.1.activations", "d-v1.1.failures.json"),
    }


KILLED = """
import os, sys
from pathlib import Path
from untrimmed.data.files import atomic_write, fresh_folder
with fresh_folder(Path(sys.argv[1]) / "folder") as folder, atomic_write(Path(sys.argv[1]) / "file") as stream:
    (folder / "inside").write_text("half")
    stream.write("half")
    stream.flush()
    os.kill(os.getpid(), 9)
"""


def test_what_the_dead_left_is_swept_and_what_the_living_write_is_not(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert sorted(PART.sub("part", name) for name in os.listdir(tmp_path)) == ["part", "part"]
    (tmp_path / ".mine.part").write_text("kept")
    (tmp_path / ".file.notahexnumber.part").write_text("kept")
    with atomic_write(tmp_path / "file") as stream, fresh_folder(tmp_path / "folder") as folder:
        stream.write("whole")
        (folder / "inside").write_text("whole")
        sweep(tmp_path)
        assert len([name for name in os.listdir(tmp_path) if PART.fullmatch(name)]) == 2
        folder.rename(tmp_path / "folder")
    assert sorted(os.listdir(tmp_path)) == [".file.notahexnumber.part", ".mine.part", "file", "folder"]
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "inside").read_text() == "whole"


def test_only_leftovers_of_the_name_are_swept_and_none_without_locks(tmp_path, monkeypatch):
    parts = [beside(tmp_path / name) for name in ("a.json", "b.json")]
    for part in parts:
        part.write_text("half")
    sweep(tmp_path, "a.json")
    assert [part.exists() for part in parts] == [False, True]

    def missing(*_):
        raise OSError(37, "no locks")

    monkeypatch.setattr(fcntl, "flock", missing)
    sweep(tmp_path)
    assert parts[1].exists()
    write_json(tmp_path / "a.json", 1)  # and nothing else is hindered
    assert (tmp_path / "a.json").read_text() == "1\n"


def test_a_name_that_was_swept_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    real, times = fcntl.flock, []

    def late(descriptor, how):
        if not times:
            times.append(1)
            next(tmp_path.glob(".*.part")).unlink()
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    write_json(tmp_path / "a.json", 1)
    assert os.listdir(tmp_path) == ["a.json"]


def test_the_folder_that_one_is_in_is_not_pulled_away(tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for place in (".", "..", str(tmp_path), "/"):
        with pytest.raises(InputError, match="cannot be renamed: it is the folder that you are in"):
            set_aside(Path(place))
    (tmp_path / "a").write_text("")
    (tmp_path / "a.1").symlink_to("nowhere")  # a link to nothing is something, too
    assert set_aside(tmp_path / "a") == tmp_path / "a.2"

"""The file of marks: saved at once and whole, by whoever is first."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from untrimmed.data.corrections import read_corrections
from untrimmed.data.errors import InputError
from untrimmed.reviewing.marks import MOST_MARKS, MarksFile, Stale, write_snapshot

LENGTHS = {"a": 60.0, "b": 60.0}


def opened(folder, **more):
    return MarksFile(folder / "annotations.json", "ann", {"jump", "dig"}, LENGTHS, **more)


def entry(segments=(), points=(), rejected=(), checked=False, note=""):
    return {
        "annotations": [{"segment": [s, e], "label": label} for s, e, label in segments],
        "points": [{"time": t, "label": label} for t, label in points],
        "rejected": [{"segment": [s, e], "label": label} for s, e, label in rejected],
        "checked": checked,
        "note": note,
    }


def test_what_is_saved_is_read_by_refine(tmp_path):
    marks = opened(tmp_path)
    made = marks.save("a", 0, entry([(3, 5, "jump"), (1, 2, "dig")], [(9, "jump")], [(20, 22, "dig")], note="fog"), "drew")
    assert (made["revision"], made["who"]) == (1, "ann")
    read = read_corrections(marks.path)["a"]
    assert [s.label for s in read.segments] == ["dig", "jump"], "in order of time"
    assert (read.points[0].time, read.rejected[0].end, read.checked) == (9, 22, False)
    assert opened(tmp_path).entries()["a"] == made, "and again after a restart"
    line = json.loads(marks.history.read_text())
    assert (line["video"], line["who"], line["what"], line["note"]) == ("a", "ann", "drew", "fog")


def test_a_change_of_what_is_no_longer_there_is_refused(tmp_path):
    marks = opened(tmp_path)
    marks.save("a", 0, entry([(1, 2, "dig")]))
    with pytest.raises(Stale) as refused:
        marks.save("a", 0, entry([(5, 6, "dig")]))
    assert refused.value.entry["annotations"] == [{"segment": [1.0, 2.0], "label": "dig"}]
    marks.save("a", 1, entry())
    with pytest.raises(Stale):
        marks.save("a", 0, entry([(5, 6, "dig")]))  # empty again, but changed twice since
    marks.save("b", 0, entry([(5, 6, "dig")]))


def test_what_another_program_writes_is_not_lost(tmp_path):
    marks = opened(tmp_path)
    marks.save("a", 0, entry([(1, 2, "dig")]))
    content = json.loads(marks.path.read_text())
    content["database"]["a"]["annotations"][0]["segment"] = [1, 3]
    content["database"]["elsewhere"] = {"annotations": [], "subset": "training", "url": "kept"}
    content["more"] = {"kept": True}
    marks.path.write_text(json.dumps(content))
    with pytest.raises(Stale) as refused:
        marks.save("a", 1, entry([(5, 6, "dig")]))
    assert refused.value.entry["annotations"] == [{"segment": [1.0, 3.0], "label": "dig"}]
    marks.save("a", 2, entry([(5, 6, "dig")]))
    after = json.loads(marks.path.read_text())
    assert after["more"] == {"kept": True}
    assert after["database"]["elsewhere"]["url"] == "kept"


def test_a_plain_annotation_file_is_gone_on_with(tmp_path):
    (tmp_path / "annotations.json").write_text(
        json.dumps({"database": {"a": {"subset": "training", "annotations": [{"segment": [1, 2], "label": "dig"}]}}})
    )
    marks = opened(tmp_path)
    there = marks.entries()["a"]
    assert (there["checked"], there["revision"]) == (True, 1)
    marks.save("a", 1, {**there, "checked": False})
    assert json.loads(marks.path.read_text())["database"]["a"]["subset"] == "training"
    assert not read_corrections(marks.path)["a"].checked


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (None, "expected an object"),
        ([], "expected an object"),
        (entry([(5, 4, "dig")]), "ends"),
        (entry([(5, 5, "dig")]), "has no length"),
        (entry([(-1, 5, "dig")]), "not within it"),
        (entry([(1, 62, "dig")]), "not within it"),
        (entry(points=[(float("nan"), "dig")]), "not finite"),
        (entry(points=[(1e999, "dig")]), "not finite"),
        (entry([(1, 2, "dgi")]), "none of the labels"),
        (entry([(1, 2, 7)]), 'expected a "label"'),
        (entry(rejected=[(1, 2, "</script>")]), "none of the labels"),
        (entry([(1, 2, "dig")] * (MOST_MARKS + 1)), "cannot be marked"),
        ({**entry(), "checked": "yes"}, "true or false"),
        (entry(note="x" * 10_001), "at most 10000"),
        (entry(note="\ud800"), "note"),
        ({**entry(), "points": {"time": 1}}, "expected a list"),
    ],
)
def test_what_is_refused(tmp_path, wanted, said):
    marks = opened(tmp_path)
    with pytest.raises(InputError, match=said):
        marks.save("a", 0, wanted)
    assert not marks.path.exists()


def test_another_video(tmp_path):
    for video in ("c", "../a", ""):
        with pytest.raises(InputError, match="there is no video"):
            opened(tmp_path).save(video, 0, entry())


def test_a_snapshot_has_what_a_student_can_learn_from(tmp_path):
    marks = opened(tmp_path)
    with pytest.raises(InputError, match="nothing is marked yet"):
        write_snapshot(marks, tmp_path / "now.json")
    marks.save("a", 0, entry(note="only looked at"))
    marks.save("b", 0, entry(checked=True))
    assert write_snapshot(marks, tmp_path / "now.json") == ["b"]
    assert list(read_corrections(tmp_path / "now.json")) == ["b"]
    assert list(read_corrections(marks.path)) == ["b"], "refine reads the file itself in the same way"


def test_killed_while_saving(tmp_path):
    """However a writer is killed, the file is whole, and holds what had been saved before."""
    program = f"""
import sys
from pathlib import Path
from tests.reviewing.test_marks import entry, opened
marks = opened(Path({str(tmp_path)!r}))
for k in range(10**6):
    marks.save("a", marks.entries().get("a", {{"revision": 0}})["revision"], entry([(1, 2 + k % 50, "dig")] * 400))
    print(k, flush=True)
"""
    for pause in (0.0, 0.013, 0.031, 0.047):
        writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=os.getcwd())
        writer.stdout.readline()
        time.sleep(pause)
        writer.send_signal(signal.SIGKILL)
        said = writer.stdout.read().split()
        writer.wait()
        assert writer.returncode == -signal.SIGKILL
        saved = opened(tmp_path).entries()["a"]
        assert len(saved["annotations"]) == 400
        assert saved["revision"] >= len(said)


def test_a_disk_that_is_full_loses_nothing(tmp_path, monkeypatch):
    marks = opened(tmp_path)
    before = marks.save("a", 0, entry([(1, 2, "dig")]))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("untrimmed.data.files.os.replace", full)
        with pytest.raises(InputError, match="No space left"):
            marks.save("a", 1, entry([(5, 6, "dig")]))
    assert opened(tmp_path).entries()["a"] == before
    assert marks.entries()["a"] == before
    assert marks.save("a", 1, entry([(5, 6, "dig")]))["revision"] == 2

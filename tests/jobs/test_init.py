import subprocess
import sys
from pathlib import Path

import pytest

from untrimmed.data.errors import InputError
from untrimmed.data.labels import read_labels
from untrimmed.jobs.init import init


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_subfolders_become_tags(tmp_path):
    make(tmp_path / "v", "goal/m1.mp4", "goal/deep/m2.MKV", "foul/m3.webm", "None/m4.mp4", "background/m5.mp4", "goal/readme.txt")
    make(tmp_path / "v", ".hidden/x.mp4", "goal/._m1.mp4")
    report = init(tmp_path / "v", tmp_path / "labels.csv")
    labels = read_labels(tmp_path / "labels.csv")
    tags = {"m1": {"goal"}, "m2": {"goal"}, "m3": {"foul"}, "m4": set(), "m5": set()}
    assert labels.tags == {video: frozenset(tag) for video, tag in tags.items()}
    assert (report.rows, report.videos, report.empty, report.unfilled) == (5, {"foul": 1, "goal": 2}, 2, 0)
    assert "goal: 2" in report.text()
    assert "no action: 2" in report.text()


def test_a_flat_folder_gives_a_form_that_is_refused_until_filled(tmp_path):
    make(tmp_path / "v", "b.mp4", "a.mp4")
    report = init(tmp_path / "v", tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text() == "video,label\na,?\nb,?\n"
    assert "to be filled in: 2" in report.text()
    with pytest.raises(InputError, match=r"labels\.csv, line 2: 2 row\(s\) still hold '\?'"):
        read_labels(tmp_path / "labels.csv")


def test_flat_videos_beside_subfolders_get_the_mark(tmp_path):
    make(tmp_path / "v", "a.mp4", "goal/b.mp4")
    report = init(tmp_path / "v", tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text() == "video,label\na,?\nb,goal\n"
    assert (report.unfilled, report.videos) == (1, {"goal": 1})


def test_a_folder_that_a_spreadsheet_would_run_is_quoted_and_read_back(tmp_path):
    make(tmp_path / "v", "=HYPERLINK(1)/-a.mp4", "@x/b.mp4")
    init(tmp_path / "v", tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text() == "video,label\n'-a,'=HYPERLINK(1)\nb,'@x\n"
    assert read_labels(tmp_path / "labels.csv").tags == {"-a": {"=HYPERLINK(1)"}, "b": {"@x"}}


@pytest.mark.parametrize("names", [("goal/m.mp4", "foul/m.mp4"), ("goal/m.mp4", "foul/M.mkv")])
def test_two_videos_of_one_id_are_both_named(tmp_path, names):
    make(tmp_path / "v", *names)
    with pytest.raises(InputError) as fault:
        init(tmp_path / "v", tmp_path / "labels.csv")
    assert all(str(tmp_path / "v" / name) in str(fault.value) for name in names)
    assert not (tmp_path / "labels.csv").exists()
    init(tmp_path / "v", tmp_path / "labels.csv", ids="relative")
    assert len(read_labels(tmp_path / "labels.csv").tags) == 2


def test_a_video_linked_into_two_folders_has_both_tags(tmp_path):
    make(tmp_path / "v", "goal/m.mp4", "foul/x.mp4")
    (tmp_path / "v" / "foul" / "m.mp4").symlink_to(tmp_path / "v" / "goal" / "m.mp4")
    init(tmp_path / "v", tmp_path / "labels.csv")
    assert read_labels(tmp_path / "labels.csv").tags == {"m": {"goal", "foul"}, "x": {"foul"}}


def test_an_existing_file_is_kept(tmp_path):
    make(tmp_path / "v", "goal/a.mp4")
    (tmp_path / "labels.csv").write_text("mine")
    with pytest.raises(InputError, match=r"labels\.csv: exists already"):
        init(tmp_path / "v", tmp_path / "labels.csv")
    report = init(tmp_path / "v", tmp_path / "labels.csv", force=True)
    assert (tmp_path / "labels.csv.1").read_text() == "mine"
    assert str(tmp_path / "labels.csv.1") in report.text()


def test_faults_of_the_folder(tmp_path):
    out = tmp_path / "labels.csv"
    with pytest.raises(InputError, match="nowhere: no such folder"):
        init(tmp_path / "nowhere", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no video in it"):
        init(tmp_path / "empty", out)
    make(tmp_path / "v", "a.mp4")
    with pytest.raises(InputError, match=r"a\.mp4: not a folder"):
        init(tmp_path / "v" / "a.mp4", out)
    with pytest.raises(InputError, match="a folder; name the file"):
        init(tmp_path / "v", tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        init(tmp_path / "v", tmp_path / "v" / "a.mp4" / "labels.csv")
    make(tmp_path / "mark", "?/a.mp4")
    with pytest.raises(InputError, match="folder's name becomes the label"):
        init(tmp_path / "mark", out)
    assert not out.exists()


def test_needs_no_decoder():
    code = "import sys, untrimmed.jobs.init; print(sorted({'av', 'torch', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

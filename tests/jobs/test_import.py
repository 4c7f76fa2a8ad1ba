"""`untrimmed import`: other programs' marks become an annotations file that the other commands take."""

import json

import pytest

import untrimmed
from tests.video.films import film, steady
from untrimmed import cli
from untrimmed.data.annotations import read_annotations, write_detections
from untrimmed.data.corrections import read_corrections
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection, Segment
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.export import export
from untrimmed.jobs.import_ import import_

FOUND = {"a": [Detection(0.0, 1.0, "goal", 0.9), Detection(1.0, 1.6, "foul", 0.4)], "b": []}


@pytest.fixture
def detections(tmp_path):
    write_detections(tmp_path / "d.json", FOUND, {})
    return tmp_path / "d.json"


@pytest.fixture
def videos(tmp_path):
    for name in ("a", "b"):
        film(tmp_path / "videos" / f"{name}.mp4", steady(2), width=64, height=48)
    return tmp_path / "videos"


def test_elan_and_back(detections, videos, tmp_path):
    export(detections, format="eaf", out=tmp_path / "elan", videos=videos)
    report = import_(tmp_path / "elan", out=tmp_path / "annotations.json", videos=videos)
    assert report.text() == f"{tmp_path / 'annotations.json'}: 2 videos, 2 segments; labels: foul, goal"
    assert set(report.formats.values()) == {"eaf"}
    truth = read_annotations(tmp_path / "annotations.json")
    assert truth.videos["a"].segments == (Segment(0.0, 1.0, "goal"), Segment(1.0, 1.6, "foul"))
    assert truth.videos["b"].duration == pytest.approx(2.0, abs=0.05)
    assert evaluate(detections, annotations=tmp_path / "annotations.json").to_json()["average"] == 1.0
    assert all(own.checked for own in read_corrections(tmp_path / "annotations.json").values())


def test_videos_that_are_not_checked(detections, tmp_path):
    export(detections, format="csv", out=tmp_path / "t.csv")
    import_(tmp_path / "t.csv", out=tmp_path / "a.json", unchecked=True)
    assert read_corrections(tmp_path / "a.json")["a"].checked is False


def test_several_files_of_several_formats(tmp_path):
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\ngoal\n")
    (tmp_path / "b.txt").write_text("1.0\t1.0\tclick\n")
    report = untrimmed.import_([tmp_path / "a.srt", str(tmp_path / "b.txt")], out=tmp_path / "m.json")
    assert report.text().endswith("2 videos, 1 segment, 1 point; labels: click, goal")
    (tmp_path / "a.vtt").write_text("WEBVTT\n")
    with pytest.raises(InputError, match=r"the video 'a' is in .*a\.srt and in .*a\.vtt; import only one"):
        import_([tmp_path / "a.srt", tmp_path / "a.vtt"], out=tmp_path / "n.json")
    assert not (tmp_path / "n.json").exists()


def test_nothing_of_the_user_s_is_overwritten(tmp_path):
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\ngoal\n")
    (tmp_path / "m.json").write_text("mine")
    with pytest.raises(InputError, match="exists already and is not overwritten; choose another `out`, or `force`"):
        import_(tmp_path / "a.srt", out=tmp_path / "m.json")
    import_(tmp_path / "a.srt", out=tmp_path / "m.json", force=True)
    assert (tmp_path / "m.json.1").read_text() == "mine"
    assert list(json.loads((tmp_path / "m.json").read_text())["database"]) == ["a"]


def test_frames_are_counted_at_the_videos_rate(detections, videos, tmp_path):
    export(detections, format="frames", out=tmp_path / "frames", videos=videos)
    assert sorted(file.name for file in (tmp_path / "frames").iterdir()) == ["a_labels.csv", "b_labels.csv"]
    assert len((tmp_path / "frames" / "b_labels.csv").read_text().splitlines()) == 51
    export(detections, format="edl", out=tmp_path / "cuts.edl", videos=videos)
    with pytest.raises(InputError, match="its frame rate is not known"):
        import_(tmp_path / "cuts.edl", out=tmp_path / "m.json")
    import_(tmp_path / "cuts.edl", out=tmp_path / "m.json", videos=videos)
    assert read_annotations(tmp_path / "m.json").videos["a"].segments == (Segment(0.0, 1.0, "goal"), Segment(1.0, 1.6, "foul"))
    import_(tmp_path / "cuts.edl", out=tmp_path / "n.json", fps=50)
    assert read_annotations(tmp_path / "n.json").videos["a"].segments[1].end == pytest.approx(1.3)  # one second and 15 of 50 frames


def test_another_folder_of_videos_is_not_passed_over(detections, videos, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="none of the 2 video"):
        export(detections, format="eaf", out=tmp_path / "elan", videos=tmp_path / "other")
    assert not (tmp_path / "elan").exists()
    (videos / "b.mp4").unlink()
    export(detections, format="eaf", out=tmp_path / "elan", videos=videos)
    assert "1 of 2 video(s) are not in this folder, such as 'b'" in capsys.readouterr().err
    for deep in ("x", "y"):
        film(videos / deep / "b.mp4", steady(1), width=64, height=48)
    with pytest.raises(InputError, match="two videos have the id 'b'"):
        export(detections, format="eaf", out=tmp_path / "elan", videos=videos)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--format", "els"], "--format: unknown name 'els'"),
        (["--fps", "0"], "--fps 0: expected frames per second"),
        (["--videos", "nowhere"], "nowhere: no such folder of videos"),
    ],
)
def test_faults_on_the_command_line(tmp_path, monkeypatch, capsys, more, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.srt").write_text("")
    with pytest.raises(SystemExit) as ended:
        cli.main(["import", "a.srt", "--out", "m.json", *more])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "m.json").exists()


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.srt").write_text("")
    with pytest.raises(SystemExit) as ended:
        cli.main(["import", "a.srt", "--out", "m.json"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "m.json: 1 video, 0 segments; labels: none\n"
    (tmp_path / "empty").mkdir()
    for wrong, words in (("empty", "no file in this folder"), ("b.srt", "no such file")):
        with pytest.raises(InputError, match=words):
            import_(wrong, out="n.json")

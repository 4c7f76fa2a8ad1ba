import json
import os
from pathlib import Path

import pytest

from untrimmed.data.annotations import write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection
from untrimmed.jobs.export import FORMATS, export

TWO = {"a": [Detection(1.0, 2.0, "goal", 0.9), Detection(3.0, 4.0, "goal", 0.2)], "b": []}


@pytest.fixture
def detections(tmp_path) -> Path:
    write_detections(tmp_path / "d.json", TWO, {})
    return tmp_path / "d.json"


@pytest.fixture
def single(tmp_path) -> Path:
    write_detections(tmp_path / "one.json", {"a": TWO["a"]}, {})
    return tmp_path / "one.json"


def test_csv_holds_all_videos_in_one_table(detections, tmp_path):
    assert export(detections, format="csv", out=tmp_path / "t.csv") == [tmp_path / "t.csv"]
    assert (tmp_path / "t.csv").read_text() == (
        "video,start,end,label,score,clock\na,1.000,2.000,goal,0.9,0:00:01\na,3.000,4.000,goal,0.2,0:00:03\n"
    )


@pytest.mark.parametrize("format", ["vtt", "srt", "eaf"])
def test_one_video_is_one_file_and_more_are_a_folder(detections, single, tmp_path, format):
    assert export(single, format=format, out=tmp_path / "x" / f"a.{format}") == [tmp_path / "x" / f"a.{format}"]
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "other.txt").write_text("kept")
    assert export(detections, format=format, out=folder) == [folder / f"a.{format}", folder / f"b.{format}"]
    assert sorted(os.listdir(folder)) == [f"a.{format}", f"b.{format}", "other.txt"]
    assert export(single, format=format, out=folder) == [folder / f"a.{format}"]


def test_min_score_leaves_out_detections_but_no_video(detections, tmp_path):
    export(detections, format="srt", out=tmp_path / "subtitles", min_score=0.5)
    assert (tmp_path / "subtitles" / "a.srt").read_text() == "1\n00:00:01,000 --> 00:00:02,000\ngoal (0.9)\n"
    assert (tmp_path / "subtitles" / "b.srt").read_text() == ""
    with pytest.raises(InputError, match="min_score"):
        export(detections, format="srt", out=tmp_path / "subtitles", min_score=float("nan"))


@pytest.mark.parametrize("format", FORMATS)
def test_no_video_at_all_still_gives_a_file(tmp_path, format):
    write_detections(tmp_path / "none.json", {}, {})
    (written,) = export(tmp_path / "none.json", format=format, out=tmp_path / "out")
    assert written.is_file()


def test_an_unknown_format_names_the_nearest(detections, tmp_path):
    with pytest.raises(InputError, match="'vt'; did you mean 'vtt'"):
        export(detections, format="vt", out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_many_videos_do_not_fit_in_a_file(detections, tmp_path):
    (tmp_path / "o.vtt").write_text("kept")
    with pytest.raises(InputError, match=r"o\.vtt: a file; 2 videos need a folder"):
        export(detections, format="vtt", out=tmp_path / "o.vtt")
    assert (tmp_path / "o.vtt").read_text() == "kept"


def test_what_was_exported_before_is_kept_if_it_differs(single, tmp_path, capsys):
    (tmp_path / "o.srt").write_text("corrected by hand")
    export(single, format="srt", out=tmp_path / "o.srt")
    assert (tmp_path / "o.srt").read_text().startswith("1\n")
    assert (tmp_path / "o.srt.1").read_text() == "corrected by hand"
    assert f"{tmp_path / 'o.srt'}: what was there is now {tmp_path / 'o.srt.1'}" in capsys.readouterr().err
    export(single, format="srt", out=tmp_path / "o.srt")  # the same again
    assert sorted(os.listdir(tmp_path)) == ["o.srt", "o.srt.1", "one.json"]
    with pytest.raises(InputError, match="frame rate is not known"):
        export(single, format="edl", out=tmp_path / "o.edl")
    (tmp_path / "o.edl").write_text("TITLE: mine")
    with pytest.raises(InputError, match="frame rate is not known"):
        export(single, format="edl", out=tmp_path / "o.edl")
    assert (tmp_path / "o.edl").read_text() == "TITLE: mine"


def test_a_fault_in_the_detections_leaves_the_output_alone(tmp_path):
    (tmp_path / "d.json").write_text('{"results": {"a": [{"segment": [5, 2], "label": "goal", "score": 1}]}}')
    (tmp_path / "o.csv").write_text("old")
    with pytest.raises(InputError, match=r"video a, detection 1: the segment ends \(2 s\) before it starts \(5 s\)"):
        export(tmp_path / "d.json", format="csv", out=tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text() == "old"


def test_an_output_below_a_file_cannot_be_written(detections, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        export(detections, format="csv", out=detections / "t.csv")


@pytest.mark.parametrize("name", ["x.vtt", "deep/x.srt", "x.TextGrid"])
def test_the_name_of_a_file_does_not_become_a_folder(detections, tmp_path, name):
    with pytest.raises(InputError, match=r"the name of a file; 2 videos need a folder, one \.\w+ file each"):
        export(detections, format=Path(name).suffix[1:].lower(), out=tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["d.json"]


@pytest.mark.parametrize("format", ["csv", "activitynet", "otio"])
def test_the_input_is_not_replaced(detections, tmp_path, format):
    before = detections.read_bytes()
    (tmp_path / "link.json").symlink_to(detections)
    for out in (detections, tmp_path / "link.json"):
        with pytest.raises(InputError, match="is the file to be exported"):
            export(detections, format=format, out=out)
    assert detections.read_bytes() == before


def test_a_file_of_another_kind_is_not_replaced(detections, single, tmp_path):
    (tmp_path / "labels.csv").write_text("video,label\na,goal\n")
    with pytest.raises(InputError, match=r"labels\.csv: exists already and is not of the format csv"):
        export(detections, format="csv", out=tmp_path / "labels.csv")
    with pytest.raises(InputError, match="is not of the format via"):
        export(detections, format="via", out=single)
    export(detections, format="csv", out=tmp_path / "t.csv")
    export(detections, format="csv", out=tmp_path / "t.csv", min_score=0.5)
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 2


def test_annotations_are_exported_as_truth(tmp_path):
    entry = {"annotations": [{"segment": [1, 2], "label": "goal"}], "points": [{"time": 5, "label": "goal"}], "checked": True}
    (tmp_path / "a.json").write_text(json.dumps({"database": {"v": entry}}))
    export(tmp_path / "a.json", format="csv", out=tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "video,start,end,label,score,clock\nv,1.000,2.000,goal,,0:00:01\n"
    export(tmp_path / "a.json", format="label-studio", out=tmp_path / "t.json", fps=25)
    (task,) = json.loads((tmp_path / "t.json").read_text())
    assert task["data"] == {"video": "v", "fps": 25}
    assert task["annotations"][0]["result"][0]["value"] == {"ranges": [{"start": 26, "end": 50}], "timelinelabels": ["goal"]}
    with pytest.raises(InputError, match="annotations have no scores"):
        export(tmp_path / "a.json", format="csv", out=tmp_path / "t.csv", min_score=0.5)


def test_predictions_for_label_studio(detections, tmp_path):
    export(detections, format="label-studio", out=tmp_path / "t.json", fps=25)
    first, second = json.loads((tmp_path / "t.json").read_text())
    assert (first["predictions"][0]["score"], first["predictions"][0]["result"][1]["score"]) == (0.9, 0.2)
    assert second["predictions"] == [{"model_version": "untrimmed", "result": []}]

"""Files as other programs write them, and files that are at fault."""

import json

import pytest

from untrimmed.data.corrections import Point
from untrimmed.data.errors import InputError
from untrimmed.data.types import Segment
from untrimmed.interchange.formats import FORMATS, guess
from untrimmed.interchange.media import Known, Media, video_of

KNOWN = Known(lambda video: Media(video, None, 25.0, 100.0))

OLD_BORIS = """Observation id,obs one,,,,,,,
,,,,,,,,
Media file(s),,,,,,,,
,,,,,,,,
Player #1,C:\\films\\mouse 1.avi,,,,,,,
Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Comment,Status
1.5,C:\\films\\mouse 1.avi,60,25,,attack,,,START
2.25,C:\\films\\mouse 1.avi,60,25,,click,,,POINT
4.0,C:\\films\\mouse 1.avi,60,25,,attack,,,STOP
"""
AGGREGATED = """Observation id\tMedia file\tSubject\tBehavior\tBehavior type\tStart (s)\tStop (s)
o1\tT:/x/mouse.mp4\tNo focal subject\tattack\tSTATE\t1.0\t3.5
o1\tT:/x/mouse.mp4\tNo focal subject\tclick\tPOINT\t7.0\tNA
"""
TASKS = [
    {
        "id": 7,
        "data": {"video": "/data/local-files/?d=films/match.mp4"},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {
                "result": [
                    {"type": "timelinelabels", "value": {"ranges": [{"start": 1, "end": 25}], "timelinelabels": ["goal"]}},
                    {"type": "choices", "value": {"choices": ["good"]}},
                ]
            },
        ],
    },
    {"data": {"video": "other.mp4", "fps": 30}, "annotations": [], "predictions": [{"result": []}]},
]
VIA = {
    "project": {"vid_list": ["1"]},
    "attribute": {
        "7": {"aname": "act", "anchor_id": "FILE1_Z2_XY0", "type": 4, "options": {"0": "goal"}},
        "8": {"aname": "note", "anchor_id": "FILE1_Z2_XY0", "type": 1, "options": {}},
    },
    "file": {"1": {"fid": 1, "fname": "match.mp4", "type": 4, "loc": 1, "src": ""}, "2": {"fname": "", "src": "http://x/b.webm"}},
    "view": {"1": {"fid_list": [1]}, "2": {"fid_list": ["2"]}},
    "metadata": {
        "x": {"vid": "1", "z": [1.0, 2.5], "xy": [], "av": {"7": "0", "8": "late"}},
        "y": {"vid": "2", "z": [3.0], "xy": [], "av": {"8": "seen"}},
        "z": {"vid": "2", "z": [3.0], "xy": [2, 1, 1, 5, 5], "av": {"8": "a box"}},
    },
}
SUBTITLES = (
    "\ufeff1\r\n00:00:01,500 --> 00:00:02,000 X1:10\r\n<i>goal</i> (0.5)\r\n\r\n2\r\n0:01:00.0 --> 0:01:01\r\ntwo\r\nlines\r\n"
)
POINTS = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n9\n<exists>\n1\n"TextTier"\n"hits"\n0\n9\n2\n1.5\n"goal"\n3\n""\n'
)


def read(path, text, name=None):
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    found = guess(path)
    assert name is None or found == name
    return FORMATS[found].module.read(path, KNOWN)


def test_boris_of_before(tmp_path):
    (marks,) = read(tmp_path / "o.csv", OLD_BORIS, "boris-tabular").items()
    assert marks[0] == "mouse 1"
    assert (marks[1].segments, marks[1].points) == ((Segment(1.5, 4.0, "attack"),), (Point(2.25, "click"),))
    marks = read(tmp_path / "o.tsv", AGGREGATED, "boris-aggregated")["mouse"]
    assert (marks.segments, marks.points) == ((Segment(1.0, 3.5, "attack"),), (Point(7.0, "click"),))


def test_label_studio_s_annotations_and_nobody_s_predictions(tmp_path, capsys):
    marks = read(tmp_path / "t.json", TASKS, "label-studio")
    assert {video: own.segments for video, own in marks.items()} == {"match": (Segment(0.0, 1.0, "goal"),)}
    assert "1 task(s) have no annotation and were left out" in capsys.readouterr().err
    with pytest.raises(InputError, match="no task is annotated; predictions are a model's"):
        read(tmp_path / "t.json", TASKS[1:])


@pytest.mark.parametrize(
    ("address", "video"),
    [
        ("/data/upload/12/4f1a2b3c-match%2001.mp4", "match 01"),
        ("https://store.example/films/4f1a2b3c-match.mp4?key=x.y", "4f1a2b3c-match"),
        ("/data/local-files/?d=films/match.webm", "match"),
    ],
)
def test_addresses_of_label_studio(tmp_path, address, video):
    assert list(read(tmp_path / "t.json", [TASKS[0] | {"data": {"video": address}}])) == [video]


def test_via(tmp_path):
    marks = read(tmp_path / "v.json", VIA, "via")
    assert marks["match"].segments == (Segment(1.0, 2.5, "goal"),)
    assert (marks["b"].segments, marks["b"].points) == ((), (Point(3.0, "seen"),))


def test_a_stretch_of_via_with_several_boxes_ticked(tmp_path):
    boxes = {"7": {"aname": "act", "anchor_id": "FILE1_Z2_XY0", "type": 2, "options": {"0": "goal", "1": "foul"}}}
    ticked = {"x": {"vid": "1", "z": [1.0, 2.5], "xy": [], "av": {"7": "0,1"}}}
    marks = read(tmp_path / "v.json", VIA | {"attribute": boxes, "metadata": ticked})
    assert [s.label for s in marks["match"].segments] == ["foul", "goal"]


def test_subtitles_by_hand(tmp_path):
    assert read(tmp_path / "a.srt", SUBTITLES, "srt")["a"].segments == (Segment(1.5, 2, "goal"), Segment(60, 61, "two lines"))


def test_frames_of_deepethogram(tmp_path):
    text = ",background,run,rest\n0,0,1,0\n1,0,1,0\n2,1,0,0\n3,-1,-1,-1\n"
    marks = read(tmp_path / "mouse_labels.csv", text, "frames")["mouse"]
    assert marks.segments == (Segment(0.0, 0.08, "run"),)
    assert not marks.checked  # the last frame has not been looked at


def test_points_of_praat_and_spectral_labels_of_audacity(tmp_path):
    marks = read(tmp_path / "a.TextGrid", POINTS, "textgrid")["a"]
    assert marks.points == (Point(1.5, "goal"), Point(3.0, "hits"))
    marks = read(tmp_path / "a.txt", "1,5\t2,5\tgoal\n\\\t100\t200\n3\t3\tclick\n", "audacity")["a"]
    assert (marks.segments, marks.points) == ((Segment(1.5, 2.5, "goal"),), (Point(3.0, "click"),))


def test_support_of_fiftyone_is_frames(tmp_path):
    labels = {"a": [{"label": "goal", "support": [1, 50]}], "b": None}
    marks = read(tmp_path / "labels.json", {"classes": None, "labels": labels}, "fiftyone")
    assert {video: own.segments for video, own in marks.items()} == {"a": (Segment(0, 2, "goal"),), "b": ()}


def test_an_edl_without_markers_or_with_dropped_frames(tmp_path):
    event = "001  AX  V  C  00:00:01:00 00:00:02:12 01:00:00:00 01:00:01:12\n* FROM CLIP NAME: match.mp4\n"
    marks = read(tmp_path / "a.edl", f"TITLE: x\n\n{event}* COMMENT: goal\n002  AX  AA  C  00:00:01:00 00:00:02:12 0:00\n", "edl")
    assert marks["match"].segments == (Segment(1.0, 2.48, "goal"),)
    with pytest.raises(InputError, match=r"line 1: the event has no marker"):
        read(tmp_path / "a.edl", event)
    with pytest.raises(InputError, match="drop frames are not read"):
        read(tmp_path / "a.edl", f"{event.replace('02:12 01', '02;12 01')}* COMMENT: goal\n")


def test_a_table_for_people(tmp_path):
    text = "Video;Start;End;Label;who\nmatch.mp4;0:01:02,5;63,5;goal;me\n\n=x;1;2;'=1\n"
    marks = read(tmp_path / "a.csv", text, "csv")
    assert marks["match"].segments == (Segment(62.5, 63.5, "goal"),)
    assert marks["=x"].segments == (Segment(1, 2, "=1"),)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "video,start,end,label\na,2,1,goal\n", r"a.csv, line 2: ends \(1 s\) before it starts \(2 s\)"),
        ("a.csv", "video,start,end,label\na,x,1,goal\n", "line 2: expected a time in seconds, found 'x'"),
        ("a.csv", "video,start,end,label\na,0,inf,goal\n", "line 2: expected a time in seconds"),
        ("a.csv", "video,start,end,label\na,0,1,\n", "line 2: there is no label"),
        ("a.csv", "video,start,end,label\n../../etc/passwd\x07,0,1,goal\n", "has a control character"),
        ("a.csv", 'video,start,end,label\n"a,0,1,goal\n', "never closed"),
        ("a.csv", "Time,Behavior,Behavior type\n1,run,START\n", "line 2: 'run' starts and never stops"),
        ("a.csv", "Time,Behavior,Behavior type,Observation id\n1,run,STOP,o\n", "line 2: STOP of 'run'"),
        ("a.vtt", "no\n", "begins with the line WEBVTT"),
        ("a.srt", "1\nx --> y\ngoal\n", "expected two times"),
        ("a.srt", "1\n0:01 --> 0:02\n\n", "no text below the times"),
        ("a.eaf", "<a/>", "it begins with <a>"),
        ("a.eaf", "<ANNOTATION_DOCUMENT>", "not an ELAN document"),
        ("a.eaf", '<!DOCTYPE x [<!ENTITY a "b">]><ANNOTATION_DOCUMENT/>', "declare no document type"),
        ("a.TextGrid", 'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n', "is it cut off"),
        ("a.TextGrid", "no", "not a TextGrid"),
        ("a.otio", "{}", "has an OTIO_SCHEMA"),
        ("a.llc", "{", "not a project of LosslessCut"),
        ("a.llc", '{"cutSegments": [{"start": 1, "end": 2, "name": ""}]}', "segment 1: there is no label"),
        ("a.edl", "x", "not an edit decision list"),
        ("a.ffmetadata", "x", "not metadata of FFmpeg"),
        ("a.ffmetadata", ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=1\nEND=2\n", "chapter 1: has no title"),
        ("a.txt", "1\t2\t\n", "line 1: expected start, end and label"),
        ("a.txt", "hello\n", "cannot tell its format; name it as `format`: csv, vtt"),
        ("a.json", "[1]", "cannot tell its format"),
        ("a.json", '{"labels": {"a": [{"label": "x"}]}}', "expected timestamps or support"),
        ("a.json", '{"file": {}, "view": {}, "metadata": [], "attribute": {}}', "as a project of VIA 3 has them"),
        ("a.csv", "a,b\nc,d\n", "cannot tell its format"),
        ("f.csv", "time,run\n0,1\n0,1\n", "do not grow"),
    ],
)
def test_faults_are_one_clear_line(tmp_path, name, text, words):
    with pytest.raises(InputError, match=words) as fault:
        read(tmp_path / name, text)
    assert len(str(fault.value)) - len(str(tmp_path)) < 330
    assert "\n" not in str(fault.value)


def test_not_text_at_all(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfa\x00")
    with pytest.raises(InputError, match="not UTF-8 text"):
        guess(tmp_path / "a.csv")
    with pytest.raises(InputError, match="no such file"):
        guess(tmp_path / "b.csv")
    with pytest.raises(InputError, match="a folder"):
        guess(tmp_path)


def test_a_rate_that_nobody_knows(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps(TASKS[:1]))
    with pytest.raises(InputError, match=r"video match: the format counts frames.* `videos`, or the rate as `fps`"):
        FORMATS["label-studio"].module.read(tmp_path / "t.json", Known())
    rates = Known(lambda video: Media(video, None, {"a": 25.0, "b": 30.0}[video]))
    with pytest.raises(InputError, match="but a has 25 and b 30 frames a second"):
        FORMATS["edl"].module.write({"a": [Segment(0, 1, "x")], "b": [Segment(0, 1, "x")]}, tmp_path / "a.edl", rates)


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("C:\\films\\match.MP4", "match"),
        ("file:///a/b%20c/x.y.webm", "x.y"),
        ("match", "match"),
        ("v1.0", "v1.0"),
        ("/d/a.mkv/", "a"),
    ],
)
def test_videos_by_the_names_of_their_files(name, video):
    assert video_of(name, "here") == video
    with pytest.raises(InputError, match="here: the video id '' is empty"):
        video_of("/", "here")

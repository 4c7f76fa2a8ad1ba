"""`untrimmed clips`: what is cut shows the frames of its stretch, and nothing that is not ours is overwritten."""

import csv

import av
import numpy as np
import pytest

from tests.video.films import film, number_of, steady
from untrimmed import cli
from untrimmed.data.annotations import write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection
from untrimmed.jobs.clips import clips
from untrimmed.video.cut import cut
from untrimmed.video.decode import Frames, VideoError
from untrimmed.video.probe import probe

HOSTILE = "../../=x／\x07\n<b>" + "ü" * 90


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Films of 100 frames at 25 a second, each frame showing its number, a keyframe every 30."""
    folder = tmp_path_factory.mktemp("films")
    options = {"preset": "ultrafast", "g": "30", "keyint_min": "30", "sc_threshold": "0", "crf": "18"}
    film(folder / "a.mp4", steady(4), options=options, audio_from=0.0)
    film(folder / "b.mkv", steady(4), options=options, b_frames=2)
    film(folder / "c.mp4", steady(2), options=options, rotate=90)
    (folder / "broken.mp4").write_bytes(b"no")
    return folder


@pytest.fixture
def detections(tmp_path):
    found = {
        "a": [Detection(1.0, 2.0, "goal", 0.9), Detection(1.0, 1.4, HOSTILE, 0.2)],
        "b": [Detection(2.0, 2.4, "goal", 0.5)],
        "none": [],
    }
    write_detections(tmp_path / "d.json", found, {})
    return tmp_path / "d.json"


def numbers(path) -> list[int]:
    with av.open(str(path)) as container:
        return [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_exactly_the_frames_of_the_stretch(detections, videos, tmp_path):
    report = clips(detections, videos=videos, out=tmp_path / "out", label="goal")
    assert [path.name for path in report.clips] == ["a_0-00-01.000_goal.mp4", "b_0-00-02.000_goal.mp4"]
    assert numbers(report.clips[0]) == list(range(25, 50))
    assert numbers(report.clips[1]) == list(range(50, 60))
    assert probe(report.clips[0]).duration == pytest.approx(1.0, abs=0.05)
    with av.open(str(report.clips[0])) as container:
        sound = [frame.time for frame in container.decode(audio=0)]
    assert sound[0] < 0.05
    assert 0.9 < sound[-1] < 1.05
    assert not report.failures


def test_pad_and_score(detections, videos, tmp_path):
    (clip,) = clips(detections, videos=videos, out=tmp_path / "out", min_score=0.8, pad=0.2).clips
    assert numbers(clip) == list(range(20, 55))
    (clip,) = clips(detections, videos=videos, out=tmp_path / "out", min_score=0.8, pad=3).clips
    assert numbers(clip) == list(range(100))


def test_copies_begin_at_a_keyframe_and_keep_every_bit(detections, videos, tmp_path):
    report = clips(detections, videos=videos, out=tmp_path / "out", label="goal", copy=True)
    assert [path.suffix for path in report.clips] == [".mp4", ".mkv"]
    assert numbers(report.clips[0]) == list(range(50))
    shown = numbers(report.clips[1])
    assert shown[0] == 30
    assert shown[-1] >= 59
    with av.open(str(videos / "a.mp4")) as source, av.open(str(report.clips[0])) as clip:
        whole = [frame.to_ndarray() for frame in source.decode(video=0)]
        for frame, other in zip(clip.decode(video=0), whole):
            assert np.array_equal(frame.to_ndarray(), other)


def test_a_turned_film_stays_upright(videos, tmp_path):
    cut(videos / "c.mp4", 0.4, 1.0, tmp_path / "c.mp4", copy=False)
    turned = list(Frames(videos / "c.mp4", 25, lambda width, height: (width, height)))
    clip = list(Frames(tmp_path / "c.mp4", 25, lambda width, height: (width, height)))
    assert clip[0].shape == turned[0].shape
    assert np.abs(clip[0].astype(int) - turned[10].astype(int)).mean() < 6


def test_names_are_safe_whatever_the_label(detections, videos, tmp_path):
    report = clips(detections, videos=videos, out=tmp_path / "out")
    names = {path.name for path in report.clips}
    assert {path.parent for path in report.clips} == {tmp_path / "out"}
    (hostile,) = names - {"a_0-00-01.000_goal.mp4", "b_0-00-02.000_goal.mp4"}
    assert hostile.startswith("a_0-00-01.000_x_b_ü")
    assert len(hostile.encode()) < 120
    rows = list(csv.DictReader((tmp_path / "out" / "clips.csv").open(encoding="utf-8")))
    assert {row["file"] for row in rows} == names
    assert all(not row["label"].startswith(("=", "＝")) for row in rows)
    assert [(row["video"], row["start"], row["end"], row["score"]) for row in rows if "b_" in row["file"][:2]] == [
        ("b", "2.000", "2.400", "0.5")
    ]


def test_an_interrupted_call_goes_on_and_other_files_are_left_alone(detections, videos, tmp_path):
    out = tmp_path / "out"
    first = clips(detections, videos=videos, out=out, label="goal")
    first.clips[1].unlink()
    before = first.clips[0].stat().st_mtime_ns
    clips(detections, videos=videos, out=out, label="goal")
    assert first.clips[0].stat().st_mtime_ns == before
    assert numbers(first.clips[1]) == list(range(50, 60))
    clips(detections, videos=videos, out=out, label="goal", pad=0.2)  # another stretch under the same name
    assert numbers(first.clips[0]) == list(range(20, 55))

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "b_0-00-02.000_goal.mp4").write_text("mine")
    with pytest.raises(InputError, match=r"b_0-00-02\.000_goal\.mp4: exists already, and clips\.csv does not list it"):
        clips(detections, videos=videos, out=tmp_path / "mine", label="goal")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["b_0-00-02.000_goal.mp4"]
    (tmp_path / "mine" / "clips.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="not a list of clips"):
        clips(detections, videos=videos, out=tmp_path / "mine")


def test_what_cannot_be_cut_is_left_out_with_the_reason(videos, tmp_path, capsys):
    write_detections(tmp_path / "d.json", {"broken": [Detection(0, 1, "x", 1)], "a": [Detection(90, 91, "x", 1)]}, {})
    with pytest.raises(SystemExit) as ended:
        cli.main(["clips", str(tmp_path / "d.json"), "--videos", str(videos), "--out", str(tmp_path / "out")])
    assert ended.value.code == 3
    said = capsys.readouterr().err
    assert "left out: " in said
    assert "there is no frame from 90.000 to 91.000 s" in said
    assert "2 video(s) could not be cut" in said
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["clips.csv"]
    with pytest.raises(VideoError, match="no frame from"):
        cut(videos / "a.mp4", 90, 91, tmp_path / "x.mp4", copy=True)


def test_faults(detections, videos, tmp_path):
    with pytest.raises(InputError, match="nothing in it is labelled 'gaol'; did you mean 'goal'"):
        clips(detections, videos=videos, out=tmp_path / "out", label=["gaol"])
    with pytest.raises(InputError, match="`pad` -1: expected seconds"):
        clips(detections, videos=videos, out=tmp_path / "out", pad=-1)
    with pytest.raises(InputError, match="a file; name a folder for the clips"):
        clips(detections, videos=videos, out=detections)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="none of the 2 video"):
        clips(detections, videos=tmp_path / "empty", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()

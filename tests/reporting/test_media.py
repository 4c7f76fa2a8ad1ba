"""Finding videos, linking to them, and small copies."""

from pathlib import Path
from urllib.parse import unquote

import av
import numpy as np
import pytest

from untrimmed.data.errors import InputError
from untrimmed.reporting.media import copy_size, files_by_id, link, playable, write_copy


def touch(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


def test_videos_are_found_by_stem_and_by_path(tmp_path):
    touch(tmp_path / "one.mp4", tmp_path / "day" / "two.AVI", tmp_path / "day" / "three.txt", tmp_path / ".four.mp4")
    found = files_by_id(tmp_path, ["one", "two", "day__two", "three", "four", "five"])
    assert found == {"one": tmp_path / "one.mp4", "two": tmp_path / "day" / "two.AVI", "day__two": tmp_path / "day" / "two.AVI"}


def test_two_files_of_one_id_are_named_only_when_asked_for(tmp_path):
    touch(tmp_path / "a" / "match.mp4", tmp_path / "b" / "match.mp4")
    assert files_by_id(tmp_path, ["a__match"]) == {"a__match": tmp_path / "a" / "match.mp4"}
    with pytest.raises(InputError, match=r"'match'.*a/match\.mp4 and .*b/match\.mp4"):
        files_by_id(tmp_path, ["match"])


def test_the_folder_of_copies_is_not_looked_into(tmp_path):
    touch(tmp_path / "day" / "one.avi", tmp_path / "report_files" / "one.webm")
    assert files_by_id(tmp_path, ["one"], leave_out=tmp_path / "report_files") == {"one": tmp_path / "day" / "one.avi"}


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such folder of videos"):
        files_by_id(tmp_path / "nowhere", ["a"])


def test_ids_match_whatever_the_unicode_form_of_the_file(tmp_path):
    touch(tmp_path / "u\u0308bung.mp4")
    assert list(files_by_id(tmp_path, ["\u00fcbung"])) == ["\u00fcbung"]


@pytest.mark.parametrize(
    "name", ["a b.mp4", "50% #1?.mp4", "\u00fc\u65e5\u672c.mp4", "\"q\" 'q' <script>.mp4", "a:b.mp4", "a&b+c;d.mp4"]
)
def test_links_are_relative_and_percent_encoded(tmp_path, name):
    address = link(tmp_path / "my videos" / name, tmp_path / "out" / "report.html")
    assert address.startswith("../my%20videos/")
    assert address.isascii()
    assert not set(address) & set(" #?\"'<>:&")
    assert unquote(address) == f"../my videos/{name}"


def test_a_name_that_is_not_unicode_is_linked_byte_by_byte(tmp_path):
    assert link(tmp_path / "caf\udce9.mp4", tmp_path / "report.html") == "caf%E9.mp4"


@pytest.mark.parametrize(
    ("name", "codec", "plays"),
    [
        ("a.mp4", "libx264", True),
        ("a.webm", "libvpx", True),
        ("a.mov", "libx264", True),
        ("a.avi", "mpeg4", False),
        ("a.mp4", "mpeg4", False),
        ("a.mkv", "libx264", False),
    ],
)
def test_what_browsers_play(tmp_path, name, codec, plays):
    with av.open(str(tmp_path / name), "w") as sink:
        stream = sink.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sink.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        sink.mux(stream.encode(None))
    with av.open(str(tmp_path / name)) as container:
        played, words = playable(Path(name).suffix, container.streams.video[0])
    assert played == plays
    assert words.endswith(f"in {Path(name).suffix}")


def test_colour_that_few_browsers_decode(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as sink:
        stream = sink.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        sink.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        sink.mux(stream.encode(None))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert playable(".mp4", container.streams.video[0]) == (False, "h264 (yuv444p) in .mp4")


@pytest.mark.parametrize(
    ("size", "small"), [((1920, 1080), (640, 360)), ((101, 75), (100, 76)), ((1, 1), (2, 2)), ((720, 1280), (202, 360))]
)
def test_copies_are_small_and_even(size, small):
    width, height = copy_size(*size)
    assert (width, height) == small


def test_a_copy_keeps_the_clock(tmp_path):
    frames = [np.full((48, 64, 3), 12 * k, np.uint8) for k in range(20)]
    write_copy(tmp_path / "a.webm", iter(frames), 10.0, late=lambda: 0.3)
    with av.open(str(tmp_path / "a.webm")) as container:
        assert container.duration / av.time_base == pytest.approx(2.3, abs=0.01)
        times, levels = zip(
            *((frame.time, frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)), strict=True
        )
    assert times[0] == 0
    # The frame of second 1 is the seventh: the first came at 0.3.
    np.testing.assert_allclose(levels[10], 12 * 7, atol=8)
    assert (np.diff(levels) > -3).all()


def test_a_copy_of_nothing(tmp_path):
    with pytest.raises(InputError, match="no frame"):
        write_copy(tmp_path / "a.webm", [], 10.0, late=lambda: 0.0)
    assert not list(tmp_path.iterdir())

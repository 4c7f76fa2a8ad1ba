"""Which frame is shown when, in files of every kind, and which files are refused."""

import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.errors import InputError
from untrimmed.video.decode import Frames, find_videos, open_video

from .films import counter, cut, film, number_of, steady


def same(width: int, height: int) -> tuple[int, int]:
    return width, height


def shown(path: Path, fps: float = 25) -> tuple[list[int], Frames]:
    frames = Frames(path, fps, same)
    return [number_of(frame) for frame in frames], frames


def expected(times: np.ndarray, fps: float, end: float) -> list[int]:
    """What a player shows at the times k / fps from the first frame on."""
    grid = np.arange(np.ceil(times[0] * fps - 1e-6), np.ceil(end * fps - 1e-3)) / fps
    return (np.searchsorted(times, grid + 1e-3, "right") - 1).tolist()


@pytest.mark.parametrize("rate", [10, 12, 24, 25, 30, 50, 60])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_constant_rate_is_resampled_by_time(tmp_path, rate, ending):
    times = steady(2, rate)
    numbers, frames = shown(film(tmp_path / f"a.{ending}", times, rate=rate))
    assert numbers == expected(times, 25, 2)
    assert frames.start == 0
    assert frames.duration == pytest.approx(2, abs=2e-3)
    assert frames.decoded_share == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_at_its_own_rate_every_frame_is_shown_once_although_matroska_rounds_times(tmp_path, rate):
    numbers, _ = shown(film(tmp_path / "a.mkv", steady(2, rate), rate=rate), rate)
    assert numbers == list(range(2 * rate))


@settings(deadline=None, derandomize=True, max_examples=8)
@given(gaps=st.lists(st.integers(1, 40), min_size=1, max_size=25), fps=st.sampled_from([5, 12, 25, 30]))
def test_variable_rate(tmp_path_factory, gaps, fps):
    times = np.cumsum([0, *gaps]) / 100
    numbers, frames = shown(film(tmp_path_factory.mktemp("vfr") / "a.mp4", times, tick=Fraction(1, 1000)), fps)
    assert numbers == expected(times, fps, frames.duration)
    assert frames.duration >= times[-1]


KINDS = {
    "a.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "a.avi": {"codec": "mpeg4", "tick": Fraction(1, 25)},
    "a.mpg": {"codec": "mpeg2video", "tick": Fraction(1, 25)},
    "a.webm": {"codec": "libvpx"},
    "a.flv": {},
    "a.ts": {},
    "a.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "b_frames.mp4": {"b_frames": 2},
    "ten_bit.mkv": {"codec": "ffv1", "pix_fmt": "yuv422p10le"},
    "odd.mp4": {"pix_fmt": "yuv444p", "width": 97, "height": 61},
    "odd_chroma.mkv": {"codec": "ffv1", "width": 33, "height": 17},
    "raw.h264": {},  # neither time stamps nor an index nor a duration
}


@pytest.mark.parametrize("name", KINDS)
def test_containers_and_codecs(tmp_path, name):
    numbers, frames = shown(film(tmp_path / name, steady(1), **KINDS[name]))
    assert numbers == list(range(25))
    assert frames.start == 0
    assert frames.duration == pytest.approx(1, abs=2e-3)
    assert frames.faults == 0


@pytest.mark.parametrize(("ending", "offset"), [("mp4", 0), ("webm", 0), ("mkv", 0), ("ts", 3)])
def test_a_file_that_does_not_start_at_zero_has_the_players_times(tmp_path, ending, offset):
    """MP4 and WebM keep their times in a browser; a transport stream, whose clock may show anything, counts from its start."""
    path = film(tmp_path / f"a.{ending}", steady(1, start=3), codec="libvpx" if ending == "webm" else "libx264")
    numbers, frames = shown(path)
    assert numbers == list(range(25))
    assert frames.offset == pytest.approx(offset)
    assert frames.start == pytest.approx(3 - offset)
    assert frames.duration == pytest.approx(4 - offset, abs=2e-3)
    assert frames.decoded_share == pytest.approx(1, abs=2e-3)


def test_times_are_those_of_a_browsers_player(tmp_path):
    """Chromium says how long a video is and when the frame that it shows was due."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("there is no Chromium (set CHROMIUM)")
    sync = pytest.importorskip("playwright.sync_api")
    film(tmp_path / "a.webm", steady(1.2, start=2.2), codec="libvpx")
    _, frames = shown(tmp_path / "a.webm")
    (tmp_path / "page.html").write_text('<video id="v" muted src="a.webm"></video>')
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        page.set_default_timeout(10_000)
        page.wait_for_function("document.getElementById('v').readyState >= 1")
        page.evaluate(
            """() => {
                const video = document.getElementById("v");
                video.requestVideoFrameCallback((now, frame) => { window.shown = frame.mediaTime; });
                video.currentTime = 2.83;
            }"""
        )
        page.wait_for_function("window.shown !== undefined")
        duration, at = page.evaluate("[document.getElementById('v').duration, window.shown]")
        browser.close()
    assert duration == pytest.approx(frames.duration, abs=0.05)
    assert (at - 2.2) * 25 == pytest.approx(round((at - 2.2) * 25), abs=0.05)  # a frame's own time stamp, as it is in the file
    assert 2.2 <= at <= 2.83


def test_a_frame_that_comes_after_the_sound_keeps_its_time(tmp_path):
    for ending in ("mp4", "mkv"):
        numbers, frames = shown(film(tmp_path / f"a.{ending}", steady(1, start=0.4), audio_from=0))
        assert numbers == list(range(25))
        assert frames.start == pytest.approx(0.4)
        assert frames.duration == pytest.approx(1.4, abs=2e-3)
        assert frames.decoded_share == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_undone(tmp_path, degrees):
    plain = next(iter(Frames(film(tmp_path / "a.mp4", [0], draw=lambda i, w, h: counter(5, w, h)), 25, same)))
    turned = next(iter(Frames(film(tmp_path / "b.mp4", [0], draw=lambda i, w, h: counter(5, w, h), rotate=degrees), 25, same)))
    assert np.abs(turned.astype(int) - np.rot90(plain, degrees // 90)).max() < 3


def test_interlaced_frames_have_no_combs(tmp_path):
    """Two moments in alternate lines, 8 pixels apart: one of them is looked at."""

    def combed(i: int, width: int, height: int) -> np.ndarray:
        bars = np.where(np.arange(width + 16) // 16 % 2, 220, 40).astype(np.uint8)
        lines = np.stack([bars[8 * (y % 2) : 8 * (y % 2) + width] for y in range(height)])
        return np.repeat(lines[..., None], 3, axis=2)

    kinds = {"options": {"flags": "+ilme+ildct", "preset": "ultrafast"}, "pix_fmt": "yuv444p", "draw": combed}
    film(tmp_path / "a.mp4", steady(0.2), **kinds)
    film(tmp_path / "b.mp4", steady(0.2), **(kinds | {"options": {"preset": "ultrafast"}}))
    for name, share, least, most in (("a", 1, 0, 3), ("a", 2, 0, 3), ("b", 1, 80, 255)):
        frame = next(iter(Frames(tmp_path / f"{name}.mp4", 25, lambda w, h, s=share: (w // s, h // s)))).astype(int)
        assert frame.shape == (96 // share, 128 // share, 3)
        comb = np.abs(np.diff(frame[4:-4], axis=0)).mean()
        assert least <= comb <= most, (name, share, comb)


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    sizes = []

    def note_size(width, height):
        sizes.append((width, height))
        return 64, 48

    frame = next(iter(Frames(film(tmp_path / "a.mp4", steady(0.2), aspect=Fraction(3, 2)), 25, note_size)))
    assert sizes == [(192, 96)]
    assert frame.shape == (48, 64, 3)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (3, 64), (200, 2)])
def test_tiny_frames(tmp_path, width, height):
    path = film(tmp_path / "a.mkv", steady(0.4), width=width, height=height, codec="ffv1", pix_fmt="yuv444p")
    assert len(list(Frames(path, 25, lambda w, h: (32, 16)))) == 10


def test_one_frame_is_a_video_wherever_it_falls_on_the_grid(tmp_path):
    for rate, start in ((25, 0.0), (60, 0.01)):
        numbers, frames = shown(film(tmp_path / f"{rate}.mp4", [start], rate=rate, audio_from=None))
        assert numbers == [0]
        assert frames.duration > frames.start >= 0


@pytest.mark.parametrize(
    ("name", "kind"), [("a.mkv", {}), ("a.avi", KINDS["a.avi"]), ("a.mp4", {"container_options": {"movflags": "faststart"}})]
)
def test_of_a_truncated_file_what_decodes_is_used(tmp_path, name, kind):
    numbers, frames = shown(cut(film(tmp_path / name, steady(4), **kind), 0.6))
    assert 25 <= len(numbers) < 90
    assert numbers == list(range(len(numbers)))
    if name != "a.avi":  # where FFmpeg corrects the declared length by the size of the file
        assert frames.decoded_share == pytest.approx(len(numbers) / 100, abs=0.02)
    assert frames.decoded_share < 0.9
    assert frames.duration == pytest.approx(len(numbers) / 25, abs=2e-3)


@pytest.mark.parametrize(
    ("name", "kind", "size"), [("a.mkv", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}, 3000), ("a.mp4", {"options": {"g": "10"}}, 300)]
)
def test_damage_in_the_middle_is_passed_over(tmp_path, name, kind, size):
    path = film(tmp_path / name, steady(4), **kind)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + size] = bytes(size)
    path.write_bytes(data)
    numbers, frames = shown(path)
    assert frames.faults > 0
    assert len(numbers) == 100
    assert numbers[:40] == list(range(40))
    assert numbers[-20:] == list(range(80, 100))


def test_a_clock_that_is_set_anew_within_the_file_goes_on(tmp_path):
    first, second = film(tmp_path / "a.ts", steady(2, start=50)), film(tmp_path / "b.ts", steady(2, start=5))
    joined = tmp_path / "c.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    numbers, frames = shown(joined)
    assert numbers == pytest.approx([*range(50), *range(50)], abs=1)
    assert frames.duration == pytest.approx(4, abs=0.1)


def test_a_track_that_appears_within_a_damaged_transport_stream(tmp_path):
    """Its last packets call themselves those of a track that nothing announces; PyAV does not know it."""
    whole = film(tmp_path / "a.ts", steady(1)).read_bytes()
    packets = [bytearray(whole[at : at + 188]) for at in range(0, len(whole), 188)]
    for packet in packets[-len(packets) // 4 :]:
        if (packet[1] & 31, packet[2]) == (1, 0):
            packet[2] = 5
    (tmp_path / "b.ts").write_bytes(whole + b"".join(packets))
    assert len(list(Frames(tmp_path / "b.ts", 25, same))) >= 25


def test_a_size_that_changes_within_the_file_does_not_show(tmp_path):
    film(tmp_path / "a.ts", steady(1))
    film(tmp_path / "b.ts", steady(1, start=1), width=64, height=96)
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    frames = list(Frames(tmp_path / "c.ts", 25, same))
    assert {frame.shape for frame in frames} == {(96, 128, 3)}
    assert [number_of(frame) for frame in frames] == pytest.approx([*range(25), *range(25)], abs=1)


def test_the_same_frame_is_the_same_array(tmp_path):
    frames = list(Frames(film(tmp_path / "a.mp4", steady(1, 5), rate=5), 25, same))
    assert len({id(frame) for frame in frames}) == 5


REFUSED = {
    "zero.mp4": (b"", "empty"),
    "text.mp4": (b"nothing to see here\n" * 100, "not a video"),
    "noise.mp4": (np.random.default_rng(0).bytes(20000), "not a video"),
    "subtitles.mp4": (b"1\n00:00:01,000 --> 00:00:02,000\nhello\n\n" * 20, "not a video"),
    "concat.mp4": (b"ffconcat version 1.0\nfile 'secret.mp4'\n", "playlist"),
    "hls.mp4": (b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:1.0,\nsecret.ts\n#EXT-X-ENDLIST\n", "playlist"),
    "dash.mp4": (b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period/></MPD>', "playlist"),
    "session.mp4": (b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n", "not a video"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_video_is_refused_in_one_line(tmp_path, name):
    film(tmp_path / "secret.mp4", steady(1))
    film(tmp_path / "secret.ts", steady(1))
    content, word = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=word) as caught:
        open_video(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_decoder_would_follow_these_playlists_if_it_were_let(tmp_path):
    """The refusals above are not idle: without the list of formats FFmpeg opens them and reads the other file."""
    film(tmp_path / "secret.mp4", steady(1))
    (tmp_path / "concat.mp4").write_bytes(REFUSED["concat.mp4"][0])
    with av.open(str(tmp_path / "concat.mp4")) as container:
        assert container.format.name == "concat"
        assert sum(1 for _ in container.decode(video=0)) == 25


def test_images_sound_folders_pipes_and_files_without_an_index_are_refused(tmp_path):
    film(tmp_path / "still.mp4", [0]).rename(tmp_path / "kept.mp4")
    with av.open(str(tmp_path / "still.png"), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb24"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        tone.sample_rate = 16000
        container.mux([*stream.encode(tone), *stream.encode(None)])
    os.mkfifo(tmp_path / "pipe.mp4")
    cut(film(tmp_path / "cut.mp4", steady(2)), 0.6)
    for name, word in (
        ("still.png", "not a video"),
        ("sound.mp4", "no video track"),
        ("pipe.mp4", "not a regular file"),
        ("cut.mp4", "index"),
        ("absent.mp4", "no such file"),
    ):
        with pytest.raises(InputError, match=word):
            open_video(tmp_path / name)
    with pytest.raises(InputError, match="not a regular file"):
        open_video(tmp_path)


def test_names_that_look_like_patterns_or_addresses_are_only_names(tmp_path):
    for name in ("a%03d.mp4", "http:b.mp4", "c [x] 'é' #?.mp4", "concat:d.mp4"):
        assert len(shown(film(tmp_path / "plain.mp4", steady(0.2)).rename(tmp_path / name))[0]) == 5


def test_find_videos(tmp_path):
    for name in ("b.mp4", "sub/a.MKV", "sub/.hidden.mp4", ".git/c.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert find_videos([tmp_path]) == {"a": tmp_path / "sub/a.MKV", "b": tmp_path / "b.mp4"}
    assert find_videos([tmp_path], "relative") == {"b": tmp_path / "b.mp4", "sub__a": tmp_path / "sub/a.MKV"}
    assert find_videos([tmp_path / "notes.txt"]) == {"notes": tmp_path / "notes.txt"}
    assert list(find_videos([tmp_path, tmp_path / "b.mp4", tmp_path / "sub"])) == ["a", "b"]


def test_find_videos_faults(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("x/A.mp4", "y/a.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match="no such file"):
        find_videos([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="no video in this folder"):
        find_videos([tmp_path / "empty"])
    with pytest.raises(InputError, match=r"A\.mp4 and .*a\.mkv"):
        find_videos([tmp_path])
    with pytest.raises(InputError, match="two videos"):
        find_videos([tmp_path / "x", tmp_path / "y"], "relative")
    with pytest.raises(InputError, match="no video was named"):
        find_videos([])
    assert list(find_videos([tmp_path], "relative")) == ["x__A", "y__a"]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "live.mkv"])
def test_how_far_it_is_is_known_by_time_or_by_bytes(tmp_path, name):
    live = {"live": "1"} if name == "live.mkv" else {}  # a stream that is written as it comes declares no length
    path = film(tmp_path / name, steady(8), container_options=live)
    frames = Frames(path, 25, lambda width, height: (16, 12))
    assert frames.share == 0
    shares = [frames.share for _ in frames]
    assert shares == sorted(shares)
    assert 0.3 < shares[100] < 0.7
    assert 0.95 < shares[-1] <= 1
    assert bool(frames.decoded_share) == (name != "live.mkv")

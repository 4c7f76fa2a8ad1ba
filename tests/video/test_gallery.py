"""A gallery of awkward files: each is extracted with the right times, read off the number that is drawn into every frame, or is
refused with one clear line. What browsers play is also played in one, and shows the same numbers at the same times."""

import base64
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from untrimmed import cli
from untrimmed.data.store import FeatureStore
from untrimmed.reporting.media import playable
from untrimmed.video.decode import Frames, VideoError, open_video, video_track

from .films import counter, cut, film, number_of, steady

UNEVEN = np.cumsum([0, 1, 3, 1, 7, 2, 2, 5, 1, 1, 12, 3, 2]) / 25
HDR = {"x264-params": "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc", "preset": "ultrafast"}


def interlaced(path: Path) -> Path:
    return film(path, steady(1), codec="mpeg2video", tick=Fraction(1, 25), options={"flags": "+ilme+ildct", "b": "4M"})


def tracks(path: Path, enabled: int, *kinds: tuple[str, int]) -> Path:
    """Tracks of these codecs and numbers of frames. Those of track 1 are numbered, the others hold `4095 - number`."""
    with av.open(str(path), "w") as container:
        streams = []
        for i, (codec, _) in enumerate(kinds):
            stream = container.add_stream(codec, rate=25, options={"preset": "ultrafast"} if codec == "libx264" else {})
            stream.width, stream.height = (128, 96) if i == 1 else (192, 144)
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.codec_context.thread_count = 1
            stream.disposition = Disposition.default if i == enabled else Disposition(0)
            streams.append(stream)
        for n in range(max(count for _, count in kinds)):
            for i, (stream, (_, count)) in enumerate(zip(streams, kinds)):
                if n < count:
                    number = n if i == 1 else 4095 - n
                    frame = av.VideoFrame.from_ndarray(counter(number, stream.width, stream.height), "rgb24")
                    frame = frame.reformat(format=stream.pix_fmt)
                    frame.pts, frame.time_base = n, Fraction(1, 25)
                    container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def copied(path: Path, earlier: float = 0.0, cover: bool = False) -> Path:
    """A film whose packets are copied to come earlier, an edit list hiding what is before zero; or behind a cover image."""
    with av.open(str(film(path.with_suffix(".mov"), steady(1), b_frames=2, audio_from=0, options={"g": "10"}))) as source:
        with av.open(str(path), "w") as container:
            if cover:
                cover = container.add_stream("mjpeg", rate=25)
                cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
                cover.disposition = Disposition.attached_pic
            streams = {stream.index: container.add_stream_from_template(stream) for stream in source.streams}
            if cover:
                frame = av.VideoFrame.from_ndarray(counter(99, 64, 64), "rgb24").reformat(format="yuvj420p")
                container.mux([*cover.encode(frame), *cover.encode(None)])
            for packet in source.demux():
                if packet.dts is not None:
                    shift = round(earlier / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, streams[packet.stream.index]
                    container.mux(packet)
    path.with_suffix(".mov").unlink()
    return path


def live(path: Path) -> Path:
    """As a recorder writes that may be cut off at any time: without a duration and an index."""
    return film(path, steady(1), container_options={"live": "1"})


def without_stamps(path: Path) -> Path:
    """A file whose index is lost, and with it the times."""
    film(path.with_suffix(".avi"), steady(1), codec="mjpeg", pix_fmt="yuvj420p", tick=Fraction(1, 25))
    data = path.with_suffix(".avi").read_bytes()
    path.with_suffix(".avi").unlink()
    path.write_bytes(data[: data.rindex(b"idx1")])
    return path


def changing(path: Path) -> Path:
    """A broadcast whose frames change their size in the middle."""
    parts = []
    for i, (width, height) in enumerate(((128, 96), (64, 96))):
        draw = lambda n, w, h, i=i: counter(n + 13 * i, w, h)  # noqa: E731
        parts.append(film(path.with_name(f"part{i}.ts"), steady(0.52, start=0.52 * i), width=width, height=height, draw=draw))
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()
    return path


ALL = list(range(25))
# name: (how it is made, the numbers that are shown at 25 frames a second, when the first one is shown)
EXTRACTED = {
    "varying_rate.mp4": (lambda p: film(p, UNEVEN, tick=Fraction(1, 1000)), None, 0.0),
    "varying_rate.mkv": (lambda p: film(p, UNEVEN, tick=Fraction(1, 1000)), None, 0.0),
    "no_stamps.h264": (lambda p: film(p, steady(1)), ALL, 0.0),
    "no_index.avi": (without_stamps, ALL, 0.0),
    "negative_start.ts": (lambda p: film(p, steady(1, start=-0.4)), ALL, 0.0),
    "negative_start.mp4": (lambda p: film(p, steady(1, start=-0.4)), ALL[10:], 0.0),
    "cut_by_copy.mp4": (lambda p: copied(p, earlier=0.6), ALL[15:], 0.0),
    "late_start.webm": (lambda p: film(p, steady(1, start=2.2), codec="libvpx"), ALL, 2.2),
    "late_start.mp4": (lambda p: film(p, steady(1, start=2)), ALL, 2.0),
    "late_start.ts": (lambda p: film(p, steady(1, start=2)), ALL, 0.0),
    "sound_first.mp4": (lambda p: film(p, steady(1, start=0.4), audio_from=0), ALL, 0.4),
    "sound_later.mp4": (lambda p: film(p, steady(1), audio_from=0.4), ALL, 0.0),
    "portrait.mp4": (lambda p: film(p, steady(1), width=96, height=170), ALL, 0.0),
    "interlaced.mpg": (interlaced, ALL, 0.0),
    "interlaced.mp4": (lambda p: film(p, steady(1), options={"preset": "ultrafast", "flags": "+ilme+ildct"}), ALL, 0.0),
    "ten_bit.mp4": (lambda p: film(p, steady(1), pix_fmt="yuv420p10le"), ALL, 0.0),
    "twelve_bit.mkv": (lambda p: film(p, steady(1), codec="ffv1", pix_fmt="yuv444p12le"), ALL, 0.0),
    "hdr.mp4": (lambda p: film(p, steady(1), pix_fmt="yuv420p10le", options=HDR), ALL, 0.0),
    "odd_size.mkv": (lambda p: film(p, steady(1), codec="ffv1", width=65, height=49), ALL, 0.0),
    "chroma_411.mkv": (lambda p: film(p, steady(1), codec="ffv1", pix_fmt="yuv411p"), ALL, 0.0),
    "chroma_440.mkv": (lambda p: film(p, steady(1), codec="ffv1", pix_fmt="yuv440p"), ALL, 0.0),
    "grey.mkv": (lambda p: film(p, steady(1), codec="ffv1", pix_fmt="gray"), ALL, 0.0),
    "rgb.mov": (lambda p: film(p, steady(1), codec="png", pix_fmt="rgb24"), ALL, 0.0),
    "transparent.mov": (lambda p: film(p, steady(1), codec="qtrle", pix_fmt="argb"), ALL, 0.0),
    "full_range.avi": (lambda p: film(p, steady(1), codec="mjpeg", pix_fmt="yuvj422p", tick=Fraction(1, 25)), ALL, 0.0),
    "wide_pixels.mp4": (lambda p: film(p, steady(1), aspect=Fraction(3, 2)), ALL, 0.0),
    "several_tracks.mp4": (lambda p: tracks(p, 1, ("libx264", 25), ("libx264", 25)), ALL, 0.0),  # the first is not enabled
    "several_tracks.mkv": (lambda p: tracks(p, 0, ("libx264", 25), ("libx264", 25)), [4095 - n for n in ALL], 0.0),
    "preview_first.mp4": (lambda p: tracks(p, 0, ("mjpeg", 1), ("libx264", 25)), ALL, 0.0),
    "cover_first.mp4": (lambda p: copied(p, cover=True), ALL, 0.0),
    "no_duration.mkv": (live, ALL, 0.0),
    "fragments.mp4": (lambda p: film(p, steady(1), container_options={"movflags": "frag_keyframe+empty_moov"}), ALL, 0.0),
    "animated.gif": (lambda p: film(p, steady(1), codec="gif", pix_fmt="rgb8"), ALL, 0.0),
    "animated.apng": (lambda p: film(p, steady(1), codec="apng", pix_fmt="rgb24"), ALL, 0.0),
    "no_edit_list.mp4": (lambda p: film(p, steady(1), b_frames=3, container_options={"use_editlist": "0"}), ALL, 0.08),
    "b_frames.mp4": (lambda p: film(p, steady(1), b_frames=3), ALL, 0.0),
    "size_changes.ts": (changing, list(range(26)), 0.0),
    "one_a_second.mp4": (lambda p: film(p, steady(3, 1), rate=1), [i // 25 for i in range(75)], 0.0),
    "hundred_a_second.mp4": (lambda p: film(p, steady(1, 100), rate=100), list(range(0, 100, 4)), 0.0),
    "truncated.mkv": (lambda p: cut(film(p, steady(2)), 0.6), None, 0.0),
}
TURNED = {f"turned_{degrees}.mp4": degrees for degrees in (90, 180, 270)}


def write(content: bytes):
    return lambda path: path.write_bytes(content)


def still_image(path: Path) -> None:
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb24"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])


def sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        tone.sample_rate = 16000
        container.mux([*stream.encode(tone), *stream.encode(None)])


def unknown_codec(path: Path) -> None:
    film(path, steady(1))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz1"))


M3U = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:1.0,\nhttp://example.org/a.ts\n#EXT-X-ENDLIST\n"
REFUSED = {
    "nothing.mp4": (write(b""), "empty"),
    "words.mkv": (write(b"nothing to see here\n" * 99), "not a video"),
    "noise.avi": (write(np.random.default_rng(0).bytes(9999)), "not a video"),
    "playlist.mp4": (write(M3U), "playlist"),
    "joined.mp4": (write(b"ffconcat version 1.0\nfile 'one_a_second.mp4'\n"), "playlist"),
    "dash.mp4": (write(b'<?xml version="1.0"?>\n<MPD type="static"><Period/></MPD>'), "playlist"),
    "address.mp4": (write(b"[InternetShortcut]\nURL=http://example.org/a.mp4\n"), "not a video"),
    "session.mp4": (write(b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n"), "not a video"),
    "unknown_codec.mp4": (unknown_codec, "no video track in this file that can be decoded"),
    "sound.mp4": (sound, "no video track"),
    "still.mp4": (lambda p: [still_image(p.with_suffix(".png")), p.with_suffix(".png").rename(p)], "not a video"),
    "frames%03d.mp4": (lambda p: [still_image(p.with_name("frames001.png")), write(b"frames%03d.png")(p)], "not a video"),
    "no_index.mp4": (lambda p: cut(film(p, steady(1)), 0.6), "its index"),
}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    for name, (make, _, _) in EXTRACTED.items():
        make(folder / name)
    for name, degrees in TURNED.items():
        film(folder / name, steady(1), rotate=degrees)
    for name, (refused, _) in REFUSED.items():
        refused(folder / name)
    return folder


def test_it_is_large(gallery):
    assert len(EXTRACTED) + len(TURNED) + len(REFUSED) >= 40
    for name in ("interlaced.mpg", "interlaced.mp4"):
        with av.open(str(gallery / name)) as container:
            assert next(container.decode(video=0)).interlaced_frame
    with av.open(str(gallery / "hdr.mp4")) as container:
        assert container.streams.video[0].codec_context.color_trc == 16  # SMPTE 2084
    with av.open(str(gallery / "no_duration.mkv")) as container:
        assert container.duration is None
    for name in ("several_tracks.mp4", "preview_first.mp4", "cover_first.mp4"):
        with av.open(str(gallery / name)) as container:
            assert len(container.streams.video) == 2


@pytest.mark.parametrize("name", EXTRACTED)
def test_times(name, gallery):
    _, numbers, start = EXTRACTED[name]
    frames = Frames(gallery / name, 25, lambda width, height: (width, height))
    shown = [number_of(frame) for frame in frames]
    if name.startswith("varying"):
        grid = np.arange(round(frames.duration * 25)) / 25
        numbers = (np.searchsorted(UNEVEN, grid + 1e-3, "right") - 1).tolist()
        assert frames.duration > UNEVEN[-1]
    elif name == "truncated.mkv":
        numbers = list(range(len(shown)))
        assert 10 < len(shown) < 45
        assert frames.decoded_share < 0.9
    assert shown == numbers
    assert frames.start == pytest.approx(start, abs=2e-3)
    assert frames.duration == pytest.approx(start + len(shown) / 25, abs=0.021)


@pytest.mark.parametrize("name", TURNED)
def test_turned_frames_stand_upright(name, gallery):
    frames = [np.rot90(frame, -TURNED[name] // 90) for frame in Frames(gallery / name, 25, lambda width, height: (width, height))]
    assert [number_of(frame) for frame in frames] == ALL
    assert frames[0].shape == (96, 128, 3)


PLAY = """async ([data, times]) => {
    const video = document.createElement("video"), canvas = document.createElement("canvas");
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const ready = new Promise((done) => { video.onloadeddata = () => done(""); video.onerror = () => done(video.error.message); });
    video.muted = true, video.preload = "auto", video.src = URL.createObjectURL(new Blob([bytes]));
    const fault = await ready;
    if (fault) throw new Error(fault);
    const [width, height] = [video.videoWidth, video.videoHeight], numbers = [];
    canvas.width = width, canvas.height = height;
    for (const time of times) {
        await new Promise((done) => { video.onseeked = done; video.currentTime = time; });
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        canvas.getContext("2d").drawImage(video, 0, 0);
        const shown = canvas.getContext("2d").getImageData(0, 0, width, height).data;
        const row = (b) => Math.floor(((2 * Math.floor(b / 4) + 1) * height) / 6);
        const at = (b) => row(b) * width + Math.floor(((2 * (b % 4) + 1) * width) / 8);
        numbers.push([...Array(12).keys()].reduce((sum, b) => sum + (shown[4 * at(b)] > 120 ? 1 << b : 0), 0));
    }
    return {width, height, numbers};
}"""


def test_a_browser_shows_the_same_at_the_same_times(gallery, browser):
    page = browser.new_page()
    page.set_default_timeout(60_000)
    played = []
    for name in [*EXTRACTED, *TURNED]:
        with open_video(gallery / name) as container:
            if not playable(Path(name).suffix, video_track(container))[0]:
                continue
        frames = Frames(gallery / name, 25, lambda width, height: (width, height))
        numbers = [number_of(frame) for frame in frames]
        chosen = [0, len(numbers) // 2, len(numbers) - 2]
        times = [frames.start + k / 25 + 0.005 for k in chosen]
        seen = page.evaluate(PLAY, [base64.b64encode((gallery / name).read_bytes()).decode(), times])
        assert seen["numbers"] == [numbers[k] for k in chosen], name
        played.append(name)
    assert len(played) >= 18
    assert "preview_first.mp4" not in played  # browsers show nothing of it
    assert {"late_start.mp4", "late_start.webm", "cut_by_copy.mp4", "turned_90.mp4", "varying_rate.mp4"} <= set(played)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, gallery):
    with pytest.raises(VideoError, match=REFUSED[name][1]) as caught:
        open_video(gallery / name)
    assert "\n" not in str(caught.value)
    assert str(gallery / name) in str(caught.value)


def test_addresses_are_not_followed(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["extract", "http://example.org/a.mp4", "--out", str(tmp_path / "store")])
    assert ended.value.code == 2
    assert "http://example.org/a.mp4: URLs are not read" in capsys.readouterr().err


def test_a_sequence_of_images_is_refused(tmp_path, capsys):
    for i in range(3):
        still_image(tmp_path / f"{i:03d}.png")
    with pytest.raises(SystemExit) as ended:
        cli.main(["extract", str(tmp_path), "--out", str(tmp_path / "store")])
    assert ended.value.code == 2
    assert "only images; join them into a video file first" in capsys.readouterr().err


def test_all_of_it_at_once(gallery, tmp_path):
    """What can be extracted is, with its times, and the rest is named with the reason."""
    videos = [gallery / name for name in [*EXTRACTED, *TURNED, *REFUSED]]
    for place in (tmp_path / "videos", tmp_path / "store"):
        place.mkdir(exist_ok=True)
    for video in videos:
        (tmp_path / "videos" / f"{video.stem}_{video.suffix[1:]}{video.suffix}").write_bytes(video.read_bytes())
    words = ["--set", "fps=5", "--set", "frames=5", "--set", "stride=5", "--set", "size=32", "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        cli.main(["extract", *map(str, sorted((tmp_path / "videos").iterdir())), "--out", str(tmp_path / "store"), *words])
    assert ended.value.code == 3
    failures = json.loads((tmp_path / "store" / "failures.json").read_text())
    assert failures.keys() == {f"{Path(name).stem}_{Path(name).suffix[1:]}" for name in REFUSED}
    assert all("\n" not in reason for reason in failures.values())
    store = FeatureStore(tmp_path / "store")
    assert len(store.videos) == len(EXTRACTED) + len(TURNED)
    assert store.videos["one_a_second_mp4"].snippets == 3
    assert store.timeline("late_start_mp4").start == pytest.approx(2.0)
    assert store.videos["late_start_ts"].source["offset"] == pytest.approx(2.0)

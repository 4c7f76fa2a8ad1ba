"""`extract`: complete, resumable, and not to be stopped by one bad file."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.video.films import cut, film, moving_blocks, steady
from untrimmed import console
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore, FeatureWriter
from untrimmed.jobs.extract import extract
from untrimmed.video.extraction import arguments_of

QUICK = {"size": 32, "fps": 10, "frames": 4, "stride": 4}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name, seconds in (("one", 2), ("two", 3), ("short", 0.2)):
        film(folder / f"{name}.mp4", steady(seconds), draw=moving_blocks)
    return folder


@pytest.fixture
def own(videos, tmp_path):
    """A copy of the videos that a test may change."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for file in videos.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def files_of(store):
    return {str(f.relative_to(store)): f.read_bytes() for f in sorted(store.rglob("*")) if f.is_file() and f.name != ".lock"}


def call(paths, out, *more):
    """A separate process that extracts, as a shell would start it."""
    program = (
        f"from untrimmed.jobs.extract import extract\nextract({str(paths)!r}, {str(out)!r}, settings={QUICK!r}, {', '.join(more)})"
    )
    return subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)


def test_a_store_of_everything_with_its_timing(videos, tmp_path):
    report = extract([videos], tmp_path / "store", settings=QUICK, workers=2)
    assert (report.finished, report.skipped, report.failures) == (["one", "short", "two"], [], {})
    assert report.media_seconds == pytest.approx(5.2, abs=0.01)
    store = FeatureStore(tmp_path / "store")
    assert {video: entry.snippets for video, entry in store.videos.items()} == {"one": 5, "short": 1, "two": 8}
    timeline = store.timeline("two")
    assert (timeline.start, timeline.step, timeline.count, timeline.duration) == (0, 0.4, 8, pytest.approx(3))
    assert store.timeline("short").edges == pytest.approx([0, 0.2])
    for stream, width in store.streams.items():
        assert store.load("two")[stream].shape == (8, width)
    source = store.videos["one"].source
    assert source["path"] == str(videos / "one.mp4")
    assert source["decoded_share"] == 1
    assert not (tmp_path / "store" / "failures.json").exists()
    assert arguments_of(store.header) == {"extractor": "motion", "settings": QUICK, "flow": "dis"}


def test_what_is_done_is_skipped_and_what_changed_is_done_again(own, tmp_path):
    out = tmp_path / "store"
    extract(own, out, settings=QUICK, workers=1)
    before = files_of(out)
    report = extract(own, out, settings=QUICK, workers=1)
    assert (report.finished, report.skipped) == ([], ["one", "short", "two"])
    assert files_of(out) == before

    film(own / "one.mp4", steady(4), draw=moving_blocks)
    film(own / "new.mp4", steady(1), draw=moving_blocks)
    (out / "rgb" / "two.npy").unlink()
    report = extract(own, out, settings=QUICK, workers=1)
    assert (report.finished, report.skipped) == (["new", "one", "two"], ["short"])
    assert len(FeatureStore(out).load("one")["rgb"]) == 10


def test_the_result_does_not_depend_on_the_workers(videos, tmp_path):
    for workers in (1, 2):
        extract(videos, tmp_path / str(workers), settings=QUICK, workers=workers)
    one, two = (files_of(tmp_path / str(workers)) for workers in (1, 2))
    assert one == two


def test_bad_files_do_not_stop_the_others(own, tmp_path, capsys):
    (own / "empty.mp4").write_bytes(b"")
    (own / "text.mp4").write_text("no video\n" * 50)
    (own / "list.mp4").write_text("ffconcat version 1.0\nfile one.mp4\n")
    cut(film(own / "part.mkv", steady(4), draw=moving_blocks), 0.6)
    report = extract(own, tmp_path / "store", settings=QUICK, workers=2)
    assert report.finished == ["one", "part", "short", "two"]
    assert set(report.failures) == {"empty", "text", "list"}
    assert json.loads((tmp_path / "store" / "failures.json").read_text()) == report.failures
    said = capsys.readouterr()
    assert said.out == ""
    assert "empty.mp4: the file is empty" in said.err
    assert "part.mkv: truncated or damaged" in said.err
    entry = FeatureStore(tmp_path / "store").videos["part"]
    assert 0.2 < entry.source["decoded_share"] < 0.9
    assert entry.duration == pytest.approx(4 * entry.source["decoded_share"], abs=0.01)

    film(own / "empty.mp4", steady(1), draw=moving_blocks)
    (own / "text.mp4").unlink()
    report = extract(own, tmp_path / "store", settings=QUICK, workers=1)
    assert report.finished == ["empty"]
    assert set(json.loads((tmp_path / "store" / "failures.json").read_text())) == {"list", "text"}


def test_nothing_but_bad_files_leaves_nothing(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "b.mp4").write_bytes(b"text" * 100)
    with pytest.raises(InputError, match=r"a\.mp4: the file is empty.*b\.mp4: not a video"):
        extract([tmp_path / "a.mp4", tmp_path / "b.mp4"], tmp_path / "store", workers=1)
    assert not (tmp_path / "store").exists()


def test_a_store_with_other_settings(videos, tmp_path):
    out = tmp_path / "store"
    extract(videos / "one.mp4", out, settings=QUICK, workers=1)
    before = files_of(out)
    with pytest.raises(InputError, match=r"other settings.*fps"):
        extract(videos, out, settings=QUICK | {"fps": 12}, workers=1)
    with pytest.raises(InputError, match=r"other settings.*flow"):
        extract(videos, out, settings=QUICK, flow="farneback", workers=1)
    assert files_of(out) == before
    extract(videos / "one.mp4", out, settings=QUICK, workers=1, force=True)  # nothing to force: it fits
    assert files_of(out) == before
    extract(videos / "one.mp4", out, settings=QUICK | {"fps": 12}, workers=1, force=True)
    assert files_of(tmp_path / "store.1") == before
    assert FeatureStore(out).header.settings["fps"] == 12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"extractor": "i4d"}, "did you mean 'i3d'"),
        ({"settings": {"fsp": 3}}, "fps"),
        ({"flow": "raft"}, "farneback"),
        ({"engine": "spark"}, "local"),
        ({"workers": 0}, "at least 1"),
        ({"device": "tpu"}, "cpu"),
        ({"ids": "name"}, "stem or relative"),
    ],
)
def test_faults_in_arguments_come_before_any_work(videos, tmp_path, arguments, words):
    with pytest.raises(InputError, match=words):
        extract(videos, tmp_path / "store", **arguments)
    assert not (tmp_path / "store").exists()


def test_faults_in_paths(videos, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        extract(tmp_path / "nowhere", tmp_path / "store")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "One.mp4").write_bytes((videos / "one.mp4").read_bytes())
    with pytest.raises(InputError, match="two videos have the id"):
        extract([videos, tmp_path / "sub"], tmp_path / "store")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        extract(videos, tmp_path / "file" / "store")


def test_cuda_is_not_needed_and_says_so(videos, tmp_path, capsys):
    extract(videos / "short.mp4", tmp_path / "store", settings=QUICK, workers=1, device="cuda")
    assert "CPU only" in capsys.readouterr().err


def test_a_full_disk_is_named_and_nothing_is_torn(videos, tmp_path):
    out = tmp_path / "store"
    extract(videos / "one.mp4", out, settings=QUICK, workers=1)
    before = files_of(out)
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
from untrimmed.data.errors import InputError
from untrimmed.jobs.extract import extract
try:
    extract({str(videos)!r}, {str(out)!r}, settings={QUICK!r}, workers=2)
except InputError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "cannot be written: File too large" in said
    assert "1 videos are finished and kept" in said
    assert files_of(out) == before
    assert extract(videos, out, settings=QUICK, workers=1).finished == ["short", "two"]


def _children(pid):
    """Ids of the processes whose parent is `pid`."""
    stats = [(file.parent.name, file.read_text()) for file in Path("/proc").glob("[0-9]*/stat") if file.exists()]
    return [int(child) for child, text in stats if text.rsplit(")", 1)[1].split()[1] == str(pid)]


def _wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_one_long_video_says_how_far_it_is_and_how_long_it_takes(videos, tmp_path, monkeypatch, capsys):
    """Each worker tells of every batch, and to this process 20 seconds pass between any two looks at the clock."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'untrimmed.engine.local' in ' '.join(sys.orig_argv):\n"
        "    import untrimmed.engine.progress as progress\n"
        "    progress.TELLING = 0\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    clock = count(0, 20)
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    film(tmp_path / "films" / "long.mp4", steady(12), width=32, height=32)
    film(tmp_path / "films" / "short.mp4", steady(2), width=32, height=32)

    def told(paths, name, workers):
        extract(paths, tmp_path / name, settings=QUICK, workers=workers)
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("extracting")]
        return [re.fullmatch(r"extracting: (\d)/(\d) videos, (\d+)%, about (\d+) s left", line).groups() for line in lines]

    alone = [tuple(map(int, words)) for words in told(tmp_path / "films" / "long.mp4", "alone", 1)]
    assert [words[:2] for words in alone] == [(0, 1)] * 8  # 120 frames, 16 at a time
    assert 10 <= alone[0][2] < 40  # the decoder is some frames ahead
    assert alone[0][3] == pytest.approx(20 * (100 - alone[0][2]) / alone[0][2], abs=5)
    both = told(tmp_path / "films", "both", 2)
    assert len(both) >= 8
    assert {finished for finished, *_ in both} <= {"0", "1"}
    parts = [int(part) for *_, part, _ in both]
    assert parts == sorted(parts)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    first = film(folder / "v0.mp4", steady(3), draw=moving_blocks)
    for i in range(1, 8):
        (folder / f"v{i}.mp4").write_bytes(first.read_bytes())
    return folder


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_stopped_half_way_leaves_no_workers_and_goes_on_where_it_was(many, tmp_path, monkeypatch, sign):
    """The last two videos keep both workers busy until the end, so that it is half-way however slow this process is."""
    if not os.path.isdir("/proc/self"):
        pytest.skip("needs /proc")
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time\n"
        "if 'untrimmed.engine.local' in ' '.join(sys.orig_argv):\n"
        "    import untrimmed.video.features as features\n"
        "    whole = features.extract_video\n"
        "    def slow(task, *more):\n"
        "        if task.video in ('v6', 'v7'):\n"
        "            time.sleep(1000)\n"
        "        return whole(task, *more)\n"
        "    features.extract_video = slow\n"
    )
    out = tmp_path / "store"
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        process = call(many, out, "workers=2")
    finished = out / "videos"
    _wait_until(lambda: finished.is_dir() and any(finished.glob("*.json")) and len(_children(process.pid)) == 2, 60)
    workers = _children(process.pid)
    process.send_signal(sign)
    process.communicate(timeout=60)
    _wait_until(lambda: not any(map(_alive, workers)))
    assert not list(out.rglob("*.part"))
    before = {f.name: f.stat().st_mtime_ns for f in finished.glob("*.json")}
    assert 1 <= len(before) <= 6
    for video in FeatureStore(out).videos:
        FeatureStore(out).load(video)  # each is whole

    report = extract(many, out, settings=QUICK, workers=2)
    assert sorted(report.skipped) == sorted(name.removesuffix(".json") for name in before)
    assert len(report.finished) == 8 - len(before)
    assert {name: (finished / name).stat().st_mtime_ns for name in before} == before
    rows = [FeatureStore(out).load(f"v{i}")["flow"] for i in range(8)]
    assert all(np.array_equal(rows[0], other) for other in rows)


def test_two_extractions_into_one_store_lose_nothing(many, tmp_path):
    halves = [many / f"v{i}.mp4" for i in range(8)]
    out = tmp_path / "store"
    program = (
        f"import sys; from untrimmed.jobs.extract import extract; extract(sys.argv[2:], sys.argv[1], settings={QUICK!r}, workers=1)"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", program, str(out), *map(str, part)]) for part in (halves[:5], halves[3:])
    ]  # v3 and v4 are extracted by both
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    store = FeatureStore(out)
    assert list(store.videos) == [f"v{i}" for i in range(8)]
    assert sorted(json.loads((out / "features.json").read_text())["videos"]) == list(store.videos)
    assert {len(store.load(video)["rgb"]) for video in store.videos} == {8}
    assert not list(out.rglob("*.part"))


def test_what_a_killed_worker_left_is_swept_up_but_not_what_another_writes(videos, tmp_path):
    extract(videos / "one.mp4", tmp_path / "store", settings=QUICK, workers=1)
    dead, alive = (tmp_path / "store" / "rgb" / f".{name}.npy.{12 * digit}.part" for name, digit in (("two", "0"), ("six", "1")))
    dead.write_bytes(b"half")  # however young it is
    alive.write_bytes(b"half")
    os.utime(alive, (0, 0))  # whatever the clock of its writer says
    with open(alive) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        extract(videos / "short.mp4", tmp_path / "store", settings=QUICK, workers=1)
    assert sorted(f.name for f in (tmp_path / "store" / "rgb").iterdir()) == [alive.name, "one.npy", "short.npy"]


def test_a_new_store_does_not_write_over_what_is_in_the_folder(videos, tmp_path, monkeypatch):
    """A folder in which the user has a folder `videos` of his own."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "short.json").write_text("mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^\.: holds 'videos', which is of no feature store"):
        extract(videos / "short.mp4", ".", settings=QUICK, workers=1)
    with pytest.raises(InputError, match="it is the folder that you are in"):
        extract(videos / "short.mp4", ".", settings=QUICK, workers=1, force=True)
    assert [str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*")] == ["videos", "videos/short.json"]


def test_a_crashing_decoder_costs_one_video(videos, tmp_path, monkeypatch):
    """The worker dies over one video, as a fault in a decoder's C code would make it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'untrimmed.engine.local' in ' '.join(sys.orig_argv):\n"
        "    import untrimmed.video.features as features\n"
        "    whole = features.extract_video\n"
        "    def fragile(task, *more):\n"
        "        if task.video == 'two':\n"
        "            os.kill(os.getpid(), 11)\n"
        "        return whole(task, *more)\n"
        "    features.extract_video = fragile\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    report = extract(videos, tmp_path / "store", settings=QUICK, workers=1)
    assert report.finished == ["one", "short"]
    assert "crashed (SIGSEGV)" in report.failures["two"]


def test_memory_does_not_grow_with_the_videos_length(tmp_path):
    if not os.path.exists("/proc/self/status"):
        pytest.skip("needs /proc: a process's ru_maxrss holds the peak of the one that started it, too")
    peaks = []
    for seconds in (20, 120):
        path = film(tmp_path / f"{seconds}.mp4", steady(seconds), width=32, height=32, draw=moving_blocks)
        program = (
            "import sys\nfrom untrimmed.video.features import Task, extract_video\n"
            f"outcome = extract_video(Task('v', sys.argv[1], sys.argv[2], 'motion', {QUICK | {'fps': 25}!r}, 'dis'))\n"
            "assert outcome.fault is None, outcome.fault\n"
            "print(next(line for line in open('/proc/self/status') if 'VmHWM' in line).split()[1])"
        )
        command = [sys.executable, "-c", program, str(path), str(tmp_path / f"store{seconds}")]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        assert FeatureStore(tmp_path / f"store{seconds}").videos["v"].snippets == seconds * 25 / 4 // 1
    assert peaks[1] < peaks[0] * 1.05


def test_one_id_for_two_files_in_two_calls_is_an_error(videos, tmp_path):
    first = next(file for file in sorted(Path(videos).rglob("*")) if file.suffix == ".mp4")
    for name in ("a/x.mp4", "b/x.mp4", "c/X.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(first.read_bytes())
        os.utime(tmp_path / name, ns=(len(name), ord(name[0]) * 10**9))
    extract([tmp_path / "a"], tmp_path / "store", settings=QUICK)
    before = (tmp_path / "store" / "rgb" / "x.npy").read_bytes()
    for other in ("b", "c"):
        with pytest.raises(InputError, match=r"two videos have the id .*a.x\.mp4.* and .*\.mp4; rename one"):
            extract([tmp_path / other], tmp_path / "store", settings=QUICK)
    assert (tmp_path / "store" / "rgb" / "x.npy").read_bytes() == before
    (tmp_path / "a").rename(tmp_path / "moved")  # the same file at another place is no other video
    assert extract([tmp_path / "moved"], tmp_path / "store", settings=QUICK).skipped == ["x"]


def test_a_failed_call_does_not_take_away_the_store_of_another(videos, tmp_path):
    extract(videos, tmp_path / "store", settings=QUICK)
    writer = FeatureWriter(tmp_path / "store", FeatureStore(tmp_path / "store").header)
    writer.remove_if_empty()
    assert FeatureStore(tmp_path / "store").videos


def test_names_that_a_file_system_allows(videos, tmp_path, capsys):
    whole = (videos / "short.mp4").read_bytes()
    folder = tmp_path / "videos"
    folder.mkdir()
    names = ("a b", "ümläut", "-dash", "quote'\"", "percent%03d", "bracket[1]", "colon:x", "emoji😀", "dots..")
    for name in (*names, ".hidden"):
        (folder / f"{name}.mp4").write_bytes(whole)
    (folder / "up").symlink_to("..")  # round and round
    (folder / "self.mp4").symlink_to("self.mp4")
    (folder / "nowhere.mp4").symlink_to("gone.mp4")
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    report = extract(folder, tmp_path / "store", settings=QUICK, workers=1)
    assert set(report.finished) == set(names)
    assert report.failures.keys() == {"self", "nowhere", "pipe"}
    rows = [FeatureStore(tmp_path / "store").load(name)["rgb"] for name in names]
    assert all(np.array_equal(rows[0], other) for other in rows)
    assert "pipe.mp4: not a regular file" in capsys.readouterr().err
    assert extract(folder, tmp_path / "store", settings=QUICK, workers=1).skipped == report.finished


@pytest.mark.parametrize("name", ["new\nline.mp4", "tab\t.mp4", os.fsdecode(b"bad\xff.mp4"), "x" * 201 + ".mp4"])
def test_names_that_cannot_be_an_id_are_refused_before_any_work(videos, tmp_path, name):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / name).write_bytes((videos / "short.mp4").read_bytes())
    with pytest.raises(InputError, match="rename the video"):
        extract(tmp_path / "videos", tmp_path / "store", settings=QUICK)
    assert not (tmp_path / "store").exists()


def test_folders_names_may_be_odd_but_are_said_in_one_line(videos, tmp_path, capsys):
    odd = tmp_path / "two\nlines\x1b[31m"
    odd.mkdir()
    (odd / "good.mp4").write_bytes((videos / "short.mp4").read_bytes())
    (odd / "bad.mp4").write_bytes(b"")
    assert extract(odd, tmp_path / "store", settings=QUICK, workers=1).finished == ["good"]
    said = [line for line in capsys.readouterr().err.splitlines() if "bad" in line]
    assert len(said) == 1
    assert said[0].startswith("left out: ")
    assert said[0].endswith("bad.mp4: the file is empty (zero bytes)")
    assert "\x1b" not in said[0]
    latin = tmp_path / os.fsdecode(b"caf\xe9")
    latin.mkdir()
    (latin / "good.mp4").write_bytes((videos / "short.mp4").read_bytes())
    with pytest.raises(InputError, match="folder's name is not valid Unicode text; rename the folder"):
        extract([videos, latin], tmp_path / "other", settings=QUICK)
    assert not (tmp_path / "other").exists()


def test_a_folder_without_videos_and_one_with_sound_alone(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there is no video in this folder"):
        extract(tmp_path / "empty", tmp_path / "store")
    film(tmp_path / "sound.mp4", steady(1), audio_from=0.0)
    (tmp_path / "sound").mkdir()
    with av.open(str(tmp_path / "sound.mp4")) as source, av.open(str(tmp_path / "sound" / "a.mp4"), "w") as copy:
        track = copy.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = track
                copy.mux(packet)
    with pytest.raises(InputError, match=r"a\.mp4: there is no video track in this file"):
        extract(tmp_path / "sound", tmp_path / "store", workers=1)
    assert capsys.readouterr().err == ""  # the one fault is said once
    assert not (tmp_path / "store").exists()


def test_a_file_that_changes_while_it_is_read_is_done_again(own, tmp_path, monkeypatch, capsys):
    """What is noted of a file is how it was before it was read."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'untrimmed.engine.local' in ' '.join(sys.orig_argv):\n"
        "    import untrimmed.video.features as features\n"
        "    whole = features.VideoFeatures.__iter__\n"
        "    def changing(self):\n"
        "        for i, part in enumerate(whole(self)):\n"
        "            if i == 0:\n"
        "                os.utime(self.path, ns=(1, 1))\n"
        "            yield part\n"
        "    features.VideoFeatures.__iter__ = changing\n"
    )
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        extract(own / "one.mp4", tmp_path / "store", settings=QUICK, workers=1)
    assert "one.mp4: has changed while it was read; the next extraction does it again" in " ".join(capsys.readouterr().err.split())
    assert extract(own / "one.mp4", tmp_path / "store", settings=QUICK, workers=1).finished == ["one"]
    assert extract(own / "one.mp4", tmp_path / "store", settings=QUICK, workers=1).skipped == ["one"]

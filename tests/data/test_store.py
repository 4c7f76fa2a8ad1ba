import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from untrimmed.data import store as data_store
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore, FeatureWriter, Header, VideoEntry, release_pages

HEADER = Header("motion", {"fps": 25}, window_seconds=0.64, stride_seconds=0.64, streams={"rgb": 4, "flow": 3})


def arrays(rows: int = 5, fill: float = 1.0, dtype=np.float32):
    return {"rgb": np.full((rows, 4), fill, dtype), "flow": np.full((rows, 3), fill, dtype)}


def entry(rows: int = 5, **more) -> VideoEntry:
    return VideoEntry(snippets=rows, duration=rows * 0.64, **more)


@pytest.fixture
def store(tmp_path):
    """A store of the videos a and b."""
    writer = FeatureWriter(tmp_path / "store", HEADER)
    for video in "ab":
        writer.write(video, arrays(), entry())
    return tmp_path / "store"


def edit(file, **fields):
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_written_is_read_by_memory_map(tmp_path, dtype):
    writer = FeatureWriter(tmp_path / "s", HEADER)
    features = {stream: np.random.default_rng(0).normal(size=a.shape).astype(dtype) for stream, a in arrays().items()}
    writer.write("é", features, entry(source={"path": "é.mp4"}))
    store = FeatureStore(tmp_path / "s")
    loaded = store.load("é")
    for stream, array in loaded.items():
        np.testing.assert_array_equal(array, features[stream])
        assert array.dtype == dtype
        assert isinstance(array, np.memmap)
    assert store.header == HEADER
    assert store.videos["é"] == entry(source={"path": "é.mp4"})
    assert store.faults("é") == []


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="Linux tells what of a map is in memory")
def test_released_pages_of_a_map_are_no_longer_in_memory(tmp_path):
    rows = 200_000
    writer = FeatureWriter(tmp_path / "s", HEADER)
    writer.write("a", arrays(rows), entry(rows))
    loaded = FeatureStore(tmp_path / "s").load("a")  # looks at all of it
    array, file = loaded["rgb"], str(tmp_path / "s" / "rgb" / "a.npy")

    def kibibytes() -> int:
        with open("/proc/self/smaps", encoding="utf-8") as maps:
            assert any(line.rstrip().endswith(file) for line in maps)
            return int(next(line for line in maps if line.startswith("Rss:")).split()[1])

    assert kibibytes() == 0
    assert array.sum() == rows * 4
    assert kibibytes() > 3000
    release_pages(array[10:20])
    assert kibibytes() == 0
    assert array.sum() == rows * 4, "it is read again"
    release_pages(np.ones(3))  # not mapped: nothing to do


def test_a_value_far_behind_that_is_not_finite_is_named(store, monkeypatch):
    monkeypatch.setattr(data_store, "ROWS", 2)
    array = np.ones((5, 4), np.float32)
    array[3, 1] = np.nan
    np.save(store / "rgb" / "a.npy", array)
    with pytest.raises(InputError, match="row 3 has a value that is not finite"):
        FeatureStore(store).load("a")


def test_readers_take_the_union_of_header_and_single_files(store):
    FeatureWriter(store, HEADER).compact()
    (store / "videos" / "a.json").unlink()
    FeatureWriter(store, HEADER).write("c", arrays(), entry())
    assert list(FeatureStore(store).videos) == ["a", "b", "c"]


def test_an_id_is_the_same_however_its_accents_are_coded(tmp_path):
    writer = FeatureWriter(tmp_path / "s", HEADER)
    writer.write("e\u0301", arrays(), entry())
    writer.compact()
    assert list(FeatureStore(tmp_path / "s").videos) == ["\u00e9"]
    assert FeatureStore(tmp_path / "s").load("\u00e9")["rgb"].shape == (5, 4)


def test_a_snippets_stretch_is_centred_on_its_window(tmp_path):
    writer = FeatureWriter(tmp_path / "s", Header("x", {}, 2.0, 1.0, {"rgb": 4}))
    writer.write("v", {"rgb": np.zeros((4, 4), np.float32)}, VideoEntry(4, 5.0, start=0.25))
    writer.write("w", {"rgb": np.zeros((4, 4), np.float32)}, VideoEntry(4, 5.0, window_seconds=0.5, stride_seconds=0.5))
    store = FeatureStore(tmp_path / "s")
    np.testing.assert_allclose(store.timeline("v").edges, [0.75, 1.75, 2.75, 3.75, 4.75])
    np.testing.assert_allclose(store.timeline("w").edges, [0, 0.5, 1.0, 1.5, 2.0])


def test_streams_that_differ_by_one_row_are_cut_to_the_shorter(store):
    np.save(store / "flow" / "a.npy", np.zeros((4, 3), np.float32))
    found = FeatureStore(store)
    assert {stream: len(array) for stream, array in found.load("a").items()} == {"rgb": 4, "flow": 4}
    assert found.timeline("a").count == 4
    np.save(store / "flow" / "a.npy", np.zeros((3, 3), np.float32))
    with pytest.raises(InputError, match=r"the streams of 'a' differ by more than one row: \{'rgb': 5, 'flow': 3\}"):
        found.load("a")


def bad(kind: str, file) -> None:
    array = np.ones((5, 4), np.float32)
    if kind in ("nan", "inf"):
        array[3, 1] = float(kind)
        np.save(file, array)
    elif kind == "archive":
        with open(file, "wb") as stream:
            np.savez(stream, array)
    elif kind == "pickle":
        np.save(file, np.array([{}]), allow_pickle=True)
    elif kind == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    elif kind == "missing":
        file.unlink()
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "text":
        file.write_text("1 2 3\n")
    else:
        np.save(
            file,
            {
                "width": array[:, :3],
                "rows": array[:0],
                "float64": array.astype(float),
                "1d": array[0],
                "long": np.ones((9, 4), "f4"),
            }[kind],
        )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", "rgb/a.npy: row 3 has a value that is not finite"),
        ("inf", "rgb/a.npy: row 3 has a value that is not finite"),
        ("width", "rgb/a.npy: 3 columns, but the store's stream 'rgb' has 4"),
        ("rows", "the video 'a' has no rows"),
        ("float64", "rgb/a.npy: expected float16 or float32 [T, D], found float64 [5, 4]"),
        ("1d", "rgb/a.npy: expected float16 or float32 [T, D], found float32 [4]"),
        ("long", "the streams of 'a' differ by more than one row"),
        ("archive", "rgb/a.npy: not a readable .npy array"),
        ("pickle", "rgb/a.npy: not a readable .npy array"),
        ("cut", "rgb/a.npy: not a readable .npy array"),
        ("empty", "rgb/a.npy: not a readable .npy array"),
        ("text", "rgb/a.npy: not a readable .npy array"),
        ("missing", "rgb/a.npy: no such file, though the store lists the video 'a'"),
    ],
)
def test_a_damaged_array_is_named(store, kind, message):
    bad(kind, store / "rgb" / "a.npy")
    found = FeatureStore(store)
    with pytest.raises(InputError) as fault:
        found.load("a")
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)
    assert any(message in line for line in found.faults("a"))
    assert found.faults("b") == []
    assert found.load("b")["rgb"].shape == (5, 4)


def test_rows_that_disagree_with_the_entry_are_a_fault(store):
    edit(store / "videos" / "a.json", snippets=50)
    with pytest.raises(InputError, match="'a' has 5 rows, but its entry says 50 snippets"):
        FeatureStore(store).load("a")
    with pytest.raises(InputError, match="there is no video 'zz'"):
        FeatureStore(store).load("zz")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": "other/1"}, 'expected "format": "untrimmed-features/1", found'),
        ({"streams": {}}, "at least one stream"),
        ({"streams": {"rgb": 0}}, "width above zero"),
        ({"streams": {"../rgb": 4}}, "path separator"),
        ({"streams": [1]}, "features.json: "),
        ({"stride_seconds": 0}, "must be finite and above zero"),
        ({"stride_seconds": 1e999}, "stride_seconds: expected a number, found inf"),
        ({"window_seconds": "long"}, "window_seconds: expected a number, found 'long'"),
        ({"videos": []}, ""),
        ({"videos": ["a"]}, "videos: expected an object, found ['a']"),
        ({"videos": {"../a": {"snippets": 1, "duration": 1}}}, "path separator"),
        ({"videos": {"c": {"snippets": 1}}}, "video c: the field 'duration' is missing"),
        ({"videos": {"c": {"snippets": 1, "duration": 0}}}, "video c: duration and start must be finite"),
        ({"videos": {"c": {"snippets": 1, "duration": 1, "stride_seconds": -1}}}, "video c: window_seconds and stride_seconds"),
        ({"videos": {"c": 3}}, "videos: c: expected an object, found 3"),
    ],
)
def test_a_header_at_fault_is_named(store, fields, message):
    edit(store / "features.json", **fields)
    if not message:
        assert list(FeatureStore(store).videos) == ["a", "b"]
        return
    with pytest.raises(InputError) as fault:
        FeatureStore(store)
    assert str(fault.value).startswith(str(store / "features.json"))
    assert message in str(fault.value)


def test_a_header_without_a_field_or_a_cut_entry_is_named(store):
    (store / "videos" / "a.json").write_text('{"snippets": 5,')
    with pytest.raises(InputError, match=r"videos/a\.json: not valid JSON at line 1.*cut off"):
        FeatureStore(store)
    content = json.loads((store / "features.json").read_text())
    del content["window_seconds"]
    (store / "features.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"features\.json: the field 'window_seconds' is missing"):
        FeatureStore(store)


def test_no_store(tmp_path):
    with pytest.raises(InputError, match="no such folder of features"):
        FeatureStore(tmp_path / "none")
    with pytest.raises(InputError, match=r"not a feature store \(no features\.json in it\)"):
        FeatureStore(tmp_path)
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match="cannot be written"):
        FeatureWriter(tmp_path / "file" / "store", HEADER)
    assert (tmp_path / "file").read_text() == "kept"


def test_other_settings_are_refused_and_named(store):
    before = (store / "features.json").read_bytes()
    with pytest.raises(InputError, match=r"made with other settings \(settings\.fps: 25 there, 30 here\); use"):
        FeatureWriter(store, Header("motion", {"fps": 30}, 0.64, 0.64, HEADER.streams))
    assert (store / "features.json").read_bytes() == before


def test_rows_of_another_width_or_stream_never_reach_the_store(store):
    writer = FeatureWriter(store, HEADER)
    with pytest.raises(ValueError, match="width 3"):
        writer.write("c", {"rgb": np.zeros((5, 4), "f4"), "flow": np.zeros((5, 4), "f4")}, entry())
    with pytest.raises(ValueError, match="streams"):
        writer.write("c", {"rgb": np.zeros((5, 4), "f4")}, entry())
    with pytest.raises(InputError, match="path separator"):
        writer.write("../c", arrays(), entry())
    assert list(FeatureStore(store).videos) == ["a", "b"]
    assert sorted(os.listdir(store / "rgb")) == ["a.npy", "b.npy"]


def test_a_video_grows_row_by_row(store):
    writer = FeatureWriter(store, HEADER)
    with writer.adding("c", {"rgb": np.float16, "flow": np.float32}) as rows:
        for i in range(12):
            rows.append(arrays(1, fill=i))
        rows.entry = entry(12)
    loaded = FeatureStore(store).load("c")
    np.testing.assert_array_equal(loaded["rgb"][:, 0], np.arange(12))
    assert loaded["rgb"].dtype == np.float16


FULL_DISK = """
import resource, sys
import numpy as np
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore, FeatureWriter, VideoEntry
writer = FeatureWriter(sys.argv[1], FeatureStore(sys.argv[1]).header)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    writer.write(sys.argv[2], {"rgb": np.zeros((9000, 4), "f4"), "flow": np.zeros((9000, 3), "f4")}, VideoEntry(9000, 9.0))
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("video", ["a", "c"])
def test_a_full_disk_leaves_what_was_there(store, video):
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(store), video], capture_output=True, text=True, check=True)
    assert "cannot be written: File too large" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    found = FeatureStore(store)
    assert list(found.videos) == ["a", "b"]
    assert found.faults("a") == found.faults("b") == []
    assert sorted(os.listdir(store / "rgb")) == ["a.npy", "b.npy"]


def write_many(path, prefix: str, count: int) -> None:
    writer = FeatureWriter(path, HEADER)
    for i in range(count):
        writer.write(f"{prefix}{i:02d}", arrays(fill=i), entry())
        if i % 5 == 0:
            writer.compact()
    writer.compact()


def test_two_processes_into_one_store_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(tmp_path / "s", prefix, 20)) for prefix in "xy"]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
        assert process.exitcode == 0
    store = FeatureStore(tmp_path / "s")
    assert len(store.videos) == 40
    assert all(store.load(video)["rgb"][0, 0] == int(video[1:]) for video in store.videos)
    assert len(json.loads((tmp_path / "s" / "features.json").read_text())["videos"]) >= 20


def test_compaction_while_others_write_and_read_loses_nothing(store):
    stop = threading.Event()
    faults: list[BaseException] = []

    def compact_and_read():
        writer = FeatureWriter(store, HEADER)
        try:
            while not stop.is_set():
                writer.compact()
                found = FeatureStore(store)
                assert "b" in found.videos
                assert not found.faults("b")
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=compact_and_read)
    thread.start()
    writer = FeatureWriter(store, HEADER)
    for i in range(30):
        writer.write(f"n{i}", arrays(), entry())
        writer.write("a", arrays(fill=i), entry())  # extracted again and again
    stop.set()
    thread.join()
    assert faults == []
    found = FeatureStore(store)
    assert set(found.videos) == {"a", "b", *(f"n{i}" for i in range(30))}
    assert found.load("a")["rgb"][0, 0] == 29


KILLED = """
import os, signal, sys
import numpy as np
import untrimmed.data.store as store
from untrimmed.data.store import FeatureStore, FeatureWriter, VideoEntry
def killed(path, value, **more):
    if path.parent.name == "videos":
        os.kill(os.getpid(), signal.SIGKILL)  # the arrays are there, the entry is not
    return write_json(path, value, **more)
write_json, store.write_json = store.write_json, killed
writer = FeatureWriter(sys.argv[1], FeatureStore(sys.argv[1]).header)
writer.write(sys.argv[2], {"rgb": np.zeros((7, 4), "f4"), "flow": np.zeros((7, 3), "f4")}, VideoEntry(7, 4.48))
"""


@pytest.mark.parametrize("video", ["a", "c"])
def test_a_writer_killed_before_the_entry_leaves_the_video_unfinished(store, video):
    FeatureWriter(store, HEADER).compact()
    done = subprocess.run([sys.executable, "-c", KILLED, str(store), video])
    assert done.returncode == -signal.SIGKILL
    assert np.load(store / "rgb" / f"{video}.npy").shape == (7, 4)
    found = FeatureStore(store)
    assert video not in found.videos
    assert found.faults("b") == []
    writer = FeatureWriter(store, HEADER)
    assert video not in writer.finished()
    writer.write(video, arrays(), entry())
    assert FeatureStore(store).load(video)["rgb"].shape == (5, 4)

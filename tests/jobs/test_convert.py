"""Small packs in each layout, with the field's names and types: rows, times and labels as they are in the pack."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from untrimmed.data.annotations import VideoTruth, read_annotations, read_detections, write_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.labels import read_labels
from untrimmed.data.packs import LAYOUTS, THUMOS14_CLASSES
from untrimmed.data.settings import parse_assignments
from untrimmed.data.store import FeatureStore, FeatureWriter, Header
from untrimmed.data.types import Segment
from untrimmed.jobs.convert import convert
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.jobs.validate import validate

D = 4
LENGTHS = {"video_validation_0000051": 12, "video_validation_0000052": 7, "video_test_0000004": 9}
TRAIN, OTHER, TEST = LENGTHS
TAGS = {TRAIN: {"Billiards"}, OTHER: {"CliffDiving", "Diving"}}
STRING_TRUTH = {
    "database": {
        TRAIN: {"subset": "train", "annotations": [{"segment": ["0.5", "2.25"], "label": "Billiards"}]},
        OTHER: {
            "subset": "train",
            "annotations": [{"segment": ["1", "2"], "label": "Diving"}, {"segment": ["1", "2"], "label": "CliffDiving"}],
        },
        TEST: {"subset": "test", "annotations": [{"segment": ["3.0", "4.5"], "label": "Diving"}]},
    }
}


def rows(video: str, stream: str, width: int = D, dtype=np.float32) -> np.ndarray:
    random = np.random.default_rng([*map(ord, video + stream)])
    return random.normal(size=(LENGTHS[video], width)).astype(dtype)


def save(file: Path, array: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, array)


def dgam(folder: Path) -> Path:
    for mode, videos in (("train", (TRAIN, OTHER)), ("test", (TEST,))):
        for number, video in enumerate(videos, 1):
            for stream in ("rgb", "flow"):
                save(folder / f"{mode}_data" / f"{stream}_features" / f"{number}.npy", rows(video, stream))
        hot = [[name in TAGS.get(video, {"Diving"}) for name in THUMOS14_CLASSES] for video in videos]
        save(folder / f"{mode}_data" / f"{mode}_labels.npy", np.array(hot, dtype=np.float64))
        (folder / f"{mode}_data" / f"THUMOS14_{mode}_vid_list.txt").write_text("".join(f"{video}\n" for video in videos))
    return folder


def basnet(folder: Path) -> Path:
    for video in LENGTHS:
        for stream in ("rgb", "flow"):
            # As in some releases, flow has a row less.
            array = rows(video, stream, dtype=np.float64)[: None if stream == "rgb" else -1]
            save(folder / "features" / ("test" if video == TEST else "train") / stream / f"{video}.npy", array)
    (folder / "gt.json").write_text(json.dumps(STRING_TRUTH))
    return folder


def joined(video: str) -> np.ndarray:
    return np.concatenate([rows(video, "rgb"), rows(video, "flow")], axis=1)


def acmnet(folder: Path) -> Path:
    for video in LENGTHS:
        save(folder / ("test" if video == TEST else "train") / f"{video}.npy", joined(video))
    (folder / "gt.json").write_text(json.dumps(STRING_TRUTH))
    return folder


def objects(values: list) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def save_pickled(file: Path, array: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, array, allow_pickle=True)


def wtalc(folder: Path) -> Path:
    about = folder / "Thumos14reduced-Annotations"
    truth = [STRING_TRUTH["database"][video]["annotations"] for video in LENGTHS]
    save(about / "videoname.npy", np.array([video.encode() for video in LENGTHS], dtype="S24"))
    save(about / "subset.npy", np.array([b"validation", b"validation", b"test"], dtype="S10"))
    save(about / "duration.npy", np.array([[7.7], [4.5], [5.8]]))
    save_pickled(about / "segments.npy", objects([[[float(t) for t in a["segment"]] for a in found] for found in truth]))
    save_pickled(about / "labels.npy", objects([[a["label"].encode() for a in found] for found in truth]))
    save_pickled(about / "labels_all.npy", objects([sorted({a["label"].encode() for a in found}) for found in truth]))
    (about / "Ambiguous_test.txt").write_text(f"{TEST}  0.0 1.4\n")
    save_pickled(folder / "Thumos14reduced-I3D-JOINTFeatures.npy", objects([joined(video) for video in LENGTHS]))
    return folder


def cmcs(folder: Path) -> Path:
    for video, length in LENGTHS.items():
        for stream in ("rgb", "flow"):
            crops = np.stack([rows(video, stream), rows(video, stream) + 1.0])
            file = folder / "thumos-i3d-oversample" / f"{video}-{stream}.npz"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, feature=crops if stream == "rgb" else crops[:1], frame_cnt=np.array(16 + 4 * (length - 1) + 2))
    return folder


def actionformer(folder: Path) -> Path:
    database = {}
    for video in LENGTHS:
        save(folder / "i3d_features" / f"{video}.npy", joined(video))
        fps = 25.0 if video == TEST else 30.0
        annotations = [a | {"segment": [float(t) for t in a["segment"]]} for a in STRING_TRUTH["database"][video]["annotations"]]
        subset = "Test" if video == TEST else "Validation"
        database[video] = {"subset": subset, "fps": fps, "duration": 6.0, "annotations": annotations}
    (folder / "annotations").mkdir()
    (folder / "annotations" / "thumos14.json").write_text(json.dumps({"version": "Thumos14-30fps", "database": database}))
    return folder


MAKERS = {"dgam": dgam, "basnet": basnet, "acmnet": acmnet, "wtalc": wtalc, "cmcs": cmcs, "actionformer": actionformer}
NEEDED = {"cmcs": {"fps": 30, "stride": 4}, "wtalc": {"allow_pickle": True}}


def made(layout: str, tmp_path: Path, **more):
    source = MAKERS[layout](tmp_path / layout)
    return source, convert(source, tmp_path / "out", layout=layout, **NEEDED.get(layout, {}), **more)


@pytest.mark.parametrize("layout", MAKERS)
def test_every_row_of_every_layout_is_found(tmp_path, layout):
    source, report = made(layout, tmp_path)
    assert (report.features, report.failures) == (3, {})
    store = FeatureStore(tmp_path / "out")
    assert set(store.videos) == set(LENGTHS)
    assert store.streams == {"rgb": D, "flow": D}
    for video, length in LENGTHS.items():
        count = length - 1 if layout == "basnet" else length
        loaded = store.load(video)
        for stream, array in loaded.items():
            shift = 0.5 if (layout, stream) == ("cmcs", "rgb") else 0.0  # the mean of the two crops
            assert array.dtype == np.float32
            np.testing.assert_allclose(array, rows(video, stream)[:count] + shift, rtol=0, atol=1e-6)
        assert store.timeline(video).count == count
        assert store.faults(video) == []
    copied = list((tmp_path / "out").rglob("*.npy"))
    assert bool(copied) == (layout == "wtalc")
    # The store says where the arrays are; nothing is written into the pack.
    if layout != "wtalc":
        assert json.loads((tmp_path / "out" / "features.json").read_text())["pack"]["folder"] == str(source.resolve())


@pytest.mark.parametrize("layout", ["dgam", "acmnet", "actionformer"])
def test_plain_arrays_are_read_by_memory_map(tmp_path, layout):
    made(layout, tmp_path)
    for array in FeatureStore(tmp_path / "out").load(TRAIN, check=False).values():
        base = array
        while base is not None and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap)


@pytest.mark.parametrize("layout", MAKERS)
def test_the_labels_are_those_of_the_part_to_train_on(tmp_path, layout):
    made(layout, tmp_path)
    if layout == "cmcs":  # it says nothing of what is in the videos
        assert not (tmp_path / "out" / "labels.csv").exists()
        return
    labels = read_labels(tmp_path / "out" / "labels.csv", known=LENGTHS)
    assert labels.tags == {video: frozenset(tags) for video, tags in TAGS.items()}
    if layout == "dgam":
        assert not (tmp_path / "out" / "annotations.json").exists()
        return
    truth = read_annotations(tmp_path / "out" / "annotations.json").videos
    assert {video: sorted(one.segments) for video, one in truth.items()} == {
        TRAIN: [Segment(0.5, 2.25, "Billiards")],
        OTHER: [Segment(1.0, 2.0, "CliffDiving"), Segment(1.0, 2.0, "Diving")],
        TEST: [Segment(3.0, 4.5, "Diving")],
    }
    assert truth[TEST].ambiguous == ((Segment(0.0, 1.4, "Ambiguous"),) if layout == "wtalc" else ())


@pytest.mark.parametrize("layout", ["basnet", "wtalc", "actionformer"])
def test_what_is_converted_passes_validation(tmp_path, layout):
    made(layout, tmp_path)
    out = tmp_path / "out"
    assert validate(out, out / "labels.csv", out / "annotations.json").faults == []


def test_times_at_25_frames_a_second(tmp_path, capsys):
    made("dgam", tmp_path)
    timeline = FeatureStore(tmp_path / "out").timeline(TRAIN)
    np.testing.assert_allclose(timeline.edges, np.arange(13) * 0.64)
    assert "timing: 16 frames every 16, at 25 frames a second" in capsys.readouterr().err


def test_another_rate_is_taken_as_told(tmp_path):
    source, _ = made("dgam", tmp_path)
    convert(source, tmp_path / "ten", layout="dgam", fps=10)
    store = FeatureStore(tmp_path / "ten")
    np.testing.assert_allclose(store.timeline(TRAIN).edges, np.arange(13) * 1.6)
    # Another timing is another kind of features: a run refuses to mix them.
    assert store.header.differences(FeatureStore(tmp_path / "out").header)


def test_each_video_may_have_its_own_rate(tmp_path):
    made("actionformer", tmp_path)
    store = FeatureStore(tmp_path / "out")
    for video, fps in ((TRAIN, 30.0), (TEST, 25.0)):
        timeline = store.timeline(video)
        assert timeline.step == pytest.approx(4 / fps)
        assert timeline.start == pytest.approx((16 - 4) / 2 / fps)  # centred on its window
        assert timeline.duration == 6.0


def test_every_fourth_row(tmp_path):
    made("actionformer", tmp_path, every=4)
    store = FeatureStore(tmp_path / "out")
    np.testing.assert_array_equal(store.load(TRAIN)["flow"], rows(TRAIN, "flow")[::4])
    assert store.timeline(TRAIN).step == pytest.approx(16 / 30)
    assert store.timeline(TRAIN).count == store.videos[TRAIN].snippets == 3


def test_flow_first(tmp_path):
    made("acmnet", tmp_path, flow_first=True)
    np.testing.assert_array_equal(FeatureStore(tmp_path / "out").load(TRAIN)["flow"], rows(TRAIN, "rgb"))


def test_the_frame_rate_is_never_guessed(tmp_path):
    source = cmcs(tmp_path / "cmcs")
    with pytest.raises(InputError, match=r"give `fps` and `stride`"):
        convert(source, tmp_path / "out", layout="cmcs")
    with pytest.raises(InputError, match=r"give `fps`, the frame rate"):
        convert(source, tmp_path / "out", layout="cmcs", stride=4)
    # The pack says how many frames there are, which shows a wrong stride.
    with pytest.raises(InputError, match=r"50 frames make 3 rows at a stride of 16 frames, but there are 9"):
        convert(source, tmp_path / "out", layout="cmcs", stride=16, fps=30)
    assert not (tmp_path / "out").exists()
    convert(source, tmp_path / "out", layout="cmcs", stride=4, fps=30, every=4)
    assert FeatureStore(tmp_path / "out").videos[TRAIN].duration == pytest.approx(62 / 30)


def test_a_rate_that_does_not_fit_the_durations_is_said(tmp_path, capsys):
    source = wtalc(tmp_path / "wtalc")
    convert(source, tmp_path / "a", layout="wtalc", allow_pickle=True)
    assert "is the frame rate right" not in capsys.readouterr().err
    convert(source, tmp_path / "b", layout="wtalc", allow_pickle=True, fps=30)
    assert "the features last 0.83 times as long as the annotated durations say" in capsys.readouterr().err


def test_truth_that_lies_apart_names_the_classes_and_the_training_part(tmp_path):
    source = dgam(tmp_path / "dgam")
    save(source / "train_data" / "train_labels.npy", np.array([[0, 1], [1, 0]], dtype=np.float32))
    with pytest.raises(InputError, match=r"2 columns, but THUMOS14 has 20 classes; give .*`annotations`"):
        convert(source, tmp_path / "out", layout="dgam")
    names = {TRAIN: "running", OTHER: "jumping"}
    truth = {v: VideoTruth("training", None, (Segment(0, 1, label),)) for v, label in names.items()}
    write_annotations(tmp_path / "truth.json", truth, "1")
    convert(source, tmp_path / "out", layout="dgam", annotations=tmp_path / "truth.json")
    assert read_labels(tmp_path / "out" / "labels.csv").tags == {video: frozenset({label}) for video, label in names.items()}


def test_numbered_videos_without_a_list_get_a_name_and_a_note(tmp_path, capsys):
    source = dgam(tmp_path / "dgam")
    (source / "train_data" / "THUMOS14_train_vid_list.txt").unlink()
    convert(source, tmp_path / "out", layout="dgam")
    assert set(FeatureStore(tmp_path / "out").videos) == {"train_0001", "train_0002", TEST}
    assert "no *_train_vid_list.txt" in capsys.readouterr().err
    (source / "test_data" / "THUMOS14_test_vid_list.txt").write_text("")
    with pytest.raises(InputError, match=r"names 0 videos, but there is .*1\.npy"):
        convert(source, tmp_path / "again", layout="dgam")


def test_activitynet_names_its_files_with_a_prefix(tmp_path):
    for stream in ("rgb", "flow"):
        np.savez(tmp_path / f"v_abc-{stream}.npz", feature=np.zeros((1, 5, D), np.float32), frame_cnt=16 * 5)
    write_annotations(tmp_path / "t.json", {"abc": VideoTruth("training", 3.2, (Segment(0, 1, "run"),))}, "1")
    convert(tmp_path, tmp_path / "out", layout="cmcs", fps=25, stride=16, annotations=tmp_path / "t.json")
    assert list(FeatureStore(tmp_path / "out").videos) == ["abc"]
    assert read_labels(tmp_path / "out" / "labels.csv", known=["abc"]).tags == {"abc": {"run"}}


def test_bad_files_are_left_out_and_named(tmp_path):
    source = basnet(tmp_path / "basnet")
    (source / "features" / "train" / "rgb" / f"{TRAIN}.npy").write_bytes(b"no array")
    save(source / "features" / "test" / "flow" / f"{TEST}.npy", rows(TEST, "flow")[:3])
    report = convert(source, tmp_path / "out", layout="basnet")
    assert set(report.failures) == {TRAIN, TEST}
    assert "not a readable array" in report.failures[TRAIN]
    assert "differ by more than one row" in report.failures[TEST]
    assert json.loads((tmp_path / "out" / "failures.json").read_text()) == report.failures
    assert list(FeatureStore(tmp_path / "out").videos) == [OTHER]
    assert set(read_labels(tmp_path / "out" / "labels.csv").tags) == {OTHER}
    (source / "features" / "train" / "flow" / f"{OTHER}.npy").unlink()
    with pytest.raises(InputError, match="no video of it can be used"):
        convert(source, tmp_path / "none", layout="basnet")


def test_pickled_files_need_leave_and_may_not_call_anything(tmp_path):
    source = wtalc(tmp_path / "wtalc")
    with pytest.raises(InputError, match=r"give `allow_pickle` if you trust"):
        convert(source, tmp_path / "out", layout="wtalc")

    class Harm:
        def __reduce__(self):
            return (Path(tmp_path / "harm").write_text, ("done",))

    save_pickled(source / "Thumos14reduced-Annotations" / "labels.npy", objects([Harm(), [], []]))
    with pytest.raises(InputError, match=r"labels\.npy: not an array of arrays \(it would call .* which no array needs\)"):
        convert(source, tmp_path / "out", layout="wtalc", allow_pickle=True)
    assert not (tmp_path / "harm").exists()
    assert not (tmp_path / "out").exists()
    with open(source / "Thumos14reduced-Annotations" / "labels.npy", "rb") as stream:
        np.lib.format.read_magic(stream)
        np.lib.format.read_array_header_1_0(stream)
        pickle.load(stream)
    assert (tmp_path / "harm").exists()  # an ordinary reader would have run it


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("videoname", np.array([b"a", b"a", b"b"]), r"the video 'a' stands there twice"),
        ("videoname", np.array([b"a", b"\xff", b"b"]), r"a video's name: expected text, found .*xff"),
        ("videoname", np.array(b"a"), r"not an array of arrays \(a single value\)"),
        ("duration", np.array([[7.7], [np.nan], [5.8]]), f"{OTHER}: duration: expected seconds above 0, found nan"),
        ("duration", np.zeros((3, 0)), f"{TRAIN}: its segments, labels or duration are not as the layout has them"),
        ("segments", objects([[[0.5]], [], []]), f"{TRAIN}: its segments, labels or duration are not as"),
        ("segments", objects([[[0.5, 1.0], [1.0, 2.0]], [], []]), f"{TRAIN}: its segments, labels or duration are not as"),
        ("segments", objects([[[2.0, 1.0]], [], []]), f"{TRAIN}: the segment 2.0 to 1.0 ends before it starts"),
        ("segments", objects([[[0.5, "x"]], [], []]), f"{TRAIN}: expected a start and an end in seconds, found 0.5 and x"),
        ("labels", objects([[b" "], [], []]), f"{TRAIN}: expected text"),
        ("labels_all", objects([3, [], []]), f"{TRAIN}: its segments, labels or duration are not as"),
    ],
)
def test_pickled_columns_that_are_not_as_the_layout_has_them(tmp_path, column, values, words):
    source = wtalc(tmp_path / "wtalc")
    save_pickled(source / "Thumos14reduced-Annotations" / f"{column}.npy", values)
    with pytest.raises(InputError, match=words):
        convert(source, tmp_path / "out", layout="wtalc", allow_pickle=True)
    assert not (tmp_path / "out").exists()


def test_faults_in_ambiguous_segments_and_in_pickled_features(tmp_path):
    source = wtalc(tmp_path / "wtalc")
    (source / "Thumos14reduced-Annotations" / "Ambiguous_test.txt").write_text(f"{TEST} 1 nan\n")
    with pytest.raises(InputError, match=r"Ambiguous_test\.txt, line 1: .* not finite"):
        convert(source, tmp_path / "out", layout="wtalc", allow_pickle=True)
    (source / "Thumos14reduced-Annotations" / "Ambiguous_test.txt").unlink()
    features = source / "Thumos14reduced-I3D-JOINTFeatures.npy"
    for bad, words in (("x", "not an array of numbers"), (np.zeros((5, 3)), "as many columns each; found 3")):
        save_pickled(features, objects([bad, joined(OTHER), joined(TEST)]))
        with pytest.raises(InputError, match=f"{TRAIN}: .*{words}"):
            convert(source, tmp_path / "out", layout="wtalc", allow_pickle=True)
    assert not (tmp_path / "out").exists()


def test_wtalc_annotations_alone_and_a_named_feature_file(tmp_path):
    source = wtalc(tmp_path / "wtalc")
    report = convert(source / "Thumos14reduced-I3D-JOINTFeatures.npy", tmp_path / "a", layout="wtalc", allow_pickle=True)
    assert (report.features, report.annotated) == (3, 3)
    report = convert(source / "Thumos14reduced-Annotations", tmp_path / "b", layout="wtalc", allow_pickle=True)
    assert (report.features, report.annotated, report.labelled) == (0, 3, 2)
    assert not (tmp_path / "b" / "features.json").exists()


def test_thumos_text_files(tmp_path, capsys):
    folder = tmp_path / "kit"
    for name, text in {
        "Diving_test.txt": f"{TEST}  3.0 4.5\nvideo_test_0000270 1 2\n",
        "Diving_val.txt": f"{OTHER} 1 2\n\n",
        "Ambiguous_test.txt": f"{TEST} 0.0 1.4\n",
        "detclasslist.txt": "22 Diving\n",
    }.items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    report = convert(folder, tmp_path / "out", layout="thumos14-annotations")
    assert (report.annotated, report.segments, report.ambiguous, report.labelled) == (3, 3, 1, 1)
    assert "video_test_0000270 (wrongly annotated)" in capsys.readouterr().err
    truth = read_annotations(tmp_path / "out" / "annotations.json")
    assert (truth.classes, truth.subsets) == (("Diving",), {"test": 2, "validation": 1})
    assert truth.videos[TEST] == VideoTruth("test", None, (Segment(3, 4.5, "Diving"),), (Segment(0, 1.4, "Ambiguous"),))
    assert read_labels(tmp_path / "out" / "labels.csv").tags == {OTHER: {"Diving"}}
    convert(folder, tmp_path / "less", layout="thumos14-annotations", exclude=["video_test_0000270"])
    assert set(read_annotations(tmp_path / "less" / "annotations.json").videos) == {TEST, OTHER}
    (folder / "Diving_val.txt").write_text(f"{OTHER} one 2\n")
    with pytest.raises(InputError, match=r"Diving_val\.txt, line 1: expected a start and an end in seconds, found one and 2"):
        convert(folder, tmp_path / "bad", layout="thumos14-annotations")
    (folder / "Diving_val.txt").write_text(f"{OTHER} 1\n")
    with pytest.raises(InputError, match=r"Diving_val\.txt, line 1: expected VIDEO START END"):
        convert(folder, tmp_path / "bad", layout="thumos14-annotations")
    (folder / "Diving_val.txt").write_text(f"{TEST} 1 2\n")
    with pytest.raises(InputError, match="is a video of the part 'validation' here, but of 'test' in another file"):
        convert(folder, tmp_path / "bad", layout="thumos14-annotations")


@pytest.mark.parametrize("layout", ["activitynet", "basnet"])
def test_a_file_of_truth_alone(tmp_path, layout):
    (tmp_path / "gt.json").write_text(json.dumps(STRING_TRUTH))
    report = convert(tmp_path / "gt.json", tmp_path / "out", layout=layout)
    assert (report.features, report.annotated, report.segments, report.labelled) == (0, 3, 4, 2)
    assert "segments in 3 videos" in report.text()


def test_validation_videos_are_only_trained_on_where_there_are_test_videos(tmp_path):
    truth = {v: VideoTruth(s, None, (Segment(0, 1, "run"),)) for v, s in (("a", "validation"), ("b", "testing"))}
    write_annotations(tmp_path / "t.json", truth, "1")
    assert convert(tmp_path / "t.json", tmp_path / "out", layout="activitynet").labelled == 0


def test_numbers_of_videos_begin_with_one(tmp_path):
    """With a 0.npy in place of the last, every video would get another one's name."""
    source = dgam(tmp_path / "dgam")
    for stream in ("rgb", "flow"):
        folder = source / "train_data" / f"{stream}_features"
        (folder / "2.npy").rename(folder / "0.npy")
    with pytest.raises(InputError, match=r"train_data: holds 0\.npy, but this layout counts its videos from 1"):
        convert(source, tmp_path / "out", layout="dgam")


def test_label_arrays_that_are_none(tmp_path):
    source = dgam(tmp_path / "dgam")
    labels = source / "train_data" / "train_labels.npy"
    for content in (b"", b"junk"):
        labels.write_bytes(content)
        with pytest.raises(InputError, match=r"train_labels\.npy: not a readable \.npy array"):
            convert(source, tmp_path / "out", layout="dgam")
    np.save(labels, np.array([["yes"] * 20] * 2))
    with pytest.raises(InputError, match="expected one row of numbers for each of 2 videos, found <U3"):
        convert(source, tmp_path / "out", layout="dgam")


def test_streams_side_by_side_are_as_wide_as_each_other(tmp_path):
    source = acmnet(tmp_path / "acmnet")
    save(source / "train" / f"{TRAIN}.npy", np.zeros((12, 7), dtype=np.float32))
    with pytest.raises(InputError, match=rf"{TRAIN}\.npy: expected both streams side by side, .* found 7 columns"):
        convert(source, tmp_path / "out", layout="acmnet")


def test_files_that_are_cut_off_or_damaged_are_left_out(tmp_path):
    source = acmnet(tmp_path / "acmnet")
    file = source / "train" / f"{TRAIN}.npy"
    file.write_bytes(file.read_bytes()[:-8])
    report = convert(source, tmp_path / "out", layout="acmnet")
    assert report.failures.keys() == {TRAIN}
    assert "it is cut off" in report.failures[TRAIN]

    source = cmcs(tmp_path / "cmcs")
    (file,) = source.rglob(f"{TRAIN}-rgb.npz")
    np.savez_compressed(file, feature=rows(TRAIN, "rgb")[None])
    content = bytearray(file.read_bytes())
    content[60:80] = b"\xff" * 20
    file.write_bytes(bytes(content))
    report = convert(source, tmp_path / "other", layout="cmcs", fps=30, stride=4)
    assert report.failures.keys() == {TRAIN}
    assert "not a readable array" in report.failures[TRAIN]


@pytest.mark.parametrize("fps", ["fast", -30, float("nan"), float("inf"), [30]])
def test_a_rate_in_the_pack_that_is_none(tmp_path, fps):
    source = actionformer(tmp_path / "actionformer")
    file = source / "annotations" / "thumos14.json"
    content = json.loads(file.read_text())
    content["database"][TRAIN]["fps"] = fps
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"{TRAIN}: fps: expected frames a second, above 0, found"):
        convert(source, tmp_path / "out", layout="actionformer")
    assert not (tmp_path / "out").exists()


def test_faults(tmp_path):
    source = basnet(tmp_path / "basnet")
    out = tmp_path / "out"
    with pytest.raises(InputError, match="there is no such layout; did you mean 'basnet'"):
        convert(source, out, layout="bas-net")
    with pytest.raises(InputError, match="no such file or folder"):
        convert(tmp_path / "nowhere", out, layout="basnet")
    with pytest.raises(InputError, match=r"nothing in it that looks like the layout 'dgam'"):
        convert(source, out, layout="dgam")
    with pytest.raises(InputError, match=f"there is no such video .*did you mean '{TEST}'"):
        convert(source, out, layout="basnet", exclude=["video_test_000004"])
    with pytest.raises(InputError, match="`fps` 0: must be above 0"):
        convert(source, out, layout="basnet", fps=0)
    with pytest.raises(InputError, match=r"`exclude`: no video of .* is left"):
        convert(source, out, layout="basnet", exclude=[TRAIN, OTHER, TEST])
    with pytest.raises(InputError, match=r"gt\.json is not a folder"):
        convert(source, source / "gt.json" / "out", layout="basnet")
    assert not out.exists()
    convert(source, out, layout="basnet")
    with pytest.raises(InputError, match="exists already"):
        convert(source, out, layout="basnet")
    convert(source, out, layout="basnet", force=True)
    assert (tmp_path / "out.1" / "features.json").is_file()
    with pytest.raises(InputError, match="a converted pack, to which nothing can be added"):
        FeatureWriter(out, Header("x", {}, 1.0, 1.0, {"rgb": D}))
    shutil.rmtree(source)
    with pytest.raises(InputError, match=r"the pack that it reads, .*, is not there; convert it again"):
        FeatureStore(out).load(TRAIN)


def test_the_layouts_are_those_of_the_page():
    page = (Path(__file__).resolve().parents[2] / "docs" / "own-features.md").read_text(encoding="utf-8")
    for name in LAYOUTS:
        assert f"| `{name}` |" in page


def test_a_run_on_a_pack_is_the_run_on_a_store(tmp_path):
    """What comes of features in a pack and of the same rows in an ordinary store is the same, from training to detections."""
    made("acmnet", tmp_path)
    pack = FeatureStore(tmp_path / "out")
    writer = FeatureWriter(tmp_path / "store", pack.header)
    for video, entry in pack.videos.items():
        writer.write(video, pack.load(video), replace(entry, source=None))
    writer.compact()
    brief = parse_assignments(["epochs=2", "batch=2", "hidden=8", "latent=4", "data.snippets=8"])
    results = []
    for features in (tmp_path / "out", tmp_path / "store"):
        run = tmp_path / f"run-{features.name}"
        train("dgam", features=features, labels=tmp_path / "out" / "labels.csv", out=run, settings=brief)
        localize(run, features=features, out=tmp_path / f"{features.name}.json")
        results.append(read_detections(tmp_path / f"{features.name}.json").results)
    assert results[0] == results[1]
    assert set(results[0]) == set(LENGTHS)

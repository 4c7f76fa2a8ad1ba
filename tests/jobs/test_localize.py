"""`localize`: a run and features, videos, or stored activations, to detections."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.methods.planted import Planted, plant
from tests.video.films import film, moving_blocks, steady
from untrimmed.data.activations import find_activations, read_activations
from untrimmed.data.annotations import VideoTruth, read_detections, write_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore, FeatureWriter
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train

BRIEF = {"epochs": 6, "batch": 8, "hidden": 8, "latent": 4, "learning_rate": 0.01, "data": {"snippets": 12}}


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    planted = plant(tmp_path_factory.mktemp("planted"), train=12, test=4, length=(12, 16))
    train("dgam", features=planted.features, labels=planted.labels, out=planted.folder / "run", settings=BRIEF)
    return planted


@pytest.fixture(scope="module")
def run(planted):
    return planted.folder / "run"


def files_of(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file() and f.name != ".lock"}


def refused(words, folder, source, out, **more):
    """The one line that a call ends with; what is in the folder stays as it was."""
    before = files_of(folder)
    with pytest.raises(InputError) as fault:
        localize(source, out=out, **more)
    assert words in str(fault.value), str(fault.value)
    assert "\n" not in str(fault.value)
    assert files_of(folder) == before


def test_detections_and_activations_of_every_video(planted, run, tmp_path):
    out = tmp_path / "made" / "detections.json"
    done = localize(run, features=planted.features, out=out)
    assert done.failures == {}
    written = read_detections(out)
    assert list(done.results) == list(planted.store.videos)
    assert {v: [d[:3] for d in found] for v, found in written.results.items()} == {
        v: [d[:3] for d in found] for v, found in done.results.items()
    }
    assert written.untrimmed == {"run": "run", "method": "dgam", "selection": "last"}
    activations, about = read_activations(tmp_path / "made" / "detections.activations")
    assert [a.video for a in activations] == list(planted.store.videos)
    assert about["localization"]["nms"] == 0.5
    for activation in activations:
        timeline = planted.store.timeline(activation.video)
        assert activation.timeline == timeline
        assert set(activation.streams) == {"rgb", "flow"}
        assert activation.streams["rgb"].attention.shape == (timeline.count,)
        assert all(0 <= d.start < d.end <= timeline.duration for d in done.results[activation.video])
    assert sorted(f.name for f in out.parent.iterdir()) == ["detections.activations", "detections.json"]


def test_no_activations(planted, run, tmp_path):
    localize(run, features=planted.features, out=tmp_path / "d.json", activations=False)
    assert [f.name for f in tmp_path.iterdir()] == ["d.json"]


def test_stored_activations_are_cut_again_without_model_and_features(planted, run, tmp_path):
    settings = {"thresholds": [0.2], "flow": {"thresholds": [0.3]}, "class_threshold": 0.2, "relative_to": "max"}
    localize(run, features=planted.features, out=tmp_path / "first.json", settings=settings)
    stored = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "first.activations", stored)
    localize(stored, out=tmp_path / "again.json")  # as they were cut
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "first.json").read_bytes()

    other = {"thresholds": [0.8], "nms": 0.2, "flow": {"thresholds": [0.5]}}
    localize(run, features=planted.features, out=tmp_path / "direct.json", settings=settings | other)
    localize(stored, out=tmp_path / "recut.json", settings={"localization": other})
    assert (tmp_path / "recut.json").read_bytes() == (tmp_path / "direct.json").read_bytes()
    assert (tmp_path / "recut.json").read_bytes() != (tmp_path / "first.json").read_bytes()


def test_activations_cut_again_into_their_own_detections(planted, run, tmp_path):
    localize(run, features=planted.features, out=tmp_path / "d.json")
    before = files_of(tmp_path / "d.activations")
    localize(tmp_path / "d.activations", out=tmp_path / "d.json", settings={"nms": 0.1})
    assert files_of(tmp_path / "d.activations") == before
    assert sorted(f.name for f in tmp_path.iterdir()) == ["d.activations", "d.json"]


def test_a_second_call_replaces_detections_and_their_activations(planted, run, tmp_path):
    localize(run, features=planted.features, out=tmp_path / "d.json")
    localize(run, features=planted.features, out=tmp_path / "d.json", settings={"nms": 0.1})
    assert read_activations(tmp_path / "d.activations")[1]["localization"]["nms"] == 0.1
    localize(run, features=planted.features, out=tmp_path / "d.json", activations=False)
    assert [f.name for f in tmp_path.iterdir()] == ["d.json"]


def test_a_folder_of_other_things_in_the_activations_place_is_kept(planted, run, tmp_path):
    (tmp_path / "d.activations").mkdir()
    (tmp_path / "d.activations" / "diary.txt").write_text("mine")
    localize(run, features=planted.features, out=tmp_path / "d.json")
    assert (tmp_path / "d.activations.1" / "diary.txt").read_text() == "mine"
    assert (tmp_path / "d.activations" / "activations.json").exists()


def test_a_subset(planted, run, tmp_path, capsys):
    truth = planted.truth | {"absent": VideoTruth("test", 9.0, ())}
    write_annotations(tmp_path / "truth.json", truth, "x")
    chosen = {"subset_from": tmp_path / "truth.json", "subset": "test"}
    done = localize(run, features=planted.features, out=tmp_path / "d.json", **chosen)
    assert set(done.results) == set(planted.subset("test"))
    assert "1 video(s) of the subset have no features, such as 'absent'" in capsys.readouterr().err
    localize(run, features=planted.features, out=tmp_path / "all.json")
    again = localize(tmp_path / "all.activations", out=tmp_path / "again.json", **chosen)
    assert again.results == done.results


def test_settings_of_the_run_are_kept_and_overridden(planted, tmp_path):
    own = BRIEF | {"localization": {"class_threshold": 0.01, "nms": 0.3}}
    train("dgam", features=planted.features, labels=planted.labels, out=tmp_path / "run", settings=own)
    localize(tmp_path / "run", features=planted.features, out=tmp_path / "d.json", settings={"localization": {"nms": 0.2}})
    kept = read_activations(tmp_path / "d.activations")[1]["localization"]
    assert (kept["class_threshold"], kept["nms"]) == (0.01, 0.2)


def test_where_no_class_is_looked_for_what_would_be_is_told(planted, run, tmp_path):
    out = tmp_path / "d.json"
    none = localize(run, features=planted.features, out=out, settings={"class_threshold": 0.999, "always_best": False})
    assert not any(none.results.values())
    (warning,) = (line for line in none.text().splitlines() if line.startswith("warning"))
    assert "above localization.class_threshold=0.999" in warning
    threshold = float(warning.rpartition("=")[2])
    some = localize(run, features=planted.features, out=out, settings={"class_threshold": threshold, "always_best": False})
    assert any(some.results.values())
    assert "class_threshold" not in some.text()


def test_long_videos_are_thinned_out_and_short_ones_stretched(planted, run, tmp_path):
    for data, count in (({"test_most": 5}, 5), ({"test_least": 40}, 40)):
        localize(run, features=planted.features, out=tmp_path / "d.json", settings={"data": data})
        for activation in read_activations(tmp_path / "d.activations")[0]:
            there = planted.store.timeline(activation.video)
            assert activation.timeline.count == count
            assert activation.timeline.edges[-1] == pytest.approx(there.edges[-1])  # the same time, in other steps


def remade(planted, folder, change):
    """The store with another header."""
    header = replace(planted.store.header, **change)
    writer = FeatureWriter(folder, header)
    rng = np.random.default_rng(0)
    for video, entry in list(planted.store.videos.items())[:3]:
        rows = {stream: rng.random((entry.snippets, width), np.float32) for stream, width in header.streams.items()}
        writer.write(video, rows, entry)
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stride_seconds": 0.5}, "stride_seconds: 1.0 then, 0.5 now"),
        ({"window_seconds": 2.0}, "window_seconds: 1.0 then, 2.0 now"),
        ({"extractor": "i3d"}, "extractor: planted then, i3d now"),
        ({"streams": {"rgb": 24}}, "streams: {'rgb': 24, 'flow': 20} then, {'rgb': 24} now"),
        ({"streams": {"rgb": 24, "flow": 21}}, "'flow': 21} now"),
        ({"settings": {"fps": 12}}, "fps: None then, 12 now"),
    ],
)
def test_features_made_otherwise_than_the_run_s(change, words, planted, run, tmp_path):
    other = remade(planted, tmp_path / "other", change)
    refused("the features differ from those", tmp_path, run, tmp_path / "d.json", features=other)
    refused(words, tmp_path, run, tmp_path / "d.json", features=other)


def test_the_order_of_the_streams_does_not_matter(planted, run, tmp_path):
    other = remade(planted, tmp_path / "other", {"streams": {"flow": 20, "rgb": 24}})
    assert len(localize(run, features=other, out=tmp_path / "d.json").results) == 3


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "give videos or features to localize"),
        ({"features": "nowhere"}, "nowhere: no such folder of features"),
        ({"settings": {"nsm": 0.5}}, "localization: unknown name 'nsm'; did you mean 'nms'"),
        ({"settings": {"method": {"epochs": 3}}}, "cannot be changed when it localizes"),
        ({"settings": {"data": 3}}, "names a group of settings"),
        ({"settings": {"flwo": {"smooth": 1.0}}}, "localization: stream: unknown name 'flwo'; did you mean 'flow'"),
        ({"settings": {"flow": {"nms": 0.1}}}, "localization.flow.nms: holds for all streams alike"),
        ({"subset": "test"}, "`subset_from` and `subset` go together"),
        ({"device": "tpu"}, "`device` tpu"),
    ],
)
def test_arguments_that_are_wrong(more, words, planted, run, tmp_path):
    more = {"features": planted.features} | more if more else more
    refused(words, tmp_path, run, tmp_path / "d.json", **more)


def test_an_unknown_subset_lists_those_there_are(planted, run, tmp_path):
    more = {"features": planted.features, "subset_from": planted.annotations, "subset": "tset"}
    refused("there is test (4 videos), train (12 videos)", tmp_path, run, tmp_path / "d.json", **more)


def test_sources_that_are_none(planted, tmp_path):
    refused("no such run or folder of activations", tmp_path, tmp_path / "nowhere", tmp_path / "d.json")
    (tmp_path / "empty").mkdir()
    refused("holds no finished model", tmp_path, tmp_path / "empty", tmp_path / "d.json", features=planted.features)
    film(tmp_path / "videos" / "a.mp4", steady(1), draw=moving_blocks)
    refused("holds no finished model", tmp_path, tmp_path / "empty", tmp_path / "d.json", paths=[tmp_path / "videos"])


def test_stored_activations_take_no_features(planted, run, tmp_path):
    localize(run, features=planted.features, out=tmp_path / "d.json")
    stored = tmp_path / "d.activations"
    refused("cut again as they are", tmp_path, stored, tmp_path / "e.json", features=planted.features)
    refused("localize the run again", tmp_path, stored, tmp_path / "e.json", settings={"data": {"test_most": 3}})
    refused("unknown name 'audio'", tmp_path, stored, tmp_path / "e.json", settings={"audio": {"smooth": 1.0}})


@pytest.mark.parametrize("damage", ["head", "arrays", "missing", "config"])
def test_what_is_damaged(damage, planted, run, tmp_path):
    localize(run, features=planted.features, out=tmp_path / "d.json")
    stored = tmp_path / "d.activations"
    if damage == "head":
        (stored / "activations.json").write_bytes((stored / "activations.json").read_bytes()[:-40])
        refused("the file seems cut off", tmp_path, stored, tmp_path / "e.json")
    elif damage == "arrays":
        (stored / "test000.safetensors").write_bytes(b"abc")
        refused("not a readable safetensors file", tmp_path, stored, tmp_path / "e.json")
    elif damage == "missing":
        (stored / "test000.safetensors").unlink()
        refused("no such file, though activations.json lists 'test000'", tmp_path, stored, tmp_path / "e.json")
    else:
        shutil.copytree(run, tmp_path / "run")
        (tmp_path / "run" / "config.yaml").write_text("method: [")
        refused(
            "config.yaml: not usable YAML at line 1", tmp_path, tmp_path / "run", tmp_path / "e.json", features=planted.features
        )


def test_places_that_cannot_be_written(planted, run, tmp_path):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    features = {"features": planted.features}
    refused("is not a folder", tmp_path, run, tmp_path / "file" / "d.json", **features)
    refused("it is a folder; give the name of a file", tmp_path, run, tmp_path / "folder", **features)
    refused("is not a folder", tmp_path, run, tmp_path / "d.json", report=tmp_path / "file" / "r.html", **features)


# From videos ------------------------------------------------------------------------------------------------------------------


def still(_, width, height):
    return np.full((height, width, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def from_videos(tmp_path_factory):
    """A run that was trained from a folder of videos, one of which is none."""
    folder = tmp_path_factory.mktemp("videos")
    for name, draw in (("moving1", moving_blocks), ("moving2", moving_blocks), ("still", still)):
        film(folder / "train" / f"{name}.mp4", steady(2.5), draw=draw)
    (folder / "train" / "broken.mp4").write_bytes(b"no video")
    (folder / "labels.csv").write_text("video,label\nmoving1,move\nmoving2.mp4,move\nstill,\nbroken,move\n")
    done = train("dgam", videos=folder / "train", labels=folder / "labels.csv", out=folder / "run", settings=BRIEF | {"epochs": 2})
    return folder, done


def test_train_from_videos_leaves_out_what_cannot_be_read(from_videos):
    folder, done = from_videos
    assert list(done.failures) == ["broken"]
    assert list(FeatureStore(folder / "run" / "features").videos) == ["moving1", "moving2", "still"]
    made = json.loads((folder / "run" / "environment.json").read_text())
    assert made["training_videos"] == ["moving1", "moving2", "still"]
    assert (folder / "run" / "model" / "model.json").exists()


def test_localize_videos_with_a_page(from_videos, tmp_path):
    folder, _ = from_videos
    film(tmp_path / "new" / "unseen.mp4", steady(2.5), draw=moving_blocks)
    (tmp_path / "new" / "none.mp4").write_bytes(b"")
    done = localize(folder / "run", paths=[tmp_path / "new"], out=tmp_path / "d.json", report=tmp_path / "report.html")
    assert list(done.results) == ["unseen"]  # only what was asked for, though the run's cache holds more
    assert list(done.failures) == ["none"]
    assert list(json.loads((tmp_path / "d.failures.json").read_text())) == ["none"]
    store = FeatureStore(folder / "run" / "features")
    assert set(store.videos) == {"moving1", "moving2", "still", "unseen"}
    made = json.loads((folder / "run" / "environment.json").read_text())["extractor"]
    assert (store.header.extractor, store.header.settings) == (made["name"], made["settings"])
    page = (tmp_path / "report.html").read_text()
    assert "unseen" in page
    assert "new/unseen.mp4" in page


def test_train_again_from_videos_extracts_nothing_twice(from_videos, capsys):
    folder, _ = from_videos
    settings = BRIEF | {"epochs": 2}
    train("dgam", videos=folder / "train", labels=folder / "labels.csv", out=folder / "run", settings=settings, resume=True)
    notes = capsys.readouterr().err
    assert "are extracted already and unchanged" in notes
    assert "already finished" in notes


def test_detections_below_a_score_are_left_out_and_clusters_get_names(planted, run, tmp_path):
    every = localize(run, features=planted.features, out=tmp_path / "all.json").results
    scores = sorted(d.score for found in every.values() for d in found)
    least = scores[len(scores) // 2]
    (tmp_path / "names.csv").write_text("cluster,name\nact00,waving\nact01,\n")
    kept = localize(tmp_path / "all.activations", out=tmp_path / "kept.json", min_score=least, names=tmp_path / "names.csv").results
    assert list(kept) == list(every)
    assert sum(map(len, kept.values())) == sum(score >= least for score in scores) < len(scores)
    for video, found in every.items():
        assert kept[video] == [d._replace(label="waving" if d.label == "act00" else d.label) for d in found if d.score >= least]
    assert "waving" not in read_activations(tmp_path / "kept.activations")[0][0].classes
    (tmp_path / "names.csv").write_text("cluster,name\nact00,none\nact01,waving\n")
    kept = localize(tmp_path / "all.activations", out=tmp_path / "some.json", names=tmp_path / "names.csv").results
    assert {d.label for found in every.values() for d in found} == {"act00", "act01", "act02"}
    assert {d.label for found in kept.values() for d in found} == {"waving", "act02"}  # nothing happens in what is called none
    (tmp_path / "names.csv").write_text("cluster,name\ncluster_99,waving\n")
    refused(
        "has no cluster 'cluster_99'", tmp_path, run, tmp_path / "x.json", features=planted.features, names=tmp_path / "names.csv"
    )
    refused("`min_score`", tmp_path, run, tmp_path / "x.json", features=planted.features, min_score=float("nan"))


def test_a_file_that_is_not_ours_is_refused_before_any_work(planted, run, tmp_path):
    (tmp_path / "labels.csv").write_text("video,label\na,b\n")
    localize(run, features=planted.features, out=tmp_path / "d.json")
    words = "exists already and is not"
    refused(words, tmp_path, run, tmp_path / "labels.csv", features=planted.features)
    refused(words, tmp_path, run, tmp_path / "new.json", features=planted.features, report=tmp_path / "labels.csv")
    refused(words, tmp_path, run, tmp_path / "new.json", features=planted.features, report=tmp_path / "d.json")
    refused("name two files", tmp_path, run, tmp_path / "new.html", features=planted.features, report=tmp_path / "new.html")
    localize(run, features=planted.features, out=tmp_path / "labels.csv", report=tmp_path / "d.json", force=True)
    assert (tmp_path / "labels.csv.1").read_text() == "video,label\na,b\n"
    assert "results" in json.loads((tmp_path / "d.json.1").read_text())
    assert read_detections(tmp_path / "labels.csv").untrimmed["run"] == "run"


def test_a_failures_json_beside_it_is_the_users(from_videos, tmp_path):
    folder, _ = from_videos
    film(tmp_path / "new" / "unseen.mp4", steady(2.5), draw=moving_blocks)
    (tmp_path / "failures.json").write_text('{"mine": "kept"}')
    for broken in (True, False):
        (tmp_path / "new" / "none.mp4").write_bytes(b"") if broken else (tmp_path / "new" / "none.mp4").unlink()
        localize(folder / "run", paths=[tmp_path / "new"], out=tmp_path / "n.json")
        assert (tmp_path / "n.failures.json").exists() == broken
        localize(folder / "run", paths=[tmp_path / "new"], out=tmp_path / "own" / "failures.json")
        assert list(read_detections(tmp_path / "own" / "failures.json").results) == ["unseen"]
    assert json.loads((tmp_path / "failures.json").read_text()) == {"mine": "kept"}
    (tmp_path / "n.failures.json").write_text("[1]")
    refused("n.failures.json: exists already", tmp_path, folder / "run", tmp_path / "n.json", paths=[tmp_path / "new"])


def test_names_with_dots_share_no_activations(planted, run, tmp_path):
    for name in ("det-v1.0", "det-v1.1"):
        localize(run, features=planted.features, out=tmp_path / name)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["det-v1.0", "det-v1.0.activations", "det-v1.1", "det-v1.1.activations"]
    assert find_activations(tmp_path / "det-v1.0") == tmp_path / "det-v1.0.activations"
    (tmp_path / "det-v1.0.activations").rename(tmp_path / "det-v1.activations")  # as an earlier version named it
    assert find_activations(tmp_path / "det-v1.0") == tmp_path / "det-v1.activations"
    other = json.loads((tmp_path / "det-v1.0").read_text())
    (tmp_path / "det-v1.0").write_text(json.dumps(other | {"untrimmed": {**other["untrimmed"], "run": "another"}}))
    assert find_activations(tmp_path / "det-v1.0") is None  # of another run, not to be drawn
    localize(run, features=planted.features, out=tmp_path / "det")
    refused("would take the place of those of", tmp_path, run, tmp_path / "det.json", features=planted.features)


def test_two_that_write_to_one_file_leave_the_whole_of_one(planted, run, tmp_path):
    """Each of two processes writes its own detections with its own activations, over and over; a third one only looks."""
    program = (
        "import sys; from untrimmed.jobs.localize import localize\n"
        f"for _ in range(12): localize({str(run)!r}, features={str(planted.features)!r}, out=sys.argv[1], "
        "settings={'nms': float(sys.argv[2])})"
    )
    both = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "d.json"), nms]) for nms in ("0.1", "0.9")]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    activations, about = read_activations(tmp_path / "d.activations")
    again = localize(tmp_path / "d.activations", out=tmp_path / "again" / "d.json").results
    assert again == read_detections(tmp_path / "d.json").results, about["localization"]
    assert len(activations) == len(planted.store.videos)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["again", "d.activations", "d.json"]

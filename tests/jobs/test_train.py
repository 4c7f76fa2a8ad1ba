"""`train`: from a store and tags to a run folder, or one clear line and nothing lost."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from tests.methods.planted import Planted, plant
from untrimmed.data.errors import InputError
from untrimmed.data.labels import read_labels, write_labels
from untrimmed.data.store import FeatureStore, FeatureWriter, Header, VideoEntry
from untrimmed.jobs.train import train
from untrimmed.methods.base import resolve
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.supervision import trimmed_set, unlabelled_set
from untrimmed.training import Run
from untrimmed.video.extraction import header_for

BRIEF = {"epochs": 2, "batch": 8, "hidden": 8, "latent": 4, "data": {"snippets": 8}}


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"), train=12, test=3, length=(10, 14))


def files_of(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file() and f.name != ".lock"}


def train_on(planted, out, **more):
    more = {"features": planted.features, "labels": planted.labels, "settings": BRIEF} | more
    return train("dgam", out=out, **more)


def environment(run):
    return json.loads((run / "environment.json").read_text())


def refused(words, planted, out, **more):
    """The one line that a call ends with, which leaves no run behind."""
    before = files_of(planted.folder)
    with pytest.raises(InputError) as fault:
        train_on(planted, out, **more)
    assert words in str(fault.value), str(fault.value)
    assert "\n" not in str(fault.value)
    assert files_of(planted.folder) == before
    assert not out.exists()


def test_a_run_holds_all_that_its_result_depends_on(planted, tmp_path):
    done = train_on(planted, tmp_path / "run", seed=3)
    assert (done.run, done.failures) == (tmp_path / "run", {})
    config = yaml.safe_load((done.run / "config.yaml").read_text())
    assert (config["method_name"], config["preset"], config["seed"]) == ("dgam", "default", 3)
    assert config["method"]["epochs"] == 2
    assert config["method"]["ema_decay"] == 0.95  # of the preset
    assert config["method"]["learning_rate"] == 0.001  # nowhere given: every resolved value is there
    assert config["data"]["snippets"] == 8
    assert config["localization"]["nms"] == 0.5
    made = environment(done.run)
    assert made["training_videos"] == sorted(planted.subset("train"))
    assert made["classes"] == list(planted.classes)
    assert (made["selection"], made["seed"], made["device"]) == ("last", 3, "cpu")
    assert made["extractor"] == {"name": "planted", "settings": {}, "window_seconds": 1.0} | {
        "stride_seconds": 1.0,
        "weights_sha256": None,
    }
    assert {"torch", "numpy", "python", "untrimmed"} <= set(made["versions"])
    logged = [json.loads(line) for line in (done.run / "metrics.jsonl").read_text().splitlines()]
    assert [("rgb" in line, "flow" in line) for line in logged] == [(True, False)] * 2 + [(False, True)] * 2
    assert {"fg", "bg", "guide", "re", "total", "cvae_kl", "cvae_mse"} <= set(logged[0])
    assert {f.name for f in (done.run / "model").iterdir()} == {"weights.safetensors", "model.json"}


def test_the_data_are_known_by_what_they_hold(planted, tmp_path):
    def sha(name, **more):
        return environment(train_on(planted, tmp_path / name, **more).run)["data"]["sha256"]

    copy = plant(tmp_path / "copy", train=12, test=3, length=(10, 14))
    other = plant(tmp_path / "other", train=12, test=3, length=(10, 14), seed=1)
    write_labels(tmp_path / "labels.csv", [(f"train{n:03}", "act00") for n in range(12)])
    first = sha("a")
    assert sha("b", features=copy.features, labels=copy.labels) == first
    assert sha("c", features=other.features, labels=other.labels) != first
    assert sha("d", labels=tmp_path / "labels.csv") != first


def test_videos_without_a_row_are_not_trained_on(planted, tmp_path, capsys):
    run = train_on(planted, tmp_path / "run").run
    assert not set(environment(run)["training_videos"]) & set(planted.subset("test"))
    assert "3 video(s) with features have no row" in capsys.readouterr().err


def test_what_makes_learning_hard_is_said(planted, tmp_path, capsys):
    write_labels(tmp_path / "labels.csv", [(f"train{n:03}", "act00") for n in range(6)] + [("train000", "act01")])
    train_on(planted, tmp_path / "run", labels=tmp_path / "labels.csv")
    notes = capsys.readouterr().err
    assert "warning: the label 'act01' is on 1 video(s)" in notes
    assert "warning: the label 'act00' is on every video" in notes


def test_only_restricts_the_videos_and_not_the_classes(planted, tmp_path):
    (tmp_path / "only.csv").write_text("video;why\ntrain000.mp4;empty\ntrain004;\ntrain005;\ntest000;no row in the labels\n")
    made = environment(train_on(planted, tmp_path / "run", only=tmp_path / "only.csv").run)
    assert made["training_videos"] == ["train000", "train004", "train005"]
    assert made["classes"] == list(planted.classes)


def test_only_of_videos_without_labels(planted, tmp_path):
    (tmp_path / "only.csv").write_text("video\ntest000\n")
    refused("none of its videos has both features and a row", planted, tmp_path / "run", only=tmp_path / "only.csv")
    (tmp_path / "only.csv").write_text("video\ntrain0000\n")
    refused("there is no video 'train0000' among the features", planted, tmp_path / "run", only=tmp_path / "only.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("video,label\ntrain001,act00\nnowhere,act00\n", "labels.csv, line 3: there is no video 'nowhere'"),
        ("video,label\ntrain001,act00\ntrain001,\n", "has an empty label"),
        ("video,label\ntrain001,act00\ntrain001,act00\n", "stands already in line 2"),
        ("video,label\ntrain001,?\n", "still hold '?'"),
        ("video,label\ntrain001,\ntrain002,\n", "every label is empty"),
        ("video,label\n", "no row with a video"),
        ("", "empty; its first line should be: video,label"),
        ("name,tag\na,b\n", "no column 'video'"),
    ],
)
def test_labels_that_are_wrong(text, words, planted, tmp_path):
    (tmp_path / "labels.csv").write_text(text)
    refused(words, planted, tmp_path / "run", labels=tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"labels": None}, "dgam learns from labels; give `labels`"),
        ({"unlabelled": True}, "`labels` and `unlabelled`: give one of the two"),
        ({"unlabelled": True, "labels": None}, "dgam cannot learn without labels"),
        ({"clusters": 3}, "`clusters`: goes with `unlabelled`"),
        ({"trimmed": "clips"}, "`trimmed` and `trimmed_labels` go together"),
        ({"trimmed": "clips", "trimmed_labels": "clips.csv"}, "dgam does not learn from trimmed clips"),
        ({"features": None}, "give either `features` DIR or `videos` DIR"),
        ({"features": "nowhere"}, "nowhere: no such folder of features"),
        ({"preset": "thumos"}, "did you mean 'thumos14'?"),
        ({"settings": {"epoch": 1}}, "did you mean 'epochs'?"),
        ({"settings": {"method": 3}}, "method: names a group of settings"),
        ({"settings": {"flwo": {"kl": 1.0}}}, "method: stream: unknown name 'flwo'; did you mean 'flow'?"),
        ({"settings": {"localization": {"audio": {"smooth": 1.0}}}}, "localization: stream: unknown name 'audio'"),
        ({"device": "gpu"}, "`device` gpu"),
        ({"device": "meta"}, "`device` meta: use cpu or cuda"),
        ({"resume": True}, "there is no run to resume"),
    ],
)
def test_arguments_that_are_wrong(more, words, planted, tmp_path):
    refused(words, planted, tmp_path / "run", **more)


@pytest.mark.parametrize("damage", ["nan", "width", "no rows", "missing", "cut"])
def test_features_that_are_damaged(damage, tmp_path):
    planted = plant(tmp_path / "planted", train=8, test=0, length=(6, 8))
    file = planted.features / "flow" / "train005.npy"
    rows = np.load(file)
    if damage == "nan":
        rows[2, 3] = np.nan
        np.save(file, rows)
    elif damage == "width":
        np.save(file, rows[:, :5])
    elif damage == "no rows":
        np.save(file, rows[:0])
    elif damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:200])
    words = {
        "nan": "row 2 has a value that is not finite",
        "width": "5 columns, but the store's stream 'flow' has 20",
        "no rows": "'train005' has no rows",
        "missing": "no such file",
        "cut": "not a readable .npy array",
    }
    refused(words[damage], planted, tmp_path / "run")


def test_a_preset_for_two_streams_serves_a_store_with_one(tmp_path):
    planted = plant(tmp_path, train=8, test=0, streams={"rgb": 8}, length=(6, 8))
    run = train_on(planted, tmp_path / "run", preset="thumos14").run
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert set(config["method"]["streams"]) == set(config["localization"]["streams"]) == {"rgb"}


def test_an_existing_run_is_kept(planted, tmp_path):
    run = train_on(planted, tmp_path / "run").run
    before = files_of(run)
    with pytest.raises(InputError, match="already exists; `resume` continues it, `force` renames it first"):
        train_on(planted, run)
    assert files_of(run) == before
    train_on(planted, run, seed=1, force=True)
    assert files_of(tmp_path / "run.1") == before
    assert files_of(run)["model/weights.safetensors"] != before["model/weights.safetensors"]


def test_a_finished_run_is_resumed_by_doing_nothing(planted, tmp_path, capsys):
    run = train_on(planted, tmp_path / "run").run
    before = files_of(run)
    train_on(planted, run, resume=True)
    assert "already finished" in capsys.readouterr().err
    assert files_of(run) == before


def _interrupted(self, **values):
    raise KeyboardInterrupt


def test_a_run_of_an_earlier_version_is_resumed_under_the_old_names_of_settings(planted, tmp_path, monkeypatch):
    train_on(planted, tmp_path / "whole", settings=BRIEF | {"average": 0.5})
    assert yaml.safe_load((tmp_path / "whole" / "config.yaml").read_text())["method"]["ema_decay"] == 0.5
    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_on(planted, tmp_path / "run", settings=BRIEF | {"average": 0.5})
    file = tmp_path / "run" / "config.yaml"
    file.write_text(file.read_text().replace("ema_decay:", "average:"))
    train_on(planted, tmp_path / "run", settings=BRIEF | {"ema_decay": 0.5}, resume=True)
    assert "ema_decay: 0.5" in file.read_text()
    weights = [(tmp_path / name / "model" / "weights.safetensors").read_bytes() for name in ("whole", "run")]
    assert weights[0] == weights[1]
    model = tmp_path / "run" / "model" / "model.json"
    model.write_text(model.read_text().replace('"ema_decay"', '"average"'))
    file.write_text(file.read_text().replace("ema_decay:", "average:"))
    run = RunFolder(tmp_path / "run")
    assert run.method().config.ema_decay == run.settings(run.method()).method.ema_decay == 0.5


@pytest.mark.parametrize("finished", [True, False])
def test_resumed_with_other_settings_or_data(finished, planted, tmp_path):
    run = train_on(planted, tmp_path / "run").run
    if not finished:
        (run / "model" / "model.json").unlink()
    before = files_of(run)
    write_labels(tmp_path / "labels.csv", [(f"train{n:03}", "act00") for n in range(12)])
    for more, words in (
        ({"settings": BRIEF | {"epochs": 3}}, "method.epochs was 2, is now 3"),
        ({"seed": 5}, "seed was 0, is now 5"),
        ({"preset": "demo"}, "preset was default, is now demo"),
        ({"labels": tmp_path / "labels.csv"}, "cannot resume with other data"),
    ):
        with pytest.raises(InputError) as fault:
            train_on(planted, run, resume=True, **more)
        assert words in str(fault.value)
        assert files_of(run) == before


def test_a_run_that_was_stopped_goes_on(planted, tmp_path, monkeypatch):
    whole = files_of(train_on(planted, tmp_path / "whole").run)
    log, lines = Run.log, []

    def stop(self, **values):
        log(self, **values)
        lines.append(values)
        if len(lines) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", stop)
        with pytest.raises(KeyboardInterrupt):
            train_on(planted, tmp_path / "run")
    assert not (tmp_path / "run" / "model").exists()
    train_on(planted, tmp_path / "run", resume=True)
    resumed = files_of(tmp_path / "run")
    assert resumed["model/weights.safetensors"] == whole["model/weights.safetensors"]
    assert resumed["metrics.jsonl"] == whole["metrics.jsonl"]


def test_a_training_that_cannot_begin_leaves_no_run(tmp_path):
    """Two streams of one video of other lengths: found when the features are read, before the run is made."""
    planted = plant(tmp_path / "planted", train=8, test=0, length=(6, 8))
    store = FeatureStore(planted.features)
    writer = FeatureWriter(planted.features, store.header)
    rng = np.random.default_rng(0)
    uneven = {"rgb": rng.random((7, 24), np.float32), "flow": rng.random((4, 20), np.float32)}
    writer.write("train001", uneven, VideoEntry(7, 7.0))
    refused("differ by more than one row", planted, tmp_path / "run")


def test_only_videos_without_any_action_are_refused(planted, tmp_path):
    empty = [video for video in planted.subset("train") if not read_labels(planted.labels).tags[video]]
    assert empty
    (tmp_path / "only.csv").write_text("video\n" + "\n".join(empty) + "\n")
    refused("every label is empty for the videos in", planted, tmp_path / "run", only=tmp_path / "only.csv")


def test_any_changed_row_of_features_is_other_data(tmp_path):
    planted = plant(tmp_path / "planted", train=6, test=0, length=(10, 12))
    run = train_on(planted, tmp_path / "run").run
    (run / "model" / "model.json").unlink()
    file = next((planted.features / "rgb").glob("*.npy"))
    rows = np.load(file)
    rows[3] += 1
    np.save(file, rows)
    with pytest.raises(InputError, match="other data"):
        train_on(planted, run, resume=True)


def test_force_does_not_pull_a_folder_away_that_is_trained_in(planted, tmp_path):
    run = train_on(planted, tmp_path / "run").run
    with Run(run, yaml.safe_load((run / "config.yaml").read_text()), environment(run), seed=0, resume=True):
        with pytest.raises(InputError, match="another process is training in it"):
            train_on(planted, run, force=True)
    assert (run / "config.yaml").exists()


# Without labels, and with trimmed clips --------------------------------------------------------------------------------------


def test_an_unlabelled_set_has_the_names_of_clusters_for_classes(planted, tmp_path):
    store, chosen = FeatureStore(planted.features), resolve("dgam")
    data = unlabelled_set(store, None, 3, chosen.data)
    assert (data.videos, data.labels) == (tuple(sorted(store.videos)), None)
    assert data.classes == ("cluster_00", "cluster_01", "cluster_02")
    assert unlabelled_set(store, None, None, chosen.data).classes == ()
    (tmp_path / "only.csv").write_text("video\ntrain001\ntrain004\n")
    some = unlabelled_set(store, tmp_path / "only.csv", 2, chosen.data)
    assert some.videos == ("train001", "train004")
    assert some.fingerprint() != data.fingerprint()
    with pytest.raises(InputError, match="`clusters` 3: there are only 2 videos"):
        unlabelled_set(store, tmp_path / "only.csv", 3, chosen.data)
    with pytest.raises(InputError, match="`clusters` 0: there must be one at least"):
        unlabelled_set(store, None, 0, chosen.data)


def test_a_trimmed_set_has_classes_of_its_own(planted, tmp_path):
    store, chosen = FeatureStore(planted.features), resolve("dgam")
    data = unlabelled_set(store, None, 2, chosen.data)
    clips = tmp_path / "clips.csv"
    write_labels(clips, [("train001", "act01"), ("train002", "elsewhere"), ("train003", "act01")])
    said: list[str] = []
    some = trimmed_set(store, clips, replace(data, classes=("act00", "act01")), say=said.append)
    assert (some.videos, some.classes) == (("train001", "train002", "train003"), ("act01", "elsewhere"))
    assert some.labels.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert len(said) == 2
    assert "have no row" in said[0]
    assert said[1].startswith("warning: 3 trimmed clip(s) have the name of a video, such as 'train001'")
    trimmed_set(store, clips, data, say=said.append)
    assert "no class of the trimmed clips is one of" in said[-1]
    assert replace(data, trimmed=some).fingerprint() != data.fingerprint()


def test_trimmed_clips_of_another_timing_are_taken_with_a_warning(planted, tmp_path):
    store, chosen = FeatureStore(planted.features), resolve("dgam")
    writer = FeatureWriter(tmp_path / "clips", replace(store.header, stride_seconds=0.5))
    writer.write("clip", {stream: np.ones((4, width), np.float32) for stream, width in store.streams.items()}, VideoEntry(4, 4.0))
    write_labels(tmp_path / "clips.csv", [("clip", "act00")])
    said: list[str] = []
    data = replace(unlabelled_set(store, None, 2, chosen.data), classes=("act00",))
    assert len(trimmed_set(FeatureStore(tmp_path / "clips"), tmp_path / "clips.csv", data, say=said.append)) == 1
    assert said == [
        "warning: the trimmed clips' features were made otherwise than the videos' (stride_seconds: 1.0 there, 0.5 here)"
    ]


def test_trimmed_clips_of_another_width_are_refused(planted, tmp_path):
    writer = FeatureWriter(tmp_path / "clips", Header("planted", {}, 1.0, 1.0, {"rgb": 3}))
    writer.write("clip", {"rgb": np.ones((4, 3), np.float32)}, VideoEntry(4, 4.0))
    clips = tmp_path / "clips.csv"
    write_labels(clips, [("clip", "act00")])
    store, chosen = FeatureStore(planted.features), resolve("dgam")
    data = unlabelled_set(store, None, 2, chosen.data)
    with pytest.raises(InputError, match=r"the trimmed clips' streams are .* extract both with the same extractor"):
        trimmed_set(FeatureStore(tmp_path / "clips"), clips, data)
    write_labels(clips, [("train001", "")])
    with pytest.raises(InputError, match="a trimmed clip shows an action"):
        trimmed_set(store, clips, data)


@pytest.mark.parametrize("wrong", ["streams", "clip", "class", "init"])
def test_what_is_wrong_with_clips_classes_or_start_is_told_before_videos_are_extracted(wrong, planted, tmp_path, monkeypatch):
    def too_late(*_, **__):
        raise AssertionError("extracted")

    monkeypatch.setattr("untrimmed.jobs.train.extract", too_late)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "one.mp4").write_bytes(b"")
    write_labels(tmp_path / "labels.csv", [("one", "act00")])
    streams = {"rgb": 3} if wrong == "streams" else header_for("motion", None, "dis").streams
    writer = FeatureWriter(tmp_path / "clips", Header("motion", {}, 1.0, 1.0, streams))
    writer.write("clip", {name: np.ones((4, w), np.float32) for name, w in streams.items()}, VideoEntry(4, 4.0))
    write_labels(tmp_path / "clips.csv", [("other" if wrong == "clip" else "clip", "act00")])
    arguments = {
        "videos": tmp_path / "videos",
        "labels": tmp_path / "labels.csv",
        "trimmed": tmp_path / "clips",
        "trimmed_labels": tmp_path / "clips.csv",
        "classes": ["act01"] if wrong == "class" else ["act00"],
        "init": tmp_path if wrong == "init" else None,
    }
    words = {
        "streams": "extract both with the same extractor",
        "clip": "there is no video 'other'",
        "class": "unknown name 'act01'",
        "init": "holds no finished model",
    }
    with pytest.raises(InputError, match=words[wrong]):
        train("tsrnet", **arguments, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    if wrong == "init":  # nothing else is wrong
        with pytest.raises(AssertionError, match="extracted"):
            train("tsrnet", **{**arguments, "init": None}, out=tmp_path / "run")

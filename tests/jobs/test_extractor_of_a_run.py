"""A run remembers the extractor of its videos, and new ones are extracted by the same weights or not at all."""

import json
import shutil
import sys
from functools import partial

import pytest

from tests.video.films import film, moving_blocks, steady
from untrimmed import cli
from untrimmed.data.annotations import read_detections
from untrimmed.data.store import FeatureStore
from untrimmed.jobs.extract import extract

SETTINGS = ["--set", "extractor.fps=6", "--set", "extractor.flow=farneback"]
WEIGHED = """
import hashlib
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from untrimmed.data.errors import InputError
from untrimmed.data.settings import setting

@dataclass(frozen=True)
class Config:
    fps: float = setting(12.0, "frames per second")
    frames: int = setting(4, "frames in a snippet")
    stride: int = setting(4, "frames between snippets")
    weights: str = setting("", "a file of four numbers")

class Weighed:
    name, Config, needs_flow, streams = "weighed", Config, True, {"rgb": 4, "flow": 4}

    def __init__(self, config):
        self.config = config
        if not Path(config.weights).is_file():
            raise InputError(f"{config.weights}: there is no such file of weights")
        self.values = np.loadtxt(config.weights, dtype=np.float32)
        self.weights_sha256 = hashlib.sha256(Path(config.weights).read_bytes()).hexdigest()

    def frame_size(self, width, height):
        return 32, 24

    def __call__(self, frames, flow):
        light, moves = frames.mean((1, 2, 3, 4)) / 255, np.abs(flow).mean((1, 2, 3, 4))
        return {"rgb": light[:, None] * self.values, "flow": moves[:, None] * self.values}
"""
"""An extractor of another package, with weights in a file."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Films, tags, the extractor's weights in `weights.txt`, and the run `run`."""
    folder = tmp_path_factory.mktemp("extractor")
    for i in range(4):
        film(folder / "videos" / f"{i}.mp4", steady(4), width=64, height=48, draw=partial(moving_blocks, speed=i, seed=i))
    film(folder / "new" / "a.mp4", steady(4), width=64, height=48, draw=moving_blocks)
    (folder / "labels.csv").write_text("video,label\n0,\n1,run\n2,run\n3,run\n")
    (folder / "weights.txt").write_text("1 2 3 4")
    (folder / "site" / "weighed-1.dist-info").mkdir(parents=True)
    (folder / "site" / "weighed.py").write_text(WEIGHED)
    (folder / "site" / "weighed-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: weighed\nVersion: 1\n")
    (folder / "site" / "weighed-1.dist-info" / "entry_points.txt").write_text("[untrimmed.extractors]\nweighed = weighed:Weighed\n")
    words = ["--videos", str(folder / "videos"), "--labels", str(folder / "labels.csv"), "--out", str(folder / "run")]
    words += ["--extractor", "weighed", "--set", f"extractor.weights={folder / 'weights.txt'}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "site")
        with pytest.raises(SystemExit) as ended:
            cli.main(["train", "dgam", *words, *SETTINGS, "--set", "epochs=1"])
        assert ended.value.code == 0
        yield folder
    sys.modules.pop("weighed", None)


def localize(folder, *more):
    out = folder / "found.json"
    out.unlink(missing_ok=True)
    with pytest.raises(SystemExit) as ended:
        cli.main(["localize", str(folder / "run"), str(folder / "new"), "--out", str(out), *more])
    return int(ended.value.code or 0), out


def test_train_and_localize_by_two_commands(folder, tmp_path):
    made = json.loads((folder / "run" / "environment.json").read_text())["extractor"]
    assert made["name"] == "weighed"
    weights = str(folder / "weights.txt")
    assert made["settings"] == {"fps": 6, "frames": 4, "stride": 4, "weights": weights, "flow": "farneback"}
    assert len(made["weights_sha256"]) == 64
    code, out = localize(folder, "--report", str(folder / "page.html"))
    assert code == 0
    assert read_detections(out).results.keys() == {"a"}
    assert (folder / "page.html").exists()
    store = FeatureStore(folder / "run" / "features")
    assert store.streams == {"rgb": 4, "flow": 4}
    assert {"0", "a"} <= set(store.videos)
    assert store.header.weights_sha256 == made["weights_sha256"]


def test_weights_that_were_moved_or_changed(folder, capsys):
    here, moved = folder / "weights.txt", folder / "moved.txt"
    shutil.move(here, moved)
    try:
        assert localize(folder)[0] == 2
        assert "say where they are with --set extractor.NAME=PLACE" in capsys.readouterr().err
        code, out = localize(folder, "--set", f"extractor.weights={moved}")
        assert code == 0
        assert out.exists()
        assert localize(folder, "--set", f"extractor.weights={moved}", "--set", "extractor.fps=12")[0] == 2
        assert "only where the weights lie can be set" in capsys.readouterr().err

        moved.write_text("1 2 3 5")
        code, out = localize(folder, "--set", f"extractor.weights={moved}")
        assert code == 2
        assert "the extractor's weights are not those that it was trained with" in capsys.readouterr().err
        assert not out.exists()
        moved.write_text("1 2 3 4")
    finally:
        shutil.move(moved, here)


def test_a_file_of_the_same_name_gives_way_but_not_that_of_a_training_video(folder, tmp_path, capsys):
    """The run's store is a cache; its page links to the very files that were named, also where others have their names."""
    for place in ("monday", "tuesday"):
        (tmp_path / "week" / place).mkdir(parents=True)
        film(tmp_path / "week" / place / "match 1.mp4", steady(3), width=64, height=48, draw=moving_blocks)
    rows = {}
    for place in ("monday", "tuesday", "tuesday"):
        file = tmp_path / "week" / place / "match 1.mp4"
        words = [str(folder / "new"), "--report", str(tmp_path / "page.html")]
        with pytest.raises(SystemExit) as ended:
            cli.main(["localize", str(folder / "run"), str(file), *words, "--out", str(tmp_path / "found.json")])
        assert ended.value.code == 0
        assert f"week/{place}/match%201.mp4" in (tmp_path / "page.html").read_text()
        rows[place] = FeatureStore(folder / "run" / "features").videos["match 1"].source["path"]
        assert rows[place] == str(file)
    said = capsys.readouterr().err
    assert said.count("extracted anew") == 1
    assert "2 of 2 videos are extracted already" in said

    film(tmp_path / "1.mp4", steady(3), width=64, height=48, draw=moving_blocks)
    assert localize(folder, str(tmp_path / "1.mp4"))[0] == 2
    assert "two videos have the id '1'" in capsys.readouterr().err


def test_a_file_that_was_moved_is_linked_where_it_is_now(folder, tmp_path):
    film(tmp_path / "there" / "moved.mp4", steady(3), width=64, height=48, draw=moving_blocks)
    for place in ("there", "here"):
        if place == "here":
            (tmp_path / "there").rename(tmp_path / "here")
        code, _ = localize(folder, str(tmp_path / place / "moved.mp4"), "--report", str(tmp_path / "page.html"))
        assert code == 0
        assert f'"{place}/moved.mp4"' in (tmp_path / "page.html").read_text()


def test_a_run_that_does_not_know_how_its_features_were_made(folder, tmp_path, capsys):
    shutil.copytree(folder / "run", tmp_path / "run")
    about = json.loads((tmp_path / "run" / "environment.json").read_text())
    for made, said in (
        (None, "does not say how the features were made"),
        (about["extractor"] | {"name": "my-i3d"}, "give --features, not videos"),
        (
            about["extractor"] | {"stride_seconds": 9.0},
            "videos cannot be extracted as its training videos were (stride_seconds: 9.0",
        ),
    ):
        (tmp_path / "run" / "environment.json").write_text(json.dumps(about | {"extractor": made}))
        with pytest.raises(SystemExit) as ended:
            cli.main(["localize", str(tmp_path / "run"), str(folder / "new"), "--out", str(tmp_path / "found.json")])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "found.json").exists()


def test_features_of_other_weights_are_refused(folder, tmp_path, capsys):
    """A store's features too: by the hash, not by the place."""
    for name, text, code in (("same", "1 2 3 4", 0), ("other", "1 2 3 5", 2)):
        (tmp_path / f"{name}.txt").write_text(text)
        settings = {"fps": 6, "weights": str(tmp_path / f"{name}.txt")}
        extract(folder / "new", tmp_path / name, extractor="weighed", settings=settings, flow="farneback", workers=1)
        words = ["--features", str(tmp_path / name), "--out", str(tmp_path / f"{name}.json")]
        with pytest.raises(SystemExit) as ended:
            cli.main(["localize", str(folder / "run"), *words])
        assert ended.value.code == code
    assert "weights_sha256" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--features", "STORE", "--extractor", "motion"], "--extractor and its settings go with --videos"),
        (["--features", "STORE", "--set", "extractor.fps=12"], "--extractor and its settings go with --videos"),
        (["--videos", "VIDEOS", "--set", "extractor.fsp=12"], "did you mean 'fps'"),
        (["--videos", "VIDEOS", "--set", "extractor=motion"], "names a group of settings"),
        (["--videos", "VIDEOS", "--extractor", "i3d"], "i3d needs its weights"),
        (["--videos", "VIDEOS", "--download"], "has nothing to fetch"),
    ],
)
def test_faults_come_before_any_work(words, said, folder, tmp_path, capsys):
    places = {"STORE": str(folder / "run" / "features"), "VIDEOS": str(folder / "videos")}
    words = [places.get(word, word) for word in words]
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "dgam", *words, "--labels", str(folder / "labels.csv"), "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

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
    fps: float = setting(12.0, "pictures per second")
    frames: int = setting(4, "pictures in a snippet")
    stride: int = setting(4, "pictures between snippets")
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

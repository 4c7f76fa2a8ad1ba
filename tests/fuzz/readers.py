"""Every file that is read, and what reads it: one of them is changed, and the rest is whole."""

import contextlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from tests.methods.planted import plant
from untrimmed.data.activations import find_activations
from untrimmed.data.annotations import read_detections, scan_annotations, write_annotations
from untrimmed.data.clusters import read_clusters, read_names, write_clusters
from untrimmed.data.corrections import read_corrections
from untrimmed.data.labels import read_only, scan_labels
from untrimmed.data.settings import parse_assignments
from untrimmed.data.store import FeatureStore, FeatureWriter, VideoEntry
from untrimmed.evaluation.bootstrap import Matched
from untrimmed.experiments.read import read_experiment
from untrimmed.experiments.score_task import read_scores
from untrimmed.jobs.convert import convert
from untrimmed.jobs.export import export
from untrimmed.jobs.localize import localize
from untrimmed.jobs.report import report
from untrimmed.jobs.train import train
from untrimmed.jobs.validate import validate

SETTINGS = {"epochs": 2, "batch": 4, "data": {"snippets": 8}}


@dataclass(frozen=True)
class Reader:
    """The file that is changed, below the folder of the whole ones, and what is called with that folder."""

    file: str
    read: Callable[[Path], object]
    fresh: tuple[str, ...] = ()
    """What the call changes or needs, where each has a folder of its own."""


def make(folder: Path) -> None:
    """The whole files."""
    made = plant(folder, train=6, test=2, empty=1, length=(12, 14), streams={"rgb": 8, "flow": 6})
    FeatureWriter(made.features, made.store.header).write(
        "train000x",
        {s: np.ones((3, n), np.float32) for s, n in made.store.streams.items()},
        VideoEntry(3, 3.0, source={"path": "x"}),
    )
    train("wtalc", features=made.features, labels=made.labels, out=folder / "run", settings=SETTINGS)
    localize(folder / "run", features=made.features, out=folder / "d.json")
    write_annotations(folder / "marks.json", {v: t for v, t in made.truth.items() if t.subset == "train"}, "marks")
    write_clusters(folder / "clusters.csv", {"a": "cluster_00", "b": "cluster_01"})
    (folder / "names.csv").write_text("cluster,name\ncluster_00,run\n")
    (folder / "experiment.yaml").write_text(yaml.safe_dump(_experiment(folder)))
    (folder / "set.txt").write_text("localization.thresholds=[0.1, 0.2]")
    (folder / "scores").mkdir()
    (folder / "scores" / "scores.json").write_text('{"scores": {"activitynet": {"mAP@0.5": 0.5}}}')
    _make_matched(folder / "matched.npz")
    _make_packs(folder / "packs")


def _experiment(folder: Path) -> dict[str, object]:
    files = {"features": "features", "labels": "labels.csv", "annotations": "annotations.json"}
    data = {"planted": {name: str(folder / file) for name, file in files.items()} | {"subset": "test"}}
    runs = {"one": {"method": "wtalc", "settings": {"epochs": 1}}, "two": {"method": "dgam", "candidates": [{"epochs": 2}]}}
    chosen = {"seeds": [0, 1], "selection": "weak-loss", "metrics": ["mAP@0.5"], "pairs": [["one", "two"]]}
    return {"data": data, "runs": runs} | chosen


def _make_matched(file: Path) -> None:
    hits = np.packbits(np.ones((3, 2), bool), axis=1)
    bounds, videos = np.array([0, 3]), np.zeros(3, np.intp)
    arrays = {"tious": np.array([0.1, 0.5]), "hits": hits, "counted": hits[:0], "bounds": bounds, "hit_videos": videos}
    np.savez(file, **arrays, video_instances=np.ones((1, 1)), interpolated=np.array(True))


def _make_packs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for layout, file in (
        ("acmnet", "train/a.npy"),
        ("basnet", "features/train/rgb/a.npy"),
        ("basnet", "features/train/flow/a.npy"),
    ):
        (folder / layout / file).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / layout / file, rng.normal(size=(9, 8)).astype(np.float32))
    (folder / "cmcs").mkdir()
    for stream in ("rgb", "flow"):
        np.savez(folder / "cmcs" / f"a-{stream}.npz", feature=np.ones((1, 9, 8), np.float32), frame_cnt=np.array(48))
    (folder / "actionformer" / "i3d_features").mkdir(parents=True)
    np.save(folder / "actionformer" / "i3d_features" / "a.npy", np.ones((9, 8), np.float32))
    (folder / "actionformer" / "gt.json").write_text(
        '{"database": {"a": {"subset": "training", "fps": 30, "duration": 5, "annotations": [{"segment": [1, 2], "label": "x"}]}}}'
    )
    (folder / "kit").mkdir()
    (folder / "kit" / "Run_val.txt").write_text("video_validation_1 1.5 2.5\nvideo_validation_2 3 4\n")
    truth = folder / "wtalc" / "T-Annotations"
    truth.mkdir(parents=True)
    columns = {
        "videoname": [b"a", b"b"], "subset": [b"validation", b"test"], "duration": [5.0, 6.0],
        "segments": [[[1.0, 2.0]], [[0.5, 1.0]]],
        "labels": [[b"x"], [b"y"]], "labels_all": [[b"x"], [b"y"]],
    }  # fmt: skip
    for name, column in columns.items():
        array = np.empty(2, object)
        array[:] = column
        np.save(truth / f"{name}.npy", array, allow_pickle=True)
    both = np.empty(2, object)
    both[:] = [np.ones((4, 6), np.float32), np.ones((5, 6), np.float32)]
    np.save(folder / "wtalc" / "T-JOINTFeatures.npy", both, allow_pickle=True)


def _store(folder: Path) -> None:
    store = FeatureStore(folder / "features")
    for video in store.videos:
        store.faults(video)
        store.timeline(video)
        store.load(video)


def _labels(folder: Path) -> None:
    labels, _ = scan_labels(folder / "labels.csv")
    labels.warnings()
    read_only(folder / "labels.csv", labels.tags)


def _detections(folder: Path) -> None:
    results = read_detections(folder / "d.json").results
    for format_ in ("csv", "vtt", "srt", "eaf"):
        export(folder / "d.json", format=format_, out=folder / ("out.csv" if format_ == "csv" or len(results) < 2 else format_))
    report(folder / "d.json", out=folder / "page.html", annotations=folder / "annotations.json")
    find_activations(folder / "d.json")


def _convert(layout: str, fps: float | None = 25.0) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        name = "thumos14-annotations" if layout == "kit" else layout
        convert(folder / "packs" / layout, folder / "converted", layout=name, fps=fps, stride=4, allow_pickle=True, force=True)

    return read


def _resume(folder: Path) -> None:
    shutil.rmtree(folder / "run" / "model", ignore_errors=True)
    train("wtalc", features=folder / "features", labels=folder / "labels.csv", out=folder / "run", settings=SETTINGS, resume=True)


def _localize(folder: Path) -> None:
    localize(folder / "run", features=folder / "features", out=folder / "new.json")


RUN = ("run", "features", "labels.csv")
READERS = {
    "store-header": Reader("features/features.json", _store),
    "store-entry": Reader("features/videos/train000x.json", _store),
    "store-array": Reader("features/rgb/train001.npy", _store),
    "store-validated": Reader(
        "features/features.json", lambda folder: validate(folder / "features", folder / "labels.csv", folder / "annotations.json")
    ),
    "labels": Reader("labels.csv", _labels),
    "annotations": Reader("annotations.json", lambda folder: scan_annotations(folder / "annotations.json")),
    "detections": Reader("d.json", _detections, fresh=("d.json", "d.activations", "annotations.json")),
    "corrections": Reader("marks.json", lambda folder: read_corrections(folder / "marks.json")),
    "clusters": Reader("clusters.csv", lambda folder: read_clusters(folder / "clusters.csv")),
    "names": Reader("names.csv", lambda folder: read_names(folder / "names.csv")),
    "activations": Reader(
        "d.activations/activations.json", lambda folder: localize(folder / "d.activations", out=folder / "o.json")
    ),
    "activations-of-a-video": Reader(
        "d.activations/test000.safetensors", lambda folder: localize(folder / "d.activations", out=folder / "o.json")
    ),
    "config": Reader("run/config.yaml", _localize),
    "config-resumed": Reader("run/config.yaml", _resume, fresh=RUN),
    "environment": Reader("run/environment.json", _localize),
    "environment-resumed": Reader("run/environment.json", _resume, fresh=RUN),
    "model": Reader("run/model/model.json", _localize),
    "weights": Reader("run/model/weights.safetensors", _localize),
    "log": Reader("run/metrics.jsonl", _resume, fresh=RUN),
    "checkpoint": Reader("run/checkpoints/joint.safetensors", _resume, fresh=RUN),
    "experiment": Reader("experiment.yaml", lambda folder: read_experiment(folder / "experiment.yaml")),
    "setting": Reader("set.txt", lambda folder: parse_assignments([(folder / "set.txt").read_text("utf-8", "replace")])),
    "scores": Reader("scores/scores.json", lambda folder: read_scores(folder / "scores")),
    "matched": Reader("matched.npz", lambda folder: Matched.read(folder / "matched.npz")),
    "pack-acmnet": Reader("packs/acmnet/train/a.npy", _convert("acmnet"), fresh=("packs/acmnet",)),
    "pack-basnet": Reader("packs/basnet/features/train/rgb/a.npy", _convert("basnet"), fresh=("packs/basnet",)),
    "pack-cmcs": Reader("packs/cmcs/a-rgb.npz", _convert("cmcs"), fresh=("packs/cmcs",)),
    "pack-actionformer": Reader("packs/actionformer/gt.json", _convert("actionformer", None), fresh=("packs/actionformer",)),
    "pack-kit": Reader("packs/kit/Run_val.txt", _convert("kit"), fresh=("packs/kit",)),
    "pack-wtalc": Reader("packs/wtalc/T-JOINTFeatures.npy", _convert("wtalc"), fresh=("packs/wtalc",)),
    "pack-wtalc-truth": Reader("packs/wtalc/T-Annotations/segments.npy", _convert("wtalc"), fresh=("packs/wtalc",)),
}


def call(reader: Reader, folder: Path) -> None:
    """Let it read, silently."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        reader.read(folder)

"""benchmarks/several.py: the actions of training videos, several in each new one."""

import sys

import numpy as np

import several
from tests.methods.planted import plant
from untrimmed.data.annotations import read_annotations
from untrimmed.data.labels import read_labels
from untrimmed.data.store import FeatureStore


def test_every_action_is_a_training_videos_and_a_video_holds_several(tmp_path, monkeypatch, capsys):
    planted = plant(tmp_path / "planted", train=45, test=3, empty=2)
    data, out = planted.labels.parent, tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["several.py", str(data), "--features", str(planted.features), "--out", str(out)])
    several.main()
    assert "to train on" in capsys.readouterr().out
    store, truth = FeatureStore(out / "features"), read_annotations(out / "annotations.json")
    before, whole = read_annotations(data / "annotations.json"), FeatureStore(planted.features)
    sources = {video: whole.load(video)["rgb"] for video in read_labels(data / "labels.csv").tags}
    found = {"train": set(), "test": set()}

    def sources_of(piece):
        return [v for v, own in sources.items() if any(np.array_equal(piece, own[at : at + len(piece)]) for at in range(len(own)))]

    for video, its in truth.videos.items():
        labels = [segment.label for segment in its.segments]
        assert several.FEWEST <= len(set(labels)) == len(labels) <= several.MOST
        rgb, stride = store.load(video)["rgb"], store.header.stride_seconds
        assert len(rgb) == store.timeline(video).count
        for segment in its.segments:
            piece = rgb[round(segment.start / stride) : round(segment.end / stride)]
            of = sources_of(piece)
            assert len(of) == 1
            assert segment.label in {s.label for s in before.videos[of[0]].segments}
            found[its.subset] |= set(of)
    assert found["train"]
    assert found["test"]
    assert not found["train"] & found["test"]
    train = {video: frozenset(s.label for s in its.segments) for video, its in truth.videos.items() if its.subset == "train"}
    assert read_labels(out / "labels.csv").tags == train

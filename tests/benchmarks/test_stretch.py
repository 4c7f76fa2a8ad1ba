"""benchmarks/stretch.py: the same actions in longer videos."""

import sys

import numpy as np
import pytest

import stretch
from tests.methods.planted import plant
from untrimmed.data.annotations import read_annotations
from untrimmed.data.labels import read_labels
from untrimmed.data.store import FeatureStore


def test_the_actions_fill_the_share_that_is_asked_for(tmp_path, monkeypatch, capsys):
    planted = plant(tmp_path / "planted", train=9, test=3, empty=2)
    data = planted.labels.parent
    asked = ["stretch.py", str(data), "--features", str(planted.features), "--out", str(tmp_path / "out"), "--share", "0.1"]
    monkeypatch.setattr(sys, "argv", asked)
    stretch.main()
    assert 8 < float(capsys.readouterr().out.split()[-1].rstrip("%")) < 12
    store, truth = FeatureStore(tmp_path / "out" / "features"), read_annotations(tmp_path / "out" / "annotations.json")
    before, whole = read_annotations(data / "annotations.json"), FeatureStore(planted.features)
    assert read_labels(tmp_path / "out" / "labels.csv").tags == read_labels(data / "labels.csv").tags
    for video, its in truth.videos.items():
        labels = sorted({s.label for s in before.videos[video].segments})
        assert sorted(s.label for s in its.segments) == labels
        for segment in its.segments:
            assert (segment.end - segment.start) / its.duration == pytest.approx(0.1 / len(labels), rel=0.6)
            rows = slice(round(segment.start / store.header.stride_seconds), round(segment.end / store.header.stride_seconds))
            piece, own = store.load(video)["rgb"][rows], whole.load(video)["rgb"]
            assert any(np.array_equal(piece, own[at : at + len(piece)]) for at in range(len(own)))

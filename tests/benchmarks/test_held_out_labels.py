"""benchmarks/held_out_labels.py: labels of videos that a network has not seen."""

import numpy as np
import pytest

import held_out_labels
from tests.methods.planted import plant
from untrimmed.data.labels import read_labels


def test_videos_of_a_label_are_spread_over_the_folds():
    tags = {f"v{k}": {"run"} if k % 2 else set() for k in range(20)}
    fold = held_out_labels.deal(tags, 0)
    for label in (set(), {"run"}):
        assert sorted(fold[video] for video in tags if tags[video] == label) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert fold != held_out_labels.deal(tags, 1)


def test_auc_is_the_share_of_pairs_in_order():
    assert held_out_labels.auc(np.array([3.0, 1, 2, 0]), np.array([True, False, False, True])) == 0.5
    assert held_out_labels.auc(np.array([3.0, 1, 2, 0]), np.array([True, False, True, False])) == 1
    assert np.isnan(held_out_labels.auc(np.array([1.0, 2]), np.array([True, True])))


def test_a_planted_problem_is_learned(tmp_path, capsys):
    planted = plant(tmp_path, train=15, test=2, empty=5)
    assert len(read_labels(planted.labels).tags) == 15
    held_out_labels.main([str(planted.features), str(planted.labels), "selftrain", "--splits", "1"])
    name, found = capsys.readouterr().out.splitlines()[-1].strip("| ").split(" | ")
    assert name == "selftrain"
    assert float(found.split(" ± ")[0]) == pytest.approx(1, abs=0.1)

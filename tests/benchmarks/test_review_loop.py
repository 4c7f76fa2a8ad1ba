"""benchmarks/review_loop.py and review_loop_plot.py from one end to the other on a planted problem."""

import csv
import sys

import review_loop
import review_loop_plot
from tests.methods.planted import plant
from untrimmed.data.annotations import read_annotations
from untrimmed.data.corrections import read_corrections


def test_training_videos_are_corrected_in_the_order_of_the_queue(tmp_path, monkeypatch, capsys):
    planted = plant(tmp_path / "planted", train=9, test=4, empty=2)
    data = planted.labels.parent
    monkeypatch.setattr(review_loop, "CORRECTED", (0, 2))
    monkeypatch.setattr(review_loop, "ORDERS", ("queue",))
    asked = [str(data), "--features", str(planted.features), "--out", str(tmp_path / "out"), "--seeds", "1"]
    monkeypatch.setattr(sys, "argv", ["review_loop.py", *asked])
    review_loop.main()
    assert capsys.readouterr().out.startswith("| corrected videos | 0 | 2 |")
    table, plot = tmp_path / "out" / "results.csv", tmp_path / "plot.png"
    review_loop_plot.main([f"planted={table}", "--out", str(plot)])
    assert {videos for its in review_loop_plot.read_curves(table).values() for videos in its} == {0, 2}
    assert plot.stat().st_size > 1000
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").open()))
    assert len(rows) == 2 * 2
    truth = read_annotations(data / "annotations.json")
    for marks in review_loop.MARKS:
        chosen = read_corrections(tmp_path / "out" / f"seed0-queue-{marks}-2-marks.json")
        assert all(truth.videos[video].subset == "train" and its.checked == (marks == "segments") for video, its in chosen.items())
    before = sorted((tmp_path / "out").rglob("*.safetensors"))
    review_loop.main()  # nothing is made again
    assert sorted((tmp_path / "out").rglob("*.safetensors")) == before

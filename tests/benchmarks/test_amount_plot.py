"""The grid of clips and videos: gains of the same seeds, in a table and in a figure."""

import sys

import numpy as np
import pytest

import amount_plot
from untrimmed.reporting.tables import Metric, Table, csv_text

METRICS = (Metric("classification:accuracy", True, True), Metric("mAP@0.5", True, True))


def results(tmp_path, cells=((10, 10), (10, 100), (100, 10), (100, 100)), runs=("SRNet", "SRNet + plain clips", "TSRNet")):
    """As compare writes it. Plain clips gain 1 point per share of clips; transfer 2 more; seeds are alike in both but for 0.3."""
    tables = []
    for videos, clips in cells:
        level = np.array([0.2, 0.3, 0.25]) + videos / 1000
        gains = {"SRNet": 0.0, "SRNet + plain clips": clips / 100, "TSRNet": clips / 100 + 0.02 + np.array([0.003, 0, -0.003])}
        values = tuple(((0.5,) * 3, tuple(level + gains[run])) for run in runs)
        tables.append(Table(f"{videos}v {clips}c", "", METRICS, runs, values, 3))
    file = tmp_path / "results.csv"
    file.write_text(csv_text(tables, "last", (0, 1, 2)), encoding="utf-8")
    return file


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["amount_plot.py", *map(str, arguments)])
    amount_plot.main()


def test_gains_are_of_the_same_seeds(tmp_path):
    grid = amount_plot.read_grid(results(tmp_path), "mAP@0.5")
    assert grid.shares == ([10, 100], [10, 100])
    np.testing.assert_allclose(grid.gain("SRNet + plain clips", "SRNet", (10, 10)), [10, 10, 10])
    np.testing.assert_allclose(grid.gain("TSRNet", "SRNet + plain clips", (100, 10)), [2.3, 2, 1.7])


@pytest.mark.parametrize(("name", "begin"), [("x.png", b"\x89PNG"), ("x.svg", b"<?xml")])
def test_a_table_and_a_figure(name, begin, tmp_path, monkeypatch, capsys):
    call(monkeypatch, results(tmp_path), "--out", tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begin)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]
    assert rows[0][2:4] == ["SRNet", "SRNet + plain clips − SRNet"]
    assert rows[2] == ["10 %", "10 %", "26.0 ± 5.0", "+10.0 ± 0.0", "+12.0 ± 0.3", "+2.0 ± 0.3"]
    assert [row[:2] for row in rows[2:]] == [["10 %", "10 %"], ["10 %", "100 %"], ["100 %", "10 %"], ["100 %", "100 %"]]


def test_a_cell_that_is_missing_is_left_out(tmp_path, monkeypatch, capsys):
    call(monkeypatch, results(tmp_path, cells=((10, 10), (10, 100), (100, 10))), "--out", tmp_path / "x.png")
    assert capsys.readouterr().out.splitlines()[-1].count(" – |") == 4


@pytest.mark.parametrize(
    ("runs", "more", "words"),
    [
        (["SRNet", "TSRNet"], ["--out", "x.png"], "no mAP@0.5 of SRNet + plain clips"),
        (["SRNet", "SRNet + plain clips", "TSRNet"], ["--out", "x.png", "--metric", "mAP@0.9"], "no mAP@0.9 of SRNet"),
        (["SRNet", "SRNet + plain clips", "TSRNet"], ["--out", "x.pdf"], "end the name with .png or .svg"),
        ([], ["--out", "x.png"], "No such file"),
    ],
)
def test_another_table_another_metric_or_another_kind_of_figure(runs, more, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, results(tmp_path, runs=runs) if runs else "nowhere.csv", *more)
    assert end.value.code == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("x.*"))

"""What a notebook shows, and results that stand for their files."""

import builtins
import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import untrimmed
from untrimmed.data.annotations import VideoTruth, write_annotations, write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.notebook import MOST_ROWS, Detections, Run, html_table
from untrimmed.data.types import Detection, Segment
from untrimmed.experiments.compare import Comparison
from untrimmed.experiments.metrics import metric_of
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.train import _written
from untrimmed.reporting.show import show
from untrimmed.reporting.tables import Table

FOUND = {"b": [], "a": [Detection(3, 4, "goal", 0.25), Detection(1, 2, "<goal>", 0.5)]}


@pytest.fixture
def detections(tmp_path) -> Detections:
    write_detections(tmp_path / "d.json", FOUND, {})
    truth = {"a": VideoTruth(None, 10.0, (Segment(1, 2, "<goal>"), Segment(3, 4.5, "goal"))), "b": VideoTruth(None, 5.0, ())}
    write_annotations(tmp_path / "annotations.json", truth, "1")
    return untrimmed.Detections.read(tmp_path / "d.json")


def test_detections_stand_for_their_file(detections, tmp_path):
    assert os.fspath(detections) == str(tmp_path / "d.json")
    assert untrimmed.export(detections, format="csv", out=tmp_path / "t.csv") == [tmp_path / "t.csv"]
    assert evaluate(detections, annotations=tmp_path / "annotations.json").to_json()["instances"] == 2
    assert [d.score for d in detections["a"]] == [0.5, 0.25]
    assert detections.rows()[0] == ("a", 1.0, 2.0, "<goal>", 0.5)
    html = detections._repr_html_()
    assert "2 detections in 2 videos" in html
    assert "<td>&lt;goal&gt;</td>" in html
    assert "<goal>" not in html


def test_a_run_stands_for_its_folder(tmp_path):
    assert Path(Run(tmp_path / "run")) == tmp_path / "run"
    assert "<code>" in Run(tmp_path / "run")._repr_html_()
    with pytest.raises(InputError, match="no such run"):
        untrimmed.localize(Run(tmp_path / "run"), features=tmp_path, out=tmp_path / "x.json")


def test_tables_of_pandas(detections, tmp_path):
    pandas = pytest.importorskip("pandas")
    table = detections.to_pandas()
    assert list(table.columns) == ["video", "start", "end", "label", "score"]
    assert table.score.tolist() == [0.5, 0.25]
    scores = evaluate(detections, annotations=tmp_path / "annotations.json", tiou="0.5,0.7").to_pandas()
    assert list(scores.columns) == ["label", "AP@0.5", "AP@0.7", "mean"]
    assert scores.set_index("label").loc["goal"].tolist() == [1.0, 0.0, 0.5]
    assert isinstance(scores, pandas.DataFrame)


def test_evaluations_show_their_table_with_its_rules(detections, tmp_path):
    html = evaluate(detections, annotations=tmp_path / "annotations.json")._repr_html_()
    assert html.startswith("<pre>protocol   activitynet")
    assert "&lt;goal&gt;" in html


def test_comparisons():
    values = (((0.5, 0.75), (0.25, 0.25)), ((0.5,), (0.125,)))
    metrics = (metric_of("mAP@0.5"), metric_of("purity"))
    table = Table("set <1>", "caption & more", metrics, ("a<b", "c"), values, 2)
    done = Comparison((table,), (), {}, "last", (0, 1), ("dgam",), ("mAP@0.5", "purity"))
    html = done._repr_html_()
    assert "<h3>set &lt;1&gt;</h3><p>caption &amp; more</p>" in html
    assert "<td>a&lt;b</td><td><b>62.5</b> ± " in html
    pytest.importorskip("pandas")
    frame = done.to_pandas()
    assert len(frame) == 6
    assert np.isclose(frame[(frame.run == "a<b") & (frame.metric == "mAP@0.5")].value.mean(), 0.625)


def test_without_pandas_one_line_says_what_to_install(detections, monkeypatch):
    real = builtins.__import__

    def without(name, *more):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="pip install pandas"):
        detections.to_pandas()


def test_long_tables_are_cut_and_say_so():
    html = html_table(("n",), [(n,) for n in range(MOST_ROWS + 7)])
    assert html.count("<tr>") == MOST_ROWS + 1
    assert "… and 7 more" in html


def test_a_timeline(detections, tmp_path):
    svg = show(detections, "a", annotations=tmp_path / "annotations.json")._repr_html_()
    picture = ElementTree.fromstring(svg)
    bars = picture.findall("{http://www.w3.org/2000/svg}rect")
    titles = [bar[0].text for bar in bars]
    assert titles == [
        "ground truth: <goal>, 1.00 to 2.00 s",
        "<goal> (0.5), 1.00 to 2.00 s",
        "ground truth: goal, 3.00 to 4.50 s",
        "goal (0.25), 3.00 to 4.00 s",
    ]
    assert [float(bar.get("width")) for bar in bars] == pytest.approx([76, 76, 114, 76])  # of 760 pixels for 10 s
    assert float(bars[1].get("fill-opacity")) > float(bars[3].get("fill-opacity"))
    assert len(ElementTree.fromstring(show(detections, "a", min_score=0.3).svg).findall("{*}rect")) == 1
    assert "Timeline of b: 0 detections" in show(tmp_path / "d.json", "b").svg
    with pytest.raises(InputError, match="there is no video 'aa' in it; did you mean 'a'"):
        show(detections, "aa")


def test_labels_as_a_dict_are_written_beside_the_run(tmp_path):
    labels = {"b": [], "a": ["goal", "=foul"], "c": "goal"}
    file = _written(labels, tmp_path / "run")
    assert file == tmp_path / "run.labels.csv"
    assert file.read_text() == "video,label\na,'=foul\na,goal\nb,\nc,goal\n"
    assert _written(labels, tmp_path / "run").stat().st_mtime_ns == file.stat().st_mtime_ns
    _written({"a": ["goal"]}, tmp_path / "run")
    assert (tmp_path / "run.labels.csv.1").read_text().startswith("video,label\na,'=foul")

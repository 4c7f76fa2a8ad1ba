"""What the page and the figures say of a diagnosis."""

import json
import re

import numpy as np
import pytest

from untrimmed.data.annotations import VideoTruth, write_annotations, write_detections
from untrimmed.data.types import Detection, Segment
from untrimmed.evaluation.diagnosis import KINDS
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.report import report
from untrimmed.reporting.kinds import KIND_COLOURS


@pytest.fixture
def page(tmp_path):
    """The text of a page, and what `evaluate --diagnose` says of the same detections."""
    rng = np.random.default_rng(3)
    truth, results = {}, {}
    for k in range(20):
        starts = np.arange(4) * 20 + rng.uniform(0, 5, 4)
        segments = tuple(Segment(s, s + rng.uniform(1, 14), ("jump", "wave")[rng.integers(2)]) for s in starts)
        truth[f"v{k}"] = VideoTruth("test", 90.0, segments)
        results[f"v{k}"] = [
            Detection(max(s.start + rng.normal(0, 3), 0), s.end + 4, ("jump", "wave")[rng.integers(2)], rng.random())
            for s in segments
        ]
    write_annotations(tmp_path / "truth.json", truth, "made up")
    write_detections(tmp_path / "found.json", results, {})
    evaluate(tmp_path / "found.json", annotations=tmp_path / "truth.json", subset="test", diagnose=tmp_path / "why")
    out = report(tmp_path / "found.json", out=tmp_path / "report.html", annotations=tmp_path / "truth.json", subset="test")
    return out.read_text(encoding="utf-8"), json.loads((tmp_path / "why" / "diagnosis.json").read_text())


def test_the_page_says_what_the_file_says(page):
    text, content = page
    k = content["tiou"].index(0.5)
    section = text[text.index("What goes wrong") : text.index('id="videos"')]
    counts = {kind: levels[k] for kind, levels in content["false_positives"]["counts"].items()}
    total = sum(map(sum, counts.values()))
    first = sum(levels[0] for levels in counts.values())
    for kind in KINDS:
        row = re.search(rf"</i>{kind}</th>(.*?)</tr>", section)[1]
        cells = re.findall(r">([\d.]*)</td>", row)
        assert cells[:2] == [f"{100 * counts[kind][0] / first:.1f}", f"{100 * sum(counts[kind]) / total:.1f}"]
        gain = content["false_positives"]["gain"].get(kind)
        assert cells[2] == ("" if gain is None else f"{100 * gain[k]:.1f}")
    for trait in content["traits"].values():
        for one in trait["bins"]:
            if one["instances"]:
                cells = f'>{100 * one["missed"][k]:.1f}</td><td style="--v:{one["mAP_N"][k]:.3f}">{100 * one["mAP_N"][k]:.1f}</td>'
                assert cells in section
    assert f"<b>{100 * content['missed'][k]:.1f}</b>" in section


def test_the_bars_fill_each_level(page):
    text, _ = page
    bars = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)" fill="(#\w+)">', text)
    assert {colour for *_, colour in bars} <= set(KIND_COLOURS.values())
    heights = {}
    for x, _, height, _ in bars:
        heights[x] = heights.get(x, 0) + float(height)
    assert heights
    assert all(height == pytest.approx(180, abs=0.05) for height in heights.values())


def test_the_kinds_have_names_and_colours():
    assert tuple(KIND_COLOURS) == KINDS


def test_without_truth_there_is_no_diagnosis(tmp_path):
    write_detections(tmp_path / "found.json", {"a": [Detection(0, 1, "jump", 1.0)]}, {})
    assert "What goes wrong" not in report(tmp_path / "found.json", out=tmp_path / "report.html").read_text(encoding="utf-8")

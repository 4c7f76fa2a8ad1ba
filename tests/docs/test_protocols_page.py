"""The figures of docs/protocols.md are those that its commands print."""

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks
from untrimmed import cli
from untrimmed.jobs.convert import convert
from untrimmed.jobs.evaluate import evaluate

PAGE = ROOT / "docs" / "protocols.md"
WRONG = ("video_test_0000270", "video_test_0001496")
ONLY_AMBIGUOUS = "video_test_0001292"


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", section, re.M)]
    return rows[2:]


@pytest.fixture
def example(tmp_path, monkeypatch) -> Path:
    for name, text in re.findall(r"^```json (\S+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_worked_example_gives_its_three_numbers(example, capsys):
    printed = {}
    commands = [
        line for block in blocks(PAGE) for line in block.text.splitlines() if line.startswith("untrimmed evaluate found.json")
    ]
    for command in commands:
        words = shlex.split(command)[1:]
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 0
        printed[words[-1]] = re.search(r"^mAP +(\S+)", capsys.readouterr().out, re.M)[1]
    assert printed == {row[0]: row[5] for row in table("One example, three numbers")}
    assert len(set(printed.values())) == 3


def test_each_detection_of_the_example_fares_as_the_page_says(example):
    for protocol, *verdicts, _ in table("One example, three numbers"):
        scores = evaluate("found.json", annotations="truth.json", tiou="0.5", protocol=protocol).scores
        hits = scores.hits[:, 0]
        counted = [True] * len(hits) if scores.counted is None else scores.counted[:, 0]
        assert [hit for hit, _ in zip(hits, counted, strict=True)] == [verdict == "TP" for verdict in verdicts]
        assert list(counted) == [verdict in ("TP", "FP") for verdict in verdicts]


def test_the_figures_of_the_published_detections(shared_data, tmp_path):
    thumos = shared_data / "thumos14"
    sets = {"210": WRONG, "211, with 270": WRONG[1:], "211, with 1496": WRONG[:1], "212": ()}
    for name, left_out in sets.items():
        kit = thumos / "thumos14-test-annotations"
        convert(kit, tmp_path / name, layout="thumos14-annotations", exclude=[*left_out, ONLY_AMBIGUOUS])
    rows = table("One method, fifteen numbers")
    assert len(rows) == 15
    for videos, segments, ambiguous, protocol, *figures in rows:
        truth = thumos / "gt_210.json" if ambiguous == "left out" else tmp_path / videos / "annotations.json"
        found = evaluate(thumos / "stpn_results.json", annotations=truth, subset="test", protocol=protocol).to_json()
        assert (found["videos"], found["instances"]) == (int(videos[:3]), int(segments))
        values = [*found["mAP"][0:7:2], found["average"]]
        assert figures == [f"{100 * value:.1f}" for value in values], (videos, ambiguous, protocol)

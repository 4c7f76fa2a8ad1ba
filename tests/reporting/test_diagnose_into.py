"""`evaluate --diagnose`: what is written, and what is said."""

import json

import numpy as np
import pytest
from PIL import Image

from untrimmed import cli
from untrimmed.data.annotations import VideoTruth, write_annotations, write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection, Segment
from untrimmed.jobs.evaluate import evaluate
from untrimmed.reporting.diagnosis import draw_diagnosis
from untrimmed.reporting.kinds import KIND_COLOURS, shares


@pytest.fixture
def files(tmp_path):
    truth = {f"v{k}": VideoTruth("test", 60.0, (Segment(5, 15, "jump"), Segment(30, 50, "wave"))) for k in range(4)}
    found = {
        video: [Detection(5, 14, "jump", 0.9), Detection(30, 35, "wave", 0.8), Detection(52, 58, "jump", 0.7)] for video in truth
    }
    write_annotations(tmp_path / "truth.json", truth, "made up")
    write_detections(tmp_path / "found.json", found, {})
    return tmp_path


def test_json_and_figures(files, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(
            ["evaluate", str(files / "found.json"), "--annotations", str(files / "truth.json"), "--diagnose", str(files / "why")]
        )
    assert ended.value.code == 0
    said = capsys.readouterr()
    assert "localization error" in said.out
    assert "missed: 50.0 of 8 true segments" in said.out
    assert "diagnosis.json" in said.err
    content = json.loads((files / "why" / "diagnosis.json").read_text())
    k = content["tiou"].index(0.5)
    counts = {kind: sum(levels[k]) for kind, levels in content["false_positives"]["counts"].items()}
    assert counts == dict.fromkeys(KIND_COLOURS, 0) | {
        "true positive": 4,
        "localization error": 4,
        "background error": 4,
    }
    assert content["false_positives"]["mAP"][k] == pytest.approx(0.5)
    for name in ("false_positives", "false_negatives", "sensitivity"):
        assert np.ptp(np.asarray(Image.open(files / "why" / f"{name}.png").convert("L"))) > 100, "something is drawn"


def test_json_is_json_alone(files, capsys):
    given = ["--annotations", str(files / "truth.json"), "--diagnose", str(files / "why")]
    with pytest.raises(SystemExit):
        cli.main(["evaluate", str(files / "found.json"), "--json", *given])
    assert json.loads(capsys.readouterr().out)["instances"] == 8


def test_faults(files):
    given = {"annotations": files / "truth.json"}
    with pytest.raises(InputError, match="leave `protocol` wtalc away"):
        evaluate(files / "found.json", **given, protocol="wtalc", diagnose=files / "why")
    with pytest.raises(InputError, match=r"truth\.json: a file"):
        evaluate(files / "found.json", **given, diagnose=files / "truth.json")
    with pytest.raises(InputError, match="cannot be written"):
        evaluate(files / "found.json", **given, diagnose=files / "truth.json" / "why")


def test_the_bars_are_the_shares(files):
    evaluate(files / "found.json", annotations=files / "truth.json", diagnose=files / "why")
    content = json.loads((files / "why" / "diagnosis.json").read_text())
    k = content["tiou"].index(0.5)
    found = shares(content, k)
    assert sum(of_kind[0] for of_kind in found.values()) == pytest.approx(1)
    assert sum(of_kind[9] for of_kind in found.values()) == 0, "no level without detections has a share"
    # Most of the first bar, of the 8 surest: 4 true positives, 4 localization errors.
    assert found["true positive"][0] == found["localization error"][0] == 0.5
    content["false_positives"]["counts"] = {kind: [[0] * 10] * 9 for kind in KIND_COLOURS}
    content["false_positives"]["counts"]["background error"] = [[5] * 10] * 9
    draw_diagnosis(content, files / "grey")
    pixels = np.asarray(Image.open(files / "grey" / "false_positives.png").convert("RGB")).reshape(-1, 3)
    grey = np.array([0xA3, 0xA6, 0xAA])
    assert (pixels == grey).all(axis=1).mean() > 0.3, "all is background"

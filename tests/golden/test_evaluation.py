"""Average precisions of the official evaluators, on THUMOS14 and ActivityNet 1.3."""

import json
from pathlib import Path

import numpy as np

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.types import Detection, Results, Segment
from untrimmed.evaluation.activitynet import evaluate_detections
from untrimmed.jobs.evaluate import evaluate

COLUMNS = ("video", "label", "start", "end")


def arrays_of(file: Path, case: str):
    """The truth's columns, the detections' columns, and the names of videos and classes, in either form of file."""
    if (data := file.with_name(f"{file.stem}_data.npz")).is_file():
        both = np.load(data)
        truth = [both[f"gt_{name}"] for name in COLUMNS]
        found = [both[f"{case}_{name}"] for name in (*COLUMNS, "score")]
        return truth, found, both["video_names"].tolist(), both["class_names"].tolist()
    true, detected = np.load(file.with_name(f"{file.stem}_gt.npz")), np.load(file.with_name(f"{file.stem}_det_{case}.npz"))
    truth = [true[name] for name in COLUMNS]
    found = [detected[name] for name in (*COLUMNS, "score")]
    return truth, found, true["video_names"].tolist(), true["class_names"].tolist()


def as_the_official_code_orders(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Scores without ties, in the order in which the official code goes through the detections of each class.

    It sorts by `argsort()[::-1]`, which leaves the order of equal scores to the sorting routine and the order in the file; ours
    goes by video and time instead. All of the toolkit's sample detections have the score 1.
    """
    places = np.empty(len(score))
    for c in np.unique(label):
        own = np.flatnonzero(label == c)
        places[own[score[own].argsort()[::-1]]] = -np.arange(len(own))
    return places


def test_agrees_with_the_official_evaluators(golden):
    files = sorted(golden.glob("eval_*.json"))
    assert files
    for file in files:
        content = json.loads(file.read_text())
        cases = {name: value for name, value in content.items() if isinstance(value, dict) and "ap_per_class" in value}
        assert cases, f"{file.name} has no case"
        for case, official in cases.items():
            (video, label, start, end), found, videos, classes = arrays_of(file, case)
            segments: dict[str, list[Segment]] = {name: [] for name in videos}
            for v, c, s, e in zip(video.tolist(), label.tolist(), start.tolist(), end.tolist(), strict=True):
                segments[videos[v]].append(Segment(s, e, classes[c]))
            truth = {name: VideoTruth(None, None, tuple(own)) for name, own in segments.items()}
            score = found[4]
            if len(np.unique(score)) < len(score):
                score = as_the_official_code_orders(found[1], score)
            results: Results = {name: [] for name in videos}
            for v, c, s, e, q in zip(*(column.tolist() for column in (*found[:4], score)), strict=True):
                results[videos[v]].append(Detection(s, e, classes[c], q))

            scores = evaluate_detections(truth, results, classes, official.get("tiou", content.get("tiou")))

            assert set(scores.classes) == set(official["ap_per_class"])
            expected = [official["ap_per_class"][name] for name in scores.classes]
            np.testing.assert_allclose(scores.ap, expected, rtol=0, atol=1e-12, err_msg=f"{file.name}: {case}")
            np.testing.assert_allclose(scores.mean_ap, official["mAP"], rtol=0, atol=1e-12, err_msg=f"{file.name}: {case}")


def test_agrees_with_the_published_numbers_of_an_stpn(shared_data):
    thumos = shared_data / "thumos14"
    found = evaluate(thumos / "stpn_results.json", annotations=thumos / "gt_210.json", subset="test", tiou="0.1:0.9:0.1").to_json()
    expected = [52.12, 44.20, 34.70, 26.06, 17.70, 10.09, 4.99, 1.34, 0.10]
    np.testing.assert_allclose(100 * np.array(found["mAP"]), expected, rtol=0, atol=0.005)
    assert (found["videos"], found["instances"], len(found["per_class"])) == (210, 3311, 20)

"""Proposals and detections of the released DGAM code, from its own activations."""

import json

import numpy as np
import pytest

from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.localization import Localization, localize
from untrimmed.localization.nms import suppress


def settings_of(config: dict, **more) -> Localization:
    streams = {name: {"thresholds": (config[f"thr_{name}"],), "stream_weight": config[f"alpha_{name}"]} for name in ("rgb", "flow")}
    return Localization(
        upsample=config["scale"],
        class_threshold=config["class_threshold"],
        nms=config.get("nms_iou", 0.5),
        smooth=config.get("smooth_sigma", 0),
        official=True,
        streams=streams,
        **more,
    )


@pytest.fixture(scope="module")
def official(golden):
    return json.loads((golden / "dgam_inf.json").read_text())


@pytest.fixture(scope="module")
def activations(golden, official):
    arrays = np.load(golden / "dgam_inf_arrays.npz")
    names = official["class_names"]
    found = []
    for video in official["videos"]:
        count = video["num_segments"]
        seconds = 16 * video["vid_len"] / 25
        streams = {
            s: StreamActivation(
                arrays[f"{video['name']}_{s}_attention"][:, 0],
                arrays[f"{video['name']}_{s}_tcam"],
                arrays[f"{video['name']}_{s}_class_prob"][: len(names)].astype(float),
            )
            for s in ("rgb", "flow")
        }
        found.append(Activation(video["name"], tuple(names), Timeline(0.0, seconds / count, count, seconds), streams))
    return found


def compare(ours, theirs):
    """Same detections; times to 1e-9 s, scores to 1e-5; the order inside equal scores is not defined."""

    def rows(items):
        return sorted(items, key=lambda d: (d[2], round(d[0], 6), round(d[1], 6)))

    ours = rows(ours)
    theirs = rows([(*t["segment"], t["label"], t["score"]) for t in theirs])
    assert [d[2] for d in ours] == [t[2] for t in theirs]
    np.testing.assert_allclose([d[:2] for d in ours], [t[:2] for t in theirs], rtol=0, atol=1e-9)
    np.testing.assert_allclose([d[3] for d in ours], [t[3] for t in theirs], rtol=0, atol=1e-5)


def test_fused_detections(official, activations):
    results = localize(activations, settings_of(official["config_thumos"]))
    for video in official["videos"]:
        compare(results[video["name"]], video["final"])
        scores = [d.score for d in results[video["name"]]]
        assert scores == sorted(scores, reverse=True)


def test_fused_detections_with_smoothing(official, activations):
    results = localize(activations, settings_of({"class_threshold": 0.1, **official["config_anet"]}))
    for name, theirs in official["final_activitynet_rule"].items():
        compare(results[name], theirs)


def test_proposals_of_each_stream(official, activations):
    config = official["config_thumos"]
    for stream, number in (("rgb", 0), ("flow", 1)):
        for activation, video in zip(activations, official["videos"]):
            # The other stream still takes part in the scores: silence only its proposals.
            muted, other = settings_of(config), {"rgb": "flow", "flow": "rgb"}[stream]
            muted.streams[other]["thresholds"] = (2.0,)
            theirs = [
                {"label": official["class_names"][int(c)], "score": s, "segment": [a, b]}
                for c, s, a, b in video["streams"][number]["proposals"]
            ]
            compare(localize([activation], muted)[video["name"]], theirs)


def test_suppression_cases(golden):
    for case in json.loads((golden / "nms_cases.json").read_text()):
        start, end, score = (np.array(case[k]) for k in ("start", "end", "score"))
        kept, _ = suppress(np.zeros(len(start)), start, end, score, case["thr"])
        assert kept.tolist() == case["keep"]

"""The page as a file: what stands in it, and that nothing in it can break out of its place."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.errors import InputError
from untrimmed.data.types import Activation, Detection, Segment, StreamActivation, Timeline
from untrimmed.reporting.page import MOST_CURVES, MOST_DETECTIONS, MOST_POINTS, Media, Page, decimate, write_page

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028\u2029&\"'<!--"


def read(path):
    """The text of a page and the data in it."""
    text = path.read_text(encoding="utf-8")
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert block
    return text, json.loads(block[1])


def make_activation(video="a", count=50, classes=("jump", "wave"), kind="gate"):
    rng = np.random.default_rng(1)
    attention = rng.random(count)
    if kind == "distribution":
        attention /= attention.sum()
    stream = StreamActivation(attention, rng.normal(size=(count, len(classes))), rng.random(len(classes)))
    return Activation(video, tuple(classes), Timeline(0.0, 0.5, count, count * 0.5), {"rgb": stream}, kind)


def test_the_page_holds_what_was_found(tmp_path):
    page = Page(
        results={"b": [], "a": [Detection(1.0, 2.5, "jump", 0.25), Detection(3.0, 4.0, "wave", 0.75)]},
        about=[("method", "dgam")],
        truth={"a": VideoTruth(None, 25.0, (Segment(1.1, 2.4, "jump"),))},
        activations={"a": make_activation()},
        media={"a": Media("videos/a.mp4", "h264 in .mp4", True)},
        notes=["one thing to know"],
    )
    write_page(page, tmp_path / "report.html")
    text, data = read(tmp_path / "report.html")
    assert "dgam" in text
    assert "one thing to know" in text
    assert [video["id"] for video in data["videos"]] == ["a", "b"]
    first = data["videos"][0]
    jump, wave = (data["classes"].index(label) for label in ("jump", "wave"))
    assert first["detections"] == {"start": [3.0, 1.0], "end": [4.0, 2.5], "label": [wave, jump], "score": [0.75, 0.25]}
    assert first["truth"] == {"start": [1.1], "end": [2.4], "label": [jump]}
    assert first["media"]["link"] == "videos/a.mp4"
    assert first["duration"] == 25.0
    assert data["videos"][1]["detections"] == {"start": [], "end": [], "label": [], "score": []}
    assert "media" not in data["videos"][1]
    assert "How good it is" not in text, "no scores were given"


def test_the_curves_are_those_of_the_activations(tmp_path):
    activation = make_activation(count=40)
    write_page(Page(results={"a": []}, activations={"a": activation}), tmp_path / "report.html")
    curves = read(tmp_path / "report.html")[1]["videos"][0]["curves"]
    levels = np.frombuffer(base64.b64decode(curves["streams"]["rgb"]["attention"]), dtype=np.uint8)
    np.testing.assert_allclose(levels / 255, activation.streams["rgb"].attention, atol=0.5 / 255 + 1e-9)
    assert curves["step"] == 0.5

    _, data = read(tmp_path / "report.html")
    low, high = (data["scale"]["logit"]["rgb"][bound] for bound in ("low", "high"))
    logits = np.frombuffer(base64.b64decode(curves["streams"]["rgb"]["logit"][0]), dtype=np.uint8) / 255 * (high - low) + low
    chosen = activation.classes.index(data["classes"][curves["classes"][0]])
    assert chosen == activation.streams["rgb"].class_score.argmax(), "the surest class comes first"
    np.testing.assert_allclose(logits, activation.streams["rgb"].class_logit[:, chosen], atol=(high - low) / 255)


def test_a_distribution_is_shown_times_the_length(tmp_path):
    activation = make_activation(count=40, kind="distribution")
    write_page(Page(results={"a": []}, activations={"a": activation}), tmp_path / "report.html")
    data = read(tmp_path / "report.html")[1]
    assert data["scale"]["attention"] == pytest.approx(activation.streams["rgb"].attention.max() * 40, rel=1e-4)


def test_a_stream_without_attention_and_a_constant_curve(tmp_path):
    stream = StreamActivation(None, np.zeros((5, 1)), np.array([0.5]))
    activation = Activation("a", ("jump",), Timeline(0, 1, 5, 5), {"rgb": stream})
    write_page(Page(results={"a": []}, activations={"a": activation}), tmp_path / "report.html")
    curves = read(tmp_path / "report.html")[1]["videos"][0]["curves"]
    assert curves["streams"]["rgb"]["attention"] is None


def test_the_page_stays_small(tmp_path):
    classes = tuple(f"class {k}" for k in range(200))
    activation = make_activation(count=20_000, classes=classes)
    found = [Detection(k, k + 1.0, classes[k % 200], k / 5000) for k in range(5000)]
    write_page(Page(results={"a": found}, activations={"a": activation}), tmp_path / "report.html")
    video = read(tmp_path / "report.html")[1]["videos"][0]
    assert len(video["detections"]["score"]) == MOST_DETECTIONS
    assert video["more"] == 5000 - MOST_DETECTIONS
    assert min(video["detections"]["score"]) == pytest.approx((5000 - MOST_DETECTIONS) / 5000), "the surest are kept"
    assert len(video["curves"]["classes"]) == MOST_CURVES
    assert len(json.dumps(video)) < 40_000


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.integers(1, 3000), st.integers(0, 10))
def test_thinning_keeps_the_extremes(count, seed):
    curve = np.random.default_rng(seed).normal(size=count)
    thin = decimate(curve)
    assert len(thin) <= MOST_POINTS
    assert thin.max() == curve.max()
    assert thin.min() == curve.min()


def test_hostile_names_stay_text(tmp_path):
    page = Page(
        results={HOSTILE: [Detection(0, 1, HOSTILE, 0.5)]},
        about=[(HOSTILE, HOSTILE)],
        truth={HOSTILE: VideoTruth(None, 2.0, (Segment(0, 1, HOSTILE),))},
        scores={"tiou": [0.5], "mAP": [1.0], "average": 1.0, "videos": 1, "instances": 1, "per_class": {HOSTILE: [1.0]}}
        | {"precision_recall": {HOSTILE: {"recall": [1.0], "precision": [1.0]}}, "precision_recall_tiou": 0.5}
        | {"beside": {HOSTILE: [0.1]}},
        notes=[HOSTILE],
        title=HOSTILE,
    )
    write_page(page, tmp_path / "report.html")
    text, data = read(tmp_path / "report.html")
    assert "<img" not in text
    assert text.count("</script>") == 2
    assert "\u2028" not in re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert data["videos"][0]["id"] == HOSTILE
    assert data["classes"] == [HOSTILE]


def test_a_lone_surrogate_does_not_break_the_page(tmp_path):
    write_page(Page(results={"a\ud800": []}, title="a\ud800"), tmp_path / "report.html")
    assert read(tmp_path / "report.html")[1]["videos"][0]["id"] == "a\ud800"


def test_nothing_is_fetched_and_only_its_own_script_may_run(tmp_path):
    write_page(Page(results={"a": [Detection(0, 1, "jump", 1.0)]}), tmp_path / "report.html")
    text, _ = read(tmp_path / "report.html")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1]
    assert "default-src 'none'" in policy
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", text), "no address of anything outside"
    assert not re.search(r"\bon\w+=", text.split("<script")[0]), "no inline handler"
    assert "innerHTML" not in text


def test_scores_are_readable_without_a_script(tmp_path):
    scores = {
        "tiou": [0.3, 0.5],
        "mAP": [0.6, 0.4123],
        "average": 0.50615,
        "videos": 7,
        "instances": 1234,
        "per_class": {"jump": [0.7, 0.5], "wave": [0.5, 0.3246]},
        "beside": {"random segments": [0.2, 0.0512]},
        "precision_recall": {"jump": {"recall": [0.25, 0.5], "precision": [1.0, 0.5]}, "wave": {"recall": [], "precision": []}},
        "precision_recall_tiou": 0.5,
    }
    write_page(Page(results={"a": []}, scores=scores), tmp_path / "report.html")
    text, _ = read(tmp_path / "report.html")
    for shown in ("41.2", "50.6", "32.5", "5.1", "random segments", "jump", "wave", "1\u202f234", "in 7 videos"):
        assert shown in text
    assert 'd="M0 0.0V0.0H25.0V50.0H50.0V100"' in text, "precision falls in steps from recall to recall"
    assert text.index("jump") < text.index("wave"), "the best class first"


def test_twenty_classes_can_be_told_apart(tmp_path):
    classes = [f"class {k:02d}" for k in range(30)]
    write_page(Page(results={"a": [Detection(k, k + 1, label, 0.5) for k, label in enumerate(classes)]}), tmp_path / "report.html")
    _, data = read(tmp_path / "report.html")
    looks = list(zip(data["hues"], data["patterns"], strict=True))
    assert len(set(looks)) == len(classes)
    for i, (hue, pattern) in enumerate(looks):
        for other, other_pattern in looks[:i]:
            apart = abs(hue - other) % 360
            assert pattern != other_pattern or min(apart, 360 - apart) >= 20


def test_six_results_beside_can_be_told_apart(browser, tmp_path):
    beside = {f"run {k}": [0.1 * k] for k in range(6)}
    scores = {
        "tiou": [0.5],
        "mAP": [0.4],
        "average": 0.4,
        "videos": 1,
        "instances": 2,
        "per_class": {"jump": [0.4]},
        "beside": beside,
    }
    write_page(Page(results={"a": []}, truth={}, scores=scores), tmp_path / "report.html")
    page = browser.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    look = "e => [getComputedStyle(e).stroke, getComputedStyle(e).strokeDasharray].join()"
    drawn = page.locator("svg .line").evaluate_all(f"lines => lines.map({look})")
    look = "e => [getComputedStyle(e).borderTop, getComputedStyle(e).backgroundImage].join()"
    told = page.locator(".stroke").evaluate_all(f"strokes => strokes.map({look})")
    page.close()
    assert len(set(drawn)) == 7
    assert len(set(told)) == 7


def test_terms_are_explained(tmp_path):
    scores = {"tiou": [0.5], "mAP": [0.4], "average": 0.4, "videos": 1, "instances": 2, "per_class": {"jump": [0.4]}}
    write_page(Page(results={"a": []}, truth={}, scores=scores), tmp_path / "report.html")
    text, _ = read(tmp_path / "report.html")
    assert re.search(r'<abbr title="temporal intersection over union[^"]+">tIoU</abbr>', text)
    assert re.search(r'<abbr title="mean average precision[^"]+">mAP</abbr>', text)
    assert '<h2 id="classes-title">' not in text, "where truth is known, its scores are the summary"


def test_a_page_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("here before")
    with pytest.raises(InputError, match=r"report\.html: cannot be written"):
        write_page(Page(results={"a": []}), tmp_path / "file" / "report.html")
    assert (tmp_path / "file").read_text() == "here before"

"""Each paper's cutter with its preset, against the paper's steps in plain loops: one stream, one class after the other."""

import subprocess
import sys
import typing

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from scipy.signal import savgol_filter

from untrimmed.data.errors import InputError
from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.localization import Localization, localize
from untrimmed.localization.recipes import RECIPES
from untrimmed.methods.base import resolve

CLASSES = ("jump", "run", "throw")


def video(seed, kind="gate"):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(8, 60))
    slow = np.cumsum(rng.normal(0, 1, (count, 4)), axis=0)
    gate = 1 / (1 + np.exp(-slow[:, 3]))
    gate = gate if kind == "gate" else gate / gate.sum()
    own = (slow[:, :3] - slow[:, :3].min(0)) / np.ptp(slow[:, :3], axis=0)
    stream = StreamActivation(gate, slow[:, :3], np.array([0.6, 0.3, 0.05]), {"own": own})
    return Activation("v", CLASSES, Timeline(0.0, 1.0, count, float(count)), {"rgb": stream}, attention_kind=kind)


def fine(values, scale):
    return np.interp((np.arange(len(values) * scale) + 0.5) / scale - 0.5, np.arange(len(values)), values)


def runs(above):
    """First and one past the last step of each run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], above.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def sides(score, a, b, side=0.25):
    width = int((b - a) * side) + 1
    return score[max(a - width, 0) : a], score[b : b + width]


def mean(values):
    return values.mean() if len(values) else 0.0


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dgam(stream):
    for c in (0, 1):  # class scores above 0.1
        gate, activation = stream.attention, sigmoid(stream.class_logit[:, c])
        curve = 0.8 * fine(gate * activation, 20) + 0.2 * fine(gate, 20) ** 2
        score = fine(gate**2 * activation, 20)
        for a, b in runs(curve > 0.03):
            yield c, a / 20, b / 20, score[a:b].mean() - 0.3 * sum(map(mean, sides(score, a, b)))


def wtalc(stream):
    top = np.sort(stream.class_logit, axis=0)[::-1][: max(len(stream.class_logit) // 8, 1)].mean(0)
    for c in np.flatnonzero(top > 0):
        logit = stream.class_logit[:, c]
        for a, b in runs(logit > (logit.min() + logit.max()) / 2):
            if b - a >= 2:
                yield c, a, b, logit[a:b].max() + 0.7 * top[c]


def tcam(stream):
    for c in (0, 1):
        logit = stream.class_logit[:, c]
        curve = fine((logit - logit.min()) / (logit.max() - logit.min()), 16)
        window = int(min(max(len(curve) / 16, 3), 255))
        curve = savgol_filter(curve, window - (window + 1) % 2, 1)
        found = set()
        for level in np.arange(1, 11) / 10:
            found.update(runs(binary_dilation(curve > level * curve.mean(), np.ones(20))))
        for a, b in found:
            around = mean(np.concatenate(sides(curve, a, b)))
            yield c, a / 16, b / 16, curve[a:b].mean() - around + 0.25 * stream.class_score[c]


def tsrnet(stream):
    for c in (0, 1):
        w = fine(stream.attention * len(stream.attention) * stream.class_score[c], 20)
        for a, b in runs(w > w.mean()):
            yield c, a / 20, b / 20, w[a:b].mean() - 0.3 * sum(map(mean, sides(w, a, b)))


def cola(stream):
    for c in (0, 1):  # class scores above 0.2
        curve, gate = fine(stream.extra["own"][:, c], 24), fine(stream.attention, 24)
        found = {run for level in np.arange(10) * 0.025 for run in runs(curve > level)}
        found |= {run for level in 0.1 + np.arange(33) * 0.025 for run in runs(gate > level)}
        for a, b in found:
            if b - a >= 2:
                around = mean(np.concatenate(sides(curve, a, b)))
                yield c, a / 24, b / 24, curve[a:b].mean() - around + 0.2 * stream.class_score[c]


def stpn(stream):
    for c in (0, 1):
        gate, logit = stream.attention, stream.class_logit[:, c]
        curve, score = fine(gate * sigmoid(logit), 24), fine(gate * logit, 24)
        for a, b in runs(curve > 0.05):
            yield c, a / 24, b / 24, score[a:b].mean()


def threecnet(stream):
    top = np.sort(stream.class_logit, axis=0)[::-1][: max(len(stream.class_logit) // 8, 1)].mean(0)
    for c in np.flatnonzero((top > 0) & (top > top.max() / 2)):
        logit = stream.class_logit[:, c]
        for a, b in runs(logit > (logit.min() + logit.max()) / 2):
            if b - a >= 2:
                yield c, a, b, logit[a:b].max() + top[c]


def cmcs(stream):
    scores = np.exp(np.pad(stream.class_logit, ((0, 0), (0, 1))))
    scores /= scores.sum(1, keepdims=True)
    for c in (0, 1):
        curve = fine((scores[:, c] - scores[:, c].min()) / (scores[:, c].max() - scores[:, c].min()), 16)
        for a, b in runs(binary_dilation(curve > curve.mean(), np.ones(20))):
            around = mean(np.concatenate(sides(curve, a, b)))
            yield c, a / 16, b / 16, curve[a:b].mean() - around + 0.25 * stream.class_score[c]


def basnet(stream):
    for c in (0, 1):  # class scores above 0.25
        logit = stream.class_logit[:, c]
        low, high = max(logit.min(), 0), max(logit.max(), 0)
        curve = fine((logit - low) / (high - low or 1), 24)
        for a, b in {run for level in np.arange(10) * 0.025 for run in runs(curve > level)}:
            around = mean(np.concatenate(sides(curve, a, b)))
            yield c, a / 24, b / 24, curve[a:b].mean() - around + 0.2 * stream.class_score[c]


@pytest.mark.parametrize(
    ("paper", "preset", "kind"),
    [
        (dgam, "dgam", "gate"),
        (wtalc, "wtalc", "gate"),
        (tcam, "tcam", "gate"),
        (tsrnet, "tsrnet", "distribution"),
        (cola, "cola", "gate"),
        (stpn, "stpn", "gate"),
        (threecnet, "3cnet", "gate"),
        (cmcs, "cmcs", "distribution"),
        (basnet, "basnet", "gate"),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_papers_preset_cuts_as_the_paper_says(paper, preset, kind, seed):
    activation = video(seed, kind)
    # Suppression has tests of its own; what is only in a released code has, too.
    chosen = resolve(preset, "thumos14", {"localization": {"nms": 1.0, "official": False}}, streams=["rgb"]).localization
    found = sorted((CLASSES.index(d.label), d.start, d.end, d.score) for d in localize([activation], chosen)["v"])
    expected = sorted(paper(activation.streams["rgb"]))
    assert len(found) == len(expected)
    assert found
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_what_costs_the_released_codes_of_cola_and_um_results(seed):
    """Left-aligned snippets, surroundings without what is below a level, sides of a quarter, a lost first class and step."""
    activation = video(seed)
    stream, scale = activation.streams["rgb"], 24
    count = len(stream.attention)

    def left_aligned(values):
        at = np.arange(count * scale) / scale
        return np.interp(at, np.arange(count), values) + np.maximum(at - (count - 1), 0) * (values[-1] - values[-2])

    expected = []
    for c in (0, 1):
        curve, gate = left_aligned(stream.extra["own"][:, c]), left_aligned(stream.attention)
        cuts = [(curve > level, np.where(curve < level, 0, curve)) for level in np.arange(10) * 0.025]
        above = {run for level in 0.1 + np.arange(33) * 0.025 for run in runs(gate > level)}
        found = [(a, b, score) for cut, score in cuts for a, b in runs(cut)] + [(a, b, curve) for a, b in above]
        for a, b, score in found:
            size = b - a
            around = np.concatenate([score[max(a - -(-size // 4), 0) : a], score[b : b + size // 4]])
            if size >= 2:
                value = score[a:b].mean() - mean(around) + 0.2 * stream.class_score[c]
                expected.append((c, a / scale, b / scale, value))
    chosen = resolve("cola", "thumos14", {"localization": {"nms": 1.0}}, streams=["rgb"]).localization
    found = sorted((CLASSES.index(d.label), d.start, d.end, d.score) for d in localize([activation], chosen)["v"])
    np.testing.assert_allclose(found, sorted(expected), rtol=0, atol=1e-9)


def test_a_method_without_scores_of_its_own_has_no_curve_of_them():
    activation = video(0)
    activation.streams["rgb"].extra.clear()
    with pytest.raises(InputError, match=r"localization\.curve=own: this method gives no scores of its own"):
        localize([activation], Localization(curve="own"))


def test_every_curve_has_a_recipe():
    assert tuple(RECIPES) == typing.get_args(typing.get_type_hints(Localization)["curve"])


def test_the_settings_need_no_scipy():
    code = "import sys, untrimmed.localization.settings; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

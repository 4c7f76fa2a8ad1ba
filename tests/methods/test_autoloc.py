"""AutoLoc's own parts, against slow and obvious versions; what it shares with all methods is tested in test_every_method."""

import math

import numpy as np
import pytest
import torch

from tests.methods.planted import plant
from untrimmed.data.errors import InputError
from untrimmed.data.types import Activation, StreamActivation, Timeline
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.localization import localize as cut
from untrimmed.methods import autoloc
from untrimmed.methods.base import resolve
from untrimmed.methods.registry import presets_of

FINE = 200
"""Steps of a snippet in the slow version."""


def mean_of(activation, begin, end):
    """The mean of an activation over a stretch, by many points; 0 beyond the video."""
    at = begin + (np.arange(FINE * 40) + 0.5) / (FINE * 40) * (end - begin)
    inside = (at >= 0) & (at < len(activation))
    return np.where(inside, np.asarray(activation)[np.clip(at.astype(int), 0, len(activation) - 1)], 0).mean()


def random_segments(seed):
    rng = np.random.default_rng(seed)
    start = rng.uniform(-2, 10, 30)
    return torch.from_numpy(np.stack([start, start + rng.uniform(0.5, 9, 30)], 1)), torch.from_numpy(rng.uniform(size=12))


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_that_of_the_paper(seed):
    segments, activation = random_segments(seed)
    for (start, end), loss in zip(segments.tolist(), autoloc.loss_oic(segments, activation).tolist()):
        side = max((end - start) / 4, 1)
        outer = (mean_of(activation, start - side, start) + mean_of(activation, end, end + side)) / 2
        assert abs(loss - (outer - mean_of(activation, start, end) + 1) / 2) < 1e-3
    assert torch.autograd.gradcheck(lambda s: autoloc.loss_oic(s, activation), (segments.requires_grad_(),))


@pytest.mark.parametrize(
    ("first", "last", "loss"), [(3, 6, 0.15625), (4, 5, 0.4625), (0, 3, 0.54375), (8, 11, 0.40375), (9, 9, 0.3675)]
)
def test_the_loss_of_whole_snippets_is_the_released_codes(first, last, loss):
    """Numbers of its `oic_from_pred`, which takes the last snippet in; sides of one snippet, where it rounds nothing."""
    activation = torch.tensor([0.05, 0.1, 0.2, 0.9, 0.8, 0.95, 0.7, 0.1, 0.05, 0.3, 0.02, 0.6], dtype=torch.float64)
    assert autoloc.loss_oic(torch.tensor([first, last + 1.0]).double(), activation).item() == pytest.approx(loss, abs=1e-12)


def test_a_segment_that_fits_has_the_lowest_loss_and_its_gradient_leads_there():
    activation = torch.zeros(20, dtype=torch.float64)
    activation[6:10] = 1
    assert autoloc.loss_oic(torch.tensor([6.0, 10.0]), activation) == 0
    assert autoloc.loss_oic(torch.tensor([12.0, 16.0]), activation) == 0.5  # nothing inside, nothing outside
    segment = torch.tensor([6.4, 10.5], requires_grad=True)
    autoloc.loss_oic(segment, activation).backward()
    assert segment.grad[0] > 0  # begin earlier
    assert segment.grad[1] > 0  # end earlier


def test_anchors_begin_centred_on_their_snippets():
    torch.manual_seed(0)
    net = autoloc.Net(3, 4, (1, 2, 8)).eval()
    torch.nn.init.zeros_(net.boundaries.weight)
    with torch.no_grad():
        found = net(torch.randn(5, 3))
    for snippet in range(5):
        for anchor, width in enumerate((1, 2, 8)):
            assert found[snippet, anchor].tolist() == [snippet + 0.5 - width / 2, snippet + 0.5 + width / 2]


@pytest.mark.parametrize("seed", range(5))
def test_the_best_anchor_of_each_activated_snippet_stands_unless_a_better_one_overlaps(seed):
    rng = np.random.default_rng(seed)
    config = resolve("autoloc", "thumos14", {"foreground": 0.3}).method
    loss, start = rng.uniform(0.2, 1, (15, 3)), np.arange(15)[:, None] + rng.uniform(-1, 1, (15, 3))
    segments, activation = np.stack([start, start + rng.uniform(1, 6, (15, 3))], -1), rng.uniform(size=15)
    expected = []
    for t in np.argsort(loss.min(1)):
        own = segments[t, loss[t].argmin()]
        if activation[t] <= 0.3 or loss[t].min() >= 0.7:
            continue
        others = [segments.reshape(-1, 2)[i] for i in expected]
        shared = [max(0, min(own[1], b) - max(own[0], a)) for a, b in others]
        if all(s / (own[1] - own[0] + b - a - s) <= 0.4 for s, (a, b) in zip(shared, others)):
            expected.append(t * 3 + loss[t].argmin())
    found = autoloc.chosen_segments(*map(torch.from_numpy, (loss, segments, activation)), config)
    assert found.tolist() == expected


def test_the_activation_is_the_class_score_where_it_is_attended_to():
    logit, video = np.array([[0.0, 2.0], [4.0, -1.0]]), np.array([0.5, 0.5])
    sigmoid = 1 / (1 + np.exp(-logit))
    own = np.array([[0.1, 0.9], [0.3, 0.2]])
    gated = StreamActivation(np.array([0.5, 1.0]), logit, video)
    told = StreamActivation(np.array([0.25, 0.75]), logit, video, {"own": own})
    plain = StreamActivation(None, logit, video)
    np.testing.assert_allclose(autoloc.class_activation({"a": plain}, "gate"), sigmoid, rtol=1e-6)
    np.testing.assert_allclose(autoloc.class_activation({"a": gated}, "gate"), sigmoid * [[0.5], [1]], rtol=1e-6)
    spread = own * [[0.5], [1]]  # 2 x 0.75 counts as 1
    np.testing.assert_allclose(autoloc.class_activation({"a": told, "b": plain}, "distribution"), (spread + sigmoid) / 2, rtol=1e-6)


def test_the_released_settings_train(tmp_path):
    planted = plant(tmp_path, train=8, test=2, empty=0)
    data = {"features": planted.features, "labels": planted.labels, "out": tmp_path / "run"}
    settings = {"stage": ["epochs=2", "flow.epochs=2", "background=false"], "hidden": 4}
    run = train("autoloc", preset="thumos14", settings=settings, **data).run
    assert localize(run, features=planted.features, out=tmp_path / "d.json").results


def test_anchors_without_a_width_are_told():
    for anchors in ([], [2, 0]):
        with pytest.raises(InputError, match="anchors"):
            resolve("autoloc", "default", {"anchors": anchors})


def test_presets_train_as_long_as_the_code():
    for preset, videos, steps in (("thumos14", 200, 200), ("activitynet", 4819, 4706)):
        assert math.isclose(resolve("autoloc", preset).method.epochs * videos, steps, rel_tol=0.03)
    assert {"default", "demo"} <= set(presets_of("autoloc"))


def test_a_segment_is_found_for_its_own_class_alone():
    video = np.array([0.6, 0.4])
    extra = {
        "proposals": np.array([[0.0, 3.0], [5.0, 8.0]], dtype=np.float32),
        "proposal_score": np.array([[0.9, 0.0], [0.0, 0.8]], dtype=np.float32),
    }
    stream = StreamActivation(None, np.zeros((10, 2)), video, extra)
    activation = Activation("v", ("a", "b"), Timeline(0.0, 1.0, 10, 10.0), {"rgb": stream})
    found = cut([activation], resolve("autoloc").localization)["v"]
    assert sorted(found) == [(0.0, 3.0, "a", pytest.approx(0.9)), (5.0, 8.0, "b", pytest.approx(0.8))]

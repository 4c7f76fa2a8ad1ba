"""P-MIL's own parts, against its formulas written out anew; what it shares with all methods is tested in test_every_method."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.planted import plant
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.methods import pmil
from untrimmed.methods.base import activations_of, load_method, resolve

CLASSES, PROPOSALS = 3, 17


def random_video(seed: int):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 20, PROPOSALS)
    proposals = np.stack([start, start + rng.uniform(1, 8, PROPOSALS)], 1)
    cas = rng.normal(size=(2, PROPOSALS, CLASSES + 1))
    gates = rng.uniform(0.01, 0.99, size=(2, 2, PROPOSALS))
    labels = (rng.uniform(size=CLASSES) < 0.5).astype(np.float64)
    labels[0] = 1
    return proposals, cas, gates, labels


def iou(a, b):
    inside = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return inside / (a[1] - a[0] + b[1] - b[0] - inside)


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def mil(cas, labels, background):
    video = [np.mean(sorted(cas[:, c])[-(PROPOSALS // 8) :]) for c in range(CLASSES + 1)]
    target = np.append(labels, background)
    return -(target / (target.sum() + 1e-4)) @ np.log(softmax(video))


def rank_consistency(student, teacher, attention, proposals):
    terms = []
    for i, own in enumerate(proposals):
        if attention[i] > attention.mean():
            near = [j for j, other in enumerate(proposals) if iou(own, other) > 0]
            p, q = softmax(teacher[near]), softmax(student[near])
            terms.append((p * (np.log(p) - np.log(q))).sum())
    return np.mean(terms)


def completeness(predicted, attention, proposals, share):
    left = [i for i in range(PROPOSALS) if attention[i] > share * attention.max()]
    instances = []
    while left:
        best = max(left, key=lambda i: attention[i])
        instances.append(best)
        left = [i for i in left if iou(proposals[i], proposals[best]) <= 0]
    goal = [max(iou(own, proposals[i]) for i in instances) for own in proposals]
    return np.mean((predicted - goal) ** 2)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 10**6), part=st.floats(0, 1))
def test_the_losses_are_those_of_the_code(seed, part):
    proposals, cas, ((va, fa), (vc, fc)), labels = random_video(seed)
    v, f = cas
    plain = (mil(v, labels, 1) + mil(f, labels, 1)) / 2
    supp = (mil(v * va[:, None], labels, 0) + mil(f * fa[:, None], labels, 0)) / 2
    own = np.flatnonzero(labels)
    irc = np.mean(
        [rank_consistency(v[:, c], f[:, c], fa, proposals) + rank_consistency(f[:, c], v[:, c], va, proposals) for c in own]
    )
    comp = (completeness(vc, fa, proposals, 0.8) + completeness(fc, va, proposals, 0.8)) / 2
    told = [pmil.Told(*map(torch.from_numpy, one)) for one in ((v, va, vc), (f, fa, fc))]
    overlap = torch.from_numpy(np.array([[iou(a, b) for b in proposals] for a in proposals]))
    np.testing.assert_allclose(pmil.overlap_of(proposals), overlap, atol=1e-6)
    found = pmil.losses_of(told, torch.from_numpy(labels), overlap, pmil.Config(), part)
    expected = {"cls": plain, "cls_supp": supp, "irc": irc / 2, "comp": comp}
    for name, value in expected.items():
        assert math.isclose(found[name].item(), value, rel_tol=1e-7, abs_tol=1e-9), name
    total = 2 * plain + supp + part * (2 * irc / 2 + 20 * comp)
    assert math.isclose(found["total"].item(), total, rel_tol=1e-7)


def test_gradients_by_finite_differences():
    proposals, cas, gates, _ = random_video(1)
    overlap = pmil.overlap_of(proposals).double()
    student, teacher = (torch.from_numpy(x[:, 0]).requires_grad_() for x in cas)
    attention, complete = torch.from_numpy(gates[0, 0]), torch.from_numpy(gates[1, 0]).requires_grad_()
    check = torch.autograd.gradcheck
    assert check(lambda x: pmil.loss_irc(x, teacher, attention, overlap), (student,))
    assert check(lambda x: pmil.loss_comp(x, attention, overlap, 0.8), (complete,))
    pmil.loss_irc(student, teacher, attention, overlap).backward()
    assert teacher.grad is None  # the teacher does not learn


def test_a_video_without_action_has_no_instances():
    proposals, cas, gates, _ = random_video(2)
    told = [pmil.Told(*map(torch.from_numpy, one)) for one in zip(cas, *gates)]
    found = pmil.losses_of(told, torch.zeros(CLASSES, dtype=torch.float64), pmil.overlap_of(proposals).double(), pmil.Config(), 1.0)
    assert found["irc"] == found["comp"] == found["cls_supp"] == 0
    assert found["cls"] > 0


def test_a_proposals_feature_is_its_inside_and_what_sets_it_apart():
    x = torch.zeros(40, 2)
    x[10:18, 0] = 1.0  # inside of the proposal
    x[18:20, 1] = 3.0  # right of it, within a quarter of its length
    found = pmil.contrasted(x, np.array([[10.0, 18.0]]))[0]  # twelve bins from 8 to 20: a snippet each
    expected = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, -3.0]])  # inside less left, inside, inside less right
    torch.testing.assert_close(found.view(3, 2), expected)


def test_the_ramp_is_exponential():
    assert pmil.ramp(0, 30) == pytest.approx(math.exp(-5))
    assert pmil.ramp(15, 30) == pytest.approx(math.exp(-1.25))
    assert pmil.ramp(30, 30) == pmil.ramp(99, 30) == pmil.ramp(0, 0) == 1


SMALL = {"epochs": 2, "hidden": 6, "batch": 4, "proposals": 8, "data": {"snippets": 16}}


def test_its_proposals_are_what_the_run_finds(base, tmp_path):
    planted, data, run = base
    second = train("pmil", settings={**SMALL, "run": str(run)}, out=tmp_path / "run", **data).run
    video = next(iter(planted.subset("test")))
    features = {stream: np.array(x) for stream, x in planted.store.load(video).items()}
    found = activations_of(load_method(second / "model"), features)["joint"].extra["proposals"]
    its = localize(run, features=planted.features, out=tmp_path / "a.json").results[video]
    step = planted.store.timeline(video).step
    rounded = {(round(float(a) * step, 3), round(float(b) * step, 3)) for a, b in found}
    assert rounded == {(round(d.start, 3), round(d.end, 3)) for d in its}


def test_the_released_settings_train(tmp_path):
    planted = plant(tmp_path, train=8, test=1, empty=0)
    chosen = {**SMALL, "stage": ["epochs=1", "hidden=4", "attention_hidden=2", "batch=4"]}
    data = {"features": planted.features, "labels": planted.labels, "out": tmp_path / "run"}
    run = train("pmil", preset="thumos14", settings=chosen, **data).run
    assert localize(run, features=planted.features, out=tmp_path / "d.json").results


def test_presets_end_after_as_many_steps():
    for preset, videos in (("thumos14", 200), ("thumos14-101", 1010), ("activitynet", 4819), ("activitynet-1.3", 10_024)):
        chosen = resolve("pmil", preset).method
        assert abs(chosen.epochs * math.ceil(videos / chosen.batch) - 4_000) < 150

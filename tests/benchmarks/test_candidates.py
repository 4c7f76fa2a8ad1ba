"""The candidates among which a method of our own was sought."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

import candidates
from tests.methods.planted import Planted, plant, plant_clips
from untrimmed.data.annotations import VideoTruth, write_annotations
from untrimmed.data.store import FeatureStore
from untrimmed.data.types import Segment
from untrimmed.methods.base import activations_of, method_class, resolve
from untrimmed.methods.registry import METHODS, presets_of
from untrimmed.methods.tsrnet import TSRNet
from untrimmed.runs.supervision import training_set, trimmed_set
from untrimmed.training import Run

BRIEF = {"epochs": 2, "iterations": 1, "batch": 8, "hidden": 8, "attention_hidden": 4, "data": {"snippets": 12}}
SMALL = {"latent": 4, "aggregation_hidden": 8}


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant_clips(plant(tmp_path_factory.mktemp("planted"), train=14, test=3), count=9)


def fit(cls, planted, folder, settings, clips=True):
    preset = resolve("tsrnet", "default", BRIEF)
    config = cls.Config(**{**vars(preset.method), **settings})
    data = training_set(planted.store, planted.labels, None, preset.data)
    if clips:
        data = replace(data, trimmed=trimmed_set(FeatureStore(planted.clips["trimmed"]), planted.clips["trimmed_labels"], data))
    with Run(folder, {}, {}, seed=0) as run:
        with run.seeded("init"):
            method = cls(config, data.classes, planted.store.streams)
        method.fit(data, run)
    return method


def activations(method, planted):
    video = sorted(planted.subset("test"))[0]
    return activations_of(method, {stream: torch.from_numpy(np.array(x)) for stream, x in planted.store.load(video).items()})


@pytest.mark.parametrize("clips", [True, False])
def test_without_any_part_it_is_tsrnet(planted, tmp_path, clips):
    one = fit(candidates.Candidate, planted, tmp_path / "a", {}, clips)
    other = fit(TSRNet, planted, tmp_path / "b", {}, clips)
    for name, weight in other.state_dict().items():
        torch.testing.assert_close(one.state_dict()[name], weight)
    own, theirs = activations(one, planted), activations(other, planted)
    for stream in theirs:
        np.testing.assert_allclose(own[stream].attention, theirs[stream].attention, rtol=1e-4)
        np.testing.assert_allclose(own[stream].class_logit, theirs[stream].class_logit, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(own[stream].class_score, theirs[stream].class_score, rtol=1e-4)


@pytest.mark.parametrize("name", candidates.CANDIDATES)
def test_every_candidate_learns_something_else_than_tsrnet(planted, tmp_path, name):
    settings = SMALL | candidates.CANDIDATES[name]
    method = fit(candidates.Candidate, planted, tmp_path / "run", settings)
    plain = fit(candidates.Candidate, planted, tmp_path / "plain", {"gate": settings.get("gate", False)})
    for stream, told in activations(method, planted).items():
        assert all(np.isfinite(values).all() for values in (told.attention, told.class_logit, told.class_score))
        assert (method.attention_kind == "gate") == settings.get("gate", False)
        if settings.keys() - SMALL.keys() - {"gate"}:
            assert not np.array_equal(told.class_logit, activations(plain, planted)[stream].class_logit)


def test_it_is_a_method_of_another_package_with_the_presets_of_tsrnet():
    assert "candidate" not in METHODS
    assert method_class("candidate") is candidates.Candidate
    theirs = presets_of("tsrnet")
    assert presets_of("candidate") == {name: theirs[name] for name in ("default", "demo")}
    assert resolve("candidate", overrides=candidates.CANDIDATES[candidates.CHOSEN]).method.gate


def test_no_test_annotation_is_in_the_choice(tmp_path):
    splice, out = tmp_path / "splice", tmp_path / "out"
    held = candidates.HELD_OUT.read_text().split()[1:]
    truth = {f"train_{number:04}": VideoTruth("train", 9.0, (Segment(0, 1, "a"),)) for number in range(160)}
    write_annotations(splice / "annotations.json", truth | {"test_0": VideoTruth("test", 9.0, ())}, "made")
    out.mkdir()
    tree = candidates.choice(splice, [tmp_path / "w1"], out, ["TSRNet", candidates.CHOSEN])
    learn = (out / "only.csv").read_text().split()[1:]
    scored = yaml.safe_load((out / "held-out.json").read_text())["database"]
    assert sorted(scored) == sorted(held)
    assert len(held) == 40
    assert sorted([*learn, *scored]) == sorted(truth)
    assert tree["data"]["splice"]["annotations"] == str(out / "held-out.json")
    assert set(tree["runs"]) == {"TSRNet", "demo TSRNet", candidates.CHOSEN, f"demo {candidates.CHOSEN}"}
    assert all(run["trimmed"] for run in tree["runs"].values())
    assert not any(run["trimmed"] for run in candidates.choice(splice, [], out, ["TSRNet"], clips=False)["runs"].values())
    assert candidates.confirmation(tmp_path)["runs"]["together"]["settings"] == candidates.CANDIDATES[candidates.CHOSEN]

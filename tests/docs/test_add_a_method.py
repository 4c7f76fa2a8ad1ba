"""The method of docs/add-a-method.md, exactly as it stands there, trains and finds what it should."""

import sys
import types

import pytest
import yaml

import untrimmed.methods.base as base
from tests.docs.pages import ROOT, blocks
from tests.methods.planted import plant
from untrimmed.data.annotations import read_detections
from untrimmed.evaluation.activitynet import evaluate_detections
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.training import Run


@pytest.fixture
def meanpool(monkeypatch):
    """The page's method, registered as the page says."""
    python, presets = (
        next(b.text for b in blocks(ROOT / "docs" / "add-a-method.md") if b.language == kind) for kind in ("python", "yaml")
    )
    module = types.ModuleType("meanpool_of_the_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(python, "add-a-method.md", "exec"), module.__dict__)
    of_others = base.presets_of
    monkeypatch.setattr(base, "presets_of", lambda name: yaml.safe_load(presets) if name == "meanpool" else of_others(name))
    monkeypatch.setitem(base.METHODS, "meanpool", f"{module.__name__}:MeanPool")


def test_it_learns(meanpool, tmp_path):
    problem = plant(tmp_path / "problem")
    run = tmp_path / "run"
    train("meanpool", features=problem.features, labels=problem.labels, out=run, settings={"epochs": 20})
    localize(run, features=problem.features, subset_from=problem.annotations, subset="test", out=run / "detections.json")
    truth = problem.subset("test")
    found = read_detections(run / "detections.json")
    assert found.untrimmed["method"] == "meanpool"
    score = evaluate_detections(truth, found.results, problem.classes, [0.1, 0.3]).mean_ap
    whole = {video: [d._replace(start=0.0, end=one.duration) for d in found.results[video][:1]] for video, one in truth.items()}
    assert score[1] > evaluate_detections(truth, whole, problem.classes, [0.3]).mean_ap[0] + 0.1
    assert score[0] > 0.5


def test_it_resumes(meanpool, tmp_path, monkeypatch):
    problem = plant(tmp_path / "problem", train=6, test=0)
    inputs = {"features": problem.features, "labels": problem.labels, "settings": {"epochs": 4}}
    train("meanpool", **inputs, out=tmp_path / "whole")
    monkeypatch.setitem(Run.__init__.__kwdefaults__, "save_seconds", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", _stop_at(3))
        with pytest.raises(KeyboardInterrupt):
            train("meanpool", **inputs, out=tmp_path / "halves")
    assert list((tmp_path / "halves" / "checkpoints").iterdir())
    train("meanpool", **inputs, out=tmp_path / "halves", resume=True)
    weights = [(tmp_path / name / "model" / "weights.safetensors").read_bytes() for name in ("whole", "halves")]
    assert weights[0] == weights[1]


def _stop_at(turn: int):
    """In place of `Run.log`: Ctrl-C in the given turn."""
    turns = iter(range(1, 100))

    def log(self, **values):
        if next(turns) == turn:
            raise KeyboardInterrupt

    return log

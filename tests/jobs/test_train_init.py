"""Training on some of the classes, and from the weights of an earlier run."""

import pytest
import torch

from tests.methods.planted import Planted, plant
from untrimmed.data.errors import InputError
from untrimmed.data.labels import read_labels
from untrimmed.jobs.train import train
from untrimmed.methods.base import carry_over, load_method, method_class, resolve

BRIEF = {"epochs": 2, "iterations": 1, "batch": 8, "hidden": 8, "attention_hidden": 4, "data": {"snippets": 8}}


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"), train=15, test=3, length=(10, 14))


@pytest.fixture(scope="module")
def earlier(planted, tmp_path_factory):
    """A run that knows two of the three classes."""
    return train_on(planted, tmp_path_factory.mktemp("earlier") / "run", classes=["act00", "act02"])


def train_on(planted, out, method="tsrnet", settings=None, **more):
    data = {"features": planted.features, "labels": planted.labels}
    return train(method, out=out, settings={**BRIEF, **(settings or {})}, **{**data, **more}).run


def fresh(planted, classes, **settings):
    preset = resolve("tsrnet", "default", {**BRIEF, **settings})
    return method_class("tsrnet")(preset.method, classes, planted.store.streams)


def test_only_the_chosen_classes_are_learned(planted, earlier):
    tags = read_labels(planted.labels).tags
    videos = set((earlier / "environment.json").read_text().split('"'))
    for video, own in tags.items():
        assert (video in videos) == (not own or bool(own & {"act00", "act02"}))
    assert load_method(earlier / "model").classes == ("act00", "act02")


def test_weights_are_carried_over_and_class_rows_by_label(planted, earlier):
    source, model = load_method(earlier / "model"), fresh(planted, ("act00", "act01", "act02"))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    assert carry_over(model, source) == []
    there = source.state_dict()
    for name, weight in model.state_dict().items():
        if "classifier" in name:
            assert torch.equal(weight[[0, 2, 3]], there[name])  # the last one is the background's
            assert torch.equal(weight[1], before[name][1])
        else:
            assert torch.equal(weight, there[name])


def test_as_many_classes_are_not_the_same_classes(planted, earlier):
    source, model = load_method(earlier / "model"), fresh(planted, ("act02", "else"))
    before = model.state_dict()["streams.rgb.classifier.weight"].clone()
    carry_over(model, source)
    weight, there = (m.state_dict()["streams.rgb.classifier.weight"] for m in (model, source))
    assert torch.equal(weight[0], there[1])
    assert torch.equal(weight[1], before[1])


def test_layers_of_another_size_start_anew(planted, earlier):
    model = fresh(planted, ("act00",), hidden=9)
    left = carry_over(model, load_method(earlier / "model"))
    assert {name.split(".", 2)[2] for name in left} == {"fc1.weight", "fc1.bias", "classifier.weight"}


def test_a_run_starts_from_another(planted, earlier, tmp_path, capsys):
    began = train_on(planted, tmp_path / "run", init=earlier, settings={"learning_rate": 0.0})
    assert "which knows 2 of the 3 classes" in capsys.readouterr().err
    weight, there = (load_method(run / "model").state_dict()["streams.flow.fc1.weight"] for run in (began, earlier))
    assert torch.equal(weight, there)
    assert "init" in (began / "config.yaml").read_text()
    with pytest.raises(InputError, match="cannot resume with other settings: init"):
        train_on(planted, tmp_path / "run", settings={"learning_rate": 0.0}, resume=True)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"classes": ["act00", "act3"]}, "unknown name 'act3'"),
        ({"classes": []}, "`classes`: names no class"),
        ({"classes": ["act00", ""]}, "`classes`: names no class"),
        ({"method": "dgam", "settings": {"attention_hidden": 4}}, "method: unknown name"),
        ({"init": "nowhere"}, "nowhere: no such run; name the folder"),
    ],
)
def test_what_cannot_be(more, words, planted, tmp_path):
    with pytest.raises(InputError, match=words):
        train_on(planted, tmp_path / "run", **more)
    assert not (tmp_path / "run").exists()


def test_another_method_or_other_streams_are_no_start(planted, earlier, tmp_path):
    brief = {"epochs": 2, "batch": 8, "hidden": 8, "data": {"snippets": 8}}
    data = {"features": planted.features, "labels": planted.labels}
    with pytest.raises(InputError, match="its model is of tsrnet, not of dgam"):
        train("dgam", **data, settings=brief, init=earlier, out=tmp_path / "run")
    narrow = plant(tmp_path / "narrow", train=9, test=1, streams={"rgb": 7})
    with pytest.raises(InputError, match=r"was trained on the streams .*'flow': 20.*; these features have .'rgb': 7."):
        train_on(narrow, tmp_path / "run", init=earlier)
    with pytest.raises(InputError, match="go with `labels`"):
        train("tcam", features=planted.features, unlabelled=True, init=earlier, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()

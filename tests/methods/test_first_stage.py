"""Methods that build upon another's run, or train their first stage themselves."""

import json

import numpy as np
import pytest
import torch

from untrimmed.data.errors import InputError
from untrimmed.jobs.train import train
from untrimmed.methods.base import activations_of, load_method

SMALL = {
    "autoloc": {"epochs": 2, "hidden": 6, "data": {"snippets": 16}},
    "pmil": {"epochs": 2, "hidden": 6, "batch": 4, "proposals": 8, "data": {"snippets": 16}},
}


@pytest.mark.parametrize("name", SMALL)
def test_it_is_a_second_stage_on_a_run(name, base, tmp_path):
    planted, data, run = base
    second = train(name, settings={**SMALL[name], "run": str(run)}, out=tmp_path / "run", **data).run
    first, method = load_method(run / "model"), load_method(second / "model")
    for key, weight in first.state_dict().items():
        assert torch.equal(method.first.state_dict()[key], weight)
    assert len((second / "metrics.jsonl").read_text().splitlines()) == 2  # only the second stage was trained
    assert str(run) not in (second / "model" / "model.json").read_text()
    assert json.loads((second / "model" / "model.json").read_text())["config"]["first"] == "wtalc"
    video = next(iter(planted.subset("test")))
    features = {stream: np.array(x) for stream, x in planted.store.load(video).items()}
    before, after = activations_of(first, features)["joint"], activations_of(method, features)["joint"]
    np.testing.assert_array_equal(before.class_logit, after.class_logit)


@pytest.mark.parametrize("name", SMALL)
def test_a_run_of_other_classes_or_none_at_all_is_told(name, base, tmp_path):
    planted, data, run = base
    with pytest.raises(InputError, match="knows other classes or streams"):
        train(name, settings={**SMALL[name], "run": str(run)}, classes=planted.classes[:2], out=tmp_path / "a", **data)
    with pytest.raises(InputError, match="no finished model"):
        train(name, settings={**SMALL[name], "run": str(tmp_path)}, out=tmp_path / "b", **data)
    with pytest.raises(InputError, match="must be another method"):
        train(name, settings={**SMALL[name], "first": name}, out=tmp_path / "c", **data)
    assert not any((tmp_path / name).exists() for name in "abc")

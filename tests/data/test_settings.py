"""Names that settings had in earlier versions are still read."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from untrimmed.data.errors import InputError
from untrimmed.data.settings import build, of_stream, renamed, setting
from untrimmed.methods.base import resolve


@dataclass(frozen=True)
class Config:
    decay: float = setting(0.0, "decay per step", low=0, high=1, was="average")
    epochs: int = setting(3, "passes", low=1)
    streams: dict[str, dict[str, Any]] = field(default_factory=dict)


@pytest.mark.parametrize("name", ["decay", "average"])
def test_either_name_sets_it(name):
    made = build(Config, {name: 0.5, "flow": {name: 0.25}}, "method")
    assert (made.decay, of_stream(made, "flow").decay, of_stream(made, "rgb").decay) == (0.5, 0.25, 0.5)
    assert build(Config, {"streams": {"flow": {name: 0.25}}}, "method").streams == {"flow": {"decay": 0.25}}


def test_an_error_has_the_name_of_today():
    with pytest.raises(InputError, match=r"method.decay: 2 is out of range"):
        build(Config, {"average": 2}, "method")


def test_other_names_stay():
    assert renamed(Config, {"average": 1, "epochs": 2, "rgb": {"average": 3}}) == {"decay": 1, "epochs": 2, "rgb": {"decay": 3}}


def test_an_old_name_overrides_the_preset():
    assert resolve("dgam").method.ema_decay == 0.95
    assert resolve("dgam", overrides={"average": 0.5}).method.ema_decay == 0.5
    assert resolve("dgam", overrides={"rgb": {"average": 0.25}}).method.streams == {"rgb": {"ema_decay": 0.25}}

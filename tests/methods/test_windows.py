"""Long videos: curves computed in overlapping windows are those of one piece, for networks that look around themselves too."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from untrimmed.data.types import StreamActivation
from untrimmed.methods import base
from untrimmed.methods.base import Method, SnippetScores, activations_of, method_class, resolve, weighted_sum

WIDTHS = {"rgb": 6, "flow": 5}


@dataclass(frozen=True)
class Config:
    """No settings."""


class Convolutional(Method):
    """Three convolutions over time, the last one dilated: a snippet sees five on either side."""

    name: ClassVar = "convolutional"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 11

    def __init__(self, config, classes, streams):
        super().__init__(config, classes, streams)
        self.lengths: list[int] = []
        self.nets = nn.ModuleDict(
            {
                stream: nn.Sequential(
                    nn.Conv1d(width, 8, 3, padding=1),
                    nn.Tanh(),
                    nn.Conv1d(8, 8, 3, padding=1),
                    nn.Tanh(),
                    nn.Conv1d(8, len(classes) + 1, 3, padding=3, dilation=3),
                )
                for stream, width in streams.items()
            }
        )

    def fit(self, data, run):
        raise AssertionError("not trained here")

    def curves(self, features):
        found = {}
        for stream, x in features.items():
            self.lengths.append(len(x))
            out = self.nets[stream](x.t()[None])[0].t()
            found[stream] = SnippetScores(out[:, -1] if stream == "rgb" else None, out[:, :-1])
        return found

    def pool(self, features, curves):
        """The softmax over time needs the whole video."""
        return {
            stream: StreamActivation(
                None if curve.attention_logit is None else torch.softmax(curve.attention_logit, 0).numpy(),
                curve.class_logit.numpy(),
                torch.sigmoid(curve.class_logit.topk(1 + len(curve.class_logit) // 8, dim=0)[0].mean(0)).numpy(),
            )
            for stream, curve in curves.items()
        }


def made(cls: type[Method], config) -> Method:
    torch.manual_seed(0)
    return cls(config, ("jump", "run"), WIDTHS).eval()


def features(count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return {stream: torch.rand(count, width, generator=generator) for stream, width in WIDTHS.items()}


def assert_alike(method: Method, count: int, window: int) -> None:
    """The video whole, as tensors, and in windows, as arrays of float16 that a store would hold."""
    stored = {stream: x.numpy().astype(np.float16) for stream, x in features(count).items()}
    x = {stream: torch.from_numpy(array.astype(np.float32)) for stream, array in stored.items()}
    whole, parts = activations_of(method, x, window=count), activations_of(method, stored, window=window)
    assert whole.keys() == parts.keys()
    for stream, one in whole.items():
        other = parts[stream]
        assert (one.attention is None) == (other.attention is None)
        for name in ("attention", "class_logit", "class_score"):
            if getattr(one, name) is not None:
                ours, theirs = torch.as_tensor(getattr(one, name)), torch.as_tensor(getattr(other, name))
                torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(count=st.integers(1, 60), window=st.integers(1, 60))
def test_a_method_that_looks_around_itself(count, window):
    method = made(Convolutional, Config())
    assert_alike(method, count, window)
    pieces = method.lengths[len(WIDTHS) :]  # behind those of the whole
    assert max(pieces) <= max(window + 10, min(count, window))


def test_its_neighbourhood_matters():
    """With a reach that is one snippet short the joins would show: the test above could fail."""
    method = made(Convolutional, Config())
    method.reach = 9  # type: ignore[misc]
    with pytest.raises(AssertionError):
        assert_alike(method, 60, 20)


@pytest.mark.every_method
def test_every_method(name):
    method = made(method_class(name), resolve(name).method)
    assert_alike(method, 50 + 2 * (method.reach or 0), 16)


def test_the_whole_video_is_given_to_a_method_that_needs_it():
    method = made(Convolutional, Config())
    method.reach = None  # type: ignore[misc]
    activations_of(method, features(50), window=8)
    assert set(method.lengths) == {50}


@pytest.mark.every_method
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_short_video_is_the_same_to_the_last_bit_as_tensors_or_as_stored(name, dtype):
    stored = {stream: x.numpy().astype(dtype) for stream, x in features(50).items()}
    x = {stream: torch.from_numpy(array.astype(np.float32)) for stream, array in stored.items()}
    method = made(method_class(name), resolve(name).method)
    with torch.no_grad():
        plain = method.pool(x, method.curves(x))
    for stream, found in activations_of(method, stored).items():
        for part in ("attention", "class_logit", "class_score"):
            assert np.array_equal(getattr(found, part), getattr(plain[stream], part)), (stream, part)


@pytest.mark.parametrize("window", [1, 16, 50, 4096])
def test_a_weighted_sum_in_windows(window):
    x, weights = features(50)["rgb"], torch.linspace(0, 1, 50).softmax(0)
    of_tensor, of_array = weighted_sum(weights, x, window), weighted_sum(weights, x.numpy(), window)
    torch.testing.assert_close(of_tensor, weights @ x)
    assert torch.equal(of_array, of_tensor)


@pytest.mark.every_method
def test_no_more_than_a_window_of_features_is_held(name, monkeypatch):
    """Of a long video no method asks for more rows at once, and what was read of a memory map is let go each time."""
    method, held = made(method_class(name), resolve(name).method), []
    if method.reach is None:
        pytest.skip("its curves need the whole video")
    monkeypatch.setattr(base, "release_pages", lambda array: held.append(len(array)))
    activations_of(method, {stream: x.numpy() for stream, x in features(base.WINDOW + 500).items()})
    assert max(held) <= base.WINDOW + method.reach - 1  # and its neighbours on both sides
    assert sum(held) >= (base.WINDOW + 500) * len(WIDTHS)

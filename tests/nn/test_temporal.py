"""Convolutions over time: padding with other videos' length changes nothing, and they look as far as they say."""

import pytest
import torch

from untrimmed.nn.pooling import inside
from untrimmed.nn.temporal import TemporalConvolution, reach_of


@pytest.mark.parametrize(("kernel", "dilation", "groups"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (13, 2, 4)])
def test_a_padded_video_is_as_one_by_itself(kernel, dilation, groups):
    torch.manual_seed(0)
    first = TemporalConvolution(4, 8, kernel, dilation=dilation, groups=groups)
    second = TemporalConvolution(8, 2, kernel)
    x, length = torch.randn(3, 20, 4), torch.tensor([20, 1, 13])
    own = inside(length, 20)
    together = second(first(x, own).relu(), own)
    assert together.shape == (3, 20, 2)
    for video, count in enumerate(length.tolist()):
        alone = second(first(x[video : video + 1, :count]).relu())
        torch.testing.assert_close(together[video : video + 1, :count], alone)


def test_convolutions_look_as_far_as_they_say():
    layers = [TemporalConvolution(1, 1, 3), TemporalConvolution(1, 1, 3, dilation=4), TemporalConvolution(1, 1, 1)]
    x = torch.randn(1, 41, 1, requires_grad=True)
    out = x
    for layer in layers:
        torch.nn.init.ones_(layer.weight)
        out = layer(out)
    out[0, 20, 0].backward()
    seen = torch.nonzero(x.grad[0, :, 0])
    assert reach_of(*layers) == 11
    assert seen.max() - seen.min() + 1 == 11

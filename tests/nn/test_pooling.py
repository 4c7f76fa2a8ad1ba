"""The mean of the highest, against sorting."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.nn.pooling import inside, one_in, top_mean


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 10**6), share=st.integers(1, 9), up=st.booleans())
def test_it_is_the_mean_of_the_highest(seed, share, up):
    rng = torch.Generator().manual_seed(seed)
    score = torch.randn(6, 20, 3, generator=rng, dtype=torch.float64)
    length = torch.randint(1, 21, (6,), generator=rng)
    found = top_mean(score, length, one_in(share, length, up))
    for video, count in enumerate(length.tolist()):
        many = max(math.ceil(count / share) if up else count // share, 1)
        for c in range(3):
            highest = sorted(score[video, :count, c].tolist(), reverse=True)[:many]
            assert math.isclose(found[video, c].item(), sum(highest) / many, rel_tol=1e-12, abs_tol=1e-12)


def test_what_lies_beyond_a_videos_end_changes_nothing():
    score = torch.arange(10.0).view(2, 5, 1).requires_grad_()
    length = torch.tensor([3, 5])
    top_mean(score, length, one_in(2, length)).sum().backward()
    assert torch.equal(score.grad[:, :, 0], torch.tensor([[0, 0, 1, 0, 0], [0, 0, 0, 0.5, 0.5]]))
    assert inside(length, 5).sum(1).tolist() == [3, 5]


@pytest.mark.parametrize(("length", "down", "up"), [(1, 1, 1), (7, 1, 1), (8, 1, 1), (9, 1, 2), (16, 2, 2)])
def test_one_in_eight(length, down, up):
    assert (one_in(8, torch.tensor(length)), one_in(8, torch.tensor(length), up=True)) == (down, up)

"""Labels as the targets of a softmax."""

import torch

from untrimmed.nn.targets import targets_of


def test_each_video_sums_to_one_and_one_without_labels_is_background():
    labels = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]])
    expected = torch.tensor([[0.5, 0, 0.5, 0, 0], [0, 0, 0, 0, 1], [0, 1, 0, 0, 0]])
    assert torch.equal(targets_of(labels), expected)
    assert torch.equal(targets_of(labels[::2], background=False), expected[::2, :-1])
    assert targets_of(labels.double()).dtype == torch.float64

"""Assignments by optimal transport, against the steps in plain loops."""

import numpy as np
import torch

from untrimmed.nn.transport import assign


def test_rows_and_columns_are_scaled_in_turn():
    rng = np.random.default_rng(0)
    similarity, prior, shares = rng.uniform(-1, 1, (30, 4)), rng.uniform(0.5, 1, (30, 4)), np.array([0.4, 0.3, 0.2, 0.1])
    plan = np.exp(20 * similarity) * prior
    for _ in range(3):
        for k in range(4):
            plan[:, k] *= shares[k] / plan[:, k].sum()
        for n in range(30):
            plan[n] *= 1 / 30 / plan[n].sum()
    found = assign(*map(torch.from_numpy, (similarity,)), 20, torch.from_numpy(prior), torch.from_numpy(shares))
    np.testing.assert_allclose(found, plan * 30, rtol=1e-9)


def test_every_row_is_assigned_and_every_cluster_gets_its_share():
    similarity = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    found = assign(similarity, 2.0)
    torch.testing.assert_close(found.sum(1), torch.ones(200))
    torch.testing.assert_close(found.mean(0), torch.full((5,), 0.2), rtol=0, atol=0.01)


def test_a_cluster_without_a_share_gets_nothing():
    found = assign(torch.rand(6, 2, generator=torch.Generator().manual_seed(0)), 20.0, shares=torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 1.0]] * 6))

"""RoI-align in one dimension, against points taken one after the other."""

import math

import numpy as np
import torch

from untrimmed.nn.roi import roi_align


def test_a_bin_is_the_mean_of_points_between_snippets():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    segments = np.array([[2.0, 14.0], [-4.0, 9.5], [17.25, 30.0], [5.0, 5.0], [0.0, 0.5]])
    found = roi_align(torch.from_numpy(x), segments, 6)

    def at(place):  # a snippet's value stands at its middle; beyond the ends are zeros
        left = math.floor(place - 0.5)
        part = place - 0.5 - left
        values = [x[i] if 0 <= i < len(x) else np.zeros(3) for i in (left, left + 1)]
        return (1 - part) * values[0] + part * values[1]

    for m, (start, end) in enumerate(segments):
        width = max(end - start, 1.0) / 6
        points = math.ceil(width)
        for b in range(6):
            mean = np.mean([at(start + width * (b + (k + 0.5) / points)) for k in range(points)], axis=0)
            np.testing.assert_allclose(found[m, b], mean, atol=1e-6)

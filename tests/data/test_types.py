import numpy as np

from untrimmed.data.types import Timeline


def test_edges_are_clipped_to_the_video():
    timeline = Timeline(start=-0.5, step=1.0, count=4, duration=3.0)
    np.testing.assert_array_equal(timeline.edges, [0.0, 0.5, 1.5, 2.5, 3.0])
    assert timeline.edge(1.5) == 1.0
    np.testing.assert_array_equal(timeline.edge(np.array([-3, 100])), [0.0, 3.0])

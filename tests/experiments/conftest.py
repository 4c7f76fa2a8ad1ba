"""What the tests of experiments share: two planted data sets, and one comparison."""

import pytest

from tests.experiments.planted import content, write
from tests.methods.planted import plant
from untrimmed.jobs.compare import compare


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with a data set `d` and a second one, `e`, of other videos."""
    folder = tmp_path_factory.mktemp("world")
    plant(folder / "d", train=8, test=5, empty=2)
    plant(folder / "e", train=8, test=4, empty=3, seed=1)
    return folder


@pytest.fixture(scope="module")
def done(world, tmp_path_factory):
    """One comparison that the tests look at, or go on from in a copy."""
    out = tmp_path_factory.mktemp("out") / "results"
    return out, compare(write(world, content(), "done.yaml"), out=out)

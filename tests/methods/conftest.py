"""Which methods a test is done for: `--method NAME`, or all of ours and the example of another package."""

from contextlib import ExitStack

import pytest

from tests.methods.planted import plant
from tests.methods.suite import EXAMPLE, EXAMPLES
from tests.packages import installed
from untrimmed.data.errors import InputError
from untrimmed.jobs.train import train
from untrimmed.methods.base import method_class
from untrimmed.methods.registry import METHODS


def pytest_configure(config: pytest.Config) -> None:
    """The example is installed as long as tests run."""
    stack = ExitStack()
    stack.enter_context(installed(EXAMPLE))
    config.add_cleanup(stack.close)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `every_method` are done for each method that learns from what the mark says, by `name`."""
    mark = metafunc.definition.get_closest_marker("every_method")
    if mark is None:
        return
    try:
        classes = {name: method_class(name) for name in metafunc.config.getoption("--method") or [*METHODS, *EXAMPLES]}
    except InputError as error:
        raise pytest.UsageError(str(error)) from error
    needs = mark.kwargs.get("learns_from")
    metafunc.parametrize("name", [name for name, cls in classes.items() if needs is None or needs in cls.learns_from])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The planted problem, what `train` is given of it, and a run of W-TALC that methods can build upon."""
    planted = plant(tmp_path_factory.mktemp("planted"), train=12, test=2)
    chosen = {"epochs": 20, "hidden": 8, "batch": 4, "learning_rate": 0.01, "data": {"snippets": 16}}
    data = {"features": planted.features, "labels": planted.labels}
    run = train("wtalc", settings=chosen, out=planted.folder / "wtalc", **data).run
    return planted, data, run

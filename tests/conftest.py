"""Where the shared data is, if it is: tests that need it skip with a reason elsewhere."""

import os
import shutil
import signal
from pathlib import Path

import cv2
import pytest

from untrimmed.engine import local

ROOT = Path(__file__).resolve().parents[1]

# The suite itself takes every core: what a test does takes one, unless it asks for more.
local.cores = lambda: 1

# A fork of a process in which OpenCV has begun a pool of threads waits for them for ever.
cv2.setNumThreads(1)

# A shell lets what it starts in the background ignore Ctrl-C, and that is handed down to the programs that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """A method, of this package or of an installed one, that the suite of tests/methods is to be run over alone."""
    parser.addoption("--method", action="append", metavar="NAME", help="run the suite over this method only; may be repeated")


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder with the published codes' numbers."""
    folder = Path(os.environ.get("UNTRIMMED_GOLDEN", ROOT.parent / "shared" / "golden"))
    if not folder.is_dir():
        if os.environ.get("UNTRIMMED_REQUIRE_GOLDEN") == "1":
            pytest.fail(f"the golden files are required, but {folder} is not there")
        pytest.skip(f"no golden files at {folder} (set UNTRIMMED_GOLDEN)")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real data sets."""
    folder = Path(os.environ.get("UNTRIMMED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder} (set UNTRIMMED_DATA)")
    return folder


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium, to open pages in."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no Chromium to open the page with (set CHROMIUM, or put chromium on the PATH)")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


class Kept(local.Pool):
    """Processes that are not ended with the run that they work for."""

    def close(self) -> None:
        """Nothing: the next run finds them."""


@pytest.fixture(scope="module")
def two_processes():
    with Kept(2) as pool:
        yield pool
    local.Pool.close(pool)


@pytest.fixture
def kept_processes(two_processes, monkeypatch):
    """What runs learn side by side, they learn in the same two processes, which take seconds to import torch."""
    monkeypatch.setattr("untrimmed.training.run.Pool", lambda workers: two_processes)


@pytest.fixture
def call(capsys):
    """Run a command here; its exit code, stdout and stderr."""
    from untrimmed import cli

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            cli.main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return done.value.code, out, err

    return run

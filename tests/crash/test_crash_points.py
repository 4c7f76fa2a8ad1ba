"""Every command may be ended anywhere, and the same command mends it.

In `make test` a few points of each command are tried, the same everywhere; `make crash` tries all.
"""

import json
import os
import subprocess
import sys
import zlib

import pytest

from tests.conftest import ROOT

COMMANDS = {  # how many points there are, roughly: so many of them are passed over that two or three are tried
    "extract": 45, "init": 3, "init-force": 4, "convert": 8, "report": 3, "export": 24, "localize": 35, "localize-again": 43,
    "train-dgam": 40, "train-wtalc": 25, "train-tsrnet": 40, "train-tcam": 60, "train-selftrain": 40, "train-videos": 60,
    "train-force": 40, "refine": 40,
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_command_mends_what_a_dead_one_left(name, tmp_path):
    every = os.environ.get("UNTRIMMED_CRASH") == "all"
    step = 1 if every else max(COMMANDS[name] // 2, 1)
    first = 1 if every else 1 + zlib.crc32(name.encode()) % step
    program = [sys.executable, "-m", "tests.crash.points", name, str(tmp_path / "crash"), str(first), str(step)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["bad"] == {}
    assert said["tried"] >= 1
    assert not every or said["tried"] == said["points"]

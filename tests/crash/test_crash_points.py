"""Every command may be ended anywhere, and the same command mends it.

In `make test` one point of each command is tried, of trainings only a few methods'; `make crash` tries all.
"""

import json
import os
import subprocess
import sys

from tests.conftest import ROOT
from tests.crash.commands import COMMANDS, FEW, TRAININGS


def test_the_same_command_mends_what_a_dead_one_left(tmp_path):
    tried = os.environ.get("CRASH_POINTS", "1")
    names = [name for name in COMMANDS if tried == "all" or name in FEW or name not in TRAININGS]
    program = [sys.executable, "-m", "tests.crash.points", str(tmp_path / "crash"), tried, *names]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    commands = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [about["command"] for about in commands] == names
    assert [about for about in commands if about["bad"]] == []
    assert all(about["tried"] == (about["points"] if tried == "all" else min(int(tried), about["points"])) for about in commands)

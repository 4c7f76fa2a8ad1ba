"""Every command may be ended anywhere, and the same command mends it.

In `make test` two points of each command are tried; `make crash` tries all, and prints how many each has.
"""

import json
import os
import subprocess
import sys

from tests.conftest import ROOT


def test_the_same_command_mends_what_a_dead_one_left(tmp_path):
    tried = os.environ.get("CRASH_POINTS", "2")
    program = [sys.executable, "-m", "tests.crash.points", str(tmp_path / "crash"), tried]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    commands = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(commands) > 15
    assert [about for about in commands if about["bad"]] == []
    assert all(about["tried"] == (about["points"] if tried == "all" else min(int(tried), about["points"])) for about in commands)

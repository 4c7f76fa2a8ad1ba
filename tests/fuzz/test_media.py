"""No video, whatever is in it, does more than fail in one line: it crashes nothing, and takes neither long nor much memory.

`make test` makes a handful, always the same; `make fuzz` some hundreds, others each time.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from tests.conftest import ROOT
from tests.fuzz.media import damaged, originals
from untrimmed.console import LONGEST

FILES = int(os.environ.get("FUZZ_MEDIA", "10"))
SLOWEST = 10.0


def looked_at(files: list[Path]) -> list[dict]:
    """What becomes of each; where one ends the process, the next is looked at by a new one."""
    told: list[dict] = []
    while len(told) < len(files):
        program = [sys.executable, "-m", "tests.fuzz.media", *map(str, files[len(told) :])]
        limit = 60 + SLOWEST * (len(files) - len(told))
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=limit)
        told += [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode != 0:
            told.append({"file": str(files[len(told)]), "seconds": 0.0, "rows": 0, "fault": None, "ended": done.stderr[-500:]})
    return told


def test_no_video_crashes_anything_or_takes_long(tmp_path):
    seed = 0 if FILES == 10 else secrets.randbits(32)
    rng = np.random.default_rng(seed)
    wholes = originals(tmp_path / "whole")
    files, how = [], {}
    for number in range(FILES):
        whole = wholes[number % len(wholes)]
        files.append(tmp_path / f"{number}{whole.suffix}")
        how[str(files[-1])] = damaged(whole, files[-1], rng)
    told = looked_at(files)
    bad = {about["file"]: about for about in told if wrong_with(about)}
    if bad and (keep := os.environ.get("FUZZ_KEEP")):  # a folder for what fails
        (Path(keep) / "media").mkdir(parents=True, exist_ok=True)
        for file in bad:
            shutil.copy(file, Path(keep) / "media")
    read = sum(about["fault"] is None for about in told)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(how.values()).items()))
    print(f"\nseed {seed}: {len(told)} videos ({kinds}): {read} read, {len(told) - read} refused, {len(bad)} bad")
    print(f"slowest {max(about['seconds'] for about in told):.1f} CPU s, most rows {max(about['rows'] for about in told)}")
    assert bad == {}, seed


def wrong_with(about: dict) -> bool:
    """Whether a video ended the process, took long, failed in more than a line or with a bug's name, or gave too much."""
    fault = about["fault"] or ""
    surprised = re.search(r": \w*(Error|Exception): ", fault) is not None
    in_a_line = len(fault) - len(str(Path(about["file"]).parent)) <= LONGEST and "\n" not in fault
    slow = about["seconds"] > SLOWEST or about.get("waited", 0) > 10 * SLOWEST
    return "ended" in about or slow or surprised or not in_a_line

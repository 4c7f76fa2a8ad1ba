"""Shares of a data set: nested, of the right size, with every label, and the same each time."""

import csv
import sys
from collections import Counter

import subsets


def test_shares_of_a_data_set(tmp_path, monkeypatch):
    videos = [(f"v{n:03}", label) for n in range(80) for label in (["a", "b"] if n % 10 == 0 else ["abc"[n % 3]])]
    clips = [(f"c{n:03}", "abcd"[n % 4]) for n in range(40)]
    for name, rows in (("labels.csv", [*videos, ("empty", "")]), ("trimmed.csv", clips)):
        (tmp_path / name).write_text("video,label\n" + "".join(f"{v},{label}\n" for v, label in rows))
    chosen = {}
    for out in ("one", "again"):
        monkeypatch.setattr(sys, "argv", ["subsets.py", str(tmp_path), "--out", str(tmp_path / out)])
        subsets.main()
    for percent in subsets.SHARES:
        for kind, total in (("only", 81), ("trimmed", 40)):
            file = tmp_path / "one" / f"{kind}-{percent}.csv"
            assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
            rows = list(csv.DictReader(file.open()))
            chosen[kind, percent] = {row["video"] for row in rows}
            assert len(chosen[kind, percent]) == -(-total * percent // 100)
            if kind == "trimmed":
                counts = Counter(row["label"] for row in rows)
                assert set(counts) == set("abcd")
                assert max(counts.values()) - min(counts.values()) <= 2
        for kind in ("only", "trimmed"):
            smaller = [chosen[kind, other] for other in subsets.SHARES if other <= percent]
            assert all(part <= chosen[kind, percent] for part in smaller)

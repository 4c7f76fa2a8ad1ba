"""What the README tells people to type does what it says: every `untrimmed` line and Python block, in order, as it stands there."""

import csv
import json
from collections import Counter

from tests.docs.pages import ROOT
from untrimmed.data.store import FeatureStore
from untrimmed.demo_world.plan import plan_world
from untrimmed.jobs.demo import SIZES

README = ROOT / "README.md"


def test_all_that_is_typed_works(run_page, folder):  # one test, so that one process runs the page once
    done = run_page(README)
    shown = {line.split()[1] for line in done if line != "python"}
    assert shown >= {"demo", "init", "extract", "validate", "train", "localize", "evaluate", "report", "export"}
    assert done.count("python") == 2

    rows = list(csv.reader((folder / "labels.csv").open()))
    assert rows[0] == ["video", "label"]
    assert ["match_01", "goal"] in rows
    assert ["match_07", ""] in rows

    assert set(json.loads((folder / "new.json").read_text())["results"]) == {"match_08", "match_09"}
    assert "videos/new/match_09.mp4" in (folder / "new.html").read_text()
    assert (folder / "new.csv").read_text().startswith("video,start,end,label,score,clock\n")

    assert FeatureStore(folder / "mine").streams == {"i3d": 1024}
    assert json.loads((folder / "runs/mine/model/model.json").read_text())["streams"] == {"i3d": 1024}
    assert len(json.loads((folder / "mine.json").read_text())["results"]) == 7

    assert (folder / "demo-out" / "report.html").stat().st_size > 10_000


def test_the_demo_is_as_large_as_described():
    text = " ".join(README.read_text(encoding="utf-8").split())
    size = SIZES[False]
    assert f"draws {size['train'] + size['test']} short films" in text
    assert f"labels of {size['train']} of them, localizes the actions in the other {size['test']}" in text
    plans = [plan for plan in plan_world(0, size["train"], size["test"]) if plan.subset == "train"]
    videos = Counter(action for plan in plans for action in plan.actions)
    least, most, empty = min(videos.values()), max(videos.values()), sum(not plan.actions for plan in plans)
    assert f"learns from {least} or {most} videos per action and {empty} without any" in text

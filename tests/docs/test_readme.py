"""What the README tells people to type does what it says: every `untrimmed` line and Python block, in order, as it stands there."""

import csv
import json
from collections import Counter

import pytest

from tests.docs.pages import ROOT
from untrimmed.data.store import FeatureStore
from untrimmed.demo_world.plan import plan_world
from untrimmed.jobs.demo import SIZES

README = ROOT / "README.md"


@pytest.fixture(scope="module")
def done(run_page):
    return run_page(README)


def test_every_command_is_shown(done):
    shown = {line.split()[1] for line in done if line != "python"}
    assert shown >= {"demo", "init", "extract", "validate", "train", "localize", "evaluate", "report", "export"}
    assert done.count("python") == 2


def test_tags_come_from_the_folders(done, folder):
    rows = list(csv.reader((folder / "labels.csv").open()))
    assert rows[0] == ["video", "label"]
    assert ["match_01", "goal"] in rows
    assert ["match_07", ""] in rows


def test_the_new_videos_are_searched_and_shown(done, folder):
    assert set(json.loads((folder / "new.json").read_text())["results"]) == {"match_08", "match_09"}
    page = (folder / "new.html").read_text()
    assert "videos/new/match_09.mp4" in page
    assert (folder / "new.csv").read_text().startswith("video,start,end,label,score\n")


def test_own_features_are_used(done, folder):
    assert FeatureStore(folder / "mine").streams == {"i3d": 1024}
    assert json.loads((folder / "runs/mine/model/model.json").read_text())["streams"] == {"i3d": 1024}
    assert len(json.loads((folder / "mine.json").read_text())["results"]) == 7


def test_the_demo_ends_with_its_page(done, folder):
    assert (folder / "demo-out" / "report.html").stat().st_size > 10_000


def test_the_demo_is_as_large_as_described():
    text = " ".join(README.read_text(encoding="utf-8").split())
    size = SIZES[False]
    assert f"draws {size['train'] + size['test']} short films" in text
    assert f"tags of {size['train']} of them, finds the actions in the other {size['test']}" in text
    plans = [plan for plan in plan_world(0, size["train"], size["test"]) if plan.subset == "train"]
    videos = Counter(action for plan in plans for action in plan.actions)
    least, most, empty = min(videos.values()), max(videos.values()), sum(not plan.actions for plan in plans)
    assert f"learns from {least} or {most} videos an action and {empty} without any" in text

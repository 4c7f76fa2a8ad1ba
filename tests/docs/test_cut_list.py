"""The tutorial of the cut list, run as it stands there, on tiny films with the names that it shows."""

import re
from functools import partial

import pytest

from tests.docs.pages import ROOT
from tests.video.films import film, moving_blocks, steady
from untrimmed.data.annotations import read_annotations, read_detections
from untrimmed.data.types import Segment
from untrimmed.interchange.formats import FORMATS
from untrimmed.interchange.media import Known, Media
from untrimmed.video.probe import probe

PAGE = ROOT / "docs" / "cut-list.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the films that the page lists; in those of a fight the patch is fast."""
    folder = tmp_path_factory.mktemp("cameras")
    names = re.findall(r"^(videos/\S+\.mp4)", PAGE.read_text(encoding="utf-8"), re.M)
    assert len(names) == 7
    for i, name in enumerate(names):
        speed = 4.0 if "fight" in name or "new" in name else 0.0
        film(folder / name, steady(2), width=96, height=72, draw=partial(moving_blocks, speed=speed, seed=i))
    return folder


def test_the_whole_way_to_the_cut_list(run_page, folder):
    done = [line.split()[1] for line in run_page(PAGE)]
    assert set(done) >= {"init", "extract", "train", "import", "refine", "localize", "export", "evaluate", "clips"}

    taught = read_annotations(folder / "annotations.json").videos
    assert taught["gate_0800"].segments == (Segment(0.5, 1.5, "fight"),)
    assert "annotated" in (folder / "runs" / "second" / "environment.json").read_text()
    assert set(read_detections(folder / "new.json").results) == {"gate_2100", "yard_2100"}
    assert "../videos/new/gate_2100.mp4" in (folder / "elan" / "gate_2100.eaf").read_text()

    wanted = {"gate_2100": (Segment(0.2, 1.6, "fight"),), "yard_2100": (Segment(0.4, 1.0, "fight"),)}
    for name in ("edl", "otio"):
        marks = FORMATS[name].module.read(folder / f"fights.{name}", Known(lambda video: Media(video, None, 25.0)))
        assert {video: own.segments for video, own in marks.items()} == wanted
    clips = sorted(file for file in (folder / "clips").iterdir() if file.suffix == ".mp4")
    assert [file.name for file in clips] == ["gate_2100_0-00-00.200_fight.mp4", "yard_2100_0-00-00.400_fight.mp4"]
    assert [probe(file).duration for file in clips] == pytest.approx([2.0, 1.5], abs=0.05)

"""The two guides' commands and snippets, run in order as they stand there."""

import json

import pytest

from tests.docs.pages import ROOT
from untrimmed.data.annotations import read_detections
from untrimmed.data.store import FeatureStore


@pytest.fixture(scope="module", params=["own-videos.md", "own-features.md"])
def page(request):
    return request.param


def test_guide(page, run_page, folder):
    for file in ("labels.csv",):
        (folder / file).unlink(missing_ok=True)
    done = run_page(ROOT / "docs" / page)
    assert len(done) >= 4
    if page == "own-videos.md":
        assert (folder / "subtitles" / "match_08.vtt").exists()
        assert FeatureStore(folder / "features-fine").timeline("match_01").step == pytest.approx(4 / 12)
        assert read_detections(folder / "short.json").results.keys() == {"match_08", "match_09"}
        assert (folder / "short.html").exists()
    else:
        assert FeatureStore(folder / "mine").streams == {"rgb": 1024, "flow": 1024}
        assert len(json.loads((folder / "mine.json").read_text())["results"]) == 9

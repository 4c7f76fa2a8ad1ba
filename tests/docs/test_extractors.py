"""The pages on extractors: one's own, exactly as it stands there, from an installed package; the tables of the others' settings."""

import json

import numpy as np
import pytest

from tests.docs.pages import ROOT, blocks, with_names, with_settings_tables
from tests.packages import installed
from untrimmed.data.annotations import read_detections
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore
from untrimmed.video.extractors import extractor_names, make_extractor

PAGE = ROOT / "docs" / "own-extractor.md"


def test_tables_of_settings_are_those_of_the_code():
    text = (ROOT / "docs" / "extractors.md").read_text(encoding="utf-8")
    assert text.count("<!-- settings: ") == 2
    assert text == with_names(with_settings_tables(text)), "bring them up to date with: python -m tests.docs.pages"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The page's package, as pip leaves it."""
    folder = tmp_path_factory.mktemp("project")
    python, toml = (next(b.text for b in blocks(PAGE) if b.language == kind) for kind in ("python", "toml"))
    (folder / "brightness.py").write_text(python)
    (folder / "pyproject.toml").write_text(toml)
    with installed(folder):
        yield folder


def test_own_extractor(project, run_page, folder):
    assert "brightness" in extractor_names()
    from untrimmed import cli

    with pytest.raises(SystemExit):
        cli.main(["init", str(folder / "videos" / "train"), "--out", str(folder / "labels.csv"), "--force"])
    done = [line for line in run_page(PAGE) if line != "python"]
    assert [line.split()[1] for line in done] == ["extract", "train", "localize"]
    store = FeatureStore(folder / "features-brightness")
    assert (store.header.extractor, store.header.settings) == (
        "brightness",
        {"fps": 10, "frames": 8, "stride": 4, "grid": 8, "flow": "dis"},
    )
    assert store.streams == {"rgb": 64, "flow": 64}
    arrays = store.load("match_01")
    assert 0 < arrays["rgb"].min() < arrays["rgb"].max() < 1
    assert arrays["flow"].max() > 0
    made = json.loads((folder / "runs" / "brightness" / "environment.json").read_text())["extractor"]
    assert (made["name"], made["settings"]["grid"]) == ("brightness", 6)
    assert read_detections(folder / "brightness.json").results.keys() == {"match_08", "match_09"}


def test_what_the_page_says_of_calls_holds(project):
    extractor = make_extractor("brightness", {"grid": 2})
    frames = np.zeros((3, 8, 72, 96, 3), np.uint8)
    frames[:, :, :36] = 255
    flow = np.zeros((3, 8, 72, 96, 2), np.float32)
    flow[:, :, :, 48:] = 3, 4
    found = extractor(frames, flow)
    assert found["rgb"].tolist() == [[1, 1, 0, 0]] * 3
    assert found["flow"].tolist() == [[0, 5, 0, 5]] * 3


def test_an_entry_point_at_fault_is_named(project, tmp_path):
    wrong = 'gone = "brightness:Gone"\ndark = "brightness:Brightness"\n'
    about = (project / "pyproject.toml").read_text().replace('name = "brightness"', 'name = "wrong"')
    (tmp_path / "pyproject.toml").write_text(about + wrong)
    with installed(tmp_path):
        with pytest.raises(InputError, match="gone: brightness:Gone cannot be imported"):
            make_extractor("gone")
        with pytest.raises(InputError, match="dark: its class calls itself 'brightness'"):
            make_extractor("dark")
        with pytest.raises(InputError, match="did you mean 'brightness'"):
            make_extractor("brightnes")

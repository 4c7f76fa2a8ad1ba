"""The pages on extractors: one's own, exactly as it stands there, from an installed package; the tables of the others' settings."""

import json
import sys
import tomllib

import numpy as np
import pytest

from tests.docs.pages import ROOT, blocks, with_settings_tables
from untrimmed.data.annotations import read_detections
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore
from untrimmed.video.extractors import extractor_names, make_extractor

PAGE = ROOT / "docs" / "own-extractor.md"


def test_tables_of_settings_are_those_of_the_code():
    text = (ROOT / "docs" / "extractors.md").read_text(encoding="utf-8")
    assert text.count("<!-- settings: ") == 2
    assert text == with_settings_tables(text), "bring them up to date with: python -m tests.docs.pages"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The page's package, as pip leaves it: the module, and beside it what its pyproject.toml says."""
    python, toml = (next(b.text for b in blocks(PAGE) if b.language == kind) for kind in ("python", "toml"))
    site = tmp_path_factory.mktemp("site")
    (site / "brightness.py").write_text(python)
    about = tomllib.loads(toml)["project"]
    info = site / f"{about['name']}-{about['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in about["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield site
    sys.modules.pop("brightness", None)


def test_own_extractor(installed, run_page, folder):
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


def test_what_the_page_says_of_calls_holds(installed):
    extractor = make_extractor("brightness", {"grid": 2})
    frames = np.zeros((3, 8, 72, 96, 3), np.uint8)
    frames[:, :, :36] = 255
    flow = np.zeros((3, 8, 72, 96, 2), np.float32)
    flow[:, :, :, 48:] = 3, 4
    found = extractor(frames, flow)
    assert found["rgb"].tolist() == [[1, 1, 0, 0]] * 3
    assert found["flow"].tolist() == [[0, 5, 0, 5]] * 3


def test_an_entry_point_at_fault_is_named(installed):
    entries = installed / "brightness-1.0.dist-info" / "entry_points.txt"
    entries.write_text(entries.read_text() + "gone = brightness:Gone\ndark = brightness:Brightness\n")
    with pytest.raises(InputError, match="gone: brightness:Gone cannot be imported"):
        make_extractor("gone")
    with pytest.raises(InputError, match="dark: its class calls itself 'brightness'"):
        make_extractor("dark")
    with pytest.raises(InputError, match="did you mean 'brightness'"):
        make_extractor("brightnes")

"""Every experiment file can be read, and the page beside them names it."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.methods.planted import plant, plant_clips
from untrimmed.experiments.read import read_experiment

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
FILES = sorted((BENCHMARKS / "experiments").glob("*.yaml"))
FILE_KEYS = ("features", "labels", "annotations", "only", "trimmed", "trimmed_labels", "parts")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    return [
        plant_clips(plant(folder / str(n), train=6, test=3, empty=0, length=(20, 24), seed=n), count=3, seed=n) for n in range(4)
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_experiment_is_usable(file, planted, tmp_path):
    """With small data in the places that it names: its runs, settings, metrics and pairs exist, and fit each other."""
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    for entry in tree["data"].values():
        for number, fold in enumerate(entry.get("folds", [entry])):
            world, parts = planted[number], tmp_path / "parts"
            for key in FILE_KEYS:
                if key not in fold and key not in entry:
                    continue
                place = tmp_path / (fold | {k: v for k, v in entry.items() if k not in fold})[key]
                if place.exists():
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                if key == "parts":
                    parts.write_text("{}", encoding="utf-8")
                place.symlink_to(
                    {
                        "features": world.features,
                        "labels": world.labels,
                        "annotations": annotations_of(world, number, tmp_path) if "folds" in entry else world.annotations,
                        "only": world.labels,
                        "trimmed": world.clips["trimmed"],
                        "trimmed_labels": world.clips["trimmed_labels"],
                        "parts": parts,
                    }[key]
                )
    shutil.copy(file, tmp_path)
    plan = read_experiment(tmp_path / file.name)
    assert len(plan.seeds) == 5
    assert set(plan.data) == set(tree["data"])


def annotations_of(world, number, folder):
    """The fold's annotations, whose test videos no other fold has."""
    path = folder / f"annotations-{number}.json"
    path.write_text(world.annotations.read_text(encoding="utf-8").replace('"test0', f'"{number}test0'), encoding="utf-8")
    return path


def test_page_names_every_experiment_and_program():
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    shared = {"baselines.py"}  # not run by itself, named in the text
    for file in [*FILES, *BENCHMARKS.glob("*.py")]:
        assert f"`{file.name}" in page, file.name
    assert shared <= {file.name for file in BENCHMARKS.glob("*.py")}

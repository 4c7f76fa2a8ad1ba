"""Methods that learn their streams apart learn the same, in every bit, in one process and in two."""

import pytest

from tests.methods.planted import plant, plant_clips
from untrimmed.data.clusters import rounds_of
from untrimmed.jobs.train import train

BRIEF = {
    "dgam": {"epochs": 4, "batch": 8, "hidden": 8, "latent": 4, "average": 0.9, "data": {"snippets": 12}},
    "stpn": {"epochs": 4, "batch": 8, "hidden": 8, "data": {"snippets": 12}},
    "tcam": {"epochs": 4, "hidden": 8, "data": {"snippets": 12}},
    "tsrnet": {"epochs": 4, "iterations": 1, "batch": 8, "hidden": 8, "attention_hidden": 4, "data": {"snippets": 12}},
}


@pytest.mark.parametrize("name", ["dgam", "stpn", "tsrnet", "tcam", "tcam without labels"])
def test_two_processes_learn_what_one_learns(name, kept_processes, tmp_path):
    problem = plant(tmp_path / "problem", train=10, test=2)
    method, _, unlabelled = name.partition(" ")
    settings = dict(BRIEF[method])
    learns_from = {"labels": problem.labels}
    if unlabelled:
        learns_from, settings["rounds"] = {"unlabelled": True, "clusters": 3}, 2
    elif method == "tsrnet":
        learns_from |= plant_clips(problem).clips
    for workers in (1, 2):
        run = tmp_path / str(workers)
        train(method, features=problem.features, **learns_from, out=run, settings=settings, workers=workers)
    for file in ("metrics.jsonl", "config.yaml", "model/weights.safetensors", "model/model.json"):
        assert (tmp_path / "2" / file).read_bytes() == (tmp_path / "1" / file).read_bytes()
    for one, two in zip(rounds_of(tmp_path / "1"), rounds_of(tmp_path / "2"), strict=True):
        assert one.read_bytes() == two.read_bytes()
    lines = (tmp_path / "1" / "metrics.jsonl").read_text().splitlines()
    assert all(any(f'"{stream}"' in line for line in lines) for stream in ("rgb", "flow"))

"""Students in `compare`: whom they learn from, in which videos times are marked, and what is said of them."""

import json

import pytest
import yaml

from tests.methods.planted import plant
from untrimmed.data.annotations import read_annotations
from untrimmed.data.errors import InputError
from untrimmed.experiments.read import read_experiment
from untrimmed.experiments.refine_task import draw_videos
from untrimmed.jobs.compare import compare

FAST = {"epochs": 2, "iterations": 1, "hidden": 8, "attention_hidden": 4, "batch": 8, "data": {"snippets": 8}}
RUNS = {
    "teacher": {"method": "tsrnet", "settings": FAST},
    "student": {"refine": "teacher", "settings": {"rounds": 2}},
    "told": {"refine": "teacher", "annotated": 1, "settings": {"rounds": 2}},
    "points": {"refine": "teacher", "annotated": 99, "marks": "points", "settings": {"rounds": 2}},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    plant(folder / "d", train=8, test=5, empty=2)
    return folder


def write(world, runs, **more):
    data = {
        "features": "d/features",
        "labels": "d/labels.csv",
        "annotations": "d/annotations.json",
        "subset": "test",
        "clusters": 3,
    }
    path = world / "experiment.yaml"
    path.write_text(
        yaml.safe_dump({"data": {"d": data}, "runs": runs, "seeds": 1, "metrics": ["mAP@0.5"], **more}, sort_keys=False)
    )
    return path


def test_students_are_trained_after_their_teachers_and_say_what_they_were_told(world, tmp_path):
    result = compare(write(world, RUNS, pairs=[["student", "teacher"]]), out=tmp_path / "out")
    assert not result.failures
    names = result.tables[0].runs
    assert names[:2] == ("teacher", "student")
    assert names[2] == "told (+ 1 annotated video(s) per class, segments)"
    assert "points)" in names[3]
    marks = [json.loads(file.read_text())["database"] for file in (tmp_path / "out/cache").glob("*/marks.json")]
    assert sorted(map(len, marks)) == [3, 8], "with all videos that hold an action, the empty ones are known too"
    truth = read_annotations(world / "d/annotations.json").videos
    assert all(truth[video].subset == "train" for database in marks for video in database)
    again = compare(write(world, RUNS), out=tmp_path / "out")
    assert again.tables == result.tables


def test_a_student_of_clusters_is_without_labels(world, tmp_path):
    runs = {
        "teacher": {
            "method": "tcam",
            "unlabelled": True,
            "settings": {"epochs": 1, "rounds": 1, "hidden": 8, "data": {"snippets": 8}},
        },
        "student": {"refine": "teacher", "settings": {"rounds": 1}},
    }
    path = write(world, runs, evaluate={"map_clusters": "majority"})
    assert read_experiment(path).runs["student"].unlabelled
    assert not compare(path, out=tmp_path / "out").failures


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"refine": "nobody"}, "nobody"),
        ({"refine": "teacher", "method": "dgam"}, "a student is of selftrain"),
        ({"method": "dgam", "annotated": 1}, "only a student may be told true times"),
        ({"refine": "it"}, "start from each other"),
        ({"refine": "teacher", "marks": "guesses"}, "marks"),
    ],
)
def test_faults_are_told_before_anything_is_trained(run, words, world):
    with pytest.raises(InputError, match=words):
        read_experiment(write(world, {"teacher": RUNS["teacher"], "it": run}))


def test_videos_are_drawn_until_each_class_has_its_number(world):
    import numpy as np

    truth = {v: t for v, t in read_annotations(world / "d/annotations.json").videos.items() if t.subset == "train"}
    one, two = (draw_videos(truth, 1, np.random.default_rng(seed)) for seed in (0, 0))
    assert one == two
    assert {segment.label for video in one for segment in truth[video].segments} == {"act00", "act01", "act02"}

"""`refine`: a student of trained runs and of a person's marks, which localizes alone."""

import json

import numpy as np
import pytest

from tests.methods.planted import Planted, plant
from untrimmed.cli import main
from untrimmed.data.annotations import VideoTruth, read_detections, write_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.labels import write_labels
from untrimmed.evaluation.activitynet import evaluate_detections
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.localize import localize
from untrimmed.jobs.refine import refine
from untrimmed.jobs.train import train
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.refine import Refinement
from untrimmed.training import DataSettings

FEW = {"epochs": 4, "data": {"snippets": 16}}


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def teacher(planted, tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    return train("tsrnet", features=planted.features, labels=planted.labels, out=out, settings=FEW).run


@pytest.fixture(scope="module")
def groups(planted, tmp_path_factory):
    """A teacher without labels."""
    out = tmp_path_factory.mktemp("groups") / "run"
    settings = {**FEW, "rounds": 1, "hidden": 16}
    return train("tcam", features=planted.features, unlabelled=True, clusters=3, out=out, settings=settings).run


def mean_ap(planted, run, out):
    localize(run, features=planted.features, subset_from=planted.annotations, subset="test", out=out)
    found = read_detections(out).results
    return float(evaluate_detections(planted.subset("test"), found, planted.classes, (0.5,)).mean_ap[0])


def marks_of(planted, path, videos, **more):
    write_annotations(path, {video: planted.truth[video] for video in videos}, "marks")
    content = json.loads(path.read_text())
    for entry in content["database"].values():
        entry.update(more)
    path.write_text(json.dumps(content))
    return path


def test_a_student_is_better_than_its_teacher_and_localizes_alone(planted, teacher, tmp_path):
    student = refine(teacher, out=tmp_path / "student").run
    assert mean_ap(planted, student, tmp_path / "s.json") > mean_ap(planted, teacher, tmp_path / "t.json")
    record = RunFolder(student).record()
    assert record["refined_from"] == [{"run": "run", "method": "tsrnet"}]
    assert "annotated_videos" not in record
    assert record["training_videos"] == RunFolder(teacher).record()["training_videos"]


def test_several_teachers_are_their_mean(planted, teacher, tmp_path):
    other = train("tsrnet", features=planted.features, labels=planted.labels, out=tmp_path / "b", settings=FEW, seed=1).run
    store = planted.store

    def curves(*runs):
        teachers = tuple(RunFolder(run) for run in runs)
        return Refinement(labels=planted.labels, teachers=teachers).training_set(store, DataSettings()).teacher

    first, second, both = curves(teacher), curves(other), curves(teacher, other)
    video = next(iter(both))
    np.testing.assert_allclose(both[video], (first[video] + second[video]) / 2, rtol=1e-5)


def test_an_unlabelled_run_teaches_by_its_clusters(planted, groups, tmp_path):
    student = refine(groups, out=tmp_path / "student").run
    assert RunFolder(student).clusters() == RunFolder(groups).clusters()
    localize(student, features=planted.features, subset_from=planted.annotations, subset="test", out=tmp_path / "d.json")
    scores = evaluate(
        tmp_path / "d.json", annotations=planted.annotations, subset="test", map_clusters="majority", labels=planted.labels
    )
    assert scores.mapping is not None


def test_mended_clusters_are_learned_by_their_names(planted, groups, tmp_path):
    clusters = RunFolder(groups).clusters()
    first, second, *_ = sorted(set(clusters.values()))
    moved = next(video for video in sorted(clusters) if clusters[video] == first)
    names = {first: "jump", second: "dig"}
    rows = {video: names[cluster] for video, cluster in clusters.items() if cluster in names} | {moved: "dig"}
    write_labels(tmp_path / "labels.csv", rows.items())
    its = Refinement(labels=tmp_path / "labels.csv", teachers=(RunFolder(groups),))
    said = []
    data = its.training_set(planted.store, DataSettings(), say=said.append)
    assert (data.classes, set(data.videos)) == (("dig", "jump"), set(rows))
    assert f"{len(clusters) - len(rows)} training video(s) have no row" in said[0]
    assert data.labels[data.videos.index(moved)].tolist() == [1, 0]
    of_teacher = Refinement(teachers=(RunFolder(groups),)).training_set(planted.store, DataSettings())
    before, after = of_teacher.teacher[moved], data.teacher[moved]
    place = {name: of_teacher.classes.index(name) for name in (first, second)}
    share = 1 / list(rows.values()).count("dig")
    np.testing.assert_allclose(after[:, 1], before[:, place[first]], rtol=1e-5)
    np.testing.assert_allclose(
        after[:, 0], (1 - share) * before[:, place[second]] + share * before[:, place[first]], rtol=1e-4, atol=1e-5
    )


def test_a_label_that_is_declared_new_is_learned(planted, teacher, tmp_path):
    marks = marks_of(planted, tmp_path / "marks.json", sorted(planted.subset("train"))[4:8], checked=False)
    content = json.loads(marks.read_text())
    first, *others = content["database"]
    content["database"][first]["annotations"].append({"segment": [1.0, 3.0], "label": "wave"})
    marks.write_text(json.dumps(content))
    its = Refinement(labels=planted.labels, teachers=(RunFolder(teacher),), annotations=marks)
    with pytest.raises(InputError, match="'wave'"):
        its.training_set(planted.store, DataSettings())
    marks.write_text(json.dumps({**content, "new_labels": ["wave", "never marked"]}))
    said = []
    data = its.training_set(planted.store, DataSettings(), say=said.append)
    assert data.classes == (*planted.classes, "wave")
    assert [data.labels[data.videos.index(video)][-1] for video in (first, *others)] == [1, 0, 0, 0]
    assert data.known[first][:, len(planted.classes)].any()
    assert not any(curve[:, -1].any() for curve in data.teacher.values()), "the teacher says nothing of it"
    assert "'wave' is new: learned from 1 annotated video(s); the others count as without it" in said


def test_marks_of_training_videos_count_as_known(planted, teacher, tmp_path):
    videos = sorted(planted.subset("train"))[4:10]
    marks = marks_of(planted, tmp_path / "marks.json", videos)
    student = refine(teacher, out=tmp_path / "student", annotations=marks).run
    assert RunFolder(student).record()["annotated_videos"] == videos
    ap = mean_ap(planted, student, tmp_path / "s.json")
    scores = evaluate(tmp_path / "s.json", annotations=planted.annotations, subset="test")
    assert "selection  last; labels + 6 annotated video(s)" in scores.table()
    assert ap > mean_ap(planted, teacher, tmp_path / "t.json")


def test_a_checked_video_says_which_labels_it_has(planted, teacher, tmp_path):
    path = tmp_path / "marks.json"
    write_annotations(path, {"train005": VideoTruth("train", None, ())}, "empty after all")
    data = Refinement(labels=planted.labels, teachers=(RunFolder(teacher),), annotations=path).training_set(
        planted.store, DataSettings()
    )
    assert data.labels[data.videos.index("train005")].tolist() == [0, 0, 0]
    assert data.known["train005"][:, -1].all()


def test_what_must_not_be_marked(planted, teacher, tmp_path):
    with pytest.raises(InputError, match=r"'test000' is no training video of .*; only training videos may be marked"):
        refine(teacher, out=tmp_path / "a", annotations=marks_of(planted, tmp_path / "m.json", ["test000"]))
    write_annotations(tmp_path / "m.json", {"train005": VideoTruth(None, None, (planted.truth["train005"].segments[0],))}, "")
    content = (tmp_path / "m.json").read_text().replace("act0", "atc0")
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(InputError, match="did you mean"):
        refine(teacher, out=tmp_path / "a", annotations=tmp_path / "m.json")
    assert not (tmp_path / "a").exists()


def test_faults_are_one_line(planted, teacher, groups, tmp_path, capsys):
    with pytest.raises(InputError, match="is the teacher itself"):
        refine(teacher, out=teacher)
    with pytest.raises(InputError, match="named twice"):
        refine([teacher, teacher.parent / ".." / teacher.parent.name / teacher.name], out=tmp_path / "a")
    with pytest.raises(InputError, match="holds no finished model"):
        refine(tmp_path, out=tmp_path / "a")
    with pytest.raises(InputError, match="has other classes than"):
        refine([teacher, groups], out=tmp_path / "a")
    with pytest.raises(SystemExit) as ended:
        main(["refine", str(teacher), "--out", str(tmp_path / "a"), "--features", str(tmp_path / "none")])
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_moved_store_is_named(planted, teacher, tmp_path):
    moved = tmp_path / "teacher"
    moved.mkdir()
    for name in ("model", "config.yaml", "environment.json"):
        (moved / name).symlink_to(teacher / name)
    record = json.loads((teacher / "environment.json").read_text())
    record["data"]["features"] = "/nowhere"
    (moved / "environment.json").unlink()
    (moved / "environment.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="was trained on the features /nowhere, which are not there"):
        refine(moved, out=tmp_path / "a")
    refine(moved, out=tmp_path / "a", features=planted.features, rounds=1)


def test_a_student_is_resumed_and_repeats_bit_for_bit(planted, teacher, tmp_path):
    one, two = (refine(teacher, out=tmp_path / name, seed=3).run for name in "ab")
    assert (one / "model/weights.safetensors").read_bytes() == (two / "model/weights.safetensors").read_bytes()
    assert refine(teacher, out=one, seed=3, resume=True).run == one


def test_runs_that_localize_together_vote(planted, teacher, tmp_path):
    student = refine(teacher, out=tmp_path / "student", rounds=2).run
    wanted = {"features": planted.features, "subset_from": planted.annotations, "subset": "test"}
    one = localize(student, out=tmp_path / "one.json", **wanted).results
    twice = localize([student, student], out=tmp_path / "twice.json", **wanted).results
    for video, detections in one.items():
        assert [d.label for d in twice[video]] == [d.label for d in detections]
        times = [[d.start, d.end, d.score] for d in detections]
        np.testing.assert_allclose([[d.start, d.end, d.score] for d in twice[video]], times, rtol=1e-9)
    assert not (tmp_path / "twice.activations").exists()
    line = f"localize {student} {teacher} --features {planted.features} --subset-from {planted.annotations} --subset test"
    with pytest.raises(SystemExit) as ended:
        main([*line.split(), "--out", str(tmp_path / "both.json")])
    assert not ended.value.code
    both = read_detections(tmp_path / "both.json")
    assert both.untrimmed["run"] == "student + run"
    assert both.untrimmed["method"] == "selftrain + tsrnet"
    assert set(both.results) == set(one)


def test_only_runs_of_the_same_classes_vote(planted, teacher, groups, tmp_path):
    with pytest.raises(InputError, match="knows other classes than"):
        localize([teacher, groups], features=planted.features, out=tmp_path / "d.json")

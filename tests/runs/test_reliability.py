"""What training says in the end: which labels the features tell apart, and above which score to believe a detection."""

import numpy as np
import pytest

from tests.methods.planted import plant
from untrimmed.data.errors import InputError
from untrimmed.data.labels import write_labels
from untrimmed.data.types import Detection
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.reporting.summary import by_class, by_video, covered
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.reliability import (
    LabelCheck,
    Reliability,
    check_labels,
    held_out_scores,
    rank_sum_z,
    read_reliability,
    rounded_above,
    with_score_cut,
)

BRIEF = {"epochs": 20, "batch": 8, "hidden": 8, "latent": 4, "data": {"snippets": 8}}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("planted"), train=40, test=4, empty=10, length=(10, 14))


def tags_of(planted):
    from untrimmed.data.labels import read_labels

    return read_labels(planted.labels).tags


def test_labels_that_features_tell_apart_and_one_that_they_cannot(planted):
    """A label given by lot is told apart no better than by chance, and said to be weak; planted ones are not."""
    rng = np.random.default_rng(0)
    lot = set(rng.choice(sorted(tags_of(planted)), 15, replace=False))
    tags = {video: tags | ({"lot"} if video in lot else set()) for video, tags in tags_of(planted).items()}
    checks = check_labels(planted.store, tags, [*planted.classes, "lot"])
    for label in planted.classes:
        assert checks[label].ap > checks[label].chance + 0.2
        assert checks[label].remark == ""
    assert checks["lot"].remark == "weak: hardly better than chance"
    assert checks["lot"].ap < 0.6
    assert checks["lot"].chance == pytest.approx(15 / 40)


def test_held_out_scores_of_noise_are_worth_nothing():
    """What a classifier says of videos that it was fitted to would be right."""
    rng = np.random.default_rng(0)
    z = [rank_sum_z((y := rng.random(60) < 0.3), held_out_scores(rng.normal(size=(60, 200)), y[:, None])[:, 0]) for _ in range(20)]
    assert abs(np.mean(z)) < 0.7
    assert sum(value >= 2 for value in z) <= 2


def test_rank_sum_against_scipy():
    from scipy.stats import mannwhitneyu, norm

    rng = np.random.default_rng(1)
    positive, score = rng.random(40) < 0.4, rng.normal(size=40)
    p = mannwhitneyu(score[positive], score[~positive], alternative="greater", method="asymptotic", use_continuity=False).pvalue
    assert norm.sf(rank_sum_z(positive, score)) == pytest.approx(p)


def test_labels_of_few_videos_or_of_all(planted):
    videos = sorted(tags_of(planted))
    tags = {video: frozenset({"all"} | ({"rare"} if v < 2 else set())) for v, video in enumerate(videos)}
    checks = check_labels(planted.store, tags, ["all", "rare"])
    assert checks["all"].remark == "weak: hardly better than chance"
    assert checks["rare"].remark == "too few videos to tell"
    assert check_labels(planted.store, {videos[0]: frozenset({"a"})}, ["a"])["a"].remark == "too few videos to tell"


def test_the_cut_keeps_empty_videos_empty():
    checked = Reliability({"a": LabelCheck(2, 1.0, 0.5, 3.0)})
    tags = {"e1": frozenset(), "e2": frozenset(), "v1": frozenset({"a"}), "v2": frozenset({"a"})}
    scores = {"e1": 0.3456, "e2": 0.1, "v1": 0.9, "v2": 0.2}
    results = {video: [Detection(0, 1, "a", score)] for video, score in scores.items()}
    cut = with_score_cut(checked, results, tags)
    assert (cut.score_cut, cut.empty, cut.labels["a"].kept, cut.labels["a"].tested) == (0.346, 2, 1, 2)
    assert "1 of 2" in cut.text()
    silent = with_score_cut(checked, results | {"e1": [], "e2": []}, tags)
    assert (silent.score_cut, silent.empty) == (None, 2)
    assert "no training video is labelled as empty" in checked.text()


@pytest.mark.parametrize(
    ("score", "cut"), [(0.3456, 0.346), (0.346, 0.347), (12.34, 12.4), (0.0, 0.001), (-0.5, -0.499), (1.0, 1.01)]
)
def test_the_cut_lies_above(score, cut):
    assert rounded_above(score) == cut > score


def test_train_and_localize_end_with_what_to_do(planted, tmp_path):
    done = train("dgam", features=planted.features, labels=planted.labels, out=tmp_path / "run", settings=BRIEF)
    checked = done.reliability
    assert checked == read_reliability(RunFolder(tmp_path / "run"))
    assert set(checked.labels) == set(planted.classes)
    assert checked.empty == 10
    said = done.text()
    for words in ("AP  by chance", "act00", f"next: untrimmed localize {tmp_path / 'run'} VIDEOS", "untrimmed refine"):
        assert words in said
    ask = {"features": planted.features, "subset_from": planted.annotations}
    new = localize(tmp_path / "run", **ask, subset="test", out=tmp_path / "new.json")
    assert new.score_cut == checked.score_cut
    assert set(new.video_scores) == {f"test00{n}" for n in range(4)}
    assert all(0 <= score <= 1 for scores in new.video_scores.values() for score in scores.values())
    said = new.text()
    for words in ("class  detections  minutes  videos", "video-level scores", "next: untrimmed report", "untrimmed export"):
        assert words in said
    other = localize(tmp_path / "run", **ask, subset="test", out=tmp_path / "new.json", settings={"nms": 0.3})
    assert other.score_cut is None, "detections that are cut otherwise have other scores"
    if checked.score_cut is not None:
        assert f"--min-score {checked.score_cut:g}" in new.text()
        again = localize(tmp_path / "run", **ask, subset="train", out=tmp_path / "train.json", min_score=checked.score_cut)
        assert all(not segments for video, segments in again.results.items() if not tags_of(planted)[video])
    (tmp_path / "run" / "reliability.json").write_text('{"labels": 3}')
    with pytest.raises(InputError, match="not as a run writes it"):
        read_reliability(RunFolder(tmp_path / "run"))


def test_a_run_without_labels_has_no_reliability(planted, tmp_path):
    done = train(
        "tcam",
        features=planted.features,
        unlabelled=True,
        clusters=2,
        out=tmp_path / "run",
        settings={"rounds": 1, "epochs": 1, "hidden": 8},
    )
    assert done.reliability is None
    assert "next: untrimmed localize" in done.text()


def test_a_label_by_chance_is_named_when_training_ends(planted, tmp_path):
    videos = sorted(tags_of(planted))
    lot = np.random.default_rng(0).random(len(videos)) < 0.5
    write_labels(tmp_path / "labels.csv", [(video, "lot" if chosen else "") for video, chosen in zip(videos, lot)])
    done = train(
        "selftrain", features=planted.features, labels=tmp_path / "labels.csv", out=tmp_path / "run", settings={"rounds": 1}
    )
    assert "warning: do not trust lot before you have looked at the page" in done.text()
    assert "untrimmed refine" not in done.text(), "a student would learn from what is no finding"


def test_a_student_is_advised_where_a_label_is_told_apart(planted, tmp_path):
    done = train("selftrain", features=planted.features, labels=planted.labels, out=tmp_path / "run", settings={"rounds": 1})
    assert f"or better, on most data: untrimmed refine {tmp_path / 'run'} --out {tmp_path / 'run'}-refined" in done.text()


# The tables of localize -------------------------------------------------------------------------------------------------------


def test_seconds_under_several_detections_count_once():
    assert covered([Detection(0, 4, "a", 1), Detection(2, 6, "a", 1), Detection(8, 9, "a", 1), Detection(3, 4, "a", 1)]) == 7
    assert covered([]) == 0


def test_the_table_by_class():
    results = {"v": [Detection(0, 60, "a", 0.9), Detection(30, 90, "a", 0.2)], "w": [Detection(0, 30, "b", 0.1)]}
    lines = by_class(results, ("a", "b", "c"), 0.5)
    assert lines[0].split() == ["class", "detections", "minutes", "videos", "above", "0.5", "minutes", "videos"]
    assert [line.split() for line in lines[1:]] == [
        ["a", "2", "1.5", "1", "1", "1.0", "1"],
        ["b", "1", "0.5", "1", "0", "0.0", "0"],
        ["c", "0", "0.0", "0", "0", "0.0", "0"],
    ]


def test_the_table_by_video():
    lines = by_video({f"v{n:02}": {"a": 0.1, "b": 0.7, "c": 0.15, "d": 0.05} for n in range(12)})
    assert lines[1].split("  ")[-1] == "b 0.70, c 0.15, a 0.10"
    assert lines[-1] == "... and 2 more"

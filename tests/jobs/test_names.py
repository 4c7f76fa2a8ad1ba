"""`names`: a form for the names of clusters, and labels.csv from it."""

import csv

import pytest

from untrimmed import cli
from untrimmed.data.annotations import write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.labels import read_labels
from untrimmed.data.types import Detection
from untrimmed.jobs.names import names

ASSIGNED = {"a": "cluster_00", "b": "cluster_00", "c": "cluster_01", "d": "cluster_02", "-e": "cluster_03", "f": "cluster_04"}


@pytest.fixture
def found(tmp_path):
    results = {
        "a": [Detection(1, 2, "cluster_00", 0.9), Detection(3, 4, "cluster_00", 0.8), Detection(5, 6, "cluster_00", 0.7)],
        "new": [Detection(1, 2.5, "cluster_00", 0.5), Detection(0, 1, "cluster_01", 0.4)],
    }
    write_detections(tmp_path / "found.json", results, {"method": "tcam", "clusters": ASSIGNED})
    return tmp_path / "found.json"


def write(path, *rows):
    path.write_text("cluster,name\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_from_the_form_to_labels(found, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["names", str(found), "--out", str(tmp_path / "names.csv")])
    assert ended.value.code == 0
    assert "5 clusters" in capsys.readouterr().out
    with open(tmp_path / "names.csv", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["cluster", "name", "videos", "typical"]
    assert rows[1] == ["cluster_00", "", "2", "a 1.0-2.0 s; a 3.0-4.0 s; new 1.0-2.5 s"], "at most two of a video"
    assert [row[0] for row in rows[1:]] == [f"cluster_0{k}" for k in range(5)]

    rows[1][1], rows[2][1], rows[3][1], rows[4][1] = "=jump, high", "None", "-", "=jump, high"
    with open(tmp_path / "names.csv", "w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    with pytest.raises(SystemExit) as ended:
        cli.main(["names", str(found), "--names", str(tmp_path / "names.csv"), "--out", str(tmp_path / "labels.csv")])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "2 video(s) of 2 cluster(s) without a name: cluster_02, cluster_04" in said
    assert "no action: 1" in said
    assert read_labels(tmp_path / "labels.csv").tags == {
        "a": {"=jump, high"},
        "b": {"=jump, high"},
        "c": set(),
        "-e": {"=jump, high"},
    }


def test_nothing_is_overwritten(found, tmp_path):
    given = write(tmp_path / "names.csv", "cluster_00,jump")
    with pytest.raises(InputError, match=r"names\.csv: exists already"):
        names(found, out=given)
    with pytest.raises(InputError, match="exists already"):
        names(found, names=given, out=given)
    done = names(found, names=given, out=tmp_path / "labels.csv")
    assert done.unnamed == {"cluster_01": 1, "cluster_02": 1, "cluster_03": 1, "cluster_04": 1}
    again = names(found, names=given, out=tmp_path / "labels.csv", force=True)
    assert again.set_aside == tmp_path / "labels.csv.1"
    assert (tmp_path / "labels.csv").read_text() == (tmp_path / "labels.csv.1").read_text() == "video,label\na,jump\nb,jump\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["cluster_0,jump"], "no cluster 'cluster_0'; did you mean 'cluster_0"),
        (["cluster_00,?"], r"cluster_00 is called '\?'"),
        (['cluster_00,"a\nb"'], "control character"),
        (["cluster_00,-"], "names no cluster"),
        ([], "names no cluster"),
        (["cluster_00,jump", "cluster_00,run"], "named already"),
    ],
)
def test_faults_in_the_names(found, tmp_path, rows, said):
    with pytest.raises(InputError, match=said):
        names(found, names=write(tmp_path / "names.csv", *rows), out=tmp_path / "labels.csv")
    assert not (tmp_path / "labels.csv").exists()


def test_detections_that_say_nothing_of_clusters(tmp_path):
    write_detections(tmp_path / "found.json", {"a": []}, {"method": "dgam"})
    with pytest.raises(InputError, match="`unlabelled`"):
        names(tmp_path / "found.json", out=tmp_path / "names.csv")
    write_detections(tmp_path / "found.json", {"a": []}, {"clusters": {"a": 3}})
    with pytest.raises(InputError, match="name of a cluster for each"):
        names(tmp_path / "found.json", out=tmp_path / "names.csv")
    write_detections(tmp_path / "found.json", {"a": []}, {"clusters": {"../a": "cluster_00"}})
    with pytest.raises(InputError, match="path separator"):
        names(tmp_path / "found.json", out=tmp_path / "names.csv")


def test_a_cluster_without_training_videos_labels_nothing(tmp_path):
    write_detections(tmp_path / "found.json", {"a": [Detection(0, 1, "cluster_09", 1.0)]}, {"clusters": {"a": "cluster_00"}})
    with pytest.raises(InputError, match="no video gets a label"):
        names(tmp_path / "found.json", names=write(tmp_path / "names.csv", "cluster_09,jump"), out=tmp_path / "labels.csv")

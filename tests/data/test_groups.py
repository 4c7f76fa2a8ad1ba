"""What a person has made of clusters, and which labels follow from it."""

import json

import pytest

from untrimmed.data.clusters import read_names
from untrimmed.data.errors import InputError
from untrimmed.data.groups import FORMAT, Groups, read_groups

FOUND = {"a": "cluster_00", "b": "cluster_00", "c": "cluster_01", "d": "cluster_02", "e": "cluster_03"}


def content(videos=None, **clusters):
    return {"format": FORMAT, "clusters": clusters, "videos": {**FOUND, **(videos or {})}, "found": FOUND}


def write(folder, made):
    path = folder / "clusters.json"
    path.write_text(made if isinstance(made, str) else json.dumps(made))
    return path


def test_labels_follow_from_names_moves_and_rejections(tmp_path):
    made = content(
        {"b": "cluster_04", "c": "cluster_00"},
        cluster_00={"name": " jump "},
        cluster_02={"name": "None"},
        cluster_03={"name": "dig", "rejected": True},
        cluster_04={"name": "", "rejected": False},
    )
    groups = read_groups(write(tmp_path, made))
    assert groups.labels() == {"a": "jump", "c": "jump", "d": ""}
    assert groups.as_clusters() == {"a": "cluster_00", "b": "cluster_04", "c": "cluster_00", "d": ""}
    assert groups.successors() == {"cluster_01": "cluster_00"}, "merged; of what was split most stays"
    assert read_names(tmp_path / "clusters.json") == {"cluster_00": "jump", "cluster_01": "jump", "cluster_02": "None"}


def test_clusters_of_one_name_are_one(tmp_path):
    groups = read_groups(write(tmp_path, content(cluster_01={"name": "jump"}, cluster_03={"name": "jump"})))
    assert groups.as_clusters()["e"] == "cluster_01"
    assert groups.are_corrected()
    assert not Groups(FOUND, FOUND, {"cluster_01": "jump"}).are_corrected(), "a name alone changes nothing for a student"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("[]", "not the clusters"),
        ("{", "JSON"),
        ({"format": "untrimmed-features/1"}, "not the clusters"),
        ({"format": FORMAT, "clusters": {}, "videos": {}}, "'found' is missing"),
        ({"format": FORMAT, "clusters": {}, "videos": {"a": 1}, "found": {"a": "x"}}, "expected text"),
        ({"format": FORMAT, "clusters": {}, "videos": {"../a": "x"}, "found": {"../a": "x"}}, "path separator"),
        ({"format": FORMAT, "clusters": {}, "videos": {"a": "x"}, "found": {}}, "only one of"),
        (content(cluster_00={"name": 7}), "expected"),
        (content(cluster_00={"name": "a\nb"}), "line break"),
        (content(cluster_00={"name": "a;b"}), "a row for each"),
        (content(cluster_00={"name": "x" * 201}), "201 characters"),
        (content(cluster_00={"rejected": 1}), "true or false"),
        (content(cluster_00=None), "true or false"),
    ],
)
def test_files_at_fault(tmp_path, made, said):
    with pytest.raises(InputError, match=said):
        read_groups(write(tmp_path, made))


def test_without_a_name_there_is_nothing_to_call(tmp_path):
    with pytest.raises(InputError, match="names no cluster"):
        read_names(write(tmp_path, content(cluster_00={"name": "-"})))

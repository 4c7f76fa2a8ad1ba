"""Clusters under review: the file of what is made of them, and what votes say."""

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.methods.planted import plant
from untrimmed.data.errors import InputError
from untrimmed.data.groups import read_groups
from untrimmed.reviewing.groups import GroupsFile
from untrimmed.reviewing.surest import Voting

FOUND = {"a": "cluster_00", "b": "cluster_00", "c": "cluster_01"}


def opened(folder):
    return GroupsFile(folder / "clusters.json", "ann", FOUND)


def test_changes_are_laid_over_what_is_there(tmp_path):
    first, second = opened(tmp_path), opened(tmp_path)
    assert not first.path.exists()
    first.save({}, {"cluster_00": {"name": "jump"}}, "named")
    state = second.save({"b": "cluster_02"}, {"cluster_02": {"name": "", "rejected": True}}, "split")
    assert (state["revision"], state["videos"]["b"]) == (2, "cluster_02")
    assert state["clusters"]["cluster_00"] == {"name": "jump", "rejected": False}, "what another tab has named"
    assert opened(tmp_path).state() == state, "and again after a restart"
    assert first.state() == state
    assert read_groups(first.path).labels() == {"a": "jump"}
    lines = [json.loads(line) for line in first.history.read_text().splitlines()]
    assert [(line["who"], line["what"], line["revision"]) for line in lines] == [("ann", "named", 1), ("ann", "split", 2)]


@pytest.mark.parametrize(
    ("videos", "clusters", "said"),
    [
        ({"new": "cluster_00"}, {}, "no training video"),
        ({"a": "../cluster"}, {}, "no cluster"),
        ({"a": 7}, {}, "no cluster"),
        ({"a": ["cluster_00"]}, {}, "no cluster"),
        ({}, {"</script>": {"name": "x"}}, "no cluster"),
        ({}, {"cluster_00": "x"}, "expected"),
        ({}, {"cluster_00": {"name": "x" * 201}}, "201 characters"),
        ({}, {"cluster_00": {"name": "\ud800"}}, "control character"),
        ([], {}, "expected"),
        ({}, None, "expected"),
    ],
)
def test_what_is_refused(tmp_path, videos, clusters, said):
    made = opened(tmp_path)
    with pytest.raises(InputError, match=said):
        made.save(videos, clusters)
    assert not made.path.exists()


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "clusters.json").write_text('{"format": "untrimmed-clusters/1"')
    with pytest.raises(InputError, match=r"clusters\.json"):
        opened(tmp_path)


def test_killed_while_saving(tmp_path):
    program = f"""
from pathlib import Path
from tests.reviewing.test_groups import opened
made = opened(Path({str(tmp_path)!r}))
for k in range(10**6):
    made.save({{"a": f"cluster_{{k % 90:02}}"}}, {{"cluster_00": {{"name": "x" * 200}}}})
    print(k, flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    writer.stdout.readline()
    time.sleep(0.02)
    writer.send_signal(signal.SIGKILL)
    said = writer.stdout.read().split()
    writer.wait()
    assert opened(tmp_path).state()["revision"] >= len(said), "whole, with all that had been saved"


def test_votes_say_how_sure_clusters_are_and_how_one_falls_apart(tmp_path):
    planted = plant(tmp_path)
    truth = {
        video: min(s.label for s in planted.truth[video].segments)
        for video in sorted(planted.subset("train"))
        if planted.truth[video].segments
    }
    names = {label: f"cluster_{c:02}" for c, label in enumerate(sorted(set(truth.values())))}
    cluster_of = {video: names[label] for video, label in truth.items()}
    voting = Voting(planted.store, sorted(cluster_of))
    assert voting.wait(60)
    about = voting.about(cluster_of)
    assert set(about["clusters"]) == set(names.values())
    for cluster, its in about["clusters"].items():
        assert its["agreement"] > 1.2 / len(names), "more than by chance"
        assert all(cluster_of[video] == cluster for video in its["surest"]["video"])
        assert all(start < end for start, end in zip(its["surest"]["start"], its["surest"]["end"]))
    inside = total = 0.0
    for its in about["clusters"].values():
        for video, start, end in zip(*(its["surest"][key] for key in ("video", "start", "end"))):
            total += end - start
            inside += sum(max(0.0, min(end, s.end) - max(start, s.start)) for s in planted.truth[video].segments)
    assert inside > 0.6 * total, "the surest stretches show the action"

    first, second = sorted(names.values())[:2]
    merged = {video: first if cluster == second else cluster for video, cluster in cluster_of.items()}
    half = set(voting.split(merged, first))
    parts = [{video for video, cluster in cluster_of.items() if cluster == name} for name in (first, second)]
    right = max(len(half & part) + len((parts[0] | parts[1]) - half - part) for part in parts)
    assert right > 0.7 * len(parts[0] | parts[1]), "a cluster of two actions falls into these"
    with pytest.raises(InputError, match="cannot be split"):
        voting.split(cluster_of, "cluster_99")
    assert voting.about(dict.fromkeys(cluster_of, "cluster_00")) is None, "one cluster cannot be unsure"

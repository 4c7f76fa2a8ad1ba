"""Work on a cluster of two machines, which are two nodes on this one: the same results, retries, and a report of failures."""

import json
import os
import socket
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.engine import work
from tests.methods.planted import plant
from tests.video.films import cut, film, moving_blocks, steady
from untrimmed import cli
from untrimmed.data.activations import read_activations
from untrimmed.data.errors import InputError
from untrimmed.engine import RETRIES, check_engine, each
from untrimmed.jobs.compare import compare
from untrimmed.jobs.extract import extract
from untrimmed.jobs.train import train

pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\..*", r"ignore::FutureWarning:ray\..*")  # Ray's own code
QUICK = {"fps": 6, "frames": 4, "stride": 4, "size": 48}


def test_an_engine_that_is_not_there(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="local or ray"):
        check_engine("spark")
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'untrimmed\[ray\]'"):
        extract(tmp_path, tmp_path / "store", engine="ray")


def test_an_address_at_which_there_is_no_cluster(monkeypatch, tmp_path):
    """What Ray itself would go on trying for many minutes."""
    for part in ("ray", "pandas", "pyarrow"):
        pytest.importorskip(part, reason="needs the extra ray")
    path = film(tmp_path / "a.mp4", steady(0.5), width=64, height=48)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            line, _ = server.accept()
            line.recv(100)
            line.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            line.close()

        other = threading.Thread(target=answer)
        other.start()
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        with pytest.raises(InputError, match=f"at RAY_ADDRESS=127.0.0.1:{port} .what answers there is not Ray"):
            extract(path, tmp_path / "store", engine="ray")
        other.join()
    with pytest.raises(InputError, match="no cluster can be reached"):  # now nothing answers
        extract(path, tmp_path / "store", engine="ray")
    assert not (tmp_path / "store").exists()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes of one core each, joined by this process."""
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    for part in ("pandas", "pyarrow"):
        pytest.importorskip(part, reason="needs the extra ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        # The nodes' processes import what this one does.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
        patch.setenv("RAY_worker_niceness", "0")  # else a busy machine leaves them nothing
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def meet(folder: Path, name: str) -> str:
    """Wait until the other one is there too: with one core a node, both nodes must be at work."""
    import ray

    (folder / name).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.05)
    return ray.get_runtime_context().get_node_id()


def test_both_machines_are_used(cluster, tmp_path):
    nodes = {i: node for i, node, _ in each(meet, tmp_path, ["a", "b"], engine="ray")}
    assert len(set(nodes.values())) == 2


def test_a_process_that_dies_is_replaced_and_one_that_always_dies_is_reported(cluster, tmp_path):
    found = {i: (result, died) for i, result, died in each(work.stumble, tmp_path, [1, 99], engine="ray", retries=RETRIES)}
    assert found[0] == (2, None)
    result, died = found[1]
    assert result is None
    assert f"died {RETRIES + 1} times" in died
    assert (tmp_path / "99").stat().st_size == RETRIES + 1


def test_a_users_fault_stays_one(cluster):
    with pytest.raises(InputError, match=r"^b: refused$"):
        list(each(work.refuse, None, ["b"], engine="ray"))


def test_what_is_stuck_is_given_up_and_what_tells_that_it_goes_on_is_not(cluster):
    told = []
    items = [(0, True), (20, False)]  # the second takes four seconds
    more = {"timeout": 3.0, "retries": RETRIES, "under_way": lambda *share: told.append(share)}
    found = {i: (result, died) for i, result, died in each(work.tell_and_sleep, None, items, engine="ray", **more)}
    assert found == {0: (None, "gave no sign of life for 3 s"), 1: (20, None)}
    shares = [share for index, share in told if index == 1]
    assert shares == sorted(shares)
    assert len(shares) >= 2


def test_a_gpu_that_no_machine_has(cluster):
    with pytest.raises(InputError, match="no machine of the Ray cluster has a GPU"):
        list(each(work.refuse, None, ["a"], engine="ray", gpu_share=0.25))


def test_extract_makes_the_same_features_and_reports_failures(cluster, tmp_path, monkeypatch, capsys):
    for i in range(3):
        film(tmp_path / "videos" / f"{i}.mp4", steady(2), width=64, height=48, draw=partial(moving_blocks, speed=i, seed=i))
    cut(film(tmp_path / "videos" / "bad.mp4", steady(1)), 0.5)
    monkeypatch.chdir(tmp_path)
    local = extract("videos", tmp_path / "local", settings=QUICK, workers=1)
    words = [word for name, value in QUICK.items() for word in ("--set", f"{name}={value}")]
    with pytest.raises(SystemExit) as ended:
        cli.main(["extract", "videos", "--out", "ray", "--engine", "ray", *words])
    assert ended.value.code == 3
    assert "2 machine(s)" in capsys.readouterr().err
    for file in sorted((tmp_path / "local").rglob("*.npy")):
        np.testing.assert_array_equal(np.load(tmp_path / "ray" / file.relative_to(tmp_path / "local")), np.load(file))
    headers = [json.loads((tmp_path / name / "features.json").read_text()) for name in ("local", "ray")]
    assert headers[0] == headers[1]
    assert json.loads((tmp_path / "ray" / "failures.json").read_text()) == local.failures


def test_localize_says_the_same(cluster, tmp_path):
    problem = plant(tmp_path / "problem", train=6, test=4)
    settings = {"epochs": 2, "hidden": 8, "latent": 4}
    train("dgam", features=problem.features, labels=problem.labels, out=tmp_path / "run", settings=settings)
    found = {}
    for engine in ("local", "ray"):
        out = tmp_path / f"{engine}.json"
        words = ["--features", str(problem.features), "--out", str(out), "--engine", engine]
        with pytest.raises(SystemExit) as ended:
            cli.main(["localize", str(tmp_path / "run"), *words])
        assert ended.value.code == 0
        found[engine] = json.loads(out.read_text())["results"], read_activations(out.with_suffix(".activations"))[0]
    assert found["ray"][0] == found["local"][0]
    for one, other in zip(*(activations for _, activations in found.values()), strict=True):
        assert one.video == other.video
        for stream, activation in one.streams.items():
            np.testing.assert_array_equal(activation.class_logit, other.streams[stream].class_logit)


def test_compare_makes_the_same_tables_though_a_machine_is_lost(cluster, tmp_path, capsys):
    """2 methods x 2 seeds; a third machine is killed while all three train, so that what it did is done again elsewhere."""
    plant(tmp_path / "d", train=8, test=4, empty=2)
    part = {name: f"d/{name}" for name in ("features", "labels.csv", "annotations.json")}
    fast = {"epochs": 300, "hidden": 8, "data": {"snippets": 8}}
    experiment = {
        "data": {"d": {name.partition(".")[0]: path for name, path in part.items()} | {"subset": "test"}},
        "runs": {"dgam": {"method": "dgam", "settings": fast | {"batch": 8}}, "tcam": {"method": "tcam", "settings": fast}},
        "seeds": 2,
        "metrics": ["mAP@0.1", "mAP@avg", "classification:accuracy"],
        "pairs": [["dgam", "tcam"]],
    }
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(experiment))
    local = compare(tmp_path / "experiment.yaml", out=tmp_path / "local")
    machine = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    lost = []

    def lose_it():
        folder = tmp_path / "ray" / "cache"
        while len(begun := list(folder.glob("*/run/metrics.jsonl"))) < 3:  # long enough that the first is not yet done
            time.sleep(0.05)
        done = [file for file in begun if (file.parent / "model" / "model.json").exists()]
        cluster.remove_node(machine, allow_graceful=False)
        lost.append((len(begun), len(done)))

    losing = threading.Thread(target=lose_it)
    losing.start()
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", str(tmp_path / "experiment.yaml"), "--out", str(tmp_path / "ray"), "--engine", "ray"])
    losing.join()
    assert ended.value.code == 0
    assert lost == [(3, 0)], "all three were at work"
    said = capsys.readouterr()
    assert "3 machine(s)" in said.err
    assert said.out.rstrip("\n") == local.markdown()
    files = {file.name for file in (tmp_path / "local").iterdir() if file.is_file()}
    assert {"results.md", "results.csv", "results.tex", "pairs.md", "pairs.csv", "plot.png"} <= files
    for name in files - {".lock"}:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes(), name
    for run in (tmp_path / "local" / "cache").glob("*/run"):
        there = tmp_path / "ray" / run.relative_to(tmp_path / "local")
        for name in ("model/weights.safetensors", "metrics.jsonl"):
            assert (there / name).read_bytes() == (run / name).read_bytes()

"""Which numbers may be asked for."""

import json

from tests.experiments.planted import content, write
from untrimmed.data.store import FeatureStore
from untrimmed.experiments.metrics import numbers_of
from untrimmed.jobs.compare import compare
from untrimmed.jobs.evaluate import evaluate
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train


def test_the_metrics_that_may_be_asked_for_are_those_that_evaluate_gives(world, done, tmp_path):
    run, found = tmp_path / "run", tmp_path / "found.json"
    features, annotations = world / "d/features", world / "d/annotations.json"
    train(
        "tcam",
        features=features,
        unlabelled=True,
        clusters=3,
        out=run,
        settings={"epochs": 1, "rounds": 1, "data": {"snippets": 8}},
    )
    localize(run, features=features, out=found, subset_from=annotations, subset="test")
    streams = ("rgb", "flow")
    counts = {v: one.snippets for v, one in FeatureStore(features).videos.items()}
    parts = {
        v: [["act00", 0, n // 3], ["context", n // 3, n // 3], ["background", n // 3 * 2, n - n // 3 * 2]]
        for v, n in counts.items()
    }
    (tmp_path / "parts.json").write_text(json.dumps(parts))
    for protocol, more in {
        "activitynet": {"min_score": 0.0},
        "classification": {},
        "attention": {"parts": tmp_path / "parts.json"},
    }.items():
        about = {
            "annotations": annotations,
            "subset": "test",
            "map_clusters": "soft",
            "labels": world / "d/labels.csv",
            "protocol": protocol,
        }
        given = {name for name in evaluate(found, **about, **more).scalars() if not name.startswith("mAP@")}
        assert given <= set(numbers_of(protocol, streams))
        assert protocol == "activitynet" or given == set(numbers_of(protocol, streams))
    given = evaluate(run, labels=world / "d/labels.csv", protocol="clustering").scalars()
    assert {name for name in given if ".round" not in name} == set(numbers_of("clustering"))


def test_a_number_that_a_run_does_not_have_is_left_out(world, tmp_path):
    tree = content(seeds=1, metrics=["precision", "f1", "silent_share"], evaluate={"min_score": 2.0, "tiou": [0.1, 0.5]})
    table = compare(write(world, tree), out=tmp_path / "out").tables[0]
    assert "tIoU 0.1,0.5" in table.caption
    assert table.values[0] == ((), (0.0,), (1.0,)), "no detection scores that much"

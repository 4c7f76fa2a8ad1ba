"""A small experiment on planted data."""

import yaml

FAST = {"epochs": 2, "hidden": 8, "batch": 8, "attention_delay": 0.0, "learning_rate": 0.01, "data": {"snippets": 8}}


def data(name="d", **more):
    return {"features": f"{name}/features", "labels": f"{name}/labels.csv", "annotations": f"{name}/annotations.json"} | more


def content(**changes):
    base = {
        "data": {"d": data(subset="test")},
        "runs": {"with": {"method": "dgam", "settings": FAST}, "without": {"method": "dgam", "settings": {**FAST, "gam": False}}},
        "seeds": 2,
        "metrics": ["mAP@0.1", "mAP@avg", "classification:accuracy"],
        "pairs": [["with", "without"]],
    }
    return base | changes


def write(world, tree, name="experiment.yaml"):
    path = world / name
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree, sort_keys=False))
    return path

"""How the kinds and traits of a diagnosis are shown, on the page and in figures. The page needs no matplotlib."""

from collections.abc import Mapping
from typing import Any

import numpy as np

KIND_COLOURS = {
    "true positive": "#3f7d4f",
    "double detection": "#a9c79a",
    "wrong label": "#6b4fa0",
    "localization error": "#d9822b",
    "confusion error": "#c9b3e0",
    "background error": "#a3a6aa",
}
"""Greens lie on a segment of their class, purples on one of another, orange at the wrong time, grey on nothing."""

TRAIT_WORDS = {"length": "length, s", "coverage": "share of its video, per cent", "instances": "instances in its video"}


def shares(diagnosis: Mapping[str, Any], k: int) -> dict[str, list[float]]:
    """For each kind its share, 0..1, of the detections of every level at the k-th threshold; 0 at a level without any."""
    counts = diagnosis["false_positives"]["counts"]
    number = np.maximum(np.sum([of_kind[k] for of_kind in counts.values()], axis=0), 1)
    return {kind: (np.asarray(of_kind[k]) / number).tolist() for kind, of_kind in counts.items()}

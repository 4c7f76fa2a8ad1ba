"""Figures of a diagnosis (see `untrimmed.evaluation.diagnosis`), from what its `to_json` says."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from untrimmed.console import note
from untrimmed.data.annotations import VideoTruth
from untrimmed.data.files import atomic_write, write_json
from untrimmed.data.types import Results
from untrimmed.evaluation.diagnosis import Diagnosis, diagnose
from untrimmed.reporting.kinds import KIND_COLOURS, TRAIT_WORDS, shares

INK, SOFT, RULE = "#1b1c1e", "#5d6167", "#e3e0d8"

TRAIT_COLOURS = {"length": "#1f6f8b", "coverage": "#b3401f", "instances": "#4d7a2a"}


def draw_diagnosis(diagnosis: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """Write `false_positives.png`, `false_negatives.png` and `sensitivity.png`; all at the threshold `shown_tiou`.

    Raises:
        InputError: a file cannot be written.
    """
    folder = Path(folder)
    k = diagnosis["tiou"].index(diagnosis["shown_tiou"])
    figures = {
        "false_positives.png": _false_positives(diagnosis, k),
        "false_negatives.png": _by_trait(diagnosis, k, "missed", diagnosis["missed"][k], "missed true segments, per cent"),
        "sensitivity.png": _by_trait(diagnosis, k, "mAP_N", diagnosis["mAP_N"][k], "normalized mAP, per cent"),
    }
    written = []
    for name, figure in figures.items():
        FigureCanvasAgg(figure)
        with atomic_write(folder / name, "wb") as handle:
            figure.savefig(handle, format="png")
        written.append(folder / name)
    return written


def _false_positives(diagnosis: Mapping[str, Any], k: int) -> Figure:
    figure = Figure(figsize=(10.5, 4.3), dpi=130, facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    levels = diagnosis["false_positives"]["levels"]
    base = np.zeros(len(levels))
    for kind, values in shares(diagnosis, k).items():
        left.bar(levels, 100 * np.asarray(values), bottom=100 * base, color=KIND_COLOURS[kind], width=0.86, label=kind)
        base += values
    left.set_ylim(0, 100)
    left.set_ylabel("share of the detections, per cent", color=SOFT)
    left.set_xlabel("from the surest on; G: number of true segments of the class", color=SOFT)
    left.set_title(f"What is detected, at tIoU {diagnosis['shown_tiou']:g}", loc="left", color=INK)
    gain = {kind: 100 * values[k] for kind, values in diagnosis["false_positives"]["gain"].items()}
    bars = right.barh(list(gain), list(gain.values()), color=[KIND_COLOURS[kind] for kind in gain], height=0.7)
    right.bar_label(bars, fmt="%.1f", padding=3, color=INK)
    right.invert_yaxis()
    right.set_xlim(0, max(1.0, 1.18 * max(gain.values())))
    right.set_xlabel("points of mAP", color=SOFT)
    right.set_title("mAP gained without", loc="left", color=INK)
    for axes in (left, right):
        _plain(axes)
    left.grid(axis="y", color=RULE)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(KIND_COLOURS), frameon=False, fontsize=9)
    return figure


def _by_trait(diagnosis: Mapping[str, Any], k: int, value: str, overall: float, words: str) -> Figure:
    figure = Figure(figsize=(10.5, 3.9), dpi=130, facecolor="white", layout="constrained")
    traits = diagnosis["traits"]
    widths = [max(len(trait["bins"]), 1) for trait in traits.values()]
    panels: Sequence[Axes] = figure.subplots(1, len(traits), sharey=True, width_ratios=widths, squeeze=False)[0]
    for axes, (name, trait) in zip(panels, traits.items(), strict=True):
        ticks = [
            f"{bin_['name']}\n{bin_['range'].replace(' to ', '–').replace('up–', 'up to ')}\n({bin_['instances']})"
            for bin_ in trait["bins"]
        ]
        heights = [100 * bin_[value][k] if bin_[value] is not None else np.nan for bin_ in trait["bins"]]
        bars = axes.bar(ticks, np.nan_to_num(heights), color=TRAIT_COLOURS[name], width=0.78)
        axes.bar_label(bars, ["" if np.isnan(h) else f"{h:.1f}" for h in heights], padding=2, color=INK, fontsize=9)
        axes.axhline(100 * overall, color=INK, linestyle="--", linewidth=1)
        axes.set_ylim(0, 110)
        axes.set_yticks(range(0, 101, 20))
        axes.set_title(f"by {TRAIT_WORDS[name]}", loc="left", color=INK, fontsize=10)
        axes.grid(axis="y", color=RULE)
        _plain(axes)
    panels[0].set_ylabel(words, color=SOFT)
    figure.suptitle(
        f"tIoU {diagnosis['shown_tiou']:g}; dashed: all, {100 * overall:.1f}; in brackets: true segments",
        x=0.01, ha="left", color=SOFT, fontsize=9,
    )  # fmt: skip
    return figure


def _plain(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=SOFT, labelsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)


def diagnose_into(
    out: str | Path, truth: Mapping[str, VideoTruth], results: Results, classes: Iterable[str], tious: Sequence[float]
) -> Diagnosis:
    """Write `diagnosis.json` and three figures into the folder `out`; arguments of `evaluation.diagnosis.diagnose`.

    Raises:
        InputError: as `diagnose` does, or `out` cannot be written to.
    """
    out = Path(out)
    diagnosis = diagnose(truth, results, classes, tious)
    content = diagnosis.to_json()
    figures = draw_diagnosis(content, out)
    write_json(out / "diagnosis.json", content, indent=1)
    note(f"{out}: diagnosis.json, {', '.join(path.name for path in figures)}")
    return diagnosis

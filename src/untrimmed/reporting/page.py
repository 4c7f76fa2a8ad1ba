"""One HTML file that shows what was found: its data, script and style inline, nothing fetched but the videos it links to.

What the page says about single videos is drawn by the modules in page/ from JSON; the summary is written here, so that it can be
read, searched and printed without a script.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from untrimmed.data.annotations import VideoTruth
from untrimmed.data.files import atomic_write
from untrimmed.data.types import Activation, Detection, Results, Segment, StreamActivation
from untrimmed.reporting.clusters import Cluster
from untrimmed.reporting.kinds import KIND_COLOURS, TRAIT_WORDS, shares
from untrimmed.reporting.script import one_script

MOST_POINTS = 600
"""Points of a curve: about two per pixel column of the widest screen it is drawn on."""

LOOKS = 6
"""Lines beside the own that can be told apart: three dashes in two shades."""

MOST_CURVES = 6
"""Classes whose curve is kept per video."""

MOST_DETECTIONS = 250
"""Detections kept per video, the surest."""

MOST_PR_POINTS = 200

HUES = (255, 35, 150, 320, 85, 195, 10, 120, 285, 60)
"""Hues of ten classes, far apart for neighbours. The next ten have the same with one pattern, the next ten with another; further
ones follow by the golden angle."""

PATTERNS = 3
"""Plain, and two kinds of stripes."""

TERMS = {
    "tIoU": "temporal intersection over union: the time that two segments share, by the time that either covers",
    "mAP": "mean average precision: the mean over the classes of their average precision",
    "AP": "average precision of a class: precision averaged over recall, as detections are added from the surest on",
    "precision": "share of the detections that are right",
    "recall": "share of the true segments that are found",
    "mAP_N": "mean average precision with normalized precision, of these segments alone",
}
"""Explained on hover."""


@dataclass(frozen=True)
class Media:
    """Where the page finds a video.

    link: relative address, percent-encoded. holds: codec and container in words. plays: whether browsers play it.
    fault: why it cannot be read, if it cannot.
    """

    link: str
    holds: str
    plays: bool
    fault: str | None = None


@dataclass(frozen=True)
class Page:
    """Everything the page shows, as plain data.

    about: pairs of a name and a text for the head of the page (run, method, selection ...).
    scores: as `evaluate --json` writes them; besides, optionally, `precision_recall {label: {recall, precision}}` at
        `precision_recall_tiou`, and `beside {name: [mAP per tIoU]}` for other results to compare with this one, called `name`.
    notes: sentences that a reader must know (what was left out, on what the scores rest).
    media: None where no folder of videos was given; else videos that are missing in it had no file.
    diagnosis: what is wrong with the detections, as `evaluation.diagnosis.Diagnosis.to_json` says it.
    beside: the detections of another run, drawn below these in the same videos; `runs` then names both, this one first.
    clusters: of an unlabelled run, to be named on the page. no_action: names that stand for "surely no action".
    review: what `untrimmed review` tells the page's editing (page/editing.js); None: a page that is only looked at.
    durations: of videos, in seconds, where neither activations nor truth have them.
    """

    results: Results
    about: Sequence[tuple[str, str]] = ()
    truth: Mapping[str, VideoTruth] | None = None
    activations: Mapping[str, Activation] = field(default_factory=dict)
    media: Mapping[str, Media] | None = None
    scores: Mapping[str, Any] | None = None
    diagnosis: Mapping[str, Any] | None = None
    beside: Results = field(default_factory=dict)
    runs: tuple[str, str] | None = None
    clusters: Sequence[Cluster] = ()
    no_action: Sequence[str] = ()
    notes: Sequence[str] = ()
    title: str = "What happens when"
    review: Mapping[str, Any] | None = None
    durations: Mapping[str, float] = field(default_factory=dict)


def write_page(page: Page, out: str | Path) -> None:
    """Write the page, atomically.

    Raises:
        InputError: it cannot be written.
    """
    with atomic_write(out, "wb") as handle:
        handle.write(page_html(page))


def page_html(page: Page) -> bytes:
    """The page's HTML, in UTF-8."""
    files = resources.files(__package__).joinpath("page")
    script = one_script(files, "main.js" if page.review is None else "review.js")
    sheets = ["page.css"] if page.review is None else ["page.css", "review.css"]
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"percent": lambda x: f"{100 * x:.1f}", "number": lambda x: f"{x:,}".replace(",", "\u202f")}
    classes = _classes(page)
    html = environment.from_string(files.joinpath("page.html").read_text(encoding="utf-8")).render(
        page=page,
        summary=_summary(page.scores, classes) if page.scores else None,
        diagnosis=_diagnosis(page.diagnosis) if page.diagnosis else None,
        terms=TERMS,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style="".join(files.joinpath(sheet).read_text(encoding="utf-8") for sheet in sheets),
        data=_inline(_data(page, classes)),
    )
    return html.encode("utf-8", "replace")


def _inline(value: Any) -> str:
    """JSON that may stand inside <script>: no `<` that could end the element, no line separator that could end a string."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII: U+2028 and U+2029 are escaped already
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _classes(page: Page) -> list[str]:
    """All labels that the page may name, sorted."""
    labels = {d.label for results in (page.results, page.beside) for detections in results.values() for d in detections}
    for activation in page.activations.values():
        labels.update(activation.classes)
    for truth in (page.truth or {}).values():
        labels.update(segment.label for segment in truth.segments)
    if page.scores:
        labels.update(page.scores["per_class"])
    labels.update(cluster.name for cluster in page.clusters)
    labels.update((page.review or {}).get("labels", ()))
    return sorted(labels)


def hue(index: int) -> float:
    """Hue in degrees of a class, by its place among the page's classes."""
    if index < PATTERNS * len(HUES):
        return float(HUES[index % len(HUES)])
    return round((20 + 137.508 * index) % 360, 1)


def pattern(index: int) -> int:
    """Pattern of a class, by its place among the page's classes: 0 is plain."""
    return index // len(HUES) % PATTERNS


def _data(page: Page, classes: list[str]) -> dict[str, Any]:
    """What page/data.js reads. Long lists are columns: the values of all rows under the name of each."""
    place = {label: i for i, label in enumerate(classes)}
    scale = _scales(page.activations.values())
    assigned = sorted((video, k) for k, cluster in enumerate(page.clusters) for video in cluster.videos)
    return {
        "classes": classes,
        "hues": [hue(i) for i in range(len(classes))],
        "patterns": [pattern(i) for i in range(len(classes))],
        "hasTruth": page.truth is not None,
        "hasVideos": page.media is not None,
        "scale": scale,
        "runs": {"shown": page.runs[0], "beside": page.runs[1]} if page.runs else None,
        "mostDetections": MOST_DETECTIONS,
        "videos": [_video(page, video, place, scale) for video in sorted(page.results)],
        "clusters": _clusters(page, place),
        "assigned": {"video": [video for video, _ in assigned], "cluster": [k for _, k in assigned]},
        "noAction": sorted(page.no_action),
        "review": page.review,
    }


def _clusters(page: Page, place: Mapping[str, int]) -> list[dict[str, Any]]:
    """Of each cluster its segments to look at, with the video's place in the list."""
    row = {video: i for i, video in enumerate(sorted(page.results))}
    clusters = []
    for cluster in page.clusters:
        shown = [(video, d) for video, d in cluster.typical if video in row]
        clusters.append(
            {
                "label": place[cluster.name],
                "videos": len(cluster.videos),
                "detections": cluster.detections,
                "typical": {"video": [row[video] for video, _ in shown], **_detections([d for _, d in shown], place)},
            }
        )
    return clusters


def _segments(segments: Sequence[Segment | Detection], place: Mapping[str, int]) -> dict[str, list[Any]]:
    return {
        "start": [round(s.start, 3) for s in segments],
        "end": [round(s.end, 3) for s in segments],
        "label": [place[s.label] for s in segments],
    }


def _detections(detections: Sequence[Detection], place: Mapping[str, int]) -> dict[str, list[Any]]:
    return {**_segments(detections, place), "score": [_short(d.score) for d in detections]}


def _video(page: Page, video: str, place: Mapping[str, int], scale: dict[str, Any]) -> dict[str, Any]:
    detections = sorted(page.results[video], key=lambda d: -d.score)
    truth = (page.truth or {}).get(video)
    activation = page.activations.get(video)
    segments = truth.segments if truth else ()
    beside = sorted(page.beside.get(video, ()), key=lambda d: -d.score)[:MOST_DETECTIONS]
    ends = [s.end for s in segments] + [d.end for d in [*detections, *beside]]
    if activation is not None:
        duration = activation.timeline.duration
    elif truth is not None and truth.duration:
        duration = truth.duration
    else:
        duration = page.durations.get(video, 0.0)
    entry: dict[str, Any] = {
        "id": video,
        "duration": round(max([duration, *ends]), 3) or 1.0,
        "annotated": truth is not None,
        "truth": _segments(sorted(segments), place),
        "detections": _detections(detections[:MOST_DETECTIONS], place),
        "more": max(len(detections) - MOST_DETECTIONS, 0),
    }
    if page.runs:
        entry["beside"] = _detections(beside, place)
    if page.media is not None and (media := page.media.get(video)) is not None:
        entry["media"] = asdict(media)
    if activation is not None and activation.timeline.count:
        wanted = dict.fromkeys([*(s.label for s in segments), *(d.label for d in detections)])
        entry["curves"] = _curves(activation, list(wanted), place, scale)
    return entry


def _scales(activations: Any) -> dict[str, Any]:
    """Common bounds of all videos' curves: comparing two videos by eye needs one scale.

    A gate's attention lies in 0..1 by itself; a distribution's is multiplied by the video's length, and its top is the largest.
    Class logits have no bounds of their own: the lowest and highest value of each stream.
    """
    attention = 1.0
    logit: dict[str, list[float]] = {}
    for activation in activations:
        for name, stream in activation.streams.items():
            if activation.attention_kind == "distribution" and (curve := _attention(activation, stream)) is not None:
                attention = max(attention, float(np.nanmax(curve)))
            values = np.asarray(stream.class_logit, dtype=np.float64)
            if values.size:
                low, high = logit.get(name, (np.inf, -np.inf))
                logit[name] = [min(low, float(values.min())), max(high, float(values.max()))]
    return {
        "attention": _short(attention),
        "logit": {
            name: {"low": _short(low), "high": _short(high if high > low else low + 1)} for name, (low, high) in logit.items()
        },
    }


def _attention(activation: Activation, stream: StreamActivation) -> np.ndarray | None:
    if stream.attention is None or not len(stream.attention):
        return None
    curve = np.asarray(stream.attention, dtype=np.float64)
    return curve * len(curve) if activation.attention_kind == "distribution" else curve


def _curves(activation: Activation, wanted: list[str], place: Mapping[str, int], scale: dict[str, Any]) -> dict[str, Any]:
    """The curves of one video: `points` a curve, from time `start`, each standing for `step` seconds."""
    timeline = activation.timeline
    points = min(timeline.count, MOST_POINTS)
    mean = np.mean([stream.class_score for stream in activation.streams.values()], axis=0)
    best = [activation.classes[c] for c in np.argsort(-mean, kind="stable")]
    shown = [label for label in dict.fromkeys([best[0], *wanted, *best]) if label in activation.classes][:MOST_CURVES]
    shown.sort(key=best.index)
    streams = {}
    for name, stream in activation.streams.items():
        bounds = scale["logit"].get(name, {"low": 0.0, "high": 1.0})
        attention = _attention(activation, stream)
        streams[name] = {
            "attention": None if attention is None else _pack(attention, 0.0, scale["attention"]),
            "logit": [
                _pack(np.asarray(stream.class_logit)[:, activation.classes.index(label)], bounds["low"], bounds["high"])
                for label in shown
            ],
        }
    return {
        "start": round(timeline.start, 4),
        "step": round(timeline.step * timeline.count / points, 6),
        "classes": [place[label] for label in shown],
        "streams": streams,
    }


def decimate(curve: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """At most `most` points of a curve [T] that keep its peaks: of each stretch the lowest and the highest, in their order."""
    if len(curve) <= most:
        return curve
    cuts = np.linspace(0, len(curve), most // 2 + 1).astype(int)
    kept = []
    for a, b in pairwise(cuts):
        low, high = a + int(curve[a:b].argmin()), a + int(curve[a:b].argmax())
        kept += [min(low, high), max(low, high)]
    return curve[kept]


def _pack(curve: np.ndarray, low: float, high: float) -> str:
    """A curve as base64 of bytes, 0 for `low` and 255 for `high`."""
    level = (decimate(np.nan_to_num(np.asarray(curve, dtype=np.float64))) - low) / (high - low)
    return base64.b64encode(np.clip(np.rint(level * 255), 0, 255).astype(np.uint8).tobytes()).decode()


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _summary(scores: Mapping[str, Any], classes: list[str]) -> dict[str, Any]:
    """What the template shows of the scores: rows, and the coordinates of the plots."""
    tious = [float(t) for t in scores["tiou"]]
    middle = min(range(len(tious)), key=lambda k: abs(tious[k] - 0.5))
    rows = [
        {"label": label, **_look(label, classes), "ap": list(ap), "average": float(np.mean(ap))}
        for label, ap in scores["per_class"].items()
    ]
    rows.sort(key=lambda row: (-row["ap"][middle], row["label"]))
    lines: list[dict[str, Any]] = [{"name": None, "values": list(scores["mAP"])}]
    lines += [{"name": name, "values": list(values)} for name, values in scores.get("beside", {}).items()]
    for k, line in enumerate(lines):
        line["look"] = f"beside beside-{(k - 1) % LOOKS}" if k else "own"
        line["average"] = float(np.mean(line["values"]))
        line["points"] = [(round(_across(k, len(tious)), 2), round(_down(v), 2), v) for k, v in enumerate(line["values"])]
    plots = [
        {
            "label": label,
            **_look(label, classes),
            "ap": scores["per_class"][label][middle],
            "line": _steps(curve["recall"], curve["precision"]),
        }
        for label, curve in sorted(
            scores.get("precision_recall", {}).items(), key=lambda item: -scores["per_class"][item[0]][middle]
        )
    ]
    return {
        "tious": tious,
        "middle": middle,
        "columns": [round(_across(k, len(tious)), 2) for k in range(len(tious))],
        "rows": rows,
        "lines": lines,
        "plots": plots,
        "grid": [(level, _down(level)) for level in (0.0, 0.25, 0.5, 0.75, 1.0)],
    }


def _look(label: str, classes: list[str]) -> dict[str, float]:
    return {"hue": hue(classes.index(label)), "pattern": pattern(classes.index(label))}


def _diagnosis(diagnosis: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of a diagnosis, all at one threshold: bars of the kinds by level, and rows."""
    k = diagnosis["tiou"].index(diagnosis["shown_tiou"])
    by_kind = shares(diagnosis, k)
    levels = diagnosis["false_positives"]["levels"]
    width = 600 / len(levels)
    bars, below = [], np.zeros(len(levels))
    for kind, share in by_kind.items():
        for i, part in enumerate(share):
            top = 1 - below[i] - part
            bars.append(
                (round(4 + i * width + 4, 1), round(8 + 180 * top, 2), round(180 * part, 2), KIND_COLOURS[kind], kind, part)
            )
        below += share
    counts = diagnosis["false_positives"]["counts"]
    total = max(sum(sum(of_kind[k]) for of_kind in counts.values()), 1)
    gain = diagnosis["false_positives"]["gain"]
    most = max(max(values[k] for values in gain.values()), 1e-9)
    return {
        "tiou": diagnosis["shown_tiou"],
        "instances": diagnosis["instances"],
        "missed": diagnosis["missed"][k],
        "map_n": diagnosis["mAP_N"][k],
        "bars": [bar for bar in bars if bar[2] > 0],
        "bar_width": round(width - 8, 1),
        "levels": [(round(4 + (i + 0.5) * width, 1), _times(name)) for i, name in enumerate(levels)],
        "last_level": _times(levels[-1]),
        "kinds": [
            {
                "name": kind,
                "colour": KIND_COLOURS[kind],
                "first": by_kind[kind][0],
                "all": sum(counts[kind][k]) / total,
                "gain": gain[kind][k] if kind in gain else None,
                "length": gain[kind][k] / most if kind in gain else 0.0,
            }
            for kind in by_kind
        ],
        "traits": [
            {
                "words": TRAIT_WORDS[name],
                "bins": [
                    {**group, "missed": group["missed"][k], "map_n": group["mAP_N"][k]}
                    for group in trait["bins"]
                    if group["instances"]
                ],
            }
            for name, trait in diagnosis["traits"].items()
        ],
    }


def _times(level: str) -> str:
    """`3G` in a diagnosis is three times as many detections as a class has true segments."""
    return f"\u00d7{level.removesuffix('G')}"


# The plot of mAP is 640 x 240 units, its axes leave a margin for the numbers.
def _across(k: int, count: int) -> float:
    return 330.0 if count == 1 else 52 + k * (616 - 52) / (count - 1)


def _down(level: float) -> float:
    return 206 - level * 190


def _steps(recall: Sequence[float], precision: Sequence[float]) -> str:
    """SVG path in a 100 x 100 square: precision i holds from recall i - 1 to recall i, then falls to nothing."""
    if not len(recall):
        return "M0 100H100"
    chosen = np.unique(np.linspace(0, len(recall) - 1, min(len(recall), MOST_PR_POINTS)).astype(int))
    path = [f"M0 {100 - 100 * precision[0]:.1f}"]
    for i in chosen:
        path.append(f"V{100 - 100 * precision[i]:.1f}H{100 * recall[i]:.1f}")
    return "".join(path) + "V100"

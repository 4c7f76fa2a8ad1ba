"""Stored activations: what a method said of each video, kept so that detections can be cut again without the model.

activations.json         format, method, run, selection, classes, attention_kind, timelines, class scores
<id>.safetensors         <stream>.attention [T], <stream>.class_logit [T, C], <stream>.<extra name>
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from untrimmed.console import shortened
from untrimmed.data.arrays import read_tensors
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, check_shape, read_json, write_json
from untrimmed.data.ids import check_id
from untrimmed.data.outputs import activations_beside
from untrimmed.data.store import LATEST
from untrimmed.data.types import Activation, Detection, StreamActivation, Timeline

FORMAT = "untrimmed-activations/1"

_TIMELINE = {"start": float, "step": float, "count": int, "duration": float}
_SEGMENT = {"start": float, "end": float, "label": str, "score": float}
HEAD = {
    "classes": [str],
    "attention_kind": str,
    "run?": (str, None),
    "method?": (str, None),
    "selection?": (str, None),
    "localization?": dict,
    "clusters?": {str: str},
    "held?": {str: [str]},
    "videos": {str: {"timeline": _TIMELINE, "class_score": {str: [float]}, "segments?": ([_SEGMENT], None)}},
}


def write_activations(folder: str | Path, activations: Iterable[Activation], about: dict[str, Any]) -> None:
    """Write a folder of activations; `about` holds what is known of their run (`run`, `method`, `selection`, ...).

    The arrays come first and `activations.json`, without which the folder is none, last.
    """
    folder = Path(folder)
    videos: dict[str, Any] = {}
    classes: tuple[str, ...] = ()
    kind = "gate"
    for activation in activations:
        classes, kind = activation.classes, activation.attention_kind
        arrays: dict[str, np.ndarray] = {}
        for name, stream in activation.streams.items():
            curves = {"attention": stream.attention, "class_logit": stream.class_logit, **stream.extra}
            arrays |= {f"{name}.{curve}": np.ascontiguousarray(value) for curve, value in curves.items() if value is not None}
        with atomic_write(folder / f"{check_id(activation.video, folder)}.safetensors", "wb") as handle:
            handle.write(save(arrays))
        videos[activation.video] = {
            "timeline": asdict(activation.timeline),
            "class_score": {name: [float(s) for s in stream.class_score] for name, stream in activation.streams.items()},
        }
        if activation.segments is not None:
            videos[activation.video]["segments"] = [d._asdict() for d in activation.segments]
    head = {"format": FORMAT, **about, "classes": list(classes), "attention_kind": kind, "videos": videos}
    write_json(folder / "activations.json", head, indent=1)


def find_activations(detections: Path) -> Path | None:
    """The folder of activations beside a detections file, if there is one.

    Where the file's name does not end in `.json`, an earlier version left away what is behind its last dot, so that files shared a
    folder; such a folder is taken only if it is of the same run and videos.

    Raises:
        InputError: one of the two cannot be read.
    """
    beside, before = activations_beside(detections), detections.with_suffix(".activations")
    if beside.is_dir():
        return beside
    if before == beside or not (before / "activations.json").is_file():
        return None
    found, stored = read_json(detections), read_json(before / "activations.json")
    try:
        of_run = all(found["untrimmed"].get(key) == stored.get(key) for key in ("run", "method", "selection"))
        return before if of_run and found["results"].keys() == stored["videos"].keys() else None
    except (TypeError, KeyError, AttributeError):
        return None


def read_activations(folder: str | Path) -> tuple[list[Activation], dict[str, Any]]:
    """The activations of a folder and what is known of their run.

    Raises:
        InputError: not a folder of activations, or a video's file is missing or damaged.
    """
    folder = Path(folder)
    head_file = folder / "activations.json"
    if not head_file.is_file():
        raise InputError(f"{folder}: not a folder of activations (no activations.json in it)")
    head = read_json(head_file)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise InputError(f'{head_file}: expected "format": "{FORMAT}"')
    check_shape(head, HEAD, str(head_file))
    activations: list[Activation] = []
    try:
        classes, kind = tuple(head["classes"]), head["attention_kind"]
        for video, entry in head["videos"].items():
            file = folder / f"{check_id(video, head_file)}.safetensors"
            try:
                arrays = read_tensors(file)
            except FileNotFoundError:
                raise InputError(f"{file}: no such file, though activations.json lists {video!r}") from None
            streams = {
                name: StreamActivation(
                    arrays.pop(f"{name}.attention", None),
                    arrays.pop(f"{name}.class_logit"),
                    np.asarray(scores, dtype=np.float64),
                    {curve.removeprefix(f"{name}."): array for curve, array in arrays.items() if curve.startswith(f"{name}.")},
                )
                for name, scores in entry["class_score"].items()
            }
            grid = {key: float(value) for key, value in entry["timeline"].items()}
            timeline = Timeline(grid["start"], grid["step"], int(entry["timeline"]["count"]), grid["duration"])
            if timeline.step <= 0 or timeline.count < 1 or not 0 < timeline.duration <= LATEST:
                raise InputError(f"{head_file}: video {video}: timeline: expected a step, a count and a duration above zero")
            for name, stream in streams.items():
                expected = (timeline.count, len(classes))
                if stream.class_logit.shape != expected or stream.class_score.shape != expected[1:]:
                    raise InputError(
                        f"{file}: stream {name!r}: class_logit {list(stream.class_logit.shape)} and class_score "
                        f"{list(stream.class_score.shape)} do not fit {expected[0]} snippets and {expected[1]} classes"
                    )
                if not all(
                    np.isfinite(v).all() for v in (stream.class_logit, stream.class_score, stream.attention) if v is not None
                ):
                    raise InputError(f"{file}: stream {name!r}: a value is not finite (NaN or infinity)")
                if any(curve.dtype.kind != "f" for curve in (stream.class_logit, stream.attention) if curve is not None):
                    raise InputError(f"{file}: stream {name!r}: expected floating-point numbers")
                if stream.attention is not None and stream.attention.shape != expected[:1]:
                    raise InputError(
                        f"{file}: stream {name!r}: attention {list(stream.attention.shape)} does not fit {expected[0]} snippets"
                    )
            if not streams:
                raise InputError(f"{head_file}: video {video}: class_score: expected the scores of at least one stream")
            if activations and streams.keys() != activations[0].streams.keys():
                of_others = ", ".join(sorted(activations[0].streams))
                raise InputError(f"{head_file}: video {video}: class_score: expected the streams of the others, {of_others}")
            spans = entry.get("segments")
            segments = None if spans is None else [Detection(**d) for d in spans]
            activations.append(Activation(video, classes, timeline, streams, kind, segments))
        about = {k: v for k, v in head.items() if k not in ("format", "classes", "attention_kind", "videos")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{head_file}: damaged ({type(error).__name__}: {shortened(error)})") from error
    return activations, about

"""All formats: which module writes and reads each, what its files are called, and which one a file is in."""

import json
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from untrimmed.data.errors import InputError
from untrimmed.interchange import (
    activitynet,
    audacity,
    boris_aggregated,
    boris_tabular,
    chapters,
    csv,
    eaf,
    edl,
    fiftyone,
    frames,
    label_studio,
    llc,
    otio,
    srt,
    textgrid,
    via,
    vtt,
    youtube,
)
from untrimmed.interchange.marks import text_of
from untrimmed.interchange.tables import table_of


class Format(NamedTuple):
    """module: has `write(results, path, known)` for all videos or, of a format that holds one, `write(items, path, media)`; and
    `read(path, known)`. ending: of a file's name, behind the video's id."""

    module: ModuleType
    ending: str
    all_videos: bool


FORMATS = {
    "csv": Format(csv, ".csv", True),
    "vtt": Format(vtt, ".vtt", False),
    "srt": Format(srt, ".srt", False),
    "eaf": Format(eaf, ".eaf", False),
    "boris-aggregated": Format(boris_aggregated, ".csv", True),
    "boris-tabular": Format(boris_tabular, ".csv", False),
    "label-studio": Format(label_studio, ".json", True),
    "activitynet": Format(activitynet, ".json", True),
    "frames": Format(frames, "_labels.csv", False),
    "fiftyone": Format(fiftyone, ".json", True),
    "via": Format(via, ".json", True),
    "textgrid": Format(textgrid, ".TextGrid", False),
    "audacity": Format(audacity, ".txt", False),
    "edl": Format(edl, ".edl", True),
    "otio": Format(otio, ".otio", True),
    "chapters": Format(chapters, ".ffmetadata", False),
    "youtube": Format(youtube, "_chapters.txt", False),
    "llc": Format(llc, "-proj.llc", False),
}

_SUFFIXES = {
    Path(f"video{format.ending}").suffix.lower(): name
    for name, format in FORMATS.items()
    if format.ending.rpartition(".")[2] not in ("csv", "json", "txt")
}


def suffixes() -> set[str]:
    """The endings of all formats' files, in lower case: `.vtt`."""
    return {Path(f"video{format.ending}").suffix.lower() for format in FORMATS.values()}


def guess(path: Path) -> str:
    """The format of a file, by its ending and, of `.csv`, `.json` and `.txt`, by what is in it.

    Raises:
        InputError: it cannot be read, or nothing tells.
    """
    suffix = path.suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if not path.is_file():
        raise InputError(f"{path}: {'a folder; name the files in it' if path.is_dir() else 'no such file'}")
    found = {".csv": _table, ".tsv": _table, ".json": _json, ".txt": _lines}.get(suffix, _lines)(path)
    if found is None:
        raise InputError(f"{path}: cannot tell its format; name it as `format`: {', '.join(FORMATS)}")
    return found


def _table(path: Path) -> str | None:
    head = text_of(path)[:100_000]
    if head.lstrip('"').startswith("Observation id") and "Behavior" not in head.split("\n")[0]:
        return "boris-tabular"  # of an older version, with what is known of the observation above the table
    table = table_of(path)
    if table.column("Behavior") is not None:
        return "boris-aggregated" if table.column("Start (s)") is not None else "boris-tabular"
    if None not in [table.column(name) for name in csv.COLUMNS[:4]]:
        return "csv"
    classes = table.header[1:] if frames.is_index(table) else table.header
    values = {row[name].strip() for _, row in table.rows[:1000] for name in classes}
    return "frames" if classes and values <= {"0", "1", "-1", "0.0", "1.0"} and table.rows else None


def _json(path: Path) -> str | None:
    try:
        content = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON: {str(error)[:80]}") from error
    if isinstance(content, list):
        return "label-studio" if any(isinstance(task, dict) and "data" in task for task in content) else None
    if not isinstance(content, dict):
        return None
    keys = {"database": "activitynet", "results": "activitynet", "OTIO_SCHEMA": "otio", "cutSegments": "llc"}
    if found := [name for key, name in keys.items() if key in content]:
        return found[0]
    if {"metadata", "view", "file"} <= set(content):
        return "via"
    return "fiftyone" if "labels" in content else None


def _lines(path: Path) -> str | None:
    text = text_of(path)
    if text.startswith(";FFMETADATA"):
        return "chapters"
    if text.startswith("WEBVTT"):
        return "vtt"
    if "ooTextFile" in text[:100]:
        return "textgrid"
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("\\")]
    if lines and all(len(line.split("\t")) >= 3 for line in lines):
        return "audacity"
    return "youtube" if any(youtube.is_chapter(line) for line in lines) else None

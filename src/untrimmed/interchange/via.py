"""Detections as a project of VIA 3, the VGG annotator that runs in a browser from one page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from untrimmed.data.annotations import list_of
from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json, write_json
from untrimmed.interchange.marks import Marks, mark, marks_of
from untrimmed.interchange.media import Known, video_of
from untrimmed.interchange.text import Item, one_line, score_text

SEGMENT = "FILE1_Z2_XY0"
"""VIA's name for an attribute of a stretch of one file."""

TEXT, CHECKBOX, SELECT = 1, 2, 4
VIDEO, IN_BROWSER = 4, 1
"""VIA's numbers for kinds of attributes, of files, and for a file that its user picks in the browser."""


def write(results: Mapping[str, Sequence[Item]], path: str | Path, known: Known) -> None:
    """Write a project with all videos; the label is a list to choose from, the score a text. VIA asks for the files when it opens
    the project, since a page may not open them by itself.

    Source: the project format of VIA 3.1, https://gitlab.com/vgg/via.

    Raises:
        InputError: the file cannot be written.
    """
    classes = sorted({one_line(item.label) for items in results.values() for item in items})
    options = {str(number): label for number, label in enumerate(classes, start=1)}
    option_of = {label: number for number, label in options.items()}
    files, views, metadata = {}, {}, {}
    for number, (video, items) in enumerate(sorted(results.items()), start=1):
        place = str(number)
        files[place] = {"fid": place, "fname": known.of(video).name, "type": VIDEO, "loc": IN_BROWSER, "src": ""}
        views[place] = {"fid_list": [place]}
        for count, item in enumerate(sorted(items), start=1):
            values = {"1": option_of[one_line(item.label)]} | ({"2": score_text(item)} if score_text(item) else {})
            span = [round(item.start, 3), round(item.end, 3)]
            metadata[f"{place}_{count:08d}"] = {"vid": place, "flg": 0, "z": span, "xy": [], "av": values}
    project = {
        "project": {
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": "untrimmed",
            "data_format_version": "3.1.1",
            "vid_list": list(files),
        },
        "config": {
            "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
            "ui": {
                "file_content_align": "center",
                "file_metadata_editor_visible": True,
                "spatial_metadata_editor_visible": False,
                "temporal_segment_metadata_editor_visible": True,
                "spatial_region_label_attribute_id": "",
                "gtimeline_visible_row_count": "4",
            },
        },
        "attribute": {"1": _attribute("label", SELECT, options), "2": _attribute("score", TEXT, {})},
        "file": files,
        "metadata": metadata,
        "view": views,
    }
    write_json(path, project, indent=1)


def _attribute(name: str, kind: int, options: dict[str, str]) -> dict[str, Any]:
    about = {"aname": name, "anchor_id": SEGMENT, "type": kind, "desc": name}
    return {**about, "options": options, "default_option_id": ""}


def read(path: Path, known: Known) -> Marks:
    """Read a project: the label of a stretch is its first attribute that has a value (but for `score`); a moment is a point.
    Regions of the image are left alone.

    Raises:
        InputError: it is no project of VIA 3, or a stretch has no label.
    """
    project = read_json(path)
    parts: list[Any] = [
        project.get(name) if isinstance(project, dict) else None for name in ("file", "view", "metadata", "attribute")
    ]
    if not all(isinstance(part, dict) and all(isinstance(one, dict) for one in part.values()) for part in parts):
        raise InputError(f"{path}: expected file, view, metadata and attribute, as a project of VIA 3 has them")
    files, views, metadata, attributes = parts
    names = {str(key): video_of(str(file.get("fname") or file.get("src")), path) for key, file in files.items()}
    shown = {
        key: [names[str(one)] for one in list_of(view.get("fid_list", []), f"{path}: fid_list") if str(one) in names]
        for key, view in views.items()
    }
    labels = [key for key, about in attributes.items() if about.get("aname") != "score"]
    found = []
    for key, item in metadata.items():
        where, span, values = f"{path}: metadata {str(key)[:40]}", item.get("z"), item.get("av")
        if item.get("xy") or not isinstance(span, list) or not 1 <= len(span) <= 2:
            continue
        chosen = next((one for one in labels if isinstance(values, dict) and str(values.get(one) or "").strip()), None)
        videos = shown.get(str(item.get("vid")), [])
        if chosen is None or len(videos) != 1:
            raise InputError(f"{where}: expected a label, and a view of one file")
        value, options = str(values[chosen]), attributes[chosen].get("options")
        for one in value.split(",") if attributes[chosen].get("type") == CHECKBOX else [value]:
            label = options.get(one, one) if isinstance(options, dict) else one
            found.append((videos[0], mark(span[0], span[-1], label, where)))
    return marks_of(names.values(), found)

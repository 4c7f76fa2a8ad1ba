"""Detections of one video as an ELAN document, for people who correct and annotate by hand."""

import datetime
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from untrimmed.data.files import atomic_write
from untrimmed.data.types import Detection
from untrimmed.interchange.text import milliseconds, one_line

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


def write(detections: Iterable[Detection], path: str | Path) -> None:
    """Write one tier per label; an annotation's text is its score. Detections of one label that overlap, which ELAN cannot
    hold on one tier, go to further tiers `label (2)`, `label (3)` ... The video is linked in ELAN itself.

    Source: the EAF 3.0 schema, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.

    Raises:
        InputError: the file cannot be written.
    """
    tiers = _tiers(detections)
    document = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "untrimmed",
            "DATE": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_XSI}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    ElementTree.register_namespace("xsi", _XSI)
    ElementTree.SubElement(document, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    order = ElementTree.SubElement(document, "TIME_ORDER")

    times = sorted(
        (t, name, i, side) for name, spans in tiers.items() for i, span in enumerate(spans) for side, t in enumerate(span[:2])
    )
    slots = {}
    for number, (time, *place) in enumerate(times, start=1):
        slots[tuple(place)] = f"ts{number}"
        ElementTree.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=f"ts{number}", TIME_VALUE=str(time))

    count = 0
    for name, spans in tiers.items():
        tier = ElementTree.SubElement(document, "TIER", LINGUISTIC_TYPE_REF="action", TIER_ID=name)
        for i, (_, _, score) in enumerate(spans):
            count += 1
            annotation = ElementTree.SubElement(tier, "ANNOTATION")
            aligned = ElementTree.SubElement(
                annotation,
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{count}",
                TIME_SLOT_REF1=slots[name, i, 0],
                TIME_SLOT_REF2=slots[name, i, 1],
            )
            ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = f"{score:.4g}"
    ElementTree.SubElement(
        document, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID="action", TIME_ALIGNABLE="true"
    )
    ElementTree.indent(document)
    with atomic_write(path, "wb") as stream:
        ElementTree.ElementTree(document).write(stream, encoding="UTF-8", xml_declaration=True)


def _tiers(detections: Iterable[Detection]) -> dict[str, list[tuple[int, int, float]]]:
    """(start, end, score) by tier, none overlapping within a tier: each goes to its label's first tier that is free again."""
    by_label = defaultdict(list)
    for detection in detections:
        by_label[one_line(detection.label)].append((*milliseconds(detection), float(detection.score)))
    tiers: dict[str, list[tuple[int, int, float]]] = {label: [] for label in sorted(by_label)}
    for label, spans in sorted(by_label.items()):
        names = [label]
        for span in sorted(spans):
            free = [name for name in names if not tiers[name] or tiers[name][-1][1] <= span[0]]
            if not free:
                number = len(names) + 1
                while (name := f"{label} ({number})") in tiers:
                    number += 1
                names.append(name)
                free, tiers[name] = [name], []
            tiers[free[0]].append(span)
    return dict(sorted(tiers.items()))

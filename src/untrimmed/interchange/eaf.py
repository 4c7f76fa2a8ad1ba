"""Detections of one video as an ELAN document, for people who correct and annotate by hand."""

import datetime
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write
from untrimmed.interchange.marks import Marks, mark, marks_of, text_of
from untrimmed.interchange.media import Known, Media, video_of
from untrimmed.interchange.text import Item, label_on_tier, text_on_tier, tiers_of

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
}


def write(items: Iterable[Item], path: str | Path, media: Media | None = None) -> None:
    """Write one tier per label; an annotation's text is its score. Detections of one label that overlap, which ELAN cannot hold on
    one tier, go to further tiers `label (2)`, `label (3)` ... The video's file, where it is known, is linked.

    Source: the EAF 3.0 schema, https://www.mpi.nl/tools/elan/EAFv3.0.xsd.

    Raises:
        InputError: the file cannot be written.
    """
    tiers = tiers_of(items)
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
    header = ElementTree.SubElement(document, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if media is not None and media.file is not None:
        _link(header, media.file, Path(path))
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
        for i, item in enumerate(spans):
            count += 1
            annotation = ElementTree.SubElement(tier, "ANNOTATION")
            aligned = ElementTree.SubElement(
                annotation,
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{count}",
                TIME_SLOT_REF1=slots[name, i, 0],
                TIME_SLOT_REF2=slots[name, i, 1],
            )
            ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = text_on_tier(item, name, tiers)
    ElementTree.SubElement(
        document, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID="action", TIME_ALIGNABLE="true"
    )
    ElementTree.indent(document)
    with atomic_write(path, "wb") as stream:
        ElementTree.ElementTree(document).write(stream, encoding="UTF-8", xml_declaration=True)


def _link(header: ElementTree.Element, file: Path, document: Path) -> None:
    """Link the video as ELAN does: by its address, and as seen from the document's folder, for when both are moved together."""
    relative = os.path.relpath(file.absolute(), document.absolute().parent).replace(os.sep, "/")
    ElementTree.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=file.absolute().as_uri(),
        MIME_TYPE=_TYPES.get(file.suffix.lower(), "video/*"),
        RELATIVE_MEDIA_URL=relative if relative.startswith("../") else f"./{relative}",
    )


def read(path: Path, known: Known) -> Marks:
    """Read a document: an annotation's label is its text, or its tier's name where the text is empty or a number. The video is the
    one that is linked, or called as the document is. Tiers that only refer to others are left alone.

    Raises:
        InputError: it is no EAF document, or an annotation has no times.
    """
    text = text_of(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(f"{path}: not an ELAN document: those declare no document type and no entities")
    try:
        document = ElementTree.fromstring(text.encode())
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: not an ELAN document: {error}") from error
    if document.tag != "ANNOTATION_DOCUMENT":
        raise InputError(f"{path}: not an ELAN document: it begins with <{document.tag[:40]}>")
    links = [link.get("RELATIVE_MEDIA_URL") or link.get("MEDIA_URL") or "" for link in document.iter("MEDIA_DESCRIPTOR")]
    video = video_of(unquote(links[0]) if links and links[0] else path.stem, path)
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in document.iter("TIME_SLOT")}
    tiers = [tier for tier in document.iter("TIER") if tier.find("ANNOTATION/ALIGNABLE_ANNOTATION") is not None]
    names = {tier.get("TIER_ID", "") for tier in document.iter("TIER")}
    found = []
    for tier in tiers:
        name = tier.get("TIER_ID", "")
        for number, annotation in enumerate(tier.iter("ALIGNABLE_ANNOTATION"), start=1):
            where = f"{path}: tier {name}, annotation {number}"
            ends = [times.get(annotation.get(f"TIME_SLOT_REF{side}")) for side in (1, 2)]
            if None in ends:
                raise InputError(f"{where}: has no time; give it a start and an end in ELAN")
            value = annotation.findtext("ANNOTATION_VALUE") or ""
            start, end = (int(time) / 1000 if time and time.isascii() and time.isdigit() else time for time in ends)
            found.append((video, mark(start, end, label_on_tier(value, name, names), where)))
    return marks_of([video], found)

"""Detections as one table, `video,start,end,label,score`, times in seconds."""

import csv
from pathlib import Path

from untrimmed.data.cells import quote_cell
from untrimmed.data.files import atomic_write
from untrimmed.data.types import Results


def write(results: Results, path: str | Path) -> None:
    """Write the detections of all videos, sorted by video, best first. Numbers are exact: read back as floats they are the same.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        writer = csv.writer(stream)  # lines end in CR LF, as RFC 4180 has it
        writer.writerow(("video", "start", "end", "label", "score"))
        for video, detections in sorted(results.items()):
            for d in sorted(detections, key=lambda d: (-d.score, d.start, d.end, d.label)):
                writer.writerow((quote_cell(video), float(d.start), float(d.end), quote_cell(d.label), float(d.score)))

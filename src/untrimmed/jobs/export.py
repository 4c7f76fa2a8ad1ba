"""`untrimmed export`: detections for spreadsheets (csv), players and browsers (srt, vtt) and the annotation tool ELAN (eaf)."""

import math
from pathlib import Path

from untrimmed.data.annotations import read_detections
from untrimmed.data.errors import InputError
from untrimmed.data.settings import unknown
from untrimmed.interchange import csv, eaf, srt, vtt

PER_VIDEO = {"vtt": vtt.write, "srt": srt.write, "eaf": eaf.write}
FORMATS = ("csv", *PER_VIDEO)


def export(detections: str | Path, *, format: str, out: str | Path, min_score: float | None = None) -> list[Path]:
    """Write a detections file in another format and return the files written.

    `csv` is one table of all videos. The others hold one video each: with a single video `out` is that file (or an existing
    folder to put it in); with more, `out` is a folder, made where it is missing, with `<id>.<format>` for each video.

    Args:
        min_score: leave out detections below this score; all videos are kept, even without a detection.

    Raises:
        InputError: an unknown format, a detections file at fault, or an output that cannot be written.
    """
    out = Path(out)
    if format not in FORMATS:
        raise unknown(format, FORMATS, "`format`")
    if min_score is not None and math.isnan(min_score):
        raise InputError("`min_score`: expected a number, found NaN")
    results = read_detections(detections).results
    if min_score is not None:
        results = {video: [d for d in kept if d.score >= min_score] for video, kept in results.items()}
    if format == "csv":
        if out.is_dir():
            out = out / f"{Path(detections).stem}.csv"
        csv.write(results, out)
        return [out]
    if len(results) <= 1 and not out.is_dir():
        PER_VIDEO[format]([d for kept in results.values() for d in kept], out)
        return [out]
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: a file; {len(results)} videos need a folder, one .{format} file each: name a folder as `out`")
    written = []
    for video, kept in results.items():
        written.append(out / f"{video}.{format}")
        PER_VIDEO[format](kept, written[-1])
    return written

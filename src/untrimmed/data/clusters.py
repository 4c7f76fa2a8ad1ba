"""What an unlabelled run groups videos into: the names of clusters, and `rounds/NN/clusters.csv`."""

import csv
from collections.abc import Mapping
from pathlib import Path

from untrimmed.data.cells import quote_cell, unquote_cell
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write


def cluster_names(count: int) -> tuple[str, ...]:
    """`cluster_00`, `cluster_01`, …, wide enough that they sort as they count."""
    width = max(2, len(str(count - 1)))
    return tuple(f"cluster_{number:0{width}}" for number in range(count))


def clusters_file(run: Path, number: int) -> Path:
    """Where a run keeps the assignments of round `number`, counted from 0."""
    return run / "rounds" / f"{number:02}" / "clusters.csv"


def rounds_of(run: Path) -> list[Path]:
    """The `clusters.csv` of every round of a run, in order; empty for a run on labels."""
    return sorted((run / "rounds").glob("[0-9][0-9]/clusters.csv"))


def write_clusters(path: Path, assigned: Mapping[str, str]) -> None:
    """Write `video,cluster` rows.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("video", "cluster"))
        writer.writerows((quote_cell(video), cluster) for video, cluster in assigned.items())


def read_clusters(path: Path) -> dict[str, str]:
    """Cluster by video.

    Raises:
        InputError: the file cannot be read or is not as `write_clusters` makes it.
    """
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not rows or rows[0] != ["video", "cluster"] or any(len(row) != 2 for row in rows):
        raise InputError(f"{path}: not a file of clusters; its columns should be: video,cluster")
    return {unquote_cell(video): cluster for video, cluster in rows[1:]}

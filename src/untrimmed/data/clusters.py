"""What an unlabelled run groups videos into: the names of clusters, `rounds/NN/clusters.csv`, and a user's own names for them."""

import csv
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, quote_cell, read_text, unquote_cell
from untrimmed.data.groups import is_groups, read_groups
from untrimmed.data.labels import named_columns

Clusters = Mapping[str, Sequence[str]]
"""The clusters that each video is in: one, but where videos may hold several, or none."""


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
    """`write_held` of videos that are in one cluster each."""
    write_held(path, {video: (cluster,) for video, cluster in assigned.items()})


def write_held(path: Path, held: Clusters) -> None:
    """Write `video,cluster` rows, as many for a video as it holds clusters; one that holds none has a row with an empty one.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("video", "cluster"))
        writer.writerows((quote_cell(video), cluster) for video, clusters in held.items() for cluster in clusters or ("",))


def read_clusters(path: Path) -> dict[str, str]:
    """Cluster by video; the first of those that it holds.

    Raises:
        InputError: see `read_held`.
    """
    return {video: clusters[0] for video, clusters in read_held(path).items() if clusters}


def read_held(path: Path) -> dict[str, tuple[str, ...]]:
    """All clusters that each video holds, in order: one, but where the stretches were clustered instead of the videos.

    Raises:
        InputError: the file cannot be read, is not as `write_clusters` makes it, or holds no video.
    """
    try:
        rows = list(csv.reader(read_text(path).splitlines(keepends=True), strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not rows or rows[0] != ["video", "cluster"] or any(len(row) != 2 for row in rows):
        raise InputError(f"{path}: not a file of clusters; its columns should be: video,cluster")
    if not rows[1:]:
        raise InputError(f"{path}: holds no video")
    held: dict[str, tuple[str, ...]] = {}
    for video, cluster in rows[1:]:
        held[unquote_cell(video)] = held.get(unquote_cell(video), ()) + ((cluster,) if cluster else ())
    return held


def read_names(path: str | Path) -> dict[str, str]:
    """What a user calls the clusters, from the columns `cluster,name` of a CSV; several may have one name. Or from what `untrimmed
    review` keeps, a JSON: a merged cluster is then called as what it was merged into, and a rejected one has no name.

    A cluster with an empty name, the name `-`, or without a row, has none.

    Raises:
        InputError: no such columns, a cluster named twice, or no name at all.
    """
    path = Path(path)
    names = read_groups(path).names_of_found() if is_groups(path) else _named_in_table(path)
    if not names:
        raise InputError(f"{path}: names no cluster; write one row per cluster, such as: cluster_03,running")
    return names


def _named_in_table(path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    seen: dict[str, int] = {}
    faults: list[str] = []
    short: list[str] = []
    for line, row in named_columns(path, ("cluster", "name"), short):
        cluster, name = (unicodedata.normalize("NFC", unquote_cell(row[key].strip())) for key in ("cluster", "name"))
        if cluster in seen:
            faults.append(f"{path}, line {line}: {cluster!r} is named already in line {seen[cluster]}; delete one of the rows")
        elif not cluster:
            faults.append(f"{path}, line {line}: no cluster in this row; write it before the name, such as: cluster_03,running")
        seen.setdefault(cluster, line)
        if name not in ("", "-"):
            names.setdefault(cluster, name)
    if short:
        raise InputError(f"{path}: {len(short)} row(s) lack a column; write cluster,name, also where the name stays empty")
    if faults:
        raise InputError(faults[0] + (f" ({len(faults) - 1} more fault(s))" if len(faults) > 1 else ""))
    return names

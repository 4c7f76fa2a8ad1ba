"""`untrimmed names`: from clusters and what a person calls them to labels.csv, from which any method can be trained."""

import csv
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from untrimmed.data.annotations import DetectionFile, read_detections
from untrimmed.data.clusters import Clusters, read_names
from untrimmed.data.errors import InputError, did_you_mean
from untrimmed.data.files import atomic_write, check_shape, exists, quote_cell, set_aside, sweep
from untrimmed.data.groups import Groups, is_groups, read_groups
from untrimmed.data.ids import check_id
from untrimmed.data.labels import FORM_MARK, NO_ACTION, write_labels
from untrimmed.reporting.clusters import Cluster, clusters_of


@dataclass(frozen=True)
class NamesReport:
    """What was written.

    videos: the number of training videos by label, "" for surely no action; empty for a form.
    unnamed: clusters without a name, and how many training videos are in them.
    """

    out: Path
    clusters: int
    videos: dict[str, int]
    unnamed: dict[str, int]
    set_aside: Path | None
    detections: Path | None = None

    def text(self) -> str:
        """A few lines for the person."""
        if self.videos:
            lines = [f"{self.out}: {sum(self.videos.values())} row(s)"]
            lines += [f"  {label or 'no action'}: {number}" for label, number in self.videos.items()]
            if self.unnamed:
                left_out = f"{sum(self.unnamed.values())} video(s) of {len(self.unnamed)} cluster(s) without a name"
                lines.append(f"  left out: {left_out}: {', '.join(self.unnamed)}")
        else:
            lines = [
                f"{self.out}: {self.clusters} clusters; write a name into the column 'name' of each that you recognize, then: "
                f"untrimmed names {self.detections} --names {self.out} --out labels.csv"
            ]
        if self.set_aside is not None:
            lines.append(f"The file that was there is now {self.set_aside}")
        return "\n".join(lines)


def names(detections: str | Path, *, out: str | Path, names: str | Path | None = None, force: bool = False) -> NamesReport:
    """Write `labels.csv` for the training videos of an unlabelled run, from names for its clusters; or the form for these names.

    A video gets its cluster's name as its label. Clusters with one name become one label. A cluster named as in
    `data.labels.NO_ACTION` (`none`, `background` ...) gives an empty label, surely no action. One without a name, or with the name
    `-`, gives its videos no row: nothing is known of them.

    Args:
        detections: a detections file of a run that was trained with `--unlabelled`.
        out: the file to write: the labels, or without `names` a form with the columns `cluster,name,videos,typical`, to be
            filled in and given as `names`.
        names: a CSV with the columns `cluster,name`, as the page of `untrimmed report` saves it; or the JSON that `untrimmed
            review` keeps, `RUN/clusters.json` or `X.clusters.json`, in which clusters are also merged, split and rejected.
        force: an existing `out` is renamed instead of refused.

    Raises:
        InputError: the detections are not of an unlabelled run, the names are at fault or are of clusters that it does not have,
            or `out` is there already or cannot be written.
    """
    out = Path(out)
    file = read_detections(detections)
    corrected = read_groups(names) if names is not None and is_groups(names) else None
    assigned = assigned_clusters(file)
    if not assigned:
        raise InputError(
            f"{file.path}: does not say which training video is in which cluster; it takes what `untrimmed localize` writes "
            f"for a run that was trained with `unlabelled`"
        )
    if corrected is not None:
        assigned = _corrected_clusters(corrected, assigned, Path(str(names)), file.path)
    clusters = clusters_of(file.results, held_clusters(file, assigned) if corrected is None else in_one_each(assigned))
    if corrected is not None:
        rows: list[tuple[str, str]] | None = sorted(corrected.labels().items())
    else:
        rows = None if names is None else _rows(clusters, _read_names(names, file.path, clusters))
    if rows is not None and not rows:
        raise InputError(f"{names}: names no cluster that a training video is in, so that no video gets a label")
    if out.is_dir():
        raise InputError(f"{out}: a folder; name the file to write, such as {out / 'labels.csv'}")
    if exists(out) and not force:
        raise InputError(f"{out}: exists already and is not overwritten; choose another `out`, or rename it with `force`")
    sweep(out.absolute().parent, out.name)
    aside = set_aside(out) if exists(out) else None
    if rows is None:
        _write_form(out, clusters)
        return NamesReport(out, len(clusters), {}, {}, aside, file.path)
    write_labels(out, rows)
    labelled = {video for video, _ in rows}
    unnamed = {cluster.name: len(cluster.videos) for cluster in clusters if cluster.videos and cluster.videos[0] not in labelled}
    return NamesReport(out, len(clusters), dict(sorted(Counter(label for _, label in rows).items())), unnamed, aside)


def assigned_clusters(file: DetectionFile) -> dict[str, str]:
    """The cluster of each training video, as `localize` keeps it under `untrimmed.clusters`; empty where it does not.

    Raises:
        InputError: what stands there is not a name for each video.
    """
    clusters = file.untrimmed.get("clusters")
    if clusters is None:
        return {}
    if not isinstance(clusters, dict) or not all(isinstance(name, str) and name for name in clusters.values()):
        raise InputError(f'{file.path}: "untrimmed.clusters" should hold the name of a cluster for each training video')
    return {check_id(video, file.path): name for video, name in sorted(clusters.items())}


def held_clusters(file: DetectionFile, assigned: Mapping[str, str]) -> Clusters:
    """All clusters that each training video holds: `untrimmed.held`, or where that is not there the one of `assigned`.

    Raises:
        InputError: what stands there is not a list of names for each video.
    """
    held = file.untrimmed.get("held")
    if held is None:
        return in_one_each(assigned)
    check_shape(held, {str: [str]}, f'{file.path}: "untrimmed.held"')
    return {check_id(video, file.path): names for video, names in sorted(held.items())}


def in_one_each(assigned: Mapping[str, str]) -> Clusters:
    """Of videos that are in one cluster each."""
    return {video: (cluster,) for video, cluster in assigned.items()}


def _corrected_clusters(made: Groups, assigned: Mapping[str, str], path: Path, detections: Path) -> dict[str, str]:
    """Where the training videos are now."""
    if strange := sorted(made.videos.keys() - assigned.keys()):
        raise InputError(f"{path}: {strange[0]!r} is no training video of {detections}; are the two of one run?")
    return {video: made.videos.get(video, own) for video, own in assigned.items()}


def _read_names(path: str | Path, detections: Path, clusters: list[Cluster]) -> dict[str, str]:
    named = read_names(path)
    known = [cluster.name for cluster in clusters]
    for cluster, name in named.items():
        if cluster not in known:
            raise InputError(f"{path}: {detections} has no cluster {cluster!r}{did_you_mean(cluster, known)}")
        if name == FORM_MARK:
            raise InputError(f"{path}: {cluster} is called {FORM_MARK!r}; write a name, or leave it empty")
        if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            raise InputError(f"{path}: the name of {cluster} has a control character or a line break")
    return named


def _rows(clusters: list[Cluster], named: Mapping[str, str]) -> list[tuple[str, str]]:
    called = {cluster: "" if name.casefold() in NO_ACTION else name for cluster, name in named.items()}
    rows = {(video, called[cluster.name]) for cluster in clusters if cluster.name in called for video in cluster.videos}
    acting = {video for video, label in rows if label}
    return sorted((video, label) for video, label in rows if label or video not in acting)


def _write_form(out: Path, clusters: list[Cluster]) -> None:
    with atomic_write(out) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("cluster", "name", "videos", "typical"))
        for cluster in clusters:
            typical = "; ".join(f"{video} {d.start:.1f}-{d.end:.1f} s" for video, d in cluster.typical)
            writer.writerow((quote_cell(cluster.name), "", len(cluster.videos), quote_cell(typical)))

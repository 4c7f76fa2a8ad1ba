"""What a person has made of an unlabelled run's clusters: names, videos moved, clusters merged, split and rejected.

    {"format": "untrimmed-clusters/1",
     "clusters": {"cluster_00": {"name": "goal", "rejected": false}, ...},
     "videos": {"match_01": "cluster_00", ...},
     "found": {"match_01": "cluster_03", ...}}

`found` is where the run had put the videos. A merged cluster has no video left; one that was split off has a number that the run
did not use.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.data.files import check_shape, read_json
from untrimmed.data.ids import check_id
from untrimmed.data.labels import FORM_MARK, NO_ACTION, check_label

FORMAT = "untrimmed-clusters/1"

NEW_CLUSTER = re.compile(r"cluster_\d{2,6}")
"""What one that a person splits off may be called."""

SHAPE = {"format": str, "clusters": dict, "videos": {str: str}, "found": {str: str}}


@dataclass(frozen=True)
class Groups:
    """Clusters as a person has left them.

    found: the cluster that the run put each training video into. videos: the one that it is in now. names: what clusters are
    called; those without a name are left out. rejected: clusters that are no group at all.
    """

    found: Mapping[str, str] = field(default_factory=dict)
    videos: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    rejected: frozenset[str] = frozenset()

    def labels(self) -> dict[str, str]:
        """The name of each video's cluster, "" for surely no action; of a cluster without a name, or rejected, nothing is known."""
        return {
            video: "" if self.is_empty(cluster) else self.names[cluster]
            for video, cluster in sorted(self.videos.items())
            if cluster in self.names and cluster not in self.rejected
        }

    def as_clusters(self) -> dict[str, str]:
        """The same with clusters as labels, the first of those that share a name; one without a name stays."""
        first: dict[str, str] = {}
        for cluster in sorted(self.videos.values()):
            first.setdefault(self.names.get(cluster, cluster), cluster)
        return {
            video: "" if self.is_empty(cluster) else first[self.names.get(cluster, cluster)]
            for video, cluster in sorted(self.videos.items())
            if cluster not in self.rejected
        }

    def is_empty(self, cluster: str) -> bool:
        """Whether its name says that surely nothing happens in its videos."""
        return self.names.get(cluster, "").casefold() in NO_ACTION

    def are_corrected(self) -> bool:
        """Whether a student would learn other clusters than those that were found."""
        return self.as_clusters() != dict(self.found)

    def successors(self) -> dict[str, str]:
        """The cluster that stands for each found one in `as_clusters`, where that is another: where most of its videos are now."""
        standing = self.as_clusters()
        moved: dict[str, Counter[str]] = {cluster: Counter() for cluster in self.found.values()}
        for video, cluster in self.found.items():
            if standing.get(video):
                moved[cluster][standing[video]] += 1
        return {cluster: counts.most_common(1)[0][0] for cluster, counts in moved.items() if counts and not counts[cluster]}

    def names_of_found(self) -> dict[str, str]:
        """What each cluster that the run knows is called now, a merged one as what it was merged into; those without a name are
        left out."""
        known = {cluster: self.successors().get(cluster, cluster) for cluster in {*self.found.values(), *self.names}}
        return {
            cluster: self.names[now] for cluster, now in sorted(known.items()) if now in self.names and now not in self.rejected
        }


def is_groups(path: str | Path) -> bool:
    """Whether a file is meant to hold what a person made of clusters, rather than a table of names."""
    return Path(path).suffix.lower() == ".json"


def read_groups(path: str | Path) -> Groups:
    """The clusters as a person has left them.

    Raises:
        InputError: the file cannot be read, or is none that `untrimmed review` writes.
    """
    return groups_of(read_json(path), path)


def groups_of(content: Any, path: str | Path) -> Groups:
    """The same of a file's content.

    Raises:
        InputError: it is at fault.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f'{path}: not the clusters that untrimmed review writes; expected "format": "{FORMAT}"')
    check_shape(content, SHAPE, str(path))
    found, videos = ({check_id(video, path): own for video, own in content[key].items()} for key in ("found", "videos"))
    if unlike := sorted(found.keys() ^ videos.keys()):
        raise InputError(f'{path}: {unlike[0]!r} stands in only one of "found" and "videos"')
    names, rejected = {}, set()
    for cluster, about in content["clusters"].items():
        name, is_rejected = check_cluster(about, f"{path}: {cluster[:60]}")
        if name:
            names[cluster] = name
        if is_rejected:
            rejected.add(cluster)
    return Groups(found, videos, names, frozenset(rejected))


def check_cluster(about: Any, where: str) -> tuple[str, bool]:
    """What is said of one cluster: its name in NFC, "" for none, and whether it is rejected.

    Raises:
        InputError: it is at fault; `where` begins the message.
    """
    if not isinstance(about, dict) or not isinstance(about.get("name", ""), str) or type(about.get("rejected", False)) is not bool:
        raise InputError(f'{where}: expected {{"name": text, "rejected": true or false}}')
    name = check_label(about.get("name", "").strip(), where)
    return "" if name in ("-", FORM_MARK) else name, about.get("rejected", False)

"""The file of what a person makes of clusters, which several tabs may change at once.

A change says only what it changes: some videos' clusters, some clusters' names. It is laid over what the file holds, so that two
tabs lose nothing; of two changes of one thing the later stays, and `NAME.history.jsonl` has both.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json, write_json
from untrimmed.data.groups import FORMAT, NEW_CLUSTER, Groups, check_cluster, groups_of
from untrimmed.reviewing.marks import append_history, changing, state_of

MOST_CLUSTERS = 10_000


class GroupsFile:
    """What a person makes of clusters, on disk at once after each change.

    Args:
        path: of the file, which need not be there. who: in whose name changes are made.
        assigned: the cluster of each training video, as the run left it.

    Raises:
        InputError: the file is there and cannot be read, or is at fault.
    """

    def __init__(self, path: Path, who: str, assigned: Mapping[str, str]) -> None:
        self.path, self.who, self.assigned = path, who, dict(assigned)
        self.history = path.with_name(f"{path.name.removesuffix('.json')}.history.jsonl")
        self._lock = Lock()
        self._read_at: tuple[int, int] | None = None
        self._content: dict[str, Any] = {"format": FORMAT, "revision": 0, "clusters": {}, "videos": {}, "found": {}}
        with self._lock:
            self._refresh()

    @property
    def groups(self) -> Groups:
        """The clusters as they are now; a video that the file does not know is where the run put it."""
        with self._lock:
            self._refresh()
            made = groups_of(self._content, self.path)
        videos = {video: made.videos.get(video, own) for video, own in self.assigned.items()}
        return Groups(self.assigned, videos, made.names, made.rejected)

    def state(self) -> dict[str, Any]:
        """The same as plain data, with the number of changes so far."""
        groups = self.groups
        known = {*self.assigned.values(), *groups.videos.values(), *groups.names, *groups.rejected}
        clusters = {name: {"name": groups.names.get(name, ""), "rejected": name in groups.rejected} for name in sorted(known)}
        return {"revision": self._content["revision"], "clusters": clusters, "videos": dict(groups.videos)}

    def save(self, videos: Any, clusters: Any, what: str = "") -> dict[str, Any]:
        """Lay a change over what is there, and return the state.

        Args:
            videos: the new clusters of some videos. clusters: `name` and `rejected` of some clusters.
            what: the change in a few words, for the history.

        Raises:
            InputError: a video or a cluster is not one of these, a name is at fault, or the file cannot be written.
        """
        moved, named = self._checked(videos, clusters)
        with changing(self.path, self._lock):
            self._refresh()
            now = {
                "who": self.who,
                "when": datetime.now(UTC).isoformat(timespec="seconds"),
                "revision": self._content["revision"] + 1,
            }
            content = {
                **self._content,
                **now,
                "clusters": {**self._content["clusters"], **named},
                "videos": {**self.assigned, **self._content["videos"], **moved},
                "found": {**self._content["found"], **self.assigned},
            }
            write_json(self.path, content, indent=1)
            self._content, self._read_at = content, state_of(self.path)
            append_history(self.history, {**now, "what": what[:200], "videos": moved, "clusters": named})
        return self.state()

    def _checked(self, videos: Any, clusters: Any) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        if not isinstance(videos, dict) or not isinstance(clusters, dict) or len(clusters) > MOST_CLUSTERS:
            raise InputError("expected the clusters of videos, and the names of clusters")
        known = {*self.assigned.values()}
        for cluster in (*videos.values(), *clusters):
            if not isinstance(cluster, str) or (cluster not in known and not NEW_CLUSTER.fullmatch(cluster)):
                raise InputError(f"there is no cluster {str(cluster)[:60]!r} here")
        for video in videos:
            if video not in self.assigned:
                raise InputError(f"there is no training video {video[:60]!r} here")
        named = {}
        for cluster, about in clusters.items():
            name, rejected = check_cluster(about, cluster)
            named[cluster] = {"name": name, "rejected": rejected}
        return dict(videos), named

    def _refresh(self) -> None:
        """Read the file again if another program has written it."""
        if (state := state_of(self.path)) == self._read_at or state is None:
            return
        content = read_json(self.path)
        groups_of(content, self.path)
        revision = content.get("revision", 0)
        before = self._content["revision"]
        content["revision"] = max(revision if type(revision) is int else 0, before + (self._read_at is not None))
        self._content, self._read_at = content, state


def change_of(body: Mapping[str, Any]) -> tuple[Any, Any, str]:
    """What a request wants to change: videos, clusters, and the change in words."""
    what = body.get("what", "")
    return body.get("videos", {}), body.get("clusters", {}), what if isinstance(what, str) else ""

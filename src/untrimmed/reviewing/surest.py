"""What votes say of an unlabelled run's clusters as a person has them just now; and how a cluster falls into two."""

from collections.abc import Mapping, Sequence
from threading import Event, Thread
from typing import Any

import numpy as np

from untrimmed.console import note
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore
from untrimmed.nn.agreement import halves, shares, surest
from untrimmed.nn.votes import Votes, descriptors, find_votes, sureness
from untrimmed.reporting.clusters import MOST_OF_ONE_VIDEO, MOST_TYPICAL


class Voting:
    """The votes of a run's training videos, found in a thread of their own when the review begins."""

    def __init__(self, store: FeatureStore, videos: Sequence[str]) -> None:
        self.store, self.videos = store, [video for video in videos if video in store.videos]
        self.votes: Votes | None = None
        self._found = Event()
        self._thread = Thread(target=self._find, daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Until they are found, or cannot be; False where that takes longer."""
        return self._found.wait(seconds)

    def _find(self) -> None:
        try:
            self.votes = find_votes(self.store, self.videos)
        except InputError as error:
            note(f"how sure the clusters are cannot be said: {error}")
        finally:
            self._found.set()

    def about(self, cluster_of: Mapping[str, str]) -> dict[str, Any] | None:
        """How sure the votes are; None while they are being found, or where there is one cluster.

        Returns:
            clusters: of each its `agreement`, 0..1, the mean of its videos', and `surest` as columns `video`, `start`, `end` in
            seconds, `score`. videos: of each `[agreement, another cluster that has more of its votes or null, that one's share]`.
        """
        votes, names = self.votes, sorted(set(cluster_of.values()))
        if votes is None or len(names) < 2:
            return None
        targets = self._targets(cluster_of, names)
        share = shares(votes, targets)
        own, best = (share * targets).sum(1), share.argmax(1)
        videos = {
            video: [_short(own[i]), names[best[i]] if share[i, best[i]] > own[i] else None, _short(share[i, best[i]])]
            for i, video in enumerate(self.videos)
            if targets[i].any()
        }
        clusters = {}
        for c, (name, stretches) in enumerate(zip(names, surest(votes, targets, MOST_TYPICAL, MOST_OF_ONE_VIDEO))):
            members = targets[:, c] > 0
            agreement = _short(own[members].mean()) if members.any() else None
            clusters[name] = {"agreement": agreement, "surest": self._columns(votes, stretches)}
        return {"clusters": clusters, "videos": videos}

    def split(self, cluster_of: Mapping[str, str], cluster: str) -> list[str]:
        """The smaller of the two groups that a cluster's videos fall into, by the descriptors that the run clusters by.

        Raises:
            InputError: the cluster has fewer than two videos with features.
        """
        members = [video for video in self.videos if cluster_of.get(video) == cluster]
        if len(members) < 2:
            raise InputError(f"{cluster[:60]}: has {len(members)} video(s), which cannot be split")
        f = descriptors(self.store, members, self._weights(cluster_of, members))
        half = halves(f)
        if half.all() or not half.any():
            raise InputError(f"{cluster[:60]}: its videos are all alike; move videos by hand")
        return [video for video, number in zip(members, half) if number]

    def _weights(self, cluster_of: Mapping[str, str], members: Sequence[str]) -> np.ndarray | None:
        """s of the members' stretches, in their order, or None as long as nobody has voted."""
        votes, names = self.votes, sorted(set(cluster_of.values()))
        if votes is None or len(names) < 2:
            return None
        s = sureness(votes.of(self._targets(cluster_of, names)))
        place = {video: i for i, video in enumerate(self.videos)}
        return np.concatenate([s[votes.first[place[video]] : votes.first[place[video] + 1]] for video in members])

    def _targets(self, cluster_of: Mapping[str, str], names: Sequence[str]) -> np.ndarray:
        place = {name: c for c, name in enumerate(names)}
        targets = np.zeros((len(self.videos), len(names)), dtype=np.float32)
        for i, video in enumerate(self.videos):
            if video in cluster_of:
                targets[i, place[cluster_of[video]]] = 1
        return targets

    def _columns(self, votes: Votes, stretches: Sequence[tuple[int, float]]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {"video": [], "start": [], "end": [], "score": []}
        for stretch, s in stretches:
            number = int(votes.video[stretch])
            place = stretch - int(votes.first[number])
            first, last = votes.edges[number][place : place + 2]
            timeline = self.store.timeline(self.videos[number])
            row = (self.videos[number], round(float(timeline.edge(first)), 3), round(float(timeline.edge(last)), 3), _short(s))
            for column, value in zip(columns.values(), row):
                column.append(value)
        return columns


def _short(value: float) -> float:
    return round(float(value), 4)

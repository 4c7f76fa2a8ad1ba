"""Rounds of clustering, as an unlabelled run goes through and keeps them; and those that need no network: by votes."""

from collections.abc import Callable

import numpy as np

from untrimmed.console import note
from untrimmed.data.clusters import clusters_file, read_clusters, rounds_of
from untrimmed.nn import votes as voting
from untrimmed.nn.recurring import recurring
from untrimmed.nn.spectral import align
from untrimmed.training.data import TrainingSet
from untrimmed.training.run import Run

ESTIMATED_FROM = 500
"""So many videos at most are looked at to estimate the number of clusters."""
ALIKE = 0.95
"""Numbers of clusters whose modularity is this share of the best's fit about as well."""
SHOWS = 0.3
"""Networks that fall into parts have a modularity of 0.3 to 0.7 in practice (Newman and Girvan 2004)."""

Clustering = Callable[[np.ndarray, int], np.ndarray]
"""Descriptors [N, D] and a seed -> the number of each video's cluster, [N]."""


def settle(data: TrainingSet, run: Run, number: int, find: Callable[[], np.ndarray], settled: float) -> np.ndarray | None:
    """Keep the clusters of a round in the run, under the names that they had in the round before as far as can be.

    Args:
        find: makes the clusters, [N] numbers; not asked again when the run is resumed.
        settled: once a smaller share of the videos changes cluster, the clusters are the last round's.

    Returns:
        [N, C] in {0, 1}, C the training set's classes; None: settled.
    """
    clusters = len(data.classes)
    assigned = run.once("clusters", lambda: {"cluster": find()})["cluster"].astype(np.intp)
    changed = 1.0
    if number:
        before = kept(data, run, number - 1).argmax(1)
        assigned = align(assigned, before, clusters)
        changed = float((assigned != before).mean())
    sizes = np.bincount(assigned, minlength=clusters)
    run.log(changed=changed, **{f"size_{name}": int(size) * 1.0 for name, size in zip(data.classes, sizes)})
    if number and changed < settled:
        note(f"round {number}: {changed:.1%} of the videos changed cluster; settled")
        return None
    note(f"round {number}: clusters of {sizes.min()} to {sizes.max()} videos" + f"; {changed:.1%} changed" * (number > 0))
    run.keep_clusters(number, {video: (data.classes[c],) for video, c in zip(data.videos, assigned)})
    return np.eye(clusters, dtype=np.float32)[assigned]


def kept(data: TrainingSet, run: Run, number: int) -> np.ndarray:
    """The clusters that a round has kept: [N, C] in {0, 1}."""
    named = read_clusters(clusters_file(run.folder, number))
    place = {name: c for c, name in enumerate(data.classes)}
    return np.eye(len(data.classes), dtype=np.float32)[[place[named[video]] for video in data.videos]]


def votes_of(data: TrainingSet, run: Run, stretch: int, voters: int) -> voting.Votes:
    """Who votes about which stretch of the training videos; found once a run."""

    def find() -> dict[str, np.ndarray]:
        votes = voting.find_votes(data.store, data.videos, stretch, voters)
        return {"snippets": votes.snippets, "neighbour": votes.neighbour}

    arrays = run.once("votes", find)
    return voting.Votes(arrays["snippets"], arrays["neighbour"], stretch)


def estimate_by_votes(data: TrainingSet, stretch: int, voters: int, seed: int) -> int:
    """The number of clusters that the votes agree with best, see `untrimmed.nn.votes.score_numbers`; told as a range.

    Of many videos some are looked at.
    """
    chosen = np.random.default_rng(seed).permutation(len(data))[:ESTIMATED_FROM]
    videos = [data.videos[number] for number in sorted(chosen)]
    votes = voting.find_votes(data.store, videos, stretch, voters)
    scores = voting.score_numbers(votes, voting.descriptors(data.store, videos, stretch=stretch), seed=seed)
    if not scores:
        return 1
    best = max(scores, key=lambda number: scores[number])
    alike = [number for number, score in scores.items() if score >= ALIKE * scores[best]]
    note(f"{min(alike)} to {max(alike)} clusters agree with the votes about as well (modularity {scores[best]:.2f})")
    if scores[best] < SHOWS:
        note("warning: no number of clusters stands out; what recurs may not be what tells these videos apart")
    return best


def clusters_by_votes(
    data: TrainingSet, run: Run, votes: voting.Votes, cluster: Clustering, rounds: int, settled: float
) -> np.ndarray:
    """Cluster the videos, look how sure the votes are of each stretch, describe the videos by the sure ones, and again.

    No network learns. All stretches weigh the same in the first round.

    Returns:
        [N, C] in {0, 1}: what can stand in for tags.
    """
    for number in run.loop("round", rounds):

        def find(number: int = number) -> np.ndarray:
            s = voting.sureness(votes.of(kept(data, run, number - 1))) if number else None
            f = voting.descriptors(data.store, data.videos, s, votes.stretch)
            return cluster(f, int(run.rng("clustering").integers(2**31)))

        if settle(data, run, number, find, settled) is None:
            break
    return kept(data, run, len(rounds_of(run.folder)) - 1)


def clusters_of_stretches(data: TrainingSet, run: Run, stretch: int, voters: int) -> list[np.ndarray]:
    """The cluster that each snippet shows, or -1: by video [T], see `untrimmed.nn.recurring`. A video may hold several, or none.

    They are kept in the run as its only round.
    """

    def find() -> dict[str, np.ndarray]:
        found = recurring(data.store, data.videos, len(data.classes), stretch, voters, int(run.rng("clustering").integers(2**31)))
        return {"cluster": np.concatenate(found)}

    edges = [voting.edges_of(data.store.timeline(video).count, stretch) for video in data.videos]
    cluster = run.once("stretches", find)["cluster"]
    of_video = np.split(cluster, np.cumsum([len(its) - 1 for its in edges])[:-1])
    held = {video: tuple(data.classes[c] for c in np.unique(its[its >= 0])) for video, its in zip(data.videos, of_video)}
    sizes = np.bincount(cluster[cluster >= 0], minlength=len(data.classes))
    run.log(**{f"size_{name}": float(size) for name, size in zip(data.classes, sizes)})
    each = np.mean([len(its) for its in held.values()])
    note(f"{len(data.classes)} clusters of {sizes.min()} to {sizes.max()} stretches; {each:.1f} in a video")
    run.keep_clusters(0, held)
    return [np.repeat(its, np.diff(ends)) for its, ends in zip(of_video, edges)]

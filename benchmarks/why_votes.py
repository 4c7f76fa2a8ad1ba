"""Who points at the action: a network trained on clusters, or the votes of other videos about the same clusters?

`python benchmarks/why_votes.py RUN... --features DIR --labels FILE --annotations FILE` takes unlabelled TCAM runs with
`pooling=attention` and looks at their training videos alone. For the clusters that each network was trained on, its last
round's, it prints the area under the ROC curve of two rankings of a video's snippets against its true actions: the network's S
(mean of the streams), and how sure the votes are. Mean over videos, rightly and wrongly clustered ones apart: a video is rightly
clustered if it has the commonest label of its cluster. Chance is 0.5. Labels and times serve for this only.
"""

import argparse
from pathlib import Path

import numpy as np

from untrimmed.data.annotations import read_annotations
from untrimmed.data.labels import read_labels
from untrimmed.data.run_files import RunFiles
from untrimmed.data.store import FeatureStore
from untrimmed.evaluation.attention import chance_above, in_truth
from untrimmed.evaluation.clustering import map_clusters
from untrimmed.nn.votes import find_votes, sureness
from untrimmed.runs.infer import activations_of_run


def rankings(run: Path, features: Path) -> dict[str, dict[str, np.ndarray]]:
    """By name and training video how high its snippets are ranked, [T]."""
    clusters = RunFiles(run).clusters()
    videos, names = sorted(clusters), sorted(set(clusters.values()))
    activations, _, _ = activations_of_run(run, features, set(videos), {}, "cpu")
    by_network = {a.video: np.mean([s.attention for s in a.streams.values()], axis=0) for a in activations}
    votes = find_votes(FeatureStore(features), videos)
    targets = np.array([[clusters[video] == name for name in names] for video in videos], dtype=np.float32)
    by_votes = dict(zip(videos, votes.snippetwise(sureness(votes.of(targets)))))
    return {"S of the network": by_network, "votes": by_votes}


def main() -> None:
    """Print a row for each run and ranking."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--annotations", type=Path, required=True)
    given = parser.parse_args()
    truth, tags = read_annotations(given.annotations), read_labels(given.labels).tags
    store = FeatureStore(given.features)
    print("| run | ranked by | rightly clustered | AUC | wrongly clustered | AUC |\n|---|---|---:|---:|---:|---:|")
    for run in given.runs:
        clusters = RunFiles(run).clusters()
        mapping = map_clusters(clusters, {video: sorted(its) for video, its in tags.items()}, "majority")
        for name, of_videos in rankings(run, given.features).items():
            areas: dict[bool, list[float]] = {True: [], False: []}
            for video, height in of_videos.items():
                inside = in_truth(store.timeline(video), truth.videos[video].segments)
                if inside.any() and not inside.all():
                    right = bool(set(mapping[clusters[video]]) & set(tags[video]))
                    areas[right].append(chance_above(height[inside], height[~inside]))
            shown = " | ".join(f"{len(its)} | {np.mean(its):.2f}" for its in (areas[True], areas[False]))
            print(f"| {run.name} | {name} | {shown} |")


if __name__ == "__main__":
    main()

"""The files of a run folder, each name in one place."""

from pathlib import Path

from untrimmed.data.clusters import read_clusters, read_held, rounds_of


class RunFiles:
    """What stands where in the folder of a run.

    config.yaml          every resolved value
    environment.json     versions, threads, seed, data hashes, selection rule, training videos
    metrics.jsonl        what was logged, a line each, with the loop position
    rounds/NN/           clusters.csv, of an unlabelled run
    checkpoints/         one file per loop, and what `once` computed
    model/               weights.safetensors and model.json, when finished
    reliability.json     how well the labels can be told apart, and the score cut, of a finished run on labels
    features/            a cache of the features of videos that were trained on or localized
    annotations.json     what its user has corrected
    clusters.json        what its user has made of the clusters of an unlabelled run
    review/              what `review` makes: detections of the training videos, small copies of videos, marks to learn from
    taught/01/           students that were taught there, each a run
    detections.json      what was found, where `localize` was told to write it here
    .lock                held while a process trains
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.environment = self.path / "environment.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        self.reliability = self.path / "reliability.json"
        self.features = self.path / "features"
        self.annotations = self.path / "annotations.json"
        self.corrected_clusters = self.path / "clusters.json"
        self.detections = self.path / "detections.json"
        self.lock = self.path / ".lock"

    @property
    def is_begun(self) -> bool:
        """Whether a training was begun here: `config.yaml` is written last."""
        return self.config.is_file()

    @property
    def is_finished(self) -> bool:
        """Whether the training has ended: `model.json` is written last."""
        return (self.model / "model.json").is_file()

    def clusters(self) -> dict[str, str]:
        """The cluster of each training video after the last round; empty for a run on labels.

        Raises:
            InputError: the file of the last round is damaged.
        """
        rounds = rounds_of(self.path)
        return read_clusters(rounds[-1]) if rounds else {}

    def held(self) -> dict[str, tuple[str, ...]]:
        """All clusters that each training video holds; empty for a run on labels. Raises InputError as `clusters` does."""
        rounds = rounds_of(self.path)
        return read_held(rounds[-1]) if rounds else {}

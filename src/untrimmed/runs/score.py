"""How good a result is, by a named protocol.

activitynet, thumos14, wtalc   detections against true segments
classification                 video-level class scores against labels
clustering                     the groups of a run without labels against labels, round by round
attention                      where attention is high against where the actions are

Each gives an object with `protocol`, `to_json()`, `table()` and `scalars()`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.console import note
from untrimmed.data.annotations import Annotations, DetectionFile, VideoTruth, read_annotations
from untrimmed.data.clusters import Clusters, read_held, rounds_of
from untrimmed.data.errors import InputError
from untrimmed.data.files import check_shape, read_json
from untrimmed.data.outputs import DIAGNOSIS, check_output
from untrimmed.data.run_files import RunFiles
from untrimmed.data.settings import unknown
from untrimmed.data.types import Activation
from untrimmed.evaluation import activitynet, thumos14, wtalc
from untrimmed.evaluation.activitynet import DEFAULT_TIOU, parse_tious
from untrimmed.evaluation.attention import (
    Snippets,
    attention_by_part,
    attention_statistics,
    check_parts,
    evidence_of,
    in_truth,
    kinds_of,
    softmax,
)
from untrimmed.evaluation.classification import evaluate_classification
from untrimmed.evaluation.clustering import (
    MAPPINGS,
    changed_share,
    evaluate_clusters,
    first_label,
    map_detections,
    map_scores,
    shared_labels,
)
from untrimmed.evaluation.detections import CLUSTER_HINT, DetectionScores
from untrimmed.evaluation.operating_point import operating_point
from untrimmed.evaluation.results import (
    AnyEvaluation,
    AttentionEvaluation,
    ClassificationEvaluation,
    ClusteringEvaluation,
    ClusterMapping,
    ClusterRound,
    Evaluation,
)
from untrimmed.runs.mapping import MappingOptions, Tags, clusters_in, mapped_scores, tags_of
from untrimmed.runs.target import (
    activations_in,
    detections_of,
    fused_scores,
    labels_of,
    scored_videos,
    stream_weights,
    truth_of,
    where_in,
)

DETECTION_PROTOCOLS = {
    "activitynet": activitynet.evaluate_detections,
    "thumos14": thumos14.evaluate_detections,
    "wtalc": wtalc.evaluate_detections,
}


PROTOCOLS = (*DETECTION_PROTOCOLS, "classification", "clustering", "attention")


@dataclass(frozen=True)
class ScoreOptions:
    """What `untrimmed evaluate` is asked for, besides what is scored.

    annotations: the truth, in the ActivityNet schema.
    labels: weak labels; the truth of classification and clustering where no annotations are given. With `map_clusters` and
        annotations: the labels of the training videos.
    subset: which videos of the annotations, all of which are scored; None: those that the result lists.
    tiou: thresholds, see `parse_tious`.
    protocol: one of `PROTOCOLS`.
    map_clusters: how clusters are taken for classes (see `evaluation.clustering.map_clusters`), by the labels of the
        videos that the run was trained on.
    map_clusters_oracle: by the labels of the scored videos instead; the selection rule is then `oracle`.
    names: a CSV `cluster,name`, which says instead what each cluster is.
    min_score: also say what the detections that score at least this are worth.
    parts: a JSON file that says of each video what is action and what context, for the protocol `attention`.
    diagnose: also look into the mistakes of detections, and write what is found into this folder, as figures and pictures.
    """

    annotations: str | Path | None = None
    labels: str | Path | None = None
    subset: str | None = None
    tiou: str = DEFAULT_TIOU
    protocol: str = "activitynet"
    map_clusters: str | None = None
    map_clusters_oracle: bool = False
    names: str | Path | None = None
    min_score: float | None = None
    parts: str | Path | None = None
    diagnose: str | Path | None = None

    @property
    def mapping(self) -> MappingOptions:
        return MappingOptions(self.map_clusters, self.map_clusters_oracle, self.names, self.labels)

    def check(self) -> None:
        """See that the options go together, before anything is read.

        Raises:
            InputError: an unknown protocol or mapping, or an option that the protocol does not know.
        """
        protocol, names = self.protocol, self.names
        map_clusters, map_clusters_oracle = self.map_clusters, self.map_clusters_oracle
        min_score, parts, diagnose = self.min_score, self.parts, self.diagnose
        if protocol not in PROTOCOLS:
            raise InputError(f"`protocol` {protocol}: there is no such protocol; there is {', '.join(PROTOCOLS)}")
        if map_clusters is not None and map_clusters not in MAPPINGS:
            raise unknown(map_clusters, MAPPINGS, "`map_clusters`")
        if map_clusters_oracle and map_clusters is None:
            raise InputError(
                f"`map_clusters_oracle` says what a mapping is fitted on; say which: `map_clusters` {'|'.join(MAPPINGS)}"
            )
        if names is not None and map_clusters is not None:
            raise InputError("`names` says what each cluster is, `map_clusters` works it out; give one of the two")
        if min_score is not None:
            if protocol not in DETECTION_PROTOCOLS:
                raise InputError(f"`min_score`: {protocol} scores no detections")
            if not np.isfinite(min_score):
                raise InputError(f"`min_score` {min_score}: expected a finite number")
        if diagnose is not None:
            if protocol != "activitynet":
                raise InputError(f"`diagnose` goes by the activitynet protocol; leave `protocol` {protocol} away")
            if Path(diagnose).is_file():
                raise InputError(f"`diagnose` {diagnose}: a file; give the folder to write diagnosis.json and its pictures into")
            check_output(Path(diagnose) / "diagnosis.json", DIAGNOSIS, force=None)
        if parts is not None and protocol != "attention":
            raise InputError(f"`parts`: only the protocol attention looks at parts, not {protocol}")


def score(target: str | Path, options: ScoreOptions) -> AnyEvaluation:
    """Score a result against the truth, with notes on stderr about what was left out.

    Args:
        target: a detections file, a folder of stored activations, or a run folder that holds `detections.json`.

    Raises:
        InputError: a file cannot be read, an unknown protocol, subset or label, nothing to score, or an option that the
            protocol does not know.
    """
    options.check()
    if options.protocol == "clustering":
        return score_clustering(Path(target), options)
    if options.protocol == "classification":
        return score_classification(Path(target), options)
    if options.protocol == "attention":
        return score_attention(Path(target), options)
    return score_detections(Path(target), options)


def score_detections(target: Path, options: ScoreOptions) -> Evaluation:
    """Detections against true segments, by the protocol of `options`."""
    protocol, ask = options.protocol, options.mapping
    annotations = _true_segments(options)
    tious = parse_tious(options.tiou)
    truth, file = read_annotations(annotations), detections_of(target)
    results = file.results
    chosen, notes = scored_videos(truth, options.subset, results.keys(), file.path)
    mapping = None
    if ask.wanted:
        best = {video: max(detections, key=lambda d: d.score).label for video, detections in results.items() if detections}
        named = {d.label for detections in results.values() for d in detections}
        mapping = ask.fit(file.path, clusters_in(file.untrimmed), named, best, truth, tags_of(chosen))
        results = map_detections(results, mapping.clusters)
    try:
        scores = DETECTION_PROTOCOLS[protocol](chosen, results, truth.classes, tious)
        point = None if options.min_score is None else operating_point(chosen, results, truth.classes, options.min_score)
    except InputError as error:
        raise InputError(f"{file.path} against {truth.path}: {error}") from None

    for text in (*truth.notes, *notes):
        note(text)
    _note_on_detections(file, truth, chosen, scores, mapping, where_in(truth.path, options.subset))
    diagnosis = None
    if options.diagnose is not None:
        from untrimmed.reporting.diagnosis import diagnose_into  # matplotlib takes its time

        diagnosis = diagnose_into(options.diagnose, chosen, results, truth.classes, tious)
    return Evaluation(protocol, truth.path, options.subset, ask.selection(file.untrimmed), scores, mapping, point, diagnosis)


def _note_on_detections(
    file: DetectionFile,
    truth: Annotations,
    chosen: Mapping[str, VideoTruth],
    scores: DetectionScores,
    mapping: ClusterMapping | None,
    where: str,
) -> None:
    """What was left out, or counts otherwise than one might think."""
    clusters = {} if mapping is None else mapping.clusters
    if dropped := sum(not clusters.get(d.label, True) for detections in file.results.values() for d in detections):
        note(f"{dropped} detection(s) dropped: their clusters stand for no class")
    if file.results and not file.results.keys() & chosen.keys():
        note(f"none of the videos in {file.path} (such as {min(file.results)!r}) is in {where} (such as {min(chosen)!r})")
    if scores.ignored:
        note(f"{scores.ignored} detection(s) ignored: their videos are not in {where}")
    if scores.unlisted:
        note(f"warning: {len(scores.unlisted)} of {scores.videos} videos are not in {file.path}: their truth counts as missed")
    if scores.counted is not None and (left_out := int((~scores.counted).any(axis=1).sum())):
        note(f"{left_out} detection(s) on ambiguous segments are not counted")
    if scores.without_truth:
        note(f"left out of the mean, since {where} has no truth for them: {', '.join(scores.without_truth)}")


def score_classification(target: Path, options: ScoreOptions) -> ClassificationEvaluation:
    """Video-level class scores against labels."""
    ask = options.mapping
    path, activations, about = activations_in(target)
    if options.annotations is not None and options.labels is not None and ask.how is None:
        raise _both_say_what_is_true(options)
    truth_path, tags, source = labels_of(options.annotations, options.labels, options.subset, "classification")
    absent = 0
    if options.subset is None:  # as in `scored_videos`
        listed = {activation.video for activation in activations}
        absent = len(tags.keys() - listed)
        tags = {video: labels for video, labels in tags.items() if video in listed}
    weights = stream_weights(activations, about, path)
    classes = activations[0].classes
    by_stream = {name: {activation.video: activation.streams[name].class_score for activation in activations} for name in weights}
    fused = fused_scores(activations, weights)
    mapping = _mapping_of_scores(path, about, classes, fused, options, source, tags)
    if mapping is not None:
        by_stream = {name: mapped_scores(scores, classes, mapping)[0] for name, scores in by_stream.items()}
        fused, classes = mapped_scores(fused, classes, mapping)
        _check_no_cluster(classes, path)
    try:
        scores = evaluate_classification(tags, fused, classes)
        streams = {name: evaluate_classification(tags, by_video, classes) for name, by_video in by_stream.items()}
    except InputError as error:
        raise InputError(f"{path} against {truth_path}: {error}") from None

    where = where_in(truth_path, options.subset)
    if absent:
        note(f"warning: {absent} video(s) of {truth_path} are not in {path} and are left out of the scores")
    if scores.unlisted:
        note(f"{len(scores.unlisted)} of {scores.videos} videos have no scores in {path}: they count as wrong")
    if scores.unknown:
        note(f"no video of {where} is {', '.join(scores.unknown)}: a video whose top class is one of them counts as wrong")
    if scores.empty:
        note(f"{scores.empty} video(s) without a label are left out of the accuracy, not of the mAP")
    ignored = len(fused.keys() - tags.keys())
    if ignored:
        note(f"{ignored} video(s) of {path} ignored: they are not in {where}")
    return ClassificationEvaluation(truth_path, options.subset, ask.selection(about), scores, streams, weights, ignored, mapping)


def score_clustering(run: Path, options: ScoreOptions) -> ClusteringEvaluation:
    """The groups of a run without labels against labels, round by round."""
    if options.mapping.wanted:
        raise InputError("clustering compares clusters with labels as they are; leave `map_clusters` and `names` away")
    files = rounds_of(run) if run.is_dir() else []
    if not files:
        raise InputError(f"{run}: holds no rounds/NN/clusters.csv; clustering is scored for the folder of a run without labels")
    if options.annotations is not None and options.labels is not None:
        raise _both_say_what_is_true(options)
    truth_path, tags, _ = labels_of(options.annotations, options.labels, options.subset, "clustering")
    where = where_in(truth_path, options.subset)
    clusterings = [read_held(file) for file in files]
    rounds = [
        _score_round(file, clusters, before, tags, where)
        for file, clusters, before in zip(files, clusterings, [None, *clusterings])
    ]
    labelled = [video for video in clusterings[-1] if tags.get(video)]
    left_out = len(clusterings[-1]) - len(labelled)
    if left_out:
        note(f"{left_out} clustered video(s) have no label in {where}, and are left out")
    record = RunFiles(run).environment
    environment = read_json(record) if record.is_file() else {}
    check_shape(environment, {"selection?": (str, None)}, str(record))
    return ClusteringEvaluation(
        truth=truth_path,
        subset=options.subset,
        selection=options.mapping.selection(environment),
        first="the first annotated" if options.labels is None else "the first by name",
        videos=len(labelled),
        several=sum(len(tags[video]) > 1 for video in labelled),
        left_out=left_out,
        rounds=tuple(rounds),
    )


def _score_round(file: Path, clusters: Clusters, before: Clusters | None, tags: Tags, where: str) -> ClusterRound:
    """One round's clusters against the labels, and against the round before; a video that holds several counts in each."""
    labelled = [video for video in sorted(clusters) if tags.get(video)]
    if not labelled:
        raise InputError(f"{file}: none of its videos (such as {min(clusters)!r}) has a label in {where}")
    sizes = dict(sorted(Counter(chain.from_iterable(clusters.values())).items()))
    changed = None if before is None else changed_share(_first_ones(before), _first_ones(clusters))
    pairs = [(cluster, tags[video]) for video in labelled for cluster in clusters[video]]
    predicted, labels = [cluster for cluster, _ in pairs], [its for _, its in pairs]
    by_first, by_shared = (evaluate_clusters(predicted, weigh(labels)) for weigh in (first_label, shared_labels))
    return ClusterRound(sizes, changed, by_first, by_shared)


def _first_ones(held: Clusters) -> dict[str, str]:
    return {video: its[0] for video, its in held.items() if its}


def score_attention(target: Path, options: ScoreOptions) -> AttentionEvaluation:
    """Where attention is high against where the actions are."""
    annotations = _true_segments(options)
    path, activations, about = activations_in(target)
    truth, chosen = truth_of(annotations, options.subset)
    weights = stream_weights(activations, about, path)
    if without := [name for name in weights if activations[0].streams[name].attention is None]:
        raise InputError(f"{path}: stream {without[0]!r} has no attention; this method does not tell where it looks")
    classes, tags = activations[0].classes, tags_of(chosen)
    fused = fused_scores(activations, weights)
    mapping = _mapping_of_scores(path, about, classes, fused, options, truth, tags)
    where = where_in(truth.path, options.subset)
    scored = [activation for activation in activations if activation.video in chosen]
    if not scored:
        raise InputError(f"{path}: none of its videos (such as {activations[0].video!r}) is in {where}")
    kinds = None if options.parts is None else _kinds_by_video(options.parts, scored)

    snippets = [_snippets_of(activation, chosen[activation.video], weights, mapping) for activation in scored]
    by_stream = {name: [streams[name] for streams in snippets] for name in (*weights, "fused")}
    try:
        statistics = {name: attention_statistics(videos) for name, videos in by_stream.items()}
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if missing := len(chosen) - len(scored):
        note(f"{missing} of {len(chosen)} videos are not in {path}, and are left out")
    reports = {}
    if kinds is not None:
        reports = {name: attention_by_part([video.attention for video in videos], kinds) for name, videos in by_stream.items()}
    return AttentionEvaluation(
        annotations=truth.path,
        subset=options.subset,
        selection=options.mapping.selection(about),
        videos=len(scored),
        streams=statistics,
        parts=reports,
        distribution=activations[0].attention_kind == "distribution",
        mapping=mapping,
    )


def _snippets_of(
    activation: Activation, truth: VideoTruth, weights: Mapping[str, float], mapping: ClusterMapping | None
) -> dict[str, Snippets]:
    """What is compared in one video, by stream and fused."""
    scale = activation.timeline.count if activation.attention_kind == "distribution" else 1
    attention: dict[str, np.ndarray] = {}
    activity: dict[str, np.ndarray] = {}
    for name in weights:
        stream = activation.streams[name]
        assert stream.attention is not None
        attention[name], activity[name] = stream.attention * scale, softmax(stream.class_logit)
    for streams in (attention, activity):
        streams["fused"] = np.sum([weight * streams[name] for name, weight in weights.items()], axis=0)
    inside = in_truth(activation.timeline, truth.segments)
    tags = tags_of({activation.video: truth})[activation.video]
    snippets = {}
    for name in attention:
        shown, classes = activity[name], activation.classes
        if mapping is not None:
            shown, classes = map_scores(shown, classes, mapping.clusters)
        snippets[name] = Snippets(inside, attention[name], evidence_of(shown, classes, tags))
    return snippets


def _kinds_by_video(parts: str | Path, scored: Sequence[Activation]) -> list[np.ndarray]:
    """What each snippet of each video shows, action or context, from the file of parts."""
    told = check_parts(read_json(parts), str(parts))
    if lacking := [activation.video for activation in scored if activation.video not in told]:
        raise InputError(f"{parts}: does not tell the parts of {lacking[0]!r}")
    return [kinds_of(told[activation.video], activation.timeline) for activation in scored]


def _mapping_of_scores(
    path: Path,
    about: Mapping[str, Any],
    classes: Sequence[str],
    fused: Mapping[str, np.ndarray],
    options: ScoreOptions,
    truth: Annotations | None,
    tags: Tags,
) -> ClusterMapping | None:
    """The mapping of clusters that was asked for, fitted for class scores; None where the scores are of classes."""
    if not options.mapping.wanted:
        _check_no_cluster(classes, path)
        return None
    best = {video: classes[int(np.argmax(scores))] for video, scores in fused.items()}
    return options.mapping.fit(path, clusters_in(about), set(classes), best, truth, tags)


def _check_no_cluster(classes: Sequence[str], path: Path) -> None:
    if clusters := [label for label in classes if label.startswith("cluster_")]:
        raise InputError(f"{path}: {clusters[0]!r} is a cluster, no class; {CLUSTER_HINT}")


def _true_segments(options: ScoreOptions) -> str | Path:
    """The annotation file of a protocol that needs true segments."""
    annotations, labels, protocol = options.annotations, options.labels, options.protocol
    if labels is not None and (annotations is None or options.mapping.how is None):
        raise InputError(f"`labels` {labels}: says which actions occur, but not when; {protocol} needs `annotations` instead")
    if annotations is None:
        raise InputError(f"{protocol} needs the true segments: `annotations`")
    return annotations


def _both_say_what_is_true(options: ScoreOptions) -> InputError:
    return InputError(
        f"`labels` {options.labels} and `annotations` {options.annotations}: both say what is true; give one of the two"
    )

"""How good a result is, by a named protocol.

activitynet, thumos14, wtalc   detections against true segments
classification                 video-level class scores against labels
clustering                     the groups of a run without labels against labels, round by round
attention                      where attention is high against where the actions are

Each gives an object with `protocol`, `to_json()`, `table()` and `scalars()`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.console import note
from untrimmed.data.activations import read_activations
from untrimmed.data.annotations import Annotations, DetectionFile, VideoTruth, read_annotations, read_detections
from untrimmed.data.clusters import read_clusters, rounds_of
from untrimmed.data.errors import InputError
from untrimmed.data.files import check_writable, read_json
from untrimmed.data.labels import read_labels
from untrimmed.data.run_files import RunFiles
from untrimmed.data.settings import build, of_stream, unknown
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
from untrimmed.evaluation.detections import CLUSTER_HINT
from untrimmed.evaluation.operating_point import operating_point
from untrimmed.evaluation.results import (
    AnyEvaluation,
    AttentionEvaluation,
    ClassificationEvaluation,
    ClusteringEvaluation,
    ClusterRound,
    Evaluation,
)
from untrimmed.localization import Localization, localize
from untrimmed.runs.mapping import MappingOptions, Tags, clusters_in, mapped_scores, tags_of

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
    subset: which videos of the annotations; None: all.
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
            check_writable(Path(diagnose) / "diagnosis.json")
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
    annotations, labels, subset, protocol = options.annotations, options.labels, options.subset, options.protocol
    tiou, ask, min_score, diagnose = options.tiou, options.mapping, options.min_score, options.diagnose
    if labels is not None and (annotations is None or ask.how is None):
        raise InputError(f"`labels` {labels}: says which actions occur, but not when; {protocol} needs `annotations` instead")
    if annotations is None:
        raise InputError(f"{protocol} needs the true segments: `annotations`")
    tious = parse_tious(tiou)
    truth, chosen = _truth(annotations, subset)
    found = _detections_of(target)
    results = found.results
    mapping, dropped = None, 0
    if ask.wanted:
        best = {video: max(own, key=lambda d: d.score).label for video, own in results.items() if own}
        labels_found = {d.label for own in results.values() for d in own}
        mapping = ask.fit(found.path, clusters_in(found.untrimmed), labels_found, best, truth, tags_of(chosen))
        results = map_detections(results, mapping.clusters)
        dropped = sum(not mapping.clusters.get(d.label, True) for own in found.results.values() for d in own)
    try:
        scores = DETECTION_PROTOCOLS[protocol](chosen, results, truth.classes, tious)
        point = None if min_score is None else operating_point(chosen, results, truth.classes, min_score)
    except InputError as error:
        raise InputError(f"{found.path} against {truth.path}: {error}") from None

    where = _where(truth.path, subset)
    for text in truth.notes:
        note(text)
    if dropped:
        note(f"{dropped} detection(s) dropped: their clusters stand for no class")
    if results and not results.keys() & chosen.keys():
        note(f"none of the videos in {found.path} (such as {min(results)!r}) is in {where} (such as {min(chosen)!r})")
    if scores.ignored:
        note(f"{scores.ignored} detection(s) ignored: their videos are not in {where}")
    if scores.unlisted:
        note(f"{len(scores.unlisted)} of {scores.videos} videos are not in {found.path}: their truth counts as missed")
    if scores.counted is not None and (left_out := int((~scores.counted).any(axis=1).sum())):
        note(f"{left_out} detection(s) on ambiguous segments are not counted")
    if scores.without_truth:
        note(f"left out of the mean, since {where} has no truth for them: {', '.join(scores.without_truth)}")
    diagnosis = None
    if diagnose is not None:
        from untrimmed.reporting.diagnosis import diagnose_into  # matplotlib takes its time

        diagnosis = diagnose_into(diagnose, chosen, results, truth.classes, tious)
    return Evaluation(protocol, truth.path, subset, ask.selection(found.untrimmed), scores, mapping, point, diagnosis)


def score_classification(target: Path, options: ScoreOptions) -> ClassificationEvaluation:
    """Video-level class scores against labels."""
    annotations, labels, subset, ask = options.annotations, options.labels, options.subset, options.mapping
    path, activations, about = _activations_of(target)
    if annotations is not None and labels is not None and ask.how is None:
        raise InputError(f"`labels` {labels} and `annotations` {annotations}: both say what is true; give one of the two")
    truth_path, tags, source = _labels(annotations, labels, subset, "classification")
    weights = _stream_weights(activations, about, path)
    classes = activations[0].classes
    by_stream = {name: {activation.video: activation.streams[name].class_score for activation in activations} for name in weights}
    fused = _fused_scores(activations, weights)
    mapping = None
    if ask.wanted:
        best = {video: classes[int(np.argmax(own))] for video, own in fused.items()}
        mapping = ask.fit(path, clusters_in(about), set(classes), best, source, tags)
        by_stream = {name: mapped_scores(scores, classes, mapping)[0] for name, scores in by_stream.items()}
        fused, classes = mapped_scores(fused, classes, mapping)
    if clusters := [label for label in classes if label.startswith("cluster_")]:
        raise InputError(f"{path}: {clusters[0]!r} is a cluster, no class; {CLUSTER_HINT}")
    try:
        scores = evaluate_classification(tags, fused, classes)
        streams = {name: evaluate_classification(tags, own, classes) for name, own in by_stream.items()}
    except InputError as error:
        raise InputError(f"{path} against {truth_path}: {error}") from None

    where = _where(truth_path, subset)
    if scores.unlisted:
        note(f"{len(scores.unlisted)} of {scores.videos} videos have no scores in {path}: they count as wrong")
    if scores.unknown:
        note(f"no video of {where} is {', '.join(scores.unknown)}: a video whose top class is one of them counts as wrong")
    if scores.empty:
        note(f"{scores.empty} video(s) without a label are left out of the accuracy, not of the mAP")
    ignored = len(fused.keys() - tags.keys())
    if ignored:
        note(f"{ignored} video(s) of {path} ignored: they are not in {where}")
    return ClassificationEvaluation(truth_path, subset, ask.selection(about), scores, streams, weights, ignored, mapping)


def score_clustering(run: Path, options: ScoreOptions) -> ClusteringEvaluation:
    """The groups of a run without labels against labels, round by round."""
    annotations, labels, subset = options.annotations, options.labels, options.subset
    if options.mapping.wanted:
        raise InputError("clustering compares clusters with labels as they are; leave `map_clusters` and `names` away")
    files = rounds_of(run) if run.is_dir() else []
    if not files:
        raise InputError(f"{run}: holds no rounds/NN/clusters.csv; clustering is scored for the folder of a run without labels")
    if annotations is not None and labels is not None:
        raise InputError(f"`labels` {labels} and `annotations` {annotations}: both say what is true; give one of the two")
    truth_path, tags, _ = _labels(annotations, labels, subset, "clustering")
    rounds: list[ClusterRound] = []
    before: dict[str, str] | None = None
    known: list[str] = []
    for file in files:
        clusters = read_clusters(file)
        known = [video for video in sorted(clusters) if tags.get(video)]
        if not known:
            raise InputError(f"{file}: none of its videos (such as {min(clusters)!r}) has a label in {_where(truth_path, subset)}")
        own = [clusters[video] for video in known]
        sizes = {name: sum(c == name for c in clusters.values()) for name in sorted(set(clusters.values()))}
        changed = None if before is None else changed_share(before, clusters)
        weights = [tags[video] for video in known]
        rounds.append(
            ClusterRound(
                sizes, changed, evaluate_clusters(own, first_label(weights)), evaluate_clusters(own, shared_labels(weights))
            )
        )
        before = clusters
    assert before is not None
    left_out = len(before) - len(known)
    if left_out:
        note(f"{left_out} clustered video(s) have no label in {_where(truth_path, subset)}, and are left out")
    record = RunFiles(run).environment
    environment = read_json(record) if record.is_file() else {}
    if not isinstance(environment, dict):
        raise InputError(f"{record}: not as a run writes it; expected an object")
    return ClusteringEvaluation(
        truth=truth_path,
        subset=subset,
        selection=options.mapping.selection(environment),
        first="the first annotated" if labels is None else "the first by name",
        videos=len(known),
        several=sum(len(tags[video]) > 1 for video in known),
        left_out=left_out,
        rounds=tuple(rounds),
    )


def score_attention(target: Path, options: ScoreOptions) -> AttentionEvaluation:
    """Where attention is high against where the actions are."""
    annotations, labels, subset, parts = options.annotations, options.labels, options.subset, options.parts
    ask = options.mapping
    if labels is not None and (annotations is None or ask.how is None):
        raise InputError(f"`labels` {labels}: says which actions occur, but not when; attention needs `annotations` instead")
    if annotations is None:
        raise InputError("attention needs the true segments: `annotations`")
    path, activations, about = _activations_of(target)
    truth, chosen = _truth(annotations, subset)
    weights = _stream_weights(activations, about, path)
    if without := [name for name in weights if activations[0].streams[name].attention is None]:
        raise InputError(f"{path}: stream {without[0]!r} has no attention; this method does not tell where it looks")
    classes, tags = activations[0].classes, tags_of(chosen)
    mapping = None
    if ask.wanted:
        best = {video: classes[int(np.argmax(own))] for video, own in _fused_scores(activations, weights).items()}
        mapping = ask.fit(path, clusters_in(about), set(classes), best, truth, tags)
    elif clusters := [label for label in classes if label.startswith("cluster_")]:
        raise InputError(f"{path}: {clusters[0]!r} is a cluster, no class; {CLUSTER_HINT}")
    where = _where(truth.path, subset)
    scored = [activation for activation in activations if activation.video in chosen]
    if not scored:
        raise InputError(f"{path}: none of its videos (such as {activations[0].video!r}) is in {where}")
    told = None if parts is None else check_parts(read_json(parts), str(parts))
    if told is not None and (lacking := [activation.video for activation in scored if activation.video not in told]):
        raise InputError(f"{parts}: does not tell the parts of {lacking[0]!r}")

    snippets: dict[str, list[Snippets]] = {name: [] for name in (*weights, "fused")}
    kinds = []
    for activation in scored:
        one = chosen[activation.video]
        inside = in_truth(activation.timeline, one.segments)
        scale = activation.timeline.count if activation.attention_kind == "distribution" else 1
        attention: dict[str, np.ndarray] = {}
        shown: dict[str, np.ndarray] = {}
        for name in weights:
            stream = activation.streams[name]
            assert stream.attention is not None
            attention[name], shown[name] = stream.attention * scale, softmax(stream.class_logit)
        for streams in (attention, shown):
            streams["fused"] = np.sum([weight * streams[name] for name, weight in weights.items()], axis=0)
        for name, own in snippets.items():
            activity, labels_of = shown[name], classes
            if mapping is not None:
                activity, labels_of = map_scores(activity, classes, mapping.clusters)
            own.append(Snippets(inside, attention[name], evidence_of(activity, labels_of, tags[activation.video])))
        if told is not None:
            kinds.append(kinds_of(told[activation.video], activation.timeline))
    try:
        statistics = {name: attention_statistics(own) for name, own in snippets.items()}
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if missing := len(chosen) - len(scored):
        note(f"{missing} of {len(chosen)} videos are not in {path}, and are left out")
    reports = {}
    if told is not None:
        reports = {name: attention_by_part([video.attention for video in own], kinds) for name, own in snippets.items()}
    return AttentionEvaluation(
        annotations=truth.path,
        subset=subset,
        selection=ask.selection(about),
        videos=len(scored),
        streams=statistics,
        parts=reports,
        distribution=activations[0].attention_kind == "distribution",
        mapping=mapping,
    )


def _where(path: Path, subset: str | None) -> str:
    return str(path) if subset is None else f"the subset {subset!r} of {path}"


def _truth(annotations: str | Path, subset: str | None) -> tuple[Annotations, dict[str, VideoTruth]]:
    truth = read_annotations(annotations)
    return truth, truth.subset(subset)


def _labels(
    annotations: str | Path | None, labels: str | Path | None, subset: str | None, protocol: str
) -> tuple[Path, Tags, Annotations | None]:
    """The labels to score against: of the annotation file where there is one, or else of the labels file."""
    if annotations is not None:
        truth, chosen = _truth(annotations, subset)
        return truth.path, tags_of(chosen), truth
    if labels is None:
        raise InputError(f"{protocol} needs the true labels: `labels` or `annotations`")
    if subset is not None:
        raise InputError(f"`subset` {subset}: a labels file has no subsets; give `annotations`, or leave `subset` away")
    return Path(labels), {video: tuple(sorted(own)) for video, own in read_labels(labels).tags.items()}, None


def _stream_weights(activations: Sequence[Activation], about: Mapping[str, Any], path: Path) -> dict[str, float]:
    """The share of each stream in fused scores, as the run's localization weighs them."""
    settings = build(Localization, about.get("localization", {}), f"{path / 'activations.json'}: localization")
    weights = {name: of_stream(settings, name).stream_weight for name in activations[0].streams}
    total = sum(weights.values())
    return {name: weight / total if total > 0 else 1 / len(weights) for name, weight in weights.items()}


def _fused_scores(activations: Sequence[Activation], weights: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The weighted mean of the streams' class scores, [C] by video."""
    return {
        activation.video: np.sum([weight * activation.streams[name].class_score for name, weight in weights.items()], axis=0)
        for activation in activations
    }


def _detections_of(target: Path) -> DetectionFile:
    """What is scored: the detections file itself, or that of a run folder; stored activations are cut as they were."""
    if not target.is_dir():
        return read_detections(target)
    if (target / "activations.json").is_file():
        activations, about = read_activations(target)
        settings = build(Localization, about.get("localization", {}), f"{target / 'activations.json'}: localization")
        return DetectionFile(target, localize(activations, settings), about)
    return read_detections(_detections_in(target))


def _detections_in(run: Path) -> Path:
    """The detections file of a run folder."""
    files = RunFiles(run)
    if not files.is_begun:
        raise InputError(f"{run}: a folder, but neither of a run nor of activations; give a detections file")
    detections = files.detections
    if not detections.is_file():
        raise InputError(
            f"{run}: holds no detections.json; give the detections file, or first: untrimmed localize {run} ... --out {detections}"
        )
    return detections


def _activations_of(target: Path) -> tuple[Path, list[Activation], dict[str, Any]]:
    """A folder of stored activations: the one named, or the one beside the detections file that is named or in the run."""
    folder = target
    if not (target / "activations.json").is_file():
        detections = _detections_in(target) if target.is_dir() else target
        if not detections.is_file():
            raise InputError(f"{detections}: no such file")
        folder = detections.with_suffix(".activations")
        if not folder.is_dir():
            raise InputError(
                f"{detections}: has no activations beside it ({folder.name}), which this protocol needs; localize again without "
                f"`no_activations`"
            )
    found, about = read_activations(folder)
    if not found:
        raise InputError(f"{folder}: holds no video")
    return folder, found, about

"""What each protocol gives: scores together with the rules by which they were made, as JSON, as a table and as single numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from untrimmed.data.notebook import Scored
from untrimmed.evaluation.attention import LEVELS, QUANTILES, STANDARD, STATISTICS, AttentionStatistics, PartsReport
from untrimmed.evaluation.classification import ClassificationScores
from untrimmed.evaluation.clustering import ClusterScores, Mapped
from untrimmed.evaluation.detections import DetectionScores
from untrimmed.evaluation.diagnosis import Diagnosis
from untrimmed.evaluation.operating_point import OperatingPoint

AVERAGED_RANGES = ((0.1, 0.5), (0.3, 0.7), (0.1, 0.7))
"""The ranges of tIoU, in steps of 0.1, whose averages papers quote."""


@dataclass(frozen=True)
class ClusterMapping:
    """Which classes the clusters of an unlabelled run were taken for.

    how:       `majority`, `soft`, `hungarian` (see `map_clusters`), or `names` for a user's own.
    fitted_on: what the mapping was made from, in words.
    clusters:  for each cluster its classes and weights; `{}` where nothing says what it stands for.
    """

    how: str
    fitted_on: str
    clusters: Mapped

    def to_json(self) -> dict[str, Any]:
        """The field `mapping` of `evaluate --json`."""
        return {"how": self.how, "fitted_on": self.fitted_on, "clusters": self.clusters}

    def __str__(self) -> str:
        return f"{self.how}, by {self.fitted_on}"


@dataclass(frozen=True)
class Evaluation(Scored):
    """The scores of one set of detections, and by which rules they were made.

    protocol:    its name.
    annotations: the file of the truth.
    subset:      the subset that was scored, or None for the whole file.
    selection:   how the evaluated model was chosen (`oracle`: with the test truth), or None where the detections do not say.
    scores:      see DetectionScores.
    mapping:     what clusters were taken for, if they were.
    operating:   what the detections above a score are worth, if that was asked for.
    diagnosis:   what is wrong with them, if that was asked for.
    """

    protocol: str
    annotations: Path
    subset: str | None
    selection: str | None
    scores: DetectionScores
    mapping: ClusterMapping | None = None
    operating: OperatingPoint | None = None
    diagnosis: Diagnosis | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields that `evaluate --json` prints; fractions in 0..1, never NaN."""
        scores = self.scores
        return {
            "protocol": self.protocol,
            "subset": self.subset,
            "videos": scores.videos,
            "instances": scores.instances,
            "tiou": scores.tious.tolist(),
            "mAP": scores.mean_ap.tolist(),
            "average": scores.average,
            "per_class": {label: row.tolist() for label, row in zip(scores.classes, scores.ap, strict=True)},
            "ignored": scores.ignored,
            "selection": self.selection,
            "mapping": None if self.mapping is None else self.mapping.to_json(),
            **({} if self.operating is None else {"operating_point": self.operating.to_json()}),
        }

    def scalars(self) -> dict[str, float]:
        """`mAP@0.5` for each threshold, `mAP@avg` over all, `mAP@0.1:0.7` and the like, and those of the operating point."""
        scores = self.scores
        values = {f"mAP@{tiou:g}": float(value) for tiou, value in zip(scores.tious, scores.mean_ap, strict=True)}
        values["mAP@avg"] = scores.average
        values |= {f"mAP@{first:g}:{last:g}": mean for (first, last), mean in self._quoted_averages().items()}
        if (point := self.operating) is not None:
            for suffix, reading in (("", point.at_tiou), (".any_overlap", point.at_any_overlap)):
                for name in ("precision", "recall", "f1", "false_alarms_per_hour"):
                    if (value := getattr(reading, name)) is not None:
                        values[f"{name}{suffix}"] = value
            if point.silent_share is not None:
                values["silent_share"] = point.silent_share
        return values

    def table(self) -> str:
        """Plain text for the terminal: AP in per cent by class and threshold, and the averages that papers quote."""
        scores = self.scores
        width = max(len(name) for name in (*scores.classes, "tIoU"))

        def row(name: str, cells: list[str], mean: str) -> str:
            return "  ".join([name.ljust(width), *(cell.rjust(5) for cell in cells), mean.rjust(6)])

        def per_cent(name: str, values: Any) -> str:
            return row(name, [f"{100 * value:.1f}" for value in values], f"{100 * values.mean():.1f}")

        header = row("tIoU", [f"{tiou:g}" for tiou in scores.tious], "mean")
        count = f"{scores.videos} videos, {scores.instances} instances, {len(scores.classes)} classes"
        lines = [
            f"protocol   {self.protocol}, AP in per cent",
            *_rules(self.annotations, self.subset, count, self.selection, self.mapping, ", ".join(f"{t:g}" for t in scores.tious)),
            "",
            header,
            *(per_cent(label, ap) for label, ap in zip(scores.classes, scores.ap, strict=True)),
            "-" * len(header),
            per_cent("mAP", scores.mean_ap),
        ]
        for (first, last), mean in self._quoted_averages().items():
            lines.append(f"mean mAP over tIoU {first:g}:{last:g}  {100 * mean:.1f}")
        if self.operating is not None:
            lines += ["", *_operating_lines(self.operating)]
        if self.diagnosis is not None:
            lines += ["", self.diagnosis.text()]
        return "\n".join(lines)

    def _quoted_averages(self) -> dict[tuple[float, float], float]:
        on_grid = {round(float(t), 6): float(value) for t, value in zip(self.scores.tious, self.scores.mean_ap, strict=True)}
        averages = {}
        for first, last in AVERAGED_RANGES:
            wanted = [round(tenth / 10, 6) for tenth in range(round(first * 10), round(last * 10) + 1)]
            if all(tiou in on_grid for tiou in wanted):
                averages[first, last] = sum(on_grid[tiou] for tiou in wanted) / len(wanted)
        return averages


@dataclass(frozen=True)
class ClassificationEvaluation(Scored):
    """How well class scores name what videos show.

    truth:   the file of the labels.
    subset, selection, mapping: see Evaluation.
    scores:  of the weighted mean of all streams.
    streams: of each stream by itself.
    weights: the streams' shares in the mean, those of the run's localization.
    ignored: how many videos have scores but are not scored against.
    """

    truth: Path
    subset: str | None
    selection: str | None
    scores: ClassificationScores
    streams: dict[str, ClassificationScores]
    weights: dict[str, float]
    ignored: int
    mapping: ClusterMapping | None = None
    protocol: str = "classification"

    def to_json(self) -> dict[str, Any]:
        """The fields that `evaluate --json` prints; fractions in 0..1."""
        scores = self.scores
        return {
            "protocol": self.protocol,
            "subset": self.subset,
            "videos": scores.videos,
            "empty_videos": scores.empty,
            "accuracy": scores.accuracy,
            "video_mAP": scores.mean_ap,
            "per_class": dict(zip(scores.classes, scores.ap.tolist(), strict=True)),
            "streams": {
                name: {"accuracy": of_stream.accuracy, "video_mAP": of_stream.mean_ap, "weight": self.weights[name]}
                for name, of_stream in self.streams.items()
            },
            "ignored": self.ignored,
            "selection": self.selection,
            "mapping": None if self.mapping is None else self.mapping.to_json(),
        }

    def scalars(self) -> dict[str, float]:
        """`accuracy` and `video_mAP`, and the same by stream, as `accuracy.rgb`."""
        values = {"accuracy": self.scores.accuracy, "video_mAP": self.scores.mean_ap}
        for name, of_stream in self.streams.items():
            values |= {f"accuracy.{name}": of_stream.accuracy, f"video_mAP.{name}": of_stream.mean_ap}
        return values

    def table(self) -> str:
        """Plain text for the terminal, in per cent: average precision by class; accuracy and mAP of the streams and all."""
        scores = self.scores
        names = [*self.streams, "fused"]
        columns = [*self.streams.values(), scores]
        width = max(len(name) for name in (*scores.classes, "average precision"))

        def row(name: str, values: Sequence[float]) -> str:
            return "  ".join([name.ljust(width), *(f"{100 * value:.1f}".rjust(7) for value in values)])

        header = "  ".join(["average precision".ljust(width), *(name.rjust(7) for name in names)])
        shares = ", ".join(f"{name} {weight:.2g}" for name, weight in self.weights.items())
        count = f"{scores.videos} videos, {scores.empty} of them empty, {len(scores.classes)} classes"
        return "\n".join(
            [
                "protocol   classification, in per cent",
                *_rules(self.truth, self.subset, count, self.selection, self.mapping),
                f"fused      class scores of the streams, weighted {shares}",
                "",
                header,
                *(row(label, [of_stream.ap[c] for of_stream in columns]) for c, label in enumerate(scores.classes)),
                "-" * len(header),
                row("mAP", [of_stream.mean_ap for of_stream in columns]),
                row("accuracy", [of_stream.accuracy for of_stream in columns]),
            ]
        )


@dataclass(frozen=True)
class ClusterRound:
    """One round's clusters: their sizes, the share of videos that changed cluster since the round before, the agreement.

    scores: each video counted by its first label; shared: by all its labels, 1/k each.
    """

    sizes: dict[str, int]
    changed: float | None
    scores: ClusterScores
    shared: ClusterScores


@dataclass(frozen=True)
class ClusteringEvaluation(Scored):
    """How well the clusters of a run without labels agree with labels, round by round.

    truth:    the file of the labels; `first` says in words which label of several counts as the first.
    videos:   how many clustered videos have labels; `several` how many of them have more than one.
    left_out: how many clustered videos have no label.
    """

    truth: Path
    subset: str | None
    selection: str | None
    first: str
    videos: int
    several: int
    left_out: int
    rounds: tuple[ClusterRound, ...]
    protocol: str = "clustering"

    def to_json(self) -> dict[str, Any]:
        """The fields that `evaluate --json` prints; `purity`, `ari` and `nmi` are those of the last round."""
        return {
            "protocol": self.protocol,
            "subset": self.subset,
            "videos": self.videos,
            "videos_with_several_labels": self.several,
            "left_out": self.left_out,
            "first_label": self.first,
            **vars(self.rounds[-1].scores),
            "shared": vars(self.rounds[-1].shared),
            "rounds": [
                {"changed": of_round.changed, "sizes": of_round.sizes, **vars(of_round.scores), "shared": vars(of_round.shared)}
                for of_round in self.rounds
            ],
            "selection": self.selection,
            "mapping": None,
        }

    def scalars(self) -> dict[str, float]:
        """`purity`, `ari`, `nmi` of the last round, with `.shared` for all labels, and of every round as `purity.round0`."""
        values: dict[str, float] = dict(vars(self.rounds[-1].scores))
        values |= {f"{name}.shared": value for name, value in vars(self.rounds[-1].shared).items()}
        for number, of_round in enumerate(self.rounds):
            values |= {f"{name}.round{number}": value for name, value in vars(of_round.scores).items()}
        return values

    def table(self) -> str:
        """Plain text for the terminal: a row for each round."""
        count = f"{self.videos} videos with labels, {self.several} of them with several, {self.left_out} left out without"
        both = self.several > 0
        header = "round  clusters  smallest  largest  changed  purity    ARI    NMI" + (
            "  purity    ARI    NMI, 1/k" if both else ""
        )
        lines = [
            "protocol   clustering (NMI over the arithmetic mean of the entropies)",
            *_rules(self.truth, self.subset, count, self.selection, None),
            f"labels     of a video with several, {self.first} counts" + ("; behind, all with 1/k each" if both else ""),
            "",
            header,
        ]
        for number, of_round in enumerate(self.rounds):
            changed = "-" if of_round.changed is None else f"{100 * of_round.changed:.1f} %"
            sizes = of_round.sizes.values()
            cells = f"{number:5}  {len(sizes):8}  {min(sizes):8}  {max(sizes):7}  {changed:>7}"
            for scores in (of_round.scores, of_round.shared) if both else (of_round.scores,):
                cells += f"  {scores.purity:6.3f}  {scores.ari:5.3f}  {scores.nmi:5.3f}"
            lines.append(cells)
        return "\n".join(lines)


@dataclass(frozen=True)
class AttentionEvaluation(Scored):
    """Where attention is high, against where the actions are.

    annotations, subset, selection, mapping: see Evaluation.
    videos:   how many have both truth and activations.
    streams:  the statistics of each stream, and of their weighted mean as `fused` (which is all where there is one stream).
    parts:    attention by kind of part, for the same, where the parts were given.
    distribution: whether attention is one over time, which was then multiplied by the number of snippets.
    """

    annotations: Path
    subset: str | None
    selection: str | None
    videos: int
    streams: dict[str, AttentionStatistics]
    parts: dict[str, PartsReport]
    distribution: bool
    mapping: ClusterMapping | None = None
    protocol: str = "attention"

    def to_json(self) -> dict[str, Any]:
        """The fields that `evaluate --json` prints; each statistic is a matrix, by level of attention and of class activation."""
        fused = self.streams["fused"]
        return {
            "protocol": self.protocol,
            "subset": self.subset,
            "videos": self.videos,
            "snippets": fused.snippets,
            "true_snippets": fused.truth,
            "levels": list(LEVELS),
            "distribution": self.distribution,
            "streams": {
                name: {
                    "at_0.5": of_stream.at_standard(),
                    "sweep": {key: ratio.tolist() for key, ratio in of_stream.ratios.items()},
                    "snippet_AP": of_stream.precision,
                    **(self.parts[name].to_json() if self.parts else {}),
                }
                for name, of_stream in self.streams.items()
            },
            "selection": self.selection,
            "mapping": None if self.mapping is None else self.mapping.to_json(),
        }

    def scalars(self) -> dict[str, float]:
        """The slide's statistics at level 0.5 (`att-gt/gt`) and others (`att-gt/gt@0.3`), `snippet_AP`, parts; by stream too."""
        values: dict[str, float] = {}
        for stream, of_stream in self.streams.items():
            suffix = "" if stream == "fused" else f".{stream}"
            values |= {f"{name}{suffix}": value for name, value in of_stream.at_standard().items()}
            values[f"snippet_AP{suffix}"] = of_stream.precision
            for name, ratio in of_stream.ratios.items():
                values |= {f"{name}@{level:g}{suffix}": float(ratio[i, STANDARD]) for i, level in enumerate(LEVELS)}
            if self.parts:
                report = self.parts[stream]
                values |= {f"attention.{kind}{suffix}": part.mean for kind, part in report.parts.items()}
                values |= {f"{pair}{suffix}": chance for pair, chance in report.above.items()}
        return values

    def table(self) -> str:
        """Plain text for the terminal: the slide's statistics with its arrows, the sweeps, and attention by part."""
        fused = self.streams["fused"]
        names = list(self.streams)
        width = max(len(text) for text, _ in STATISTICS.values()) + 3

        def row(name: str, values: Iterable[float]) -> str:
            return "  ".join([name.ljust(width), *(f"{value:7.3f}" for value in values)])

        def statistic(name: str, values: Iterable[float]) -> str:
            text, arrow = STATISTICS[name]
            return row(f"{arrow} {text}", values)

        def header(name: str, cells: Sequence[str]) -> str:
            return "  ".join([name.ljust(width), *(cell.rjust(7) for cell in cells)])

        levels = [f"{level:g}" for level in LEVELS]
        count = f"{self.videos} videos, {fused.snippets} snippets, {fused.truth} of them in true segments (gt)"
        lines = [
            "protocol   attention, sizes of sets of snippets over the size of gt; arrows say which way is better",
            *_rules(self.annotations, self.subset, count, self.selection, self.mapping),
            "levels     att: attention > 0.5; cls: class activation (softmax) of the video's best true class > 0.5"
            + ("; attention is times the number of snippets" if self.distribution else ""),
            "",
            header("", names),
            *(
                statistic(name, [of_stream.ratios[name][STANDARD, STANDARD] for of_stream in self.streams.values()])
                for name in STATISTICS
            ),
            row("↑ AP of attention for gt", [of_stream.precision for of_stream in self.streams.values()]),
            "",
            header("fused, att: attention >", levels),
            *(statistic(name, fused.ratios[name][:, STANDARD]) for name in STATISTICS),
            "",
            header("fused, cls: activation >", levels),
            *(statistic(name, fused.ratios[name][STANDARD]) for name in list(STATISTICS)[2:]),
        ]
        for stream, report in self.parts.items():
            lines += ["", header(f"attention of {stream} on", ["snippets", "mean", *(f"{q} %" for q in QUANTILES)])]
            for kind, part in report.parts.items():
                lines.append(
                    "  ".join([kind.ljust(width), f"{part.snippets:8}", *(f"{v:7.3f}" for v in (part.mean, *part.quantiles))])
                )
            lines.append("more attention on: " + ", ".join(f"{pair} {value:.3f}" for pair, value in report.above.items()))
        return "\n".join(lines)


AnyEvaluation = Evaluation | ClassificationEvaluation | ClusteringEvaluation | AttentionEvaluation


def _rules(
    truth: Path, subset: str | None, count: str, selection: str | None, mapping: ClusterMapping | None, tious: str | None = None
) -> list[str]:
    """The head of every table: without these lines a score says nothing."""
    lines = [
        f"set        {truth.name}, {'whole file' if subset is None else f'subset {subset}'}: {count}",
        f"tIoU       {tious or 'none, no times are compared'}",
        f"selection  {selection or 'not stated'}",
    ]
    return lines if mapping is None else [*lines, f"mapping    {mapping}"]


def _operating_lines(point: OperatingPoint) -> list[str]:
    def cell(value: float | None, scale: float = 100) -> str:
        return "-".rjust(9) if value is None else f"{scale * value:9.1f}"

    lines = [
        f"detections that score at least {point.min_score:g}",
        "                  precision     recall         F1  false alarms/h",
    ]
    for name, reading in ((f"tIoU {point.tiou:g}", point.at_tiou), ("any overlap", point.at_any_overlap)):
        per_hour = cell(reading.false_alarms_per_hour, 1)
        lines.append(f"{name:16}  {cell(reading.precision)}  {cell(reading.recall)}  {cell(reading.f1)}  {per_hour:>14}")
    silent = f"{point.silent} of {point.empty}" if point.empty else "there is none"
    return [*lines, f"empty videos left silent: {silent}"]

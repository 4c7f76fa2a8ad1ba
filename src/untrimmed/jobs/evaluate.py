"""`untrimmed evaluate`: how good detections are, by a named protocol."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from untrimmed.console import note
from untrimmed.data.activations import read_activations
from untrimmed.data.annotations import DetectionFile, read_annotations, read_detections
from untrimmed.data.errors import InputError
from untrimmed.data.settings import build
from untrimmed.evaluation import activitynet, thumos14, wtalc
from untrimmed.evaluation.activitynet import parse_tious
from untrimmed.evaluation.detections import DetectionScores
from untrimmed.localization import Localization, localize

PROTOCOLS = {
    "activitynet": activitynet.evaluate_detections,
    "thumos14": thumos14.evaluate_detections,
    "wtalc": wtalc.evaluate_detections,
}
AVERAGED_RANGES = ((0.1, 0.5), (0.3, 0.7), (0.1, 0.7))
"""The ranges of tIoU, in steps of 0.1, whose averages papers quote."""


@dataclass(frozen=True)
class Evaluation:
    """The scores of one set of detections, and by which rules they were made.

    protocol:    its name.
    annotations: the file of the truth.
    subset:      the subset that was scored, or None for the whole file.
    selection:   how the evaluated model was chosen (`oracle`: with the test truth), or None where the detections do not say.
    scores:      see DetectionScores.
    """

    protocol: str
    annotations: Path
    subset: str | None
    selection: str | None
    scores: DetectionScores

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
            "mapping": None,
        }

    def table(self) -> str:
        """Plain text for the terminal: AP in per cent by class and threshold, and the averages that papers quote."""
        scores = self.scores
        width = max(len(name) for name in (*scores.classes, "tIoU"))

        def row(name: str, cells: list[str], mean: str) -> str:
            return "  ".join([name.ljust(width), *(cell.rjust(5) for cell in cells), mean.rjust(6)])

        def per_cent(name: str, values: Any) -> str:
            return row(name, [f"{100 * value:.1f}" for value in values], f"{100 * values.mean():.1f}")

        header = row("tIoU", [f"{tiou:g}" for tiou in scores.tious], "mean")
        lines = [
            f"protocol   {self.protocol}, AP in per cent",
            f"set        {self.annotations.name}, {'whole file' if self.subset is None else f'subset {self.subset}'}: "
            f"{scores.videos} videos, {scores.instances} instances, {len(scores.classes)} classes",
            f"tIoU       {', '.join(f'{tiou:g}' for tiou in scores.tious)}",
            f"selection  {self.selection or 'not stated'}",
            "",
            header,
            *(per_cent(label, ap) for label, ap in zip(scores.classes, scores.ap, strict=True)),
            "-" * len(header),
            per_cent("mAP", scores.mean_ap),
        ]
        on_grid = {round(float(tiou), 6): value for tiou, value in zip(scores.tious, scores.mean_ap, strict=True)}
        for first, last in AVERAGED_RANGES:
            wanted = [round(tenth / 10, 6) for tenth in range(round(first * 10), round(last * 10) + 1)]
            if all(tiou in on_grid for tiou in wanted):
                mean = sum(on_grid[tiou] for tiou in wanted) / len(wanted)
                lines.append(f"mean mAP over tIoU {first:g}:{last:g}  {100 * mean:.1f}")
        return "\n".join(lines)


def evaluate(
    target: str | Path,
    *,
    annotations: str | Path | None = None,
    labels: str | Path | None = None,
    subset: str | None = None,
    tiou: str = "0.1:0.9:0.1",
    protocol: str = "activitynet",
) -> Evaluation:
    """Score detections against the truth, with notes on stderr about what was left out.

    Args:
        target: a detections file, a folder of stored activations, or a run folder that holds `detections.json`.
        annotations: the truth, in the ActivityNet schema.
        labels: weak labels; they say nothing of times, so no protocol that scores times takes them.
        subset: which videos of the annotations; None: all.
        tiou: thresholds, see `parse_tious`.

    Raises:
        InputError: a file cannot be read, an unknown protocol, subset or label, or nothing to score.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"--protocol {protocol}: there is no such protocol; there is {', '.join(PROTOCOLS)}")
    if labels is not None:
        raise InputError(f"--labels {labels}: says which actions occur, but not when; {protocol} needs --annotations FILE instead")
    if annotations is None:
        raise InputError(f"{protocol} needs the true segments: --annotations FILE")
    tious = parse_tious(tiou)
    truth = read_annotations(annotations)
    chosen = truth.subset(subset)
    found = _detections_of(Path(target))
    try:
        scores = PROTOCOLS[protocol](chosen, found.results, truth.classes, tious)
    except InputError as error:
        raise InputError(f"{found.path} against {truth.path}: {error}") from None

    where = truth.path if subset is None else f"the subset {subset!r} of {truth.path}"
    for text in truth.notes:
        note(text)
    if found.results and not found.results.keys() & chosen.keys():
        note(f"none of the videos in {found.path} (such as {min(found.results)!r}) is in {where} (such as {min(chosen)!r})")
    if scores.ignored:
        note(f"{scores.ignored} detection(s) ignored: their videos are not in {where}")
    if scores.unlisted:
        note(f"{len(scores.unlisted)} of {scores.videos} videos are not in {found.path}: their truth counts as missed")
    if scores.counted is not None and (left_out := int((~scores.counted).any(axis=1).sum())):
        note(f"{left_out} detection(s) on ambiguous segments are not counted")
    if scores.without_truth:
        note(f"left out of the mean, since {where} has no truth for them: {', '.join(scores.without_truth)}")
    selection = found.untrimmed.get("selection")
    return Evaluation(protocol, truth.path, subset, None if selection is None else str(selection), scores)


def _detections_of(target: Path) -> DetectionFile:
    """What is scored: the detections file itself, or that of a run folder; stored activations are cut as they were."""
    if not target.is_dir():
        return read_detections(target)
    if (target / "activations.json").is_file():
        activations, about = read_activations(target)
        settings = build(Localization, about.get("localization", {}), f"{target / 'activations.json'}: localization")
        return DetectionFile(target, localize(activations, settings), about)
    if not (target / "config.yaml").is_file():
        raise InputError(f"{target}: a folder, but neither of a run nor of activations; give a detections file")
    detections = target / "detections.json"
    if not detections.is_file():
        raise InputError(
            f"{target}: holds no detections.json; give the detections file, or first: "
            f"untrimmed localize {target} ... --out {detections}"
        )
    return read_detections(detections)

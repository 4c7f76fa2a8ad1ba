"""`untrimmed train`: from a feature store and labels to a run folder."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from untrimmed.data.errors import InputError
from untrimmed.data.files import check_writable, set_aside
from untrimmed.data.labels import read_labels, write_labels
from untrimmed.data.notebook import Run
from untrimmed.data.run_files import RunFiles
from untrimmed.engine.local import cores
from untrimmed.methods.base import resolve
from untrimmed.runs.fit import FitOptions, fit
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.reliability import Reliability, check_run
from untrimmed.runs.supervision import Supervision
from untrimmed.training import claim
from untrimmed.training.device import check_device
from untrimmed.video.decode import find_videos
from untrimmed.video.extraction import arguments_of, extract, header_for


@dataclass(frozen=True)
class TrainReport(Run):
    """The run folder; the method's name; the videos that could not be extracted (with `videos` only), with the reason; and what
    the run can be trusted with, None without labels."""

    method: str
    failures: dict[str, str]
    reliability: Reliability | None = None

    def text(self) -> str:
        """How training ended, and what to do next."""
        lines = [] if self.reliability is None else [self.reliability.text()]
        lines.append(f"{self.run}: trained; next: untrimmed localize {self.run} VIDEOS --out new.json")
        # Where the features tell no label apart, a student loses what its teacher has.
        if self.reliability is not None and not all(check.remark for check in self.reliability.labels.values()):
            lines.append(f"or better, on most data: untrimmed refine {self.run} --out {self.run}-refined")
        return "\n".join(lines)


def train(
    method: str,
    *,
    features: str | Path | None = None,
    videos: str | Path | None = None,
    labels: str | Path | Mapping[str, Iterable[str]] | None = None,
    unlabelled: bool = False,
    clusters: int | None = None,
    trimmed: str | Path | None = None,
    trimmed_labels: str | Path | None = None,
    out: str | Path,
    only: str | Path | None = None,
    classes: Sequence[str] | None = None,
    init: str | Path | None = None,
    preset: str = "default",
    settings: Mapping[str, Any] | None = None,
    extractor: str | None = None,
    download: bool = False,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    ids: Literal["stem", "relative"] = "stem",
    workers: int | None = None,
) -> TrainReport:
    """Train a method from video-level labels, or from none, and write a run folder.

    Args:
        features: a feature store; or videos: a folder of them, whose features are extracted into `<out>/features` first.
        labels: `labels.csv`; or unlabelled: no labels are used, and what recurs is grouped into `clusters` of videos (None: the
            method estimates their number).
            Labels may be a dict, such as `{"match_01": ["goal", "foul"], "match_03": []}`; it is written to `<out>.labels.csv`.
        trimmed, trimmed_labels: a feature store of short clips that show their action throughout, and their labels.
        only: a CSV whose `video` column restricts the training videos.
        classes: those of the labels to learn; videos that hold only others are left out. None: all.
        init: an earlier run of the same method on features of the same kind, to start from its weights.
        settings: values laid over the preset, nested by section and stream, such as `{"epochs": 30, "localization": {"nms": 0.4}}`.
        extractor, download: for `videos`, see `extract`; its settings and the optical flow are in `settings["extractor"]`, such as
            `{"extractor": {"fps": 12, "flow": "tvl1"}}`.
        workers: processes of one thread each, in which streams that a method learns apart are learned side by side, and videos are
            extracted; by default one per core. The result is the same.
        device: "cpu" or "cuda". ids: how `videos` are named, see `extract`.

    Raises:
        InputError: anything the user gave is at fault; nothing is left behind but what was there (and extracted features).
    """
    out, files = Path(out), RunFiles(out)
    if isinstance(labels, Mapping):
        labels = _written(labels, out)
    settings = dict(settings or {})
    of_extractor = settings.pop("extractor", {})
    options = FitOptions(method, preset, settings, seed, device, init, workers or cores())
    supervision = Supervision(labels, unlabelled, clusters, trimmed, trimmed_labels, only, classes)
    resolve(method, preset, settings)
    check_device(device)
    if (features is None) == (videos is None):
        raise InputError("give either `features` DIR or `videos` DIR")
    if videos is None and (extractor or of_extractor or download):
        raise InputError("`extractor` and its settings go with `videos`; features are made already")
    options.check(supervision)
    if not force:
        claim(out, resume=resume)
    check_writable(files.config)
    failures: dict[str, str] = {}
    if videos is not None:
        video_files = find_videos([Path(videos)], ids)
        if not isinstance(of_extractor, Mapping):
            raise InputError(f"extractor: names a group of settings; write extractor.<setting>, not extractor={of_extractor}")
        header = header_for(extractor or "motion", *_with_flow(of_extractor), download)
        supervision.check_files(video_files, header.streams)
        claim(out, resume=resume, force=force)
        about = arguments_of(header)
        failures = extract([videos], files.features, **about, ids=ids, device=device, workers=workers, force=True).failures
        features = files.features
    assert features is not None
    fit(options, supervision, features, out, resume=resume, force=force and videos is None, left_out=failures)
    return TrainReport(out, method, failures, check_run(RunFolder(out), device))


def _with_flow(settings: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """An extractor's settings, and the optical flow that stands among them."""
    return {name: value for name, value in settings.items() if name != "flow"}, settings.get("flow", "dis")


def _written(labels: Mapping[str, Iterable[str]], out: Path) -> Path:
    """The file beside a run with the labels of a dict; another one that is there is renamed."""
    tags = {video: frozenset([own] if isinstance(own, str) else own) for video, own in labels.items()}
    file = out.with_name(f"{out.name}.labels.csv")
    if file.exists():
        try:
            if read_labels(file).tags == tags:
                return file
        except InputError:
            pass
        set_aside(file)
    write_labels(file, [(video, label) for video, own in sorted(tags.items()) for label in sorted(own) or [""]])
    return file

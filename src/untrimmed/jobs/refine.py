"""`untrimmed refine`: a student of trained runs, and of what a person has marked in their training videos."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.data.files import check_writable
from untrimmed.data.notebook import Run
from untrimmed.data.settings import merge
from untrimmed.methods.base import presets_of
from untrimmed.runs.fit import FitOptions
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.refine import STUDENT
from untrimmed.runs.refine import refine as refine_runs
from untrimmed.runs.reliability import Reliability, check_run
from untrimmed.training import claim
from untrimmed.training.device import check_device


@dataclass(frozen=True)
class RefineReport(Run):
    """The run folder of the student, and what it can be trusted with, None without labels."""

    reliability: Reliability | None = None

    def text(self) -> str:
        """How training ended, and what to do next."""
        lines = [] if self.reliability is None else [self.reliability.text()]
        return "\n".join([*lines, f"{self.run}: trained; next: untrimmed localize {self.run} VIDEOS --out new.json"])


def refine(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    out: str | Path,
    features: str | Path | None = None,
    labels: str | Path | None = None,
    annotations: str | Path | None = None,
    rounds: int | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
) -> RefineReport:
    """Train a student on what trained runs say of their own training videos; it then localizes alone.

    Args:
        runs: the teachers: one trained run, or several on the same videos, whose mean teaches.
        features, labels: those that the teachers were trained on, unless given. An unlabelled teacher's clusters are its labels.
        annotations: what a person has marked in training videos (see `data.corrections`): it counts as known.
        rounds: of self-training; None: the preset's.
        preset: of the student (`selftrain`); None: the teacher's, where the student has one of that name.
        settings: values laid over the preset.

    Raises:
        InputError: a teacher is not finished, its features or labels are not where they were, the annotations hold a video that
            was not trained on or a label that is not known, or `out` is taken.
    """
    teachers = [RunFolder(Path(run)) for run in ([runs] if isinstance(runs, str | os.PathLike) else runs)]
    if not teachers:
        raise InputError("name a trained run to refine")
    out = Path(out)
    check_device(device)
    places = [teacher.path.resolve() for teacher in teachers]
    if twice := [teacher.path for k, teacher in enumerate(teachers) if places[k] in places[:k]]:
        raise InputError(f"{twice[0]}: named twice; each teacher counts once")
    for teacher in teachers:
        if out.resolve() == teacher.path.resolve():
            raise InputError(f"{out}: is the teacher itself; give the student a folder of its own")
        teacher.method()
    if preset is None:
        preset = teachers[0].preset()
        preset = preset if preset in presets_of(STUDENT) else "default"
    settings = merge(settings or {}, {} if rounds is None else {"rounds": rounds})
    if not force:
        claim(out, resume=resume)
    check_writable(out / "config.yaml")
    options = FitOptions(STUDENT, preset, settings, seed, device)
    refine_runs(teachers, out, options, features=features, labels=labels, annotations=annotations, resume=resume, force=force)
    return RefineReport(out, check_run(RunFolder(out), device))

"""What an experiment comes to: which trainings, in which order, which candidate of a run, and what is scored."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from untrimmed.console import note, progress
from untrimmed.data.settings import merge
from untrimmed.experiments.cache import held_out_key, scoring_key, training_key
from untrimmed.experiments.held_out import held_out_fifth, read_loss
from untrimmed.experiments.spec import Data, Experiment, RunSpec
from untrimmed.experiments.task import HeldOut, Scoring, Task, Training
from untrimmed.runs.detect import overrides_of


class Place(NamedTuple):
    """Where a run is trained: on which part of which data set, with which seed."""

    run: str
    data: str
    part: int
    seed: int


class Candidate(NamedTuple):
    """A training on all videos and, where candidates are chosen by their loss, the same without the held-out fifth."""

    number: int
    task: Training
    held: Training | None


@dataclass
class Work:
    """The tasks of an experiment, done, and what failed.

    perform_all: does tasks; gives each with the reason why it failed, or None, in the order they end.
    failures: reasons by name. failed: the folders of failed tasks. chosen: by name, which candidate was chosen, and by what.
    trained: folders of trainings by place and candidate. scored: by run, data set, seed and candidate.
    """

    plan: Experiment
    out: Path
    perform_all: Callable[[Sequence[Task]], Iterable[tuple[Task, str | None]]]
    failures: dict[str, str] = field(default_factory=dict)
    failed: set[Path] = field(default_factory=set)
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)
    trained: dict[tuple[Place, int], Path] = field(default_factory=dict)
    scored: dict[tuple[str, str, int, int], Scoring] = field(default_factory=dict)

    def train(self) -> None:
        """Level by level: first what starts from nothing, then what starts from that."""
        plan = self.plan
        left = [run for run in plan.runs.values() if not run.is_swap]
        while left:
            waiting = {run.name for run in left}
            ready = [run for run in left if not {run.init, run.refine} & waiting]
            left = [run for run in left if run not in ready]
            places = [
                Place(run.name, data.name, part, seed)
                for data in plan.data.values()
                for run in ready
                if run in plan.runs_of(data.name)
                for part in range(len(data.parts))
                for seed in plan.seeds
            ]
            candidates = {place: self._candidates(place) for place in places}
            if plan.selection == "weak-loss":
                candidates = self._choose(candidates)
            for place, of_place in candidates.items():
                for candidate in of_place:
                    self.trained[place, candidate.number] = candidate.task.folder
            self._do("train", [candidate.task for of_place in candidates.values() for candidate in of_place])

    def score(self) -> None:
        """Score every run on every data set with every seed; with `oracle`, every candidate."""
        plan = self.plan
        for data in plan.data.values():
            for run in plan.runs_of(data.name):
                for seed in plan.seeds:
                    for candidate in range(len(run.candidates) if plan.selection == "oracle" and run.candidates else 1):
                        task = self._scoring(run, data, seed, candidate)
                        if task is not None:
                            self.scored[run.name, data.name, seed, candidate] = task
        self._do("score", list(self.scored.values()))

    def _do(self, what: str, tasks: Sequence[Task]) -> None:
        """Do what is not done yet, each folder once; name what fails."""
        unique = {task.folder: task for task in tasks}
        left = [task for task in unique.values() if not task.is_done()]
        if not left:
            return
        with progress(what, len(unique), len(unique) - len(left), "tasks") as advance:
            for task, fault in self.perform_all(left):
                if fault is not None:
                    self.failed.add(task.folder)
                    self.failures[task.name] = fault
                    note(f"{task.name}: failed: {fault}")
                advance(suffix=task.name)

    def _candidates(self, place: Place) -> list[Candidate]:
        """The trainings of a run at one place; one where the run has no candidates, none where what it starts from failed."""
        run, data = self.plan.runs[place.run], self.plan.data[place.data]
        part, start = data.parts[place.part], None
        if (earlier := run.init or run.refine) is not None:
            start = self._usable(place._replace(run=earlier), 0)
            if start is None:
                self.failures[self._title(place)] = f"not trained: {earlier}, from which it starts, failed"
                return []
        made = []
        for number, over in enumerate(run.candidates or ({},)):
            settings = {key: value for key, value in merge(run.settings or {}, over).items() if key != "localization"}
            task = Training(
                name=self._title(place, number if run.candidates else None),
                folder=Path(),
                part=part,
                method=run.method,
                preset=run.preset,
                settings=settings,
                seed=place.seed,
                unlabelled=run.unlabelled,
                trimmed=run.learns_from_clips(part),
                classes=run.classes,
                init=start if run.init else None,
                teacher=start if run.refine else None,
                annotated=run.annotated,
                marks=run.marks,
            )
            held = None
            if self.plan.selection == "weak-loss" and run.candidates:
                held = replace(task, name=f"{task.name}, held out", held_out=held_out_fifth(part))
            made.append(Candidate(number, self._kept(task), held and self._kept(held)))
        return made

    def _choose(self, candidates: Mapping[Place, list[Candidate]]) -> dict[Place, list[Candidate]]:
        """At each place the candidate with the lowest loss on the videos that were held out, as its only one."""
        held = [candidate.held for of_place in candidates.values() for candidate in of_place if candidate.held is not None]
        self._do("train candidates", held)
        losses = {}
        for task in held:
            if task.folder not in self.failed:
                loss = HeldOut(f"{task.name}, loss", Path(), task.part, task.folder, task.held_out)
                losses[task.folder] = replace(loss, folder=self.out / "cache" / held_out_key(loss))
        self._do("judge candidates", list(losses.values()))
        known = {run: read_loss(loss.folder) for run, loss in losses.items() if loss.folder not in self.failed}

        chosen: dict[Place, list[Candidate]] = {}
        for place, of_place in candidates.items():
            if not self.plan.runs[place.run].candidates:
                chosen[place] = of_place
                continue
            judged = [(known[c.held.folder], c.number, c.task) for c in of_place if c.held is not None and c.held.folder in known]
            if not judged:
                continue
            _, best, task = min(judged)
            chosen[place] = [Candidate(0, task, None)]
            if len(of_place) > 1:
                self.chosen[self._title(place)] = {"candidate": best + 1, "losses": [loss for loss, _, _ in judged]}
        return chosen

    def _kept(self, task: Training) -> Training:
        """The training in the folder that is its own."""
        return replace(task, folder=self.out / "cache" / training_key(task))

    def _scoring(self, run: RunSpec, data: Data, seed: int, candidate: int) -> Scoring | None:
        """What is to be scored of a run with one seed; None where one of its trainings failed."""
        plan = self.plan
        source = plan.source(run)
        parts = range(len(data.parts))
        runs = [self._usable(Place(source.name, data.name, part, seed), candidate) for part in parts]
        attention = [self._usable(Place(run.attention, data.name, part, seed), candidate) for part in parts if run.attention]
        usable = [folder for folder in (*runs, *attention) if folder is not None]
        if len(usable) < len(runs) + len(attention):
            if run.is_swap:
                self.failures[_title(run, data, seed)] = "not scored: a run that it is made of failed"
            return None
        settings: dict[str, Any] = {"localization": (source.settings or {}).get("localization", {})}
        if plan.selection == "oracle" and source.candidates:
            settings = merge(settings, {"localization": source.candidates[candidate].get("localization", {})})
        settings = merge(merge(settings, overrides_of(plan.localize)), overrides_of(run.localize or {}))
        options = {key: value for key, value in plan.evaluate.items() if source.unlabelled or not key.startswith("map_clusters")}
        task = Scoring(
            name=_title(run, data, seed, candidate=candidate if source.candidates else None),
            folder=Path(),
            parts=data.parts,
            runs=tuple(usable[: len(runs)]),
            attention=tuple(usable[len(runs) :]),
            settings=settings,
            protocols=tuple(p for p in plan.protocols if p != "clustering" or source.unlabelled),
            options=options,
            selection=plan.selection,
            keep=plan.keep,
        )
        return replace(task, folder=self.out / "cache" / scoring_key(task))

    def _usable(self, place: Place, candidate: int) -> Path | None:
        """The folder of a training that did not fail."""
        folder = self.trained.get((place, candidate))
        return None if folder in self.failed else folder

    def _title(self, place: Place, candidate: int | None = None) -> str:
        return _title(self.plan.runs[place.run], self.plan.data[place.data], place.seed, place.part, candidate)


def _title(run: RunSpec, data: Data, seed: int, part: int | None = None, candidate: int | None = None) -> str:
    """What a task is called where people read of it."""
    fold = f", fold {part}" if part is not None and len(data.parts) > 1 else ""
    which = "" if candidate is None else f", candidate {candidate + 1}"
    return f"{run.name} on {data.name}{fold}, seed {seed}{which}"

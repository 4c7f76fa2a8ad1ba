"""`untrimmed compare`: runs of one experiment file, over seeds, in one table, with what their differences are worth.

DIR/results.md, .csv, .tex   mean and standard deviation over the seeds
DIR/pairs.md, .csv           paired differences with 95 % intervals
DIR/plot.png                 every seed
DIR/chosen.json              which candidate was chosen, and by what numbers, where some were given
DIR/failures.json            what failed, where something did
DIR/cache/<key>/             a trained run, or scores; the key is a hash of all that they depend on (see `experiments.cache`)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from untrimmed.data.files import check_writable, sweep
from untrimmed.data.locks import lock
from untrimmed.engine import RETRIES, check_engine, opened
from untrimmed.experiments.compare import Comparison, compare_runs
from untrimmed.experiments.processes import perform, perform_all
from untrimmed.experiments.read import read_experiment


def compare(
    experiment: str | Path,
    *,
    out: str | Path,
    seeds: int | None = None,
    engine: str = "local",
    workers: int | None = None,
    keep: bool = False,
) -> Comparison:
    """Train, localize and score every run of an experiment file with every seed, and write tables of the results.

    What was done before in `out`, by this call or another, is not done again unless something that it depends on has changed.

    Args:
        experiment: a YAML file; docs/compare.md has its keys.
        seeds: 0 to seeds - 1, in place of the file's.
        engine: "local", or "ray": trainings and scorings are tasks on the cluster that RAY_ADDRESS names, whose machines all see
            the data and `out` under the same paths; the results are the same.
        workers: processes of one thread each, by default one; with "ray" tasks at a time, by default as many as fit.
        keep: also keep detections and activations of every run.

    Raises:
        InputError: a fault in the file or in what it names, found before anything is trained; or another process is at work in
            `out`.
    """
    plan = read_experiment(experiment)
    if seeds is not None:
        plan = replace(plan, seeds=tuple(range(seeds)))
    plan = replace(plan, keep=plan.keep or keep)
    out = Path(out)
    check_writable(out / "results.md")
    check_engine(engine)
    with _claimed(out):
        if engine == "local" and workers in (None, 1):
            return compare_runs(plan, out, lambda tasks: ((task, perform(task)) for task in tasks))
        with opened(engine, workers) as each:
            retries = RETRIES if engine == "ray" else 0
            return compare_runs(plan, out, lambda tasks: perform_all(tasks, each, retries))


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    (out / "cache").mkdir(parents=True, exist_ok=True)
    held = lock(out, "another compare is at work in it")
    try:
        sweep(out)
        yield
    finally:
        held.release()

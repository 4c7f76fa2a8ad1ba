"""DGAM on real features: `python benchmarks/splice.py SPLICE --out OUT` prints a section of RESULTS.md.

SPLICE is made by tools/make_splice.py of the data: untrimmed sequences of real UCF101 clip features, 160 to train on and 80 for
test. DGAM is trained from labels.csv alone, with and without generative modelling, and compared with a cut detector, random
segments, whole videos, and a fully supervised linear classifier. If interrupted, run the same command again to resume.
"""

from collections.abc import Mapping

import numpy as np

from baselines import (
    BESIDE,
    TIOUS,
    Data,
    Training,
    arguments,
    beside,
    called,
    command,
    cosine_distances,
    found_boundaries,
    found_by,
    interval,
    otsu,
    peaks,
    pieces_per_video,
    spread,
    table,
    train_all,
    training_cost,
    whole_costs,
    with_true_times,
)
from untrimmed.data.files import write_json
from untrimmed.data.settings import merge, parse_assignments
from untrimmed.data.store import FeatureStore

HALF = TIOUS.index(0.5)


def cuts_of(data: Data) -> tuple[dict[str, np.ndarray], float]:
    """The cuts of each test video, in seconds; and the threshold, from the training videos' features alone."""
    store = FeatureStore(data.features)

    def distances(video: str) -> np.ndarray:
        return cosine_distances(store.load(video, ["rgb"])["rgb"])

    threshold = otsu(np.concatenate([distances(video) for video in data.training_videos]))
    return {v: store.timeline(v).edges[peaks(distances(v), threshold) + 1] for v in data.test}, threshold


def main(argv: list[str] | None = None) -> None:
    asked = arguments(__doc__, "SPLICE").parse_args(argv)
    folder, out = asked.folder, asked.out
    data = Data(folder / "features", folder / "labels.csv", folder / "annotations.json")
    settings = parse_assignments(asked.set)
    seeds = range(asked.seeds)
    on, off = (
        [Training(out / f"{name}-{s}", data, asked.preset, merge(settings, {"gam": gam}), s) for s in seeds]
        for name, gam in (("on", True), ("off", False))
    )
    train_all([training for pair in zip(on, off) for training in pair], asked.workers)

    cuts, threshold = cuts_of(data)
    ap: dict[str, list[np.ndarray]] = {"on": [], "off": []}
    others: dict[str, list[np.ndarray]] = {}
    for training in on:
        results, activations = found_by(training)
        ap["on"].append(data.score(results).ap)
        for name, values in beside(data, training, results, activations, cuts).items():
            others.setdefault(name, []).append(values)
    ap["off"] = [data.score(found_by(training)[0]).ap for training in off]
    supervised = with_true_times(data, on[0].resolved.localization, out / "true-times.json")

    with_gam, without = (np.mean(ap[name], axis=1) for name in ("on", "off"))  # [S, K]
    rows: Mapping[str, np.ndarray] = {
        "DGAM": with_gam,
        "DGAM, `gam=false`": without,
        "difference, by seed": with_gam - without,
        **{f"{name}, scored by DGAM": np.array(values) for name, values in others.items()},
        "linear classifier, fully supervised": supervised.mean_ap,
    }
    write_json(
        out / "results.json",
        {
            "tiou": list(TIOUS),
            "mAP": {name: values.tolist() for name, values in rows.items()},
            "classes": list(supervised.classes),
            "per_class": {name: np.array(values).tolist() for name, values in ap.items()},
            "cpu_seconds": {name: whole_costs(runs).tolist() for name, runs in (("on", on), ("off", off))},
        },
        indent=1,
    )

    within = FeatureStore(data.features).header.stride_seconds / 2
    print(
        SECTION.format(
            command=command("splice.py", "SPLICE", asked),
            training=len(data.training_videos),
            test=supervised.videos,
            actions=supervised.instances,
            classes=len(supervised.classes),
            seeds=asked.seeds,
            table="\n".join(table(rows, signed=["difference, by seed"])),
            verdict=verdict(with_gam - without),
            on=per_seed(with_gam),
            off=per_seed(without),
            cost_on=training_cost(on),
            cost_off=training_cost(off),
            per_class="\n".join(
                f"| {label} | {spread(100 * np.array(ap['on'])[:, c, HALF])} | {spread(100 * np.array(ap['off'])[:, c, HALF])} | "
                f"{100 * supervised.ap[c, HALF]:.1f} |"
                for c, label in enumerate(supervised.classes)
            ),
            beside=BESIDE.format(cuts=CUTS.format(threshold, found_boundaries(data, cuts, within), pieces_per_video(cuts))),
        )
    )


CUTS = """A cut is a
  peak of the cosine distance of neighbouring rgb features above {:.3f}, Otsu's threshold of the training videos' distances; no
  annotation is used. {:.1%} of the ground-truth boundaries have a cut within half a snippet; {:.1f} segments per video."""
SECTION = """## Real features: splice

`{command}`

{training} training videos, with video-level labels only; {test} test videos, {actions} actions of {classes} classes.
{seeds} seed(s), last checkpoint of each run; mean ± standard deviation (n - 1) over the seeds.

{table}

Does the generative part help? {verdict}

mAP@0.5 seed by seed: with {on}; without {off}. CPU time of training (one thread): with {cost_on}; without {cost_off}.

| AP@0.5 in per cent | DGAM | `gam=false` | fully supervised |
|---|---:|---:|---:|
{per_class}

{beside}

Limits: the videos are composed, so that an action begins and ends at a cut, and a cut detector finds its boundaries without
knowing any action. Context co-occurs with an action by construction. "flow" is a difference of appearance, no optical flow. How
hard it is to find a boundary within one shot is not measured here."""


def verdict(difference: np.ndarray) -> str:
    """What the paired differences, [S, K], say of mAP@0.5 and of the average."""
    said = []
    for name, values in (("mAP@0.5", difference[:, HALF]), ("the average mAP", difference.mean(1))):
        low, high = interval(100 * values)
        if len(values) < 2:
            return "One seed cannot tell."
        outcome = "a gain" if low > 0 else "a loss" if high < 0 else "not significant"
        said.append(f"{name}: {spread(100 * values, signed=True)} points, 95 % interval {low:+.1f} to {high:+.1f}: {outcome}")
    how = f"Student's t of the {len(difference)} paired differences, {len(difference) - 1} degree(s) of freedom"
    return f"{'; '.join(said)}. ({how}.)"


def per_seed(values: np.ndarray) -> str:
    return " ".join(f"{100 * value:.1f}" for value in values[:, HALF])


if __name__ == "__main__":
    called(main)

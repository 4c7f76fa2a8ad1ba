"""`untrimmed localize`: from a trained run and videos or features, or from stored activations, to detections."""

import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from untrimmed.console import note, progress
from untrimmed.data.activations import read_activations, write_activations
from untrimmed.data.annotations import read_annotations, write_detections
from untrimmed.data.clusters import read_clusters, read_names, rounds_of
from untrimmed.data.errors import InputError
from untrimmed.data.files import check_writable, read_json, set_aside, write_json
from untrimmed.data.sampling import uniform_sampling
from untrimmed.data.settings import build, check_streams, merge
from untrimmed.data.store import FeatureStore, Header, without_places
from untrimmed.data.types import Activation, Results
from untrimmed.jobs.extract import extract, header_for
from untrimmed.jobs.init import NO_ACTION
from untrimmed.jobs.on_ray import check_engine, on_ray
from untrimmed.jobs.report import report as write_report
from untrimmed.jobs.train import check_device
from untrimmed.localization import Localization
from untrimmed.localization import localize as cut_activations
from untrimmed.methods.base import SECTIONS, Method, Preset, activations_of, load_method, settings_from
from untrimmed.training import DataSettings
from untrimmed.video.decode import find_videos
from untrimmed.video.extractors import extractor_names


@dataclass(frozen=True)
class LocalizeReport:
    """The detections by video, as written, and the videos that could not be extracted, with the reason."""

    results: Results
    failures: dict[str, str]


def localize(
    source: str | Path,
    *,
    paths: str | Path | Iterable[str | Path] | None = None,
    features: str | Path | None = None,
    out: str | Path,
    subset_from: str | Path | None = None,
    subset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    report: str | Path | None = None,
    device: str = "cpu",
    activations: bool = True,
    ids: Literal["stem", "relative"] = "stem",
    min_score: float | None = None,
    names: str | Path | None = None,
    engine: str = "local",
) -> LocalizeReport:
    """Find the actions in videos and write a detections file.

    Args:
        source: a run folder, or a folder of stored activations (then no model, no videos and no features are needed).
        paths: videos or folders of them: their features are extracted exactly as the run's were, into `<run>/features`.
        features: a feature store that was made exactly as the run's.
        subset_from, subset: localize only the videos of that subset of an annotation file (no other part of it is read).
        settings: values laid over the run's, under `localization` (a bare key means `localization.<key>`) and `data`; and under
            `extractor` where its weights lie now, if they were moved.
        report: also write the page there.
        activations: also write `<out without suffix>.activations/`.
        ids, engine: how videos given as paths are named, and where the work is done, see `extract`.
        min_score: leave out detections that score less; every video stays listed.
        names: a CSV `cluster,name`: detections of these clusters carry the names instead; those of a cluster named as in
            `jobs.init.NO_ACTION` (`none`, `background` ...) are left out. The activations keep the clusters.

    Raises:
        InputError: no finished run, features that differ from the run's, an unknown setting or subset.
    """
    source, out = Path(source), Path(out)
    named = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths or ())]
    if not source.is_dir():
        raise InputError(f"{source}: no such run or folder of activations")
    check_writable(out)
    if report is not None:
        check_writable(report)
    check_engine(engine)
    if engine == "local" or not device.startswith("cuda"):  # the cluster is asked for its GPUs by on_ray
        check_device(device)
    if min_score is not None and not math.isfinite(min_score):
        raise InputError(f"--min-score {min_score}: expected a finite number")
    called = {} if names is None else read_names(names)
    settings = dict(settings or {})
    places = settings.pop("extractor", {})
    overrides = _sections(settings)
    wanted = _wanted(subset_from, subset)
    failures: dict[str, str] = {}
    media: dict[str, Path] = {}
    if (source / "activations.json").exists():
        if features is not None or named:
            raise InputError("stored activations are cut again as they are; give no videos and no --features")
        found, about = read_activations(source)
        if "data" in overrides:
            raise InputError("--set data.…: stored activations hold the snippets that were looked at; localize the run again")
        check_streams(overrides.get("localization", {}), found[0].streams if found else (), "localization")
        found = [a for a in found if wanted is None or a.video in wanted]
        cutting = build(Localization, merge(about.get("localization", {}), overrides.get("localization", {})), "localization")
    else:
        if bool(named) == (features is not None):
            raise InputError(f"give videos or features to localize: untrimmed localize {source} --features DIR --out {out}")
        if named:
            _settings_of(source, load_method(source / "model"), overrides)  # its faults are told before the long extraction
            extracted, failures, videos = _extract_as(source, named, ids, places, device, engine)
            features, wanted = extracted, videos if wanted is None else videos & wanted
        assert features is not None
        found, cutting, about = activations_of_run(source, features, wanted, overrides, device, engine=engine)
        media |= _files_of(FeatureStore(features), found) | (find_videos(named, ids) if named else {})
    if not found:
        raise InputError("there is no video to localize")

    if strange := sorted(called.keys() - set(found[0].classes)):
        raise InputError(f"{names}: {source} has no cluster {strange[0]!r}; it has {', '.join(found[0].classes)}")
    silent = {cluster for cluster, name in called.items() if name.casefold() in NO_ACTION}
    results = {
        video: [
            d._replace(label=called.get(d.label, d.label))
            for d in own
            if d.label not in silent and (min_score is None or d.score >= min_score)
        ]
        for video, own in cut_activations(found, cutting).items()
    }
    stored = out.with_suffix(".activations")
    fresh = stored.with_name(f".{stored.name}.part")
    fields: dict[str, Any] = {k: about[k] for k in ("run", "method", "selection", "clusters") if k in about}
    shutil.rmtree(fresh, ignore_errors=True)  # of a call that was killed
    try:
        if activations and stored.resolve() != source.resolve():
            write_activations(fresh, found, about | {"localization": asdict(cutting)})
        write_detections(out, results, fields)
        if stored.exists() and stored.resolve() != source.resolve():
            _discard(stored)  # they belong to the detections that are replaced
        if fresh.exists():
            fresh.rename(stored)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    note(f"{out}: {sum(map(len, results.values()))} detections in {len(results)} videos")
    if report is not None:
        write_report(out, out=report, activations=stored if stored.exists() else None, videos=media or None)
    if failures:
        write_json(out.with_name("failures.json"), failures, indent=1)
    elif named:
        out.with_name("failures.json").unlink(missing_ok=True)  # of a call before
    return LocalizeReport(results, failures)


def _discard(activations: Path) -> None:
    """Delete activations that were written before; a folder that holds anything else is renamed instead."""
    files = {file.name for file in activations.iterdir()} if activations.is_dir() else {""}
    if "activations.json" in files and all(name == "activations.json" or name.endswith(".safetensors") for name in files):
        shutil.rmtree(activations)
    else:
        set_aside(activations)


def _extract_as(
    run: Path, paths: list[Path], ids: Literal["stem", "relative"], places: Mapping[str, Any], device: str, engine: str
) -> tuple[Path, dict[str, str], set[str]]:
    """Extract videos with exactly the extractor, settings and weights that a run was trained with, cached in the run."""
    environment = read_json(run / "environment.json")
    made = _made(environment, run)
    if made["name"] not in extractor_names():
        raise InputError(
            f"{run}: was trained on features of {made['name']!r}, which are not made here; give --features, not videos"
        )
    if not isinstance(places, Mapping) or (other := without_places(places)):
        named = "extractor" if not isinstance(places, Mapping) else f"extractor.{min(other)}"
        raise InputError(f"--set {named}: features are made as the run's were; only where the weights lie can be set")
    settings = made["settings"] | places
    flow = settings.pop("flow", "dis")
    try:
        header = header_for(made["name"], settings, flow)
    except InputError as error:
        if not made.get("weights_sha256"):
            raise
        raise InputError(
            f"{error}; {run} was trained with these weights: say where they are with --set extractor.NAME=PLACE"
        ) from error
    if header.weights_sha256 != made.get("weights_sha256"):
        raise InputError(
            f"{run}: the extractor's weights are not those that it was trained with "
            f"({made.get('weights_sha256')} then, {header.weights_sha256} now)"
        )
    _check_header(header, header.streams, made, f"{run}: videos cannot be extracted as its training videos were")
    making = {"extractor": made["name"], "settings": settings, "flow": flow}
    kept = set(environment.get("training_videos", ()))
    done = extract(paths, run / "features", **making, ids=ids, device=device, engine=engine, keep=kept)
    return run / "features", done.failures, {*done.finished, *done.skipped}


def _files_of(store: FeatureStore, found: Sequence[Activation]) -> dict[str, Path]:
    """The video files that the features came from, where the store knows them."""
    sources = {activation.video: (store.videos[activation.video].source or {}).get("path") for activation in found}
    return {video: Path(path) for video, path in sources.items() if path}


def activations_of_run(
    run: str | Path,
    features: str | Path,
    wanted: set[str] | None,
    overrides: Mapping[str, Any],
    device: str,
    instead: Method | None = None,
    engine: str = "local",
) -> tuple[list[Activation], Localization, dict[str, Any]]:
    """Run the model of a run folder (or another, in its place) over a feature store; also the run's localization settings, and
    what is known of it."""
    run, store = Path(run), FeatureStore(features)
    here = "cpu" if engine == "ray" else device
    check_device(here)
    method = load_method(run / "model").to(here)
    environment = read_json(run / "environment.json")
    _check_features(store, method.widths, environment, run)
    preset = _settings_of(run, method, overrides)
    if instead is not None:
        method = instead.to(here)
    videos = _videos(store, wanted)

    by_place: dict[int, Activation] = {}
    with progress(f"localize {len(videos)} videos", len(videos)) as advance:
        for i, activation in _each_video(method, store, preset.data, device, videos, engine):
            by_place[i] = activation
            advance()
    found = [by_place[i] for i in range(len(videos))]
    about = {"run": run.name, "method": method.name, "selection": environment["selection"]}
    if rounds := rounds_of(run):
        about["clusters"] = read_clusters(rounds[-1])
    return found, preset.localization, about


def _each_video(
    method: Method, store: FeatureStore, settings: DataSettings, device: str, videos: Sequence[str], engine: str
) -> Iterator[tuple[int, Activation]]:
    if engine == "local":
        for i, video in enumerate(videos):
            yield i, activation_of((method, store, settings, device), video)
        return
    store.path = store.path.absolute()
    share = 0.25 if device != "cpu" else 0.0
    there = device.split(":")[0]  # the GPU that Ray gives to the task is its only one
    for i, activation, died in on_ray(activation_of, (method, store, settings, there), videos, share):
        if died:
            raise InputError(f"{videos[i]}: could not be localized on the cluster: {died}")
        yield i, activation


def activation_of(shared: tuple[Method, FeatureStore, DataSettings, str], video: str) -> Activation:
    """What a method says of one video of a store, on a device: the function that every engine calls, once per video."""
    method, store, settings, device = shared
    arrays, timeline = store.load(video), store.timeline(video)
    least, most = settings.test_least, settings.test_most
    count = max(timeline.count, least) if most is None else min(max(timeline.count, least), most)
    if count != timeline.count:  # the papers' presets look at a fixed range of snippets
        index = uniform_sampling(timeline.count, count)
        arrays = {stream: array[index] for stream, array in arrays.items()}
        timeline = replace(timeline, step=timeline.step * timeline.count / count, count=count)
    streams = activations_of(method.to(device), arrays, device=device)
    return Activation(video, method.classes, timeline, streams, attention_kind=method.attention_kind)


def _settings_of(run: Path, method: Method, overrides: Mapping[str, Any]) -> Preset:
    """A run's settings with overrides laid on top."""
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{run / 'config.yaml'}: cannot be read ({' '.join(str(error).split())})") from error
    check_streams(overrides.get("localization", {}), method.widths, "localization")
    return settings_from(type(method), merge(config_sections(config), overrides))


def config_sections(config: Mapping[str, Any]) -> dict[str, Any]:
    """The three sections of a run's config.yaml."""
    return {section: config[section] for section in SECTIONS}


def _sections(settings: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        if key == "method":
            raise InputError("--set method.…: what a run was trained with cannot be changed when it localizes")
        if key in SECTIONS and not isinstance(value, Mapping):
            raise InputError(f"--set {key}={value}: names a group of settings; write {key}.<setting>=<value>")
        tree = merge(tree, {key: value} if key in SECTIONS else {"localization": {key: value}})
    return tree


def _wanted(subset_from: str | Path | None, subset: str | None) -> set[str] | None:
    if (subset_from is None) != (subset is None):
        raise InputError("--subset-from FILE and --subset NAME go together")
    return None if subset_from is None else set(read_annotations(subset_from).subset(subset))


def _videos(store: FeatureStore, wanted: set[str] | None) -> Sequence[str]:
    if wanted is None:
        return list(store.videos)
    if missing := wanted - set(store.videos):
        note(f"{len(missing)} video(s) of the subset have no features, such as {min(missing)!r}; they are left out")
    return [video for video in store.videos if video in wanted]


def _made(environment: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """How the features that a run was trained on were made, as the run recorded it."""
    made = environment.get("extractor")
    if not isinstance(made, dict) or not {"name", "settings", "window_seconds", "stride_seconds"} <= made.keys():
        raise InputError(f"{run / 'environment.json'}: does not say how the features were made (extractor); train the run again")
    return made


def _check_features(store: FeatureStore, widths: Mapping[str, int], environment: Mapping[str, Any], run: Path) -> None:
    said = f"{store.path}: the features differ from those that {run} was trained on"
    _check_header(store.header, widths, _made(environment, run), said)


def _check_header(header: Header, widths: Mapping[str, int], made: Mapping[str, Any], said: str) -> None:
    here = {"extractor": header.extractor, "window_seconds": header.window_seconds, "stride_seconds": header.stride_seconds}
    there = {"extractor": made["name"], "window_seconds": made["window_seconds"], "stride_seconds": made["stride_seconds"]}
    pairs = list(_unequal(there | {"streams": dict(widths)}, here | {"streams": header.streams}))
    if not pairs:
        hashes = {"weights_sha256": made.get("weights_sha256")}, {"weights_sha256": header.weights_sha256}
        known = all(of["weights_sha256"] for of in hashes)  # then it does not matter where the weights lay
        then, now = (without_places(of) if known else of for of in (made["settings"], header.settings))
        pairs = list(_unequal(then | hashes[0], now | hashes[1]))
    if pairs:
        raise InputError(f"{said} ({'; '.join(pairs)})")


def _unequal(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    for key in {**there, **here}:
        if there.get(key) != here.get(key):
            yield f"{key}: {there.get(key)} then, {here.get(key)} now"

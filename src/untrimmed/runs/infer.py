"""What a trained run says of videos: activations from features, or from videos that are extracted as its training videos were."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from untrimmed.console import note, progress, shortened
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore, without_places
from untrimmed.data.types import Activation
from untrimmed.engine import RETRIES, each
from untrimmed.localization import Localization
from untrimmed.methods.base import Method, activations_of
from untrimmed.runs.folder import RunFolder
from untrimmed.stages import stage
from untrimmed.training import DataSettings
from untrimmed.training.data import uniform_sampling
from untrimmed.training.device import check_device
from untrimmed.video.extraction import extract, header_for
from untrimmed.video.extractors import extractor_names


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
    folder, store = RunFolder(run), FeatureStore(features)
    here = "cpu" if engine == "ray" else device
    check_device(here)
    method = folder.method().to(here)
    folder.check_features(store, method.widths)
    preset = folder.settings(method, overrides)
    if instead is not None:
        method = instead.to(here)
    videos = _videos(store, wanted)

    by_place: dict[int, Activation] = {}
    with progress("localize", len(videos)) as advance:
        for i, activation in _each_video(method, store, preset.data, device, videos, engine):
            by_place[i] = activation
            advance()
    activations = [by_place[i] for i in range(len(videos))]
    about = {"run": folder.path.name, "method": method.name, "selection": folder.record().get("selection")}
    if clusters := folder.clusters():
        about["clusters"] = clusters
    if any(len(its) != 1 for its in folder.held().values()):
        about["held"] = folder.held()
    return activations, preset.localization, about


def _each_video(
    method: Method, store: FeatureStore, settings: DataSettings, device: str, videos: Sequence[str], engine: str
) -> Iterator[tuple[int, Activation]]:
    if engine == "local":
        for i, video in enumerate(videos):
            yield i, activation_of((method, store, settings, device), video)
        return
    store.path = store.path.absolute()
    share = 0.25 if device != "cpu" else 0.0
    task_device = device.split(":")[0]  # the GPU that Ray gives to the task is its only one
    shared = (method, store, settings, task_device)
    for i, activation, reason in each(activation_of, shared, videos, engine=engine, gpu_share=share, retries=RETRIES):
        if activation is None:
            raise InputError(f"{videos[i]}: could not be localized: the process at it {reason}")
        yield i, activation


@stage("network")
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


def _videos(store: FeatureStore, wanted: set[str] | None) -> Sequence[str]:
    if wanted is None:
        return list(store.videos)
    if missing := wanted - set(store.videos):
        note(f"{len(missing)} video(s) of the subset have no features, such as {min(missing)!r}; they are left out")
    return [video for video in store.videos if video in wanted]


def extract_as(
    run: Path, paths: list[Path], ids: Literal["stem", "relative"], places: Mapping[str, Any], device: str, engine: str
) -> tuple[Path, dict[str, str], set[str]]:
    """Extract videos with exactly the extractor, settings and weights that a run was trained with, cached in the run."""
    folder = RunFolder(run)
    made = folder.extractor()
    if made["name"] not in extractor_names():
        raise InputError(
            f"{run}: was trained on features of {made['name']!r}, which are not made here; give `features`, not videos"
        )
    if not isinstance(places, Mapping) or (other := without_places(places)):
        named = "extractor" if not isinstance(places, Mapping) else f"extractor.{min(other)}"
        raise InputError(f"`settings` {named}: features are made as the run's were; only where the weights lie can be set")
    settings = made["settings"] | places
    flow = settings.pop("flow", "dis")
    try:
        header = header_for(made["name"], settings, flow)
    except InputError as error:
        if not made.get("weights_sha256"):
            raise
        raise InputError(
            f"{error}; {run} was trained with these weights: say where they are with `settings` extractor.NAME=PLACE"
        ) from error
    if header.weights_sha256 != made.get("weights_sha256"):
        raise InputError(
            f"{run}: the extractor's weights are not those that it was trained with "
            f"({shortened(made.get('weights_sha256'), 60)} then, {shortened(header.weights_sha256, 60)} now)"
        )
    folder.check_header(header, header.streams, f"{run}: videos cannot be extracted as its training videos were")
    making = {"extractor": made["name"], "settings": settings, "flow": flow}
    kept = set(folder.record().get("training_videos", ()))
    done = extract(paths, folder.features, **making, ids=ids, device=device, engine=engine, keep=kept)
    return folder.features, done.failures, {*done.finished, *done.skipped}


def files_of(store: FeatureStore, activations: Sequence[Activation]) -> dict[str, Path]:
    """The video files that the features came from, where the store knows them."""
    sources = {activation.video: (store.videos[activation.video].source or {}).get("path") for activation in activations}
    return {video: Path(path) for video, path in sources.items() if path}

"""What is reviewed of a run: its training videos, as it and its students localize them."""

from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.data.outputs import activations_beside
from untrimmed.data.run_files import RunFiles
from untrimmed.data.store import FeatureStore
from untrimmed.localization import localize
from untrimmed.reviewing.source import Source
from untrimmed.runs.detect import write_result
from untrimmed.runs.folder import RunFolder
from untrimmed.runs.infer import activations_of_run
from untrimmed.runs.refine import features_of


def source_of_run(path: Path) -> Source:
    """Its training videos, localized by it and by the students taught after it.

    Raises:
        InputError: the run is not finished, or its features are not where they were.
    """
    folder = RunFolder(path)
    classes = folder.method().classes
    store = FeatureStore(features_of(folder, None))
    sources = {
        video: Path(there)
        for video in folder.record()["training_videos"]
        if video in store.videos and (there := (store.videos[video].source or {}).get("path"))
    }
    students = sorted(run for run in (path / "taught").glob("[0-9]*") if RunFiles(run).is_finished)
    files = tuple(localize_training_videos(run) for run in (path, *students))
    return Source(files, folder.annotations, folder.corrected_clusters, path / "review", classes, sources, path, store)


def localize_training_videos(run: Path) -> Path:
    """Localize a run's own training videos into `RUN/review/detections.json`, unless that is done, and return the file."""
    folder = RunFolder(run)
    out, made = run / "review" / "detections.json", folder.model / "model.json"
    if out.exists() and activations_beside(out).exists() and out.stat().st_mtime_ns >= made.stat().st_mtime_ns:
        return out
    wanted = set(folder.record()["training_videos"])
    found, cutting, about = activations_of_run(run, features_of(folder, None), wanted, {}, "cpu")
    if not found:
        raise InputError(f"{run}: its features hold none of its training videos")
    name = f"{run.parent.parent.name}, taught {run.name}" if run.parent.name == "taught" else run.name
    write_result(out, localize(found, cutting), {**about, "run": name}, (found, cutting), run)
    return out

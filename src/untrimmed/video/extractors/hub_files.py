"""Where the models of `hub` lie: in a folder, or in the cache of the library `huggingface_hub`. Nothing is fetched unasked."""

import os
from pathlib import Path
from typing import Any

from untrimmed.data.errors import InputError
from untrimmed.video.extractors import hub_preparation
from untrimmed.video.extractors.networks import first_line

FILES = ["config.json", *hub_preparation.FILES, "model.safetensors", "model.safetensors.index.json", "model-*.safetensors"]
OLD_FILES = ["pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin"]


def is_folder(model: str) -> bool:
    """Whether a model is named by its folder, which is written with its dots or slash."""
    return model.startswith((".", "/", "~"))


def folder_of(model: str, revision: str = "") -> tuple[Path, str, str]:
    """The folder that holds a model, how it is recorded (its id, or the folder's full path), and its commit on the hub.

    Args:
        revision: the commit, branch or tag; empty: the branch `main`, as it was when it was downloaded.

    Raises:
        InputError: there is no such folder, or no such model among those that were downloaded.
    """
    if is_folder(model):
        folder = Path(os.path.abspath(Path(model).expanduser()))
        if not (folder / "config.json").is_file():
            raise InputError(f"{folder}: no folder of a model (there is no config.json in it)")
        weights_in(folder)
        return folder, str(folder), ""
    import huggingface_hub

    try:
        folder = Path(huggingface_hub.snapshot_download(model, revision=revision or None, local_files_only=True))
    except Exception as error:
        at = f" in the revision {revision[:12]}" if revision else ""
        raise InputError(
            f"{model}: not among the models that were downloaded to this machine{at}; fetch it with `download`, "
            "or name a folder with its dots or slash, hub:./folder"
        ) from error
    weights_in(folder)
    return folder, model, folder.name if folder.parent.name == "snapshots" else revision


def download(model: str, revision: str = "") -> Path | None:
    """Fetch a model's settings and weights from the hub; safetensors where there are such. Does nothing for a folder.

    Returns:
        Where they lie now, or None if they were here before.

    Raises:
        InputError: the hub cannot be reached, or has no such model.
    """
    transformers()
    if is_folder(model):
        return None
    import huggingface_hub

    here = _cached(model, revision)
    try:
        folder = Path(huggingface_hub.snapshot_download(model, revision=revision or None, allow_patterns=FILES))
        if not any(folder.glob("*.safetensors")):
            huggingface_hub.snapshot_download(model, revision=revision or None, allow_patterns=[*FILES, *OLD_FILES])
    except Exception as error:
        raise InputError(f"{model}: cannot be fetched from the hub ({first_line(error)})") from error
    return None if folder == here else folder


def _cached(model: str, revision: str) -> Path | None:
    try:
        return folder_of(model, revision)[0]
    except InputError:
        return None


def weights_in(folder: Path) -> list[Path]:
    """The files of weights that are read: one, or all the parts of a large model.

    Raises:
        InputError: there are none.
    """
    for pattern in ("model.safetensors", "model-*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin"):
        if files := sorted(folder.glob(pattern)):
            return files
    raise InputError(f"{folder}: there are no weights in this folder (model.safetensors)")


def transformers() -> Any:
    """The library.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError("this extractor needs the library transformers: pip install 'untrimmed[hub]'") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers

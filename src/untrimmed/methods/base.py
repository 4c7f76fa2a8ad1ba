"""What every method is, how it is set, kept, and asked about videos of any length; `registry` knows where each is."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from untrimmed.console import shortened
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, check_shape, read_json, write_json
from untrimmed.data.settings import build, check_streams, merge, renamed, unknown
from untrimmed.data.store import release_pages
from untrimmed.data.types import StreamActivation
from untrimmed.localization.settings import Localization
from untrimmed.methods.registry import METHODS, load_class, presets_of, source_of
from untrimmed.training import DataSettings, Run, TrainingSet

SECTIONS = ("method", "localization", "data")
"""The groups of settings, in presets, in a run's config.yaml and in `--set`."""
JOINT = "joint"
"""The stream of activations of a method that puts its streams side by side."""


@dataclass
class SnippetScores:
    """Scores of each snippet from its receptive field of `reach` snippets: attention_logit [T], class_logit [T, C(+1)]."""

    attention_logit: Tensor | None
    class_logit: Tensor


class Method(nn.Module, ABC):
    """A method learns from a training set and then gives curves for any video.

    The modules that have a row per class, and then perhaps one for background, are called `classifier`: see `carry_over`.

    Args:
        config: its settings.
        classes: the labels, [C].
        streams: width D of each stream's features.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Config: ClassVar[type]
    learns_from: ClassVar[frozenset[str]]
    reach: ClassVar[int | None]
    attention_kind: ClassVar[Literal["gate", "distribution"]] = "gate"

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__()
        self.config, self.classes, self.widths = config, tuple(classes), dict(streams)

    @classmethod
    def estimate_clusters(cls, data: TrainingSet, config: Any, seed: int) -> int:
        """How many clusters to look for in videos without labels, where the user does not say."""
        raise InputError(f"{cls.name} cannot tell how many actions to look for; give `clusters`")

    @abstractmethod
    def fit(self, data: TrainingSet, run: Run) -> None:
        """Learn; owns all its stages."""

    @abstractmethod
    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """Per stream, what each snippet says: features {stream: [T, D]}. Local in time."""

    @abstractmethod
    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """What needs the whole video: softmax over time, top-k, video scores.

        The features {stream: [T, D]} are those of `curves`; or, of a long video and where `reach` is finite, arrays as the store
        holds them, to be looked at in windows: see `weighted_sum`.
        """


@dataclass(frozen=True)
class Preset:
    """A method's resolved settings."""

    method: Any
    localization: Localization
    data: DataSettings

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as config.yaml keeps them."""
        return json.loads(
            json.dumps({"method": asdict(self.method), "localization": asdict(self.localization), "data": asdict(self.data)})
        )


def method_class(name: str) -> type[Method]:
    """The class of a method: one of ours, or of an installed package.

    Raises:
        InputError: there is no such method (the nearest is named), or what a package names so is none.
    """
    cls = load_class(name)
    if name not in METHODS and (fault := _not_a_method(cls, name)):
        raise InputError(f"method {source_of(name)}: {fault}")
    return cls


def _not_a_method(cls: Any, name: str) -> str | None:
    """What is wrong with a class that another package offers as a method, or None."""
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        return f"{cls!r} is no subclass of untrimmed.methods.base.Method"
    said = {part: getattr(cls, part, None) for part in ("name", "title", "Config", "learns_from")}
    missing = [part for part, value in said.items() if value is None] + ["reach"] * (not hasattr(cls, "reach"))
    if missing := missing + sorted(cls.__abstractmethods__):
        return f"its class {cls.__name__} lacks {', '.join(missing)}"
    if cls.name != name:
        return f"its class calls itself {cls.name!r}; give the entry point the same name"
    if not is_dataclass(cls.Config) or any("meaning" not in field.metadata for field in fields(cls.Config)):
        return "its Config is not a dataclass whose every field is a setting(...)"
    return None


def resolve(
    name: str, preset: str = "default", overrides: Mapping[str, Any] | None = None, streams: Iterable[str] | None = None
) -> Preset:
    """A method's settings: its preset with overrides laid on top; a bare key means `method.<key>`.

    Args:
        streams: those of the features, where they are known: what the preset says of others is left out.

    Raises:
        InputError: unknown method, preset or setting; a value of the wrong type or out of range; an override for a stream that
            the features do not have.
    """
    cls, presets = method_class(name), presets_of(name)
    if preset not in presets:
        raise unknown(preset, presets, f"{name}: preset")
    tree: dict[str, Any] = {}
    method_settings = {field.name for field in fields(cls.Config)}
    for key, value in (overrides or {}).items():
        for part, settings in (("localization", Localization), ("data", DataSettings)):
            if (
                key not in method_settings
                and key not in SECTIONS
                and key in {field.name for field in fields(settings)} - {"streams"}
            ):
                raise InputError(f"method: unknown name {key!r}; did you mean {part}.{key}?")
        section = {key: value} if key in SECTIONS else {"method": {key: value}}
        tree = merge(tree, section)
    for key, value in tree.items():
        if not isinstance(value, Mapping):
            raise InputError(f"{key}: names a group of settings; write {key}.<setting>, not {key}={value}")
    if "method" in tree:
        tree["method"] = renamed(cls.Config, tree["method"])
    base = presets[preset]
    if streams is not None:
        names = set(streams)
        for part in ("method", "localization"):
            check_streams(tree.get(part, {}), names, part)
        base = {
            part: {key: value for key, value in values.items() if key in names or not isinstance(value, Mapping)}
            for part, values in base.items()
        }
    return settings_from(cls, merge(base, tree))


def settings_from(cls: type[Method], values: Mapping[str, Any]) -> Preset:
    """Resolved settings from the three sections of a preset or of a run's config.yaml."""
    return Preset(
        build(cls.Config, values.get("method", {}), "method"),
        build(Localization, values.get("localization", {}), "localization"),
        build(DataSettings, values.get("data", {}), "data"),
    )


def save_method(method: Method, folder: Path) -> None:
    """Write `weights.safetensors` and `model.json`, the latter last: its presence means "trained"."""
    with atomic_write(folder / "weights.safetensors", "wb") as stream:
        stream.write(save({key: value.detach().cpu().contiguous() for key, value in method.state_dict().items()}))
    head = {"format": "untrimmed-model/1", "method": method.name, "classes": list(method.classes), "streams": method.widths}
    write_json(folder / "model.json", head | {"config": asdict(method.config)}, indent=1)


def load_method(folder: Path) -> Method:
    """Read a trained method, on the CPU and in evaluation mode.

    Raises:
        InputError: the folder holds no trained model, or a damaged one.
    """
    if not (folder / "model.json").is_file():
        run = folder.parent
        if not run.is_dir():
            what = "a file, no run" if run.exists() else "no such run"
            raise InputError(f"{run}: {what}; name the folder that `untrimmed train` wrote")
        if (run / "features.json").is_file():
            raise InputError(f"{run}: a feature store, no run; name the folder that `untrimmed train` wrote")
        raise InputError(f"{run}: holds no finished model; train it, or continue with `resume`")
    head = read_json(folder / "model.json")
    check_shape(head, {"method": str, "classes": [str], "streams": {str: int}, "config": dict}, str(folder / "model.json"))
    try:
        cls = method_class(head["method"])
        method = cls(build(cls.Config, head["config"], "model.json"), tuple(head["classes"]), head["streams"])
        method.load_state_dict(load_file(folder / "weights.safetensors"))
        if strange := [name for name, value in method.state_dict().items() if not torch.isfinite(value).all()]:
            raise ValueError(f"{strange[0]} has a value that is not finite")
    except InputError:
        raise
    except Exception as error:  # safetensors and torch raise many kinds for a damaged file
        raise InputError(f"{folder}: the model cannot be read ({shortened(str(error).splitlines()[0])})") from error
    return method.eval()


@torch.no_grad()
def carry_over(method: Method, earlier: Method) -> list[str]:
    """Give a method the weights of one that was trained before, on the same classes or others, to start from.

    Of a classifier the rows of the classes that both know are taken, and the background's; of the rest whatever has the same shape.

    Returns:
        The weights that keep their own start, by name, because the earlier ones have another shape.

    Raises:
        InputError: it is another method, or its streams or their widths are others.
    """
    if earlier.name != method.name:
        raise InputError(f"`init`: its model is of {earlier.name}, not of {method.name}")
    if earlier.widths != method.widths:
        raise InputError(f"`init`: its model was trained on the streams {earlier.widths}; these features have {method.widths}")
    old_weights, left = earlier.state_dict(), []
    for name, weight in method.state_dict().items():
        old = old_weights.get(name)
        if "classifier" in name.split(".") and old is not None and old.shape[1:] == weight.shape[1:]:
            for row, label in enumerate(method.classes):
                if label in earlier.classes:
                    weight[row] = old[earlier.classes.index(label)]
            if len(weight) > len(method.classes) and len(old) > len(earlier.classes):
                weight[-1] = old[-1]
        elif old is not None and old.shape == weight.shape:
            weight.copy_(old)
        else:
            left.append(name)
    return left


WINDOW = 4096
"""Snippets whose curves are computed together, where a method's reach allows it: three quarters of an hour at 0.64 s."""


@torch.no_grad()
def activations_of(
    method: Method, features: Mapping[str, Tensor | np.ndarray], window: int = WINDOW, device: str = "cpu"
) -> dict[str, StreamActivation]:
    """Curves and pooling of one video: features {stream: [T, D]}, float32 tensors, or float16 or float32 arrays as stored.

    Where the method has a finite reach, the curves of a video longer than `window` snippets are computed in windows that overlap
    by it, and joined: neither what a network holds on the way nor what is held of memory-mapped features grows with the video,
    and the result is the same as in one piece.
    """
    count = len(next(iter(features.values())))
    if method.reach is None or count <= window:
        whole = {stream: _on_device(x, device) for stream, x in features.items()}
        return method.pool(whole, method.curves(whole))
    side = method.reach // 2
    parts: dict[str, list[SnippetScores]] = {}
    for first in range(0, count, window):
        begin, last = max(0, first - side), min(first + window, count)
        rows = slice(begin, last + side)
        for stream, curves in method.curves({stream: _on_device(x[rows], device) for stream, x in features.items()}).items():
            inside = slice(first - begin, last - begin)
            attention = None if curves.attention_logit is None else curves.attention_logit[inside].clone()
            parts.setdefault(stream, []).append(SnippetScores(attention, curves.class_logit[inside].clone()))
    return method.pool(features, {stream: _joined(curves) for stream, curves in parts.items()})


def in_windows(x: Tensor | np.ndarray, device: str | torch.device, window: int = WINDOW) -> Iterator[Tensor]:
    """The rows of x [T, D] as float32, a window after the other: of an array, no more is held at a time."""
    for first in range(0, len(x), window):
        yield _on_device(x[first : first + window], device)


def weighted_sum(weights: Tensor, x: Tensor | np.ndarray, window: int = WINDOW) -> Tensor:
    """weights [T] times x [T, D]: [D]. Of an array, no more than a window is held as float32 at a time."""
    parts = [share @ rows for share, rows in zip(weights.split(window), in_windows(x, weights.device, window))]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


def _on_device(x: Tensor | np.ndarray, device: str | torch.device) -> Tensor:
    """Rows of features as float32; of a memory map no more stays in memory."""
    if isinstance(x, np.ndarray):
        rows = torch.from_numpy(x.astype(np.float32))
        release_pages(x)
        return rows.to(device)
    return x.to(device)


def _joined(parts: list[SnippetScores]) -> SnippetScores:
    attention = [part.attention_logit for part in parts if part.attention_logit is not None]
    return SnippetScores(torch.cat(attention) if attention else None, torch.cat([part.class_logit for part in parts]))

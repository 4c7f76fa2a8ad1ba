"""`hub`: any image or video backbone of the library `transformers`, by its id on the hub or from a local folder.

rgb:  the backbone's summary of a frame or clip: the class token, the pooled map, or the mean over tokens; see `_summary`.
flow: (only with `flow_stack`) optical flow seen by a copy of an image backbone. `flow_stack` successive flow fields, x and y,
      are its input channels; the first convolution's weights are averaged over the colours and repeated for each channel, as in
      Temporal Segment Networks (Wang et al., ECCV 2016). With ResNet-101 and 5, ten channels: TSRNet's second stream.

`--extractor hub:facebook/dino-vits16` is short for `--extractor hub --set model=facebook/dino-vits16`; a folder is written with its
dots or slash, `hub:./folder`. Nothing is fetched without `--download`, and code that comes with a model is never run. Frames are
prepared as the model's preprocessor file says, resized by the decoder (bilinear).
"""

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from untrimmed.data.errors import InputError
from untrimmed.data.files import read_json
from untrimmed.data.settings import setting
from untrimmed.video.extractors.networks import eight_bit_flow, first_line, in_precision, precision_setting, sha256_of, to_device

CLASS_TOKEN = {"vit", "deit", "dinov2", "dinov2_with_registers", "dinov3_vit", "beit", "data2vec-vision", "timesformer", "vivit"}
"""Kinds of models whose first token represents the whole frame."""
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
PREPROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")
FILES = ["config.json", *PREPROCESSORS, "model.safetensors", "model.safetensors.index.json", "model-*.safetensors"]
OLD_FILES = ["pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin"]


@dataclass(frozen=True)
class Config:
    """Settings of `hub`."""

    model: str = setting("", "the model's id on the hub, or a local folder (with its dots or slash)")
    fps: float = setting(25.0, "frames per second that a video is resampled to", low=0.1, high=240)
    frames: int = setting(16, "frames in a snippet", low=2, high=1024)
    stride: int = setting(16, "frames from the start of one snippet to that of the next", low=1, high=1024)
    looks: int = setting(
        4, "frames (or flow stacks) of a snippet that an image model encodes; their mean is kept", low=1, high=1024
    )
    flow_stack: int = setting(
        0, "flow fields in the flow stream's input; 0: no flow stream; 5: two-stream networks", low=0, high=32
    )
    precision: str = precision_setting()


@dataclass(frozen=True)
class Preparation:
    """How frames become a network's input: resize (the shorter side, or height and width), crop the middle, normalize."""

    resize: int | tuple[int, int]
    crop: tuple[int, int]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def frame_size(self, width: int, height: int) -> tuple[int, int]:
        if isinstance(self.resize, tuple):
            return self.resize[1], self.resize[0]
        scale = self.resize / min(width, height)
        return max(self.crop[1], round(width * scale)), max(self.crop[0], round(height * scale))

    def middle(self, x: Tensor) -> Tensor:
        """The middle of `[..., H, W, C]`."""
        top, left = (x.shape[-3] - self.crop[0]) // 2, (x.shape[-2] - self.crop[1]) // 2
        return x[..., top : top + self.crop[0], left : left + self.crop[1], :]


class Extractor:
    """Features of a backbone of `transformers`; see the module's text.

    Raises:
        InputError: `transformers` is not installed, there is no such model here, or it is of a kind that cannot be used.
    """

    name = "hub"
    Config = Config
    device = "cpu"

    def __init__(self, config: Any) -> None:
        if not config.model:
            raise InputError("hub needs a model: `extractor` hub:ID, or hub:./folder")
        transformers = _transformers()
        self.folder, model = folder_of(config.model)
        self.config = replace(config, model=model)
        try:
            self._about = transformers.AutoConfig.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # transformers raises many kinds for what it does not know or trust
            raise InputError(f"{config.model}: not a model that transformers knows by itself ({first_line(error)})") from error
        vision = getattr(self._about, "vision_config", None) or self._about
        widths = getattr(vision, "hidden_sizes", None) or [getattr(vision, "hidden_size", None)]
        self._clip = getattr(vision, "num_frames", None) or getattr(vision, "frames_per_clip", None)
        if not isinstance(widths[-1], int) or (self._clip is None and not hasattr(vision, "num_channels")):
            raise InputError(f"{config.model}: a model of kind {self._about.model_type!r} is no image or video backbone")
        if config.flow_stack and self._clip:
            raise InputError(f"flow_stack: {config.model} takes clips; flow stacks are for image models")
        if config.flow_stack > config.frames:
            raise InputError(f"flow_stack: {config.flow_stack} flow fields do not fit into {config.frames} frames")
        self.streams = {"rgb": widths[-1]} | ({"flow": widths[-1]} if config.flow_stack else {})
        self.needs_flow = config.flow_stack > 0
        try:
            self._preparation = _preparation(self.folder, vision)
        except InputError:
            raise
        except Exception as error:  # any value may be of any kind
            raise InputError(f"{self.folder}: its preprocessor_config.json is not understood ({first_line(error)})") from error
        self._networks: dict[str, nn.Module] = {}

    @property
    def weights_sha256(self) -> str:
        """Of the weights' files, in the order of their names."""
        return sha256_of(*_weights(self.folder))

    @property
    def batch(self) -> int:
        """Snippets per call."""
        return 4 if self.device == "cpu" else 16

    def frame_size(self, width: int, height: int) -> tuple[int, int]:
        return self._preparation.frame_size(width, height)

    def load(self) -> None:
        """Read the weights.

        Raises:
            InputError: they are damaged, or lack a part of the backbone.
        """
        if self._networks:
            return
        transformers, where = _transformers(), self.config.model
        safe = _weights(self.folder)[0].suffix == ".safetensors"
        try:
            network, info = transformers.AutoModel.from_pretrained(
                self.folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=safe,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are named below
                dtype=torch.float32,
            )
        except Exception as error:
            raise InputError(f"{where}: the model cannot be read ({first_line(error)})") from error
        seen = getattr(network, "vision_model", network)  # of models of images and text, the vision half
        if seen.main_input_name not in ("pixel_values", "pixel_values_videos"):
            raise InputError(f"{where}: a model of kind {self._about.model_type!r} is no image or video backbone")
        unused = () if self._has_own_pooling(seen) else ("pooler",)
        names = {name for name, _ in seen.named_parameters()} | {name for name, _ in seen.named_buffers()}
        prefix = "" if seen is network else "vision_model."
        missing = [n.removeprefix(prefix) for n in info["missing_keys"]]
        if wrong := sorted(info["mismatched_keys"]):
            name, shape, expected = wrong[0]
            raise InputError(f"{where}: the weights are another model's: {name} has the shape {list(shape)}, not {list(expected)}")
        if lost := sorted(n for n in missing if n in names and not n.startswith(unused)):
            more = f"; they hold {min(info['unexpected_keys'])}, which is none of its" if info["unexpected_keys"] else ""
            raise InputError(f"{where}: the weights lack {len(lost)} part(s) of the backbone, such as {lost[0]}{more}")
        seen.eval().requires_grad_(False)
        if self.config.flow_stack:
            self._networks["flow"] = _for_flow(seen, self.config.flow_stack).to(self.device)
        self._networks["rgb"] = seen.to(self.device)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray, flow: np.ndarray | None) -> dict[str, np.ndarray]:
        """Features of B snippets.

        Args:
            frames: uint8 `[B, F, H, W, 3]`, RGB.
            flow: float32 `[B, F, H, W, 2]`, displacement in pixels from the previous frame to each frame.

        Returns:
            `{"rgb": float32 [B, D]}`, and `flow` likewise where there is such a stream.
        """
        self.load()
        how, count, length = self._preparation, len(frames), frames.shape[1]
        chosen = frames[:, _spread(length, self._frames_used(length))]
        x = how.middle(to_device(chosen, self.device)).float() * how.scale
        x = (x - torch.tensor(how.mean, device=x.device)) / torch.tensor(how.std, device=x.device)
        features = {"rgb": self._summary("rgb", x.movedim(-1, 2), count)}
        if self.config.flow_stack:
            if flow is None:
                raise ValueError("the flow stream needs optical flow")
            stack = self.config.flow_stack
            starts = np.unique(np.linspace(0, length - stack, self.config.looks).round().astype(int))
            stacks = to_device(flow[:, starts[:, None] + np.arange(stack)], self.device)
            x = eight_bit_flow(how.middle(stacks)) / 2 / float(np.mean(how.std))  # [B, looks, stack, H, W, 2]
            x = x.permute(0, 1, 2, 5, 3, 4).flatten(2, 3)
            features["flow"] = self._summary("flow", x, count)
        return {stream: features[stream] for stream in self.streams}

    def _frames_used(self, length: int) -> int:
        """How many of a snippet's frames the model takes."""
        if self._clip is None:
            return min(self.config.looks, length)
        # V-JEPA 2 takes clips of any even length; others exactly what they were trained on, repeated or thinned out.
        return length - length % 2 if self._about.model_type == "vjepa2" else int(self._clip)

    def _summary(self, stream: str, x: Tensor, count: int) -> np.ndarray:
        """The network's output for `[B, frames, C, H, W]`: `[B, D]`.

        Convolutional networks: the mean over places. CLIP and its like: the pooled output. Transformers with a class token: that
        token. All others (V-JEPA 2, VideoMAE): the mean over tokens.
        """
        network: Any = self._networks[stream]
        if self._clip is None:
            x = x.flatten(0, 1)
        more = {"skip_predictor": True} if self._about.model_type == "vjepa2" else {}
        with in_precision(self.config.precision, self.device):
            out = network(**{network.main_input_name: x}, **more)
        last = out.last_hidden_state
        if last.ndim == 4:
            summary = last.mean((2, 3))
        elif self._has_own_pooling(network):
            summary = out.pooler_output
        else:
            summary = last[:, 0] if self._about.model_type in CLASS_TOKEN else last.mean(1)
        summary = summary.float().reshape(count, -1, summary.shape[-1]).mean(1)
        return summary.cpu().numpy()

    def _has_own_pooling(self, network: nn.Module) -> bool:
        """Whether the network was trained with its pooled output: CLIP's kin, where it is the half of a larger model."""
        return getattr(self._about, "vision_config", None) is not None or self._about.model_type.endswith("_vision_model")


def folder_of(model: str) -> tuple[Path, str]:
    """The folder that holds a model, and how it is recorded: its id, or the folder's full path.

    Raises:
        InputError: there is no such folder, or no such model among those that were downloaded.
    """
    if model.startswith((".", "/", "~")):
        folder = Path(os.path.abspath(Path(model).expanduser()))
        if not (folder / "config.json").is_file():
            raise InputError(f"{folder}: no folder of a model (there is no config.json in it)")
        _weights(folder)
        return folder, str(folder)
    import huggingface_hub

    try:
        folder = Path(huggingface_hub.snapshot_download(model, local_files_only=True))
    except Exception as error:
        raise InputError(
            f"{model}: not among the models that were downloaded to this machine; fetch it with `download`, "
            "or name a folder with its dots or slash, hub:./folder"
        ) from error
    _weights(folder)
    return folder, model


def download(model: str) -> None:
    """Fetch a model's settings and weights from the hub; safetensors where there are such. Does nothing for a folder.

    Raises:
        InputError: the hub cannot be reached, or has no such model.
    """
    _transformers()
    if model.startswith((".", "/", "~")):
        return
    import huggingface_hub

    try:
        folder = Path(huggingface_hub.snapshot_download(model, allow_patterns=FILES))
        if not any(folder.glob("*.safetensors")):
            huggingface_hub.snapshot_download(model, allow_patterns=[*FILES, *OLD_FILES])
    except Exception as error:
        raise InputError(f"{model}: cannot be fetched from the hub ({first_line(error)})") from error


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise InputError("this extractor needs the library transformers: pip install 'untrimmed[hub]'") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def _weights(folder: Path) -> list[Path]:
    """The files of weights that are read: one, or all the parts of a large model."""
    for pattern in ("model.safetensors", "model-*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin"):
        if files := sorted(folder.glob(pattern)):
            return files
    raise InputError(f"{folder}: there are no weights in this folder (model.safetensors)")


def _preparation(folder: Path, vision: Any) -> Preparation:
    """As the preprocessor's file says, whichever of its spellings it uses; without one, as is usual for ImageNet."""
    said: Mapping[str, Any] = {}
    for name in PREPROCESSORS:
        if (folder / name).is_file():
            content = read_json(folder / name)
            said = content.get("video_processor") or content.get("image_processor") or content
            break
    size = said.get("size") or getattr(vision, "image_size", None) or getattr(vision, "crop_size", None) or 224
    crops = said.get("do_center_crop", bool(said.get("crop_size")) or not said)
    crop = _pair(said.get("crop_size") or size)
    resize: int | tuple[int, int]
    if isinstance(size, Mapping) and "shortest_edge" in size:
        resize = int(size["shortest_edge"])
        if "crop_size" not in said and (share := said.get("crop_pct")):  # ConvNeXt's and ResNet's way of saying a crop
            resize = int(resize / share) if resize < 384 else _pair(size)
    else:
        resize = min(_pair(size)) if crops and not isinstance(size, Mapping) else _pair(size)
    if isinstance(resize, tuple) and not crops:
        crop = resize
    normalizes = said.get("do_normalize", True)
    return Preparation(
        resize,
        crop,
        float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 1.0,
        tuple(said.get("image_mean") or IMAGENET["image_mean"]) if normalizes else (0.0,) * 3,
        tuple(said.get("image_std") or IMAGENET["image_std"]) if normalizes else (1.0,) * 3,
    )


def _pair(size: Any) -> tuple[int, int]:
    """Height and width."""
    if isinstance(size, Mapping):
        return (int(size["height"]), int(size["width"])) if "height" in size else (int(size["shortest_edge"]),) * 2
    if isinstance(size, list | tuple):
        return int(size[0]), int(size[1])
    return int(size), int(size)


def _spread(length: int, count: int) -> np.ndarray:
    """Which of `length` frames to take so that `count` are spread evenly; more than there are repeats some."""
    return (2 * np.arange(count) + 1) * length // (2 * count)


def _for_flow(network: nn.Module, stack: int) -> nn.Module:
    """A copy whose first convolution takes 2 * stack flow channels: its weights' mean over the colours, for each of them."""
    network = copy.deepcopy(network)
    for first in network.modules():
        if isinstance(first, nn.Conv2d) and first.in_channels == 3:
            weight = first.weight.detach().mean(1, keepdim=True).repeat(1, 2 * stack, 1, 1)
            first.in_channels, first.weight = 2 * stack, nn.Parameter(weight, requires_grad=False)
            for module in network.modules():  # where transformers checks its input
                if getattr(module, "num_channels", None) == 3:
                    module.num_channels = 2 * stack  # type: ignore[assignment]
            return network
    raise InputError("flow_stack: this model's first layer is no convolution over three colours")

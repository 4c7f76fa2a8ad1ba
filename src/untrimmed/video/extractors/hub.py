"""`hub`: image and video backbones of the library `transformers`, by their id on the hub or from a local folder.

rgb:  the backbone's summary of a frame or clip, by the kind of model; see hub_kinds.py.
flow: (only with `flow_stack`) optical flow seen by a copy of an image backbone. `flow_stack` successive flow fields, x and y,
      are its input channels; the first convolution's weights are averaged over the colours and repeated for each channel, as in
      Temporal Segment Networks (Wang et al., ECCV 2016). With ResNet-101 and 5, ten channels: TSRNet's second stream.

`--extractor hub:facebook/dino-vits16` is short for `--extractor hub --set model=facebook/dino-vits16`; a folder is written with its
dots or slash, `hub:./folder`. Nothing is fetched without `--download`, and code that comes with a model is never run. Frames are
prepared as the model's preprocessor file says, resized by the decoder (bilinear).
"""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from untrimmed.data.errors import InputError
from untrimmed.data.settings import setting
from untrimmed.video.extractors.hub_files import folder_of, transformers, weights_in
from untrimmed.video.extractors.hub_kinds import call, has_head, kind_of, vision_of, width_of, without_last_layer
from untrimmed.video.extractors.hub_preparation import preparation_of
from untrimmed.video.extractors.networks import eight_bit_flow, first_line, in_precision, precision_setting, sha256_of, to_device

UNSEEN = ("text_model.", "text_projection.", "prompts_generator.", "logit_scale", "predictor.")
"""What no picture passes through in a model of pictures and text, or in V-JEPA 2's, whose encoder alone is used."""


@dataclass(frozen=True)
class Config:
    """Settings of `hub`."""

    model: str = setting("", "the model's id on the hub, or a local folder (with its dots or slash)")
    revision: str = setting("", "its commit on the hub; empty: that of the branch main when it was downloaded")
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


class Extractor:
    """Features of a backbone of `transformers`; see the module's text.

    Raises:
        InputError: `transformers` is not installed, there is no such model here, or it is of a kind that cannot be used.
    """

    name = "hub"
    Config = Config
    device = "cpu"
    threads = 0  # of the network on the CPU; 0: as torch has them

    def __init__(self, config: Any) -> None:
        if not config.model:
            raise InputError("hub needs a model: `extractor` hub:ID, or hub:./folder")
        library = transformers()
        self.folder, model, revision = folder_of(config.model, config.revision)
        self.config = replace(config, model=model, revision=revision)
        try:
            self._about = library.AutoConfig.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # transformers raises many kinds for what it does not know or trust
            raise InputError(f"{config.model}: not a model that transformers knows by itself ({first_line(error)})") from error
        self._kind = kind_of(self._about, config.model)
        self._headed = has_head(self._about, self._kind)
        self._clip = getattr(vision_of(self._about), self._kind.clip, None) if self._kind.clip else None
        if config.flow_stack and self._clip:
            raise InputError(f"flow_stack: {config.model} takes clips; flow stacks are for image models")
        if config.flow_stack > config.frames:
            raise InputError(f"flow_stack: {config.flow_stack} flow fields do not fit into {config.frames} frames")
        width = width_of(self._about, config.model)
        self.streams = {"rgb": width} | ({"flow": width} if config.flow_stack else {})
        self.needs_flow = config.flow_stack > 0
        self._preparation = preparation_of(self.folder, vision_of(self._about))
        self._networks: dict[str, nn.Module] = {}

    @property
    def weights_sha256(self) -> str:
        """Of the weights' files, in the order of their names."""
        return sha256_of(*weights_in(self.folder))

    @property
    def batch(self) -> int:
        """Snippets per call."""
        return 4 if self.device == "cpu" else 16

    @property
    def pictures(self) -> int:
        """Pictures of a snippet that the network is shown."""
        return self._frames_used(self.config.frames)

    def frame_size(self, width: int, height: int) -> tuple[int, int]:
        return self._preparation.frame_size(width, height)

    def load(self) -> None:
        """Read the weights.

        Raises:
            InputError: they are damaged, or lack a part of the backbone.
        """
        if self._networks:
            return
        library, where = transformers(), self.config.model
        reader = library.AutoModel
        if self._headed:
            reader = library.AutoModelForVideoClassification if self._clip else library.AutoModelForImageClassification
        try:
            network, info = reader.from_pretrained(
                self.folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=weights_in(self.folder)[0].suffix == ".safetensors",
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are named below
                dtype=torch.float32,
            )
        except Exception as error:
            raise InputError(f"{where}: the model cannot be read ({first_line(error)})") from error
        if self._headed:
            without_last_layer(network)
        part = self._kind.part
        seen = getattr(network, part) if part else network
        _check_whole(where, seen, info, f"{part}." if part else "", unused=() if self._kind.summary == "pooled" else ("pooler.",))
        self.use(seen)

    def use(self, network: nn.Module) -> None:
        """Take this network as what the weights give."""
        network.eval().requires_grad_(False)
        if self.threads:
            torch.set_num_threads(self.threads)
        if self.config.flow_stack:
            self._networks["flow"] = _for_flow(network, self.config.flow_stack).to(self.device)
        self._networks["rgb"] = network.to(self.device)

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
        # An index in brackets may leave the pictures transposed in memory, and the network would be given a slower copy.
        chosen = frames.take(_spread(length, self._frames_used(length)), axis=1)
        features = {"rgb": self._features("rgb", how(to_device(chosen, self.device)), count)}
        if self.config.flow_stack:
            if flow is None:
                raise ValueError("the flow stream needs optical flow")
            stack = self.config.flow_stack
            starts = np.unique(np.linspace(0, length - stack, self.config.looks).round().astype(int))
            stacks = to_device(flow[:, starts[:, None] + np.arange(stack)], self.device)
            x = eight_bit_flow(how.middle(stacks)) / 2 / float(np.mean(how.std))  # [B, looks, stack, H, W, 2]
            x = x.permute(0, 1, 2, 5, 3, 4).flatten(2, 3)
            features["flow"] = self._features("flow", x, count)
        return {stream: features[stream] for stream in self.streams}

    def _frames_used(self, length: int) -> int:
        """How many of a snippet's frames the model takes."""
        if self._clip is None:
            return min(self.config.looks, length)
        # V-JEPA 2 takes clips of any even length; others exactly what they were trained on, repeated or thinned out.
        return length - length % 2 if self._about.model_type == "vjepa2" else int(self._clip)

    def _features(self, stream: str, x: Tensor, count: int) -> np.ndarray:
        """What the network says of `[B, frames, C, H, W]`: `[B, D]`, of an image model the mean over its looks."""
        if self._clip is None:
            x = x.flatten(0, 1)
        with in_precision(self.config.precision, self.device):
            found = call(self._networks[stream], self._kind, self._about, x, self._headed)
        found = found.float().reshape(count, -1, found.shape[-1]).mean(1)
        return found.cpu().numpy()


def _check_whole(where: str, seen: nn.Module, info: dict[str, Any], prefix: str, unused: tuple[str, ...]) -> None:
    """Raise InputError where weights of the network that looks were missing, or of another shape."""
    names = {name for name, _ in seen.named_parameters()} | {name for name, _ in seen.named_buffers()}
    names = {name for name in names if not name.startswith((*unused, *UNSEEN))}
    if wrong := sorted(key for key in info["mismatched_keys"] if key[0].removeprefix(prefix) in names):
        name, shape, expected = wrong[0]
        raise InputError(f"{where}: the weights are another model's: {name} has the shape {list(shape)}, not {list(expected)}")
    if lost := sorted(names & {name.removeprefix(prefix) for name in info["missing_keys"]}):
        more = f"; they hold {min(info['unexpected_keys'])}, which is none of its" if info["unexpected_keys"] else ""
        raise InputError(f"{where}: the weights lack {len(lost)} part(s) of the backbone, such as {lost[0]}{more}")


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

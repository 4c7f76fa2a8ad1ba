"""`i3d`: the two-stream Inflated 3-D Inception network (Carreira & Zisserman, CVPR 2017, "Quo Vadis, Action Recognition?").

rgb:  the frames, scaled to [-1, 1].
flow: optical flow in pixels, clipped to +-20, quantized to 8 bits like the papers' stored flow images, scaled to [-1, 1].

Each stream is the 1024 values of `Mixed_5c` after average pooling over 2 x 7 x 7. The weights are the user's: files in the layout
of the public PyTorch checkpoints (`Conv3d_1a_7x7.conv3d.weight`, `Mixed_3b.b0.bn.running_mean`, ..., `logits.conv3d.bias`). A
stream without weights is left out.

The network is optimized for speed: channels last, batch normalization folded into the convolutions, and the 1x1x1 convolutions,
which hold most of the layers, as matrix products, the three that read one input as a single one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from untrimmed.data.errors import InputError
from untrimmed.data.settings import setting
from untrimmed.video.extractors.networks import eight_bit_flow, in_precision, precision_setting, read_weights, sha256_of, to_device

BRANCHES = {  # output channels of each Inception block's b0, b1a, b1b, b2a, b2b, b3b
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
POOL_BEFORE = {"Mixed_3b": ((1, 3, 3), (1, 2, 2)), "Mixed_4b": ((3, 3, 3), (2, 2, 2)), "Mixed_5b": ((2, 2, 2), (2, 2, 2))}
CHANNELS = {"rgb": 3, "flow": 2}
WIDTH = 1024
SIDE = 224  # pixels of a view


@dataclass(frozen=True)
class Config:
    """Settings of `i3d`."""

    fps: float = setting(25.0, "frames per second that a video is resampled to", low=0.1, high=240)
    frames: int = setting(16, "frames in a snippet", low=9, high=1024)
    stride: int = setting(16, "frames from the start of one snippet to that of the next", low=1, high=1024)
    views: int = setting(
        1,
        "1: the whole frame at 224 x 224; 10: corners, centre and their mirror images at 340 x 256, averaged",
        choices=(1, 10),
        source="the public feature packs' `resize` and `oversample`",
    )
    rgb_weights: str = setting("", "the checkpoint of the RGB network; empty: no such stream")
    flow_weights: str = setting("", "the checkpoint of the flow network; empty: no such stream")
    precision: str = precision_setting()


class Extractor:
    """Two-stream I3D features, 1024 a stream; see the module's text.

    Raises:
        InputError: no weights are given, or a file of them does not exist.
    """

    name = "i3d"
    threads = 0  # of the networks on the CPU; 0: as torch has them
    Config = Config
    device = "cpu"

    def __init__(self, config: Any) -> None:
        files = {"rgb": config.rgb_weights, "flow": config.flow_weights}
        self.files = {stream: Path(file).absolute() for stream, file in files.items() if file}
        if not self.files:
            raise InputError("i3d needs its weights: `settings` rgb_weights=FILE, `settings` flow_weights=FILE, or both")
        for file in self.files.values():
            if not file.is_file():
                raise InputError(f"{file}: no such checkpoint")
        self.config = replace(config, **{f"{stream}_weights": str(file) for stream, file in self.files.items()})
        self.streams = dict.fromkeys(self.files, WIDTH)
        self.needs_flow = "flow" in self.files
        self._networks: dict[str, Inception3D] = {}

    @property
    def weights_sha256(self) -> str:
        """By stream, as `rgb:<hash> flow:<hash>`."""
        return " ".join(f"{stream}:{sha256_of(file)}" for stream, file in self.files.items())

    @property
    def batch(self) -> int:
        """Snippets per call."""
        return 2 if self.device == "cpu" else 16

    def frame_size(self, width: int, height: int) -> tuple[int, int]:
        return (SIDE, SIDE) if self.config.views == 1 else (340, 256)

    def load(self) -> None:
        """Read the weights.

        Raises:
            InputError: a file is no checkpoint of this network, or of its other stream.
        """
        if self.threads:
            torch.set_num_threads(self.threads)
        for stream, file in self.files.items():
            if stream not in self._networks:
                self._networks[stream] = Inception3D(read_weights(file), CHANNELS[stream], self.device, str(file))

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray, flow: np.ndarray | None) -> dict[str, np.ndarray]:
        """Features of B snippets.

        Args:
            frames: uint8 `[B, F, H, W, 3]`, RGB.
            flow: float32 `[B, F, H, W, 2]`, displacement in pixels from the previous frame to each frame.

        Returns:
            `{"rgb": float32 [B, 1024], "flow": float32 [B, 1024]}`, the streams whose weights are there.
        """
        self.load()
        features = {}
        for stream, network in self._networks.items():
            given = frames if stream == "rgb" else flow
            if given is None:
                raise ValueError("the flow network needs optical flow")
            x = to_device(given, self.device)
            x = x.float() / 127.5 - 1 if stream == "rgb" else eight_bit_flow(x)
            views = _ten_views(x, is_flow=stream == "flow") if self.config.views == 10 else [x]
            with in_precision(self.config.precision, self.device):
                # One snippet at a time on a CPU: its activations then stay in the cache.
                parts = [network(part) for view in views for part in view.split(1 if self.device == "cpu" else len(view))]
            features[stream] = torch.cat(parts).float().reshape(len(views), len(x), WIDTH).mean(0).cpu().numpy()
        return features


def _ten_views(x: Tensor, is_flow: bool) -> list[Tensor]:
    """Four corners and the centre of `[B, F, H, W, C]`, and their mirror images, in which what moves right moves left."""
    height, width = x.shape[2:4]
    down, right = height - SIDE, width - SIDE
    places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    views = [x[:, :, top : top + SIDE, left : left + SIDE] for top, left in places]
    mirrored = [view.flip(3) for view in views]
    if is_flow:
        # 256 levels have none for zero: mirroring turns level q into 255 - q, which is minus the scaled value.
        mirrored = [view * torch.tensor([-1.0, 1.0], device=x.device) for view in mirrored]
    return views + mirrored


class Inception3D:
    """The network up to its average pooling, built from a checkpoint's arrays; inference only.

    Raises:
        InputError: an array is missing or of another shape.
    """

    def __init__(self, state: Mapping[str, Tensor], channels: int, device: str, where: str) -> None:
        self._state, self._where = state, where

        def conv(name: str, inputs: int, outputs: int, side: int) -> tuple[Tensor, Tensor]:
            weight, bias = self._folded(name, inputs, outputs, side)
            if side == 1:
                return weight.reshape(outputs, inputs).to(device), bias.to(device)
            return weight.to(device, memory_format=torch.channels_last_3d), bias.to(device)

        self._first = conv("Conv3d_1a_7x7", channels, 64, 7)
        self._second = conv("Conv3d_2b_1x1", 64, 64, 1)
        self._third = conv("Conv3d_2c_3x3", 64, 192, 3)
        self._blocks: dict[str, dict[str, tuple[Tensor, Tensor]]] = {}
        inputs = 192
        for name, (b0, b1a, b1b, b2a, b2b, b3b) in BRANCHES.items():
            heads = [conv(f"{name}.{part}", inputs, n, 1) for part, n in (("b0", b0), ("b1a", b1a), ("b2a", b2a))]
            self._blocks[name] = {
                "heads": (torch.cat([weight for weight, _ in heads]), torch.cat([bias for _, bias in heads])),
                "b1b": conv(f"{name}.b1b", b1a, b1b, 3),
                "b2b": conv(f"{name}.b2b", b2a, b2b, 3),
                "b3b": conv(f"{name}.b3b", inputs, b3b, 1),
            }
            inputs = b0 + b1b + b2b + b3b
        del self._state

    def _folded(self, name: str, inputs: int, outputs: int, side: int) -> tuple[Tensor, Tensor]:
        """A convolution's weight and bias, with the batch normalization behind it (eps 0.001) folded in."""
        weight = self._array(f"{name}.conv3d.weight", (outputs, inputs, side, side, side))
        scale, shift, mean, variance = (
            self._array(f"{name}.bn.{part}", (outputs,)) for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = scale / torch.sqrt(variance + 1e-3)
        return (weight * scale[:, None, None, None, None]).float(), (shift - mean * scale).float()

    def _array(self, name: str, shape: tuple[int, ...]) -> Tensor:
        if name not in self._state:
            raise InputError(f"{self._where}: not an I3D checkpoint of the known layout: there is no {name}")
        array = self._state[name]
        if tuple(array.shape) != shape:
            hint = "; are the RGB and the flow network's files exchanged?" if name.startswith("Conv3d_1a") else ""
            raise InputError(f"{self._where}: {name} has the shape {list(array.shape)}, not {list(shape)}{hint}")
        return array.double()

    def __call__(self, x: Tensor) -> Tensor:
        """Features `[B, 1024]` of float32 `[B, F, 224, 224, channels]` (channels last throughout)."""
        padding = [amount for size in reversed(x.shape[1:4]) for amount in _same(size, 7, 2)]
        x = _conv3d(F.pad(x, (0, 0, *padding)), *self._first, stride=2)
        x = _max_pool(x, (1, 3, 3), (1, 2, 2))
        x = F.linear(x, *self._second).relu_()
        x = _conv3d(x, *self._third, padding=1)
        for name, block in self._blocks.items():
            if name in POOL_BEFORE:
                x = _max_pool(x, *POOL_BEFORE[name])
            b0, b1a, _, b2a, _, _ = BRANCHES[name]
            direct, first, second = F.linear(x, *block["heads"]).relu_().split((b0, b1a, b2a), dim=-1)
            pooled = F.linear(_max_pool(x, (3, 3, 3), (1, 1, 1)), *block["b3b"]).relu_()
            x = torch.cat([direct, _conv3d(first, *block["b1b"], padding=1), _conv3d(second, *block["b2b"], padding=1), pooled], -1)
        x = x.mean((2, 3))
        return ((x[:, 1:] + x[:, :-1]) / 2).mean(1)  # two steps in time are averaged; longer snippets give several such means


def _conv3d(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """A convolution and its rectifier of `[B, T, H, W, C]`."""
    return F.conv3d(x.permute(0, 4, 1, 2, 3), weight, bias, stride, padding).permute(0, 2, 3, 4, 1).contiguous().relu_()


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Padding before and after so that ceil(size / stride) values come out, as in TensorFlow: the odd one goes behind."""
    total = max(kernel - (size % stride or stride), 0)
    return total // 2, total - total // 2


def _max_pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Maxima of `[B, T, H, W, C]` with the padding above; its zeros never are maxima, since x comes from a rectifier."""
    before = [_same(size, k, s)[0] for size, k, s in zip(x.shape[1:4], kernel, stride)]
    pooled = F.max_pool3d(x.permute(0, 4, 1, 2, 3), kernel, stride, before, ceil_mode=True)
    return pooled.permute(0, 2, 3, 4, 1).contiguous()

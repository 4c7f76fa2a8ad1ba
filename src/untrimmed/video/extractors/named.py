"""Models of `hub` that have a name of their own: which commit, under which licence, and timed as they were trained.

Every name gives a snippet each 0.64 s, as `motion` and `i3d` do. The commits are those that the hub's pages and public projects
name for these ids; where none was to be had, `main` is resolved when it is downloaded, and the commit kept in features.json.
"""

from dataclasses import dataclass, field
from typing import Any

PICTURES = {"fps": 6.25, "frames": 4, "stride": 4, "looks": 4}
CLIPS = {"fps": 6.25, "frames": 16, "stride": 4}
"""Sixteen frames in 2.56 s: as far apart as in training on Kinetics, where they were four frames of 30 a second apart."""


@dataclass(frozen=True)
class Named:
    """A model with a name.

    revision: its commit; empty where none is known.
    width: of its features. parameters: in millions, of the half that looks.
    kind, shape, side: its configuration, where it differs from that of its kind, and the pixels of its pictures' sides.
    """

    model: str
    revision: str
    licence: str
    good_for: str
    width: int
    parameters: int
    kind: str
    shape: dict[str, Any] = field(default_factory=dict)
    side: int = 224
    timing: dict[str, Any] = field(default_factory=lambda: dict(PICTURES))

    def settings(self) -> dict[str, Any]:
        """Of the extractor `hub`."""
        return {"model": self.model, "revision": self.revision, **self.timing}


NAMED = {
    "clip": Named(
        "openai/clip-vit-base-patch16",
        "57c216476eefef5ab752ec549e440a49ae4ae5f3",
        "MIT, by OpenAI's repository; the page on the hub names none",
        "what pictures show, as captions say it",
        768,
        86,
        "clip_vision_model",
        {"patch_size": 16},
    ),
    "dinov2": Named(
        "facebook/dinov2-small",
        "ed25f3a31f01632728cabb09d1542f84ab7b0056",
        "Apache-2.0",
        "the one to begin with where there is no GPU: scenes and poses, learned without labels",
        384,
        22,
        "dinov2",
        {"hidden_size": 384, "num_attention_heads": 6, "image_size": 518, "patch_size": 14},
    ),
    "dinov3": Named(
        "facebook/dinov3-vitb16-pretrain-lvd1689m",
        "5931719e67bbdb9737e363e781fb0c67687896bc",
        "DINOv3 License (Meta); it must be accepted on the hub, and `hf auth login` done, before it is downloaded",
        "as dinov2, larger and newer",
        768,
        86,
        "dinov3_vit",
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    ),
    "resnet101": Named(
        "microsoft/resnet-101",
        "c2bf50f68263a35f102eb5c84ca91fc7352ceff3",
        "Apache-2.0",
        "TSRNet's backbone; with flow_stack=5 a second stream of flow",
        2048,
        43,
        "resnet",
        {"depths": [3, 4, 23, 3]},
        timing={"fps": 25.0, "frames": 16, "stride": 16, "looks": 4},
    ),
    "siglip2": Named(
        "google/siglip2-base-patch16-224",
        "75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2",
        "Apache-2.0",
        "what pictures show, in many languages' captions",
        768,
        93,
        "siglip_vision_model",
    ),
    "timesformer": Named(
        "facebook/timesformer-base-finetuned-k400",
        "8aaf40ea7d3d282dcb0a5dea01a198320d15d6c0",
        "CC-BY-NC-4.0: not for commercial use",
        "actions of Kinetics-400, from eight frames",
        768,
        121,
        "timesformer",
        timing={**CLIPS, "frames": 8},
    ),
    "videomae": Named(
        "MCG-NJU/videomae-base-finetuned-kinetics",
        "488eb9a0565f257b32866000305c8178965eb9f6",
        "CC-BY-NC-4.0: not for commercial use",
        "actions of Kinetics-400; what many papers on localization use",
        768,
        86,
        "videomae",
        timing=CLIPS,
    ),
    "videoprism": Named(
        "google/videoprism-base-f16r288",
        "",
        "Apache-2.0",
        "actions and scenes, from a model of videos and their texts",
        768,
        114,
        "videoprism_vision_model",
        side=288,
        timing=CLIPS,
    ),
    "vjepa2": Named(
        "facebook/vjepa2-vitl-fpc64-256",
        "b3c1679b7c34d3255ef3547f27c7b226aefab26f",
        "MIT",
        "the one to begin with where there is a GPU: motion and actions, learned from video without labels",
        1024,
        303,
        "vjepa2",
        side=256,
        timing=CLIPS,
    ),
}

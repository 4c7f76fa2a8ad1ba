"""Every kind of model of the installed transformers that sees pictures: does `hub` read it, and does it read it right?

`python -m tests.video.model_types` tries all of them (a few minutes) and writes the table of docs/extractors.md; the suite tries
a few. Each model is small, with random weights; it is saved with a preprocessor file of its own kind, and read back by `hub`.
"""

import importlib
import json
import tempfile
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from untrimmed.data.errors import InputError
from untrimmed.video.extractors import make_extractor
from untrimmed.video.extractors.hub_kinds import KINDS, cut, kind_of, vision_of

PAGE = Path(__file__).parents[2] / "docs" / "extractors.md"
BEGIN, END = "<!-- model types: python -m tests.video.model_types -->\n", "<!-- end of model types -->\n"
QUICK = "clip convnext cvt data2vec-vision mobilevit poolformer siglip2 videomae videoprism videoprism_vision_model vivit xclip"

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "crop_size": 32,
    "patch_size": 8,
    "num_frames": 4,
    "frames_per_clip": 4,
    "embedding_size": 8,
    "vocab_size": 50,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "max_position_embeddings": 16,
    "projection_dim": 12,
    "mit_hidden_size": 12,
    "mit_intermediate_size": 24,
    "mit_num_hidden_layers": 1,
    "mit_num_attention_heads": 2,
    "pred_hidden_size": 16,
    "pred_num_attention_heads": 2,
    "pred_num_hidden_layers": 1,
    "num_spatial_layers": 1,
    "num_temporal_layers": 1,
    "num_auxiliary_layers": 1,
    "num_patches": 16,
}
"""Small values, for configurations that have a setting of that name."""
WINDOWS = {"window_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "patch_size": 4}
OWN: dict[str, dict[str, Any]] = {
    "bit": {"embedding_size": 8, "hidden_sizes": [32, 64], "depths": [1, 1], "num_groups": 8},
    "convnext": {"num_hidden_layers": None, "hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1], "patch_size": 4},
    "convnextv2": {"num_hidden_layers": None, "hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1], "patch_size": 4},
    "cvt": {"patch_sizes": [7, 3, 3], "embed_dim": [8, 12, 16], "num_heads": [1, 2, 2], "depth": [1, 2, 3]},
    "dinov3_convnext": {"num_hidden_layers": None, "hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1]},
    "efficientnet": {"width_coefficient": 0.25, "depth_coefficient": 0.2, "hidden_dim": 320},
    "focalnet": {"embed_dim": 8, "depths": [1, 1], "focal_levels": [2, 2], "focal_windows": [3, 3], "patch_size": 4},
    "hiera": {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "image_size": [32, 32]},
    "levit": {
        "image_size": 64,
        "patch_size": None,
        "hidden_sizes": [16, 24, 32],
        "num_attention_heads": [2, 2, 2],
        "depths": [1, 1, 1],
    },
    "mobilenet_v1": {"depth_multiplier": 0.25},
    "mobilenet_v2": {"depth_multiplier": 0.35},
    "mobilevit": {"hidden_sizes": [16, 20, 24], "neck_hidden_sizes": [8, 8, 12, 16, 20, 24, 32], "patch_size": 2, "image_size": 64},
    "mobilevitv2": {"width_multiplier": 0.25, "patch_size": 2, "image_size": 64},
    "poolformer": {"num_hidden_layers": None, "hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1], "patch_size": None},
    "pvt": {
        "num_hidden_layers": None,
        "hidden_sizes": [8, 16, 24, 32],
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 2, 2, 4],
    },
    "pvt_v2": {
        "num_hidden_layers": None,
        "hidden_sizes": [8, 16, 24, 32],
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 2, 2, 4],
    },
    "regnet": {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 1], "groups_width": 8},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 24], "depths": [1, 1]},
    "segformer": {
        "num_hidden_layers": None,
        "hidden_sizes": [8, 16, 24, 32],
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 2, 2, 4],
    },
    "swiftformer": {"depths": [1, 1, 1, 1], "embed_dims": [8, 12, 16, 24]},
    "swin": WINDOWS,
    "swinv2": WINDOWS,
}
"""What some kinds need beside those or in place of them; None leaves the usual value."""
LIKE = {  # whose preprocessor is used, for kinds of which the library names none
    "dinov2_with_registers": "dinov2",
    "pvt_v2": "pvt",
    "siglip2_vision_model": "siglip2",
}
LAST = ("Linear", "Sequential", "LevitClassificationLayer")
"""What a classifier's last layer is."""


@dataclass(frozen=True)
class Row:
    """What became of one kind: `refused` says why; otherwise what the feature is, and with what it was compared."""

    kind: str
    refused: str = ""
    shown: str = ""
    feature: str = ""
    width: str = ""
    network: str = ""
    pictures: str = ""

    def line(self) -> str:
        return f"| `{self.kind}` | {self.shown} | {self.feature} | {self.network} | {self.pictures} |"


def library() -> Any:
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def listed() -> set[str]:
    """The kinds for which the library lists a preprocessor or a task on pictures or videos."""
    from transformers.models.auto import image_processing_auto, modeling_auto

    library()
    known = {*image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES}
    for name in ("IMAGE", "IMAGE_CLASSIFICATION", "VIDEO_CLASSIFICATION", "BACKBONE", "ZERO_SHOT_IMAGE_CLASSIFICATION"):
        known |= {*getattr(modeling_auto, f"MODEL_FOR_{name}_MAPPING_NAMES")}
    return known & {*modeling_auto.MODEL_MAPPING_NAMES}


def seeing() -> list[str]:
    """These, and the others whose configuration speaks of pictures."""
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    found = listed()
    for kind in {*modeling_auto.MODEL_MAPPING_NAMES} - found:
        config = CONFIG_MAPPING[kind]
        fields = {*dir(config), *getattr(config, "__dataclass_fields__", ())}
        if fields & {"vision_config", "image_size", "num_channels"}:
            found.add(kind)
    return sorted(found)


def small(kind: str) -> Any:
    """A small configuration of that kind."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return _shrunk(CONFIG_MAPPING[kind], OWN.get(kind, {}))


def _shrunk(config: Any, own: dict[str, Any]) -> Any:
    usual, chosen = config(), {}
    for name, value in SMALL.items():
        if hasattr(usual, name) and not isinstance(getattr(config, name, None), property):
            before = getattr(usual, name)
            chosen[name] = [value] * len(before) if isinstance(before, list | tuple) and before else value
    if isinstance(getattr(usual, "tubelet_size", None), list | tuple):
        chosen["tubelet_size"] = [usual.tubelet_size[0], 8, 8]
    for half in ("vision_config", "text_config"):
        if getattr(usual, half, None) is not None:
            chosen[half] = _shrunk(type(getattr(usual, half)), {}).to_dict()
    return config(**{name: value for name, value in {**chosen, **own, "num_labels": 5}.items() if value is not None})


def save(kind: str, folder: Path) -> tuple[Any, Any]:
    """A small model of that kind with its preprocessor in the folder: as a classifier, where the library has such; and the
    preprocessor, or None where it needs torchvision."""
    from transformers.models.auto import modeling_auto

    transformers, config = library(), small(kind)
    torch.manual_seed(0)
    names = {
        **modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
        **modeling_auto.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES,
    }
    if KINDS[kind].part or kind not in names:
        names = modeling_auto.MODEL_MAPPING_NAMES
    name = names[kind]
    model = getattr(transformers, name if isinstance(name, str) else name[0])(config)
    for name, value in model.named_parameters():  # norms that begin as one and zero would hide that they are left out
        if value.ndim == 1:
            value.data = value.data + 0.3 * torch.rand(value.shape) * (1 if "bias" in name else -1)
        elif value.numel() and value.ndim > 1:  # some kinds begin so small that they say the same of every picture
            value.data = torch.randn(value.shape) * (2 / value[0].numel()) ** 0.5
    side = _side(config)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d)]
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        with torch.no_grad():
            model.train()(torch.rand(8, 3, side, side))
    model.eval().save_pretrained(folder)
    return model, _save_preprocessor(kind, folder, side)


def _side(config: Any) -> int:
    side = getattr(vision_of(config), "image_size", 32)
    return side[0] if isinstance(side, list | tuple) else side


def _save_preprocessor(kind: str, folder: Path, side: int) -> Any:
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES as NAMES

    parent = LIKE.get(kind) or (kind if kind in NAMES else kind.removesuffix("_vision_model"))
    name = NAMES.get(parent, {}).get("pil")
    if kind == "vivit":  # needs no torchvision, though the library lists it so
        make = importlib.import_module("transformers.models.vivit.image_processing_vivit").VivitImageProcessor
    elif name is None:
        says = {"size": {"height": side, "width": side}, "do_center_crop": False, "image_mean": [0.4, 0.5, 0.6]}
        (folder / "preprocessor_config.json").write_text(json.dumps(says))
        return None
    else:
        make = getattr(library(), name)
    usual = make()
    sizes: dict[str, Any] = {}
    if (size := getattr(usual, "size", None)) is not None and kind not in ("siglip2", "siglip2_vision_model"):
        shorter = side if hasattr(usual, "crop_pct") or kind == "levit" else side + 6
        sizes["size"] = {"shortest_edge": shorter} if "shortest_edge" in dict(size) else {"height": side, "width": side}
    if getattr(usual, "crop_size", None) and usual.do_center_crop:
        sizes["crop_size"] = {"height": side, "width": side}
    if hasattr(usual, "max_num_patches"):
        sizes |= {"patch_size": 8, "max_num_patches": 20}
    processor = make(**sizes)
    processor.save_pretrained(folder)
    return processor


def try_kind(kind: str) -> Row:
    """Save a small model, read it with `hub`, and compare; or see it refused by its configuration alone.

    Raises:
        AssertionError: the features or the prepared pictures are not the library's own.
        Exception: whatever a kind that is said to be read runs into.
    """
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        if kind not in KINDS:
            return Row(kind, refused=_refusal(kind, folder))
        model, processor = save(kind, folder)
        extractor = make_extractor(f"hub:{folder}")
        width, height = extractor.frame_size(64, 48)
        frames = np.random.default_rng(0).integers(0, 256, (3, 4, height, width, 3), np.uint8)
        found = extractor(frames, None)["rgb"]
        assert found.shape == (3, extractor.streams["rgb"]), (kind, found.shape, extractor.streams)
        assert np.isfinite(found).all()
        assert found.std(0).max() > 1e-6, kind
        np.testing.assert_allclose(extractor(frames[1:2], None)["rgb"][0], found[1], rtol=1e-3, atol=1e-5)
        reading = kind_of(model.config, kind)
        x = extractor._preparation(torch.from_numpy(frames))
        pictures = _compare_pictures(kind, processor, frames, x)
        network = _compare_network(kind, model, x, found)
        says = {"first": "class token", "pooled": "pooled output", "mean": "mean over tokens or places"}[reading.summary]
        says = "what its classifier's last layer sees" if reading.head else says
        clip = "clips" if reading.clip else "pictures"
        return Row(kind, "", clip, says, str(found.shape[1]), network, pictures)


def _refusal(kind: str, folder: Path) -> str:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    CONFIG_MAPPING[kind]().save_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"")
    try:
        make_extractor(f"hub:{folder}")
    except InputError as error:
        said = str(error)
        return said.removeprefix(f"{folder}: ")
    raise AssertionError(f"{kind} is not refused")


def _compare_pictures(kind: str, processor: Any, frames: np.ndarray, x: torch.Tensor) -> str:
    """Demand that the library's processor makes the same of frames that have their size already."""
    if processor is None:
        return "not compared"
    in_clips = KINDS[kind].clip and kind != "xclip"
    shown = [list(clip) for clip in frames] if in_clips else list(frames.reshape(-1, *frames.shape[2:]))
    own = processor(shown, return_tensors="pt")
    expected = own["pixel_values"]
    if "pixel_attention_mask" in own:
        x = cut(x.flatten(0, 1), processor.patch_size)[0]
        assert own["pixel_attention_mask"][:, : x.shape[1]].all()
        expected = expected[:, : x.shape[1]]
    torch.testing.assert_close(x.reshape(expected.shape), expected.float(), rtol=1e-5, atol=2e-5)
    return "equal"


def _compare_network(kind: str, model: Any, x: torch.Tensor, found: np.ndarray) -> str:
    """Demand that the features are what the library's own classifier, or its projection to the space of texts, is given."""
    clip = bool(KINDS[kind].clip)
    seen: list[torch.Tensor] = []
    layers = [getattr(model, name, None) for name in ("classifier", "head", "visual_projection")]
    last = next((layer for layer in layers if layer is not None and type(layer).__name__ in LAST), None)
    if last is not None and not hasattr(model, "get_video_features"):
        last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = x if clip else x.flatten(0, 1)
    more: dict[str, Any] = {}
    if KINDS[kind].patches:
        x, more = cut(x, vision_of(model.config).patch_size)
        pad = torch.zeros(len(x), 3, x.shape[2])  # as the processor fills up
        more["pixel_attention_mask"] = torch.cat([more["pixel_attention_mask"], torch.zeros(len(x), 3, dtype=torch.int32)], 1)
        x = torch.cat([x, pad], 1)
    with torch.inference_mode():
        if hasattr(model, "get_video_features"):
            out = model.get_video_features(x)
        elif hasattr(model, "get_image_features"):
            out = model.get_image_features(pixel_values=x, **more)
        elif last is not None:
            out = model(x)
        else:
            return "not compared"
    expected = seen[0] if seen else getattr(out, "pooler_output", out)
    expected = expected.flatten(1)[:, : found.shape[1]]  # DINOv2's classifier is given the mean token, too
    np.testing.assert_allclose(found, expected.reshape(3, -1, found.shape[1]).mean(1), rtol=1e-3, atol=1e-5, err_msg=kind)
    return "equal"


def main() -> None:
    """Try all kinds, and write the table."""
    rows = []
    for kind in seeing():
        rows.append(try_kind(kind))
        print(kind, rows[-1].refused or "read", flush=True)
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + table(rows) + END + rest.split(END)[1], encoding="utf-8")


def table(rows: list[Row]) -> str:
    """The table of docs/extractors.md."""
    read = [row for row in rows if not row.refused]
    refused = [f"`{row.kind}`" for row in rows if row.refused]
    lines = ["| kind | is shown | feature | against its classifier | against its processor |", "|---|---|---|---|---|"]
    others = textwrap.fill(f"Refused: {', '.join(refused)}.", 120, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, *(row.line() for row in read), "", others, ""])


if __name__ == "__main__":
    main()

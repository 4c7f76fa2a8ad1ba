"""Backbones of `transformers`, on small models with random weights that are saved here: no network is needed, and none is used."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from untrimmed import cli
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore
from untrimmed.video import extraction
from untrimmed.video.extraction import header_for
from untrimmed.video.extractors import make_extractor, plain_name

from .films import film, moving_blocks, steady

transformers: Any = pytest.importorskip("transformers", reason="needs the extra hub")

from untrimmed.video.extractors import hub_files, hub_kinds, hub_preparation  # noqa: E402
from untrimmed.video.extractors.hub_kinds import width_of  # noqa: E402
from untrimmed.video.extractors.named import NAMED  # noqa: E402

from . import model_types  # noqa: E402

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
SQUARE = {"size": {"height": 32, "width": 32}, "image_mean": MEAN, "image_std": STD}
MIDDLE = {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True} | {
    "image_mean": MEAN,
    "image_std": STD,
}


def _resnet():
    return transformers.ResNetModel(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 24], depths=[1, 1], layer_type="bottleneck")
    )


def _dino():
    return transformers.ViTModel(transformers.ViTConfig(**SMALL, image_size=32, patch_size=8), add_pooling_layer=False)


def _clip():
    vision = SMALL | {"image_size": 32, "patch_size": 8}
    text = SMALL | {"hidden_size": 8, "vocab_size": 50, "max_position_embeddings": 8}
    return transformers.CLIPModel(transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=12))


def _clip_vision():
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**SMALL, image_size=32, patch_size=8))


def _dinov2():
    config = transformers.Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8)
    return transformers.Dinov2Model(config)


def _videomae():
    config = transformers.VideoMAEConfig(**SMALL, image_size=32, patch_size=8, num_frames=4, tubelet_size=2)
    return transformers.VideoMAEModel(config)


def _vjepa2():
    config = transformers.VJEPA2Config(
        patch_size=8,
        crop_size=32,
        frames_per_clip=4,
        hidden_size=24,
        num_attention_heads=2,
        num_hidden_layers=2,
        mlp_ratio=2.0,
        pred_hidden_size=24,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    )
    return transformers.VJEPA2Model(config)


def _first_token(out):
    return out.last_hidden_state[:, 0]


def _mean_token(out):
    return out.last_hidden_state.mean(1)


def _pooled(out):
    return out.pooler_output.flatten(1)


MODELS = {  # how it is made, its preprocessor, which half looks, what it says, frames it is shown of 16
    "resnet": (_resnet, MIDDLE, lambda m: m, _pooled, [2, 6, 10, 14]),
    "dino": (_dino, SQUARE, lambda m: m, _first_token, [2, 6, 10, 14]),
    "dinov2": (_dinov2, MIDDLE, lambda m: m, _first_token, [2, 6, 10, 14]),
    "clip": (_clip, MIDDLE, lambda m: m.vision_model, _pooled, [2, 6, 10, 14]),
    "clip_vision": (_clip_vision, MIDDLE, lambda m: m, _pooled, [2, 6, 10, 14]),
    "videomae": (_videomae, MIDDLE, lambda m: m, _mean_token, [2, 6, 10, 14]),
    "vjepa2": (_vjepa2, MIDDLE, lambda m: m, _mean_token, list(range(16))),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, tuple[Path, Any]]:
    """A folder for each kind of model, and the model."""
    made = {}
    for name, (make, preprocessor, _, _, _) in MODELS.items():
        torch.manual_seed(0)
        model = make().eval()
        folder = tmp_path_factory.mktemp(name)
        model.save_pretrained(folder)
        file = "video_preprocessor_config.json" if name == "vjepa2" else "preprocessor_config.json"
        (folder / file).write_text(json.dumps(preprocessor))
        made[name] = folder, model
    return made


def random_frames(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 16, height, width, 3), np.uint8)


@pytest.mark.parametrize("name", MODELS)
def test_features_are_the_models_own(name, saved):
    folder, model = saved[name]
    _, preprocessor, half, says, shown = MODELS[name]
    extractor = make_extractor(f"hub:{folder}")
    width, height = extractor.frame_size(640, 360)
    assert (width, height) == ((32, 32) if preprocessor is SQUARE else (71, 40))  # the longer side is rounded down, as there
    frames = random_frames(3, height, width)
    found = extractor(frames, None)
    assert found.keys() == {"rgb"}
    assert found["rgb"].dtype == np.float32
    assert found["rgb"].shape == (3, extractor.streams["rgb"])

    top, left = (height - 32) // 2, (width - 32) // 2
    x = (frames[:, shown, top : top + 32, left : left + 32] / 255 - MEAN) / STD
    x = torch.from_numpy(x.astype(np.float32)).permute(0, 1, 4, 2, 3)
    network = half(model)
    with torch.inference_mode():
        if name == "vjepa2":
            expected = says(network(pixel_values_videos=x, skip_predictor=True))
        elif name == "videomae":
            expected = says(network(pixel_values=x))
        else:
            expected = says(network(pixel_values=x.flatten(0, 1))).reshape(3, 4, -1).mean(1)
    np.testing.assert_allclose(found["rgb"], expected.numpy(), rtol=1e-4, atol=1e-5)
    assert found["rgb"].std() > 1e-3


def test_pictures_come_with_their_channels_last(saved):
    """As they were decoded; convolutions take longer over any other order."""
    extractor = make_extractor(f"hub:{saved['resnet'][0]}")
    extractor.load()
    seen = []
    extractor._networks["rgb"].register_forward_pre_hook(lambda _, __, given: seen.append(given["pixel_values"]), with_kwargs=True)
    extractor(random_frames(2, 40, 40), None)
    assert [x.is_contiguous(memory_format=torch.channels_last) for x in seen] == [True]


def test_a_stack_of_flow_through_an_image_network(saved):
    """Averaged weights for each of ten channels: the same flow everywhere looks like a grey frame ten thirds as bright."""
    folder, model = saved["resnet"]
    extractor = make_extractor(f"hub:{folder}", {"flow_stack": 5})
    assert extractor.needs_flow
    assert extractor.streams == {"rgb": 24, "flow": 24}
    frames = random_frames(2, 40, 71)
    flow = np.full((2, 16, 40, 71, 2), 20 * 1.0, np.float32)  # the largest: one after scaling
    found = extractor(frames, flow)
    grey = torch.full((1, 3, 32, 32), 0.5 / np.mean(STD) * 10 / 3)
    with torch.inference_mode():
        expected = model(pixel_values=grey.float()).pooler_output.flatten()
    np.testing.assert_allclose(found["flow"], expected.expand(2, -1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["rgb"], make_extractor(f"hub:{folder}")(frames, None)["rgb"])
    moving = np.random.default_rng(1).normal(0, 5, flow.shape).astype(np.float32)
    assert np.abs(extractor(frames, moving)["flow"] - found["flow"]).max() > 1e-3
    for name in ("dino", "clip"):
        assert make_extractor(f"hub:{saved[name][0]}", {"flow_stack": 2})(frames[:, :, :32, :32], moving[:, :, :32, :32])[
            "flow"
        ].shape == (2, 16)


def test_extract_by_the_command_line_records_model_and_hash(saved, tmp_path, monkeypatch):
    folder, _ = saved["resnet"]
    path = film(tmp_path / "a.mp4", steady(1.5), draw=moving_blocks)
    monkeypatch.chdir(folder.parent)
    with pytest.raises(SystemExit) as ended:
        cli.main(["extract", str(path), "--out", str(tmp_path / "store"), "--extractor", f"hub:./{folder.name}", "--set", "fps=12"])
    assert ended.value.code == 0
    header = json.loads((tmp_path / "store" / "features.json").read_text())
    assert header["extractor"] == "hub"
    assert header["settings"]["model"] == str(folder)
    assert header["weights_sha256"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert FeatureStore(tmp_path / "store").load("a")["rgb"].shape == (2, 24)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """An empty cache, and a hub that must not be called."""
    import huggingface_hub

    calls = []
    real = huggingface_hub.snapshot_download

    def watched(model, **more):
        calls.append((model, more))
        if more.get("local_files_only"):
            return real(model, cache_dir=tmp_path / "cache", **more)
        folder = tmp_path / "cache" / f"models--{model.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        commit = more.get("revision") or "1" * 40
        (folder / "refs" / "main").write_text(commit)
        there = folder / "snapshots" / commit
        there.mkdir(parents=True, exist_ok=True)
        for file in watched.offered.iterdir():
            if any(file.match(pattern) for pattern in more["allow_patterns"]):
                (there / file.name).write_bytes(file.read_bytes())
        return str(there)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", watched)
    return watched, calls


def test_nothing_is_fetched_unless_asked(saved, no_network, tmp_path, capsys):
    watched, calls = no_network
    path = film(tmp_path / "a.mp4", steady(1), draw=moving_blocks)
    command = ["extract", str(path), "--out", str(tmp_path / "s"), "--extractor", "resnet101"]
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    assert ended.value.code == 2
    assert "fetch it with --download" in capsys.readouterr().err
    commit = NAMED["resnet101"].revision
    assert calls == [("microsoft/resnet-101", {"revision": commit, "local_files_only": True})]
    assert not (tmp_path / "s").exists()

    calls.clear()
    (saved["resnet"][0] / "custom_code.py").write_text("raise SystemExit('run')")
    watched.offered = saved["resnet"][0]
    hub_files.download("microsoft/resnet-101", commit)
    assert [more.get("local_files_only", False) for _, more in calls] == [True, False]  # is it here? no; then one call for it
    folder, name, kept = hub_files.folder_of("microsoft/resnet-101", commit)
    assert kept == commit == folder.name
    assert name == "microsoft/resnet-101"
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    assert make_extractor("resnet101").streams == {"rgb": 24}
    with pytest.raises(SystemExit) as ended:
        cli.main([*command[:-1], "motion", "--download"])
    assert ended.value.code == 2
    assert "has nothing to fetch" in capsys.readouterr().err


def test_code_that_comes_with_a_model_is_never_run(saved, tmp_path):
    folder = tmp_path / "evil"
    folder.mkdir()
    config = json.loads((saved["resnet"][0] / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (folder / "model.safetensors").write_bytes((saved["resnet"][0] / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="not a model that transformers knows"):
        make_extractor(f"hub:{folder}").load()
    assert not (tmp_path / "ran").exists()


def test_models_that_cannot_be_used(saved, tmp_path):
    words = transformers.BertModel(transformers.BertConfig(**SMALL, vocab_size=20))
    words.save_pretrained(tmp_path / "words")
    (tmp_path / "empty").mkdir()
    (tmp_path / "no_weights").mkdir()
    (tmp_path / "no_weights" / "config.json").write_bytes((saved["resnet"][0] / "config.json").read_bytes())
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "config.json").write_bytes((saved["resnet"][0] / "config.json").read_bytes())
    (torn / "model.safetensors").write_bytes((saved["resnet"][0] / "model.safetensors").read_bytes()[:3000])
    from safetensors.torch import load_file, save_file

    part = tmp_path / "part"
    part.mkdir()
    (part / "config.json").write_bytes((saved["resnet"][0] / "config.json").read_bytes())
    state = load_file(saved["resnet"][0] / "model.safetensors")
    first = state.pop("embedder.embedder.convolution.weight")
    save_file(state, part / "model.safetensors", {"format": "pt"})
    others = {
        "prefixed": {f"net.{name}": value for name, value in state.items()},
        "wider": state | {"embedder.embedder.convolution.weight": first.repeat(2, 1, 1, 1)},
    }
    for name, weights in others.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_bytes((saved["resnet"][0] / "config.json").read_bytes())
        save_file(weights, tmp_path / name / "model.safetensors", {"format": "pt"})
    for name, said in (("unreadable", "[1"), ("a_list", "[1]")):
        (tmp_path / name).mkdir()
        for file in saved["resnet"][0].iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
        (tmp_path / name / "preprocessor_config.json").write_text(said)
    for folder, words_said in (
        ("words", "no image or video backbone"),
        ("empty", "no config.json"),
        ("no_weights", "no weights in this folder"),
        ("torn", "cannot be read"),
        ("part", "lack 1 part"),
        ("prefixed", r"such as embedder\.embedder\.convolution\.weight; they hold net\."),
        ("wider", r"embedder\.embedder\.convolution\.weight has the shape \[16, 3, 7, 7\], not \[8, 3, 7, 7\]"),
        ("unreadable", r"preprocessor_config\.json"),
        ("a_list", r"preprocessor_config\.json"),
        ("absent", "no config.json"),
    ):
        with pytest.raises(InputError, match=words_said) as caught:
            make_extractor(f"hub:{tmp_path / folder}").load()
        assert "\n" not in str(caught.value)
    for more, words_said in (({"flow_stack": 2}, "takes clips"), ({"looks": 0}, "at least 1")):
        with pytest.raises(InputError, match=words_said):
            make_extractor(f"hub:{saved['videomae'][0]}", more)
    with pytest.raises(InputError, match="do not fit"):
        make_extractor(f"hub:{saved['resnet'][0]}", {"flow_stack": 9, "frames": 8})
    for name in ("hub", "hub:"):
        with pytest.raises(InputError, match="needs a model"):
            make_extractor(name)


def test_weights_of_the_old_kind_are_read_safely(saved, tmp_path):
    folder, model = saved["dino"]
    for file in ("config.json", "preprocessor_config.json"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    frames = random_frames(1, 32, 32)
    old, new = (make_extractor(f"hub:{place}")(frames, None)["rgb"] for place in (tmp_path, folder))
    np.testing.assert_array_equal(old, new)
    assert (
        make_extractor(f"hub:{tmp_path}").weights_sha256
        == hashlib.sha256((tmp_path / "pytorch_model.bin").read_bytes()).hexdigest()
    )


@pytest.mark.parametrize(
    ("said", "size", "middle"),
    [
        ({}, (56, 32), (32, 32)),
        ({"size": 48}, (48, 48), (48, 48)),
        ({"size": 48, "crop_size": 40, "do_center_crop": True}, (85, 48), (40, 40)),
        ({"size": {"shortest_edge": 28}, "crop_pct": 0.875}, (56, 32), (28, 28)),
        ({"size": {"height": 24, "width": 48}}, (48, 24), (24, 48)),
        ({"image_processor": {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}}, (64, 36), (32, 32)),
    ],
)
def test_preprocessors_in_their_several_spellings(said, size, middle, saved, tmp_path):
    folder = saved["dino"][0]
    for file in ("config.json", "model.safetensors"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    if said:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    extractor = make_extractor(f"hub:{tmp_path}")
    assert extractor.frame_size(640, 360) == size
    assert tuple(extractor._preparation.middle(torch.zeros(1, size[1], size[0], 3)).shape) == (1, *middle, 3)
    assert extractor._preparation.mean == tuple(hub_preparation.IMAGENET["image_mean"])


@pytest.mark.parametrize("kind", model_types.QUICK.split())
def test_a_kind_is_read_as_the_library_reads_it(kind):
    """The table of docs/extractors.md is what trying gives; `python -m tests.video.model_types` tries all."""
    row = model_types.try_kind(kind)
    assert not row.refused
    assert f"{row.line()}\n" in model_types.PAGE.read_text(encoding="utf-8")


def test_every_kind_that_sees_is_in_the_table():
    text = model_types.PAGE.read_text(encoding="utf-8")
    table = text.split(model_types.BEGIN)[1].split(model_types.END)[0]
    assert [kind for kind in {*model_types.listed(), *hub_kinds.KINDS} if f"`{kind}`" not in table] == []
    for kind in ("bert", "vit_mae", "sam", "qwen2_vl"):
        assert "no image or video backbone" in model_types.try_kind(kind).refused


def test_a_vivit_sees_what_its_processor_shows_it(saved, tmp_path):
    """Its offset is subtracted; without one the same file gives what it gives for all others."""
    for file in ("config.json", "model.safetensors"):
        (tmp_path / file).write_bytes((saved["dino"][0] / file).read_bytes())
    says = SQUARE | {"rescale_factor": 1 / 127.5, "offset": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(says))
    black = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    assert make_extractor(f"hub:{tmp_path}")._preparation(black).unique().tolist() == [-3.0]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(says | {"offset": False}))
    assert make_extractor(f"hub:{tmp_path}")._preparation(black).unique().tolist() == [-1.0]


def test_a_name_stands_for_a_commit_and_a_timing():
    kind, settings = plain_name("vjepa2", {"fps": 12})
    assert (kind, settings["model"], settings["fps"], settings["frames"]) == ("hub", "facebook/vjepa2-vitl-fpc64-256", 12, 16)
    assert settings["revision"] == NAMED["vjepa2"].revision
    assert plain_name("dinov2", {"model": "facebook/dinov2-base"})[1]["revision"] == ""  # another model's commits are others
    for name, known in NAMED.items():
        assert len(known.revision) == 40 or name == "videoprism"
        assert known.timing["stride"] / known.timing["fps"] == 0.64
        about = transformers.AutoConfig.for_model(known.kind, **known.shape)
        assert width_of(about, name) == known.width


def test_a_download_says_the_licence_once_and_keeps_the_commit(saved, no_network, monkeypatch, capsys):
    watched, _ = no_network
    watched.offered = saved["dinov2"][0]
    made = header_for("videoprism", {"model": "facebook/dinov2-small"}, "dis", download=True)
    assert made.settings["revision"] == "1" * 40  # what `main` was
    assert "facebook/dinov2-small: downloaded in the revision 111111111111; licence: Apache-2.0" in capsys.readouterr().err
    header_for("hub", {"model": "facebook/dinov2-small"}, "dis", download=True)
    assert "licence" not in capsys.readouterr().err


def test_a_single_video_is_seen_with_all_cores(saved, monkeypatch):
    """The cores that would idle are threads of its network, and its features are the same."""
    monkeypatch.setattr("untrimmed.video.extraction.cores", lambda: 8)
    assert [extraction._threads(videos, None) for videos in (1, 3, 5, 20)] == [8, 2, 1, 1]
    assert extraction._threads(1, 2) == 1  # processes of one thread, as many as were asked for
    frames, before = random_frames(4, 40, 71), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            extractor = make_extractor(f"hub:{saved['resnet'][0]}")
            extractor.threads = threads
            found.append(extractor(frames, None)["rgb"])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)

"""I3D against a plain network of torch's layers, its checkpoints, its views, and its features of real files."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from untrimmed import cli
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore
from untrimmed.video.extractors import make_extractor
from untrimmed.video.extractors.i3d import SIDE, Config, Inception3D, _ten_views
from untrimmed.video.extractors.networks import eight_bit_flow

from .films import film, moving_blocks, steady


class Unit(nn.Module):
    """Convolution with TensorFlow's padding, batch normalization, rectifier: as the paper's Figure 3 has them."""

    def __init__(self, inputs: int, outputs: int, side: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, side, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3)
        self.side, self.stride = side, stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv3d(padded(x, (self.side,) * 3, (self.stride,) * 3))))


def padded(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros so that ceil(size / stride) outputs fit, the odd one behind."""
    amounts: list[int] = []
    for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride))):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        amounts += [total // 2, total - total // 2]
    return nn.functional.pad(x, amounts)


def pooled(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    return nn.functional.max_pool3d(padded(x, kernel, stride), kernel, stride)


class Block(nn.Module):
    def __init__(self, inputs: int, b0: int, b1a: int, b1b: int, b2a: int, b2b: int, b3b: int) -> None:
        super().__init__()
        self.b0, self.b1a, self.b1b = Unit(inputs, b0), Unit(inputs, b1a), Unit(b1a, b1b, 3)
        self.b2a, self.b2b, self.b3b = Unit(inputs, b2a), Unit(b2a, b2b, 3), Unit(inputs, b3b)

    def forward(self, x: Tensor) -> Tensor:
        around = pooled(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(around)], 1)


class Plain(nn.Module):
    """The network layer by layer, from the table of the Inception-V1 paper (Szegedy et al., CVPR 2015)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(channels, 64, 7, 2)
        self.Conv3d_2b_1x1 = Unit(64, 64)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        self.Mixed_3b = Block(192, 64, 96, 128, 16, 32, 32)
        self.Mixed_3c = Block(256, 128, 128, 192, 32, 96, 64)
        self.Mixed_4b = Block(480, 192, 96, 208, 16, 48, 64)
        self.Mixed_4c = Block(512, 160, 112, 224, 24, 64, 64)
        self.Mixed_4d = Block(512, 128, 128, 256, 24, 64, 64)
        self.Mixed_4e = Block(512, 112, 144, 288, 32, 64, 64)
        self.Mixed_4f = Block(528, 256, 160, 320, 32, 128, 128)
        self.Mixed_5b = Block(832, 256, 160, 320, 32, 128, 128)
        self.Mixed_5c = Block(832, 384, 192, 384, 48, 128, 128)
        self.logits = nn.Module()
        self.logits.conv3d = nn.Conv3d(1024, 400, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = pooled(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = pooled(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        x = pooled(self.Mixed_3c(self.Mixed_3b(x)), (3, 3, 3), (2, 2, 2))
        for name in "bcdef":
            x = getattr(self, f"Mixed_4{name}")(x)
        x = self.Mixed_5c(self.Mixed_5b(pooled(x, (2, 2, 2), (2, 2, 2))))
        return nn.functional.avg_pool3d(x, (2, 7, 7), 1).mean((2, 3, 4))


def plain(channels: int) -> Plain:
    """A network of random weights whose activations neither vanish nor grow."""
    torch.manual_seed(channels)
    network = Plain(channels).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network


@pytest.fixture(scope="module")
def networks() -> dict[str, Plain]:
    return {"rgb": plain(3), "flow": plain(2)}


@pytest.fixture(scope="module")
def files(networks, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    torch.save(networks["rgb"].state_dict(), folder / "rgb.pt")
    save_file(networks["flow"].state_dict(), folder / "flow.safetensors")
    return {"rgb": folder / "rgb.pt", "flow": folder / "flow.safetensors"}


@pytest.mark.parametrize(("frames", "side"), [(16, SIDE), (9, 221), (20, 97)])
def test_the_network_is_the_plain_one(networks, frames, side):
    """Sizes that do not divide evenly too: the padding then differs from side to side."""
    x = torch.rand(1, 3, frames, side, side) * 2 - 1
    reference = networks["rgb"]
    with torch.inference_mode():
        fast = Inception3D(reference.state_dict(), 3, "cpu", "here")(x.permute(0, 2, 3, 4, 1).contiguous())
        if side == SIDE:
            slow = reference(x)
        else:  # no 7 x 7 is left to average over: the mean over all there is
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(nn.functional, "avg_pool3d", lambda y, *_: (y[:, :, 1:] + y[:, :, :-1]) / 2)
                slow = reference(x)
    assert fast.shape == (1, 1024)
    assert slow.std() > 0.01
    assert torch.allclose(fast, slow, rtol=1e-4, atol=1e-4 * float(slow.abs().max()))


def test_both_streams_with_the_papers_flow_images(networks, files):
    extractor = make_extractor("i3d", {f"{stream}_weights": str(file) for stream, file in files.items()})
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (1, 16, SIDE, SIDE, 3), np.uint8)
    flow = random.normal(0, 15, (1, 16, SIDE, SIDE, 2)).astype(np.float32)
    found = extractor(frames, flow)
    stored = np.rint((np.clip(flow, -20, 20) + 20) / 40 * 255).astype(np.uint8)  # as it would be read from an image
    for stream, images in (("rgb", frames), ("flow", stored)):
        with torch.inference_mode():
            expected = networks[stream](torch.from_numpy(images).float().permute(0, 4, 1, 2, 3) / 127.5 - 1).numpy()
        assert found[stream].dtype == np.float32
        np.testing.assert_allclose(found[stream], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_flow_images():
    flow = torch.tensor([-30.0, -20.0, 0.0, 0.07, 20.0, 99.0])
    levels = (eight_bit_flow(flow) + 1) * 127.5
    assert levels.tolist() == pytest.approx([0, 0, 128, 128, 255, 255])


def test_ten_views_are_the_corners_and_the_centre_and_their_mirror_images():
    x = torch.rand(1, 2, 256, 340, 2)
    views = _ten_views(x, is_flow=True)
    assert len(views) == 10
    assert {tuple(view.shape) for view in views} == {(1, 2, SIDE, SIDE, 2)}
    assert torch.equal(views[3], x[:, :, 32:, 116:])
    assert torch.equal(views[4], x[:, :, 16:240, 58:282])
    assert torch.equal(views[8][..., 1], x[:, :, 32:, 116:, 1].flip(3))  # up stays up
    assert torch.equal(views[8][..., 0], -x[:, :, 32:, 116:, 0].flip(3))  # right becomes left
    assert torch.equal(_ten_views(x, is_flow=False)[8], x[:, :, 32:, 116:].flip(3))


def test_ten_views_are_averaged(networks, files, monkeypatch):
    extractor = make_extractor("i3d", {"rgb_weights": str(files["rgb"]), "views": 10})
    assert extractor.frame_size(1920, 1080) == (340, 256)
    assert make_extractor("i3d", {"rgb_weights": str(files["rgb"])}).frame_size(1920, 1080) == (SIDE, SIDE)
    monkeypatch.setattr(Inception3D, "__call__", lambda _, x: x.mean((1, 2, 3, 4))[:, None].expand(-1, 1024))
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 256, 340, 3), np.uint8)
    expected = torch.stack([v.mean((1, 2, 3, 4)) for v in _ten_views(torch.from_numpy(frames) / 127.5 - 1, is_flow=False)]).mean(0)
    np.testing.assert_allclose(extractor(frames, None)["rgb"][:, 0], expected, atol=1e-5)


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor takes minutes for bfloat16")
def test_half_precision_is_near(networks, files):
    settings = {"rgb_weights": str(files["rgb"])}
    frames = np.random.default_rng(0).integers(0, 256, (1, 9, SIDE, SIDE, 3), np.uint8)
    whole = make_extractor("i3d", settings)(frames, None)["rgb"]
    half = make_extractor("i3d", settings | {"precision": "bfloat16"})(frames, None)["rgb"]
    assert half.dtype == np.float32
    assert not np.array_equal(half, whole)
    assert np.corrcoef(half[0], whole[0])[0, 1] > 0.99


def test_extract_records_the_hash_and_weights_may_move(files, tmp_path, capsys):
    path = film(tmp_path / "a.mp4", steady(1.5), draw=moving_blocks)
    arguments = ["extract", str(path), "--out", str(tmp_path / "store"), "--extractor", "i3d", "--set", "fps=12", "--workers", "1"]

    def call(rgb: Path) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([*arguments, "--set", f"rgb_weights={rgb}"])
        return int(ended.value.code or 0), capsys.readouterr().err

    assert call(files["rgb"])[0] == 0
    header = json.loads((tmp_path / "store" / "features.json").read_text())
    assert header["extractor"] == "i3d"
    assert header["streams"] == {"rgb": 1024}
    assert header["weights_sha256"] == f"rgb:{hashlib.sha256(files['rgb'].read_bytes()).hexdigest()}"
    assert header["settings"]["rgb_weights"] == str(files["rgb"])
    assert "flow" not in header["settings"]
    store = FeatureStore(tmp_path / "store")
    assert store.load("a")["rgb"].shape == (2, 1024)
    assert store.timeline("a").step == pytest.approx(16 / 12)

    moved = tmp_path / "moved.pt"
    moved.write_bytes(files["rgb"].read_bytes())
    code, said = call(moved)
    assert (code, "extracted already" in said) == (0, True)
    changed = dict(torch.load(moved, weights_only=True))
    changed["Conv3d_1a_7x7.bn.bias"] = changed["Conv3d_1a_7x7.bn.bias"] + 1
    torch.save(changed, moved)
    code, said = call(moved)
    assert code == 2
    assert "weights_sha256" in said


def broken(change) -> dict[str, Tensor]:
    state = Plain(3).state_dict()
    change(state)
    return state


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda file: None, "no such checkpoint"),
        (lambda file: file.write_bytes(b"PK not a checkpoint"), "not a checkpoint that can be read safely"),
        (lambda file: torch.save([1, 2], file), "no state_dict"),
        (lambda file: torch.save({"weights": Path("x")}, file), "not a checkpoint that can be read safely"),
        (lambda file: torch.save({"layer.weight": torch.zeros(1)}, file), "there is no Conv3d_1a_7x7.conv3d.weight"),
        (lambda file: torch.save(Plain(2).state_dict(), file), "are the RGB and the flow network's files exchanged"),
        (lambda file: torch.save(broken(lambda s: s.pop("Mixed_4d.b2b.bn.running_var")), file), "Mixed_4d.b2b.bn.running_var"),
    ],
    ids=["absent", "noise", "list", "pickled object", "another network", "exchanged", "incomplete"],
)
def test_weights_at_fault_are_told_before_any_work(make, words, tmp_path, capsys):
    path = film(tmp_path / "a.mp4", steady(1))
    make(tmp_path / "weights.pt")
    words_of_command = ["extract", str(path), "--out", str(tmp_path / "s"), "--extractor", "i3d"]
    with pytest.raises(SystemExit) as ended:
        cli.main([*words_of_command, "--set", f"rgb_weights={tmp_path / 'weights.pt'}"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert words in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "s").exists()


def test_without_weights_it_says_what_is_needed():
    with pytest.raises(InputError, match="`settings` rgb_weights=FILE"):
        make_extractor("i3d")


def test_checkpoints_as_people_keep_them(networks, tmp_path):
    """From a parallel model, and beside an optimizer's state."""
    state = {f"module.{name}": value for name, value in networks["rgb"].state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "a.pt")
    extractor = make_extractor("i3d", {"rgb_weights": str(tmp_path / "a.pt")})
    extractor.load()
    assert extractor.config == Config(rgb_weights=str(tmp_path / "a.pt"))

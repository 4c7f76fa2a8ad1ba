"""What extractors that hold a network share: where arrays go, how numbers are rounded, and decoding beside the network."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from untrimmed import cli
from untrimmed.video.decode import VideoError
from untrimmed.video.extractors.networks import in_precision, to_device
from untrimmed.video.features import VideoFeatures

from .films import cut, film, moving_blocks, steady


class Beside:
    """An extractor that says it computes elsewhere, so that decoding goes on in a thread beside it."""

    needs_flow = True
    batch = 2
    config = SimpleNamespace(fps=25, frames=4, stride=2, size=32)

    def __init__(self, device: str, breaks_at: int = 10**9) -> None:
        self.device, self.calls, self.breaks_at = device, 0, breaks_at
        self.threads: set[str] = set()

    def __call__(self, frames, flow):
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        if self.calls == self.breaks_at:
            raise MemoryError("the GPU is full")
        return {"rgb": frames.reshape(len(frames), -1)[:, ::97].astype(np.float32), "flow": flow.reshape(len(flow), -1)[:, ::97]}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return film(tmp_path_factory.mktemp("films") / "a.mp4", steady(3), draw=moving_blocks)


def test_decoding_beside_the_network_gives_the_same(path):
    found = {}
    for device in ("cpu", "cuda"):
        source = VideoFeatures(path, Beside(device), "dis")
        rows = list(source)
        found[device] = [np.concatenate([row[stream] for row in rows]) for stream in ("rgb", "flow")]
        assert len(found[device][0]) == source.entry().snippets == 37
        assert source.extractor.threads == {threading.current_thread().name}  # torch is used by one thread
    for one, other in zip(found["cpu"], found["cuda"]):
        np.testing.assert_array_equal(one, other)


def test_a_network_that_breaks_ends_the_decoding(path):
    before = threading.active_count()
    with pytest.raises(MemoryError, match="the GPU is full"):
        for _ in (rows := iter(VideoFeatures(path, Beside("cuda", breaks_at=3), "dis"))):
            pass
    rows.close()
    assert threading.active_count() == before


def test_a_video_that_breaks_ends_the_wait_for_it(tmp_path):
    broken = cut(film(tmp_path / "b.mp4", steady(1)), 0.5)
    before = threading.active_count()
    with pytest.raises(VideoError, match=r"b\.mp4"):
        list(VideoFeatures(broken, Beside("cuda"), "dis"))
    assert threading.active_count() == before


def test_arrays_and_precision_on_the_cpu():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert torch.equal(to_device(array, "cpu"), torch.from_numpy(array))
    x = torch.linspace(0, 1, 64).reshape(8, 8)
    with in_precision("float32", "cpu"):
        assert torch.equal(x @ x, torch.mm(x, x))
        assert (x @ x).dtype == torch.float32
    with in_precision("bfloat16", "cpu"):
        assert (x @ x).dtype == torch.bfloat16


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_arrays_and_precision_on_a_gpu():
    array = np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32)
    x = to_device(array, "cuda")
    np.testing.assert_array_equal(x.cpu().numpy(), array)
    weight = torch.randn(16, 3, 3, 3, device="cuda")
    exact = torch.nn.functional.conv2d(x.double(), weight.double())
    with in_precision("float32", "cuda"):
        assert float((torch.nn.functional.conv2d(x, weight) - exact).abs().max()) < 1e-4
    with in_precision("float16", "cuda"):
        assert torch.nn.functional.conv2d(x, weight).dtype == torch.float16


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_one_line(path, tmp_path, capsys):
    from tests.video.test_i3d import Plain

    torch.save(Plain(3).state_dict(), tmp_path / "rgb.pt")
    words = [
        "extract",
        str(path),
        "--out",
        str(tmp_path / "s"),
        "--extractor",
        "i3d",
        "--set",
        f"rgb_weights={tmp_path / 'rgb.pt'}",
    ]
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--device", "cuda"])
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "torch sees no GPU here" in said[0]
    assert not (tmp_path / "s").exists()

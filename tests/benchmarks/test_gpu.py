"""benchmarks/gpu.py: a device beside the CPU. Without a GPU the CPU stands beside itself, and nothing differs."""

from dataclasses import replace

import pytest
import torch

import gpu
from untrimmed.data.errors import InputError
from untrimmed.video.extractors.named import NAMED

SMALL = ["--videos", "20", "--width", "8", "--epochs", "1", "--films", "1", "--seconds", "0.7"]


def test_the_cpu_agrees_with_itself(capsys, monkeypatch):
    pytest.importorskip("transformers")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    monkeypatch.setitem(NAMED, "dinov2", replace(NAMED["dinov2"], shape=shape, side=28))
    with pytest.raises(SystemExit) as end:
        gpu.main(["--device", "cpu", *SMALL])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(",")[0] for row in rows] == ["| train dgam", "| train selftrain", "| localize dgam", "| extract dinov2"]
    assert all("| 0 (at most" in row for row in rows)
    assert not end.value.code


def test_what_differs_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "learn", lambda folder, method, device, epochs: (1.0, 0.5 if device == "cpu" else 0.9))
    monkeypatch.setattr(gpu, "curves", lambda folder, run, device: (1.0, gpu.np.zeros(3)))
    monkeypatch.setattr(gpu, "rows_of", lambda films, device: (1.0, gpu.np.zeros(3)))
    rows, fine = gpu.compared("other", tmp_path, 8, 4, 1, [])
    assert not fine
    assert "0.4 (at most 0.1)" in rows[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so():
    with pytest.raises(InputError, match="torch sees no GPU here"):
        gpu.main([])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_agrees_with_the_cpu():
    pytest.importorskip("transformers")
    with pytest.raises(SystemExit) as end:
        gpu.main(["--device", "cuda", "--videos", "60", "--width", "32", "--epochs", "20", "--seconds", "2"])
    assert not end.value.code

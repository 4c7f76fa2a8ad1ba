"""What once was lost, wasted or answered with a traceback, each with the input that did it.

What belongs to one module is tested beside it: outputs in data/test_outputs.py, `localize` in jobs/test_localize.py, extraction in
jobs/test_extract.py. Here is what only the whole shows.
"""

import errno
import json
import os
import pty
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml

from tests.methods.planted import Planted, plant
from tests.video.films import film, moving_blocks, steady
from untrimmed import cli
from untrimmed.data.errors import InputError
from untrimmed.data.files import quote_cell, unquote_cell
from untrimmed.data.packs import read_pack
from untrimmed.data.settings import parse_assignments
from untrimmed.data.store import FeatureStore
from untrimmed.data.yaml_files import parse_yaml
from untrimmed.jobs.extract import extract
from untrimmed.jobs.recipe import recipe
from untrimmed.jobs.train import train
from untrimmed.runs.folder import RunFolder
from untrimmed.training import claim
from untrimmed.video.decode import LONGEST_GAP, Frames

WEIGHTS = "model/weights.safetensors"
BRIEF = {"epochs": 2, "batch": 4, "data": {"snippets": 8}}


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    made = plant(tmp_path_factory.mktemp("planted"), train=6, test=2, empty=1, length=(12, 14), streams={"rgb": 8, "flow": 6})
    train("wtalc", features=made.features, labels=made.labels, out=made.folder / "run", settings=BRIEF)
    return made


@pytest.fixture
def run(planted, tmp_path):
    """A copy of the run that a test may damage."""
    shutil.copytree(planted.folder / "run", tmp_path / "run")
    return tmp_path / "run"


def resume(planted, run, **more):
    shutil.rmtree(run / "model", ignore_errors=True)
    return train("wtalc", features=planted.features, labels=planted.labels, out=run, settings=BRIEF, resume=True, **more)


def child(*arguments, **more):
    """The command line in a process of its own."""
    program = [sys.executable, "-m", "untrimmed", *map(str, arguments)]
    return subprocess.run(program, check=False, **({"capture_output": True, "text": True} | more))


# 5: `train --videos` after an extraction with other settings ---------------------------------------------------------------------


def test_features_that_were_set_aside_do_not_stop_the_training(tmp_path):
    for name in ("one", "two"):
        film(tmp_path / "videos" / f"{name}.mp4", steady(1), draw=moving_blocks)
    (tmp_path / "labels.csv").write_text("video,label\none,a\ntwo,\n")
    how = {"videos": tmp_path / "videos", "labels": tmp_path / "labels.csv", "out": tmp_path / "run", "workers": 1}
    with pytest.raises(InputError, match="diverged"):
        train("wtalc", **how, settings=BRIEF | {"learning_rate": 1e30, "epochs": 10, "extractor": {"size": 32, "fps": 10}})
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    for name in ("config.yaml", "environment.json", "metrics.jsonl"):
        (tmp_path / "run" / name).unlink(missing_ok=True)
    (tmp_path / "run" / ".lock").unlink()
    train("wtalc", **how, settings=BRIEF | {"extractor": {"size": 48, "fps": 10}})
    assert RunFolder(tmp_path / "run").is_finished
    assert FeatureStore(tmp_path / "run" / "features.1").header.settings["size"] == 32


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", ".features.json.0123456789ab.part"]])
def test_an_extraction_killed_before_its_header_is_gone_on_with(left, tmp_path):
    film(tmp_path / "videos" / "one.mp4", steady(1), draw=moving_blocks)
    (tmp_path / "features").mkdir()
    for name in left:
        (tmp_path / "features" / name).touch()
    extract(tmp_path / "videos", tmp_path / "features", settings={"size": 32, "fps": 10}, workers=1, force=True)
    assert {child.name for child in tmp_path.iterdir()} == {"videos", "features"}
    assert not list((tmp_path / "features").glob(".*.part"))
    assert list(FeatureStore(tmp_path / "features").videos) == ["one"]


# 6: a last frame of six years ----------------------------------------------------------------------------------------------------


def test_the_last_frame_lasts_no_longer_than_the_longest_gap(tmp_path):
    frames = Frames(film(tmp_path / "v.mp4", steady(1.2)), 0.01, lambda width, height: (16, 16))
    frames._length = lambda frame: 6 * 365 * 86400.0
    shown = sum(1 for _ in frames)
    assert frames.duration < LONGEST_GAP + 2
    assert shown <= 0.01 * (LONGEST_GAP + 2) + 1


# 7: places that one cannot name or enter -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["x" * 5000, "a/" * 2500, ".", "/", "..", "", "/dev/null", "/proc/self/mem", "nowhere/at/all"])
def test_no_place_is_a_bug(place, planted, tmp_path, monkeypatch, capsys):
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    features, labels, out = str(planted.features), str(planted.labels), str(tmp_path / "o")
    truth = str(planted.annotations)
    for arguments in (
        ["extract", place, "--out", out],
        ["extract", "nowhere", "--out", place],
        ["init", place, "--out", out],
        ["init", str(planted.folder), "--out", place],
        ["validate", "--features", place, "--labels", labels],
        ["validate", "--features", features, "--labels", place],
        ["train", "wtalc", "--features", place, "--labels", labels, "--out", out],
        ["train", "wtalc", "--videos", place, "--labels", labels, "--out", out],
        ["train", "wtalc", "--features", features, "--labels", place, "--out", out],
        ["train", "wtalc", "--features", features, "--labels", "nowhere", "--out", place, "--force"],
        ["localize", place, "--features", features, "--out", out],
        ["localize", str(planted.folder / "run"), "--features", place, "--out", out],
        ["localize", str(planted.folder / "nowhere"), "--features", features, "--out", place],
        ["evaluate", place, "--annotations", truth],
        ["evaluate", truth, "--annotations", place],
        ["report", place, "--out", out],
        ["report", truth, "--out", place, "--force"],
        ["export", place, "--format", "csv", "--out", out],
        ["names", place, "--out", out],
        ["convert", place, "--layout", "acmnet", "--out", out],
        ["convert", "nowhere", "--layout", "acmnet", "--out", place, "--force"],
        ["compare", place, "--out", out],
        ["recipe", "thumos14", "--features", place, "--out", out],
        ["refine", place, "--out", out],
    ):
        if place == "/" and (arguments[:2] in (["extract", "/"], ["init", "/"]) or "--videos" in arguments):
            continue  # would look through the whole machine for videos
        with pytest.raises(SystemExit) as done:
            cli.main(arguments)
        out_, said = capsys.readouterr()
        assert done.value.code == 2, (arguments, said)
        assert max(map(len, (out_ + said).splitlines())) <= 300
        assert said.count("\n") == 1 or (arguments[0] == "validate" and not said), (arguments, said)  # which prints its faults
    assert os.listdir(tmp_path) == ["inner"]


# 8: killed before config.yaml ----------------------------------------------------------------------------------------------------


def test_a_run_that_was_killed_while_it_began_is_begun_again(planted, tmp_path):
    for number, resumed in enumerate((False, True)):
        out = tmp_path / f"run{number}"
        (out / "checkpoints").mkdir(parents=True)
        (out / "environment.json").write_text("{}")
        (out / ".lock").touch()
        train("wtalc", features=planted.features, labels=planted.labels, out=out, settings=BRIEF, resume=resumed)
        assert (out / "model" / "weights.safetensors").read_bytes() == (
            planted.folder / "run/model/weights.safetensors"
        ).read_bytes()
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "environment.json").write_text("mine")
    with pytest.raises(InputError, match="already exists"):
        claim(tmp_path / "diary")


# 11: damaged files of one's own --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        ("metrics.jsonl", lambda text: text[:20] + b"\n" + text[20:], "line 1: damaged; delete the file to go on"),
        ("metrics.jsonl", lambda text: bytes(30) + text[30:], "line 1: damaged; delete the file to go on"),
        ("config.yaml", lambda text: b"", "damaged (not as a run writes it); begin with `force`"),
        ("config.yaml", lambda text: text[: len(text) // 3] + b"\n: [", "damaged (not usable YAML at line"),
        ("environment.json", lambda text: b"[]", "environment.json: expected an object, found []"),
        ("checkpoints/joint.safetensors", lambda text: text.replace(b"net/embedding.bias", b"net/embedding.bios", 1), "damaged"),
        ("checkpoints/joint.safetensors", lambda text: text[:-9], "damaged"),
        ("checkpoints/joint.safetensors", lambda text: b"", "damaged"),
    ],
)
def test_what_is_damaged_is_named_on_resuming(file, damage, words, planted, run):
    (run / file).write_bytes(damage((run / file).read_bytes()))
    with pytest.raises(InputError) as fault:
        resume(planted, run)
    assert str(fault.value).startswith(str(run))
    assert words in str(fault.value)
    assert len(str(fault.value)) < 400


def test_a_damaged_log_may_be_deleted_and_the_run_goes_on(planted, run):
    (run / "metrics.jsonl").unlink()
    resume(planted, run)
    assert (run / WEIGHTS).read_bytes() == (planted.folder / "run" / WEIGHTS).read_bytes()


def test_weights_that_are_no_numbers_are_refused(run):
    file = run / "model" / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-4:] = np.float32(np.nan).tobytes()
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"the model cannot be read \(.* has a value that is not finite\)"):
        RunFolder(run).method()


# 12: no locks ------------------------------------------------------------------------------------------------------------------

NO_LOCKS = f"""
import fcntl, sys
def missing(*_):
    raise OSError({errno.ENOLCK}, "No locks available")
fcntl.flock = fcntl.lockf = missing
from untrimmed.cli import main
mark = sys.argv.index("and")
for arguments in (sys.argv[1:mark], sys.argv[mark + 1:]):
    try:
        main(arguments)
    except SystemExit as end:
        print("ended", end.code, file=sys.stderr)
"""


def test_a_file_system_without_locks_stops_neither_train_nor_compare(planted, tmp_path):
    names = {"features": planted.features, "labels": planted.labels, "annotations": planted.annotations}
    data = {"d": {name: str(path) for name, path in names.items()} | {"subset": "test"}}
    runs = {"one": {"method": "wtalc", "settings": BRIEF}}
    (tmp_path / "e.yaml").write_text(yaml.safe_dump({"data": data, "runs": runs, "seeds": 1, "metrics": ["mAP@0.5"]}))
    settings = ["--set", "epochs=2", "--set", "batch=4", "--set", "data.snippets=8"]
    train = ["train", "wtalc", "--features", planted.features, "--labels", planted.labels, "--out", tmp_path / "run", *settings]
    both = [*train, "and", "compare", tmp_path / "e.yaml", "--out", tmp_path / "compared"]
    done = subprocess.run([sys.executable, "-c", NO_LOCKS, *map(str, both)], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    of_train, of_compare, nothing = done.stderr.split("ended 0\n")
    assert "its file system has no locks" in of_train
    assert "its file system has no locks" in of_compare
    assert nothing == ""


def test_a_file_system_without_locks_stops_no_recipe(planted, tmp_path, monkeypatch, capsys):
    def missing(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", missing)
    monkeypatch.setattr("fcntl.lockf", missing)
    truth = {"annotations": planted.annotations, "labels": planted.labels}
    done = recipe(
        "thumos14", method="wtalc", features=planted.features, **truth, out=tmp_path / "out", settings=BRIEF | {"background": True}
    )
    assert done.evaluations
    assert "run: its file system has no locks; see to it that only one command at a time works in it" in capsys.readouterr().err


# 13: the last line of a log ------------------------------------------------------------------------------------------------------


def test_a_finished_run_that_is_resumed_keeps_what_it_logged_when_it_settled(planted, tmp_path):
    brief = {"epochs": 1, "rounds": 3, "hidden": 8, "pooling": "attention", "guide": 0, "settled": 1.0, "data": {"snippets": 8}}
    how = {"features": planted.features, "unlabelled": True, "clusters": 2, "out": tmp_path / "run", "settings": brief}
    train("tcam", **how, workers=1)
    logged = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "changed" in logged.splitlines()[-1]
    train("tcam", **how, workers=1, resume=True)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == logged


# 14: the order of streams --------------------------------------------------------------------------------------------------------


def test_the_order_of_streams_in_the_header_changes_nothing(planted, tmp_path):
    shutil.copytree(planted.features, tmp_path / "features")
    header = json.loads((tmp_path / "features" / "features.json").read_text())
    header["streams"] = dict(reversed(header["streams"].items()))
    (tmp_path / "features" / "features.json").write_text(json.dumps(header))
    assert list(header["streams"]) == ["flow", "rgb"]
    assert list(FeatureStore(tmp_path / "features").streams) == ["rgb", "flow"]
    train("wtalc", features=tmp_path / "features", labels=planted.labels, out=tmp_path / "run", settings=BRIEF)
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (planted.folder / "run/model/weights.safetensors").read_bytes()


# 15: smaller ones ----------------------------------------------------------------------------------------------------------------

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 2024-99-99", "month must be in 1..12"),
        ("a: 0x_", "invalid literal"),
        ("a: !!int x", "invalid literal"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        (BOMB, "more than 10000 values"),
        ("a: &a [*a]", "an alias that is within what it stands for"),
        ("[" * 200, "more than 50 values within each other"),
        ("x" * 300_000, "expected YAML of at most 256 KiB"),
        ("a: \x00", "special characters are not allowed"),
        (r'a: ["\ud800"]', r"half of a character, \ud800"),
        (r'a: ["\U0000dfff"]', r"half of a character, \udfff"),
    ],
)
def test_yaml_that_is_none_or_too_much(text, words):
    with pytest.raises(InputError) as fault:
        parse_yaml(text, "FILE")
    assert str(fault.value).startswith("FILE: ")
    assert words in str(fault.value)
    assert len(str(fault.value)) < 300
    with pytest.raises(InputError, match=r"is no value"):
        parse_assignments([f"thresholds={text}"])


def test_yaml_aliases_that_are_no_bomb_are_read():
    assert parse_yaml("a: &a [1, 2]\nb: {<<: {c: *a}, d: *a}", "FILE") == {"a": [1, 2], "b": {"c": [1, 2], "d": [1, 2]}}


def test_features_too_large_to_calculate_with_are_named(planted, tmp_path):
    shutil.copytree(planted.features, tmp_path / "features")
    array = np.load(tmp_path / "features" / "rgb" / "train001.npy")
    array[7, 3] = -3.4e38
    np.save(tmp_path / "features" / "rgb" / "train001.npy", array)
    with pytest.raises(InputError, match=r"rgb/train001\.npy: row 7 has a value of 3\.4e\+38"):
        FeatureStore(tmp_path / "features").load("train001")


def test_a_source_that_is_text_is_named(planted, tmp_path):
    shutil.copytree(planted.features, tmp_path / "features")
    header = json.loads((tmp_path / "features" / "features.json").read_text())
    header["videos"]["train001"]["source"] = "camera 3"
    (tmp_path / "features" / "features.json").write_text(json.dumps(header))
    with pytest.raises(InputError, match=r"features\.json: video train001: source: expected an object, found 'camera 3'"):
        FeatureStore(tmp_path / "features")


def test_a_pack_that_asks_for_terabytes_is_refused(tmp_path):
    """`numpy.ndarray((10**12,))`, as a pickle says it."""
    truth = tmp_path / "T-Annotations"
    truth.mkdir()
    np.save(truth / "videoname.npy", np.array([b"a", None], object), allow_pickle=True)
    whole = (truth / "videoname.npy").read_bytes()
    head = whole[: whole.index(b"\x80\x04")]
    (truth / "videoname.npy").write_bytes(head + b"cnumpy\nndarray\n(I1000000000000\nt\x85R.")
    with pytest.raises(InputError, match="not an array of arrays"):
        read_pack(truth, "wtalc", None, False, True)


@pytest.mark.parametrize("text", ["＝1+1", "＋1", "－1", "＠x", "'＝1", "=1"])
def test_full_width_formulas_are_quoted_too(text):
    assert quote_cell(text) == f"'{text}"
    assert unquote_cell(quote_cell(text)) == text


def test_a_full_stdout_and_a_closed_one(planted):
    says = ["validate", "--features", str(planted.features), "--labels", str(planted.labels)]
    with open("/dev/full", "w") as full:
        done = child(*says, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert (done.returncode, done.stderr) == (2, "error: stdout: cannot be read or written: No space left on device\n")
    program = ["sh", "-c", f"{shlex.join([sys.executable, '-m', 'untrimmed', *says])} >&-"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_label_that_an_ascii_terminal_cannot_show(planted, tmp_path):
    truth = planted.annotations.read_text().replace("act00", "läuft")
    (tmp_path / "t.json").write_text(truth, encoding="utf-8")
    found = {video: [] for video in json.loads(truth)["database"]}
    (tmp_path / "d.json").write_text(json.dumps({"results": found}))
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = child("evaluate", tmp_path / "d.json", "--annotations", tmp_path / "t.json", env=ascii_only)
    assert done.returncode == 0, done.stderr
    done = child("evaluate", tmp_path / "d.json", "--annotations", tmp_path / "t.json", "--json", env=ascii_only)
    assert "läuft" in json.loads(done.stdout)["per_class"]


def test_control_characters_of_names_do_not_reach_a_terminal(planted, tmp_path):
    name = tmp_path / "a\x1b[31mred.json"
    (name).write_text('{"results": {"v": []}}')
    done = child("export", name, "--format", "srt", "--out", tmp_path / "a\x1b[31m.srt")
    assert done.stdout.endswith("a\x1b[31m.srt\n")  # a program that reads it gets the name as it is
    done = child("evaluate", name, "--annotations", planted.annotations, "--subset", "x")
    assert "\x1b" not in done.stderr
    ours, theirs = pty.openpty()
    child("export", name, "--format", "srt", "--out", tmp_path / "a\x1b[31m.srt", stdout=theirs, capture_output=False)
    os.close(theirs)
    assert b"\x1b" not in os.read(ours, 10000)
    os.close(ours)


def test_a_run_folder_that_is_deleted_while_it_trains(planted, tmp_path, monkeypatch):
    """Nothing of it is made again, and the end is no success."""
    from untrimmed.training.run import Run

    real = Run.log

    def log(self, **values):
        real(self, **values)
        shutil.rmtree(self.folder)

    monkeypatch.setattr(Run, "log", log)
    with pytest.raises(InputError, match="was deleted or replaced while it was trained in"):
        train("wtalc", features=planted.features, labels=planted.labels, out=tmp_path / "run", settings=BRIEF, workers=1)
    assert os.listdir(tmp_path) == []

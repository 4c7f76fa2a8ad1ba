"""The command line: exit codes, one clear line for every fault of the user, and nothing lost by any of them."""

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from tests.methods.planted import Planted, plant
from tests.video.films import film, moving_blocks, steady
from untrimmed import cli
from untrimmed.cli_endings import with_flags

BRIEF = ["--set", "epochs=2", "--set", "batch=8", "--set", "hidden=8", "--set", "latent=4", "--set", "data.snippets=8"]
LOOSE = ["--set", "class_threshold=0.01"]
COMMANDS = [
    "demo",
    "extract",
    "init",
    "validate",
    "train",
    "localize",
    "evaluate",
    "report",
    "export",
    "convert",
    "methods",
    "doctor",
]


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    """A problem, a run on it, and its detections."""
    planted = plant(tmp_path_factory.mktemp("planted"), train=12, test=4, length=(10, 14))
    folder = planted.folder
    for arguments in (
        ["train", "dgam", "--features", planted.features, "--labels", planted.labels, "--out", folder / "run", *BRIEF],
        ["localize", folder / "run", "--features", planted.features, "--out", folder / "d.json", *LOOSE],
    ):
        with pytest.raises(SystemExit) as done:
            cli.main([str(a) for a in arguments])
        assert done.value.code == 0
    return planted


@pytest.fixture
def refused(call, planted, tmp_path):
    """Run a command that must end with exit code 2 and one line; what was there must stay, byte for byte."""

    def run(words, *arguments):
        before = files_of(planted.folder), files_of(tmp_path)
        code, out, err = call(*arguments)
        assert code == 2, err
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1, err
        assert words in err, err
        assert (files_of(planted.folder), files_of(tmp_path)) == before

    return run


def files_of(folder):
    return {str(f.relative_to(folder)): f.read_bytes() if f.is_file() else None for f in sorted(folder.rglob("*"))}


def child(program, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)], capture_output=True, text=True, check=False, **more
    )


# What it prints ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([command, "--help"] for command in COMMANDS)])
def test_help(arguments, call):
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: ")
    assert "\x1b" not in out


def test_help_names_every_command(call):
    _, out, _ = call("--help")
    listed = re.findall(r"^  (\w+)  ", out, re.M)
    assert set(COMMANDS) <= set(listed)


def test_without_a_command_the_help_is_shown(call):
    code, out, err = call()
    assert code == 2
    assert out == ""
    assert err.startswith("Usage: ")
    assert len(err.splitlines()) > 10  # readable, not one line


def test_methods(call):
    code, out, _ = call("methods")
    assert code == 0
    assert "dgam: DGAM" in out
    assert "presets: default, thumos14, activitynet" in out
    code, out, _ = call("methods", "dgam")
    assert code == 0
    for name in ("gam = true", "epochs = 100", "localization.nms = 0.5", "data.snippets = ", "weight of L_guide"):
        assert name in out


def test_doctor(call):
    code, out, err = call("doctor")
    assert (code, err) == (0, "")
    assert "untrimmed 0" in out
    assert f"torch: {torch.__version__}".split("+")[0] in out
    assert "optical flow: dis ok" in out
    assert "h264 ok" in out
    assert "MISSING" not in out
    assert "does not work" not in out


def test_stdout_holds_the_result_alone(call, planted):
    code, out, err = call("evaluate", planted.folder / "d.json", "--annotations", planted.annotations, "--subset", "test", "--json")
    assert code == 0
    scores = json.loads(out)
    assert scores["subset"] == "test"
    assert scores["selection"] == "last"
    assert 0 <= scores["average"] <= 1
    code, out, err = call(
        "localize", planted.folder / "run", "--features", planted.features, "--out", planted.folder / "again.json"
    )
    assert (code, out) == (0, "")
    assert "detections in 16 videos" in err


# Exit codes -------------------------------------------------------------------------------------------------------------------


def test_an_interrupted_command(call, monkeypatch):
    def stop(name, preset):
        raise KeyboardInterrupt

    monkeypatch.setattr("untrimmed.jobs.methods.describe_methods", stop)
    assert call("methods") == (130, "", "interrupted\n")


def test_a_reader_that_has_gone(planted, tmp_path):
    """As in `untrimmed export … | head -0`: no words about it."""
    read, write = os.pipe()
    os.close(read)
    program = [
        sys.executable,
        "-m",
        "untrimmed",
        "export",
        str(planted.folder / "d.json"),
        "--format",
        "csv",
        "--out",
        str(tmp_path / "d.csv"),
    ]
    done = subprocess.run(program, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bug_is_shown_whole(monkeypatch):
    def fail(name, preset):
        raise RuntimeError("a bug")

    monkeypatch.setattr("untrimmed.jobs.methods.describe_methods", fail)
    with pytest.raises(RuntimeError, match="a bug"):  # which Python ends with a traceback and exit code 1
        cli.main(["methods"])


def test_inputs_that_were_left_out(call, tmp_path):
    film(tmp_path / "videos" / "good.mp4", steady(1), draw=moving_blocks)
    for name, content in (("zero", b""), ("text", b"these are words"), ("list", b"#EXTM3U\n#EXTINF:9,\ngood.mp4\n")):
        (tmp_path / "videos" / f"{name}.mp4").write_bytes(content)
    store = tmp_path / "store"
    code, out, err = call("extract", tmp_path / "videos", "--out", store, "--workers", 1, "--set", "size=32", "--set", "frames=8")
    assert (code, out) == (3, "")
    assert err.splitlines()[-1] == f"3 input(s) were left out, see {store / 'failures.json'}: list, text, zero"
    assert sorted(json.loads((store / "failures.json").read_text())) == ["list", "text", "zero"]
    assert (store / "rgb" / "good.npy").exists()


def test_validate_finds_faults(call, planted, tmp_path):
    code, out, _ = call("validate", "--features", planted.features, "--labels", planted.labels)
    assert code == 0
    (tmp_path / "labels.csv").write_text("video,label\nnowhere,act00\n")
    code, out, _ = call("validate", "--features", planted.features, "--labels", tmp_path / "labels.csv")
    assert code == 2
    assert "fault: " in out
    assert "nowhere" in out


# The user's faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("No such command 'trian'. Did you mean 'train'?", ["trian"]),
        ("No such option: --ot", ["train", "dgam", "--ot", "x"]),
        ("Missing argument", ["train"]),
        ("Invalid value for '--seed'", ["train", "dgam", "--out", "RUN", "--seed", "-1"]),
        ("method: unknown name 'dgma'; did you mean 'dgam'?", ["train", "dgma", "--out", "RUN"]),
        ("method: unknown name 'dgma'; did you mean 'dgam'?", ["methods", "dgma"]),
        ("preset: unknown name 'thumso14'; did you mean 'thumos14'?", ["train", "dgam", "--out", "RUN", "--preset", "thumso14"]),
        ("unknown name 'epoch'; did you mean 'epochs'?", ["train", "dgam", "--out", "RUN", "--set", "epoch=3"]),
        ("unknown name 'nsm'; did you mean 'nms'?", ["train", "dgam", "--out", "RUN", "--set", "localization.nsm=0.4"]),
        ("--set epochs: write it as key=value", ["train", "dgam", "--out", "RUN", "--set", "epochs"]),
        ("is no value", ["train", "dgam", "--out", "RUN", "--set", "epochs=[1"]),
        ("epochs: expected a whole number, found 'many'", ["train", "dgam", "--out", "RUN", "--set", "epochs=many"]),
        ("give either --features DIR or --videos DIR", ["train", "dgam", "--out", "RUN", "--labels", "LABELS"]),
        ("dgam learns from labels; give --labels", ["train", "dgam", "--out", "RUN", "--features", "FEATURES"]),
        ("no such folder of features", ["train", "dgam", "--out", "RUN", "--features", "nowhere", "--labels", "LABELS"]),
        (
            "there is no run to resume",
            ["train", "dgam", "--out", "RUN", "--features", "FEATURES", "--labels", "LABELS", "--resume"],
        ),
        ("--device tpu", ["train", "dgam", "--out", "RUN", "--features", "FEATURES", "--labels", "LABELS", "--device", "tpu"]),
        ("cannot be written", ["train", "dgam", "--out", "LABELS/run", "--features", "FEATURES", "--labels", "LABELS"]),
        ("no such run", ["localize", "nowhere", "--features", "FEATURES", "--out", "OUT"]),
        ("cannot be written", ["localize", "MADE", "--features", "FEATURES", "--out", "LABELS/d.json"]),
        ("give videos or features", ["localize", "MADE", "--out", "OUT"]),
        ("did you mean 'nms'?", ["localize", "MADE", "--features", "FEATURES", "--out", "OUT", "--set", "nsm=0.4"]),
        (
            "no video is in the subset 'tset'; there is test (4 videos), train (12 videos)",
            ["localize", "MADE", "--features", "FEATURES", "--out", "OUT", "--subset-from", "TRUTH", "--subset", "tset"],
        ),
        ("needs the true segments: --annotations", ["evaluate", "DETECTIONS"]),
        ("no video is in the subset 'tset'", ["evaluate", "DETECTIONS", "--annotations", "TRUTH", "--subset", "tset"]),
        ("cannot be read", ["evaluate", "nowhere.json", "--annotations", "TRUTH"]),
        ("there is no such protocol", ["evaluate", "DETECTIONS", "--annotations", "TRUTH", "--protocol", "thumso"]),
        ("nowhere", ["extract", "nowhere", "--out", "OUT"]),
        ("did you mean 'motion'?", ["extract", "VIDEOS", "--out", "OUT", "--extractor", "moton"]),
        ("cannot be written", ["report", "DETECTIONS", "--out", "LABELS/report.html"]),
        ("format", ["export", "DETECTIONS", "--format", "cvs", "--out", "OUT"]),
        ("cannot be written", ["export", "DETECTIONS", "--format", "csv", "--out", "LABELS/d.csv"]),
        ("there is no such layout; did you mean 'dgam'?", ["convert", "VIDEOS", "--layout", "dgma", "--out", "OUT"]),
        ("cannot be written", ["convert", "TRUTH", "--layout", "activitynet", "--out", "LABELS/pack"]),
    ],
)
def test_faults_of_arguments(words, arguments, refused, planted, tmp_path):
    folder = planted.folder
    places = {"RUN": tmp_path / "new", "OUT": tmp_path / "out.json", "FEATURES": planted.features, "LABELS": planted.labels}
    places |= {"TRUTH": planted.annotations, "MADE": folder / "run", "DETECTIONS": folder / "d.json", "VIDEOS": folder / "videos"}
    film(folder / "videos" / "some.mp4", [0, 0.1], draw=moving_blocks)

    def placed(argument):
        head, _, rest = argument.partition("/")
        return places[head] / rest if head in places and rest else places.get(argument, argument)

    refused(words, *map(placed, arguments))


def test_an_existing_run(refused, call, planted, tmp_path):
    train = ["train", "dgam", "--features", planted.features, "--labels", planted.labels, *BRIEF, "--out"]
    refused("already exists; --resume continues it, --force renames it first", *train, planted.folder / "run")
    refused("epochs was 2, is now 3", *train, planted.folder / "run", "--resume", "--set", "epochs=3")
    refused("seed was 0, is now 7", *train, planted.folder / "run", "--resume", "--seed", "7")
    assert call(*train, tmp_path / "run")[0] == 0
    before = files_of(tmp_path / "run")
    assert call(*train, tmp_path / "run", "--force")[0] == 0
    assert files_of(tmp_path / "run.1") == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("video,label\nnowhere,act00\n", "line 2: there is no video 'nowhere'"),
        ("video,label\ntrain001,\ntrain001,act00\n", "has an empty label"),
        ("video,label\ntrain001,act00\ntrain001,act00\n", "stands already in line 2"),
        ("video,label\n", "no row with a video"),
        ("video,label\ntrain001,?\n", "still hold '?'"),
    ],
)
def test_faults_of_labels(text, words, refused, planted, tmp_path):
    (tmp_path / "labels.csv").write_text(text)
    labels = tmp_path / "labels.csv"
    refused(words, "train", "dgam", "--features", planted.features, "--labels", labels, "--out", tmp_path / "run")


def test_faults_of_detections(refused, planted, tmp_path):
    good = json.loads((planted.folder / "d.json").read_text())
    video = next(iter(good["results"]))
    for result, words in (
        ({"label": "acct00", "score": 0.5, "segment": [1, 2]}, "acct00"),
        ({"label": "act00", "score": 0.5, "segment": [2, 1]}, "the segment ends (1 s) before it starts (2 s)"),
        ({"label": "act00", "score": float("nan"), "segment": [1, 2]}, "finite"),
    ):
        (tmp_path / "d.json").write_text(json.dumps({"results": {video: [result]}}))
        refused(words, "evaluate", tmp_path / "d.json", "--annotations", planted.annotations)
    whole = (planted.folder / "d.json").read_text()
    (tmp_path / "d.json").write_text(whole[: len(whole) // 2])
    for command in (
        ["evaluate"],
        ["report", "--out", tmp_path / "r.html"],
        ["export", "--format", "csv", "--out", tmp_path / "d.csv"],
    ):
        more = ["--annotations", planted.annotations] if command[0] != "export" else []
        refused("the file seems cut off", *command, tmp_path / "d.json", *more)


def test_two_inputs_with_one_id(refused, tmp_path):
    for name in ("a/match.mp4", "b/Match.mp4"):
        film(tmp_path / "videos" / name, [0, 0.1], draw=moving_blocks)
    refused("--ids relative", "extract", tmp_path / "videos", "--out", tmp_path / "store")


def test_a_full_disk(planted, tmp_path):
    """A training that cannot save and a localization that cannot: files of a child process may have so many bytes."""
    call = """
        import resource, sys
        from untrimmed import cli
        mark = sys.argv.index("and")
        for limit, arguments in ((20000, sys.argv[1:mark]), (1500, sys.argv[mark + 1:])):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                cli.main(arguments)
            except SystemExit as done:
                print(done.code)
        """
    localize = ["localize", planted.folder / "run", "--features", planted.features, "--out", tmp_path / "d.json"]
    with pytest.raises(SystemExit):
        cli.main([str(a) for a in localize])
    before = files_of(tmp_path), files_of(planted.folder)
    train = ["train", "dgam", "--features", planted.features, "--labels", planted.labels, "--out", tmp_path / "run", *BRIEF]
    train += ["--workers", "1"]  # more would import torch again
    done = child(call, *train, "--set", "hidden=300", "and", *localize, "--set", "nms=0.1")
    assert done.stdout.split() == ["2", "2"], done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "Traceback" not in done.stderr
    assert all("cannot be written: File too large" in line for line in errors)
    run = {name for name in files_of(tmp_path) if name.startswith("run")}
    assert not [name for name in run if name.endswith(".part")]
    assert not (tmp_path / "run" / "model").exists()
    assert {name: content for name, content in files_of(tmp_path).items() if name not in run} == before[0]
    assert files_of(planted.folder) == before[1]


def test_a_killed_training_is_gone_on_with_bit_for_bit(call, planted, tmp_path):
    program = """
        import os, signal, sys
        from untrimmed import cli
        from untrimmed.training import Run
        log, lines = Run.log, []

        def log_and_die(run, **values):
            log(run, **values)
            lines.append(values)
            if len(lines) == 9:  # in the second stream; the first is saved
                os.kill(os.getpid(), signal.SIGKILL)

        Run.log = log_and_die
        cli.main(sys.argv[1:])
        """
    train = ["train", "dgam", "--features", planted.features, "--labels", planted.labels, *BRIEF, "--workers", "1"]
    train += ["--set", "epochs=6", "--out"]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    assert child(program, *train, tmp_path / "killed", env=os.environ | threads).returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model").exists()

    assert call(*train, tmp_path / "killed", "--resume")[0] == 0
    assert call(*train, tmp_path / "whole")[0] == 0
    killed, whole = files_of(tmp_path / "killed"), files_of(tmp_path / "whole")
    for name in ("model/weights.safetensors", "metrics.jsonl", "config.yaml"):
        assert killed[name] == whole[name], name


# What it imports --------------------------------------------------------------------------------------------------------------


def test_commands_import_only_what_they_need(planted, tmp_path):
    """Help comes at once, neither scoring nor showing nor reviewing detections needs torch, and none what takes long for little."""
    program = """
        import json, sys
        from untrimmed import cli
        seen, slow = {}, {"scipy.stats", "scipy.signal", "scipy.optimize"}
        for arguments in json.loads(sys.argv[1]):
            try:
                cli.main(arguments)
            except SystemExit as done:
                found = {name.partition(".")[0] for name in sys.modules} | slow & set(sys.modules)
                seen[arguments[0]] = [done.code, sorted(found)]
        print("modules", json.dumps(seen))
        """
    detections, annotations = str(planted.folder / "d.json"), ["--annotations", str(planted.annotations)]
    learned = ["--features", str(planted.features), "--labels", str(planted.labels)]
    film(tmp_path / "videos" / "wave" / "a.mp4", [0, 0.1], draw=moving_blocks)
    taken = socket.create_server(("127.0.0.1", 0))
    commands = [
        ["--help"],
        ["init", str(tmp_path / "videos"), "--out", str(tmp_path / "labels.csv")],
        ["validate", *learned],
        ["evaluate", detections, *annotations],
        ["export", detections, "--format", "csv", "--out", str(tmp_path / "d.csv")],
        ["report", detections, *annotations, "--out", str(tmp_path / "r.html")],
        ["review", detections, "--no-open", "--port", str(taken.getsockname()[1])],  # makes its page before it listens
        ["localize", str(planted.folder / "run"), *learned[:2], "--out", str(tmp_path / "d.json")],
    ]
    with taken:
        done = child(program, json.dumps(commands))
    seen = json.loads(done.stdout.split("modules ")[-1])
    codes = dict.fromkeys((arguments[0] for arguments in commands), 0) | {"review": 2}
    assert {name: code for name, (code, _) in seen.items()} == codes, done.stderr
    assert "cannot be listened on" in done.stderr
    heavy = {"torch", "numpy", "cv2", "av", "matplotlib", "sklearn", "scipy", "jinja2"}
    assert not heavy & set(seen["--help"][1])
    slow = {"matplotlib", "sklearn", "scipy.stats", "scipy.signal", "scipy.optimize"}
    assert not slow & set(seen.pop("localize")[1]), "it is the last, so that this holds for all"
    for name, (_, modules) in seen.items():
        assert "torch" not in modules, name


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("untrimmed 0.")


def test_a_setting_of_another_group_is_pointed_to(capsys, tmp_path):
    with pytest.raises(SystemExit) as end:
        cli.main(
            ["train", "dgam", "--features", str(tmp_path), "--labels", "l.csv", "--set", "nms=0.5", "--out", str(tmp_path / "run")]
        )
    assert end.value.code == 2
    assert "did you mean localization.nms?" in capsys.readouterr().err


def test_a_demo_leaves_a_folder_of_other_things_alone(capsys, tmp_path):
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "labels.csv").write_text("mine")
    with pytest.raises(SystemExit) as end:
        cli.main(["demo", "--quick", "--out", str(tmp_path)])
    assert end.value.code == 2
    assert "holds something else than a demo" in capsys.readouterr().err
    assert [f.name for f in tmp_path.rglob("*")] == ["world", "labels.csv"]


def test_errors_and_notes_name_options_as_the_command_line_writes_them():
    assert with_flags(cli.app, "give `trimmed_labels`, or `settings` a.b=1") == "give --trimmed-labels, or --set a.b=1"
    assert with_flags(cli.app, "`no_activations` and `word`, as `untrimmed localize` does") == (
        "--no-activations and word, as `untrimmed localize` does"
    )


def test_a_parameter_that_is_no_option_is_not_named_in_an_error():
    """What functions below the commands name in backticks, every command line must be able to say."""
    source = Path(cli.__file__).parent
    named = {
        name
        for folder in ("runs", "video", "data", "methods", "training")
        for file in (source / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "InputError"
        for text in ast.walk(node)
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
        for name in re.findall(r"`(\w+)`", text.value)
    }
    assert len(named) > 20
    assert [name for name in sorted(named) if not with_flags(cli.app, f"`{name}`").startswith("--")] == []

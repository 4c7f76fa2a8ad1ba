"""Mistakes that a new user makes: each is told in words that help, and none passes in silence."""

import ast
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.methods.planted import Planted, plant
from tests.video.films import film, moving_blocks, steady
from untrimmed import cli
from untrimmed.data.labels import read_labels

BRIEF = ["--set", "epochs=2", "--set", "batch=8", "--set", "hidden=8", "--set", "latent=4", "--set", "data.snippets=8"]


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    """Features, labels and annotations; a run on them; and detections in the four test videos alone."""
    planted = plant(tmp_path_factory.mktemp("planted"), train=12, test=4, length=(10, 14))
    folder = planted.folder
    only = ["--subset-from", planted.annotations, "--subset", "test", "--set", "class_threshold=0.01"]
    for arguments in (
        ["train", "dgam", "--features", planted.features, "--labels", planted.labels, "--out", folder / "run", *BRIEF],
        ["localize", folder / "run", "--features", planted.features, "--out", folder / "new.json", *only],
    ):
        with pytest.raises(SystemExit) as done:
            cli.main([str(a) for a in arguments])
        assert done.value.code == 0
    return planted


# One rule for scores ----------------------------------------------------------------------------------------------------------


def test_evaluate_and_report_score_the_same_videos(planted, call, tmp_path):
    new = planted.folder / "new.json"
    code, out, err = call("evaluate", new, "--annotations", planted.annotations, "--json")
    assert code == 0
    assert "warning: 12 of 16 videos of" in err
    assert "name it with --subset (there is test, train)" in err
    scores = json.loads(out)
    assert (scores["videos"], scores["subset"]) == (4, None)
    asked = json.loads(call("evaluate", new, "--annotations", planted.annotations, "--subset", "test", "--json")[1])
    assert (asked["mAP"], asked["per_class"]) == (scores["mAP"], scores["per_class"])
    code, _, err = call("report", new, "--annotations", planted.annotations, "--out", tmp_path / "new.html")
    assert code == 0
    assert "warning: 12 of 16 videos of" in err
    page = (tmp_path / "new.html").read_text(encoding="utf-8")
    assert "".join(f"<td>{100 * value:.1f}</td>" for value in scores["mAP"]) in page


def test_a_named_subset_is_scored_whole(planted, call, tmp_path):
    """Other programs leave videos out in which they find nothing: then the subset says what is scored."""
    file = json.loads((planted.folder / "new.json").read_text())
    lost = min(file["results"])
    del file["results"][lost]
    (tmp_path / "fewer.json").write_text(json.dumps(file))
    ask = ["evaluate", tmp_path / "fewer.json", "--annotations", planted.annotations, "--json"]
    code, out, err = call(*ask, "--subset", "test")
    assert (code, json.loads(out)["videos"]) == (0, 4)
    assert "warning: 1 of 4 videos are not in" in err
    assert "their truth counts as missed" in err
    assert json.loads(call(*ask)[1])["videos"] == 3


def test_no_video_in_common(planted, call, tmp_path):
    (tmp_path / "others.json").write_text(json.dumps({"results": {"elsewhere": []}}))
    for command in (["evaluate"], ["report", "--out", tmp_path / "r.html"]):
        code, out, err = call(*command, tmp_path / "others.json", "--annotations", planted.annotations)
        assert (code, out) == (2, "")
        assert "none of its 1 videos, such as 'elsewhere', is in" in err


def test_classification_leaves_out_the_same(planted, call):
    ask = ["evaluate", planted.folder / "new.json", "--protocol", "classification", "--json"]
    code, out, err = call(*ask, "--annotations", planted.annotations)
    assert (code, json.loads(out)["videos"]) == (0, 4)
    assert "warning: 12 video(s) of" in err


# The wrong folder, the wrong file ---------------------------------------------------------------------------------------------


def test_report_with_the_wrong_folder_of_videos(planted, call, tmp_path):
    wrong = tmp_path / "WRONGDIR"
    wrong.mkdir()
    code, out, err = call("report", planted.folder / "new.json", "--videos", wrong, "--out", tmp_path / "r.html")
    assert (code, out) == (2, "")
    assert f"error: --videos {wrong}: none of the 4 videos, such as 'test000', has a file in it" in err
    assert not (tmp_path / "r.html").exists()
    film(wrong / "test001.mp4", steady(1), draw=moving_blocks)
    code, _, err = call("report", planted.folder / "new.json", "--videos", wrong, "--out", tmp_path / "r.html")
    assert code == 0
    assert f"warning: 3 of 4 videos have no file in {wrong}: test000, test002, test003; only their timelines are shown" in err


def test_review_with_the_wrong_folder_of_videos(planted, call, tmp_path):
    wrong = tmp_path / "WRONGDIR"
    wrong.mkdir()
    code, out, err = call("review", planted.folder / "new.json", "--videos", wrong, "--no-open")
    assert (code, out) == (2, "")
    assert f"error: --videos {wrong}: none of the 4 videos, such as 'test000', has a file in it" in err


def test_a_table_in_place_of_detections(planted, call, tmp_path):
    for command in (["report", "--out", tmp_path / "r.html"], ["evaluate", "--annotations", planted.annotations]):
        code, _, err = call(*command, planted.labels)
        assert code == 2
        assert f"{planted.labels}: a table; expected a JSON file of detections, as `untrimmed localize` writes it" in err
    code, _, err = call("evaluate", planted.folder / "new.json", "--annotations", planted.labels)
    assert code == 2
    assert "a table; expected a JSON file of annotations" in err


def test_features_in_place_of_a_run(planted, call, tmp_path):
    code, _, err = call("localize", planted.features, "--out", tmp_path / "d.json")
    assert code == 2
    assert f"a feature store, no run; name the run first: untrimmed localize RUN --features {planted.features}" in err
    code, _, err = call("localize", planted.folder / "run", planted.features, "--out", tmp_path / "d.json")
    assert code == 2
    assert f"{planted.features}: a feature store; give it as --features" in err


# labels.csv -------------------------------------------------------------------------------------------------------------------


def videos(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize("silent", ["no action", "nothing", "negative", "No Action", "no-action"])
def test_folders_that_mean_nothing_happens(silent, call, tmp_path):
    videos(tmp_path / "videos", "fight/a.mp4", f"{silent}/b.mp4")
    code, out, _ = call("init", tmp_path / "videos", "--out", tmp_path / "labels.csv")
    assert code == 0
    assert read_labels(tmp_path / "labels.csv").tags == {"a": {"fight"}, "b": set()}
    assert f"no action: 1 (in {silent})" in out


def test_init_one_level_too_high(call, tmp_path):
    videos(tmp_path / "videos", "train/goal/a.mp4", "train/foul/b.mp4", "new/c.mp4")
    code, out, err = call("init", tmp_path / "videos", "--out", tmp_path / "labels.csv")
    assert (code, out) == (2, "")
    assert "its folder 'new' is a part of the data, no action" in err
    assert f"untrimmed init {tmp_path / 'videos' / 'train'}" in err
    assert not (tmp_path / "labels.csv").exists()
    assert call("init", tmp_path / "videos" / "train", "--out", tmp_path / "labels.csv")[0] == 0


def test_a_slip_in_the_name_of_a_folder(call, tmp_path):
    videos(tmp_path / "videos", *(f"fight/{n}.mp4" for n in "abcd"), "figth/e.mp4", "walk/f.mp4")
    code, out, _ = call("init", tmp_path / "videos", "--out", tmp_path / "labels.csv")
    assert code == 0
    assert "warning: the labels 'figth' (on 1 video(s)) and 'fight' count as two; is one a slip?" in out
    assert "walk'" not in out


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        ("fight", "figth", True),
        ("fight", "fights", True),
        ("fight", "fihgt", True),
        ("fight", "fiight", True),
        ("walking", "wolking", True),
        ("act01", "act02", False),
        ("act01", "act10", False),
        ("walk", "run", False),
        ("foul", "goals", False),
        ("cut", "cup", False),
    ],
)
def test_what_counts_as_a_slip(a, b, alike, tmp_path):
    (tmp_path / "labels.csv").write_text(f"video,label\nv1,{a}\nv2,{b}\nv3,{b}\nv4,{b}\n")
    assert bool(read_labels(tmp_path / "labels.csv").slips()) == alike


@pytest.fixture
def labelled(planted, call, tmp_path):
    """Train with one row of the labels changed, which must fail; what is said."""

    def run(old: str, new: str) -> str:
        (tmp_path / "labels.csv").write_text(planted.labels.read_text().replace(old, new, 1))
        given = ["--features", planted.features, "--labels", tmp_path / "labels.csv"]
        code, _, err = call("train", "dgam", *given, "--out", tmp_path / "run", *BRIEF)
        assert code == 2
        return err

    return run


def test_two_labels_in_one_cell(labelled):
    assert "the label 'a;b' holds 2; write a row for each: a, b" in labelled("train004,act00\n", "train004,a;b\n")


def test_a_path_in_the_video_column(labelled):
    said = labelled("train004,act00\n", "videos/train/train004.mp4,act00\n")
    assert "line 6: 'videos/train/train004.mp4' is a path; the column 'video' holds ids: 'train004'" in said
    assert "rename" not in said


def test_a_letter_for_a_digit(labelled):
    """All the other videos have rows already, and are not what is meant."""
    assert "there is no video 'train_0O4' among the features; did you mean 'train004'?" in labelled("train004,", "train_0O4,")


# A video that could not be extracted ------------------------------------------------------------------------------------------


def test_labels_of_a_video_that_could_not_be_extracted(call, tmp_path):
    small = ["--set", "size=32", "--set", "frames=8", "--workers", "1"]
    for number in range(4):
        film(tmp_path / "videos" / f"v{number}.mp4", steady(1), draw=moving_blocks)
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"these are words")
    store, labels = tmp_path / "features", tmp_path / "labels.csv"
    assert call("extract", tmp_path / "videos", "--out", store, *small)[0] == 3
    labels.write_text("video,label\nv0,a\nv1,a\nv2,a\nv3,\nbroken,a\n")
    code, out, _ = call("validate", "--features", store, "--labels", labels)
    assert code == 0, out
    assert "warning" in out
    assert "1 video(s) could not be extracted" in out
    code, _, err = call("train", "dgam", "--features", store, "--labels", labels, "--out", tmp_path / "run", *BRIEF)
    assert code == 0, err
    assert f"warning: 1 video(s) of {labels} could not be extracted and are not trained on: broken" in err
    shutil.rmtree(tmp_path / "run")
    labels.write_text("video,label\nv0,a\nnowhere,a\n")
    assert call("validate", "--features", store, "--labels", labels)[0] == 2


# Words ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "begun", "said"),
    [
        ("train dgam", True, "interrupted; to go on, run the same command with --resume\n"),
        ("train dgam", False, "interrupted; to go on, run the same command again\n"),
        ("refine run", True, "interrupted; to go on, run the same command with --resume\n"),
        ("extract videos", False, "interrupted; to go on, run the same command again\n"),
    ],
)
def test_ctrl_c_says_how_to_go_on(command, begun, said, call, tmp_path, monkeypatch):
    def stop(*arguments, **more):
        if begun:
            (tmp_path / "run").mkdir()
            (tmp_path / "run" / "config.yaml").write_text("")
        raise KeyboardInterrupt

    name = command.split()[0]
    monkeypatch.setattr(f"untrimmed.jobs.{name}.{name}", stop)
    assert call(*command.split(), "--out", tmp_path / "run") == (130, "", said)


def test_functions_speak_of_parameters_and_the_command_line_of_options():
    """What is raised or noted below the command line names `parameters`; a whole command may be quoted as one types it."""
    source = Path(cli.__file__).parent
    for file in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("InputError", "note", "say", "unknown"):
                text = "".join(c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str))
                if file.name != "cli.py" and "untrimmed " not in text:
                    assert not re.search(r"(^|[\s(])--[a-z]", text), f"{file.relative_to(source)}, line {node.lineno}: {text}"


# What a second new user met ---------------------------------------------------------------------------------------------------


def test_what_is_no_run_is_told_for_what_it_is(planted, call, tmp_path):
    (tmp_path / "empty").mkdir()
    for source, words in (
        (tmp_path / "nowhere", "no such run"),
        (planted.features, "a feature store, no run"),
        (planted.labels, "a file, no run"),
        (tmp_path / "empty", "holds no finished model"),
    ):
        code, out, err = call("refine", source, "--out", tmp_path / "student")
        assert (code, out) == (2, "")
        assert f"error: {source}: {words}" in err


def test_localize_without_a_run_and_with_too_much(planted, call, tmp_path):
    (tmp_path / "new").mkdir()
    code, _, err = call("localize", tmp_path / "new", "--out", tmp_path / "n.json")
    assert code == 2
    assert f"no run; name the run first: untrimmed localize RUN {tmp_path / 'new'} --out" in err
    both = ["localize", planted.folder / "run", tmp_path / "new", "--features", planted.features, "--out", tmp_path / "n.json"]
    assert "give videos or features to localize, not both" in call(*both)[2]


def test_features_among_the_videos_or_in_place_of_a_file(call, tmp_path):
    film(tmp_path / "videos" / "goal" / "a.mp4", steady(1), draw=moving_blocks)
    before = sorted(tmp_path.rglob("*"))
    for out in (tmp_path / "videos", tmp_path):
        code, _, err = call("extract", tmp_path / "videos", "--out", out)
        assert code == 2
        assert f"error: {out}: videos such as {tmp_path / 'videos/goal/a.mp4'} are in it; give the features a folder" in err
    code, _, err = call("extract", tmp_path / "videos", "--out", tmp_path / "videos/goal/a.mp4")
    assert (code, "a file; name the folder for the features" in err) == (2, True)
    assert sorted(tmp_path.rglob("*")) == before


def test_only_the_settings_that_differ_are_named(call, tmp_path):
    film(tmp_path / "videos" / "a.mp4", steady(1), draw=moving_blocks)
    extract = ["extract", tmp_path / "videos", "--out", tmp_path / "features"]
    code, _, err = call(*extract)
    assert (code, "were there" in err) == (0, False)
    code, _, err = call(*extract, "--set", "size=96")
    assert code == 2
    assert "the store was made with other settings (settings.size: 160 there, 96 here); use another folder" in err


def test_a_table_or_folder_in_place_of_marks_or_detections(planted, call, tmp_path):
    export = ["--format", "csv", "--out", tmp_path / "x.csv"]
    assert (
        f"{planted.labels}: a table; expected a JSON file of detections or of annotations"
        in call("export", planted.labels, *export)[2]
    )
    assert f"{tmp_path}: a folder; expected a JSON file of detections or of annotations" in call("export", tmp_path, *export)[2]
    refine = ["refine", planted.folder / "run", "--annotations", planted.labels, "--out", tmp_path / "student"]
    assert f"{planted.labels}: a table; expected a JSON file of annotations" in call(*refine)[2]


def test_a_text_that_is_no_subtitles(call, tmp_path):
    (tmp_path / "a.srt").write_text("hello\n")
    code, _, err = call("import", tmp_path / "a.srt", "--out", tmp_path / "a.json")
    assert (code, "a.srt: there is no subtitle in it" in err, (tmp_path / "a.json").exists()) == (2, True, False)
    (tmp_path / "a.srt").write_text("")  # what export writes of a video without detections
    assert call("import", tmp_path / "a.srt", "--out", tmp_path / "a.json")[0] == 0


def test_a_pack_without_its_layout(call, tmp_path):
    (tmp_path / "pack").mkdir()
    code, _, err = call("recipe", "thumos14", "--features", tmp_path / "pack", "--out", tmp_path / "out")
    assert (code, "no features.json in it; if it is a pack as others share it, name its --layout" in err) == (2, True)


def test_words_of_the_libraries_are_not_passed_on(call, tmp_path):
    assert "error: Invalid value for '--ids': 'both' is not one of" in call("init", tmp_path, "--ids", "both")[2]
    (tmp_path / "weights.pt").write_text("video,label\n")
    film(tmp_path / "videos" / "a.mp4", steady(1), draw=moving_blocks)
    i3d = ["--extractor", "i3d", "--set", f"rgb_weights={tmp_path / 'weights.pt'}"]
    err = call("extract", tmp_path / "videos", "--out", tmp_path / "f", *i3d)[2]
    assert "not a checkpoint that can be read safely" in err
    assert "weights_only" not in err
    assert "found nothing" in call("extract", tmp_path / "videos", "--out", tmp_path / "f", "--set", "fps=")[2]


def test_the_next_command_names_the_videos(planted, call, tmp_path):
    """Whole names in what is to be typed next, wherever they are known."""
    film(tmp_path / "new" / "a.mp4", steady(2), draw=moving_blocks)
    (tmp_path / "labels.csv").write_text("video,label\na,goal\n")
    train = ["train", "dgam", "--videos", tmp_path / "new", "--labels", tmp_path / "labels.csv", "--out", tmp_path / "run", *BRIEF]
    assert call(*train)[0] == 0
    code, _, err = call("localize", tmp_path / "run", tmp_path / "new", "--out", tmp_path / "new.json")
    assert code == 0
    assert f"next: untrimmed report {tmp_path / 'new.json'} --videos {tmp_path / 'new'} --out" in err

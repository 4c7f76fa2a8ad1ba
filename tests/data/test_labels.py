import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.errors import InputError, did_you_mean, nearest
from untrimmed.data.files import quote_cell, unquote_cell
from untrimmed.data.labels import FORM_MARK, WeakLabels, read_labels, read_only, scan_labels, write_labels

KNOWN = ["match_01", "match_02", "match_03"]


@pytest.fixture
def labels(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_three_states_no_row_empty_label_and_labels(labels):
    found = read_labels(labels("video,label\nmatch_01,goal\nmatch_01,foul\nmatch_02,\n"), KNOWN)
    assert found.tags == {"match_01": {"goal", "foul"}, "match_02": set()}
    assert found.classes == ("foul", "goal")


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfvideo,label\r\nmatch_01,goal\r\nmatch_02,\r\n",
        b"video;label\nmatch_01;goal\nmatch_02;\n",
        b"video\tlabel\nmatch_01\tgoal\nmatch_02\t\n",
        b"video,label\nmatch_01.mp4,goal\nmatch_02.MKV,\n",
        b"Label , VIDEO, note\n goal , match_01 ,x\n,match_02,\n",
        b'video,label\n"match_01","goal"\n\n,,\n"match_02",""',
        b"video,label\rmatch_01,goal\rmatch_02,\r",
    ],
    ids=["bom and crlf", "semicolon", "tab", "suffix", "columns", "quotes and blank lines", "old mac"],
)
def test_what_spreadsheets_write_is_read(labels, text):
    assert read_labels(labels(text), KNOWN).tags == {"match_01": {"goal"}, "match_02": set()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,label\nmatch_1,goal\n", "line 2: there is no video 'match_1' among the features; did you mean 'match_01'?"),
        ("video,label\nMATCH_01,goal\n", "line 2: there is no video 'MATCH_01' among the features; did you mean 'match_01'?"),
        (
            "video,label\nmatch_01,\nmatch_01,goal\n",
            "line 2: 'match_01' has an empty label (no action in it) and the label 'goal' too",
        ),
        ("video,label\nmatch_01,goal\nmatch_01,goal\n", "line 3: the row 'match_01', 'goal' stands already in line 2"),
        ("video,label\nmatch_01,goal\nmatch_01.mp4,goal\n", "line 3: the row 'match_01', 'goal' stands already in line 2"),
        ("video,label\nmatch_01,?\nmatch_02,?\n", "line 2: 2 row(s) still hold '?'"),
        ("video,label\n", "no row with a video"),
        ("", "empty; its first line should be: video,label"),
        (" \n", "empty; its first line should be: video,label"),
        ("name,label\nmatch_01,goal\n", "line 1: no column 'video'"),
        ("video\nmatch_01\n", "line 1: no column 'label'"),
        ("video,label\nmatch_01\n", "line 2: 1 of 2 columns; for a video without any action write the video and a ','"),
        ("video,label\n,goal\n", "line 2: no video in this row"),
        ("video,label\n../match_01,goal\n", "line 2: '../match_01' is a path; the column 'video' holds ids: 'match_01'"),
        ('video,label\nmatch_01,"goal\nmatch_02,foul\n', 'line 2: a quotation mark (") is opened and never closed'),
        ('video,label\nmatch_01,"goal\n', 'line 2: a quotation mark (") is opened and never closed'),
        ("video,label\nmatch_01,a\x07b\n", "line 2: the label 'a\\x07b' has a control character"),
        (b"video,label\nmatch_01,caf\xe9\n", "not UTF-8 text; save it as CSV UTF-8"),
    ],
)
def test_each_fault_is_one_clear_line(labels, text, message):
    path = labels(text)
    with pytest.raises(InputError) as fault:
        read_labels(path, KNOWN)
    assert str(fault.value).startswith(str(path))
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)


def test_line_numbers_count_quoted_lines_and_blank_ones(labels):
    path = labels('video,label,note\nmatch_01,goal,"two\nlines"\n\nnobody,goal,\n')
    with pytest.raises(InputError, match="line 5: there is no video 'nobody'"):
        read_labels(path, KNOWN)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: cannot be read: No such file"):
        read_labels(tmp_path / "none.csv")


def test_all_faults_are_found_at_once(labels):
    path = labels("video,label\nnobody,goal\nmatch_01,goal\nmatch_01,goal\nmatch_02\nmatch_03,?\n")
    found, faults = scan_labels(path, KNOWN)
    assert found.tags == {"match_01": {"goal"}}
    assert [int(re.search(r"line (\d+)", fault)[1]) for fault in sorted(faults)] == [2, 4, 5, 6]
    with pytest.raises(InputError, match=r"line 2.*\(3 more fault\(s\); `untrimmed validate` lists them all\)"):
        read_labels(path, KNOWN)


def test_ids_and_labels_meet_in_nfc(labels):
    decomposed = unicodedata.normalize("NFD", "café")
    found = read_labels(labels(f"video,label\n{decomposed},{decomposed}\n"), ["café"])
    assert found.tags == {"café": {"café"}}


text = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=15).map(
    lambda t: unicodedata.normalize("NFC", t)
)
dangerous = st.builds(lambda head, tail: head + tail, st.sampled_from(["=", "+", "-", "@", "'=", "''-", "'", "''"]), text)
label_texts = st.one_of(text, dangerous).filter(lambda t: t == t.strip() and t != FORM_MARK and not set(t) & set(";|"))
id_texts = st.one_of(text, dangerous).filter(lambda t: not set(t) & set("/\\") and not t.startswith(".") and t.strip())


@given(st.dictionaries(id_texts, st.sets(label_texts, max_size=3), min_size=1, max_size=5))
@settings(deadline=None, derandomize=True)
def test_what_is_written_is_read_and_no_cell_is_a_formula(tmp_path_factory, tags):
    path = tmp_path_factory.getbasetemp() / "round.csv"
    write_labels(path, [(video, label) for video, labels in tags.items() for label in labels or {""}])
    assert read_labels(path, tags).tags == tags
    for line in path.read_text(encoding="utf-8").split("\n")[1:]:
        assert line[:1] not in tuple("=+-@\t\r")


@given(st.text())
@settings(deadline=None, derandomize=True)
def test_quoting_a_cell_is_undone(cell):
    assert unquote_cell(quote_cell(cell)) == cell


@pytest.mark.parametrize(
    ("cell", "quoted"), [("=1", "'=1"), ("'=1", "''=1"), ("\tx", "'\tx"), ("'til", "'til"), ("", ""), ("goal-2", "goal-2")]
)
def test_only_formulas_are_quoted(cell, quoted):
    assert quote_cell(cell) == quoted


def test_a_label_with_a_line_break_is_not_written(tmp_path):
    (tmp_path / "labels.csv").write_text("old")
    with pytest.raises(InputError, match="line break"):
        write_labels(tmp_path / "labels.csv", [("a", "x\ny")])
    assert (tmp_path / "labels.csv").read_text() == "old"


def test_warnings_name_what_is_hard_to_learn(tmp_path):
    tags = {f"v{i}": {"always", "a", "b"} if i < 4 else {"always"} for i in range(8)}
    tags["v0"] |= {"rare", "Rare"}
    warnings = WeakLabels(tmp_path, {video: frozenset(labels) for video, labels in tags.items()}).warnings()
    assert len(warnings) == 6
    assert "the label 'rare' is on 1 video(s); fewer than three" in warnings[1]
    assert "the label 'always' is on every video" in warnings[2]
    assert sum("'a' and 'b' always occur together" in w for w in warnings) == 1
    assert "'Rare' and 'rare' differ only in upper and lower case" in warnings[5]
    calm = WeakLabels(tmp_path, {f"v{i}": frozenset({"a"} if i % 2 else {"b"}) for i in range(8)})
    assert calm.warnings() == []


def test_only_takes_any_csv_with_a_video_column(labels):
    assert read_only(labels("split;video\ntrain;match_01\ntrain;match_02.mp4\n"), KNOWN) == {"match_01", "match_02"}
    assert read_only(labels("video\nmatch_03\n"), KNOWN) == {"match_03"}
    with pytest.raises(InputError, match="line 2: there is no video 'x'"):
        read_only(labels("video\nx\n"), KNOWN)
    with pytest.raises(InputError, match="no row with a video"):
        read_only(labels("video\n"), KNOWN)
    with pytest.raises(InputError, match="line 2: 1 of 2 columns"):
        read_only(labels("split,video\nx\n"), KNOWN)


def test_the_nearest_name_ignores_case():
    assert nearest("HIGHJUMP", ["HighJump", "Diving"]) == "HighJump"
    assert nearest("zzz", ["HighJump"]) is None
    assert did_you_mean("HIGHJUMP", ["HighJump", "Diving"]) == "; did you mean 'HighJump'?"
    assert did_you_mean("zzz", ["HighJump"]) == ""
    assert did_you_mean("zzz", ["HighJump"], "; there is HighJump") == "; there is HighJump"

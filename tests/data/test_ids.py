import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.errors import InputError
from untrimmed.data.ids import check_id, ids_of


@pytest.mark.parametrize(
    ("video", "fault"),
    [
        ("", "is empty"),
        ("a/b", "path separator"),
        ("..\\b", "path separator"),
        ("a\nb", "control character"),
        ("a\x00", "control character"),
        ("a\x7f", "control character"),
        (".hidden", "begins with a dot"),
        ("..", "begins with a dot"),
        ("x" * 201, "longer than 200 bytes"),
        ("é" * 101, "longer than 200 bytes"),
        ("a\udcff", "not valid Unicode text"),
    ],
)
def test_a_name_that_could_do_harm_is_refused(video, fault):
    with pytest.raises(InputError, match=fault) as error:
        check_id(video, "here.csv, line 3")
    assert str(error.value).startswith("here.csv, line 3: ")


@given(st.text())
@settings(deadline=None, derandomize=True)
def test_an_accepted_name_stays_in_its_folder(text):
    try:
        video = check_id(text, "x")
    except InputError:
        return
    path = Path("folder", f"{video}.npy")
    assert path.parent == Path("folder")
    assert unicodedata.is_normalized("NFC", video)
    assert len(path.name.encode()) < 255


def test_ids_are_stems_in_nfc():
    decomposed = unicodedata.normalize("NFD", "é")
    assert list(ids_of([Path(f"d/{decomposed}.mp4"), Path("d/b.c.mkv")])) == ["é", "b.c"]


@pytest.mark.parametrize(
    "names",
    [("a/match.mp4", "b/match.mp4"), ("a/match.mp4", "a/match.mkv"), ("a/match.mp4", "b/Match.mp4"), ("a/é.mp4", "b/é.mp4")],
)
def test_two_files_of_one_id_are_both_named(names):
    first, second = Path(names[0]), Path(unicodedata.normalize("NFD", names[1]))
    with pytest.raises(InputError) as fault:
        ids_of([first, second])
    assert str(first) in str(fault.value)
    assert str(second) in str(fault.value)
    assert "`ids` relative" in str(fault.value)


def test_relative_ids_hold_the_folders():
    files = [Path("v/a/match.mp4"), Path("v/b/match.mp4"), Path("v/top.mp4")]
    assert list(ids_of(files, relative_to=Path("v"))) == ["a__match", "b__match", "top"]

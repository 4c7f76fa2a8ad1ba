import json
import os
import resource
import subprocess
import sys
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest

from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, read_json, set_aside, write_json, write_text


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "deep" / "a.json"
    write_json(file, {"a": "é"})
    assert file.read_text(encoding="utf-8") == '{"a": "é"}\n'
    with suppress(ZeroDivisionError), atomic_write(file) as stream:
        stream.write("half")
        raise ZeroDivisionError
    assert read_json(file) == {"a": "é"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(file, {"a": float("nan")})
    assert read_json(file) == {"a": "é"}
    assert os.listdir(file.parent) == ["a.json"]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    write_json(tmp_path / "ours", 1)
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "file" / "a.json", tmp_path / "folder"):
        with pytest.raises(InputError, match="cannot be written") as fault:
            write_json(target, 1)
        assert str(fault.value).startswith(f"{target}: ")
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


FULL_DISK = """
import resource, sys
import numpy as np
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, write_json
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for write in (lambda s: s.write(b"x" * 100_000), lambda s: np.save(s, np.zeros(100_000))):
    try:
        with atomic_write(sys.argv[1], "wb") as stream:
            write(stream)
    except InputError as error:
        print(error)
"""


def test_a_full_disk_leaves_the_old_file_and_no_rest(tmp_path):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    file = tmp_path / "a.npy"
    np.save(file, np.arange(3))
    before = file.read_bytes()
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(file)], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == f"{file}: cannot be written: File too large"
    assert second.startswith(f"{file}: cannot be written: ")
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.npy"]


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.5, 0.7, 0.98])
def test_a_cut_off_file_is_called_so(tmp_path, kept):
    whole = json.dumps(
        {"results": {f"video_{i}": [{"label": "goal", "ok": True, "segment": [1.5, 2.5]}] for i in range(9)}}, indent=1
    )
    file = tmp_path / "d.json"
    for end in range(int(kept * len(whole)), int(kept * len(whole)) + 60):
        file.write_text(whole[: min(end, len(whole) - 1)])
        with pytest.raises(InputError, match=r"d\.json: not valid JSON at line \d+: .*seems cut off"):
            read_json(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "seems cut off"),
        (b'{"a": 1,\n "b": x, "c": [1, 2, 3]}', "not valid JSON at line 2"),
        (b'{"a": 1} trailing', "not valid JSON at line 1: Extra data"),
        (b"\x89PNG\r\n\x1a\n\xff", "not UTF-8 text"),
        (b'{"a": {"x": 1, "y": 2, "x": 3}}', "the key 'x' stands twice"),
        (rb'{"a": ["\\\ud83d \ude00"]}', r"not usable JSON: half of a character, \ud83d"),
        (rb'{"\udfff": 1}', r"not usable JSON: half of a character, \udfff"),
        (b"[" * 100_000, "not usable JSON"),
        (b"1" * 5000, "not usable JSON"),
    ],
)
def test_what_is_no_json_is_said_in_one_line(tmp_path, content, message):
    (tmp_path / "d.json").write_bytes(content)
    with pytest.raises(InputError) as fault:
        read_json(tmp_path / "d.json")
    assert str(fault.value).startswith(f"{tmp_path / 'd.json'}: ")
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)
    if "trailing" in content.decode("latin1") or b"b" in content:
        assert "cut off" not in str(fault.value)


def test_two_halves_are_a_character_and_an_escaped_backslash_is_none(tmp_path):
    (tmp_path / "d.json").write_bytes(rb'["\ud83d\ude00", "\\ud83d"]')
    assert read_json(tmp_path / "d.json") == ["\U0001f600", r"\ud83d"]


def test_half_of_a_character_is_not_written(tmp_path):
    for write in (write_json, write_text):
        with pytest.raises(InputError, match=r"d\.txt: cannot be written: half of a character, \\ud800"):
            write(tmp_path / "d.txt", "a\ud800")
    assert list(tmp_path.iterdir()) == []


def test_a_bom_is_accepted_and_a_missing_file_named(tmp_path):
    (tmp_path / "d.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "d.json") == [1]
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_json(path)


def test_reading_a_small_file_takes_little_memory(tmp_path):
    """Not as much as the largest file that may be read: on a small machine there is no gibibyte to set aside."""
    (tmp_path / "a.json").write_text('{"a": 1}')
    tracemalloc.start()
    try:
        assert read_json(tmp_path / "a.json") == {"a": 1}
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_set_aside_takes_the_next_free_number(tmp_path):
    for content in ("first", "second"):
        (tmp_path / "run").write_text(content)
        set_aside(tmp_path / "run")
    assert (tmp_path / "run.1").read_text() == "first"
    assert (tmp_path / "run.2").read_text() == "second"
    assert not (tmp_path / "run").exists()

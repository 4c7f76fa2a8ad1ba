"""Files as they become by accident or by malice: hypothesis draws what is changed in a good one."""

import copy
import io
import json
import math
import struct
from typing import Any

import numpy as np
from hypothesis import strategies as st

DEEP: Any = 1
for _ in range(90):
    DEEP = [DEEP]

ODD: list[Any] = [
    None, True, 0, -1, 0.5, 3, 1e308, -1e308, 3.4e38, math.inf, math.nan, 10**20, 10**400, "", "x", "0", "NaN", "x" * 3000, "../x",
    "a\x1b[31mb", "é\u202e", "\ud800", "\x00", [], [1], ["a", "a"], [[]], {}, {"a": 1}, {"x": {"y": []}}, DEEP,
]  # fmt: skip
PIECES = [
    b"\x00", b"\xff", b"\n", b",", b'"', b";", b":", b"{", b"}", b"[", b"]", b"(" * 300, b"[" * 300, b"'", b"-", b"=", b"&a *a",
    b"*a", b"<<: *a", b"!!int x",
    b"!!python/object/apply:os.system [x]", b"2024-99-99", b"0x_", b"1e999", b"NaN", b"9" * 400, b"\xef\xbb\xbf",
    b"\x1b[2J", b"?", b"video,label", "\uff1d".encode(), b"\r\n", b"PK\x03\x04", b"\x93NUMPY",
]  # fmt: skip


@st.composite
def changed_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """One to four changes: bits turned over, a piece cut out, put in or doubled, the end cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        how = draw(st.sampled_from(["flip", "cut", "end", "piece", "double", "zero"]))
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(1, 40))
        if how == "flip" and content:
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del content[place : place + length]
        elif how == "end":
            del content[place:]
        elif how == "double":
            content[place:place] = content[place : place + length]
        elif how == "zero":
            content[place : place + length] = bytes(length)
        else:
            content[place:place] = draw(st.sampled_from(PIECES))
    return bytes(content)


def _places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths to everything within a value of JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


@st.composite
def changed_json(draw: st.DrawFn, whole: bytes) -> bytes:
    """One or two values made odd, taken away, or called otherwise."""
    content = json.loads(whole)
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(_places(content)))
        how = draw(st.sampled_from(["odd", "odd", "odd", "gone", "called"]))
        if not path:
            content = copy.deepcopy(draw(st.sampled_from(ODD)))
            continue
        outer = content
        for key in path[:-1]:
            outer = outer[key]
        if how == "odd":
            outer[path[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif how == "gone":
            del outer[path[-1]]
        elif isinstance(outer, dict):
            outer[draw(st.sampled_from([odd for odd in ODD if isinstance(odd, str)]))] = outer.pop(path[-1])
    return json.dumps(content, indent=1).encode()


@st.composite
def changed_npy(draw: st.DrawFn, whole: bytes) -> bytes:
    """A head that says something else than what follows."""
    array = np.load(io.BytesIO(whole), allow_pickle=True)  # one of our own
    descr = draw(st.sampled_from(["<f4", "<f2", "<f8", ">i8", "|O", "<U5", "|V8", "<M8[s]", "|b1", "x", "<f999", "f,f"]))
    shape = draw(st.sampled_from([array.shape, (10**26, 2), (-1, 3), (0, 4), (2**62, 2**62), (), (3,), (1, 2, 3), (9**9, 8)]))
    heads = [
        str({"descr": descr, "fortran_order": draw(st.booleans()), "shape": shape}),
        "{", "(" * 9000, "[" * 900 + "]" * 900, "", "{}",
        "{'descr': '<f4', 'shape': (3,)}", "__import__('os')", "'" * 3, "9" * 5000, "{'a'", "\\", "1" + "+1" * 3000,
    ]  # fmt: skip
    head = draw(st.sampled_from(heads)).encode("latin1")
    version = draw(st.sampled_from([b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x09"]))
    size = draw(st.sampled_from([len(head), len(head), len(head), 0, 60000]))
    length = struct.pack("<H", min(size, 65535)) if version[0] == 1 else struct.pack("<I", size)
    return b"\x93NUMPY" + version + length + head + array.tobytes()


@st.composite
def changed_safetensors(draw: st.DrawFn, whole: bytes) -> bytes:
    """A head that is odd before arrays that are whole."""
    (size,) = struct.unpack("<Q", whole[:8])
    head = draw(changed_json(whole[8 : 8 + size]))
    said = draw(st.sampled_from([len(head), len(head), len(head), 0, 2**62]))
    return struct.pack("<Q", said) + head + whole[8 + size :]


def changed(name: str, whole: bytes) -> st.SearchStrategy[bytes]:
    """What may become of a file, by the ending of its name."""
    of_format = {".json": changed_json, ".npy": changed_npy, ".safetensors": changed_safetensors}
    ending = "." + name.rpartition(".")[2]
    return changed_bytes(whole) | of_format[ending](whole) if ending in of_format else changed_bytes(whole)

"""Damaged and hostile files of each format: they are read, or refused in one line, and nothing else."""

import json
import random

import pytest

from untrimmed.data.corrections import read_corrections
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection, Segment
from untrimmed.interchange.formats import FORMATS, guess
from untrimmed.interchange.marks import write_marks
from untrimmed.interchange.media import Known, Media

MUTANTS = 60
ITEMS = [Detection(1.0, 2.5, "goal", 0.91), Detection(2.0, 4.0, "goal", 0.5), Detection(10.0, 11.0, "a,b;\"c\" & '=d'", 0.2)]
JUNK = [None, True, -1, 1e308, 10**400, "", "x", "../../x", "\x00", "\ud800", "9" * 400, [], [[]], {}, {"a": 1}, [None], ["x"] * 3]
BYTES = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\n\n",
    b'"',
    b"<",
    b"&#0;",
    b"-->",
    b"[CHAPTER]",
    b"1e999",
    b"\t",
    b"{",
    b"(" * 50,
    b"=",
    b"\\",
]


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(content))
        length = rng.choice([0, 1, 3, 20, len(content)])
        piece = rng.choice([*BYTES, content[rng.randint(0, len(content)) :][:30]])
        content = content[:start] + piece + content[start + length :]
    return content


def mutate_json(content, rng: random.Random):
    """The same with one node replaced."""
    if rng.random() < 0.15 or not isinstance(content, dict | list) or not content:
        return rng.choice(JUNK)
    if isinstance(content, dict):
        key = rng.choice(list(content))
        if rng.random() < 0.1:
            return {name: value for name, value in content.items() if name != key}
        return content | {key: mutate_json(content[key], rng)}
    place = rng.randrange(len(content))
    return [*content[:place], mutate_json(content[place], rng), *content[place + 1 :]]


@pytest.mark.parametrize("name", FORMATS)
def test_only_clear_refusals(tmp_path, name):
    form, rng = FORMATS[name], random.Random(name)
    truth = name in ("activitynet", "label-studio")
    items = [Segment(*item[:3]) for item in ITEMS] if truth else ITEMS
    known = Known(lambda video: Media(video, None, 25.0, 20.0), None, ("goal",), truth)
    path = tmp_path / f"v{form.ending}"
    form.module.write({"v": items} if form.all_videos else items, path, known if form.all_videos else known.of("v"))
    whole, read = path.read_bytes(), 0
    for _ in range(MUTANTS):
        if whole.startswith((b"{", b"[")) and rng.random() < 0.8:
            path.write_text(json.dumps(mutate_json(json.loads(whole), rng)), encoding="utf-8", errors="surrogatepass")
        else:
            path.write_bytes(mutate_bytes(whole, rng))
        marks, said = attempt(lambda: form.module.read(path, known))
        if marks is not None:
            write_marks(tmp_path / "m.json", marks, known)
            assert read_corrections(tmp_path / "m.json").keys() <= marks.keys()
            read += 1
        for message in (said, attempt(lambda: guess(path))[1]):
            assert "\n" not in message
            assert len(message.replace(str(path), "")) < 400
    assert read > 0  # some mutants are harmless


def attempt(work):
    """What it gives, or the message with which it is refused."""
    try:
        return work(), ""
    except InputError as error:
        return None, str(error)

"""No file, whatever is in it, makes the program do anything but read it or say in one line what is wrong with it.

`make test` draws about a thousand files, always the same; `make fuzz` draws others each time. What ever failed is kept in
corpus/READER/ and tried first.
"""

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.mutate import changed
from tests.fuzz.readers import READERS, call, make
from untrimmed.console import LONGEST, shortened
from untrimmed.data.errors import InputError

HERE = Path(__file__).parent
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "32"))
SLOWEST = 10.0
"""CPU seconds, so that a busy machine fails nothing; a wait may last ten times as long."""


TRIED: list[tuple[float, str | None]] = []
"""Of each changed file: seconds, and the line that it was refused with."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    make(folder)
    yield folder
    lines = [said for _, said in TRIED if said is not None]
    print(f"\n{len(TRIED)} changed files of {len(READERS)} kinds: {len(lines)} refused, {len(TRIED) - len(lines)} read;")
    slowest, longest = max((s for s, _ in TRIED), default=0.0), max(map(len, lines), default=0)
    print(f"the longest line has {longest} characters, the slowest took {slowest:.1f} CPU s")


def refuse_or_read(name: str, content: bytes, whole: Path, own: Path) -> str | None:
    """The line that it ends with; any other error, a line that is no answer, or a long wait is a failure."""
    reader = READERS[name]
    folder = own if reader.fresh else whole
    if reader.fresh:
        shutil.rmtree(own, ignore_errors=True)
        for part in reader.fresh:
            (own / part).parent.mkdir(parents=True, exist_ok=True)
            if (whole / part).is_dir():
                shutil.copytree(whole / part, own / part)
            else:
                shutil.copy2(whole / part, own / part)
    before = (whole / reader.file).read_bytes()
    (folder / reader.file).write_bytes(content)
    began, waited = time.process_time(), time.monotonic()
    try:
        call(reader, folder)
    except InputError as error:
        said = shortened(f"error: {' '.join(str(error).split())}", LONGEST)
        assert len(said) <= LONGEST
        return said
    finally:
        (whole / reader.file).write_bytes(before)
        assert time.process_time() - began < SLOWEST, "slow"
        assert time.monotonic() - waited < 10 * SLOWEST, "waits"
    return None


@pytest.mark.parametrize("name", READERS)
def test_the_whole_file_is_read(name, whole, tmp_path):
    assert refuse_or_read(name, (whole / READERS[name].file).read_bytes(), whole, tmp_path / "own") is None


@pytest.mark.parametrize("file", sorted(HERE.glob("corpus/*/*")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_once_failed_is_refused_or_read(file, whole, tmp_path):
    refuse_or_read(file.parent.name, file.read_bytes(), whole, tmp_path / "own")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_a_changed_file_is_refused_in_one_line_or_read(name, whole, tmp_path):
    original = (whole / READERS[name].file).read_bytes()

    @given(content=changed(READERS[name].file, original))
    @settings(
        deadline=None,
        derandomize=EXAMPLES == 32,
        max_examples=EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a shorter file that fails alike is not worth the time
    )
    def check(content: bytes) -> None:
        began = time.process_time()
        try:
            said = refuse_or_read(name, content, whole, tmp_path / "own")
            TRIED.append((time.process_time() - began, said))
        except BaseException:
            if keep := os.environ.get("FUZZ_KEEP"):  # a folder for what fails, to be put into the corpus
                file = Path(keep) / name / hashlib.sha256(content).hexdigest()[:12]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            raise

    check()

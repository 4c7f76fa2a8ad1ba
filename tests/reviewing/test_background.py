"""Work in the background: how far it is, how it ends."""

import time
from pathlib import Path

from untrimmed.data.errors import InputError
from untrimmed.engine.progress import tell
from untrimmed.reviewing.background import Background


def work(shared, item):
    if item == "fault":
        raise InputError("no such thing")
    if item == "crash":
        import os

        os._exit(3)
    if item.startswith("/"):
        path = Path(item)
        try:
            path.write_text("half")
            for k in range(600):
                tell(k / 600)
                time.sleep(0.05)
        finally:
            path.unlink()
    return shared + item


def wait(background, *states):
    until = time.monotonic() + 20
    while background.status().state not in states:
        assert time.monotonic() < until, background.status()
        time.sleep(0.02)
    return background.status()


def test_it_is_done_and_can_begin_again():
    heard = []
    background = Background(work, "a", lambda item, result: heard.append((item, result)))
    assert background.status().state == "idle"
    assert background.start("b")
    wait(background, "done")
    assert heard == [("b", "ab")]
    background.start("fault")
    assert wait(background, "failed").words == "no such thing"
    background.start("crash")
    assert "crashed (exit code 3)" in wait(background, "failed").words
    background.start("c")
    wait(background, "done")
    assert heard[-1] == ("c", "ac")


def test_it_is_cancelled_and_tidies_up(tmp_path):
    background = Background(work, "a")
    half = tmp_path / "half"
    background.start(str(half))
    assert not background.start("another"), "one at a time"
    until = time.monotonic() + 20
    while background.status().share == 0:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert half.exists()
    background.cancel()
    wait(background, "cancelled")
    assert not half.exists()
    background.start(str(half))
    background.cancel()  # before there is a process
    wait(background, "cancelled")
    assert not half.exists()
    background.start(str(half))
    background.close()
    assert background.status().state == "cancelled"
    assert not half.exists()

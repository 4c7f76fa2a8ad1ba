"""Where the time went: inner stages stop the outer one's clock, other processes' counts are added, nothing is counted unasked."""

import re
from types import SimpleNamespace

import pytest

from tests.video.films import film, moving_blocks, steady
from untrimmed import stages


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand, while seconds are counted."""
    at = SimpleNamespace(now=0.0)
    monkeypatch.setattr(stages, "time", SimpleNamespace(perf_counter=lambda: at.now))
    monkeypatch.setenv(stages.ASKED, "1")
    stages.take()
    yield at
    stages.take()


def test_an_inner_stage_is_not_counted_twice(clock):
    def making():
        for i in range(3):
            clock.now += 2
            yield i

    with stages.stage("outer"):
        for _ in stages.timed("made", making()):
            clock.now += 10
        with stages.stage("inner", pictures=2, size=1000):
            clock.now += 5
    assert stages.take() == {"outer": (30, 0, 0), "made": (6, 3, 0), "inner": (5, 2, 1000)}
    assert stages.take() == {}
    stages.merge({"far": (2.0, 4, 8_000_000)})
    assert "far               2.00 s  100%        2.0 pictures/s        4.0 MB/s" in stages.table(1.0)


def test_nothing_is_counted_unasked(monkeypatch):
    monkeypatch.delenv(stages.ASKED, raising=False)
    with stages.stage("unasked", pictures=1):
        assert list(stages.timed("unasked", "ab")) == ["a", "b"]
    assert stages.take() == {}


def test_a_command_says_where_its_time_went(tmp_path, call, monkeypatch):
    monkeypatch.setenv(stages.ASKED, "1")  # as --profile does, and put back afterwards
    path = film(tmp_path / "a.mp4", steady(1), draw=moving_blocks)
    code, _, err = call("--profile", "extract", path, "--out", tmp_path / "store")
    assert code == 0
    assert re.search(r"profile: [\d.]+ s passed", err)
    for name in ("decode", "flow", "features", "write"):
        assert re.search(rf"^  {name} +[\d.]+ s", err, re.M), err
    assert re.search(r"features .* pictures/s", err)
    assert "motion: hand-made features" in err

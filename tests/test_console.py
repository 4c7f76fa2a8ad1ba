"""Progress over items that take long one by one."""

import io
from types import SimpleNamespace

from untrimmed import console


def test_elsewhere_than_on_a_terminal_a_line_at_most_every_15_seconds(monkeypatch, capsys):
    now = 0.0
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: now))
    with console.progress_within("extracting", {"long": 3, "short": 1}) as at:
        for seconds, name, share in ((5, "long", 0.1), (20, "long", 0.2), (30, "long", 0.3), (40, "short", 1.0), (60, "long", 1.0)):
            now = seconds
            at(name, share)
    assert capsys.readouterr().err.splitlines() == [
        "extracting: 0/2 videos, 15%, about 113 s left",
        "extracting: 1/2 videos, 48%, about 44 s left",
    ]


def test_what_is_counted_is_named_and_no_time_is_told_of_next_to_nothing(monkeypatch, capsys):
    now = 0.0
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: now))
    with console.progress_within("training: rgb and flow", {"rgb": 1, "flow": 1}, "streams") as at:
        for seconds, share in ((20, 0.004), (40, 0.5)):
            now = seconds
            at("rgb", share)
    assert capsys.readouterr().err.splitlines() == [
        "training: rgb and flow: 0/2 streams, 0%",
        "training: rgb and flow: 0/2 streams, 25%, about 120 s left",
    ]


def test_on_a_terminal_a_bar(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with console.progress_within("extracting", {"long": 3, "short": 1}) as at:
        at("short", 1.0)
        at("long", 0.5)
    assert "extracting" in terminal.getvalue()
    assert "1/2" in terminal.getvalue()
    assert "62%" in terminal.getvalue()


def test_nothing_to_do_is_no_fault(capsys):
    with console.progress_within("extracting", {}):
        pass
    assert capsys.readouterr().err == ""


def test_in_a_notebook_a_line_is_written_over(monkeypatch):
    written = []
    monkeypatch.setattr(console, "_line_of_a_cell", lambda: written.append)
    with console.progress("films", 3, done=1) as advance:
        advance(suffix="a\x1b")
        advance()
    assert written[0].startswith("films: 2/3 a\\x1b, about 0 s left")
    assert written[-1] == "films: 3/3"
    with console.progress_within("extracting", {"a": 1.0, "b": 3.0}) as at:
        at("a", 1.0)
        at("b", 1.0)
    assert written[-2:] == ["extracting: 25/100 % (1/2), about 0 s left", "extracting: 100/100 % (2/2)"]


def test_outside_of_a_notebook_there_is_no_such_line():
    assert console._line_of_a_cell() is None

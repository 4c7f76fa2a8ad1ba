"""What a person sees in a terminal: help in groups with examples, lines that fit, colours, and the values that hold."""

import io
import os
import re
import shlex
import subprocess
import sys
import time

import pytest
import typer.main

from untrimmed import cli, console
from untrimmed.cli_help import EXAMPLES, GROUPS, ORDER
from untrimmed.jobs.methods import as_set, describe_methods
from untrimmed.methods.base import resolve

APP = typer.main.get_command(cli.app)


def ask(*arguments, columns=80, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "untrimmed", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": str(columns), "LINES": "40"} | environment,
    )
    return done.stdout


# Help -------------------------------------------------------------------------------------------------------------------------


def test_summaries_fit_and_commands_come_in_the_order_of_use():
    said = ask("--help")
    assert "..." not in said.partition("Try it:")[2]
    assert max(map(len, said.splitlines())) <= 80
    listed = re.findall(r"^  (\w+)  ", said.partition("Try it:")[2], re.M)
    assert listed == [name for names in ORDER.values() for name in names if name in APP.commands]
    assert set(listed) == set(APP.commands), "a new command belongs into cli_help.ORDER"
    assert "--install-completion" in said


@pytest.mark.parametrize("name", sorted(APP.commands))
def test_every_option_stands_in_a_group(name):
    placed = {option for names in GROUPS.values() for option in names.split()} | {"help"}
    options = {param.name for param in APP.commands[name].params if param.param_type_name == "option"}
    assert options <= placed, "a new option belongs into a group of cli_help.GROUPS"


@pytest.mark.parametrize("name", sorted(APP.commands))
def test_examples_are_calls_that_the_parser_takes(name, capsys):
    assert len(EXAMPLES[name]) == 2
    for example in EXAMPLES[name]:
        program, command, *arguments = shlex.split(example.partition(" > ")[0])
        assert (program, command) == ("untrimmed", name)
        assert len(example) <= 110
        APP.commands[name].make_context(name, list(arguments))  # raises where an option or argument is unknown or missing
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    said = capsys.readouterr().out
    assert said.rstrip().endswith(EXAMPLES[name][1])


def test_help_of_a_command():
    said = ask("train", "--help")
    titles = re.findall(r"^(\w.*):$", said, re.M)
    assert titles == ["Arguments", *GROUPS, "Other", "Examples"]
    for option in ("--features", "--labels", "--seed", "--out", "--workers"):
        assert said.count(f"  {option} ") == 1
    assert said.index("--features") < said.index("--preset") < said.index("--out <path>") < said.index("--workers")


def test_help_is_quick():
    """User time, of five times the first that is quick: other work on the machine shall not count."""
    spent = []
    while len(spent) < 5 and not (spent and spent[-1] < 0.3):
        before = os.times()
        ask("--help")
        after = os.times()
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(spent) < 0.3


def test_help_imports_nothing_heavy():
    code = "import sys; from untrimmed import cli; print(sorted({'torch', 'numpy', 'rich', 'av', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_completion_knows_the_commands():
    program = "import sys; sys.argv[0] = 'untrimmed'; from untrimmed.cli import main; main()"
    words = {"_UNTRIMMED_COMPLETE": "complete_bash", "COMP_WORDS": "untrimmed ex", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ | words)
    assert {"extract", "export"} <= set(done.stdout.split()), done.stderr


# methods NAME -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["default", "thumos14", "activitynet"])
def test_methods_shows_the_values_that_train_takes(preset):
    said = describe_methods("dgam", preset)
    chosen = resolve("dgam", preset)
    shown = dict(re.findall(r"^  (\S+) = (.*?)(?:  \(.*\))?$", said, re.M))
    assert shown["epochs"] == as_set(chosen.method.epochs)
    assert shown["localization.nms"] == as_set(chosen.localization.nms)
    assert shown["data.snippets"] == as_set(chosen.data.snippets)
    for stream, values in chosen.method.streams.items():
        for name, value in values.items():
            assert shown[f"{stream}.{name}"] == as_set(value)


def test_methods_shows_ranges():
    said = describe_methods("dgam")
    assert "epochs = 6000" not in said, "which no run of `default` uses"
    assert re.search(r"epochs = \d+  \(at least 1\)", said)
    assert "schedule = cosine  (constant, cosine)" in said
    assert re.search(r"ramp_fraction = [\d.]+  \(0 to 1\)", said)
    assert "epochs = 6000  (at least 1)" in describe_methods("dgam", "thumos14")


# Lines that fit ---------------------------------------------------------------------------------------------------------------


def test_notes_are_wrapped_between_words():
    text = "warning: 12 of 16 videos of /a/very/long/path/that/is/longer/than/the/line/annotations.json are not in new.json"
    lines = console.wrapped(text, 40).split("\n")
    assert " ".join(" ".join(lines).split()) == text
    assert [line for line in lines if len(line) > 40] == ["  /a/very/long/path/that/is/longer/than/the/line/annotations.json"]
    assert console.wrapped("short", 40) == "short"


def test_tables_are_wrapped_between_columns():
    rows = [["run", *(f"{value:.1f}" for value in range(90, 99))], ["jump_and_turn", *(["100.0"] * 9)]]
    lines = console.columns(["label", *(f"0.{k}" for k in range(1, 10))], rows)
    folded = console.wrapped("\n".join(["head", *lines, "end"]), 40).split("\n")
    assert max(map(len, folded)) <= 40
    assert (folded[0], folded[-1]) == ("head", "end")
    parts = [folded[1 + 3 * k : 4 + 3 * k] for k in range((len(folded) - 2) // 3)]
    assert len(parts) > 1
    assert all([line.split()[0] for line in part] == ["label", "run", "jump_and_turn"] for part in parts)
    assert [cell for part in parts for cell in part[1].split()[1:]] == rows[0][1:]


def test_markdown_tables_are_wrapped_between_columns():
    table = "| run | mAP@0.1 | mAP@0.3 | mAP@0.5 |\n|---|---:|---:|---:|\n| dgam | 81.7 ± 3.6 | 79.4 ± 3.9 | **75.3 ± 3.8** |"
    assert console.wrapped(table, 200) == table
    lines = console.wrapped(table, 30).split("\n")
    assert max(map(len, lines)) <= 30
    assert [line.split()[0] for line in lines] == ["run", "dgam"] * (len(lines) // 2)
    assert all(any(cell in line for line in lines) for cell in ("mAP@0.3", "**75.3 ± 3.8**", "81.7 ± 3.6", "79.4 ± 3.9"))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours(environment, coloured, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", Terminal())
    console.note("error: a run is missing")
    console.note("warning: few videos")
    console.show("| dgam | **45.8** | 44.1 |")
    said = sys.stderr.getvalue() + sys.stdout.getvalue()
    assert ("\x1b[1;31merror\x1b[0m: a run is missing" in said) == coloured
    assert ("\x1b[1;33mwarning\x1b[0m: few videos" in said) == coloured
    assert ("\x1b[1;32m**45.8**\x1b[0m" in said) == coloured
    assert coloured or "\x1b" not in said


def test_what_is_piped_is_neither_wrapped_nor_coloured(capsys):
    long = "warning: " + "word " * 50
    console.note(long)
    console.show(long)
    assert capsys.readouterr() == (f"{long}\n", f"{long}\n")


def test_bars_say_what_they_count(monkeypatch, capsys):
    now = iter(range(0, 1000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with console.progress("training: rgb", 3, unit="epochs") as advance:
        advance()
        advance()
    assert capsys.readouterr().err.startswith("training: rgb: 1/3 epochs, about 40 s left")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "100")
    with console.progress("localize", 3) as advance:
        advance()
    assert "1/3 videos" in re.sub(r"\x1b\[[\d;]*m", "", sys.stderr.getvalue())

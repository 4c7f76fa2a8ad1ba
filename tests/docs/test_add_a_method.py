"""The method of docs/add-a-method.md, exactly as it stands there: it passes the suite by the page's own command."""

import dataclasses
import os
import re
import shlex
import subprocess
import sys

import pytest
import yaml

from tests.docs.pages import ROOT, blocks
from tests.methods.suite import Suite
from tests.packages import installed
from untrimmed import cli
from untrimmed.data.annotations import read_detections
from untrimmed.methods.registry import METHODS

PAGE = ROOT / "docs" / "add-a-method.md"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The page's package, installed."""
    folder = tmp_path_factory.mktemp("toppool")
    files = {block.file: block.text for block in blocks(PAGE) if block.file}
    assert set(files) == {"toppool.py", "toppool.yaml", "pyproject.toml", "toppool.suite.yaml"}
    for name, text in files.items():
        (folder / name).write_text(text)
    with installed(folder):
        yield folder


def test_it_passes_the_suite(project):
    (line,) = (line for block in blocks(PAGE) for line in block.text.splitlines() if " pytest " in line)
    assignment, program, *arguments = shlex.split(line)
    assert program == "pytest"
    environment = {**os.environ, **dict([assignment.split("=")])}
    command = [sys.executable, "-m", program, "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 30


def test_its_commands_do_what_the_page_says(project, run_page, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for command in ("init videos/train --out labels.csv", "extract videos/train --out features"):
        with pytest.raises(SystemExit) as ended:
            cli.main(command.split())
        assert ended.value.code == 0
    done = [line for line in run_page(PAGE) if line != "python"]
    assert [line.split()[1] for line in done] == ["methods", "train", "localize"]
    assert "toppool (of the package toppool 1.0): top pooling" in capsys.readouterr().out
    found = read_detections(folder / "toppool.json")
    assert found.untrimmed["method"] == "toppool"
    assert len(found.results) == 7


def test_the_page_knows_all_parts_of_the_suite_s_settings():
    table = PAGE.read_text(encoding="utf-8").partition("| part | settings | default |")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert named == [field.name for field in dataclasses.fields(Suite)]
    for field in dataclasses.fields(Suite):
        if field.default_factory is not dataclasses.MISSING:
            text = yaml.safe_dump(field.default_factory(), default_flow_style=True, sort_keys=False).strip()
            assert f"`{text}`" in table, field.name


def test_what_is_asked_of_a_method_of_the_package_is_there():
    """The files that the page's last section names hold what it says of them."""
    text = PAGE.read_text(encoding="utf-8")
    assert "`METHODS` of [`methods/registry.py`]" in text
    settings = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for place in METHODS.values():
        assert f"<!-- settings: {place.partition(':')[0]}.Config -->" in settings

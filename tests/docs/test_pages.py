"""What the pages point to and name exists: files, headings, commands, options, settings, and where values come from."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
import typer.main
import yaml

from tests.docs.pages import PAGES, ROOT, blocks, value_text, with_settings_tables
from untrimmed.cli import app
from untrimmed.data.errors import InputError
from untrimmed.data.settings import build, parse_assignments
from untrimmed.localization import Localization
from untrimmed.methods.base import method_class, resolve
from untrimmed.methods.registry import METHODS, presets_of
from untrimmed.training import DataSettings
from untrimmed.video.extractors import EXTRACTORS, make_extractor, plain_name

COMMANDS = typer.main.get_command(app).commands
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(file), target


def test_links_are_found_at_all():
    assert sum(len(re.findall(r"\]\(([^)\s]+)\)", prose(page))) for page in PAGES) > 30


@each_page
def test_commands_and_their_options_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`untrimmed (\w+)", text):
        assert name in COMMANDS or name == "COMMAND", name
    lines = [line for block in blocks(page) for line in block.text.splitlines() if line.startswith("untrimmed ")]
    for line in lines:
        command = COMMANDS[line.split()[1]]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r" (--[\w-]+)", line)) <= known, line
    everything = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts} | {"--help"}
    for option in re.findall(r"`(--[a-z-]+)", prose(page)):
        assert option in everything, option


@each_page
def test_settings_that_are_set_exist(page):
    for line in page.read_text(encoding="utf-8").splitlines():
        for assignment in re.findall(r"--set ([\w.]+=[^\s`]+)", line):
            assert is_setting(line, assignment), f"{assignment} in: {line}"


def is_setting(line: str, assignment: str) -> bool:
    settings = parse_assignments([assignment])
    if "untrimmed extract" in line:
        extractor = re.search(r"--extractor (\S+)", line)
        name = plain_name(extractor[1])[0] if extractor else "motion"
        if name not in EXTRACTORS:  # of a page's own; tests/docs/test_extractors.py runs it
            return True
        return builds(lambda: build(importlib.import_module(EXTRACTORS[name]).Extractor.Config, settings, name))
    if "untrimmed localize" in line:
        return builds(lambda: resolve("dgam", overrides={"localization": settings}))
    named = re.search(r"(?:untrimmed train|--method) (\w+)", line)
    return any(builds(lambda m=method: resolve(m, overrides=settings)) for method in ([named[1]] if named else METHODS))


def builds(make: Callable[[], Any]) -> bool:
    try:
        make()
    except InputError:
        return False
    return True


@each_page
def test_presets_and_qualified_settings_exist(page):
    text = page.read_text(encoding="utf-8")
    presets = {preset for method in METHODS for preset in presets_of(method)}
    for preset in re.findall(r"--preset ([\w.-]*\w)", text):
        assert preset in presets, preset
    own = {name for method in METHODS for name in method_class(method).Config.__dataclass_fields__}
    sections = {"method": own, "localization": Localization.__dataclass_fields__, "data": DataSettings.__dataclass_fields__}
    for section, name in re.findall(r"`(method|localization|data)\.(?:rgb\.|flow\.)?(\w+)`", text):
        assert name in sections[section], f"{section}.{name}"


def test_tables_of_settings_are_those_of_the_code():
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for cls in (Localization, DataSettings, *(method_class(method).Config for method in METHODS)):
        assert text.count(f"<!-- settings: {cls.__module__}.{cls.__name__} -->") == 1
    assert text == with_settings_tables(text), "bring them up to date with: python -m tests.docs.pages"


@pytest.mark.parametrize("method", METHODS)
def test_every_value_of_a_preset_has_a_source(method):
    for name, preset in presets_of(method).items():
        assert sourced(method, name) == {key: value_text(value) for key, value in leaves(preset)}, f"docs/paper_index.md, {name}"


def sourced(method: str, preset: str) -> dict[str, str]:
    """The values that the paper index explains for a preset, with those of the preset that it says to build on."""
    page = (ROOT / "docs" / "paper_index.md").read_text(encoding="utf-8")
    (own,) = (
        text
        for heading, text in re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", page, re.M)
        if heading.replace("-", "").lower() == method
    )
    (section,) = re.findall(rf"^### `{re.escape(preset)}`\n((?:(?!###).*\n)*)", own, re.M)
    base = re.search(r"^(?:As|Identical to) `(\S+)`", section, re.M)
    rows = {key: value for key, value, source in re.findall(r"^\| `(\S+)` \| (.*?) \| (.+?) \|$", section, re.M) if source}
    return (sourced(method, base[1]) if base else {}) | rows


def leaves(tree: dict[str, Any], above: str = ""):
    for key, value in tree.items():
        yield from leaves(value, f"{above}{key}.") if isinstance(value, dict) else [(f"{above}{key}", value)]


def test_the_motion_extractors_settings_are_listed():
    page = (ROOT / "docs" / "own-videos.md").read_text(encoding="utf-8")
    config = make_extractor("motion").config
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S+) \| ", page, re.M))
    assert {name: f"{getattr(config, name):g}" for name in config.__dataclass_fields__}.items() <= rows.items()


def test_what_recuts_segments_is_a_localization_setting():
    page = (ROOT / "docs" / "own-videos.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)(?:=(\S+?))?`", page.partition("| when | try |")[2].partition("\n\n")[0])
    assert named
    for name, value in named:
        assert name in Localization.__dataclass_fields__
        resolve("dgam", overrides={"localization": {name: yaml.safe_load(value)} if value else {}})


def test_no_page_names_a_machine_or_an_index_of_packages():
    for page in PAGES:
        assert not re.search(r"/home/|/root/|/tmp/", page.read_text(encoding="utf-8"), re.I), page


def test_the_demo_as_a_moving_picture():
    """It is shown where people begin, small, well-formed, without the times of one machine, and loads nothing."""
    file = ROOT / "docs" / "images" / "demo.svg"
    for page, target in (("README.md", "docs/images/demo.svg"), ("docs/index.md", "images/demo.svg")):
        assert f"]({target})" in (ROOT / page).read_text(encoding="utf-8")
    assert file.stat().st_size < 200_000
    root = ElementTree.parse(file).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    lines = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert lines[0] == "$ untrimmed demo"
    assert lines[-1] == "now open demo-out/report.html"
    assert any(line.startswith("told the true times") for line in lines)
    assert not [line for line in lines if re.search(r"\d s\b", line)]
    pictures = [image.get("href") for image in root.iter("{http://www.w3.org/2000/svg}image")]
    assert [picture[:23] for picture in pictures] == ["data:image/jpeg;base64,"] * 2

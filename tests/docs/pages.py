"""The pages that people read, and the parts of them that can be checked or run.

`python -m tests.docs.pages` writes the tables of settings in docs/methods.md and docs/extractors.md, and of names, anew.
"""

import dataclasses
import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

from untrimmed.video.extractors.named import NAMED

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


class Block(NamedTuple):
    """A fenced block: its language, its text, and the file whose content it shows, if it names one."""

    language: str
    text: str
    file: str = ""


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = re.findall(r"^```(\w*) *(.*)\n((?:.*\n)*?)^```$", page.read_text(encoding="utf-8"), re.M)
    return [Block(language, text, file) for language, file, text in found]


def with_settings_tables(text: str) -> str:
    """The text of a page with a table of settings after each `<!-- settings: module.Class -->`, as the code has them."""
    return re.sub(r"(<!-- settings: (\S+) -->)\n(\|.*\n)*", lambda mark: f"{mark[1]}\n{_table(mark[2])}\n", text)


def with_names(text: str) -> str:
    """The text of a page with the table of models that have a name between its marks, as the code has them."""
    rows = ["| name | model | licence | good for |", "|---|---|---|---|"]
    for name, of in NAMED.items():
        rows.append(f"| `{name}` | {of.model}, {of.parameters} M, width {of.width} | {of.licence} | {of.good_for} |")
    table = "\n".join(rows)
    return re.sub(r"(<!-- names -->)\n(?:\|.*\n)*", lambda mark: f"{mark[1]}\n{table}\n", text)


def _table(path: str) -> str:
    module, _, name = path.rpartition(".")
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for field in dataclasses.fields(getattr(importlib.import_module(module), name)):
        if field.name != "streams":
            rows.append(f"| `{field.name}` | {value_text(field.default)} | {field.metadata['meaning']} |")
    return "\n".join(rows)


def value_text(value: Any) -> str:
    """A setting's value as a person would write it after `--set name=`."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(value_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    for page in (ROOT / "docs" / "methods.md", ROOT / "docs" / "extractors.md"):
        page.write_text(with_names(with_settings_tables(page.read_text(encoding="utf-8"))), encoding="utf-8")

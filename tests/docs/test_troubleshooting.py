"""Every line that the page of errors explains is one that the program can say."""

import ast
import re

from tests.docs.pages import ROOT
from untrimmed.cli import app
from untrimmed.cli_endings import with_flags

PAGE = ROOT / "docs" / "troubleshooting.md"
FROM_THE_PARSER = ("Missing option", "No such option:", "No such command")


def phrases() -> list[str]:
    """The quoted lines of the page, in the first column of its tables."""
    rows = re.findall(r"^\| (.*?) \| ", PAGE.read_text(encoding="utf-8").partition("## The command line")[2], re.M)
    return [phrase for row in rows for phrase in re.findall(r"`([^`]+)`", row)]


def said() -> list[str]:
    """All texts in the code, as the command line prints them; what is filled in is `…`."""
    texts = []
    for file in (ROOT / "src" / "untrimmed").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return [with_flags(app, text) for text in texts]


def test_each_line_can_be_said():
    texts = said()
    found = phrases()
    assert len(found) > 80
    for phrase in found:
        for part in re.split(r"…", phrase):
            part = part.strip(" ()`'\"")
            if len(part) > 3 and part not in FROM_THE_PARSER:
                assert any(part in text for text in texts), f"{part!r} of {phrase!r}"

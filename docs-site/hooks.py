"""What mkdocs does to the pages while it builds the site: they are plain Markdown, which reads as well without it.

- Pages are made of what is kept elsewhere: the command reference of the command line itself, the API reference of the functions
  that the package exports, results, changes and how to contribute of the files at the root.
- Links from page to page keep working; a link to a file that is no page of the site becomes plain text.
- A fence that names its file (```yaml experiment.yaml) gets the name as its title.
"""

import os
import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mkdocs.structure.files import File, Files

import untrimmed

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "benchmarks/RESULTS.md": "results.md",
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Pages of the site that lie outside docs/."""


def on_files(files: Files, config: Any) -> Files:
    for source, page in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, "commands.md", content=commands()))
    files.append(File.generated(config, "api.md", content=api()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    source = {made: source for source, made in ELSEWHERE.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    markdown = re.sub(r"^```(\w+) +(\S.*)$", r'```\1 title="\2"', markdown, flags=re.M)
    known = set(files.src_uris)

    def link(found: re.Match[str]) -> str:
        mark, text, target = found["mark"], found["text"], found["target"]
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path, _, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(path)))
        inside = ELSEWHERE.get(place, "index.md" if place == "README.md" else place.removeprefix("docs/"))
        if inside not in known:
            return text
        anchor = "" if place == "README.md" else anchor  # the home page is another text
        relative = os.path.relpath(inside, posixpath.dirname(page.file.src_uri) or ".")
        return f"{mark}[{text}]({relative}{'#' if anchor else ''}{anchor})"

    return re.sub(r"(?P<mark>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)", link, markdown)


def commands() -> str:
    """The command reference: what `untrimmed COMMAND --help` says."""
    import typer.main

    from untrimmed.cli import app

    group = typer.main.get_command(app)
    context = group.make_context("untrimmed", ["doctor"])  # any command: the context knows the program's name
    lines = ["# Commands", "", "As `untrimmed COMMAND --help` says it.", ""]
    for name in group.list_commands(context):  # type: ignore[attr-defined]
        command = group.commands[name]  # type: ignore[attr-defined]
        with command.context_class(command, info_name=name, parent=context, max_content_width=100, terminal_width=100) as own:
            lines += [f"## untrimmed {name}", "", "```text", command.get_help(own), "```", ""]
    return "\n".join(lines)


def api() -> str:
    """The API reference: every function and class that `untrimmed` exports, by its docstring."""
    lines = ["# Python", "", "Each command is a function of the same name and options, and imports nothing before it is used.", ""]
    for name, module in sorted(untrimmed._EXPORTS.items(), key=lambda item: (item[0][0].isupper(), item[0])):
        lines += [f"::: {module}.{name}", ""]
    return "\n".join(lines)

"""The site of docs/: it builds without a warning, no link of it is dead, and every page fits a desk and a phone."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlparse

import pytest

from tests.docs.pages import ROOT, blocks
from untrimmed import _EXPORTS
from untrimmed.cli_help import EXAMPLES


class Page(HTMLParser):
    """The links of a page, what it loads, and the places in it that links can name."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("img", "script", "source") and "src" in given:
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon"):
            self.loads.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as CI builds it: any warning is an error."""
    pytest.importorskip("material", reason="the extra docs is not installed: pip install '.[docs]'")
    pytest.importorskip("mkdocstrings", reason="the extra docs is not installed: pip install '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    return {file.relative_to(site).as_posix(): Page(file) for file in sorted(site.rglob("*.html")) if file.name != "404.html"}


def test_every_page_is_there(site, pages):
    sources = {f"{file.stem}.html" for file in (ROOT / "docs").glob("*.md")}
    assert set(pages) == sources | {
        f"{name}.html" for name in ("results", "benchmarks", "changelog", "contributing", "commands", "api")
    }
    assert "What happens when" in (site / "index.html").read_text(encoding="utf-8")


def test_no_link_is_dead(site, pages):
    for name, page in pages.items():
        for target in page.links + page.loads:
            if urlparse(target).scheme:
                assert target in page.links, f"{name} loads {target} from elsewhere"
                continue
            path, _, anchor = urljoin(f"/{name}", target).partition("#")
            file = site / (unquote(path.lstrip("/")) or "index.html")
            assert file.is_file(), f"{name}: {target}"
            if anchor and file.suffix == ".html":
                assert unquote(anchor) in pages[file.relative_to(site).as_posix()].ids, f"{name}: {target}"


def test_fences_with_a_file_name_show_it(site):
    text = (site / "formats.html").read_text(encoding="utf-8")
    named = [block.file for block in blocks(ROOT / "docs" / "formats.md") if block.file]
    assert len(named) > 5
    assert re.findall(r'<span class="filename">([^<]*)</span>', text) == named
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", (ROOT / "docs" / "formats.md").read_text(), flags=re.M | re.S), re.M
    )
    assert len(re.findall(r"<h[1-6] id", text)) == len(headings)


def test_the_references_are_whole(site, pages):
    commands = (site / "commands.html").read_text(encoding="utf-8")
    for name, (example, _) in EXAMPLES.items():
        assert f"untrimmed-{name}" in pages["commands.html"].ids
        assert example.replace("&", "&amp;").replace(">", "&gt;") in re.sub(r"<[^>]*>", "", commands)
    for name, module in _EXPORTS.items():
        assert f"{module}.{name}" in pages["api.html"].ids
    api = (site / "api.html").read_text(encoding="utf-8")
    assert "labels.csv" in api
    assert ":::" not in api


@pytest.fixture(scope="module")
def served(site):
    """The site on a port of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_every_page_fits_a_desk_and_a_phone(browser, served, pages):
    """At 1400 and 400 px nothing is wider than the window; pictures are there, scripts run, nothing is fetched elsewhere."""
    window = browser.new_page(viewport={"width": 1400, "height": 900})
    window.set_default_timeout(180_000)  # a busy machine may be late
    asked, faults = [], []
    window.on("request", lambda request: asked.append(request.url))
    window.on("pageerror", lambda error: faults.append(str(error)))
    for name in pages:
        window.goto(f"{served}/{name}", wait_until="load")
        for width in (1400, 400):
            window.set_viewport_size({"width": width, "height": 900})
            assert window.evaluate("document.scrollingElement.scrollWidth") <= width, f"{name} at {width} px"
            assert window.locator("h1").first.is_visible(), name
        assert window.evaluate("[...document.images].every((image) => image.naturalWidth > 0)"), name
        window.set_viewport_size({"width": 1400, "height": 900})
    window.close()
    assert faults == []
    assert [url for url in asked if not url.startswith((served, "data:", "blob:"))] == []


# The pages that only the site has ---------------------------------------------------------------------------------------------


def test_quick_start_types_what_the_readme_does():
    """The README's lines are run, see test_readme.py."""
    known = {line for block in blocks(ROOT / "README.md") for line in block.text.splitlines()}
    lines = [
        line.strip()
        for line in (ROOT / "docs" / "quick-start.md").read_text().splitlines()
        if line.strip().startswith("untrimmed ")
    ]
    assert len(lines) > 8
    assert [line for line in lines if line not in known | {"untrimmed demo --quick", "untrimmed doctor"}] == []


def test_figures_of_the_choice_of_a_method_are_measured():
    measured = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "which-method.md").read_text(encoding="utf-8")
    figures = re.findall(r"[\d.]+ ± [\d.]+", page)
    assert len(figures) > 25
    assert [figure for figure in figures if f"| {figure} |" not in measured] == []

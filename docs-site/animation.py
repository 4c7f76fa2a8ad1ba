"""The demo as a moving picture of 40 seconds.

`python docs-site/animation.py LOG --page PAGE.png --timeline TIMELINE.png --out FILE.svg`: LOG is what `untrimmed demo` printed,
standard error and output in one (`untrimmed demo > LOG 2>&1`); of each progress the last state is shown. How long it took is
left out, which depends on the machine. The two pictures are screenshots of the page that it made. The SVG moves by CSS alone: a
browser plays it in an <img>.
"""

import argparse
import base64
import io
import re
from html import escape
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT, SECONDS = 800, 460, 40
LINES, LINE = 21, 20
COMMAND = "untrimmed demo"
PICTURES_FROM = 22  # seconds; before them the terminal

STYLE = f"""
text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d7e0e6; white-space: pre }}
.line, .picture {{ opacity: 0; animation: {SECONDS}s step-end infinite }}
"""


def shown_lines(log: str) -> list[str]:
    """The lines of a terminal, without times: what a carriage return or a later state of the same progress has replaced is gone."""
    lines: list[str] = []
    for line in (line.split("\r")[-1].rstrip() for line in log.split("\n")):
        line = re.sub(r", about \d+ s left|^done in \d+ s; ", "", line)
        progress = re.match(r"(.*: )\d+/\d+ ", line)
        if progress and lines and lines[-1].startswith(progress[1]):
            lines.pop()
        lines.append(line[: WIDTH // 8 - 4])
    return [line for line in lines if line]


def appears(name: str, begin: float, end: float) -> str:
    """Keyframes: invisible but from `begin` to `end`, in seconds."""
    first, last = 100 * begin / SECONDS, 100 * end / SECONDS
    return f"@keyframes {name} {{ 0% {{ opacity: 0 }} {first:.2f}% {{ opacity: 1 }} {last:.2f}% {{ opacity: 0 }} }}"


def picture(file: Path) -> str:
    """A screenshot as a small JPEG, for an address in the SVG."""
    image = Image.open(file).convert("RGB")
    image.thumbnail((WIDTH, HEIGHT))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=70, optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def animation(log: str, pictures: list[Path]) -> str:
    """The SVG."""
    lines = [f"$ {COMMAND}", *shown_lines(log)[1 - LINES :]]
    frames, body = [], []
    for number, line in enumerate(lines):
        frames.append(appears(f"l{number}", 1 + number * (PICTURES_FROM - 8) / len(lines), PICTURES_FROM))
        y = 36 + number * LINE
        body.append(f'<text class="line" style="animation-name: l{number}" x="20" y="{y}">{escape(line)}</text>')
    each = (SECONDS - PICTURES_FROM) / len(pictures)
    for number, file in enumerate(pictures):
        frames.append(appears(f"p{number}", PICTURES_FROM + number * each, PICTURES_FROM + (number + 1) * each))
        body.append(
            f'<image class="picture" style="animation-name: p{number}" width="{WIDTH}" height="{HEIGHT}" '
            f'href="data:image/jpeg;base64,{picture(file)}"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="untrimmed demo">'
        f"<title>untrimmed demo: what it prints, and its page</title><style>{STYLE}{''.join(frames)}</style>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#14212b"/>{"".join(body)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--timeline", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.write_text(animation(given.log.read_text(encoding="utf-8"), [given.page, given.timeline]), encoding="utf-8")


if __name__ == "__main__":
    main()

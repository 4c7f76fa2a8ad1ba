"""The table of docs/licences.md, of what requirements.lock lists and is installed here: python -m tests.docs.licences"""

import importlib.metadata
import re
import textwrap

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "licences.md"
LOCK = ROOT / "requirements.lock"
HEAD = """# Licences of the dependencies

What `requirements.lock` installs, and the licence that each package states. `python -m tests.docs.licences` makes this page.
`untrimmed` is under [Apache-2.0](https://www.apache.org/licenses/LICENSE-2.0); nothing of these packages is part of it. The
packages of the last line come with PyTorch where it is made for NVIDIA's GPUs, or are for other systems; they are not looked
into here. Those that begin with `nvidia` and `cuda` are under NVIDIA's own terms.

| package | licence |
|---|---|
"""


def locked() -> dict[str, str]:
    """Version by name."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK.read_text(encoding="utf-8"), re.M))


def licence_of(name: str) -> str | None:
    """What a package states in its metadata; None: it is not installed."""
    try:
        about = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    if expression := about.get("License-Expression"):
        return expression
    classified = [entry.rpartition(" :: ")[2] for entry in about.get_all("Classifier") or [] if entry.startswith("License ::")]
    stated = (about.get("License") or "").strip().splitlines()
    return "; ".join(classified) or (stated[0] if stated else "not stated in its metadata")


def page() -> str:
    """The whole page."""
    licences = {name: licence_of(name) for name in sorted(locked())}
    rows = [f"| {name} | {licence} |" for name, licence in licences.items() if licence is not None]
    others = [name for name, licence in licences.items() if licence is None]
    last = textwrap.fill(f"Not installed here: {', '.join(others)}.", 120, break_on_hyphens=False)
    return HEAD + "\n".join(rows) + f"\n\n{last}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""The lock file and the list of licences keep up with the dependencies."""

import re
import tomllib

from tests.docs.licences import LOCK, PAGE, licence_of, locked
from tests.docs.pages import ROOT


def test_the_lock_holds_every_dependency_at_its_pinned_version_with_hashes():
    lock = locked()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        name for text in (*project["dependencies"], *extras["dev"], *extras["hub"]) if (name := re.match(r"[\w.-]+", text)[0])
    ]
    assert {name.lower() for name in wanted} - {"untrimmed"} <= lock.keys()
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))
    assert {name: version for name, version in pinned.items() if lock.get(name.lower(), version) != version} == {}
    entries = re.split(r"^(?=[\w.-]+==)", LOCK.read_text(encoding="utf-8"), flags=re.M)[1:]
    assert [entry.partition(" ")[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_page_names_every_locked_package_and_what_it_states():
    text = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([\w.-]+) \| (.*) \|$", text, re.M))
    others = set(" ".join(text.partition("Not installed here: ")[2].split()).rstrip(".").split(", "))
    assert (rows.keys() | others) - {"package"} == locked().keys()
    names = re.findall(r"^([\w.-]+)==", LOCK.read_text(encoding="utf-8"), re.M)
    one = [name for name in locked() if names.count(name) == 1]  # of others each Python has its own version
    assert {name: rows.get(name) for name in one if (stated := licence_of(name)) and rows.get(name, stated) != stated} == {}

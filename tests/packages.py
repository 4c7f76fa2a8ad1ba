"""Other people's packages, as `pip install --editable` leaves them: on the path, with what their pyproject.toml says of them."""

import importlib
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def installed(project: Path) -> Iterator[None]:
    """For a while the modules beside a pyproject.toml can be imported and its entry points are found, in child processes too."""
    with TemporaryDirectory() as site:
        write_metadata(project, Path(site))
        places, inherited = [site, str(project)], os.environ.get("PYTHONPATH")
        sys.path[:0] = places
        os.environ["PYTHONPATH"] = os.pathsep.join([*places, *([inherited] if inherited else [])])
        importlib.invalidate_caches()
        try:
            yield
        finally:
            for place in places:
                sys.path.remove(place)
            if inherited is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = inherited
            for name, module in list(sys.modules.items()):
                if Path(getattr(module, "__file__", None) or os.devnull).is_relative_to(project):
                    del sys.modules[name]


def write_metadata(project: Path, site: Path) -> Path:
    """The dist-info folder of a project."""
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"{about['name']}-{about['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in about["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))
    return info

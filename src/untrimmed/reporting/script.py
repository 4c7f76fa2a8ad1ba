"""The page's JavaScript modules as one script, so that the page stays a single file that works from a disk.

Browsers load no module from `file://`, and the page may fetch nothing. The modules are plain: `import { names } from "./other.js"`
at the top and `export` before a declaration; two modules never declare the same name. So dropping these words and writing each
module after those it imports makes one script of the same meaning.
"""

import re
from importlib.resources.abc import Traversable

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|let|class|(?:async )?function)\b)", re.MULTILINE)


def one_script(folder: Traversable, entry: str) -> str:
    """The module `entry` of a folder and all that it imports, each after what it imports itself, in one block."""
    texts: dict[str, str] = {}
    _collect(folder, entry, texts)
    return '"use strict";\n{\n' + "\n".join(texts.values()) + "}\n"


def _collect(folder: Traversable, name: str, texts: dict[str, str], path: tuple[str, ...] = ()) -> None:
    if name in texts:
        return
    if name in path:
        raise ValueError(f"modules import each other in a circle: {' -> '.join([*path, name])}")
    text = folder.joinpath(name).read_text(encoding="utf-8")
    for other in _IMPORT.findall(text):
        _collect(folder, other, texts, (*path, name))
    texts[name] = _EXPORT.sub("", _IMPORT.sub("", text))

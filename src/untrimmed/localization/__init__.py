"""From activations to segments. No torch here: stored activations are cut again without the model.

`settings.py` says how; `pipeline.py` is the way through; `recipes.py` has each paper's cutter as the list of its steps, which stand
in `steps.py`, over arrays in `curves.py`, `proposals.py` and `nms.py`; `classes.py` chooses the classes. `fuse.py` makes one result
of several runs'.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from untrimmed.localization.classes import kept_classes
    from untrimmed.localization.pipeline import localize
    from untrimmed.localization.settings import Localization

_EXPORTS = {"Localization": "settings", "kept_classes": "classes", "localize": "pipeline"}

__all__ = ["Localization", "kept_classes", "localize"]


def __getattr__(name: str) -> Any:
    """What is exported, imported when it is asked for: the settings alone need no scipy."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)

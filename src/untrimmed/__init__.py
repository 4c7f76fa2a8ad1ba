"""Find what happens when in long videos: training from video-level labels, or from none at all.

The functions behind the commands, exported lazily, so that `import untrimmed` costs nothing:

>>> from untrimmed import train, localize, evaluate          # doctest: +SKIP
>>> train("dgam", features="features", labels="labels.csv", out="run")   # doctest: +SKIP
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "clips": "untrimmed.jobs.clips",
    "compare": "untrimmed.jobs.compare",
    "convert": "untrimmed.jobs.convert",
    "demo": "untrimmed.jobs.demo",
    "describe_methods": "untrimmed.jobs.methods",
    "describe_extractors": "untrimmed.jobs.extractors",
    "doctor": "untrimmed.jobs.doctor",
    "evaluate": "untrimmed.jobs.evaluate",
    "export": "untrimmed.jobs.export",
    "extract": "untrimmed.jobs.extract",
    "import_": "untrimmed.jobs.import_",
    "init": "untrimmed.jobs.init",
    "localize": "untrimmed.jobs.localize",
    "names": "untrimmed.jobs.names",
    "refine": "untrimmed.jobs.refine",
    "recipe": "untrimmed.jobs.recipe",
    "report": "untrimmed.jobs.report",
    "review": "untrimmed.jobs.review",
    "train": "untrimmed.jobs.train",
    "validate": "untrimmed.jobs.validate",
    "show": "untrimmed.reporting.show",
    "Detections": "untrimmed.data.notebook",
    "FeatureStore": "untrimmed.data.store",
    "InputError": "untrimmed.data.errors",
    "Run": "untrimmed.data.notebook",
}

__all__ = [*_EXPORTS, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'untrimmed' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

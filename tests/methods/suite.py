"""With what settings a method is put through the suite, and which methods are.

Ours have theirs in suite.yaml; a method of another package has a file of its own beside its presets, `<name>.suite.yaml`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from untrimmed.methods.registry import METHODS, file_of

HERE = Path(__file__).parent
EXAMPLE = HERE / "outside"
"""A package of another's, for methods unlike ours: it goes through the suite as a stranger's does."""
EXAMPLES = ["crosstalk"]


@dataclass(frozen=True)
class Suite:
    """What the suite has to know of a method. All but `padding` are settings, as `train` takes them.

    enough: with which it learns the planted problem (24 videos, 3 classes, two streams) within seconds.
    brief: with which it merely runs, and logs several lines: it is stopped at some of them.
    once: laid over `brief`: as short as can be.
    many, few, single: laid over `brief`: 64, 4 and one video in a step.
    diverging: laid over `brief`: with which the loss is soon no number. None: there are no steps that could be too long.
    rounds: laid over `brief`, where it learns from clusters: two rounds.
    padding: so many snippets at either end of a video may differ from others that look the same, because they see zero padding.
    """

    enough: dict[str, Any]
    brief: dict[str, Any]
    once: dict[str, Any] = field(default_factory=lambda: {"epochs": 1})
    many: dict[str, Any] = field(default_factory=lambda: {"batch": 64})
    few: dict[str, Any] = field(default_factory=lambda: {"batch": 4})
    single: dict[str, Any] = field(default_factory=lambda: {"batch": 1})
    diverging: dict[str, Any] | None = field(default_factory=lambda: {"learning_rate": 1e30, "epochs": 10})
    rounds: dict[str, Any] = field(default_factory=lambda: {"epochs": 1, "rounds": 2})
    padding: int = 0


def suite_of(name: str) -> Suite:
    """What the suite knows of a method; the test fails where that is not written down."""
    if name in METHODS:
        file = HERE / "suite.yaml"
        values = read(file).get(name)
    else:
        file = file_of(name).with_name(f"{name}.suite.yaml")
        values = read(file) if file.is_file() else None
    parts = {part.name for part in fields(Suite)}
    if not isinstance(values, dict) or not {"enough", "brief"} <= values.keys() <= parts:
        pytest.fail(f"{file}: needs the parts enough and brief of {name}, and knows {', '.join(sorted(parts))}", pytrace=False)
    return Suite(**values)


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def stops(lines: int) -> Sequence[int]:
    """After how many of the lines that an uninterrupted run logs it is stopped: the first, shortly before the middle, behind it."""
    assert lines >= 3, f"with the settings `brief` a run logs {lines} lines; it takes three to see whether it goes on"
    return sorted({1, max(lines // 2 - 1, 1), 3 * lines // 4})

"""YAML as people and this program write it, read with limits: any file is read in seconds, or refused in a line."""

from pathlib import Path
from typing import Any

import yaml

from untrimmed.console import shortened
from untrimmed.data.errors import InputError
from untrimmed.data.files import ESCAPED_HALF, read_text, whole_characters, write_text

MOST_BYTES = 2**18
MOST_NODES = 10_000
DEEPEST = 50


class PlainLoader(yaml.SafeLoader):
    """Plain values only, none within more than DEEPEST others, and with every alias written out no more than MOST_NODES."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        before = self._nodes
        is_alias = self.check_event(yaml.AliasEvent)
        self._depth += 1
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and id(node) not in self._sizes:
            raise yaml.composer.ComposerError(None, None, "an alias that is within what it stands for", node.start_mark)
        self._nodes += self._sizes[id(node)] if is_alias else 1
        if self._nodes > MOST_NODES:
            raise yaml.composer.ComposerError(None, None, f"more than {MOST_NODES} values", node.start_mark)
        if not is_alias:
            self._sizes[id(node)] = self._nodes - before
        return node

    def compose_sequence_node(self, anchor: Any) -> Any:
        self._check_depth()
        return super().compose_sequence_node(anchor)

    def compose_mapping_node(self, anchor: Any) -> Any:
        self._check_depth()
        return super().compose_mapping_node(anchor)

    def _check_depth(self) -> None:
        if self._depth > DEEPEST:
            raise yaml.composer.ComposerError(
                None, None, f"more than {DEEPEST} values within each other", self.peek_event().start_mark
            )


def parse_yaml(text: str, where: str, loader: type[PlainLoader] = PlainLoader) -> Any:
    """The value of a YAML text.

    Args:
        loader: which of what looks like a value of a kind it takes for one, such as `yes` for true.

    Raises:
        InputError: it is not YAML, not of plain values, too long or too deep; the message begins with `where`, and names the line.
    """
    if len(text) > MOST_BYTES:
        raise InputError(f"{where}: expected YAML of at most {MOST_BYTES // 1024} KiB")
    try:
        reading = loader(text)
    except yaml.YAMLError as error:  # a character that no YAML has
        raise InputError(f"{where}: not usable YAML: {shortened(' '.join(str(error).split()))}") from error
    try:
        value = reading.get_single_data()
        if ESCAPED_HALF.search(text):
            whole_characters(value)
        return value
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"{where}: not usable YAML{place}: {shortened(error.problem or error.context)}") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        # A date such as 2024-99-99, a number such as 0x_, `!!int x`: what looks like a value of a kind and is none.
        raise InputError(f"{where}: not usable YAML: {shortened(' '.join(str(error).split()))}") from error
    finally:
        reading.dispose()


def read_yaml(path: str | Path, loader: type[PlainLoader] = PlainLoader) -> Any:
    """The value of a YAML file; see `parse_yaml`.

    Raises:
        InputError: it cannot be read, or is not usable.
    """
    return parse_yaml(read_text(path, MOST_BYTES), str(path), loader)


def write_yaml(path: str | Path, value: Any) -> None:
    """Write plain values as YAML, atomically, keys in their order."""
    write_text(path, yaml.safe_dump(value, sort_keys=False))

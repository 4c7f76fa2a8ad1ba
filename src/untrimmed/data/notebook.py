"""Results as a notebook shows them, and objects that pass from one function to the next: each stands for the path of its file."""

import html
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from untrimmed.data.annotations import read_detections
from untrimmed.data.errors import InputError
from untrimmed.data.types import Results

MOST_ROWS = 50
"""More rows than these are counted, not shown."""


def pandas_frame(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    """A DataFrame of pandas.

    Raises:
        InputError: pandas is not installed; nothing else here needs it.
    """
    try:
        import pandas
    except ImportError:
        raise InputError("to_pandas() needs pandas: pip install pandas") from None
    return pandas.DataFrame(list(rows), columns=list(columns))


def html_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> str:
    """An HTML table of the first rows; numbers with three digits, all text escaped."""
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:MOST_ROWS])
    more = f"<p>… and {len(rows) - MOST_ROWS} more</p>" if len(rows) > MOST_ROWS else ""
    said = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td style="text-align: right">{value:.3f}</td>'
    return f"<td>{html.escape(str(value))}</td>"


@dataclass(frozen=True)
class Run(os.PathLike[str]):
    """A run folder. `localize`, `refine`, `evaluate` and `review` take it where they take a path: `Run(Path("runs/first"))`."""

    run: Path

    def __fspath__(self) -> str:
        return str(self.run)

    def _repr_html_(self) -> str:
        return f"run <code>{html.escape(str(self.run))}</code>"


@dataclass(frozen=True)
class Detections(os.PathLike[str]):
    """A detections file and what is in it. Every function that takes such a file takes this, too.

    out: the file. results: the detections by video; a video in which nothing was found is there with an empty list.
    """

    out: Path
    results: Results

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Detections":
        """Read a detections file.

        Raises:
            InputError: as `read_detections`.
        """
        file = read_detections(os.fspath(path))
        return Detections(file.path, file.results)

    def __fspath__(self) -> str:
        return str(self.out)

    def __getitem__(self, video: str) -> list[Any]:
        """The detections of a video, best first."""
        return sorted(self.results[video], key=lambda d: -d.score)

    COLUMNS = ("video", "start", "end", "label", "score")

    def rows(self) -> list[tuple[str, float, float, str, float]]:
        """All detections, in the order of video and time."""
        return [
            (video, float(d.start), float(d.end), d.label, float(d.score))
            for video, found in sorted(self.results.items())
            for d in sorted(found)
        ]

    def to_pandas(self) -> Any:
        """A DataFrame with a row per detection, in the order of video and time; times in seconds.

        Raises:
            InputError: pandas is not installed.
        """
        return pandas_frame(self.COLUMNS, self.rows())

    def _repr_html_(self) -> str:
        rows = self.rows()
        return html_table(self.COLUMNS, rows, f"{self.out}: {len(rows)} detections in {len(self.results)} videos")


class Scored(ABC):
    """What evaluations share in a notebook: their table as it is printed, with the rules, and the numbers for pandas."""

    @abstractmethod
    def table(self) -> str:
        """As it is printed."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All numbers, as `--json` prints them."""

    @abstractmethod
    def scalars(self) -> dict[str, float]:
        """Each number by its name."""

    def to_pandas(self) -> Any:
        """A DataFrame, fractions in 0..1: AP by class (and tIoU, with the mean over them); the scores of each round of clusters;
        or, where there are neither, each number by its name.

        Raises:
            InputError: pandas is not installed.
        """
        content = self.to_json()
        if "rounds" in content:
            rounds = [{name: value for name, value in one.items() if not isinstance(value, Mapping)} for one in content["rounds"]]
            return pandas_frame(("round", *rounds[0]), [(number, *one.values()) for number, one in enumerate(rounds)])
        if "tiou" in content:
            names = [f"AP@{tiou:g}" for tiou in content["tiou"]]
            rows = [(label, *ap, sum(ap) / len(ap)) for label, ap in content["per_class"].items()]
            return pandas_frame(("label", *names, "mean"), rows)
        if "per_class" in content:
            return pandas_frame(("label", "AP"), list(content["per_class"].items()))
        return pandas_frame(("name", "value"), list(self.scalars().items()))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.table())}</pre>"

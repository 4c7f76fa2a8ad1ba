"""Numbers that others published: every table of the slides S1 to S3, the field's later rows, and what others measured
with its codes.

They stand in `data/published.csv` as they were printed: mAP and accuracy in per cent, all else as it is. What evaluator
made them is mostly unknown, and published evaluators differ by points, so that they are shown below our rows and never
averaged with them.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from importlib.resources import files

from untrimmed.data.errors import InputError
from untrimmed.data.settings import unknown
from untrimmed.reporting.tables import markdown_rows


@dataclass(frozen=True)
class Published:
    """One number. deck: S1, S2, S3; `field` for a paper (`table` is then its venue and year); or `others` for what
    somebody measured with its code (`table`: where that is said)."""

    deck: str
    table: str
    method: str
    supervision: str
    features: str
    protocol: str
    dataset: str
    metric: str
    value: str


COLUMNS = tuple(field.name for field in fields(Published))
BY_AUTHORS = {
    "cmcs": {("Liu et al.", table) for table in ("CVPR 2019", "10 THUMOS14", "12 ActivityNet1.2")},
    "pmil": {("Ren et al.", "CVPR 2023")},
    "tcam": {("Gong et al.", "CVPR 2020")},
    "um": {("Lee et al.", "AAAI 2021")},
}
"""Methods of which tables have rows under their authors' names: name and table."""
ABOUT = (
    "As printed by their authors (mAP and accuracy in per cent); other data, features and evaluators than above. Most "
    "released codes keep the checkpoint that is best on the test videos. What others measured stands beside, where it is "
    "known."
)


def read_published() -> list[Published]:
    """All of them, in the order of the file."""
    text = files("untrimmed.data").joinpath("published.csv").read_text(encoding="utf-8")
    header, *rows = csv.reader(text.splitlines())
    assert tuple(header) == COLUMNS
    return [Published(*row) for row in rows]


def select(rows: Iterable[Published], conditions: Sequence[str]) -> list[Published]:
    """Those that meet every `column=value`, whatever the case; several values of one column: any of them.

    Raises:
        InputError: no such column, or nothing fits.
    """
    wanted: dict[str, set[str]] = {}
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not equals:
            raise InputError(f"`where` {condition}: write it as column=value, such as deck=S1 or method=DGAM")
        if column not in COLUMNS:
            raise unknown(column, COLUMNS, "`where`")
        wanted.setdefault(column, set()).add(value.casefold())
    chosen = [row for row in rows if all(getattr(row, column).casefold() in values for column, values in wanted.items())]
    if not chosen:
        raise InputError(f"`where` {' '.join(conditions)}: no published number fits")
    return chosen


def fitting(rows: Iterable[Published], methods: Iterable[str], metrics: Iterable[str]) -> list[Published]:
    """Those of the given methods (dgam, wtalc, ... and their variants) by the given metrics."""
    names = tuple(_plain(method) for method in methods)
    wanted = {_metric(metric) for metric in metrics}
    by_authors = set().union(*(BY_AUTHORS.get(name, ()) for name in names))
    own = (row for row in rows if _plain(row.method).startswith(names) or (row.method, row.table) in by_authors)
    return [row for row in own if row.metric in wanted]


def markdown(rows: Sequence[Published]) -> str:
    """A heading, and for each table of a deck (of the field's papers: each data set, and with them what others
    measured) a row per method and a column per metric."""
    if not rows:
        return "## Published\n\nNo published number is of these methods and metrics."
    lines = ["## Published", "", ABOUT]
    groups: dict[tuple[str, str], list[Published]] = {}
    for row in rows:
        of_field = row.deck in ("field", "others")
        groups.setdefault(("field", row.dataset) if of_field else (row.deck, row.table), []).append(row)
    for (deck, table), group in groups.items():
        metrics = list(dict.fromkeys(row.metric for row in group))
        if all(metric.startswith("mAP@") for metric in metrics):
            metrics.sort(key=lambda metric: (":" in metric, metric))
        values = {(astuple(row)[1:-2], row.metric): row.value for row in group}
        keys = list(dict.fromkeys(astuple(row)[1:-2] for row in group))
        body = [[*key[1:], *([key[0]] if deck == "field" else [])] for key in keys]
        head = [*COLUMNS[2:-2], *(["where"] if deck == "field" else [])]
        cells = [[*row, *(values.get((key, metric), "–") for metric in metrics)] for key, row in zip(keys, body, strict=True)]
        lines += ["", f"### {deck}: {table}", "", *markdown_rows([[*head, *metrics], *cells])]
    return "\n".join(lines)


def _plain(method: str) -> str:
    return re.sub(r"[^a-z0-9]", "", method.casefold())


def _metric(metric: str) -> str:
    """As the file calls it: mAP of detections has no protocol there, since that is unknown."""
    return metric.partition(":")[2] if re.match(r"\w+:mAP@", metric) else metric

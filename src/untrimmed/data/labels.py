"""Weak labels: `labels.csv`, which says which actions happen in a video, but never when."""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path, PurePosixPath

from untrimmed.data.errors import InputError, did_you_mean
from untrimmed.data.files import atomic_write, quote_cell, read_text, unquote_cell
from untrimmed.data.ids import VIDEO_SUFFIXES, check_id

NO_ACTION = frozenset(
    ("none", "_none", "no_action", "no action", "no-action", "noaction", "nothing", "negative", "negatives", "background")
)
"""Sub-folders of these names (in any case) hold videos in which surely nothing happens: their label is empty."""

LONGEST_LABEL = 200
"""Characters of a label."""

FORM_MARK = "?"
"""What `untrimmed init` writes in the label column of an empty form; `train` refuses the file while one is left."""


@dataclass(frozen=True)
class WeakLabels:
    """The labels of a set of videos. A video with an empty set has no action; a video that is absent is unknown."""

    path: Path
    tags: dict[str, frozenset[str]]
    classes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(sorted({label for tags in self.tags.values() for label in tags})))

    def warnings(self) -> list[str]:
        """What will make learning hard, though it is no error: rare labels, labels on every video, labels that always co-occur."""
        counts = Counter(label for tags in self.tags.values() for label in tags)
        warnings = [
            f"the label {label!r} is on {counts[label]} video(s); fewer than three can hardly be learned from"
            for label in self.classes
            if counts[label] < 3
        ]
        if len(self.tags) > 1:
            warnings += [
                f"the label {label!r} is on every video; without a video that lacks it, nothing tells the action from the rest"
                for label in self.classes
                if counts[label] == len(self.tags)
            ]
        where = {label: frozenset(video for video, tags in self.tags.items() if label in tags) for label in self.classes}
        warnings += [
            f"the labels {a!r} and {b!r} always occur together; nothing can tell them apart"
            for a, b in combinations(self.classes, 2)
            if where[a] == where[b] and counts[a] > 0
        ]
        return warnings + self.slips()

    def slips(self) -> list[str]:
        """Labels that differ so little that one may be meant for the other."""
        counts = Counter(label for tags in self.tags.values() for label in tags)
        warnings = []
        for a, b in combinations(self.classes, 2):
            rare, usual = sorted((a, b), key=lambda label: counts[label])
            if a.casefold() == b.casefold():
                warnings.append(f"the labels {a!r} and {b!r} differ only in upper and lower case, yet count as two")
            elif counts[rare] < 3 and _one_slip(a.casefold(), b.casefold()):
                warnings.append(f"the labels {rare!r} (on {counts[rare]} video(s)) and {usual!r} count as two; is one a slip?")
        return warnings


def read_labels(path: str | Path, known: Iterable[str] | None = None) -> WeakLabels:
    """Read `video,label` rows. BOM, CRLF, `;` as separator, further columns and `match.mp4` for `match` are accepted.

    Args:
        known: the ids that exist; a row for another is an error.

    Raises:
        InputError: no such columns, a row for an unknown video, a duplicate row, an empty label beside a label, a form that
            is not filled in, or no row at all. The message names the line.
    """
    labels, faults = scan_labels(path, known)
    if faults:
        raise InputError(_first(faults))
    return labels


def scan_labels(path: str | Path, known: Iterable[str] | None = None) -> tuple[WeakLabels, list[str]]:
    """Like `read_labels`, but returns what could be read and every fault, one line each.

    Raises:
        InputError: the file cannot be read at all, or lacks the columns.
    """
    path = Path(path)
    ids = None if known is None else set(known)
    tags: dict[str, set[str]] = {}
    seen: dict[tuple[str, str], int] = {}
    faults: list[str] = []
    unfilled = []
    cells = {row["video"].strip() for _, row in named_columns(path, ("video", "label"), [])}
    free = None if ids is None else ids - cells  # who errs in an id means a video that has no row
    for line, row in named_columns(path, ("video", "label"), faults):
        try:
            video = _match_id(row["video"], ids, path, line, free)
            label = check_label(unquote_cell(row["label"].strip()), f"{path}, line {line}")
        except InputError as error:
            faults.append(str(error))
            continue
        if label == FORM_MARK:
            unfilled.append(line)
            continue
        if (video, label) in seen:
            faults.append(
                f"{path}, line {line}: the row {video!r}, {label!r} stands already in line {seen[video, label]}; delete one of them"
            )
            continue
        seen[video, label] = line
        tags.setdefault(video, set())
        if label:
            tags[video].add(label)
    for video, labels in tags.items():
        if labels and (video, "") in seen:
            faults.append(
                f"{path}, line {seen[video, '']}: {video!r} has an empty label (no action in it) and the label "
                f"{min(labels)!r} too; delete one of the two rows"
            )
    if unfilled:
        faults.append(
            f"{path}, line {unfilled[0]}: {len(unfilled)} row(s) still hold {FORM_MARK!r}; write each video's label "
            f"there, leave it empty where nothing happens, or delete the row"
        )
    if not tags and not faults:
        faults.append(f"{path}: no row with a video; write one row per label, such as: match_01,goal")
    return WeakLabels(path, {video: frozenset(labels) for video, labels in tags.items()}), faults


def read_counts(path: str | Path, videos: Sequence[str], classes: Sequence[str]) -> list[list[float]] | None:
    """How often each class happens in each video, [N][C]: the column `count` of a labels file; None where it has none, NaN where
    a cell is empty.

    Raises:
        InputError: beside one of these labels stands no whole number from 1 on; the message names the line.
    """
    path = Path(path)
    rows = {video: number for number, video in enumerate(videos)}
    columns = {label: number for number, label in enumerate(classes)}
    counts = [[0.0] * len(classes) for _ in videos]
    faults: list[str] = []
    try:
        found = list(named_columns(path, ("video", "label", "count"), faults))
    except InputError as error:
        if "no column 'count'" in str(error):
            return None
        raise
    if faults:
        raise InputError(_first(faults))
    for line, row in found:
        video = _match_id(row["video"], None, path, line)
        video = video if video in rows else Path(video).stem
        label = check_label(unquote_cell(row["label"].strip()), f"{path}, line {line}")
        if video in rows and label in columns:
            text = row["count"].strip()
            if text and (not text.isdecimal() or int(text) < 1):
                raise InputError(f"{path}, line {line}: the count {text!r} is no whole number from 1 on; empty means unknown")
            counts[rows[video]][columns[label]] = float(text or "nan")
    return counts


def write_labels(path: str | Path, rows: Iterable[tuple[str, str]], counts: Mapping[tuple[str, str], int] | None = None) -> None:
    """Write `video,label` rows; a cell that a spreadsheet would take for a formula is quoted, and read again as it was.

    Args:
        counts: by row how often the action happens, for a column `count`; what is missing is left empty.

    Raises:
        InputError: the file cannot be written, or a label has a control character.
    """
    with atomic_write(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("video", "label") if counts is None else ("video", "label", "count"))
        for video, label in rows:
            more = () if counts is None else (counts.get((video, label), ""),)
            writer.writerow((quote_cell(video), quote_cell(check_label(label, path)), *more))


def read_only(path: str | Path, known: Iterable[str]) -> set[str]:
    """The ids in the `video` column of any CSV (`--only FILE`).

    Raises:
        InputError: no such column, an unknown video, or no row.
    """
    path, ids = Path(path), set(known)
    faults: list[str] = []
    videos = {_match_id(row["video"], ids, path, line) for line, row in named_columns(path, ("video",), faults)}
    if faults:
        raise InputError(_first(faults))
    if not videos:
        raise InputError(f"{path}: no row with a video")
    return videos


def _first(faults: list[str]) -> str:
    more = f" ({len(faults) - 1} more fault(s); `untrimmed validate` lists them all)" if len(faults) > 1 else ""
    return faults[0] + more


def named_columns(path: Path, columns: tuple[str, ...], faults: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and the named columns of every row that is not blank; rows that are too short go to `faults`."""
    try:
        text = read_text(path)
    except InputError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise InputError(f"{path}: not UTF-8 text; save it as CSV UTF-8") from error
        raise
    if not text.strip():
        raise InputError(f"{path}: empty; its first line should be: {','.join(columns)}")
    lines = io.StringIO(text, newline="")
    separator = max(",;\t", key=lines.readline().count)
    lines.seek(0)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    line = 1
    try:
        header = [name.strip().lower() for name in next(reader)]
        if missing := [name for name in columns if name not in header]:
            raise InputError(f"{path}, line 1: no column {missing[0]!r}; the first line should be: {','.join(columns)}")
        places = {name: header.index(name) for name in columns}
        line = reader.line_num + 1
        for row in reader:
            if len(row) > max(places.values()):
                if any(cell.strip() for cell in row):
                    yield line, {name: row[place] for name, place in places.items()}
            elif any(cell.strip() for cell in row):
                faults.append(
                    f"{path}, line {line}: {len(row)} of {len(header)} columns; for a video without any action write "
                    f"the video and a {separator!r} with nothing behind it"
                )
            line = reader.line_num + 1
    except csv.Error as error:
        unclosed = "unexpected end" in str(error)
        what = 'a quotation mark (") is opened and never closed' if unclosed else str(error)
        raise InputError(f"{path}, line {line}: {what}") from error


def _match_id(cell: str, known: set[str] | None, path: Path, line: int, free: Collection[str] | None = None) -> str:
    """The id in a cell; `free` are the known ids that may be meant by one that is unknown, None: all."""
    text = unquote_cell(cell)
    if known is not None and (exact := unicodedata.normalize("NFC", text)) in known:
        return exact
    if not text.strip():
        raise InputError(f"{path}, line {line}: no video in this row; write its id before the label, or delete the row")
    if len(parts := PurePosixPath(text.strip().replace("\\", "/")).parts) > 1:
        name = Path(parts[-1]).stem if Path(parts[-1]).suffix.lower() in VIDEO_SUFFIXES else parts[-1]
        raise InputError(f"{path}, line {line}: {text.strip()!r} is a path; the column 'video' holds ids: {name!r}")
    video = check_id(unquote_cell(cell.strip()), f"{path}, line {line}")
    if known is None or video in known:
        return video
    bare = Path(video)
    if bare.suffix.lower() in VIDEO_SUFFIXES and bare.stem in known:
        return bare.stem
    raise InputError(
        f"{path}, line {line}: there is no video {video!r} among the features{did_you_mean(video, known if free is None else free)}"
    )


def check_label(label: str, where: str | Path) -> str:
    """The label in NFC.

    Raises:
        InputError: it is too long, has a control character, or is several labels in one.
    """
    if len(label) > LONGEST_LABEL:
        raise InputError(f"{where}: a label of {len(label)} characters; expected at most {LONGEST_LABEL}")
    label = unicodedata.normalize("NFC", label)
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in label):
        what = (
            "a line break; is a quotation mark opened and not closed?" if "\n" in label or "\r" in label else "a control character"
        )
        raise InputError(f"{where}: the label {label[:40]!r} has {what}")
    if len(parts := [part.strip() for part in re.split("[;|]", label) if part.strip()]) > 1:
        raise InputError(f"{where}: the label {label[:40]!r} holds {len(parts)}; write a row for each: {', '.join(parts)[:80]}")
    return label


def _one_slip(a: str, b: str) -> bool:
    """Whether one letter added, left out, changed or swapped with the next makes one label of the other; digits tell apart."""
    first = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    ends = (a[first + 1 :], b[first + 1 :]), (a[first + 1 :], b[first:]), (a[first:], b[first + 1 :])
    swapped = a[first : first + 2] == b[first : first + 2][::-1] and a[first + 2 :] == b[first + 2 :]
    alike = swapped or any(x == y for x, y in ends)
    return len(min(a, b, key=len)) > 3 and alike and re.sub(r"\D", "", a) == re.sub(r"\D", "", b)

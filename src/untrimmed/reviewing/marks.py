"""The file of a person's marks, which several tabs may change at once.

The file is that of `data.corrections`, with more fields in a video's entry: `note`, `who` and `when` of the last change, and
`revision`, the number of changes so far. A change names the revision that it was made on: if the video has another by then, it is
refused, and whoever made it lays it over what is there now. What a video's marks were after each change stands in
`NAME.history.jsonl`, a line each; a line that a killed process did not write is written when the file is opened next.
`new_labels` are those that a person has added to the run's. Whatever else the file holds stays as it is.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from untrimmed.data.annotations import mapping_of
from untrimmed.data.corrections import NEW_LABELS, Corrections, corrections_of, entry_of, new_labels_of
from untrimmed.data.errors import InputError
from untrimmed.data.files import atomic_write, read_json, shown, sweep, write_json
from untrimmed.data.ids import check_id
from untrimmed.data.labels import FORM_MARK, NO_ACTION, check_label
from untrimmed.data.locks import one_at_a_time

MOST_MARKS = 5000
"""Marks of a kind in one video."""

MOST_NEW_LABELS = 200

MOST_NOTE = 10_000
"""Characters of a note."""


class Stale(Exception):
    """The video has been changed since; `entry` is what is marked now."""

    def __init__(self, entry: dict[str, Any]) -> None:
        super().__init__("the video has been changed since")
        self.entry = entry


class MarksFile:
    """What is marked, on disk at once after each change.

    Args:
        path: of the file, which need not be there. who: in whose name changes are made.
        labels: those that a mark may have. durations: the videos that may be marked, with their lengths in seconds.

    Raises:
        InputError: the file is there and cannot be read, or is at fault.
    """

    def __init__(self, path: Path, who: str, labels: Collection[str], durations: Mapping[str, float]) -> None:
        self.path, self.who, self.labels, self.durations = path, who, frozenset(labels), dict(durations)
        self.history = path.with_name(f"{path.name.removesuffix('.json')}.history.jsonl")
        self._lock = Lock()
        self._read_at: tuple[int, int] | None = None
        self._content: dict[str, Any] = {"version": "marks", "taxonomy": [], "database": {}}
        sweep(path.parent, path.name)
        if path.exists():
            with changing(self.path, self._lock):
                self._refresh()
                self._complete_history()

    def entries(self) -> dict[str, dict[str, Any]]:
        """Each video's marks, note and revision; videos that were never changed are left out."""
        with self._lock:
            self._refresh()
            return {video: self._entry(video) for video in self._content["database"] if video in self.durations}

    def marked(self) -> dict[str, Any]:
        """The content of a file with only the videos in which something is marked, or that are checked."""
        with self._lock:
            self._refresh()
            database = self._content["database"]
            return {
                "version": "marks",
                NEW_LABELS: self._new_labels(),
                "database": {
                    video: entry_of(marks)
                    for video in database
                    if (marks := corrections_of(database[video], video)) != Corrections() and video in self.durations
                },
            }

    def save(self, video: str, revision: int, wanted: Any, what: str = "") -> dict[str, Any]:
        """Set what is marked in a video, and return its entry.

        Args:
            revision: the one that the change was made on, 0 for a video that was never changed.
            wanted: the whole entry: `annotations`, `points`, `rejected`, `checked`, `note`.
            what: the change in a few words, for the history.

        Raises:
            Stale: the video has another revision.
            InputError: the video is not one of these, a mark is at fault, or the file cannot be written.
        """
        if video not in self.durations:
            raise InputError(f"there is no video {video[:60]!r} here")
        marks, note = self._checked(video, wanted)
        with changing(self.path, self._lock):
            self._refresh()
            if self._entry(video)["revision"] != revision:
                raise Stale(self._entry(video))
            when = datetime.now(UTC).isoformat(timespec="seconds")
            now = {"who": self.who, "when": when, "revision": revision + 1, "what": what[:200]}
            before = self._content["database"].get(video, {})
            entry = {**before, **entry_of(marks), "note": note, **now}
            content = {**self._content, "database": {**self._content["database"], video: entry}}
            write_json(self.path, content, indent=1)
            self._content, self._read_at = content, state_of(self.path)
            append_history(self.history, {"video": video, **now, **entry_of(marks), "note": note})
            return self._entry(video)

    def add_label(self, label: Any) -> str:
        """Let marks have a label that nobody knew, and return it as it is kept.

        Raises:
            InputError: it is no label, or the file cannot be written.
        """
        if not isinstance(label, str) or label.strip() in ("", "-", FORM_MARK) or label.strip().casefold() in NO_ACTION:
            raise InputError(f"{shown(label)}: is no name of something that happens")
        label = check_label(label.strip(), "the new label")
        with changing(self.path, self._lock):
            self._refresh()
            if label in self.labels | set(self._new_labels()):
                return label
            if len(self._new_labels()) >= MOST_NEW_LABELS:
                raise InputError(f"there are {MOST_NEW_LABELS} new labels already")
            content = {**self._content, NEW_LABELS: [*self._new_labels(), label]}
            write_json(self.path, content, indent=1)
            self._content, self._read_at = content, state_of(self.path)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            append_history(self.history, {"who": self.who, "when": now, "what": f"new label {label}", "label": label})
        return label

    def new_labels(self) -> list[str]:
        """The labels that were added."""
        with self._lock:
            self._refresh()
            return self._new_labels()

    def _new_labels(self) -> list[str]:
        return new_labels_of(self._content, self.path)

    def _checked(self, video: str, wanted: Any) -> tuple[Corrections, str]:
        marks = corrections_of(wanted, f"video {video}")
        labels = self.labels | set(self.new_labels())
        longest = self.durations[video] + 1.0
        for kind, some in (("annotations", marks.segments), ("points", marks.points), ("rejected", marks.rejected)):
            if len(some) > MOST_MARKS:
                raise InputError(f"video {video}: {len(some)} {kind}; more than {MOST_MARKS} cannot be marked")
            for mark in some:
                start, end = (mark.time, mark.time) if kind == "points" else (mark.start, mark.end)  # type: ignore[union-attr]
                if start < 0 or end > longest or (end <= start and kind != "points"):
                    raise InputError(f"video {video}: a mark from {start:g} to {end:g} s is not within it, or has no length")
                if mark.label not in labels:
                    raise InputError(f"video {video}: {mark.label[:60]!r} is none of the labels here")
        note = wanted.get("note", "")
        if not isinstance(note, str) or len(note) > MOST_NOTE or any("\ud800" <= c <= "\udfff" for c in note):
            raise InputError(f"video {video}: note: expected a text of at most {MOST_NOTE} characters")
        return marks, note

    def _entry(self, video: str) -> dict[str, Any]:
        entry = self._content["database"].get(video)
        if entry is None:
            return {**entry_of(Corrections()), "note": "", "revision": 0}
        more = {key: entry[key] for key in ("who", "when") if isinstance(entry.get(key), str)}
        note = entry.get("note")
        marks = entry_of(corrections_of(entry, f"{self.path}: video {video}"))
        return {**marks, "note": note if isinstance(note, str) else "", "revision": _revision(entry), **more}

    def _refresh(self) -> None:
        """Read the file again if another program has written it; what it changed counts as a change."""
        if (state := state_of(self.path)) == self._read_at or state is None:
            return
        content = read_json(self.path)
        new_labels_of(content, self.path)
        database = {check_id(name, self.path): entry for name, entry in mapping_of(content, "database", self.path).items()}
        for video, entry in database.items():
            marks = corrections_of(entry, f"{self.path}: video {video}")
            before = self._content["database"].get(video)
            if before is not None and marks != corrections_of(before, video) and _revision(entry) <= _revision(before):
                entry["revision"] = _revision(before) + 1
        self._content, self._read_at = {**content, "database": database}, state

    def _complete_history(self) -> None:
        """Write the lines of changes that are in the file, whose writers were killed before they had told the history."""
        told: dict[str, int] = {}
        end = 0
        if self.history.is_file():
            with open(self.history, "rb") as stream:
                for line in stream:
                    if not line.endswith(b"\n"):
                        os.truncate(self.history, end)
                        break
                    end += len(line)
                    with suppress(ValueError, TypeError, KeyError, RecursionError):
                        said = json.loads(line)
                        told[said["video"]] = int(said["revision"])
        for video, entry in self._content["database"].items():
            if isinstance(entry.get("when"), str) and told.get(video, 0) < _revision(entry):
                now = {name: entry.get(name, "") for name in ("who", "when")} | {"revision": _revision(entry)}
                marks = entry_of(corrections_of(entry, f"{self.path}: video {video}"))
                told_now = {"video": video, **now, "what": entry.get("what", ""), **marks, "note": entry.get("note", "")}
                append_history(self.history, told_now)


def rename_labels(path: Path, names: Mapping[str, str], kept: Collection[str]) -> None:
    """Give the marks of a file other labels, those that `names` has, and leave out marks whose label is none of `kept` then."""
    content = read_json(path)
    for entry in content["database"].values():
        for kind in ("annotations", "points", "rejected"):
            marks = [{**mark, "label": names.get(mark["label"], mark["label"])} for mark in entry.get(kind, ())]
            entry[kind] = [mark for mark in marks if mark["label"] in kept]
    write_json(path, content, indent=1)


@contextmanager
def changing(path: Path, lock: Lock) -> Iterator[None]:
    """Within it nobody else changes the file, in this process or another.

    Raises:
        InputError: its folder cannot be written.
    """
    with lock, ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(one_at_a_time(path.parent))
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
        yield


def append_history(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line to a history.

    Raises:
        InputError: it cannot be written.
    """
    text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_snapshot(marks: MarksFile, path: Path) -> list[str]:
    """Write what is marked now to another file, for a student to learn from, and return the videos.

    Raises:
        InputError: nothing is marked, or the file cannot be written.
    """
    content = marks.marked()
    if not content["database"]:
        raise InputError("nothing is marked yet: accept, reject or draw something, or check a video")
    with atomic_write(path) as stream:
        json.dump(content, stream, indent=1, allow_nan=False, ensure_ascii=False)
    return sorted(content["database"])


def _revision(entry: Mapping[str, Any]) -> int:
    revision = entry.get("revision", 1)  # a file that another program wrote
    return revision if isinstance(revision, int) and revision > 0 else 1


def state_of(path: Path) -> tuple[int, int] | None:
    """What tells whether a file is another than before; None where there is none."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    return about.st_mtime_ns, about.st_size

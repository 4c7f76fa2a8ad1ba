"""`untrimmed review`: the page with editing switched on, served to this machine; corrections teach a student."""

import getpass
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from untrimmed.console import note
from untrimmed.data.annotations import read_detections
from untrimmed.data.clusters import clusters_file, write_clusters
from untrimmed.data.corrections import read_corrections
from untrimmed.data.errors import InputError
from untrimmed.data.files import check_writable
from untrimmed.data.labels import read_labels, write_labels
from untrimmed.data.locks import lock
from untrimmed.data.run_files import RunFiles
from untrimmed.data.store import FeatureStore
from untrimmed.jobs.names import assigned_clusters
from untrimmed.jobs.report import make_copy, page_of
from untrimmed.reporting.page import Page, page_html
from untrimmed.reviewing.background import Background
from untrimmed.reviewing.films import films_of
from untrimmed.reviewing.groups import GroupsFile
from untrimmed.reviewing.marks import MarksFile, rename_labels, write_snapshot
from untrimmed.reviewing.queue import worth_a_look
from untrimmed.reviewing.source import Source, durations_of, labels_of, source_of_file, stored_activations

if TYPE_CHECKING:
    from untrimmed.reviewing.surest import Voting

PORT = 8765
"""Where it listens, if that is free and nothing else was asked for."""


@dataclass(frozen=True)
class ReviewReport:
    """The file of what was marked, in how many videos something was, and how many of them are checked completely."""

    annotations: Path
    marked: int
    checked: int

    def text(self) -> str:
        return f"{self.annotations}: {self.marked} video(s) marked, {self.checked} of them checked completely"


def review(
    source: str | Path,
    *,
    videos: str | Path | None = None,
    annotations: str | Path | None = None,
    port: int | None = None,
    open_browser: bool = True,
    who: str | None = None,
) -> ReviewReport:
    """Serve the page with editing switched on, until Ctrl-C.

    Args:
        source: a trained run, whose training videos are localized and shown: what is marked in them can teach a student
            (`RUN/taught/01`, 02 ...). Or a detections file, of whatever videos.
        videos: a folder with the video files; by default the files that the run's features came from.
        annotations: the file of what is marked; by default `RUN/annotations.json`, or for `X.json` `X.annotations.json`. It is
            made at the first mark, and written at once after each.
        port: on 127.0.0.1; None: 8765, or any if that is taken.
        open_browser: open the address, where there is a screen.
        who: in whose name marks are made; None: the name of the user.

    Raises:
        InputError: the source or the marks cannot be read, the port is taken, or another review of the source is under way.
    """
    try:
        import uvicorn

        from untrimmed.reviewing.server import make_app
    except ImportError as error:
        raise InputError(f"review needs Starlette and uvicorn: pip install 'untrimmed[review]' ({error})") from error
    source = Path(source)
    shown = _source_of_run(source) if source.is_dir() else source_of_file(source)
    marks = Path(annotations) if annotations is not None else shown.annotations
    check_writable(marks)
    shown.work.mkdir(parents=True, exist_ok=True)
    held = lock(shown.work, "another review of it is under way; close that first")
    try:
        served = _Served(shown, videos, marks, who or getpass.getuser())
        token = secrets.token_urlsafe(24)
        listening = _listen(port)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/?token={token}"
        config = uvicorn.Config(
            make_app(served.review, token),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        print(address, flush=True)
        note(f"marks go to {marks}; stop with Ctrl-C")
        if open_browser and _has_screen():
            import webbrowser

            webbrowser.open(address)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:  # the one way to stop it
            pass
        finally:
            served.close()
    finally:
        held.release()
    made = read_corrections(marks) if marks.exists() else {}
    return ReviewReport(marks, len(made), sum(its.checked for its in made.values()))


def teach(run: Path, item: tuple[str, str, str | None]) -> str:
    """Train a student of a run on marks, and localize the training videos with it; a background process calls it.

    Args:
        item: the file of marks, the student's run folder, and labels that stand for corrected clusters, if there are any. Of a
            student that was not finished nothing is left.

    Returns:
        The student's detections.
    """
    from untrimmed.jobs.refine import refine
    from untrimmed.reviewing.training_videos import localize_training_videos

    marks, out = map(Path, item[:2])
    try:
        refine(run, out=out, annotations=marks, labels=item[2])
        shutil.copyfile(marks, RunFiles(out).annotations)
        if item[2] is not None:
            write_clusters(clusters_file(out, 0), {video: min(own) for video, own in read_labels(item[2]).tags.items() if own})
        return str(localize_training_videos(out))
    except BaseException:
        if not RunFiles(out).is_finished:
            shutil.rmtree(out, ignore_errors=True)
        raise


class _Served:
    """What the server shows, made again when a student has been taught."""

    def __init__(self, shown: Source, videos: str | Path | None, annotations: Path, who: str) -> None:
        from untrimmed.reviewing.server import Review  # needs Starlette

        self.shown, self.annotations, self.files = shown, annotations, list(shown.files)
        file = read_detections(self.files[-1])
        activations = stored_activations(self.files[-1])
        self.media, films, self.fps, lengths = films_of(file, shown, None if videos is None else Path(videos))
        self.durations = durations_of(file, activations, lengths)
        self.labels = list(shown.labels) if shown.labels is not None else labels_of(file, activations, annotations)
        self.marks = MarksFile(annotations, who, self.labels, self.durations)
        found = read_detections(self.files[0])
        assigned = assigned_clusters(found)
        if found.untrimmed.get("held") is not None:
            note("a video may hold several clusters here: they can be named, but not merged or split, and videos not moved")
            assigned = {}
        self.groups = GroupsFile(shown.clusters, who, assigned) if assigned else None
        self.voting = _voting(shown.store, assigned) if assigned and shown.store is not None else None
        self.html: tuple[Any, bytes] = (None, b"")
        self.copying = Background(make_copy, None)
        self.teaching = None if shown.run is None else Background(teach, shown.run.absolute(), self._taught)
        self.review = Review(
            self.page, films, self.marks, self.copying, self.teaching, self._begin, groups=self.groups, voting=self.voting
        )
        self.page()  # whoever opens the address does not wait for it

    def close(self) -> None:
        self.copying.close()
        if self.teaching is not None:
            self.teaching.close()

    def page(self) -> bytes:
        """The page of the last run, with the one before beside it; made once for each, and again for a new label."""
        made_of = len(self.files), tuple(self.marks.new_labels())
        if self.html[0] != made_of:
            self.html = (made_of, page_html(self._page()))
        return self.html[1]

    def _page(self) -> Page:
        file = read_detections(self.files[-1])
        beside = read_detections(self.files[-2]) if len(self.files) > 1 else None
        page = page_of(file, media=None if self.media is None else lambda ids: self.media or {}, beside=beside)
        looks = worth_a_look(page.results, page.activations, None if beside is None else beside.results)
        told = {
            "labels": list(dict.fromkeys([*self.labels, *self.marks.new_labels()])),
            "known": self.labels,
            "splits": self.voting is not None,
            "clusters": str(self.shown.clusters),
            "fps": self.fps,
            "queue": [asdict(look) for look in looks],
            "run": None if self.shown.run is None else str(self.shown.run),
            "annotations": str(self.annotations),
        }
        return replace(page, durations=self.durations, review=told)

    def _begin(self) -> tuple[str, str, str | None]:
        """What `teach` is given: what is marked now, a folder that is free, and the corrected clusters as labels."""
        assert self.shown.run is not None
        taught = self.shown.run.absolute() / "taught"
        number = 1 + max((int(run.name) for run in taught.glob("[0-9]*") if run.name.isdigit()), default=0)
        marks = self.shown.work.absolute() / f"marks-{number:02}.json"
        labels = None
        write_snapshot(self.marks, marks)
        if self.groups is not None and (groups := self.groups.groups).are_corrected():
            labels = self.shown.work.absolute() / f"labels-{number:02}.csv"
            write_labels(labels, groups.as_clusters().items())
            kept = {*groups.as_clusters().values(), *self.marks.new_labels()}
            rename_labels(marks, groups.successors(), kept)
        return str(marks), str(taught / f"{number:02}"), None if labels is None else str(labels)

    def _taught(self, item: Any, detections: str) -> None:
        self.files.append(Path(detections))


def _source_of_run(run: Path) -> Source:
    from untrimmed.reviewing.training_videos import source_of_run  # torch, which a review of detections does not need

    return source_of_run(run)


def _voting(store: FeatureStore, assigned: Mapping[str, str]) -> "Voting":
    from untrimmed.reviewing.surest import Voting  # torch, too

    return Voting(store, sorted(assigned))


def _listen(port: int | None) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for wanted in (PORT, 0) if port is None else (port,):
        try:
            listening.bind(("127.0.0.1", wanted))
            listening.listen(128)  # from now on whoever has the address is answered
            return listening
        except (OSError, OverflowError) as error:
            fault = error
    listening.close()
    raise InputError(f"port {port}: cannot be listened on ({fault.args[-1]}); give another `port`, or none")


def _has_screen() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))

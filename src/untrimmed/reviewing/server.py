"""The server: the page, the videos, what is marked, and work in the background, for whoever has the token.

It listens on 127.0.0.1 only. Every request must name that host (so that no other site's name can be pointed here), come from no
other site's page, and carry the token. Videos are found by their id in a list that was made at the beginning: no path comes from a
request.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from untrimmed.data.errors import InputError
from untrimmed.data.files import whole_characters
from untrimmed.reviewing.background import Background
from untrimmed.reviewing.films import Film
from untrimmed.reviewing.groups import GroupsFile, change_of
from untrimmed.reviewing.marks import MarksFile, Stale

if TYPE_CHECKING:
    from untrimmed.reviewing.surest import Voting

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""Names of this machine; with any port, since an SSH tunnel has another."""

MOST_BYTES = 2_000_000
"""Of a request's body."""

SAFE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer."""


@dataclass(frozen=True)
class Review:
    """What is served.

    page: the page as it is now. films: by video. marks: the file of what is marked.
    copying: makes small copies of `(file, copy)`. teaching: trains a student, where there is a run to teach; `begin` then makes
    what it is given. groups: what is made of clusters, where there are some; voting: how sure they are, where there are features.
    """

    page: Callable[[], bytes]
    films: Mapping[str, Film]
    marks: MarksFile
    copying: Background
    teaching: Background | None = None
    begin: Callable[[], Any] | None = None
    groups: GroupsFile | None = None
    voting: "Voting | None" = None


def make_app(review: Review, token: str) -> ASGIApp:
    """The application, behind its guard."""
    handlers = _Handlers(review)
    routes = [
        Route("/", handlers.page, methods=["GET"]),
        Route("/video/{video}", handlers.video, methods=["GET"]),
        Route("/api/copy/{video}", handlers.copy, methods=["POST"]),
        Route("/api/marks", handlers.marks, methods=["GET"]),
        Route("/api/marks", handlers.save, methods=["POST"]),
        Route("/api/labels", handlers.add_label, methods=["POST"]),
        Route("/api/clusters", handlers.clusters, methods=["GET"]),
        Route("/api/clusters", handlers.save_clusters, methods=["POST"]),
        Route("/api/clusters/split", handlers.split, methods=["POST"]),
        Route("/api/teach", handlers.teach_status, methods=["GET"]),
        Route("/api/teach", handlers.teach, methods=["POST"]),
        Route("/api/teach", handlers.cancel, methods=["DELETE"]),
    ]
    return Guard(Starlette(routes=routes, exception_handlers={InputError: _user_fault}), token)


class Guard:
    """Lets only those requests through that come from a page of this server and know the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self.refusal(scope)

        async def send_safely(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                more = [(k.lower().encode(), v.encode()) for k, v in SAFE.items() if k.lower().encode() not in present]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await (self.app if refusal is None else refusal)(scope, receive, send_safely)

    def refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or _name_of(hosts[0]) not in HOSTS:
            return PlainTextResponse("This server answers only to 127.0.0.1 and localhost.", 400)
        if any(origin != f"http://{hosts[0]}" for origin in origins) or headers.get("sec-fetch-site") == "cross-site":
            return PlainTextResponse("Pages of other sites have no business here.", 403)
        given = headers.get("x-token") or QueryParams(scope["query_string"]).get("token") or ""
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return PlainTextResponse("The token is missing or wrong: open the whole address that untrimmed printed.", 403)
        return None


class _Handlers:
    def __init__(self, review: Review) -> None:
        self.review = review

    def page(self, request: Request) -> Response:
        return Response(self.review.page(), media_type="text/html; charset=utf-8")

    def video(self, request: Request) -> Response:
        film = self.review.films.get(request.path_params["video"])
        if film is None:
            return PlainTextResponse("There is no such video.", 404)
        if not film.is_inside():
            return PlainTextResponse("The file is not there, or a link leads out of the folder of videos.", 404)
        file = film.file if film.plays or film.copy is None or not film.copy.is_file() else film.copy
        return FileResponse(file.resolve(), headers={"Cache-Control": "no-store"})

    def copy(self, request: Request) -> Response:
        """Begin to make a small copy, or say how far it is."""
        film = self.review.films.get(video := request.path_params["video"])
        if film is None or film.plays or film.copy is None or not film.is_inside():
            return PlainTextResponse("There is no such video that needs a copy.", 404)
        if film.copy.is_file() and film.copy.stat().st_mtime_ns >= film.file.stat().st_mtime_ns:
            return JSONResponse({"state": "done"})
        copying = self.review.copying
        status, item = copying.status(), (str(film.file.resolve()), str(film.copy))
        if status.item == item and status.state in ("running", "failed"):
            return JSONResponse(
                {"state": status.state, "share": status.share, "words": status.words.replace(str(film.copy), video)}
            )
        return JSONResponse({"state": "running" if copying.start(item) else "waiting", "share": 0.0})

    def marks(self, request: Request) -> Response:
        return JSONResponse(self.review.marks.entries())

    async def save(self, request: Request) -> Response:
        body = await _read_json(request)
        if isinstance(body, Response):
            return body
        video, revision, what = body.get("video"), body.get("revision"), body.get("what", "")
        if not isinstance(video, str) or type(revision) is not int or not isinstance(what, str):
            return PlainTextResponse("Expected a video, its revision, its marks, and what was changed.", 400)
        try:
            entry = await run_in_threadpool(self.review.marks.save, video, revision, body.get("marks"), what)
            return JSONResponse({"stale": False, "entry": entry})
        except Stale as refused:  # nothing that went wrong: the page lays its change over what is there now
            return JSONResponse({"stale": True, "entry": refused.entry})

    async def add_label(self, request: Request) -> Response:
        """A label that marks may have from now on."""
        body = await _read_json(request)
        if isinstance(body, Response):
            return body
        return JSONResponse({"label": await run_in_threadpool(self.review.marks.add_label, body.get("label"))})

    def clusters(self, request: Request) -> Response:
        return JSONResponse(self._clusters())

    async def save_clusters(self, request: Request) -> Response:
        body = await _read_json(request)
        if isinstance(body, Response):
            return body
        await run_in_threadpool(self._groups.save, *change_of(body))
        return JSONResponse(await run_in_threadpool(self._clusters))

    async def split(self, request: Request) -> Response:
        """Which videos of a cluster would be another one; nothing is changed."""
        body = await _read_json(request)
        if isinstance(body, Response):
            return body
        voting, cluster = self.review.voting, body.get("cluster")
        if voting is None or not isinstance(cluster, str):
            raise InputError("without the run's features only a person can split a cluster, by moving videos")
        return JSONResponse({"videos": await run_in_threadpool(voting.split, self._groups.groups.videos, cluster)})

    @property
    def _groups(self) -> GroupsFile:
        if self.review.groups is None:
            raise InputError("there are no clusters here: untrimmed review a run that was trained without labels")
        return self.review.groups

    def _clusters(self) -> dict[str, Any]:
        """The clusters as they are, what votes say of them, and whether that is still being found out."""
        state, voting = self._groups.state(), self.review.voting
        sure = None if voting is None else voting.about(state["videos"])
        return {**state, "votes": sure, "voting": voting is not None and not voting.wait(0)}

    def teach_status(self, request: Request) -> Response:
        if self.review.teaching is None:
            return JSONResponse({"state": "impossible"})
        return JSONResponse({key: value for key, value in asdict(self.review.teaching.status()).items() if key != "item"})

    def teach(self, request: Request) -> Response:
        teaching, begin = self.review.teaching, self.review.begin
        if teaching is None or begin is None:
            raise InputError("there is no run to teach here: untrimmed review RUN")
        if teaching.status().state != "running":
            teaching.start(begin())
        return self.teach_status(request)

    def cancel(self, request: Request) -> Response:
        if self.review.teaching is not None:
            self.review.teaching.cancel()
        return self.teach_status(request)


def _name_of(host: str) -> str:
    """The name in `name:port`."""
    name, colon, port = host.rpartition(":")
    return name.lower() if colon and port.isdigit() else host.lower()


async def _read_json(request: Request) -> dict[str, Any] | Response:
    """The object in a request's body, or the answer to a body that is at fault."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return PlainTextResponse("Expected JSON.", 415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return PlainTextResponse(f"More than {MOST_BYTES} bytes.", 413, headers={"Connection": "close"})
    try:
        value = whole_characters(json.loads(body))
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else PlainTextResponse("Not JSON with an object.", 400)


def _user_fault(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 400)

"""Who may ask the server, and for what."""

import json
import os

import pytest

from tests.jobs.test_report import HOSTILE, SECONDS, film, write_inputs
from tests.reviewing.serving import serving
from untrimmed.data.types import Detection

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("review")
    results = {
        video: [Detection(1, 3, "jump", 0.9), Detection(4, 5, "</script><img src=x onerror=alert(1)>", 0.5)]
        for video in ("a", HOSTILE, "outside", "away", "text", "gone")
    }
    write_inputs(folder, results)
    videos = folder / "videos"
    film(videos / "a.mp4")
    film(videos / f"{HOSTILE}.mp4")
    film(folder / "secret" / "outside.mp4")
    (videos / "outside.mp4").symlink_to(folder / "secret" / "outside.mp4")
    film(videos / "away.mp4")
    (videos / "text.mp4").write_text("#EXTM3U\n/etc/passwd\n")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder / "detections.json", "--videos", folder / "videos") as server:
        yield server


PATHS = ["/", "/video/a", "/api/marks", "/api/labels", "/api/clusters", "/api/clusters/split", "/api/teach", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", [False, "", "wrong", "\xff"])
def test_without_the_token_nothing_is_told(server, path, token):
    status, _, body = server.ask("GET", path, token=token)
    assert status == 403
    assert b"token" in body
    assert server.ask("POST", path, {}, token=token)[0] == 403


@pytest.mark.parametrize(
    "given", ["token=", "token=wrong", "token=%FF", "token[]=x", "TOKEN=x", "token=x&token="], ids=lambda given: given
)
def test_a_wrong_token_in_the_address(server, given):
    assert server.ask("GET", f"/?{given}", token=False)[0] == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8765",
        "127.0.0.2",
        "[::2]:1",
        "",
        "a@localhost",
    ],
)
def test_another_host_is_refused(server, host):
    status, _, body = server.ask("GET", "/", headers={"Host": host})
    assert status == 400, body


@pytest.mark.parametrize("host", ["127.0.0.1:9999", "localhost:1", "localhost", "LOCALHOST:8"])
def test_an_ssh_tunnel_has_another_port(server, host):
    assert server.ask("GET", "/api/marks", host=host)[0] == 200
    assert server.ask("GET", "/api/marks", host=host, headers={"Origin": f"http://{host}"})[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", ""])
def test_pages_of_other_sites_are_refused(server, origin):
    for method in ("GET", "POST", "DELETE"):
        assert server.ask(method, "/api/teach", headers={"Origin": origin})[0] == 403
    assert server.ask("GET", "/video/a", headers={"Sec-Fetch-Site": "cross-site"})[0] == 403


def test_two_hosts(server):
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(f"GET /?token={server.token} HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\nConnection: close\r\n\r\n".encode())
        assert line.recv(100).split()[1] == b"400"


@pytest.mark.parametrize(
    "name",
    [
        "../detections.json",
        "..%2fdetections.json",
        "%2e%2e%2fdetections.json",
        "..%5cdetections.json",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "a.mp4",
        "a%00",
        "videos/a",
        "secret%2foutside",
        "%ff",
        "a/../a",
        "file:%2f%2f%2fetc%2fpasswd",
        "",
    ],
)
def test_no_path_leads_to_a_file(server, name):
    for path in (f"/video/{name}", f"/api/copy/{name}"):
        status, _, body = server.ask("POST" if "copy" in path else "GET", path)
        assert status in (404, 405), (path, body)
        assert b"root:" not in body


def test_links_out_of_the_folder_are_not_followed(server, folder):
    assert server.ask("GET", "/video/outside")[0] == 404
    assert server.ask("GET", "/video/away")[0] == 200
    (folder / "videos" / "away.mp4").unlink()
    (folder / "videos" / "away.mp4").symlink_to("/etc/passwd")  # while the server runs
    status, _, body = server.ask("GET", "/video/away")
    assert status == 404
    assert b"root" not in body


def test_what_is_no_video_is_not_sent(server):
    assert server.ask("GET", "/video/text")[0] == 404
    assert server.ask("GET", "/video/gone")[0] == 404


def test_videos_are_sent_by_range(server, folder):
    whole = (folder / "videos" / "a.mp4").read_bytes()
    status, headers, body = server.ask("GET", "/video/a", headers={"Range": "bytes=10-19"})
    assert (status, body) == (206, whole[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert server.ask("GET", "/video/a", headers={"Range": "bytes=-5"})[2] == whole[-5:]
    assert server.ask("GET", "/video/a", headers={"Range": f"bytes={len(whole)}-"})[0] == 416
    assert server.ask("GET", "/video/a", headers={"Range": "bytes=5-2"})[0] in (400, 416)
    assert server.ask("GET", f"/video/a?token={server.token}", token=False)[2] == whole


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (rb'{"note": "\ud800"}', {}, 400),
        (b"[]", {}, 400),
        (b"null", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"video": "a"}', {}, 400),
        (b'{"video": ["a"], "revision": 0, "marks": {}}', {}, 400),
        (b'{"video": "a", "revision": true, "marks": {}}', {}, 400),
        (b'{"video": "a", "revision": 0}', {}, 400),
        (b'{"video": "a", "revision": 0, "marks": {"annotations": [{"segment": [0, NaN], "label": "jump"}]}}', {}, 400),
        (b'{"video": "a", "revision": 0, "marks": {"annotations": [{"segment": [0, 1e400], "label": "jump"}]}}', {}, 400),
        (b'{"video": "../a", "revision": 0, "marks": {}}', {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b" " * 2_000_001, {}, 413),
    ],
)
def test_bodies_that_are_at_fault(server, folder, body, headers, expected):
    assert server.ask("POST", "/api/marks", body, headers=headers)[0] == expected
    assert not (folder / "detections.annotations.json").exists()
    assert server.ask("GET", "/api/marks")[0] == 200, "and it goes on"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"label": 7}',
        b'{"label": ""}',
        b'{"label": " none "}',
        b'{"label": "a;b"}',
        b'{"label": "a\\nb"}',
        b'{"label": "\\ud800"}',
        json.dumps({"label": "x" * 201}).encode(),
    ],
)
def test_labels_that_are_none(server, folder, body):
    assert server.ask("POST", "/api/labels", body)[0] == 400
    assert not (folder / "detections.annotations.json").exists()


def test_there_are_no_clusters_here(server):
    for path in ("/api/clusters", "/api/clusters/split"):
        status, _, said = server.ask("POST", path, {"cluster": "cluster_00", "videos": {"a": "cluster_00"}})
        assert status == 400, said
        assert server.ask("POST", path, b" " * 2_000_001)[0] == 413
    assert b"there are no clusters here" in server.ask("GET", "/api/clusters")[2]


def test_a_body_without_a_length_is_limited_too(server):
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        head = f"POST /api/marks HTTP/1.1\r\nHost: localhost\r\nX-Token: {server.token}\r\nContent-Type: application/json\r\n"
        line.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with pytest.raises(OSError) if os.name == "nt" else memory():
            for _ in range(40):
                line.sendall(chunk)
        assert line.recv(100).split()[1] == b"413"


class memory:
    """Sending on after the answer may or may not fail; only the answer counts."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        return isinstance(error, OSError)


def test_what_stands_in_names_and_labels_is_text(server):
    status, headers, body = server.ask("GET", "/")
    text = body.decode()
    assert status == 200
    assert "onerror=alert(1)>" not in text
    assert "<script>alert(1)" not in text
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert HOSTILE in [video["id"] for video in data["videos"]]
    assert "connect-src 'self'" in text
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    links = [video["media"]["link"] for video in data["videos"] if "media" in video]
    assert all(link.startswith("video/") for link in links)
    assert data["videos"][[v["id"] for v in data["videos"]].index("outside")]["media"]["fault"].startswith("a link that leads out")


def test_there_is_no_run_to_teach(server):
    assert server.json("GET", "/api/teach") == {"state": "impossible"}
    status, _, body = server.ask("POST", "/api/teach")
    assert (status, body) == (400, b"there is no run to teach here: untrimmed review RUN")


def test_methods_that_are_not_there(server):
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        assert server.ask(method, "/api/marks")[0] in (404, 405)


def test_a_video_longer_than_known_detections_can_be_marked(server):
    # Last in this file: from here on something is marked.
    assert server.save("a", annotations=[{"segment": [SECONDS - 1, SECONDS], "label": "jump"}])[0] == 200
    status, answer = server.save("a", revision=0, annotations=[])
    assert (status, answer["stale"], answer["entry"]["revision"]) == (200, True, 1)
    note = '</script><img src=x onerror="alert(1)">'
    assert server.save("a", revision=1, note=note, points=[{"time": 2, "label": "jump"}])[1]["stale"] is False
    assert server.json("GET", "/api/marks")["a"]["note"] == note

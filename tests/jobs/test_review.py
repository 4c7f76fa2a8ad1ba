"""`untrimmed review`: what is shown, where marks go, and a student that is taught from them."""

import json
import re
import shutil
import socket
import time

import pytest

from tests.jobs.test_report import film, write_inputs
from tests.methods.planted import plant
from tests.reviewing.serving import serving
from untrimmed.data.annotations import read_detections
from untrimmed.data.corrections import read_corrections
from untrimmed.data.errors import InputError
from untrimmed.data.types import Detection
from untrimmed.jobs.review import review
from untrimmed.jobs.train import train
from untrimmed.runs.folder import RunFolder

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def run(planted, tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    settings = {"epochs": 4, "data": {"snippets": 16}}
    return train("tsrnet", features=planted.features, labels=planted.labels, out=out, settings=settings).run


def data_of(server):
    page = server.ask("GET", "/")[2].decode()
    return json.loads(page.partition('id="data">')[2].partition("</script>")[0])


def taught(server, *states):
    until = time.monotonic() + 120
    while (status := server.json("GET", "/api/teach"))["state"] not in states:
        assert time.monotonic() < until, status
        time.sleep(0.1)
    return status


def marks_of(planted, video):
    return [{"segment": [s.start, s.end], "label": s.label} for s in planted.truth[video].segments]


def test_a_run_is_corrected_and_teaches_a_student(planted, run):
    training = sorted(planted.subset("train"))
    with serving(run, "--who", "ann") as server:
        data = data_of(server)
        assert [video["id"] for video in data["videos"]] == training, "its training videos, not those of the test"
        assert data["review"]["labels"] == list(planted.classes)
        assert sorted(look["video"] for look in data["review"]["queue"]) == training
        status, _, said = server.ask("POST", "/api/teach")
        assert (status, said[:22]) == (400, b"nothing is marked yet:")
        assert server.save("test000")[0] == 400

        videos = [look["video"] for look in data["review"]["queue"]][:4]
        for video in videos:
            assert server.save(video, annotations=marks_of(planted, video), checked=True)[0] == 200
        assert server.json("POST", "/api/teach")["state"] == "running"
        assert server.save(training[-1], note="the server stays usable meanwhile")[0] == 200
        assert taught(server, "done", "failed") == {"state": "done", "share": 1.0, "words": ""}

        after = data_of(server)
        assert after["runs"] == {"shown": "run, taught 01", "beside": "run"}
        assert [video["beside"] for video in after["videos"]] == [video["detections"] for video in data["videos"]]
        student = RunFolder(run / "taught" / "01")
        assert student.record()["annotated_videos"] == sorted(videos)
        assert sorted(read_corrections(student.annotations)) == sorted(videos), "it can be gone on with from there"

        assert server.json("POST", "/api/teach")["state"] == "running"
        server.ask("DELETE", "/api/teach")
        assert taught(server, "cancelled", "done")["state"] == "cancelled"
        assert not (run / "taught" / "02").exists(), "nothing is left of it"
        assert "4 video(s) marked, 4 of them checked completely" in server.stop()

    before = (run / "review" / "detections.json").stat().st_mtime_ns
    with serving(run) as server:
        assert data_of(server)["runs"] == {"shown": "run, taught 01", "beside": "run"}, "the last student is shown again"
        assert server.json("GET", "/api/marks")[videos[0]]["who"] == "ann"
        assert server.json("GET", "/api/marks")[training[-1]]["note"].startswith("the server")
        with pytest.raises(InputError, match=r"review: another review of it is under way"):
            review(run, open_browser=False)
    assert (run / "review" / "detections.json").stat().st_mtime_ns == before, "localized once"


def test_the_button_that_teaches(browser, planted, run, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(run, copied, ignore=shutil.ignore_patterns("taught", "review", "annotations*"))
    with serving(copied) as server:
        page = browser.new_context().new_page()
        page.set_default_timeout(60_000)
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(server.address)
        page.wait_for_selector("html[data-ready]", state="attached")
        assert page.get_by_role("button", name="Teach").is_disabled(), "nothing is marked"
        page.keyboard.press("e")
        page.keyboard.press("q")
        page.keyboard.press("n")
        page.keyboard.press("a")
        page.get_by_role("button", name="Teach from 2 videos").click()
        page.get_by_role("button", name="cancel").click()
        page.get_by_text("cancelled; nothing is left of it").wait_for()
        assert not (copied / "taught" / "01").exists()
        page.get_by_role("button", name="Teach from 2 videos").click()
        page.get_by_role("button", name="Show what it changed").click()
        changes = page.locator(".changes")
        changes.get_by_text("Taught").wait_for()
        assert re.match(r"Taught: of the detections shown, \d+ are new and \d+ are gone, in \d+ videos? ", changes.inner_text())
        page.locator(".video.open .side .of").nth(1).wait_for()
        assert page.locator(".video.open .side .of").all_inner_texts()[-2:] == ["run, taught 01", "run"], "one below the other"
        changes.get_by_role("button").click()
        assert page.locator("#sort").input_value() == "different"
        page.locator("#slider").fill("200")  # the surest detection of either
        changes.get_by_text(re.compile(r"Taught: of the detections shown, [01] are new and [01] are gone")).wait_for()
        assert said == []
        server.process.kill()
        server.process.wait()
        page.get_by_role("button", name="Teach from 2 videos").click()
        page.locator(".teach").get_by_text("the server does not answer").wait_for()
        assert [line for line in said if "Failed to load resource" not in line] == []
        page.context.close()


def test_detections_are_shown_as_they_are_and_never_change(tmp_path):
    path = write_inputs(tmp_path, {"a": [Detection(1, 2, "jump", 0.5)], "b": []}, activations=False)
    film(tmp_path / "videos" / "a.avi", "mpeg4")
    before = path.read_bytes()
    with serving(path, "--videos", tmp_path / "videos", "--annotations", tmp_path / "mine.json") as server:
        data = data_of(server)
        assert data["videos"][0]["duration"] == pytest.approx(8, abs=0.2), "of the file: it can be marked to its end"
        assert not data["videos"][0]["media"]["plays"]
        assert server.save("a", points=[{"time": 7, "label": "jump"}])[0] == 200
        until = time.monotonic() + 60
        while (status := server.json("POST", "/api/copy/a"))["state"] != "done":
            assert status["state"] == "running", status
            assert time.monotonic() < until
            time.sleep(0.1)
        status, headers, body = server.ask("GET", "/video/a", headers={"Range": "bytes=0-3"})
        assert (status, headers["content-type"], body) == (206, "video/webm", b"\x1a\x45\xdf\xa3")
        server.stop()
    assert path.read_bytes() == before
    assert read_corrections(tmp_path / "mine.json")["a"].points[0].time == 7
    assert (tmp_path / "detections.review" / "copies" / "a.webm").exists()


def test_what_cannot_be_reviewed(tmp_path, run):
    with pytest.raises(InputError, match="cannot be read"):
        review(tmp_path / "nowhere.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        review(tmp_path / "empty")
    path = write_inputs(tmp_path, {"a": []}, activations=False)
    with pytest.raises(InputError, match="no label to mark with"):
        review(path, open_browser=False)
    path = write_inputs(tmp_path, {"a": [Detection(1, 2, "jump", 0.5)]}, activations=False)
    (tmp_path / "detections.annotations.json").write_text(
        '{"database": {"a": {"annotations": [{"segment": [2, 1], "label": "jump"}]}}}'
    )
    with pytest.raises(InputError, match="ends"):
        review(path, open_browser=False)
    (tmp_path / "detections.annotations.json").unlink()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match=r"port \d+: cannot be listened on"):
            review(path, port=taken.getsockname()[1], open_browser=False)
    assert read_detections(path).results

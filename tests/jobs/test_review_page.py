"""What a person does on the page that `untrimmed review` serves, in a browser."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.jobs.test_report import HOSTILE, film, open_row, write_inputs
from tests.reviewing.serving import serving
from untrimmed.data.annotations import write_detections
from untrimmed.data.corrections import read_corrections
from untrimmed.data.types import Detection
from untrimmed.jobs.report import report

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

LABEL = "<b>dig</b>"


def long_film(path, seconds):
    """A film of one picture a second."""
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("libx264", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 10
        for k in range(seconds):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), k % 200, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    film(folder / "a.mp4")
    film(folder / f"{HOSTILE}.mp4")
    film(folder / "old.avi", "mpeg4")
    long_film(folder / "hour.mp4", 3600)
    return folder


@pytest.fixture
def folder(tmp_path):
    found = [Detection(1, 2.5, "jump", 0.9), Detection(4, 6, "jump", 0.8), Detection(3, 3.5, LABEL, 0.7)]
    results = {"a": found, HOSTILE: found, "old": found[:1], "hour": [Detection(3000, 3010, "jump", 0.6)]}
    write_inputs(tmp_path, results, activations=False)
    return tmp_path


@pytest.fixture
def server(folder, films):
    with serving(folder / "detections.json", "--videos", films) as server:
        yield server


@pytest.fixture
def visit(browser, server):
    """Opens the page; fails the test if it says anything to the console or throws."""
    said, opened = [], []

    def go(more="", **context):
        page = browser.new_context(**{"viewport": {"width": 1400, "height": 1000}, **context}).new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(server.address + more)
        page.wait_for_selector("html[data-ready]", state="attached")
        opened.append(page)
        return page

    yield go
    for page in opened:
        page.context.close()
    assert said == []


def saved(page, folder, video):
    """What the file says of a video, once the page says that it is saved."""
    page.wait_for_function("() => document.querySelector('#review').textContent.includes('saved to')")
    path = folder / "detections.annotations.json"
    return json.loads(path.read_text())["database"].get(video, {}) if path.exists() else {}


def segments(entry, kind="annotations"):
    return [(*mark["segment"], mark["label"]) for mark in entry[kind]]


def opened(page, video):
    """A video that alone is open."""
    for row in page.locator(".video.open .row").all():
        row.click()
    row = open_row(page, video)
    row.locator(".marks").wait_for()
    row.locator(".time").scroll_into_view_if_needed()
    return row


def drag(page, box, start, end, y=12):
    """Across a box, from a share of its width to another."""
    page.mouse.move(box["x"] + start * box["width"], box["y"] + y)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + y, steps=6)
    page.mouse.up()


def test_a_click_leads_into_a_file_of_an_hour(visit):
    page = visit()
    answers = []
    page.on("response", lambda answer: answers.append((answer.url, answer.status)))
    row = opened(page, "hour")
    row.locator(".pick").click()
    page.wait_for_function("() => document.querySelector('.video.open video').currentTime > 2999.5")
    assert page.evaluate("document.querySelector('.video.open video').currentTime") < 3012
    statuses = {status for url, status in answers if "/video/hour" in url}
    assert statuses == {206}
    page.keyboard.press("k")
    before = page.evaluate("document.querySelector('.video.open video').currentTime")
    page.keyboard.press(".")
    page.wait_for_function("b => document.querySelector('.video.open video').currentTime > b + 0.9", arg=before)


def test_by_mouse(visit, folder):
    page = visit()
    row = opened(page, "a")
    row.get_by_role("button", name="Accept jump, 0:01.00").click()
    row.get_by_role("button", name="Reject jump, 0:04.00").click()
    entry = saved(page, folder, "a")
    assert (segments(entry), segments(entry, "rejected")) == ([(1.0, 2.5, "jump")], [(4.0, 6.0, "jump")])
    assert row.locator(".bar.detection.accepted").count() == row.locator(".bar.detection.rejected").count() == 1

    axis = row.locator(".axis").bounding_box()
    edge = row.locator(".mark.annotations .edge.end").bounding_box()
    page.mouse.move(edge["x"] + 4, edge["y"] + 8)
    page.mouse.down()
    page.mouse.move(edge["x"] + 4 + axis["width"] / 8, edge["y"] + 8, steps=5)
    page.mouse.up()
    (moved,) = segments(saved(page, folder, "a"))
    assert moved == (1.0, pytest.approx(3.5, abs=0.03), "jump")
    assert row.locator(".clock").inner_text().startswith("0:03.5"), "the player shows the edge that is dragged"

    drag(page, row.locator(".marks").bounding_box(), 0.75, 0.9)
    entry = saved(page, folder, "a")
    assert segments(entry)[1] == (pytest.approx(6, abs=0.03), pytest.approx(7.2, abs=0.03), "jump")
    row.get_by_label("Class of what is marked").select_option(label=f"1  {LABEL}")
    assert segments(saved(page, folder, "a"))[1][2] == LABEL, "what is chosen gets the class"

    row.get_by_label("a click sets a point").check()
    lane = row.locator(".marks").bounding_box()
    page.mouse.click(lane["x"] + lane["width"] * 0.6, lane["y"] + 12)
    points = saved(page, folder, "a")["points"]
    assert points == [{"time": pytest.approx(4.8, abs=0.03), "label": LABEL}]
    row.get_by_label("Note about this video").fill("</script><img src=x onerror=alert(1)>")
    row.locator(".clock").click()
    assert saved(page, folder, "a")["note"].startswith("</script>")
    row.get_by_label("checked: nothing is missing").check()
    assert saved(page, folder, "a")["checked"] is True
    assert "1 of 4 videos checked, 3 left to look at (the next for " in page.locator("#review").inner_text()

    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    row = opened(page, "a")
    assert row.locator(".mark").count() == 4
    assert row.get_by_label("Note about this video").input_value() == "</script><img src=x onerror=alert(1)>"
    assert row.locator(".tally").inner_text() == "✓ checked, 4 marked"
    assert page.locator("img").count() == 0
    assert page.locator(".mark b, .pick b").count() == 0, "a label is text"
    read_corrections(folder / "detections.annotations.json")


def test_by_keys_alone(visit, folder):
    page = visit()
    row = opened(page, "a")
    press = page.keyboard.press
    page.locator("body").evaluate("body => document.activeElement.blur()")
    for key in ("n", "a", "n", "x", "n", "a"):
        press(key)
    entry = saved(page, folder, "a")
    assert segments(entry) == [(1.0, 2.5, "jump"), (4.0, 6.0, "jump")]
    assert segments(entry, "rejected") == [(3.0, 3.5, LABEL)]
    for key in ("u", "u", "u"):
        press(key)
    assert segments(saved(page, folder, "a")) == []
    for key in ("y", "Control+y", "Control+Shift+z"):
        press(key)
    assert saved(page, folder, "a")["annotations"] == entry["annotations"]

    page.locator("body").evaluate("() => { document.querySelector('.video.open video').pause(); }")
    press("k")
    at = "document.querySelector('.video.open video').currentTime"
    page.evaluate(f"{at} = 6.5")
    page.wait_for_function(f"() => !document.querySelector('.video.open video').seeking && {at} > 6.4")
    press("i")
    page.evaluate(f"{at} = 7.5")
    page.wait_for_function("() => document.querySelector('.video.open .clock').textContent.startsWith('0:07.5')")
    press("o")
    press("1")
    assert segments(saved(page, folder, "a"))[-1] == (6.5, 7.5, LABEL)
    page.evaluate(f"{at} = 7")
    page.wait_for_function("() => document.querySelector('.video.open .clock').textContent.startsWith('0:07.0')")
    press("s")
    assert segments(saved(page, folder, "a"))[-2:] == [(6.5, 7.0, LABEL), (7.0, 7.5, LABEL)]
    press("u")
    page.locator(".mark", has_text=LABEL).first.focus()
    press("Enter")
    press("k")
    page.evaluate(f"{at} = 7.25")
    page.wait_for_function("() => document.querySelector('.video.open .clock').textContent.startsWith('0:07.3')")
    press("]")
    assert segments(saved(page, folder, "a"))[-1] == (6.5, 7.25, LABEL)
    press("Delete")
    press("p")
    entry = saved(page, folder, "a")
    assert segments(entry)[-1] == (4.0, 6.0, "jump")
    assert entry["points"] == [{"time": 7.25, "label": LABEL}]
    page.locator(".mark", has_text="jump").first.focus()
    press("Enter")
    press("k")
    press("m")
    assert segments(saved(page, folder, "a")) == [(1.0, 6.0, "jump")], "merged with the next of its class"
    press("e")
    entry = saved(page, folder, "a")
    assert (segments(entry), entry["points"], entry["rejected"], entry["checked"]) == ([], [], [], True)
    press("u")
    assert segments(saved(page, folder, "a")) == [(1.0, 6.0, "jump")]
    row.get_by_label("Note about this video").fill("x a e u 1")
    assert segments(saved(page, folder, "a")) == [(1.0, 6.0, "jump")], "what is written is no command"


def test_space_plays_and_pauses(visit):
    page = visit()
    opened(page, "a")
    page.locator("body").evaluate("body => document.activeElement.blur()")
    page.wait_for_function("() => document.querySelector('.video.open video').readyState >= 2")
    page.keyboard.press("Space")
    page.wait_for_function("() => !document.querySelector('.video.open video').paused")
    page.keyboard.press("l")
    assert page.evaluate("document.querySelector('.video.open video').playbackRate") == 2
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('.video.open video').paused")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    page.wait_for_function("() => !document.querySelector('.video.open video').paused")
    assert page.evaluate("document.querySelector('.video.open video').playbackRate") == 1
    page.keyboard.press("k")
    page.wait_for_function("() => document.querySelector('.video.open video').paused")


def test_one_key_means_one_thing_wherever_the_focus_is(visit, folder):
    page = visit()
    row = opened(page, "a")
    page.locator("body").evaluate("body => document.activeElement.blur()")
    zoomed = row.locator(".time.zoomed")
    page.keyboard.press("+")
    assert zoomed.count() == 1
    page.keyboard.press("f")
    assert zoomed.count() == 0
    row.locator(".bar.detection").first.focus()
    width = row.locator(".bar.detection").first.bounding_box()["width"]
    page.keyboard.press("+")
    zoomed.wait_for()
    assert row.locator(".bar.detection").first.bounding_box()["width"] == pytest.approx(2 * width, rel=0.1), "once, not twice"
    page.keyboard.press("0")
    assert zoomed.count() == 1, "0 asks for a new class and does nothing else"
    assert row.get_by_label("Name of the new class").is_visible()
    page.keyboard.press("Escape")

    page.locator("body").evaluate("body => document.activeElement.blur()")
    page.keyboard.press("w")
    page.keyboard.type("a note")
    page.keyboard.press("Escape")
    assert saved(page, folder, "a")["note"] == "a note"
    assert page.evaluate("document.activeElement === document.body")


def test_space_on_the_player_plays_it_once(visit):
    page = visit()
    row = opened(page, "a")
    page.wait_for_function("() => document.querySelector('.video.open video').readyState >= 2")
    video = row.locator("video")
    video.evaluate("v => { v.said = []; for (const kind of ['play', 'pause']) v.addEventListener(kind, () => v.said.push(kind)); }")
    video.focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('.video.open video').currentTime > 0.1")
    assert video.evaluate("v => v.said") == ["play"]


def test_frame_by_frame_by_mouse(visit):
    page = visit()
    row = opened(page, "a")
    page.wait_for_function("() => document.querySelector('.video.open video').readyState >= 2")
    row.get_by_title("One frame on").click()
    row.get_by_title("One frame on").click()
    page.wait_for_function("() => Math.abs(document.querySelector('.video.open video').currentTime - 0.2) < 0.01")
    row.get_by_title("One frame back").click()
    page.wait_for_function("() => Math.abs(document.querySelector('.video.open video').currentTime - 0.1) < 0.01")


def test_the_focus_stays_on_the_button_that_was_pressed(visit, folder):
    page = visit()
    row = opened(page, "a")
    row.get_by_role("button", name="Accept jump, 0:04.00").focus()
    page.keyboard.press("Enter")
    assert segments(saved(page, folder, "a")) == [(4.0, 6.0, "jump")]
    assert page.evaluate("document.activeElement.ariaLabel").startswith("Accept jump, 0:04.00")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert segments(saved(page, folder, "a"), "rejected") == [(4.0, 6.0, "jump")]


def test_on_a_phone_nothing_lies_over_anything(visit):
    page = visit(viewport={"width": 400, "height": 900})
    row = opened(page, "a")
    boxes = "line => [...line.children].map(c => c.getBoundingClientRect()).filter(b => b.width).map(b => [b.left, b.right])"
    for line in row.locator(".pick").all():
        parts = line.evaluate(boxes)
        assert len(parts) == 4
        assert all(right <= left for (_, right), (left, _) in zip(parts, parts[1:], strict=False)), parts
    page.locator(".keys summary").click()
    box = page.locator(".keys dl").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 400


def test_two_tabs_lose_nothing(visit, folder):
    first, second = visit(), visit()
    one, two = opened(first, "a"), opened(second, "a")
    one.get_by_role("button", name="Accept jump, 0:01.00").click()
    saved(first, folder, "a")
    two.get_by_role("button", name="Reject jump, 0:04.00").click()  # this tab has not heard of the other's
    entry = saved(second, folder, "a")
    assert (segments(entry), segments(entry, "rejected")) == ([(1.0, 2.5, "jump")], [(4.0, 6.0, "jump")])
    assert two.locator(".mark").count() == 2
    two.get_by_label("Note about this video").fill("two")
    two.locator(".clock").click()
    saved(second, folder, "a")
    one.get_by_label("Note about this video").fill("one")
    one.locator(".clock").click()
    assert sorted(saved(first, folder, "a")["note"].split("\n")) == ["one", "two"]
    second.keyboard.press("u")
    second.keyboard.press("u")
    entry = saved(second, folder, "a")
    assert segments(entry) == [(1.0, 2.5, "jump")], "undo takes back one's own"
    assert segments(entry, "rejected") == []
    first.evaluate("window.dispatchEvent(new Event('focus'))")
    first.wait_for_function("() => document.querySelectorAll('.video.open .mark').length === 1")


def test_the_queue(visit, folder):
    page = visit()
    names = page.locator(".video .name b").all_text_contents()
    queue = [look["video"] for look in page.evaluate("JSON.parse(document.getElementById('data').textContent).review.queue")]
    assert names == queue, "the list is in its order"
    assert page.locator(".video.open .name b").inner_text() == queue[0]
    page.keyboard.press("c")
    page.keyboard.press("q")
    assert page.locator(".video.open .name b").inner_text() == queue[1]
    assert "1 of 4 videos checked, 3 left to look at" in page.locator("#review").inner_text()
    for _ in range(3):
        page.keyboard.press("c")
        page.keyboard.press("q")
    assert "4 of 4 videos checked, 0 left to look at" in page.locator("#review").inner_text()
    assert page.get_by_role("button", name="Nothing is left").is_disabled()
    saved(page, folder, "a")
    read = read_corrections(folder / "detections.annotations.json")
    assert len(read) == 4
    assert all(marks.checked for marks in read.values())


def test_a_small_copy_is_made_of_what_browsers_cannot_play(visit):
    page = visit()
    row = opened(page, "old")
    row.locator("video").wait_for()
    row.locator(".pick").click()
    page.wait_for_function("() => document.querySelector('.video.open video').currentTime > 0.9")
    assert row.locator(".trouble").count() == 0


def test_detections_have_pictures(visit):
    page = visit()
    row = opened(page, "a")
    row.locator(".picks").scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelectorAll('.video.open .thumb.drawn').length === 3")
    greys = row.locator(".thumb").evaluate_all("all => all.map(c => c.getContext('2d').getImageData(64, 36, 1, 1).data[0])")
    middles = [(1 + 2.5) / 2, (4 + 6) / 2, (3 + 3.5) / 2]
    assert greys == pytest.approx([20 + 25 * t for t in middles], abs=12), "the frame in the middle of each"


def test_clusters_are_named_here_too(browser, tmp_path):
    results = {video: [Detection(1, 2, cluster, 0.5)] for video, cluster in (("a", "cluster_00"), ("b", "cluster_01"))}
    write_detections(tmp_path / "found.json", results, {"clusters": {"a": "cluster_00", "b": "cluster_01"}})
    with serving(tmp_path / "found.json") as server:
        page = browser.new_context().new_page()
        page.goto(server.address)
        page.wait_for_selector("html[data-ready]", state="attached")
        for field in page.locator("#cluster-list input").all():
            field.fill("dig")  # one name for both: merged
        assert page.locator("#named").inner_text() == "2 of 2 groups named: 1 label for 2 of 2 training videos"
        assert page.locator(".edit select option").all_inner_texts() == ["1  cluster_00", "2  cluster_01", "0  a new class …"]
        page.keyboard.press("a")
        assert page.locator("#cluster-list input").last.input_value() == "diga", "what is written is no command"
        page.context.close()


def test_a_server_that_is_gone(browser, server, folder):
    page = browser.new_context().new_page()
    page.goto(server.address)
    page.wait_for_selector("html[data-ready]", state="attached")
    row = opened(page, "a")
    server.process.kill()
    server.process.wait()
    row.get_by_role("button", name="Accept jump, 0:01.00").click()
    page.wait_for_function("() => document.querySelector('#review').textContent.includes('NOT SAVED: the server does not answer')")
    assert row.locator(".mark").count() == 1, "it is kept here, and tried again"
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_axe_finds_nothing(visit, browser, folder, films, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(viewport={"width": width, "height": 900}, color_scheme=scheme)
    row = opened(page, "a")
    row.get_by_role("button", name="Accept jump, 0:01.00").click()
    row.get_by_role("button", name="Reject jump, 0:04.00").click()
    row.get_by_title("Mark one point, at the playhead").click()
    page.locator(".keys summary").click()
    found = axe.run(page).response["violations"]
    assert found == [], json.dumps([(f["id"], [n["html"][:200] for n in f["nodes"]][:3]) for f in found], indent=1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"

    out = report(folder / "detections.json", out=folder / "page.html", videos=films)
    page.goto(out.as_uri())
    open_row(page, "a")
    found = axe.run(page).response["violations"]
    assert found == [], json.dumps([(f["id"], [n["html"][:200] for n in f["nodes"]][:3]) for f in found], indent=1)
    assert page.locator(".edit, .marks, #review").count() == 0, "a page in a file is only looked at"

"""Naming clusters on the page: what is shown of them, and what is saved."""

import json
import re
from pathlib import Path

import pytest

from tests.jobs.test_report import HOSTILE, SECONDS, film
from untrimmed.data.annotations import write_detections
from untrimmed.data.labels import read_labels
from untrimmed.data.types import Detection
from untrimmed.jobs.names import names
from untrimmed.jobs.report import report
from untrimmed.reporting.clusters import MOST_TYPICAL, clusters_of, typical_segments

ASSIGNED = {
    "a": "cluster_00",
    "b": "cluster_00",
    "-c": "cluster_01",
    "d": "cluster_02",
    '=e, "e"': "cluster_03",
    HOSTILE: "cluster_03",
    "\U0001f600": "cluster_00",
    "\uffee": "cluster_01",
}

LABELS = ('=1+1, "j\u00famp"', HOSTILE)


def test_typical_segments_are_the_surest_of_different_videos():
    found = [("a", Detection(k, k + 1.0, "x", 1.0 - k / 100)) for k in range(9)]
    assert [d.start for _, d in typical_segments(found)] == [0, 1], "two of one video"
    found += [(f"v{k}", Detection(0, 1, "x", 0.1 + k / 100)) for k in range(9)]
    chosen = typical_segments(found)
    assert len(chosen) == MOST_TYPICAL
    assert len({video for video, _ in chosen}) == MOST_TYPICAL, "none twice where there are enough videos"
    assert [d.score for _, d in chosen] == sorted((d.score for _, d in chosen), reverse=True)
    assert chosen[0][0] == "a"


def test_clusters_are_those_assigned_and_those_found():
    results = {"z": [Detection(0, 1, "cluster_07", 0.5), Detection(0, 1, "jump", 0.9)]}
    found = clusters_of(results, {"b": ("cluster_01",), "a": ("cluster_01", "cluster_02")})
    assert [(one.name, one.videos, one.detections) for one in found] == [
        ("cluster_01", ("a", "b"), 0),
        ("cluster_02", ("a",), 0),
        ("cluster_07", (), 1),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clusters")
    results = {
        "a": [Detection(2, 3, "cluster_00", 0.9), Detection(5, 5.5, "cluster_01", 0.3)],
        "b": [Detection(1, 2.5, "cluster_00", 0.8)],
        "gone": [Detection(1, 2, "cluster_01", 0.8)],
        HOSTILE: [Detection(4, 5, "cluster_03", 0.7)],
    }
    write_detections(folder / "found.json", results, {"method": "tcam", "clusters": ASSIGNED})
    for name in ("a", "b", "gone"):
        film(folder / "videos" / f"{name}.mp4")
    film(folder / "videos" / f"{HOSTILE}.webm", "libvpx")
    report(folder / "found.json", out=folder / "report.html", videos=folder / "videos")
    report(folder / "found.json", out=folder / "timelines.html")
    (folder / "videos" / "gone.mp4").unlink()
    return folder


@pytest.fixture
def visit(browser, folder):
    """Opens a page; fails the test if the page says anything to the console or throws."""
    said, opened = [], []

    def go(name="report.html", **context):
        page = browser.new_context(accept_downloads=True, **context).new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((folder / name).as_uri())
        opened.append(page)
        return page

    yield go
    for page in opened:
        page.context.close()
    assert [line for line in said if "ERR_FILE_NOT_FOUND" not in line] == []


def preview(page, video):
    return page.locator(".preview").filter(has=page.get_by_text(video, exact=True)).first


@pytest.mark.parametrize(("video", "start", "end"), [("a", 2, 3), (HOSTILE, 4, 5)])
def test_a_preview_goes_round_within_its_segment(visit, video, start, end):
    page = visit()
    card = preview(page, video)
    card.scroll_into_view_if_needed()
    player = card.locator("video").element_handle()
    page.wait_for_function("([v, start]) => !v.paused && !v.seeking && v.currentTime >= start", arg=[player, start])
    player.evaluate(
        "v => { v.seen = []; v.rounds = 0; v.addEventListener('timeupdate', () => v.seen.push(v.currentTime));"
        " v.addEventListener('seeking', () => v.rounds++); }"
    )
    page.wait_for_function("v => v.rounds >= 2", arg=player)
    times = player.evaluate("v => v.seen")
    assert min(times) >= start - 0.3
    assert max(times) <= end + 0.8, "a busy machine may be a little late"
    assert player.evaluate("v => v.muted"), "no sound unasked"
    assert player.evaluate("v => v.duration") == pytest.approx(SECONDS, abs=0.2)


def test_who_wants_no_motion_gets_it_by_hovering_only(visit):
    page = visit(reduced_motion="reduce")
    card = preview(page, "a")
    card.scroll_into_view_if_needed()
    player = card.locator("video").element_handle()
    page.wait_for_function("v => v.readyState >= 2 && !v.seeking && v.currentTime === 2", arg=player)
    assert player.evaluate("v => v.paused"), "the first frame of the segment stands there"
    card.hover()
    page.wait_for_function("v => !v.paused", arg=player)
    page.mouse.move(0, 0)
    page.wait_for_function("v => v.paused", arg=player)


def test_a_click_shows_the_segment_among_the_videos(visit):
    page = visit()
    assert page.locator(".viewer, .body").count() == 0, "the page begins with the clusters"
    preview(page, "b").click()
    row = page.locator(".video.open")
    assert row.locator(".name b").inner_text() == "b"
    player = row.locator("video").element_handle()
    page.wait_for_function("v => !v.paused && v.currentTime >= 1", arg=player)
    assert row.locator(".bar.on").get_attribute("data-start") == "1"


def test_a_video_that_is_gone_leaves_its_place_on_the_time_axis(visit):
    page = visit()
    card = preview(page, "gone")
    card.scroll_into_view_if_needed()
    page.wait_for_function("card => !card.querySelector('video')", arg=card.element_handle())
    assert card.locator(".strip i").evaluate("e => e.style.left") == "50%", "of a video of which 2 s are known"


def test_without_videos_there_are_times(visit):
    page = visit("timelines.html")
    assert page.locator("#clusters video").count() == 0
    assert "0:02.0 – 0:03.0" in preview(page, "a").inner_text()
    preview(page, "a").click()
    assert page.locator(".video.open .name b").inner_text() == "a"


def saved(page, button):
    with page.expect_download() as waiting:
        page.locator(button).click()
    return waiting.value


@pytest.mark.parametrize("name", ["report.html", "timelines.html"])
def test_names_become_labels(visit, folder, tmp_path, name):
    page = visit(name)
    fields = page.locator("#clusters input")
    assert fields.count() == 4
    assert page.locator("#save-names").is_disabled()
    assert page.locator("#save-labels").is_disabled()
    for field, text in zip(fields.all(), ['=1+1, "ju\u0301mp"\t', "None", " - ", HOSTILE], strict=True):
        field.fill(text)
    assert page.locator("#named").inner_text() == "3 of 4 groups named: 2 labels for 7 of 8 training videos"
    for button, file in (("#save-names", "names.csv"), ("#save-labels", "labels.csv")):
        download = saved(page, button)
        assert download.suggested_filename == file
        download.save_as(tmp_path / file)
    assert (tmp_path / "names.csv").read_text().splitlines()[:3] == [
        "cluster,name",
        'cluster_00,"\'=1+1, ""j\u00famp"""',
        "cluster_01,None",
    ]
    tags = {label: {v for v, own in read_labels(tmp_path / "labels.csv").tags.items() if label in own} for label in LABELS}
    assert tags == {LABELS[0]: {"a", "b", "\U0001f600"}, LABELS[1]: {'=e, "e"', HOSTILE}}
    assert {v for v, own in read_labels(tmp_path / "labels.csv").tags.items() if not own} == {"-c", "\uffee"}
    names(folder / "found.json", names=tmp_path / "names.csv", out=tmp_path / "same.csv")
    assert (tmp_path / "labels.csv").read_bytes() == (tmp_path / "same.csv").read_bytes(), "the command writes the same"


def test_names_are_not_lost_by_closing_the_page(visit):
    page = visit()
    page.locator("#clusters input").first.press_sequentially("jump")
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    saved(page, "#save-names")
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert page.is_closed(), "once they are saved, nothing is asked"


def test_what_the_page_holds(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert data["assigned"]["video"] == sorted(ASSIGNED)
    first = data["clusters"][0]
    assert first["videos"] == 3
    assert [data["videos"][place]["id"] for place in first["typical"]["video"]] == ["a", "b"]
    assert "<script>alert" not in text


def test_a_page_of_labelled_detections_asks_for_no_names(tmp_path):
    write_detections(tmp_path / "found.json", {"a": [Detection(0, 1, "jump", 1.0)]}, {"method": "dgam"})
    out = report(tmp_path / "found.json", out=tmp_path / "report.html")
    assert 'id="clusters"' not in out.read_text(encoding="utf-8")


def test_of_a_video_that_holds_several_each_name_is_a_label(folder, visit, tmp_path):
    results = {"a": [Detection(2, 3, "cluster_00", 0.9)], "b": [Detection(1, 2.5, "cluster_01", 0.8)]}
    held = {"a": ["cluster_00", "cluster_01", "cluster_02"], "b": ["cluster_01"], "c": ["cluster_02"], "d": []}
    about = {"method": "selftrain", "held": held, "clusters": {video: its[0] for video, its in held.items() if its}}
    write_detections(folder / "several.json", results, about)
    report(folder / "several.json", out=folder / "several.html")
    page = visit("several.html")
    cards = page.locator(".cluster")
    assert cards.count() == 3
    assert "1 video" in cards.nth(0).inner_text()
    assert "2 videos" in cards.nth(1).inner_text()
    assert page.locator(".cluster select.into").count() == 0, "what overlaps can be named, not merged"
    for number, name in enumerate(("jump", "run", "none")):
        cards.nth(number).locator(".cluster-head input").fill(name)
    labels = Path(saved(page, "#save-labels").path()).read_bytes()
    assert labels.decode() == "video,label\na,jump\na,run\nb,run\nc,\n"
    saved(page, "#save-names").save_as(tmp_path / "names.csv")
    names(folder / "several.json", out=tmp_path / "labels.csv", names=tmp_path / "names.csv")
    assert (tmp_path / "labels.csv").read_bytes() == labels

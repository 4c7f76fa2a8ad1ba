"""`report`: from files to a page, and the page opened and clicked in a browser."""

import json
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from untrimmed.data.activations import write_activations
from untrimmed.data.annotations import VideoTruth, write_annotations, write_detections
from untrimmed.data.errors import InputError
from untrimmed.data.types import Activation, Detection, Segment, StreamActivation, Timeline
from untrimmed.jobs.report import report

SECONDS = 8.0
HOSTILE = 'it\'s "50%" #1? <script>alert(1)<!-- \u00fc\u65e5'


def film(path, codec="libx264", seconds=SECONDS, fps=10):
    """A small video that grows lighter: at time t its grey is 20 + 25 t."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 10
        for k in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 25 * k / fps, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, fps)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return path


def read(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


def write_inputs(folder, results, truth=None, activations=True):
    write_detections(folder / "detections.json", results, {"run": "runs/one", "method": "dgam", "selection": "last epoch"})
    if truth is not None:
        write_annotations(folder / "truth.json", truth, "made up")
    if activations:
        found = []
        for seed, video in enumerate(results):
            rng = np.random.default_rng(seed)
            streams = {
                name: StreamActivation(
                    rng.random(16, np.float32), rng.normal(size=(16, 2)).astype(np.float32), np.array([0.9, 0.2])
                )
                for name in ("rgb", "flow")
            }
            found.append(Activation(video, ("jump", "wave"), Timeline(0.0, 0.5, 16, SECONDS), streams))
        write_activations(folder / "detections.activations", found, {"method": "dgam"})
    return folder / "detections.json"


def test_the_whole_page(tmp_path):
    truth = {
        "a": VideoTruth("test", SECONDS, (Segment(1, 3, "jump"), Segment(4, 6, "wave"))),
        "c": VideoTruth("training", SECONDS, (Segment(1, 3, "jump"),)),
    }
    results = {"a": [Detection(1, 3, "jump", 0.9), Detection(0, 1, "wave", 0.8)], "b": []}
    detections = write_inputs(tmp_path, results, truth)
    film(tmp_path / "videos" / "day 1" / "a.mp4")
    out = tmp_path / "pages" / "report.html"
    assert report(detections, out=out, annotations=tmp_path / "truth.json", videos=tmp_path / "videos") == out
    text, data = out.read_text(encoding="utf-8"), read(out)
    for shown in ("runs/one", "dgam", "last epoch", "ActivityNet", "0.1, 0.2 … 0.9", "50.0"):
        assert shown in text
    a, b = data["videos"]
    assert a["media"] == {"link": "../videos/day%201/a.mp4", "holds": "h264 in .mp4", "plays": True, "fault": None}
    assert set(a["curves"]["streams"]) == {"rgb", "flow"}, "the activations beside the detections are found"
    assert a["annotated"]
    assert not b["annotated"]
    assert "Scored on the annotated videos that the detections list (1); 1 more video of" in text
    assert "1 video not in the annotations" in text
    assert "1 video without a file" in text


def test_the_scores_are_the_evaluators(tmp_path):
    from untrimmed.jobs.evaluate import evaluate

    rng = np.random.default_rng(0)
    truth, results = {}, {}
    for k in range(12):
        starts = np.arange(3) * 10 + rng.uniform(0, 4, 3)
        segments = [Segment(s, s + 4, "jump" if rng.random() < 0.5 else "wave") for s in starts]
        truth[f"v{k}"] = VideoTruth("test", 40.0, tuple(segments))
        results[f"v{k}"] = [Detection(s.start + rng.normal(), s.end + 1, s.label, rng.random()) for s in segments]
    detections = write_inputs(tmp_path, results, truth, activations=False)
    expected = evaluate(detections, annotations=tmp_path / "truth.json", subset="test", tiou="0.3:0.7:0.1").to_json()
    out = report(detections, out=tmp_path / "report.html", annotations=tmp_path / "truth.json", subset="test", tiou="0.3:0.7:0.1")
    cells = [f"{100 * value:.1f}" for value in expected["mAP"]]
    assert len(set(cells)) > 2
    assert "".join(f"<td>{cell}</td>" for cell in cells) in out.read_text(encoding="utf-8")


def test_a_subset_only(tmp_path):
    truth = {v: VideoTruth(s, SECONDS, (Segment(1, 3, "jump"),)) for v, s in (("a", "test"), ("b", "training"), ("c", "test"))}
    detections = write_inputs(tmp_path, {"a": [], "b": []}, truth, activations=False)
    out = report(detections, out=tmp_path / "report.html", annotations=tmp_path / "truth.json", subset="test")
    assert [video["id"] for video in read(out)["videos"]] == ["a"]
    assert "1 video of the subset not in the detections file" in out.read_text(encoding="utf-8")


def test_scores_that_are_given_are_shown(tmp_path):
    detections = write_inputs(tmp_path, {"a": []}, activations=False)
    scores = {
        "protocol": "ActivityNet",
        "subset": None,
        "videos": 1,
        "instances": 1,
        "tiou": [0.5],
        "mAP": [0.123],
        "average": 0.123,
    }
    out = report(
        detections, out=tmp_path / "report.html", scores=scores | {"per_class": {"jump": [0.123]}, "beside": {"chance": [0.045]}}
    )
    text = out.read_text(encoding="utf-8")
    assert "12.3" in text
    assert "chance" in text
    assert "4.5" in text


def test_clusters_are_shown_but_not_scored(tmp_path):
    truth = {"a": VideoTruth("test", SECONDS, (Segment(1, 3, "jump"),))}
    detections = write_inputs(tmp_path, {"a": [Detection(0, 1, "cluster_0", 0.5)]}, truth, activations=False)
    out = report(detections, out=tmp_path / "report.html", annotations=tmp_path / "truth.json")
    assert "labels are clusters" in out.read_text(encoding="utf-8")
    assert read(out)["videos"][0]["truth"]["start"] == [1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"annotations": "truth.json", "subset": "tset"}, "no video is in the subset 'tset'"),
        ({"subset": "test"}, "give them too"),
        ({"videos": "nowhere"}, "no such folder of videos"),
        ({"activations": "nowhere"}, "not a folder of activations"),
        ({"annotations": "other.json"}, "none of its 1 videos, such as .*, is in"),
        ({"annotations": "unlike.json"}, "'jmup'"),
        ({"out": "truth.json/report.html"}, "cannot be written"),
    ],
)
def test_faults_are_named_and_nothing_is_written(tmp_path, change, said):
    truth = {"a": VideoTruth("test", SECONDS, (Segment(1, 3, "jump"),))}
    detections = write_inputs(
        tmp_path, {"a": [Detection(0, 1, "jmup" if "unlike.json" in change.values() else "jump", 0.5)]}, truth
    )
    write_annotations(tmp_path / "unlike.json", truth, "made up")
    write_annotations(tmp_path / "other.json", {"z": truth["a"]}, "made up")
    paths = {name: tmp_path / value if name != "subset" else value for name, value in change.items()}
    with pytest.raises(InputError, match=said) as fault:
        report(detections, **{"out": tmp_path / "report.html", **paths})
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "report.html").exists()


def test_copies_of_what_browsers_cannot_play(tmp_path, capsys):
    detections = write_inputs(tmp_path, {"a": [], "b": [], "broken": []}, activations=False)
    film(tmp_path / "videos" / "a.avi", "mpeg4")
    film(tmp_path / "videos" / "b.mp4")
    (tmp_path / "videos" / "broken.mp4").write_text("#EXTM3U\n#EXTINF:1,\n/etc/hostname\n")
    out = report(detections, out=tmp_path / "report.html", videos=tmp_path / "videos")
    assert not (tmp_path / "report_files").exists()
    assert "`proxies`" in capsys.readouterr().err
    assert not read(out)["videos"][0]["media"]["plays"]

    report(detections, out=out, videos=tmp_path / "videos", proxies=True)
    a, b, broken = (video["media"] for video in read(out)["videos"])
    assert a["link"] == "report_files/a.webm"
    assert a["plays"]
    assert b["link"] == "videos/b.mp4"
    assert "playlist" in broken["fault"]
    assert [file.name for file in (tmp_path / "report_files").iterdir()] == ["a.webm"]
    with av.open(str(tmp_path / "report_files" / "a.webm")) as copy, av.open(str(tmp_path / "videos" / "a.avi")) as original:
        assert copy.duration / av.time_base == pytest.approx(original.duration / av.time_base, abs=0.05)
        greys = {round(frame.time, 1): frame.to_ndarray(format="gray").mean() for frame in copy.decode(video=0)}
    for second in (1, 3, 6):
        assert greys[second] == pytest.approx(20 + 25 * second, abs=6), "the same frame at the same time"

    made = (tmp_path / "report_files" / "a.webm").stat().st_mtime_ns
    report(detections, out=out, videos=tmp_path / "videos", proxies=True)
    assert (tmp_path / "report_files" / "a.webm").stat().st_mtime_ns == made, "a copy is made once"


# The page in a browser.


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """A folder with one page, opened by all the tests below."""
    folder = tmp_path_factory.mktemp("pages")
    ids = ["a", HOSTILE, "copied", "gone", "unplayable", *(f"quiet {k:03d}" for k in range(300))]
    found = [Detection(2, 3.5, "jump", 0.9), Detection(5, 6, "jump", 0.1), Detection(5, 7, "wave", 0.5)]
    results = {video: [] if video.startswith("quiet") else found for video in ids}
    results["a"] = [*found, *(Detection(0, 0.5, "dig", 0.001 * k) for k in range(20))]
    truth = {v: VideoTruth("test", SECONDS, (Segment(2, 4, "jump"), Segment(0, 1, "dig")) if v == "a" else ()) for v in ids}
    truth["quiet 299"] = VideoTruth("test", SECONDS, (Segment(1, 2, "wave"),))
    detections = write_inputs(folder, results, truth)
    videos = folder / "my videos"
    film(videos / "a.mp4")
    film(videos / f"{HOSTILE}.webm", "libvpx")
    film(videos / "gone.mp4")
    film(videos / "copied.avi", "mpeg4")
    report(detections, out=folder / "report.html", annotations=folder / "truth.json", videos=videos, proxies=True)
    film(videos / "unplayable.avi", "mpeg4")
    (videos / "quiet 001.mp4").write_bytes(b"no video at all")
    report(detections, out=folder / "plain.html", annotations=folder / "truth.json", videos=videos)
    (videos / "gone.mp4").unlink()
    report(detections, out=folder / "timelines.html")
    return folder


@pytest.fixture
def visit(browser, pages):
    """Opens a page; fails the test if the page says anything to the console or throws."""
    said = []
    opened = []

    def go(name="report.html", **context):
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(60_000)  # a busy machine
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((pages / name).as_uri())
        opened.append(page)
        return page

    yield go
    for page in opened:
        page.context.close()
    assert [line for line in said if "ERR_FILE_NOT_FOUND" not in line] == []


def open_row(page, name):
    row = page.locator(".video").filter(has=page.get_by_text(name, exact=True)).first
    row.scroll_into_view_if_needed()
    if row.locator(".row").get_attribute("aria-expanded") == "false":
        row.locator(".row").click()
    return row


def playing_from(page, row, start):
    """Wait until the row's video has played beyond `start`, and return where that stretch began; by now it may have ended."""
    video = row.locator("video").element_handle()
    page.wait_for_function("([v, start]) => v.played.length > 0 && v.played.end(v.played.length - 1) > start", arg=[video, start])
    return video.evaluate("v => v.played.start(v.played.length - 1)")


def test_the_last_moment_of_ten_hours_lies_on_the_axis(browser, tmp_path):
    """Its bars are as narrow as bars can be, and still do not stick out at the end."""
    end, page = 36_000.0, browser.new_page()
    last = dict.fromkeys(("found", "truth"), (end - 2, end, "jump"))
    results = {"hours": [Detection(*last["found"], 0.9), Detection(0, end, "jump", 0.8)]}
    detections = write_inputs(tmp_path, results, {"hours": VideoTruth("test", end, (Segment(*last["truth"]),))})
    report(detections, out=tmp_path / "report.html", annotations=tmp_path / "truth.json")
    page.goto((tmp_path / "report.html").as_uri())
    row = open_row(page, "hours")
    row.locator(".bar.detection").first.wait_for()
    places = row.locator(".bar").evaluate_all(
        "bars => bars.map(b => [b.getBoundingClientRect().right, b.parentElement.getBoundingClientRect().right])"
    )
    page.close()
    assert len(places) == 3
    assert all(bar <= lane + 0.1 for bar, lane in places), places


@pytest.mark.parametrize("name", ["a", HOSTILE, "copied"])
def test_a_click_on_a_detection_plays_it(visit, name):
    page = visit()
    row = open_row(page, name)
    bar = row.locator('.detection[data-label="jump"]').first
    bar.click()
    assert playing_from(page, row, 2) < 3
    assert "on" in bar.get_attribute("class")
    video = row.locator("video").element_handle()
    page.wait_for_function("v => v.paused", arg=video)
    assert video.evaluate("v => v.currentTime") == pytest.approx(3.5, abs=0.3), "it stops where the detection ends"
    assert video.evaluate("v => v.duration") == pytest.approx(SECONDS, abs=0.2)


def test_looping_goes_back_to_the_start(visit):
    page = visit()
    row = open_row(page, "a")
    page.locator("#loop").check()
    row.locator(".pick").filter(has_text="jump").first.click()
    playing_from(page, row, 2)
    video = row.locator("video").element_handle()
    page.wait_for_function("v => v.currentTime > 3.2", arg=video)
    page.wait_for_function("v => v.currentTime < 2.6", arg=video)
    assert not video.evaluate("v => v.paused")


def test_truth_and_curves_are_clicked_too_and_the_playhead_follows(visit):
    page = visit()
    row = open_row(page, "a")
    row.locator('.bar.truth[data-label="jump"]').click()
    playing_from(page, row, 2)
    lane = row.locator(".lane.curve").first
    box = lane.bounding_box()
    lane.click(position={"x": box["width"] * 0.625, "y": 20})
    at = playing_from(page, row, 5)
    assert at < 6
    row.locator("video").evaluate("v => v.pause()")
    line = row.locator(".head-line").bounding_box()
    at = row.locator("video").evaluate("v => v.currentTime")
    assert (line["x"] + 1 - box["x"]) / box["width"] == pytest.approx(at / SECONDS, abs=0.02)


def test_the_keyboard_is_enough(visit):
    page = visit()
    row = open_row(page, "a")
    page.locator("#slider").fill("0")
    row.locator('.detection[data-label="jump"]').first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.start") == "5"
    page.keyboard.press("Enter")
    assert 5 <= playing_from(page, row, 5) < 6
    row.locator(".row").focus()
    page.keyboard.press("Enter")
    assert row.locator("video").count() == 0, "Enter closes the row, and its player with it"


def test_a_video_that_is_gone_says_so_and_seeking_still_works(visit):
    page = visit()
    row = open_row(page, "gone")
    row.get_by_text("This video does not load").wait_for()
    assert "my videos/gone.mp4" in row.locator(".trouble").inner_text()
    row.locator('.detection[data-label="wave"]').click()
    assert row.locator(".head-line").evaluate("e => e.style.left") == "62.5%"


def test_a_kind_that_browsers_do_not_play_says_so(visit):
    page = visit("plain.html")
    row = open_row(page, "unplayable")
    row.get_by_text("This browser does not play this video").wait_for()
    assert "mpeg4 in .avi" in row.locator(".trouble").inner_text()
    assert "--proxies" in row.locator(".trouble").inner_text()
    row = open_row(page, "quiet 001")
    row.get_by_text("This file is not a video that can be read").wait_for()
    row = open_row(page, "quiet 000")
    row.get_by_text("No file of this video").wait_for()


def test_without_a_folder_of_videos_there_are_timelines(visit):
    page = visit("timelines.html")
    row = open_row(page, "a")
    assert page.locator("video").count() == 0
    assert page.locator("#loop").count() == 0
    assert "null" not in page.locator("body").inner_text()
    row.locator('.detection[data-label="jump"]').first.click()
    assert row.locator(".head-line").evaluate("e => e.style.left") == "25%"
    assert row.locator(".curve path").count() == 4, "attention and class activation of two streams"


def test_the_slider_hides_what_is_less_sure(visit):
    page = visit()
    row = open_row(page, "a")
    page.locator("#slider").fill("0")
    assert row.locator(".detection").count() == 23
    assert row.locator(".pick").count() == 23
    page.locator("#slider").fill("150")
    left = row.locator(".detection").evaluate_all("bars => bars.map(b => Number(b.dataset.score))")
    assert left
    assert min(left) >= 0.5
    assert page.locator("label.slide output").inner_text().startswith("≥ 0.")


def test_the_list_is_filtered_and_sorted(visit):
    page = visit()
    assert page.locator(".video:visible").count() == 305
    page.locator("#filter").fill("quiet 01")
    assert page.locator(".video:visible").count() == 13, "the words may stand anywhere in the name: 010 to 019, 001, 101, 201"
    assert "13 of 305 videos" in page.locator("#count").inner_text()
    page.locator("#filter").fill("dig")
    assert page.locator(".video:visible").count() == 1
    page.locator("#filter").fill("")
    page.locator("#class").select_option(label="wave")
    assert page.locator(".video:visible").count() == 6, "five that show it, and one where it is true"
    row = open_row(page, "a")
    assert {bar.get_attribute("data-label") for bar in row.locator(".bar").all()} == {"wave"}
    page.locator("#class").select_option(label="all classes")
    page.locator("#sort").select_option("count")
    # text_content, since innerText is empty for a row that was moved into view and not drawn yet
    assert page.locator(".video .name b").first.text_content() == "a"
    page.locator("#sort").select_option("missed")
    assert page.locator(".video .name b").first.text_content() == "quiet 299"
    assert page.locator(".video .tally").first.text_content() == "0 of 1 true found"


def test_the_class_curve_is_chosen(visit):
    page = visit()
    row = open_row(page, "a")
    path = row.locator("svg.activation path").first
    before = path.get_attribute("d")
    row.locator(".side select").select_option(label="wave")
    assert path.get_attribute("d") != before
    assert page.evaluate("document.activeElement.tagName") == "SELECT"


def test_names_are_never_markup(visit):
    page = visit()
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    row = open_row(page, HOSTILE)
    assert row.locator(".name b").inner_text() == HOSTILE
    assert page.locator("script").count() == 2


def test_the_browser_refuses_any_other_script(browser, pages):
    page = browser.new_context().new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto((pages / "report.html").as_uri())
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    page.evaluate("new Image().src = 'https://example.org/x.png'")
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None
    assert sum("Content Security Policy" in text for text in refused) == 2
    page.context.close()


@pytest.mark.parametrize("context", [{"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 700}}])
def test_it_fits_every_screen(visit, context):
    page = visit(**context)
    open_row(page, "a")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off at the side"
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == (context.get("color_scheme") == "dark")

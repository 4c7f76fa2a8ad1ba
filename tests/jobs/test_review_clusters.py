"""`untrimmed review` of a run without labels: its clusters are mended on the page, and a student learns them."""

import json

import pytest

from tests.jobs.test_report import HOSTILE, film
from tests.jobs.test_review import data_of, taught
from tests.methods.planted import plant
from tests.reviewing.serving import serving
from untrimmed.cli import main
from untrimmed.data.annotations import read_detections, write_detections
from untrimmed.data.groups import read_groups
from untrimmed.data.labels import read_labels
from untrimmed.data.types import Detection
from untrimmed.jobs.train import train
from untrimmed.runs.folder import RunFolder

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

ASSIGNED = {"a": "cluster_00", "b": "cluster_00", HOSTILE: "cluster_01", "d": "cluster_02", "e": "cluster_02", "f": "cluster_02"}


@pytest.fixture
def found(tmp_path):
    results = {video: [Detection(1, 2, cluster, 0.5 + 0.01 * place)] for place, (video, cluster) in enumerate(ASSIGNED.items())}
    write_detections(tmp_path / "found.json", results, {"clusters": ASSIGNED})
    film(tmp_path / "videos" / "a.mp4")
    return tmp_path / "found.json"


def opened(browser, address, **context):
    page = browser.new_context(**{"viewport": {"width": 1400, "height": 1000}, **context}).new_page()
    page.set_default_timeout(60_000)
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached")
    return page


def made(page, found):
    """What the file says, once the page says that it is saved."""
    page.wait_for_function("() => document.querySelector('#review').textContent.includes('saved to')")
    return read_groups(found.with_name("found.clusters.json"))


def card(page, cluster):
    return page.locator(f'.cluster[data-cluster="{cluster}"]')


def test_by_mouse_and_in_two_tabs(browser, found, tmp_path):
    with serving(found, "--videos", tmp_path / "videos") as server:
        page, other = opened(browser, server.address), opened(browser, server.address)
        name = "</script><img src=x onerror=alert(1)>"
        card(page, "cluster_00").get_by_label("What happens in").fill(name)
        card(page, "cluster_01").get_by_label("What happens in").focus()
        assert made(page, found).names == {"cluster_00": name}
        card(page, "cluster_01").get_by_label("Merge cluster_01 into").select_option("cluster_00")
        assert made(page, found).videos[HOSTILE] == "cluster_00"
        assert card(page, "cluster_01").count() == 0
        assert "3 training videos" in card(page, "cluster_00").locator(".about").inner_text()

        last = card(other, "cluster_02")  # this tab has not heard of it
        last.get_by_text("3 videos", exact=True).click()
        last.get_by_label("d", exact=True).check()
        last.get_by_label("e", exact=True).check()
        last.get_by_role("button", name="split").click()
        assert made(other, found).videos == {**ASSIGNED, HOSTILE: "cluster_00", "d": "cluster_03", "e": "cluster_03"}
        assert card(other, "cluster_01").count() == 0, "it has now"
        card(other, "cluster_03").get_by_role("button", name="reject").click()
        assert made(other, found).rejected == {"cluster_03"}
        last.get_by_label("f", exact=True).check()
        last.get_by_label("Move the chosen videos").select_option("cluster_00")
        assert made(other, found).labels() == dict.fromkeys(["a", "b", "f", HOSTILE], name)
        assert "1 of 2 groups named, 1 rejected: 1 label for 4 of 6 training videos" in other.locator("#named").inner_text()

        page.evaluate("window.dispatchEvent(new Event('focus'))")
        page.wait_for_function("() => document.querySelectorAll('.cluster').length === 2")
        with other.expect_download() as waiting:
            other.locator("#save-labels").click()
        waiting.value.save_as(tmp_path / "page.csv")
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        violations = axe.run(other).response["violations"]
        assert violations == [], json.dumps([(one["id"], one["nodes"][0]["html"][:200]) for one in violations], indent=1)
        other.set_viewport_size({"width": 400, "height": 900})
        assert other.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
        for tab in (page, other):
            assert tab.locator("img").count() == 0
            assert tab.said == []
            tab.context.close()
    with pytest.raises(SystemExit) as ended:
        main(["names", str(found), "--names", str(tmp_path / "found.clusters.json"), "--out", str(tmp_path / "labels.csv")])
    assert ended.value.code == 0
    assert (tmp_path / "labels.csv").read_bytes() == (tmp_path / "page.csv").read_bytes()
    assert set(read_labels(tmp_path / "labels.csv").tags) == {"a", "b", "f", HOSTILE}


def test_by_keys_alone_with_undo(browser, found, tmp_path):
    with serving(found) as server:
        page = opened(browser, server.address)
        press = page.keyboard.press
        card(page, "cluster_00").locator("h3").focus()
        press("r")
        page.keyboard.type("dig a u x s")
        press("Escape")
        press("ArrowDown")
        press("x")
        assert made(page, found).rejected == {"cluster_01"}
        press("ArrowDown")
        press("v")
        press("Space")
        press("s")
        groups = made(page, found)
        assert groups.names == {"cluster_00": "dig a u x s"}, "what is written is no command"
        assert groups.videos["d"] == "cluster_03"
        for _ in range(2):
            press("u")
        groups = made(page, found)
        assert (groups.videos, groups.rejected) == (ASSIGNED, frozenset())
        press("y")
        assert made(page, found).rejected == {"cluster_01"}
        press("Control+z")
        press("Control+z")
        assert made(page, found).names == {}
        page.reload()
        page.wait_for_selector("html[data-ready]", state="attached")
        assert page.locator(".cluster").count() == 3
        assert page.said == []
        page.context.close()


def test_a_video_is_dragged_to_another_cluster(browser, found):
    with serving(found) as server:
        page = opened(browser, server.address)
        card(page, "cluster_00").get_by_text("2 videos", exact=True).click()
        card(page, "cluster_00").locator(".members li", has_text="b").drag_to(card(page, "cluster_01").locator("h3"))
        assert made(page, found).videos["b"] == "cluster_01"
        page.context.close()


def test_a_new_class_is_typed_and_saved(browser, found):
    with serving(found) as server:
        page = opened(browser, server.address)
        page.keyboard.press("n")
        page.keyboard.press("0")
        page.keyboard.type("<b>wave</b>")
        page.keyboard.press("Enter")
        page.get_by_text("a new class; a student learns it from what is marked alone").wait_for()
        page.wait_for_function("() => document.querySelector('#review').textContent.includes('saved to')")
        content = json.loads(found.with_name("found.annotations.json").read_text())
        assert content["new_labels"] == ["<b>wave</b>"]
        (entry,) = content["database"].values()
        assert [mark["label"] for mark in entry["annotations"]] == ["<b>wave</b>"]
        page.keyboard.press("0")
        page.keyboard.type("a;b")
        page.keyboard.press("Enter")
        page.get_by_text("write a row for each: a, b").wait_for()
        page.reload()
        page.wait_for_selector("html[data-ready]", state="attached")
        assert page.locator(".edit select option").all_inner_texts()[-2:] == ["4  <b>wave</b>", "0  a new class …"]
        assert [line for line in page.said if "400" not in line] == []
        page.context.close()


def test_a_run_without_labels_is_mended_and_teaches(tmp_path):
    planted = plant(tmp_path / "planted")
    settings = {"epochs": 2, "data": {"snippets": 16}, "rounds": 1, "hidden": 16}
    run = train("tcam", features=planted.features, unlabelled=True, clusters=4, out=tmp_path / "run", settings=settings).run
    before = RunFolder(run).clusters()
    names = sorted(set(before.values()))
    with serving(run) as server:
        while (state := server.json("GET", "/api/clusters"))["voting"]:
            pass
        assert state["videos"] == before
        assert set(state["votes"]["clusters"]) == set(names)
        largest = max(names, key=lambda name: list(before.values()).count(name))
        second = server.json("POST", "/api/clusters/split", {"cluster": largest})["videos"]
        assert {before[video] for video in second} == {largest}
        assert server.json("GET", "/api/clusters")["videos"] == before, "only offered"
        merged = {video: names[0] for video in before if before[video] == names[1]}
        rejected = {names[2]: {"name": "", "rejected": True}}
        change = {"videos": merged, "clusters": {**rejected, names[0]: {"name": "jump", "rejected": False}}, "what": "merged"}
        state = server.json("POST", "/api/clusters", change)
        assert {state["videos"][video] for video in merged} == {names[0]}
        assert names[1] not in state["votes"]["clusters"]

        assert server.json("POST", "/api/labels", {"label": "wave"}) == {"label": "wave"}
        video = next(iter(merged))
        marks = [
            {"segment": [1, 4], "label": names[1]},
            {"segment": [6, 9], "label": "wave"},
            {"segment": [1, 2], "label": names[2]},
        ]
        assert server.save(video, annotations=marks)[0] == 200
        assert server.json("POST", "/api/teach")["state"] == "running"
        assert taught(server, "done", "failed")["state"] == "done"
        assert [cluster["label"] for cluster in data_of(server)["clusters"]], "the student's page shows them, too"
    student = RunFolder(run / "taught" / "01")
    kept = {**before, **merged}
    assert student.clusters() == {video: cluster for video, cluster in kept.items() if cluster != names[2]}
    assert set(student.method().classes) == {*names, "wave"} - {names[1], names[2]}
    assert set(read_detections(student.path / "review" / "detections.json").results) == set(student.clusters())
    taught_from = json.loads(student.annotations.read_text())["database"][video]["annotations"]
    assert {mark["label"] for mark in taught_from} == {names[0], "wave"}, "a merged cluster's mark is the other's"

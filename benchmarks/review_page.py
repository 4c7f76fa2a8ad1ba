"""How quick the page is that `untrimmed review` serves: `python benchmarks/review_page.py` makes 1,000 videos with 50,000
detections in 20 classes, serves them, opens the page in headless Chromium (`$CHROMIUM`, or one on the PATH), and prints

- first paint: milliseconds from the request to the first paint, the best of `--tries`;
- ready: until the queue's first video is open and everything can be clicked, the best of `--tries`;
- a step of the slider: the median and the 95 % quantile over 100 steps, of the drawing that it asks for, at once;
- a mark: from the key that accepts a detection until it is drawn, the median of 20;
- the next video: from the key until that video is open, the median of 20.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Page, sync_playwright

from untrimmed.data.annotations import write_detections
from untrimmed.data.types import Detection

STEP = """() => [...Array(100).keys()].map(k => {
  const slider = document.getElementById("slider");
  slider.value = String(2 * k);
  const begin = performance.now();
  slider.dispatchEvent(new Event("input"));
  document.body.getBoundingClientRect();
  return performance.now() - begin;
})"""

KEY = """key => {
  const begin = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  document.body.getBoundingClientRect();
  return performance.now() - begin;
}"""


def made_up(videos: int, detections: int) -> dict[str, list[Detection]]:
    """So many videos of an hour with so many detections each, of 20 classes, drawn at random."""
    rng = np.random.default_rng(0)
    results = {}
    for k in range(videos):
        starts, lengths, scores = rng.uniform(0, 3590, detections), rng.uniform(1, 10, detections), rng.random(detections)
        labels = rng.integers(20, size=detections)
        rows = zip(starts, lengths, labels, scores)
        results[f"video {k:04}"] = [Detection(s, s + d, f"class {c:02}", float(p)) for s, d, c, p in rows]
    return results


def measure(page: Page, address: str, tries: int) -> dict[str, float]:
    """Milliseconds by what was measured."""
    page.set_default_timeout(180_000)  # a busy machine
    painted, ready = [], []
    for _ in range(tries):
        page.goto(address)
        page.wait_for_selector("html[data-ready]", state="attached")
        ready.append(page.evaluate("performance.now()"))
        page.screenshot()  # so that there is a frame, however busy the machine is
        painted += page.evaluate("performance.getEntriesByType('paint').slice(0, 1).map(entry => entry.startTime)")
    begun = page.locator("#slider").input_value()
    steps = page.evaluate(STEP)
    page.locator("#slider").fill(begun)  # with what the steps let through at the end there is nothing to mark
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("n")
    marks, nexts = [], []
    for _ in range(20):
        marks.append(page.evaluate(KEY, "a"))
        nexts.append(page.evaluate(KEY, "q"))
        page.keyboard.press("n")
    return {
        "first paint": min(painted),
        "ready": min(ready),
        "a step of the slider, median": median(steps),
        "a step of the slider, 95 %": float(np.quantile(steps, 0.95)),
        "a mark": median(marks),
        "the next video": median(nexts),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--detections", type=int, default=50, help="of each video")
    parser.add_argument("--tries", type=int, default=5)
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        write_detections(found, made_up(options.videos, options.detections), {"run": "made up"})
        begin = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from untrimmed.cli import main; main()"
        command = [sys.executable, "-c", begin, "review", str(found), "--no-open", "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                figures = measure(browser.new_page(viewport={"width": 1400, "height": 1000}), address, options.tries)
                browser.close()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()
    print(f"| {options.videos:,} videos, {options.videos * options.detections:,} detections | ms |\n|---|--:|")
    for what, milliseconds in figures.items():
        print(f"| {what} | {milliseconds:.0f} |")


if __name__ == "__main__":
    main()

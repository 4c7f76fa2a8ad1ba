"""Whether long work stays as small as short work: memory, open files and disk at each quarter of it.

python benchmarks/long_work.py OUT [PART]... [--videos 10000] [--films 300] [--compares 100] [--clients 50]

Parts, each in a process of its own: `train` and `localize` (small videos of synthetic features), `extract` (small films, as a
worker does them), `compare` (the same experiment again and again, every tenth time from nothing), `review` (clients that play and
save).
Prints a table. Run with OMP_NUM_THREADS=1.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

QUARTERS = 5
WIDTHS = {"rgb": 16, "flow": 16}
FILM = {"size": 32, "fps": 5.0, "frames": 4, "stride": 4}


class Watch:
    """Memory in MiB, open files, and MiB of a folder, of a process; asked for at each quarter of the work."""

    def __init__(self, process: int, folder: Path) -> None:
        self.process, self.folder, self.rows = process, folder, list[tuple[float, int, float]]()

    def look(self, *_: object) -> None:
        status = Path(f"/proc/{self.process}/status").read_text()
        memory = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
        disk = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file()) / 2**20
        self.rows.append((memory, len(os.listdir(f"/proc/{self.process}/fd")), disk))

    def at_quarters(self, done: int, total: int) -> None:
        """Look where a quarter of the work is done."""
        if done * (QUARTERS - 1) // total > (done - 1) * (QUARTERS - 1) // total:
            self.look()

    def table(self, what: str) -> list[str]:
        """A row for each quantity."""
        names = ("memory, MiB", "open files", "disk, MiB")
        columns = zip(names, zip(*self.rows, strict=True), strict=True)
        return [f"| {what} | {name} | {' | '.join(f'{value:.0f}' for value in values)} |" for name, values in columns]


def sampled(watch: Watch, work: Callable[[], object]) -> None:
    """Do the work; what was seen meanwhile, twice a second, is thinned out to its quarters."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.5):
            watch.look()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    watch.look()
    chosen = np.linspace(0, len(watch.rows) - 1, QUARTERS).astype(int)
    watch.rows = [watch.rows[number] for number in chosen]


def store_of(folder: Path, videos: int) -> None:
    """Features of so many videos of twelve snippets, in ten classes, and their labels."""
    from untrimmed.data.labels import write_labels
    from untrimmed.data.store import FeatureWriter, Header, VideoEntry

    random = np.random.default_rng(0)
    writer = FeatureWriter(folder / "features", Header("synthetic", {}, 1.0, 1.0, WIDTHS))
    ways = random.standard_normal((10, 16)).astype(np.float32)
    rows = []
    for number in range(videos):
        acting = np.float32(np.arange(12) // 4 == random.integers(3))[:, None]
        noise = {stream: random.standard_normal((12, width)).astype(np.float32) for stream, width in WIDTHS.items()}
        writer.write(f"v{number:05}", {s: x + 2 * acting * ways[number % 10] for s, x in noise.items()}, VideoEntry(12, 12.0))
        rows.append((f"v{number:05}", f"class{number % 10}"))
    writer.compact()
    write_labels(folder / "labels.csv", rows)


def train_part(folder: Path, asked: argparse.Namespace) -> list[str]:
    from untrimmed.runs.fit import FitOptions, fit
    from untrimmed.runs.supervision import Supervision

    store_of(folder, asked.videos)
    watch = Watch(os.getpid(), folder / "run")
    options = FitOptions("wtalc", settings={"epochs": 3, "hidden": 16, "data": {"snippets": 12}})
    supervision = Supervision(folder / "labels.csv")
    sampled(watch, lambda: fit(options, supervision, folder / "features", folder / "run"))
    return watch.table(f"train, {asked.videos:,} videos")


def localize_part(folder: Path, asked: argparse.Namespace) -> list[str]:
    """With the run of `train`."""
    from untrimmed.jobs.localize import localize

    made = folder.with_name("train")
    watch = Watch(os.getpid(), folder)
    sampled(watch, lambda: localize(made / "run", features=made / "features", out=folder / "d.json"))
    return watch.table(f"localize, {asked.videos:,} videos")


def film(path: Path, seconds: float) -> Path:
    """Grey noise of 64x48 pixels, 10 frames a second."""
    import av

    random = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        track = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for _ in range(round(10 * seconds)):
            image = random.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            container.mux(track.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(track.encode(None))
    return path


def extract_part(folder: Path, asked: argparse.Namespace) -> list[str]:
    """The disk grows by the features of each."""
    from untrimmed.video.features import Task, extract_video

    one = film(folder / "one.mp4", 2)
    watch = Watch(os.getpid(), folder / "store")
    for number in range(asked.films + 1):
        told = extract_video(Task(f"v{number:05}", str(one), str(folder / "store"), "motion", FILM, "dis"))
        assert told.fault is None, told.fault
        watch.at_quarters(number, asked.films) if number else watch.look()
    return watch.table(f"extract, {asked.films:,} films")


def compare_part(folder: Path, asked: argparse.Namespace) -> list[str]:
    import yaml

    from untrimmed.data.annotations import VideoTruth, write_annotations
    from untrimmed.data.types import Segment
    from untrimmed.jobs.compare import compare

    store_of(folder, 40)
    truth = {f"v{n:05}": VideoTruth("test", 12.0, (Segment(0.0, 4.0, f"class{n % 10}"),)) for n in range(40)}
    write_annotations(folder / "annotations.json", truth, "synthetic")
    data = {name: str(folder / file) for name, file in (("features", "features"), ("labels", "labels.csv"))}
    brief = {"epochs": 1, "hidden": 8, "data": {"snippets": 12}}
    tree = {
        "data": {"d": data | {"annotations": str(folder / "annotations.json"), "subset": "test"}},
        "runs": {"one": {"method": "wtalc", "settings": brief}},
        "seeds": 1,
        "metrics": ["mAP@0.5"],
    }
    (folder / "e.yaml").write_text(yaml.safe_dump(tree))
    watch = Watch(os.getpid(), folder / "out")
    for number in range(asked.compares):
        if number % 10 == 0:
            shutil.rmtree(folder / "out", ignore_errors=True)
        assert not compare(folder / "e.yaml", out=folder / "out").failures
        watch.at_quarters(number + 1, asked.compares) if number else watch.look()
    return watch.table(f"compare, {asked.compares:,} runs")


@contextmanager
def reviewed(folder: Path, videos: int) -> Iterator[tuple[int, str, str]]:
    """A review server of so many films: its process, address and token."""
    one = film(folder / "videos" / "v00000.mp4", 20)
    for number in range(1, videos):
        shutil.copyfile(one, folder / "videos" / f"v{number:05}.mp4")
    found = {f"v{number:05}": [{"label": "run", "score": 0.5, "segment": [1.0, 2.0]}] for number in range(videos)}
    (folder / "d.json").write_text(json.dumps({"results": found, "untrimmed": {}}))
    words = ["review", str(folder / "d.json"), "--videos", str(folder / "videos"), "--no-open"]
    process = subprocess.Popen([sys.executable, "-m", "untrimmed", *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address, _, token = process.stdout.readline().strip().partition("/?token=")
        yield process.pid, address, token
    finally:
        process.terminate()
        process.wait()


def client(address: str, token: str, video: str, rounds: int) -> None:
    """Plays three stretches of a video and saves what is marked in it, again and again."""

    def ask(path: str, body: object = None, **headers: str) -> bytes:
        given = {"X-Token": token, "Content-Type": "application/json", **headers}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(address + path, data, given), timeout=120) as answer:
            return answer.read()

    revision = json.loads(ask("/api/marks")).get(video, {"revision": 0})["revision"]
    for number in range(rounds):
        for begin in (0, 10_000, 20_000):
            ask(f"/video/{video}", Range=f"bytes={begin}-{begin + 9_999}")
        marks = {"annotations": [{"segment": [1.0, 2.0 + number % 7], "label": "run"}], "checked": False, "note": ""}
        said = json.loads(ask("/api/marks", {"video": video, "revision": revision, "marks": marks, "what": "drew"}))
        assert not said["stale"], said
        revision = said["entry"]["revision"]


def review_part(folder: Path, asked: argparse.Namespace) -> list[str]:
    """The disk grows by a line of history for each save."""
    with reviewed(folder, asked.clients) as (process, address, token):
        watch = Watch(process, folder)
        for quarter in range(QUARTERS):
            faults: list[str] = []

            def work(video: str, faults: list[str] = faults, start: int = quarter) -> None:
                try:
                    client(address, token, video, 5)
                except (AssertionError, OSError) as error:
                    faults.append(f"{start}: {error}")

            names = [f"v{number:05}" for number in range(asked.clients)]
            clients = [threading.Thread(target=work, args=(name,)) for name in names]
            for one in clients:
                one.start()
            for one in clients:
                one.join()
            assert not faults, faults[0]
            time.sleep(1)
            watch.look()
    saves = asked.clients * 5 * QUARTERS
    return watch.table(f"review, {asked.clients} clients, {saves:,} saves")


PARTS = {"train": train_part, "localize": localize_part, "extract": extract_part, "compare": compare_part, "review": review_part}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("parts", nargs="*", metavar="PART")
    for name, value in (("videos", 10_000), ("films", 300), ("compares", 100), ("clients", 50)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    if len(asked.parts) == 1:
        folder = asked.out.absolute() / asked.parts[0]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        began = time.process_time()
        print("\n".join(PARTS[asked.parts[0]](folder, asked)), flush=True)
        print(f"{asked.parts[0]}: {time.process_time() - began:.0f} CPU s", file=sys.stderr)
        return
    print(f"| work | | {' | '.join(('begin', '1/4', '1/2', '3/4', 'end'))} |\n|---|---|{'---|' * QUARTERS}", flush=True)
    given = [f"--{name}={getattr(asked, name)}" for name in ("videos", "films", "compares", "clients")]
    for part in asked.parts or PARTS:
        subprocess.run([sys.executable, __file__, str(asked.out), part, *given], check=True)


if __name__ == "__main__":
    main()

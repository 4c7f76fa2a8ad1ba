"""Videos as they become by accident or by malice, and what a process with limits makes of them.

python -m tests.fuzz.media FILE...

prints a line of JSON for each file: `seconds` and `rows` of features, or the `fault`. More memory than LARGEST is not to be had.
"""

import io
import json
import resource
import struct
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.video.films import film, moving_blocks, steady
from untrimmed.video.features import Task, extract_video

LARGEST = 2**30
SETTINGS = {"size": 32, "fps": 10.0, "frames": 4, "stride": 4}
CODECS = {"a.mp4": "libx264", "b.mkv": "mpeg4", "c.avi": "mpeg4", "d.webm": "libvpx", "e.ts": "mpeg2video"}
ODD = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 1000)


def originals(folder: Path) -> list[Path]:
    """A whole video of each kind."""
    how = {"draw": moving_blocks, "width": 64, "height": 48, "tick": Fraction(1, 25)}
    return [film(folder / name, steady(1), codec=codec, **how) for name, codec in CODECS.items()]


def damaged(whole: Path, out: Path, rng: np.random.Generator) -> str:
    """Write what may become of a video, and say how."""
    how = str(rng.choice(["flips", "cut", "zeros", "head", "times", "times"]))
    content = bytearray(whole.read_bytes())
    if how == "times":
        content = bytearray(_with_odd_times(whole, rng))
    elif how == "flips":
        for place in rng.integers(len(content), size=int(rng.choice([1, 8, 64, 512]))):
            content[place] ^= 1 << int(rng.integers(8))
    elif how == "cut":
        del content[int(rng.integers(len(content))) :]
    elif how == "zeros":
        place, length = int(rng.integers(len(content))), int(rng.integers(1, 2000))
        content[place : place + length] = bytes(len(content[place : place + length]))
    else:
        _lie_in_the_head(content, rng)
    out.write_bytes(content)
    return how


def _lie_in_the_head(content: bytearray, rng: np.random.Generator) -> None:
    """Other sizes, counts, lengths and units: in an MP4 within the boxes that say them, else among the first bytes."""
    names = (b"mvhd", b"mdhd", b"tkhd", b"stts", b"ctts", b"stsz", b"stsc", b"stco", b"stsd", b"elst", b"avcC", b"moov")
    boxes = [content.find(name) for name in names if name in content] or [0, 0, 64]
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.choice(boxes)) - 4 + 4 * int(rng.integers(12))
        if 0 <= place <= len(content) - 4:
            content[place : place + 4] = struct.pack(">I", int(rng.choice(ODD)))


def _with_odd_times(whole: Path, rng: np.random.Generator) -> bytes:
    """The same packets with time stamps that jump, stand still, run back or are years away."""
    made = io.BytesIO()
    jump, places = int(rng.choice([-(10**6), 10**6, 10**9, 10**12, 2**40])), set(rng.integers(25, size=3))
    still = rng.random() < 0.2
    with av.open(str(whole)) as source, av.open(made, "w", format="matroska") as target:
        track = source.streams.video[0]
        out = target.add_stream_from_template(track)
        shift = 0
        for number, packet in enumerate(source.demux(track)):
            if packet.pts is None or packet.dts is None:
                continue
            shift += jump if number in places else 0
            packet.pts, packet.dts = (0, number) if still else (packet.pts + shift, packet.dts + shift)
            packet.stream = out
            try:
                target.mux(packet)
            except (av.error.FFmpegError, OverflowError):  # it would not write that
                continue
    return made.getvalue()


def main() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (LARGEST, LARGEST))
    for number, file in enumerate(sys.argv[1:]):
        began, waited = time.process_time(), time.monotonic()
        store = f"{file}.store"
        outcome = extract_video(Task(f"v{number}", file, store, "motion", SETTINGS, "dis", "cpu"))
        rows = len(np.load(next(Path(store).glob("*/v*.npy")))) if outcome.fault is None else 0
        spent = {"seconds": time.process_time() - began, "waited": time.monotonic() - waited}
        said = {"file": file, **spent, "rows": rows, "fault": outcome.fault}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()

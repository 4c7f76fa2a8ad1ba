"""How fast the program is, against the limits it sets itself: `python benchmarks/speed.py [SECTION]...`; no section: all but
`ten_hours`, which takes ten minutes or more.

Every section is one function that returns its lines. Run on an idle machine with OMP_NUM_THREADS=1.
"""

import collections
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np


def evaluator() -> list[str]:
    """CPU seconds to score 100,000 detections in memory: 212 videos, 20 classes, 9 thresholds, one thread. Limit: 1 s.

    THUMOS14's proportions: about 16 ground-truth segments per video, most videos of one class. Two mixtures: detections of the
    video's own classes, near the ground truth (hard: many rivals for each segment), and of any class anywhere (most of them wrong).
    """
    from untrimmed.data.annotations import VideoTruth
    from untrimmed.data.types import Detection, Segment
    from untrimmed.evaluation.activitynet import evaluate_detections

    random = np.random.default_rng(0)
    classes = [f"class_{c:02d}" for c in range(20)]
    truth = {}
    for v in range(212):
        own = random.choice(classes, size=1 + (random.random() < 0.15), replace=False)
        starts, lengths = random.uniform(0, 300, 1 + random.geometric(1 / 16)), random.uniform(1, 8, 400)
        segments = tuple(Segment(float(s), float(s + n), str(random.choice(own))) for s, n in zip(starts, lengths, strict=False))
        truth[f"video_{v:03d}"] = VideoTruth("test", 310.0, segments)

    def near(segments: tuple[Segment, ...]) -> Detection:
        start, end, label = segments[random.integers(len(segments))]
        start, end = sorted((start + random.normal(0, 1), end + random.normal(0, 1)))
        return Detection(start, end, label, random.random())

    def anywhere() -> Detection:
        start = random.uniform(0, 300)
        return Detection(start, start + random.uniform(1, 8), classes[random.integers(20)], random.random())

    lines = []
    for name, share in (("near the ground truth", 1.0), ("half of them", 0.5), ("anywhere", 0.0)):
        results = {
            video: [
                near(one.segments) if random.random() < share else anywhere() for _ in range(100_000 // 212 + (v < 100_000 % 212))
            ]
            for v, (video, one) in enumerate(truth.items())
        }
        count = sum(map(len, results.values()))
        seconds = []
        for _ in range(5):
            began = time.process_time()
            scores = evaluate_detections(truth, results, classes, [round(0.1 * k, 1) for k in range(1, 10)])
            seconds.append(time.process_time() - began)
        lines.append(
            f"evaluator, {count} detections {name} ({scores.instances} ground-truth segments): "
            f"{np.median(seconds):.2f} CPU s (limit 1.00), average mAP {scores.average:.3f}"
        )
    return lines


def dgam_steps() -> list[str]:
    """One optimization step of each DGAM stage at 32 videos x 400 snippets x 1024, one thread, against its floor.

    The floor is the list of all matrix products of forward and backward pass, replayed into buffers that exist already; the step
    has the optimizer too, the data are there. Both are run in turn; medians of 20. Limit: 1.35.
    """
    import torch

    from untrimmed.methods import dgam

    torch.set_num_threads(1)
    videos, snippets, width, classes, config = 32, 400, 1024, 20, dgam.Config()
    rows, latent, hidden = videos * snippets, config.latent, config.hidden
    net = dgam.StreamNet(width, classes, config)
    x = torch.rand(videos, snippets, width)
    labels = torch.nn.functional.one_hot(torch.arange(videos) % classes, classes).float()
    noise = torch.randn(videos, snippets, latent)
    model_optimizer = torch.optim.Adam(net.discriminative_parameters(), 1e-3, dgam.ADAM_BETAS)
    cvae_optimizer = torch.optim.Adam(net.cvae.parameters(), 1e-3, dgam.ADAM_BETAS)

    def linear(n: int, inner: int, outer: int, weight_gradient: bool, input_gradient: bool) -> list[tuple[int, int, int]]:
        """The products of a linear layer, as (rows, inner, columns)."""
        products = [(n, inner, outer)]
        products += [(outer, n, inner)] if weight_gradient else []
        return products + ([(n, outer, inner)] if input_gradient else [])

    def attention(trained: bool) -> list[tuple[int, int, int]]:
        return linear(rows, width, hidden, trained, False) + linear(rows, hidden, 1, trained, trained)

    def decoder(trained: bool) -> list[tuple[int, int, int]]:
        first, second, third = ((latent + 1, latent), (latent, latent), (latent, width))
        return [product for layer in (first, second, third) for product in linear(rows, *layer, trained, True)]

    encoder = linear(rows, width + 1, latent, True, False) + linear(rows, latent, latent, True, True)
    encoder += linear(rows, latent, 2 * latent, True, True)
    pooling = [(2, snippets, width), (2, width, snippets)] * videos
    classifier = [*linear(2 * videos, width, classes + 1, True, True), (rows, width, classes + 1)]
    floors = {"VAE": attention(False) + encoder + decoder(True), "model": attention(True) + pooling + classifier + decoder(False)}
    stages = {
        "VAE": lambda: (cvae_optimizer, dgam.cvae_stage(net, x, noise, config, 1.0)),
        "model": lambda: (model_optimizer, dgam.model_stage(net, x, labels, noise, config, 1.0)),
    }

    lines = []
    for stage, products in floors.items():
        shapes = sorted(set(products))
        left = {shape: torch.rand(shape[0], shape[1]) for shape in shapes}
        right = {shape: torch.rand(shape[1], shape[2]) for shape in shapes}
        out = {shape: torch.empty(shape[0], shape[2]) for shape in shapes}
        floor, step = [], []
        for _ in range(22):  # the first two warm up
            began = time.process_time()
            for shape in products:
                torch.mm(left[shape], right[shape], out=out[shape])
            floor.append(time.process_time() - began)
            began = time.process_time()
            optimizer, losses = stages[stage]()
            optimizer.zero_grad(set_to_none=True)
            losses["total"].backward()
            optimizer.step()
            step.append(time.process_time() - began)
        pairs = np.array(step[2:]) / np.array(floor[2:])
        seconds, least = np.median(step[2:]), np.median(floor[2:])
        lines.append(f"DGAM {stage} step: {seconds:.3f} CPU s, floor {least:.3f}, ratio {np.median(pairs):.2f} (limit 1.35)")
    return lines


def inference() -> list[str]:
    """CPU seconds from features in memory to detections: 212 two-stream videos as long as THUMOS14's test videos, one thread.

    Preset `thumos14` (at most 400 snippets a video, 20 time steps a snippet). Limit: 0.7 s.
    """
    import torch

    from untrimmed.data.types import Activation, Timeline
    from untrimmed.localization import localize
    from untrimmed.methods.base import activations_of, method_class, resolve
    from untrimmed.training.data import uniform_sampling

    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    preset = resolve("dgam", "thumos14")
    torch.manual_seed(0)
    classes = tuple(f"class_{c:02d}" for c in range(20))
    method = method_class("dgam")(preset.method, classes, {"rgb": 1024, "flow": 1024})
    for net in method.streams.values():  # a trained model's attention and scores are sharp, which decides the work
        net.attention_out.weight.data *= 60
        net.classifier.weight.data *= 12
    deciles = [15, 48, 78, 107, 129, 162, 185, 214, 245, 413, 1673]  # seconds
    lengths = (np.interp(np.linspace(0, 10, 212), range(11), deciles) * 25 / 16).astype(int)
    # Neighbouring snippets look alike: features follow a slow random walk.
    features = {}
    for v, length in enumerate(lengths):
        walk = np.cumsum(random.normal(0, 0.2, (2, length, 16)), 1) @ random.normal(0, 0.25, (16, 1024))
        features[f"video_{v:03d}"] = {s: np.abs(x).astype(np.float32) for s, x in zip(("rgb", "flow"), walk, strict=True)}

    seconds, count = [], 0
    for _ in range(5):
        began = time.process_time()
        found = []
        for video, arrays in features.items():
            length = len(arrays["rgb"])
            kept = min(max(length, preset.data.test_least), preset.data.test_most)
            if kept != length:
                index = uniform_sampling(length, kept)
                arrays = {stream: array[index] for stream, array in arrays.items()}
            x = {stream: torch.from_numpy(array) for stream, array in arrays.items()}
            timeline = Timeline(0.0, 16 * length / (25 * kept), kept, 16 * length / 25)
            found.append(Activation(video, classes, timeline, activations_of(method, x)))
        middle = time.process_time()
        count = sum(map(len, localize(found, preset.localization).values()))
        seconds.append((time.process_time() - began, middle - began))
    total, model = np.median(seconds, axis=0)
    return [f"inference, 212 videos, {count} detections: {total:.2f} CPU s (limit 0.70), of which the model {model:.2f}"]


def write_film(path: Path, seconds: float, rate: int, width: int, height: int) -> Path:
    """A textured scene through which the camera pans and a patch moves, as H.264."""
    import av

    random = np.random.default_rng(0)
    ground = np.kron(random.integers(40, 200, (height // 8 + 2, width // 4 + 2, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    patch = np.kron(random.integers(0, 255, (4, 4, 3)), np.ones((height // 16, height // 16, 1))).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for i in range(round(seconds * rate)):
            pan = round(40 * (1 + np.sin(i / 30)))
            frame = ground[:height, pan : pan + width].copy()
            left = round((width - len(patch)) * (0.5 + 0.5 * np.sin(i / 9)))
            frame[height // 3 : height // 3 + len(patch), left : left + len(patch)] = patch
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
    return path


def consume(items: Iterable[object]) -> None:
    """Make all of them and keep none."""
    collections.deque(items, 0)


def cpu_seconds(work: Callable[[], object], times: int = 3) -> float:
    """Median CPU seconds of one call, all threads of this process together."""
    return float(np.median(in_turn({"": work}, times)[""]))


def in_turn(works: dict[str, Callable[[], object]], times: int) -> dict[str, np.ndarray]:
    """CPU seconds of each call, all threads of this process together; one after the other, so that a busy time befalls all."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(times):
        for name, work in works.items():
            began = time.process_time()
            work()
            seconds[name].append(time.process_time() - began)
    return {name: np.array(values) for name, values in seconds.items()}


def motion() -> list[str]:
    """Frames per CPU second of `motion`, against decoding (with resizing) and flow done alone. Limit: 80 % of their sum's.

    All are done in turn, nine times; medians, and the median of the nine shares. Beside it the share of decoding without resizing
    and flow, which resizing alone keeps below.
    """
    import cv2

    from untrimmed.jobs.extract import extract
    from untrimmed.video.decode import Frames, open_video
    from untrimmed.video.extractors import make_extractor
    from untrimmed.video.features import VideoFeatures
    from untrimmed.video.flow import with_flow

    cv2.setNumThreads(1)
    lines = []
    extractor = make_extractor("motion")

    def decode_only(path: Path) -> None:
        with open_video(path) as container:
            container.streams.video[0].codec_context.thread_count = 1
            consume(container.decode(video=0))

    with tempfile.TemporaryDirectory() as folder:
        for width, height, seconds in ((1280, 720, 3.2), (640, 360, 6.4)):
            path = write_film(Path(folder) / f"{height}.mp4", seconds, 25, width, height)
            frames = list(Frames(path, 25, extractor.frame_size))
            count = len(frames)
            took = in_turn(
                {
                    "full size": lambda path=path: decode_only(path),
                    "decode": lambda path=path: consume(Frames(path, 25, extractor.frame_size)),
                    "flow": lambda frames=frames: consume(with_flow(frames, "dis")),
                    "whole": lambda path=path: consume(VideoFeatures(path, extractor, "dis")),
                },
                9,
            )
            share = np.median((took["decode"] + took["flow"]) / took["whole"])
            least = np.median((took["full size"] + took["flow"]) / took["whole"])
            rate = {name: f"{count / np.median(values):.0f}" for name, values in took.items()}
            lines.append(
                f"motion, {width}x{height}, dis: {rate['whole']} frames per CPU s; decoding alone {rate['decode']}, "
                f"flow alone {rate['flow']}: {share:.0%} of their limit (at least 80 %); decoding without resizing "
                f"{rate['full size']}, with it {least:.0%}"
            )
        paths = [shutil.copy(Path(folder) / "360.mp4", Path(folder) / f"copy{i}.mp4") for i in range(4)]
        began = time.perf_counter()
        extract(paths, Path(folder) / "store", workers=2)
        seconds = time.perf_counter() - began
        lines.append(f"motion, 640x360, dis, two processes, with their start: {len(paths) * count / seconds:.0f} frames per s")
    return lines


def i3d() -> list[str]:
    """CPU seconds of `i3d` on a file, against the network's bare forward passes plus flow alone, one thread. Limit: 90 %."""
    import torch

    from untrimmed.video.decode import Frames
    from untrimmed.video.extractors import make_extractor
    from untrimmed.video.extractors.i3d import BRANCHES, Inception3D
    from untrimmed.video.extractors.networks import read_weights
    from untrimmed.video.features import VideoFeatures
    from untrimmed.video.flow import with_flow

    torch.set_num_threads(1)
    torch.manual_seed(0)

    def checkpoint(channels: int, file: Path) -> Path:
        state: dict[str, torch.Tensor] = {}

        def unit(name: str, inputs: int, outputs: int, side: int) -> None:
            state[f"{name}.conv3d.weight"] = torch.randn(outputs, inputs, side, side, side) * (2 / (inputs * side**3)) ** 0.5
            for part, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
                state[f"{name}.bn.{part}"] = torch.full((outputs,), value)

        unit("Conv3d_1a_7x7", channels, 64, 7)
        unit("Conv3d_2b_1x1", 64, 64, 1)
        unit("Conv3d_2c_3x3", 64, 192, 3)
        inputs = 192
        for name, (b0, b1a, b1b, b2a, b2b, b3b) in BRANCHES.items():
            for part, n, of, side in (
                ("b0", inputs, b0, 1),
                ("b1a", inputs, b1a, 1),
                ("b1b", b1a, b1b, 3),
                ("b2a", inputs, b2a, 1),
            ):
                unit(f"{name}.{part}", n, of, side)
            unit(f"{name}.b2b", b2a, b2b, 3)
            unit(f"{name}.b3b", inputs, b3b, 1)
            inputs = b0 + b1b + b2b + b3b
        torch.save(state, file)
        return file

    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_film(folder / "film.mp4", 64 / 25, 25, 640, 360)
        files = {"rgb": checkpoint(3, folder / "rgb.pt"), "flow": checkpoint(2, folder / "flow.pt")}
        bare = {}
        for stream, channels in (("rgb", 3), ("flow", 2)):
            network = Inception3D(read_weights(files[stream]), channels, "cpu", stream)
            x = torch.rand(1, 16, 224, 224, channels)
            with torch.inference_mode():
                network(x)
                bare[stream] = 4 * cpu_seconds(lambda network=network, x=x: network(x), 3)  # the film is four snippets long
        frames = list(Frames(path, 25, lambda width, height: (224, 224)))
        flow = cpu_seconds(lambda: consume(with_flow(frames, "dis")))
        tvl1 = cpu_seconds(lambda: consume(with_flow(frames[:9], "tvl1")), 1) * (len(frames) - 1) / 8
        for streams, limit in ((("rgb",), bare["rgb"]), (("rgb", "flow"), bare["rgb"] + bare["flow"] + flow)):
            extractor = make_extractor("i3d", {f"{stream}_weights": str(files[stream]) for stream in streams})
            extractor.load()
            whole = cpu_seconds(lambda extractor=extractor: consume(VideoFeatures(path, extractor, "dis")), 1)
            what = "RGB" if len(streams) == 1 else "RGB + DIS"
            lines.append(
                f"i3d, {what}, 640x360: {len(frames) / whole:.1f} frames per CPU s, "
                f"{limit / whole:.0%} of the bare forward passes{'' if len(streams) == 1 else ' and flow'} (at least 90 %)"
            )
        lines.append(f"i3d, flow at 224 pixels: TV-L1 takes {tvl1 / flow:.0f} x the CPU time of DIS")
    return lines


def hub() -> list[str]:
    """CPU seconds of networks of `hub` on a file, against decoding alone plus the bare forward passes, one thread. Limit: 90 %.

    The networks have random weights. The floor's forward passes see the same pictures, prepared, in the same batches.
    """
    import torch

    from untrimmed.video.decode import Frames
    from untrimmed.video.extractors.named import NAMED
    from untrimmed.video.extractors.pace import untrained
    from untrimmed.video.features import VideoFeatures

    torch.set_num_threads(1)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = write_film(Path(folder) / "film.mp4", 8 * 0.64, 25, 640, 360)
        for name in ("dinov2", "resnet101"):
            extractor = untrained(NAMED[name], "cpu")
            frames = np.stack(list(Frames(path, extractor.config.fps, extractor.frame_size)))
            passes = len(frames) // extractor.config.stride // extractor.batch
            shown = torch.from_numpy(frames[: extractor.batch * extractor.pictures])
            x = extractor._preparation(shown)
            network = extractor._networks["rgb"]

            def forward(network=network, x=x, passes=passes) -> None:
                with torch.inference_mode():
                    for _ in range(passes):
                        network(pixel_values=x)

            took = in_turn(
                {
                    "decode": lambda path=path, e=extractor: consume(Frames(path, e.config.fps, e.frame_size)),
                    "forward": forward,
                    "whole": lambda path=path, e=extractor: consume(VideoFeatures(path, e, "dis")),
                },
                3,
            )
            took = {part: seconds[1:] for part, seconds in took.items()}  # the first warms up
            share = np.median((took["decode"] + took["forward"]) / took["whole"])
            rate = passes * len(x) / np.median(took["whole"])
            bare = passes * len(x) / np.median(took["forward"])
            lines.append(
                f"hub, {name}, 640x360: {rate:.2f} pictures per CPU s, forward passes alone {bare:.2f}: "
                f"{share:.0%} of these and decoding (at least 90 %)"
            )
    return lines


# What a process prints of itself: its peak memory in KiB and its CPU seconds. (`ru_maxrss` would count that of the process that
# started it, too.)
PEAK = "import time; print(next(line for line in open('/proc/self/status') if 'VmHWM' in line).split()[1], time.process_time())"


def memory() -> list[str]:
    """Peak memory of a process that extracts `motion` from one minute and from two hours of video. Limit: equal within 10 %.

    Both at 96x64 pixels and 2 frames a second, in snippets of 4: two hours then make 3600 of them, and are done in minutes.
    """
    program = (
        "import sys; from untrimmed.video.features import Task, extract_video; "
        "settings = {'fps': 2, 'frames': 4, 'stride': 4, 'size': 96}; "
        "out = extract_video(Task('v', sys.argv[1], sys.argv[2], 'motion', settings, 'dis')); "
        "assert not out.fault, out.fault; " + PEAK
    )
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (60, 7200):
            path = write_film(Path(folder) / f"{seconds}.mp4", seconds, 2, 96, 64)
            words = [sys.executable, "-c", program, str(path), str(Path(folder) / f"store{seconds}")]
            peaks.append(int(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[0]) / 1024)
    return [
        f"memory, motion: 1 minute {peaks[0]:.0f} MiB, 2 hours {peaks[1]:.0f} MiB, ratio {peaks[1] / peaks[0]:.3f} (limit 1.10)"
    ]


def repeated(short: Path, path: Path, times: int) -> Path:
    """A video that shows another again and again: its packets with later time stamps, nothing is encoded anew."""
    import av

    with av.open(str(short)) as source, av.open(str(path), "w") as container:
        track = source.streams.video[0]
        stream = container.add_stream_from_template(track)
        packets = [packet for packet in source.demux(track) if packet.dts is not None]
        length = max(packet.pts + packet.duration for packet in packets)
        for i in range(times):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts, again.duration = packet.pts + i * length, packet.dts + i * length, packet.duration
                again.time_base, again.is_keyframe, again.stream = packet.time_base, packet.is_keyframe, stream
                container.mux(again)
    return path


def ten_hours() -> list[str]:
    """Peak memory of extracting (`motion`, its defaults) and localizing one minute and ten hours of video. Limit for
    extraction: equal within 10 %.

    At 96x64 pixels and 2 frames a second, in snippets of 4, one every second: ten hours are 36,000 then, and done in minutes.
    """
    with tempfile.TemporaryDirectory() as folder:
        return long_videos(Path(folder))


def long_videos(folder: Path) -> list[str]:
    """See `ten_hours`; whatever is made stays in the folder."""
    videos = folder / "videos"
    videos.mkdir()
    settings = {"fps": 2, "frames": 4, "stride": 2, "size": 96}
    for i, seconds in enumerate((40, 60, 80)):
        write_film(videos / f"wide_{i}.mp4", seconds, 2, 96, 64)
        write_film(videos / f"tall_{i}.mp4", seconds, 2, 64, 96)
    (folder / "labels.csv").write_text("video,label\n" + "".join(f"{f.stem},{f.stem[:4]}\n" for f in sorted(videos.iterdir())))
    words = ["train", "dgam", "--videos", videos, "--labels", folder / "labels.csv", "--out", folder / "run", "--preset", "demo"]
    words += [word for name, value in settings.items() for word in ("--set", f"extractor.{name}={value}")]
    subprocess.run([sys.executable, "-m", "untrimmed", *map(str, words)], check=True)
    minute = write_film(folder / "minute.mp4", 60, 2, 96, 64)
    films = {"1 minute": minute, "10 hours": repeated(minute, folder / "hours.mp4", 600)}
    extraction = (
        "import sys; from untrimmed.video.features import Task, extract_video; "
        f"out = extract_video(Task(sys.argv[1], sys.argv[2], sys.argv[3], 'motion', {settings}, 'dis')); "
        "assert not out.fault, out.fault; "
    )
    localization = (
        "import sys; from pathlib import Path; from untrimmed.jobs.localize import localize; out = Path(sys.argv[4]); "
        "localize(sys.argv[3], features=sys.argv[2], out=out, report=out.with_suffix('.html')); "
    )
    lines, peaks = [], {}
    for length, film in films.items():
        store, found = folder / f"features-{film.stem}", folder / f"{film.stem}.json"
        for verb, program, arguments in (
            ("extract", extraction, (film.stem, film, store)),
            ("localize", localization, (film.stem, store, folder / "run", found)),
        ):
            words = (sys.executable, "-c", program + PEAK, *map(str, arguments))
            kibibytes, seconds = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-2:]
            peaks[verb, length] = int(kibibytes) / 1024
            lines.append(f"{verb}, {length}: peak {peaks[verb, length]:.0f} MiB, {float(seconds):.0f} CPU s")
        page = found.with_suffix(".html").stat().st_size / 1e6
        lines.append(f"page, {length}: {page:.1f} MB")
    for verb in ("extract", "localize"):
        lines.append(f"{verb}, 10 hours to 1 minute: {peaks[verb, '10 hours'] / peaks[verb, '1 minute']:.3f}")
    return lines


SECTIONS: dict[str, Callable[[], list[str]]] = {
    "evaluator": evaluator,
    "dgam_steps": dgam_steps,
    "inference": inference,
    "motion": motion,
    "i3d": i3d,
    "hub": hub,
    "memory": memory,
    "ten_hours": ten_hours,
}


def main(names: list[str]) -> None:
    if unknown := [name for name in names if name not in SECTIONS]:
        sys.exit(f"no section {unknown[0]!r}; there is {', '.join(SECTIONS)}")
    for name in names or [name for name in SECTIONS if name != "ten_hours"]:
        for line in SECTIONS[name]():
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

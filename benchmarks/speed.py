"""How fast the program is, against the limits it sets itself: `python benchmarks/speed.py [SECTION]...`; no section: all.

Every section is one function that returns its lines. Run on an idle machine with OMP_NUM_THREADS=1.
"""

import sys
import time
from collections.abc import Callable

import numpy as np


def evaluator() -> list[str]:
    """CPU seconds to score 100,000 detections in memory: 212 videos, 20 classes, 9 thresholds, one thread. Limit: 1 s.

    THUMOS14's proportions: about 16 true segments per video, most videos of one class. Two mixtures: detections of the
    video's own classes, near the truth (hard: many rivals for each segment), and of any class anywhere (most of them wrong).
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
    for name, share in (("near the truth", 1.0), ("half of them", 0.5), ("anywhere", 0.0)):
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
            f"evaluator, {count} detections {name} ({scores.instances} true segments): "
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

    from untrimmed.data.sampling import uniform_sampling
    from untrimmed.data.types import Activation, Timeline
    from untrimmed.localization import localize
    from untrimmed.methods.base import activations_of, method_class, resolve

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


SECTIONS: dict[str, Callable[[], list[str]]] = {"evaluator": evaluator, "dgam_steps": dgam_steps, "inference": inference}


def main(names: list[str]) -> None:
    if unknown := [name for name in names if name not in SECTIONS]:
        sys.exit(f"no section {unknown[0]!r}; there is {', '.join(SECTIONS)}")
    for name in names or SECTIONS:
        for line in SECTIONS[name]():
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

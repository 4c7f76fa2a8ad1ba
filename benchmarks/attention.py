"""What DGAM's VAE makes of action, context and background: `python benchmarks/attention.py RUN... --features DIR --annotations FILE
--subset test --parts FILE --out OUT` prints tables in Markdown, and writes `latents.json` and a plot for each run and stream.

Slide 06 says that context and action differ in representation, and that the latent distribution given the attention tells them
apart. Here that is measured on composed videos, of which `parts.json` says what each part is. RUN are folders of trained DGAM runs,
with generative modelling (`gam`) or without; the two kinds are averaged apart. A run without it has no VAE that was trained, and
one with it has a VAE that followed an attention in motion; so that both are looked at alike, a fresh VAE is also fitted to the
finished attention of each run, on the training videos alone and without labels (`afterwards`; `own` is the run's).

- three clusters: purity of k-means with three clusters of the latent means of all snippets of the test videos against the three
  kinds, in the plane of the first two principal components (which is what is drawn) and in the whole space; by chance it would be
  the share of the commonest kind.
- error: mean squared error of the reconstruction from the latent mean, by kind, over the variance of the features.
- gain: by how much the error falls when a snippet is reconstructed from the prior's mean under attention 1 instead of 0, as the
  reconstruction loss of the attention's stage compares them: where it is positive the loss pulls attention up. `action > context`
  is the chance that a snippet of action gains more than one of context: 0.5 means that the loss cannot tell them apart.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor

from untrimmed.data.annotations import read_annotations
from untrimmed.data.files import read_json, write_json
from untrimmed.data.settings import of_stream
from untrimmed.data.store import FeatureStore
from untrimmed.evaluation.attention import KINDS, chance_above, check_parts, kinds_of
from untrimmed.evaluation.clustering import evaluate_clusters, first_label
from untrimmed.methods.base import load_method
from untrimmed.methods.dgam import ADAM_BETAS, CVAE, DGAM, Config, StreamNet, loss_cvae

COLOURS = ("#b3401f", "#1f6f8b", "#8d8a80")
DRAWN = 3000
"""At most so many snippets are drawn, at random."""


@torch.no_grad()
def attention_of(net: StreamNet, x: Tensor) -> Tensor:
    """[N] attention of snippets [N, D]."""
    return net.attention_logit(x).sigmoid()


def fit_afterwards(net: StreamNet, config: Config, x: Tensor, steps: int, batch: int) -> StreamNet:
    """`net` with a fresh VAE in place of its own, fitted to snippets [N, D] under its finished attention."""
    torch.manual_seed(0)
    fresh = StreamNet(x.shape[1], net.classifier.out_features - 1, config)
    fresh.load_state_dict({k: v for k, v in net.state_dict().items() if not k.startswith("cvae.")}, strict=False)
    attention = attention_of(fresh, x)
    optimizer = torch.optim.Adam(fresh.cvae.parameters(), config.learning_rate, ADAM_BETAS)
    for _ in range(steps):
        rows = torch.randint(len(x), (batch,))
        noise = torch.randn((batch, config.latent))
        loss, _, _ = loss_cvae(fresh, x[rows], attention[rows], noise, config.kl)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return fresh


@torch.no_grad()
def errors(cvae: CVAE, z: Tensor, attention: Tensor, x: Tensor) -> np.ndarray:
    """[N] mean squared error of each snippet's reconstruction."""
    parts = zip(z.split(4096), attention.split(4096), x.split(4096), strict=True)
    return torch.cat([(cvae.decode(own, level) - target).square().mean(1) for own, level, target in parts]).numpy()


def look(net: StreamNet, x: Tensor, kind: np.ndarray, plot: Path, title: str) -> dict[str, float]:
    """The figures of one stream's VAE on the test snippets x [N, D] of kinds [N], and the plot of its latent means."""
    attention = attention_of(net, x)
    with torch.no_grad():
        mean = net.cvae.encode(x, attention)[0]
    latent = mean.numpy()
    plane = PCA(2, random_state=0).fit_transform(latent)
    truth = first_label([[KINDS[k]] for k in kind])
    found: dict[str, float] = {}
    for name, space in (("plane", plane), ("space", latent)):
        clusters = KMeans(3, n_init=10, random_state=0).fit_predict(space)
        found[f"purity {name}"] = evaluate_clusters(clusters.astype(str), truth).purity
    found["purity chance"] = float(truth.mean(0).max())

    power = float((x - x.mean(0)).square().mean())
    error = errors(net.cvae, mean, attention, x) / power
    off, on = (errors(net.cvae, torch.full_like(mean, level), torch.full_like(attention, level), x) / power for level in (0.0, 1.0))
    gain = off - on
    for k, name in enumerate(KINDS):
        if (kind == k).any():
            found[f"error {name}"] = float(error[kind == k].mean())
            found[f"gain {name}"] = float(gain[kind == k].mean())
            found[f"attention {name}"] = float(attention.numpy()[kind == k].mean())
    for name, values in (("attention", attention.numpy()), ("gain", gain), ("error", error)):
        for other in (1, 2):
            if (kind == 0).any() and (kind == other).any():
                found[f"{name} action > {KINDS[other]}"] = chance_above(values[kind == 0], values[kind == other])
    _draw(plane, kind, plot, title)
    return found


def _draw(plane: np.ndarray, kind: np.ndarray, path: Path, title: str) -> None:
    some = np.random.default_rng(0).permutation(len(plane))[:DRAWN]
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for k, name in enumerate(KINDS):
        own = some[kind[some] == k]
        axes.scatter(*plane[own].T, s=5, c=COLOURS[k], alpha=0.5, linewidths=0, label=name)
    axes.set_title(title, fontsize=9)
    axes.set(xlabel="first principal component", ylabel="second")
    axes.legend(frameon=False, markerscale=3)
    FigureCanvasAgg(figure).print_png(path)


def snippets_of(store: FeatureStore, stream: str, videos: Sequence[str]) -> Tensor:
    """[N, D] all snippets of some videos, one after the other."""
    return torch.from_numpy(np.concatenate([store.load(video, [stream])[stream] for video in videos]).astype(np.float32))


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation (n - 1), or the number alone if there is one."""
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def tables(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Markdown, one table a stream: a column for each kind of run and VAE, a row for each figure."""
    lines: list[str] = []
    streams = dict.fromkeys(key.split("|")[2] for keys in found.values() for key in keys)
    for stream in streams:
        columns: dict[str, list[Mapping[str, float]]] = {}
        for keys in found.values():
            for key, figures in keys.items():
                gam, vae, own = key.split("|")
                if own == stream:
                    columns.setdefault(f"{gam}, {vae}", []).append(figures)
        names = dict.fromkeys(name for own in columns.values() for figures in own for name in figures)
        lines += ["", f"| {stream} | " + " | ".join(f"{name} ({len(own)} runs)" for name, own in columns.items()) + " |"]
        lines.append("|---|" + "---:|" * len(columns))
        for name in names:
            lines.append(f"| {name} | " + " | ".join(spread([f[name] for f in own]) for own in columns.values()) + " |")
    return lines


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--subset")
    parser.add_argument("--parts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000, help="of fitting a VAE afterwards")
    parser.add_argument("--batch", type=int, default=1024, help="snippets a step")
    asked = parser.parse_args(argv)
    asked.out.mkdir(parents=True, exist_ok=True)
    store = FeatureStore(asked.features)
    parts = check_parts(read_json(asked.parts), str(asked.parts))
    chosen = read_annotations(asked.annotations).subset(asked.subset)
    test = [video for video in store.videos if video in chosen]
    kind = np.concatenate([kinds_of(parts[video], store.timeline(video)) for video in test])

    found: dict[str, dict[str, dict[str, float]]] = {}
    for run in asked.runs:
        method = load_method(run / "model")
        if not isinstance(method, DGAM):
            parser.error(f"{run}: a run of {method.name}; only dgam has a VAE")
        training = read_json(run / "environment.json")["training_videos"]
        gam = "with generative modelling" if method.config.gam else "without"
        found[str(run)] = {}
        for stream in method.widths:
            config, net = of_stream(method.config, stream), method.streams[stream]
            x, seen = snippets_of(store, stream, test), snippets_of(store, stream, training)
            nets = {"own": net} if method.config.gam else {}
            nets["afterwards"] = fit_afterwards(net, config, seen, asked.steps, asked.batch)
            for vae, own in nets.items():
                plot = asked.out / f"{run.name}.{stream}.{vae}.png"
                found[str(run)][f"{gam}|{vae}|{stream}"] = look(own, x, kind, plot, f"{stream}: latent means, {gam}, VAE {vae}")
    write_json(asked.out / "latents.json", found, indent=1)
    shares = ", ".join(f"{100 * np.mean(kind == k):.0f} % {name}" for k, name in enumerate(KINDS))
    print(f"{len(test)} videos, {len(kind)} snippets: {shares}.")
    print("\n".join(tables(found)))


if __name__ == "__main__":
    main()

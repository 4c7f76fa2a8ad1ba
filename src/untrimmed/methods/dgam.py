"""DGAM: Weakly-Supervised Action Localization by Generative Attention Modeling (Shi, Dai, Mu, Wang; CVPR 2020;
arXiv:2003.12424).

A video X of T snippets has a label y and no times. We seek the attention lambda in [0, 1]^T that maximizes

    log p(lambda | X, y)  ~  log p(y | X, lambda)  +  log p(X | lambda)

The first term is discriminative: the attended snippets predict the label, the others are background. Alone it cannot separate an
action from its context, the track that comes with every run. The second term can: a conditional VAE (CVAE) models how snippets
of a given attention look, so that snippets which look different get different attention.

The two are trained alternately, stream by stream: (a) the CVAE with the attention frozen, (b) attention and classifier with the
CVAE frozen. Values that the paper does not give are the released code's; see `dgam.yaml` and docs/paper_index.md.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from untrimmed.data.errors import InputError
from untrimmed.data.settings import of_stream, setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import Method, SnippetScores
from untrimmed.nn.targets import targets_of
from untrimmed.training import Run, TrainingSet

PAPER = "DGAM, arXiv:2003.12424"


@dataclass(frozen=True)
class Config:
    """DGAM's settings. Defaults are the released code's for THUMOS14's RGB stream."""

    gam: bool = setting(
        True, "generative attention modelling; false is the paper's 'old' model O", source=f"{PAPER}, swap study (slide 09)"
    )
    hidden: int = setting(256, "width of the attention's hidden layer", low=1, source="code")
    latent: int = setting(128, "width of the CVAE's latent and hidden layers", low=1, source="code")
    foreground: float = setting(1.0, "weight of L_fg", low=0, source="code; 0.3 for ActivityNet flow")
    background: float = setting(0.03, "weight of L_bg", low=0, source="code; 1 for ActivityNet")
    guide: float = setting(0.1, "weight of L_guide", low=0, source="code")
    reconstruction: float = setting(0.5, "weight of L_re after its ramp", low=0, source="code; 0.3 for flow")
    kl: float = setting(0.1, "beta, the weight of the KL divergence in L_CVAE", low=0, source="code")
    cvae: float = setting(10.0, "weight of L_CVAE after its ramp", low=0, source="code")
    ramp_epochs: int = setting(300, "epochs of the linear ramp of L_re and L_CVAE; 0 = none", low=0, source="code")
    ramp_fraction: float | None = setting(None, "the ramp as a fraction of the run, in place of ramp_epochs", low=0, high=1)
    ramp_reconstruction: bool = setting(True, "whether L_re has the ramp", source="code; not for ActivityNet")
    epochs: int = setting(6000, "passes over the training videos", low=1, source="code")
    batch: int = setting(32, "videos per step", low=1, source="code")
    learning_rate: float = setting(1e-3, "Adam's", low=0, source="code")
    schedule: Literal["constant", "cosine"] = setting(
        "constant",
        "learning rate over the run; the released code builds a cosine schedule but never steps it",
        choices=("constant", "cosine"),
        source="code",
    )
    attention_delay: float = setting(
        0.0, "fraction of the run in which only the classifier is trained: an untrained one misleads the attention", low=0, high=1
    )
    ema_decay: float = setting(
        0.0, "decay per step of an EMA of the weights, which is the final model; 0 = no EMA", low=0, high=0.99999, was="average"
    )
    official: bool = setting(
        False, "as the released code: batches are drawn once for ten epochs, without the last smaller one; ramps step with them"
    )
    streams: dict[str, dict[str, Any]] = setting({}, "settings that differ by stream")


ADAM_BETAS = (0.8, 0.999)  # released code
GUIDE_SIGMA = 1.0  # snippets; smoothing of the guidance, released code
BLOCK = 10  # epochs that share their batches in the released code


class CVAE(nn.Module):
    """p(x | lambda) = E_{z ~ p(z | lambda)} p(x | lambda, z): a CVAE of single snippets (DGAM, generative attention
    modeling; slide 06)."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.encoder = nn.ModuleList([nn.Linear(width + 1, latent), nn.Linear(latent, latent), nn.Linear(latent, 2 * latent)])
        self.decoder = nn.ModuleList([nn.Linear(latent + 1, latent), nn.Linear(latent, latent), nn.Linear(latent, width)])

    def encode(self, x: Tensor, attention: Tensor) -> tuple[Tensor, Tensor]:
        """q(z | x, lambda): mean and log-variance, [..., latent] each."""
        mean, log_variance = self.encoder[2](_two_layers(self.encoder, x, attention)).chunk(2, -1)
        return mean, log_variance

    def decode(self, z: Tensor, attention: Tensor) -> Tensor:
        """The mean of p(x | lambda, z), [..., D]."""
        return self.decoder[2](_two_layers(self.decoder, z, attention))

    def reconstruction_error(self, z: Tensor, attention: Tensor, x: Tensor) -> Tensor:
        """Mean squared error of `decode(z, attention)` against x: -log p(x | lambda, z) up to constants."""
        last = self.decoder[2]
        return LinearError.apply(_two_layers(self.decoder, z, attention), last.weight, last.bias, x)


def _two_layers(layers: Iterable[nn.Module], x: Tensor, attention: Tensor) -> Tensor:
    """The first two layers, Linear and ReLU each, of x with the attention as an additional input: added in the product, without
    copying x."""
    first, second, _ = layers
    assert isinstance(first, nn.Linear)
    weight, beside = first.weight[:, :-1], first.weight[:, -1]
    hidden = torch.addcmul(F.linear(x, weight, first.bias), attention.unsqueeze(-1), beside)
    return F.relu_(second(F.relu_(hidden)))


class LinearError(torch.autograd.Function):
    """mean((h W^T + b - x)^2) and its gradients, in blocks of rows.

    The reconstruction is as large as the features; neither it nor its gradient is ever in memory as a whole, which makes the two
    stages about as fast as their matrix products.
    """

    ROWS = 1024

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        rows, targets = hidden.reshape(-1, hidden.shape[-1]), x.reshape(-1, x.shape[-1])
        trained = ctx.needs_input_grad[1]
        d_hidden, error = torch.empty_like(rows), torch.empty_like(targets[: LinearError.ROWS])
        d_weight, d_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        total = rows.new_zeros(())
        for begin in range(0, len(rows), LinearError.ROWS):
            part = slice(begin, begin + LinearError.ROWS)
            difference = torch.sub(bias, targets[part], out=error[: len(rows[part])]).addmm_(rows[part], weight.t())
            total += torch.dot(difference.flatten(), difference.flatten())
            torch.mm(difference, weight, out=d_hidden[part])
            if trained:
                d_weight.addmm_(difference.t(), rows[part])
                d_bias += difference.sum(0)
        ctx.save_for_backward(d_hidden.view_as(hidden), d_weight, d_bias)
        ctx.scale = 2 / targets.numel()
        return total / targets.numel()

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor | None, ...]:
        scale = gradient[0] * ctx.scale
        trained = ctx.needs_input_grad[1]
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        return d_hidden * scale, d_weight * scale if trained else None, d_bias * scale if trained else None, None


class StreamNet(nn.Module):
    """One stream's attention, classifier (background last) and CVAE."""

    def __init__(self, width: int, classes: int, config: Config) -> None:
        super().__init__()
        self.attention_hidden = nn.Linear(width, config.hidden)
        self.attention_out = nn.Linear(config.hidden, 1)
        self.classifier = nn.Linear(width, classes + 1)
        self.cvae = CVAE(width, config.latent)

    def attention_logit(self, x: Tensor) -> Tensor:
        """[..., D] -> [...], before the sigmoid."""
        return self.attention_out(F.relu_(self.attention_hidden(x))).squeeze(-1)

    def discriminative_parameters(self) -> list[dict[str, Any]]:
        """What stage (b) trains: attention and classifier, as two groups for an optimizer."""
        attention = [*self.attention_hidden.parameters(), *self.attention_out.parameters()]
        return [{"params": attention}, {"params": list(self.classifier.parameters())}]


# The losses, named as in the paper -------------------------------------------------------------------------------------------


def foreground_background(x: Tensor, attention: Tensor) -> tuple[Tensor, Tensor]:
    """x_fg = sum(lambda x) / (sum(lambda) + 1) and x_bg, the same with 1 - lambda (and 1e-6): [B, T, D] -> [B, D] each.

    The 1 is the released code's: a video with little attention gets a small foreground feature.
    """
    weight = torch.stack([attention, 1 - attention], 1)
    pooled = weight @ x
    total = weight.sum(-1, keepdim=True)
    return pooled[:, 0] / (total[:, 0] + 1), pooled[:, 1] / (total[:, 1] + 1e-6)


def loss_fg(logit: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross-entropy of the foreground features, [B, C + 1], with the labels, [B, C], shared equally.

    A video without labels has no foreground: its `logit` must be that of its mean feature, and the target is background. Each
    such video has the weight of any other.
    """
    per_video = -(targets_of(labels) * F.log_softmax(logit, -1)).sum(1)
    holding_action = int((labels.sum(1) > 0).sum()) or len(labels)
    return per_video.sum() / holding_action


def loss_bg(logit: Tensor) -> Tensor:
    """Softmax cross-entropy of the background features, [B, C + 1], with the background class."""
    return -F.log_softmax(logit, -1)[:, -1].mean()


def guidance(class_logit: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The attention implied by the CAS: foreground and background guidance, [B, T] each, detached.

    The softmax over classes of x W (no bias), [B, T, C + 1], smoothed in time; the largest of the video's labels, and one minus
    the background. A video without labels has foreground guidance 0.
    """
    smooth = smoothing(class_logit.shape[1]).to(class_logit) @ class_logit.detach().softmax(-1)
    foreground = (smooth[..., :-1] * labels.unsqueeze(1)).amax(-1)
    return foreground, 1 - smooth[..., -1]


def loss_guide(attention: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
    """The attention should agree with both guidances: mean of |lambda - g_fg| + |lambda - g_bg|."""
    return ((attention - foreground).abs() + (attention - background).abs()).mean()


def loss_re(net: StreamNet, x: Tensor, attention: Tensor, noise: Tensor) -> Tensor:
    """-log p(x | lambda) of the model stage: mean squared error of decoding one sample z ~ N(lambda, I)."""
    return net.cvae.reconstruction_error(attention.unsqueeze(-1) + noise, attention, x)


def loss_cvae(net: StreamNet, x: Tensor, attention: Tensor, noise: Tensor, beta: float) -> tuple[Tensor, Tensor, Tensor]:
    """L_CVAE with the prior N(lambda, I): reconstruction + beta KL, and its two parts (DGAM, generative attention modeling;
    slide 06)."""
    mean, log_variance = net.cvae.encode(x, attention)
    deviation = (0.5 * log_variance).exp()
    reconstruction = net.cvae.reconstruction_error(torch.addcmul(mean, noise, deviation), attention, x)
    shift = mean - attention.unsqueeze(-1)
    divergence = 0.5 * ((shift.square().sum() + deviation.square().sum() - log_variance.sum()) / mean.numel() - 1)
    return reconstruction + beta * divergence, reconstruction, divergence


@lru_cache(maxsize=8)
def smoothing(length: int) -> Tensor:
    """[T, T] matrix of a Gaussian filter over time, sigma one snippet, reflected at the ends."""
    return torch.from_numpy(gaussian_filter1d(np.eye(length), GUIDE_SIGMA, axis=0))


# The two stages --------------------------------------------------------------------------------------------------------------


def cvae_stage(net: StreamNet, x: Tensor, noise: Tensor, config: Config, ramp: float) -> dict[str, Tensor]:
    """Stage (a): the attention is frozen and serves as pseudo label; gradients reach the CVAE only."""
    with torch.no_grad():
        attention = net.attention_logit(x).sigmoid()
    total, reconstruction, divergence = loss_cvae(net, x, attention, noise, config.kl)
    return {"total": config.cvae * ramp * total, "cvae": total, "mse": reconstruction, "kl": divergence}


def model_stage(net: StreamNet, x: Tensor, labels: Tensor, noise: Tensor, config: Config, ramp: float) -> dict[str, Tensor]:
    """Stage (b): the CVAE is frozen; gradients reach attention and classifier."""
    attention = net.attention_logit(x).sigmoid()
    x_fg, x_bg = foreground_background(x, attention)
    empty = labels.sum(1) == 0
    if empty.any():
        x_fg = torch.where(empty.unsqueeze(1), x.mean(1), x_fg)
    fg = loss_fg(net.classifier(x_fg), labels)
    bg = loss_bg(net.classifier(x_bg))
    with torch.no_grad():
        class_logit = F.linear(x, net.classifier.weight)
        g_fg, g_bg = guidance(class_logit, labels)
    guide = loss_guide(attention, g_fg, g_bg)
    total = config.foreground * fg + config.background * bg + config.guide * guide
    losses = {"fg": fg, "bg": bg, "guide": guide}
    if config.gam:
        net.cvae.requires_grad_(False)
        losses["re"] = loss_re(net, x, attention, noise)
        net.cvae.requires_grad_(True)
        total = total + config.reconstruction * (ramp if config.ramp_reconstruction else 1.0) * losses["re"]
    return {"total": total, **losses}


class DGAM(Method):
    """The method: a `StreamNet` per stream."""

    name: ClassVar = "dgam"
    title: ClassVar = "DGAM: generative attention modelling (CVPR 2020), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 1

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        if unknown := set(config.streams) - set(streams):
            raise InputError(f"method.{min(unknown)}: there is no such stream; the features have {', '.join(streams)}")
        self.streams = nn.ModuleDict(
            {name: StreamNet(width, len(classes), of_stream(config, name)) for name, width in streams.items()}
        )

    def fit(self, data: TrainingSet, run: Run) -> None:
        """Train each stream by alternating the two stages, an epoch each.

        Raises:
            InputError: the training set has no labels, or the training diverges.
        """
        if data.labels is None:
            raise InputError("dgam learns from labels; give `labels`")
        self.to(run.device).train()
        run.side_by_side(self.streams, self._fit_stream, data)
        self.eval()

    def _fit_stream(self, stream: str, data: TrainingSet, run: Run) -> None:
        config, net = of_stream(self.config, stream), self._net(stream)
        labels = torch.from_numpy(np.asarray(data.labels, dtype=np.float32)).to(run.device)
        model_optimizer = torch.optim.Adam(net.discriminative_parameters(), config.learning_rate, ADAM_BETAS)
        cvae_optimizer = torch.optim.Adam(net.cvae.parameters(), config.learning_rate, ADAM_BETAS)
        state: dict[str, Any] = {"net": net, "model_optimizer": model_optimizer, "cvae_optimizer": cvae_optimizer}
        ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay)) if config.ema_decay else None
        if ema:
            state["averaged"] = ema

        for epoch in run.loop(stream, config.epochs, **state):
            # The released code's ramps see the first epoch of the current block of ten, and draw the block's batches once.
            phase = epoch - epoch % BLOCK if config.official else epoch
            ramp = _ramp(phase, config)
            for group in (*model_optimizer.param_groups, *cvae_optimizer.param_groups):
                group["lr"] = _learning_rate(epoch, config)
            if epoch < config.attention_delay * config.epochs:
                model_optimizer.param_groups[0]["lr"] = 0.0
            batches = _batches(len(data), config, run.rng(f"{stream} batches", phase))
            order = run.rng(f"{stream} order").permutation(len(batches)) if config.official else range(len(batches))

            def draw(number: int, stage: str, phase: int = phase, batches: list[np.ndarray] = batches) -> tuple[Tensor, Tensor]:
                x = data.sample(batches[number], stream, run.rng(f"{stream} snippets", phase, number))
                noise = torch.randn((*x.shape[:2], config.latent), generator=run.torch_rng(f"{stream} {stage} noise {number}"))
                return x.to(run.device), noise.to(run.device)

            sums: Counter[str] = Counter()
            if config.gam:
                for number in order:
                    losses = cvae_stage(net, *draw(number, "cvae"), config, ramp)
                    _step(cvae_optimizer, losses["total"])
                    sums.update({f"cvae_{name}": loss.item() for name, loss in losses.items()})
            for number in order:
                x, noise = draw(number, "model")
                losses = model_stage(net, x, labels[batches[number]], noise, config, ramp)
                _step(model_optimizer, losses["total"])
                if ema:
                    ema.update_parameters(net)
                sums.update({name: loss.item() for name, loss in losses.items()})
            run.log(**{name: value / len(batches) for name, value in sums.items()})
        if ema:
            net.load_state_dict(ema.module.state_dict())

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """Per stream attention and class logits x W without bias, background last, of each snippet by itself."""
        curves = {}
        for stream, x in features.items():
            net = self._net(stream)
            # W x' is a third faster than x W' for few classes, and leaves each class's curve contiguous.
            curves[stream] = SnippetScores(net.attention_logit(x), (net.classifier.weight @ x.t()).t())
        return curves

    def pool(self, features: Mapping[str, Tensor], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores: the softmax of the classifier on sum(lambda x) / sum(lambda), without background.

        The classifier is linear, so that its value on the mean feature is the mean of the snippets' values, plus the bias.
        """
        pooled = {}
        for stream, curve in curves.items():
            assert curve.attention_logit is not None
            attention = curve.attention_logit.sigmoid()
            logit = attention @ curve.class_logit / attention.sum().clamp_min(1e-12) + self._net(stream).classifier.bias
            pooled[stream] = StreamActivation(
                attention.cpu().numpy(),
                curve.class_logit[:, :-1].cpu().numpy(),
                logit.softmax(-1)[:-1].double().cpu().numpy(),
            )
        return pooled

    def _net(self, stream: str) -> StreamNet:
        net = self.streams[stream]
        assert isinstance(net, StreamNet)
        return net


def _ramp(epoch: int, config: Config) -> float:
    """Ramp of L_re and L_CVAE from 0 to 1. The released code starts at 0, so that the CVAE is idle for a block; ours does not."""
    length = config.ramp_epochs if config.ramp_fraction is None else round(config.ramp_fraction * config.epochs)
    return min((epoch if config.official else epoch + 1) / length, 1.0) if length else 1.0


def _learning_rate(epoch: int, config: Config) -> float:
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))


def _batches(videos: int, config: Config, rng: np.random.Generator) -> list[np.ndarray]:
    """Shuffled videos in batches of nearly equal size; `official` drops the last one where it is smaller."""
    shuffled = rng.permutation(videos)
    if config.official and videos >= config.batch:
        return np.split(shuffled[: videos - videos % config.batch], videos // config.batch)
    return np.array_split(shuffled, math.ceil(videos / config.batch))


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()

"""TCAM: Learning Temporal Co-Attention Models for Unsupervised Video Action Localization (Gong, Wang, Mu, Tian; CVPR 2020).

Nothing is known of the videos but how many actions to expect. Two steps in turn, each improving the other:

- Clustering: every video is described by the mean of its snippets, weighted by the attention S (all alike at first); videos are
  the vertices of a graph, similar ones linked closely, and spectral clustering groups them into C pseudo actions.
- Localization: a network learns the groups as if they were labels. From X, the local-global feature aggregation block makes X_e;
  the class-specific module gives a score A per snippet and class, the class-agnostic one the attention S. A video's score is
  p = A^T S. The loss is L = L_cls + alpha L_trip + beta L_abs.

Two things are ours, and off in the papers' presets. `pooling=votes` finds the clusters before any network learns: snippets weigh as
much as similar stretches of other videos agree on a cluster (`untrimmed.nn.votes`). `guide` adds L_guide, which draws S to where
these votes, of clusters or of labels, are sure.

With labels the clustering falls away and the same network learns from them. Streams are trained apart. Formulas are the slides';
what they leave open is the released code's or ours, see `tcam.yaml` and docs/paper_index.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.errors import InputError
from untrimmed.data.settings import of_stream, setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import Method, SnippetScores
from untrimmed.nn.spectral import EXACT, LANDMARKS, estimate_clusters, spectral_clustering
from untrimmed.nn.targets import targets_of
from untrimmed.nn.votes import STRETCH, VOTERS, Votes, guide_of
from untrimmed.training import Run, TrainingSet
from untrimmed.training.rounds import clusters_by_votes, estimate_by_votes, settle, votes_of


@dataclass(frozen=True)
class Config:
    """TCAM's settings. What the slides and the released code leave open has no source: it is ours."""

    variant: Literal["slides", "code"] = setting(
        "slides",
        "the slides' network: one block before both modules; or the released code's, with a block of its own in each module",
        choices=("slides", "code"),
    )
    hidden: int = setting(256, "width of X_cs and X_ca; the block's branches are parts of it", low=8, source="code")
    dropout: float = setting(0.5, "share of the features' channels left out in a training step", low=0, high=0.9, source="code")
    attention: bool = setting(
        True, "the class-agnostic attention; false: every snippet of a video counts the same", by_stream=False
    )
    triplet: float = setting(0.5, "alpha, the weight of L_trip", low=0)
    separation: float = setting(0.5, "beta, the weight of L_abs", low=0)
    intra: float = setting(1.0, "theta, the weight of L_intra in L_abs", low=0)
    same_distance: float = setting(0.2, "tau_1, how far the actions of two videos of a cluster may be apart", low=0, high=2)
    background_margin: float = setting(0.5, "tau_2, how much further a video's background must be from its action", low=0, high=2)
    triplet_margin: float = setting(0.3, "m of L_trip", low=0, high=2)
    batch_clusters: int = setting(8, "Z, clusters in a batch", low=1)
    batch_videos: int = setting(2, "K, videos of each cluster in a batch", low=1, source="code")
    epochs: int = setting(100, "passes over the training videos in each round", low=1)
    learning_rate: float = setting(1e-3, "Adam's", low=0, source="code")
    weight_decay: float = setting(1e-4, "Adam's", low=0, source="code")
    schedule: Literal["constant", "half"] = setting(
        "half", "learning rate: constant, or a tenth of it in the second half", choices=("constant", "half"), source="code"
    )
    rounds: int = setting(4, "rounds of clustering and training, at most", low=1, high=99, source="code", by_stream=False)
    settled: float = setting(
        0.01, "no further round once a smaller share of the videos changes cluster", low=0, high=1, by_stream=False
    )
    graph: Literal["gaussian", "neighbours"] = setting(
        "gaussian",
        "the slides' graph of all pairs, or one of nearest neighbours: another algorithm",
        choices=("gaussian", "neighbours"),
        source="slide Clustering",
        by_stream=False,
    )
    exact: int = setting(EXACT, "so many videos are clustered exactly, more by the Nyström method", low=2, by_stream=False)
    landmarks: int = setting(LANDMARKS, "landmarks of the Nyström method", low=2, by_stream=False)
    pooling: Literal["attention", "votes"] = setting(
        "attention",
        "what weighs the snippets that a video is clustered by: the last round's S; or, ours, the votes of other videos",
        choices=("attention", "votes"),
        by_stream=False,
    )
    stretch: int = setting(STRETCH, "snippets in a stretch that is voted about", low=1, by_stream=False)
    voters: int = setting(VOTERS, "similar stretches of other videos that vote about each", low=1, by_stream=False)
    guide: float = setting(0.0, "the weight of L_guide, which is ours: S should be where the votes are sure", low=0)
    streams: dict[str, dict[str, Any]] = setting({}, "settings that differ by stream")


# The network -----------------------------------------------------------------------------------------------------------------


class Convolution(nn.Module):
    """In time, [B, T, D] -> [B, T, out], over one snippet or three `dilation` apart.

    The first and last snippet are repeated beyond the ends, so that the ends look like any other place.
    """

    def __init__(self, width: int, out: int, dilation: int = 0) -> None:
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Linear(width, 3 * out if dilation else out)
        if dilation:
            nn.init.uniform_(self.taps.weight, -((3 * width) ** -0.5), (3 * width) ** -0.5)  # as three snippets come together

    def forward(self, x: Tensor) -> Tensor:
        if not self.dilation:
            return self.taps(x)
        before, here, after = self.taps(x).chunk(3, -1)
        place = torch.arange(x.shape[1], device=x.device)
        before = before.index_select(1, (place - self.dilation).clamp_min(0))
        return before + here + after.index_select(1, (place + self.dilation).clamp_max(x.shape[1] - 1))


class Pyramid(nn.Module):
    """Four convolutions in parallel, of three snippets one, two and three apart and of one snippet: [B, T, D] -> [B, T, out]."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([Convolution(width, out // 4, dilation) for dilation in (1, 2, 3, 0)])

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], -1).relu()


class GlobalContext(nn.Module):
    """A convolution of one snippet, then a non-local block: every snippet adds what it finds in similar ones anywhere.

    Embedded Gaussian (Wang et al., Non-local Neural Networks, CVPR 2018); its output starts at zero, as the released code's.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.reduce = Convolution(width, out)
        self.query, self.key, self.value = (Convolution(out, max(out // 2, 1)) for _ in range(3))
        self.project = nn.Linear(max(out // 2, 1), out)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x).relu()
        attended = F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), scale=1.0)
        return x + self.project(attended)


@dataclass
class Output:
    """What the network says of B videos of T snippets: A [B, T, C (+ 1)], S before its softmax [B, T], X_cs and X_ca [B, T, H]."""

    class_logit: Tensor
    attention_logit: Tensor
    x_cs: Tensor
    x_ca: Tensor


class StreamNet(nn.Module):
    """The network of one stream.

    Slides: X goes through the three branches of the aggregation block, whose outputs are fused to X_e; each module makes its own
    X_cs or X_ca of it. Code: one convolution makes a base feature; the class-specific module has the pyramid and the global
    context on it (X_cs), the class-agnostic one a pyramid of its own, and X_ca of the triplet loss is the base feature itself.
    The last class is the background; `background` says whether it takes part.
    """

    background: Tensor

    def __init__(self, width: int, classes: int, config: Config) -> None:
        super().__init__()
        hidden, self.variant, self.uniform = config.hidden, config.variant, not config.attention
        source = width if self.variant == "slides" else hidden
        half = max(hidden // 8, 1) * 4
        self.local = Convolution(width, hidden, dilation=1)
        self.pyramid = Pyramid(source, half)
        self.context = GlobalContext(source, half)
        if self.variant == "slides":
            self.fuse = Convolution(hidden + 2 * half, hidden)
            self.specific, self.agnostic = Convolution(hidden, hidden), Convolution(hidden, hidden)
            self.classifier, self.attention = nn.Linear(hidden, classes + 1), nn.Linear(hidden, 1)
        else:
            self.own_pyramid = Pyramid(hidden, half)
            self.classifier, self.attention = nn.Linear(2 * half, classes + 1), nn.Linear(half, 1)
        self.register_buffer("background", torch.tensor(False))

    def forward(self, x: Tensor) -> Output:
        """[B, T, D] -> its output."""
        local = self.local(x).relu()
        if self.variant == "slides":
            extended = self.fuse(torch.cat([local, self.pyramid(x), self.context(x)], -1))
            x_cs, x_ca = self.specific(extended).relu(), self.agnostic(extended).relu()
            attended = x_ca
        else:
            x_cs, x_ca = torch.cat([self.pyramid(local), self.context(local)], -1), local
            attended = self.own_pyramid(local)
        class_logit = self.classifier(x_cs)
        if not self.background:
            class_logit = class_logit[..., :-1]
        attention_logit = self.attention(attended).squeeze(-1)
        return Output(class_logit, torch.zeros_like(attention_logit) if self.uniform else attention_logit, x_cs, x_ca)


# The losses, named as on the slides, each the slides' literal sum ------------------------------------------------------------


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """d = 1 - cos, along the last axis."""
    return 1 - F.cosine_similarity(a, b, -1, 1e-8)


def action_background(x_cs: Tensor, class_logit: Tensor, cluster: Tensor) -> tuple[Tensor, Tensor]:
    """J = X_cs^T A^[:, z] and B = X_cs^T (1 - A^[:, z]) / (T - 1), A^ the softmax of A over time: [B, T, H] -> [B, H] each.

    cluster: [B], z of each video. One snippet is all action: its background is zero.
    """
    weight = class_logit.gather(2, cluster[:, None, None].expand(-1, class_logit.shape[1], 1)).softmax(1)
    action = (x_cs * weight).sum(1)
    return action, (x_cs * (1 - weight)).sum(1) / max(x_cs.shape[1] - 1, 1)


def loss_inter(action: Tensor, pair: Tensor, same_distance: float) -> Tensor:
    """Sum over the pairs (m, n) of max(d(J_m, J_n) - tau_1, 0): action [B, H]; pair [B, B], true where m and n share a cluster."""
    return ((cosine_distance(action[:, None], action[None]) - same_distance).relu() * pair).sum()


def loss_intra(action: Tensor, background: Tensor, pair: Tensor, background_margin: float) -> Tensor:
    """Sum over the pairs of max(d(J_m, J_n) - d(J_m, B_m) + tau_2, 0)."""
    between = cosine_distance(action[:, None], action[None])
    return ((between - cosine_distance(action, background)[:, None] + background_margin).relu() * pair).sum()


def loss_abs(
    action: Tensor, background: Tensor, pair: Tensor, same_distance: float, background_margin: float, intra: float
) -> Tensor:
    """L_abs, the action-background separation: L_inter + theta L_intra, summed over the clusters."""
    return loss_inter(action, pair, same_distance) + intra * loss_intra(action, background, pair, background_margin)


def loss_trip(feature: Tensor, pair: Tensor, other: Tensor, margin: float) -> Tensor:
    """Sum over the anchors a of max(d(H_a, H_p) - d(H_a, H_n) + m, 0), p the furthest of its cluster, n the nearest of another.

    feature: H [B, H]; pair, other: [B, B], which videos are of the anchor's cluster, and which of another. An anchor that lacks
    either is left out.
    """
    distance = cosine_distance(feature[:, None], feature[None])
    furthest = distance.masked_fill(~pair, -torch.inf).amax(1)
    nearest = distance.masked_fill(~other, torch.inf).amin(1)
    anchor = pair.any(1) & other.any(1)
    return (furthest[anchor] - nearest[anchor] + margin).relu().sum()


def loss_cls(video_logit: Tensor, target: Tensor) -> Tensor:
    """L_cls = - sum over videos and classes of y log softmax(p): [B, C (+ 1)] each."""
    return -(target * F.log_softmax(video_logit, -1)).sum()


def loss_guide(attention_logit: Tensor, s: Tensor) -> Tensor:
    """L_guide = the sum over the videos of KL(s / sum s || S), S the softmax of the attention over time: [B, T] each, s >= 0.

    Where s is zero throughout nothing guides.
    """
    total = s.sum(1, keepdim=True)
    wanted = s / total.clamp_min(1e-12)
    return (torch.special.xlogy(wanted, wanted) - wanted * attention_logit.log_softmax(1)).sum()


# The batches -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """Videos by number, [B], and the cluster that each was drawn for, [B]; -1 for a video without action.

    whole: [B], whether the video's cluster gave all K videos, so that its pairs count.
    """

    videos: np.ndarray
    cluster: np.ndarray
    whole: np.ndarray


def draw(targets: np.ndarray, clusters: int, videos: int, rng: np.random.Generator) -> Batch:
    """Z clusters and K distinct videos of each, and of the videos without action as large a share as they have of all.

    A cluster of fewer than K videos gives those it has; they are classified but make no pairs.

    Args:
        targets: [N, C], positive where a video is of a cluster.
    """
    members = [np.flatnonzero(column) for column in targets.T]
    filled = [number for number, its in enumerate(members) if len(its)]
    chosen = rng.permutation(filled)[:clusters]
    groups = [rng.choice(members[z], min(videos, len(members[z])), replace=False) for z in chosen]
    sizes = [len(group) for group in groups]
    empty = np.flatnonzero(targets.sum(1) == 0)
    if len(empty):
        share = len(empty) / max(len(targets) - len(empty), 1)
        groups.append(rng.choice(empty, min(max(round(sum(sizes) * share), 1), len(empty)), replace=False))
    without = len(groups[-1]) if len(empty) else 0
    return Batch(
        np.concatenate(groups),
        np.r_[np.repeat(chosen, sizes), np.full(without, -1)].astype(np.intp),
        np.r_[np.repeat([size == videos for size in sizes], sizes), np.zeros(without, dtype=bool)],
    )


def losses_of(
    net: StreamNet,
    x: Tensor,
    batch: Batch,
    targets: Tensor,
    several: Tensor,
    config: Config,
    s: Tensor | None = None,
) -> dict[str, Tensor]:
    """L and its parts, each divided by the number of its terms, so that the weights do not depend on the batch.

    Args:
        x: [B, T, D]. targets: [B, C (+ 1)], one row per video, sums to one. several: [B], whether a video has more than one
            snippet: one that has not makes no background. s: [B, T], how sure the votes are, where there is a guide.
    """
    out = net(x)
    attention = out.attention_logit.softmax(1)
    video_logit = (attention.unsqueeze(-1) * out.class_logit).sum(1)
    losses = {"cls": loss_cls(video_logit, targets) / len(targets)}
    total = losses["cls"]
    cluster = torch.from_numpy(batch.cluster).to(x.device)
    whole = torch.from_numpy(batch.whole).to(x.device)
    acting = cluster >= 0
    distinct = ~torch.eye(len(cluster), dtype=torch.bool, device=x.device)
    pair = (cluster[:, None] == cluster[None]) & whole[:, None] & whole[None] & distinct
    if config.triplet:
        # A video of several classes is no negative of either.
        shares = (targets[:, cluster.clamp_min(0)] > 0).t()  # [anchor, video]
        other = acting[:, None] & acting[None] & ~shares
        feature = (attention.unsqueeze(-1) * out.x_ca).sum(1)
        anchors = (pair.any(1) & other.any(1)).sum().clamp_min(1)
        losses["trip"] = loss_trip(feature, pair, other, config.triplet_margin) / anchors
        total = total + config.triplet * losses["trip"]
    if config.separation:
        pair = pair & several[:, None] & several[None]
        action, background = action_background(out.x_cs, out.class_logit, cluster.clamp_min(0))
        literal = loss_abs(action, background, pair, config.same_distance, config.background_margin, config.intra)
        losses["abs"] = literal / pair.sum().clamp_min(1)
        total = total + config.separation * losses["abs"]
    if s is not None:
        losses["guide"] = loss_guide(out.attention_logit, s) / (s.sum(1) > 0).sum().clamp_min(1)
        total = total + config.guide * losses["guide"]
    return {"total": total, **losses}


# The method ------------------------------------------------------------------------------------------------------------------


class TCAM(Method):
    """The method: a `StreamNet` per stream."""

    name: ClassVar = "tcam"
    title: ClassVar = "TCAM: temporal co-attention (CVPR 2020), without labels, or from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels", "clusters"})
    reach: ClassVar = None  # the global context looks at the whole video
    attention_kind: ClassVar = "distribution"

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        if unknown := set(config.streams) - set(streams):
            raise InputError(f"method.{min(unknown)}: there is no such stream; the features have {', '.join(streams)}")
        self.streams = nn.ModuleDict({name: self._fresh(name) for name in streams})

    @classmethod
    def estimate_clusters(cls, data: TrainingSet, config: Any, seed: int) -> int:
        """The number whose clusters the votes agree with best; with the paper's pooling, that whose clusters stand apart best.

        See `untrimmed.nn.votes.score_numbers` and `untrimmed.nn.spectral.estimate_clusters`. Of many videos some are looked at.
        """
        if config.pooling == "attention":
            return estimate_clusters(descriptors(data, {}), seed)
        return estimate_by_votes(data, config.stretch, config.voters, seed)

    def fit(self, data: TrainingSet, run: Run) -> None:
        """With labels: train each stream. Without: find clusters and train on them, in turn or once, see `Config.pooling`.

        Raises:
            InputError: the training diverges.
        """
        self.to(run.device)
        config = self.config
        by_votes = data.labels is None and config.pooling == "votes"
        guided = any(of_stream(config, stream).guide for stream in self.widths)
        votes = votes_of(data, run, config.stretch, config.voters) if by_votes or guided else None
        if data.labels is not None:
            self._fit_streams(data, np.asarray(data.labels, dtype=np.float32), votes, run)
        elif votes is not None and by_votes:
            targets = clusters_by_votes(data, run, votes, self._cluster, config.rounds, config.settled)
            self._fit_streams(data, targets, votes, run)
        else:
            self._fit_in_rounds(data, votes, run)
        self.eval()

    def _fit_in_rounds(self, data: TrainingSet, votes: Votes | None, run: Run) -> None:
        """Rounds of clustering and training from fresh weights, until settled."""
        for number in run.loop("round", self.config.rounds, streams=self.streams):

            def find(number: int = number) -> np.ndarray:
                self.eval()
                f = descriptors(data, {} if number == 0 else {name: self._net(name) for name in self.widths}, run.device)
                return self._cluster(f, int(run.rng("clustering").integers(2**31)))

            targets = settle(data, run, number, find, self.config.settled)
            if targets is None:
                break
            for stream in self.widths:
                with run.seeded(f"{stream} weights"):
                    self._net(stream).load_state_dict(self._fresh(stream).state_dict())
            self._fit_streams(data, targets, votes, run)

    def _cluster(self, f: np.ndarray, seed: int) -> np.ndarray:
        config = self.config
        return spectral_clustering(
            f, len(self.classes), seed=seed, graph=config.graph, exact=config.exact, landmarks=config.landmarks
        )

    def _fit_streams(self, data: TrainingSet, targets: np.ndarray, votes: Votes | None, run: Run) -> None:
        """Train every stream on targets [N, C] in {0, 1}; rows of zeros are videos without action."""
        guide = None if votes is None else guide_of(votes, targets)
        run.side_by_side(self.streams, self._fit_stream, data, targets, guide)

    def _fit_stream(
        self, stream: str, data: TrainingSet, targets: np.ndarray, guide: Sequence[np.ndarray] | None, run: Run
    ) -> None:
        """Train a stream on targets [N, C] in {0, 1} and, where S is guided, how sure each video's snippets are, N times [T]."""
        config, net = of_stream(self.config, stream), self._net(stream).train()
        guide = guide if config.guide else None
        empty = targets.sum(1) == 0
        net.background.fill_(bool(empty.any()) or targets.shape[1] == 1)
        # A video of several classes is each to a part.
        wanted = targets_of(torch.from_numpy(targets), background=bool(net.background)).to(run.device)
        several = torch.tensor([data.store.videos[video].snippets > 1 for video in data.videos]).to(run.device)
        optimizer = torch.optim.Adam(net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        steps = max(round(len(data) / (min(config.batch_clusters, targets.shape[1]) * config.batch_videos)), 1)

        for epoch in run.loop(stream, config.epochs, net=net, optimizer=optimizer):
            late = config.schedule == "half" and 2 * epoch >= config.epochs
            optimizer.param_groups[0]["lr"] = config.learning_rate * (0.1 if late else 1.0)
            sums: Counter[str] = Counter()
            for step in range(steps):
                batch = draw(targets, config.batch_clusters, config.batch_videos, run.rng(f"{stream} batch {step}"))
                x, rows = data.sample_with_rows(batch.videos, stream, run.rng(f"{stream} snippets {step}"))
                s = None
                if guide is not None:
                    s = torch.from_numpy(np.stack([guide[v][its] for v, its in zip(batch.videos, rows)])).to(run.device)
                if config.dropout:
                    left = torch.rand((len(x), 1, x.shape[2]), generator=run.torch_rng(f"{stream} dropout {step}"))
                    x *= (left >= config.dropout) / (1 - config.dropout)
                losses = losses_of(net, x.to(run.device), batch, wanted[batch.videos], several[batch.videos], config, s)
                optimizer.zero_grad(set_to_none=True)
                losses["total"].backward()
                optimizer.step()
                sums.update({name: loss.item() for name, loss in losses.items()})
            run.log(**{name: value / steps for name, value in sums.items()})

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """Per stream the attention before its softmax over time, and A (background last, where there is one)."""
        scores = {}
        for stream, x in features.items():
            out = self._net(stream)(x.unsqueeze(0))
            scores[stream] = SnippetScores(out.attention_logit[0], out.class_logit[0])
        return scores

    def pool(self, features: Mapping[str, Tensor], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """S, the softmax of the attention over time; the video's scores are the softmax of p = A^T S, without background."""
        pooled = {}
        for stream, curve in curves.items():
            assert curve.attention_logit is not None
            attention = curve.attention_logit.softmax(0)
            score = (attention @ curve.class_logit).softmax(-1)[: len(self.classes)]
            pooled[stream] = StreamActivation(
                attention.cpu().numpy(),
                curve.class_logit[:, : len(self.classes)].cpu().numpy(),
                score.double().cpu().numpy(),
            )
        return pooled

    def _fresh(self, stream: str) -> StreamNet:
        return StreamNet(self.widths[stream], len(self.classes), of_stream(self.config, stream))

    def _net(self, stream: str) -> StreamNet:
        net = self.streams[stream]
        assert isinstance(net, StreamNet)
        return net


@torch.no_grad()
def descriptors(data: TrainingSet, nets: Mapping[str, StreamNet], device: torch.device | str = "cpu") -> np.ndarray:
    """f = the streams' L2Norm(X^T S) one after the other, float32 [N, sum of D]; S is 1/T where there are no nets yet."""
    f = np.empty((len(data), sum(data.store.streams.values())), dtype=np.float32)
    for row, video in zip(f, data.videos):
        parts = []
        for stream, features in data.store.load(video, check=False).items():
            x = torch.from_numpy(features.astype(np.float32)).to(device)
            weight = nets[stream](x.unsqueeze(0)).attention_logit[0].softmax(0) if nets else x.new_full((len(x),), 1 / len(x))
            parts.append(F.normalize(weight @ x, dim=0))
        row[:] = torch.cat(parts).cpu().numpy()
    return f

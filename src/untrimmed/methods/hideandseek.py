"""Hide-and-Seek: Forcing a Network to be Meticulous for Weakly-supervised Object and Action Localization (Singh, Lee;
ICCV 2017; arXiv:1704.04232).

A classifier needs only the most telling snippets. In training, stretches of the video are hidden at random, so that it
must also learn what else belongs to the action; in use nothing is hidden. The network is a temporal class activation
map (CAM): two layers for each snippet, the maximum over time, and a softmax classifier, whose weights applied to single
snippets are the map.

The authors released code for images alone; values that the paper does not give are ours, see `hideandseek.yaml` and
docs/paper_index.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.settings import setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import JOINT, Method, SnippetScores, in_windows
from untrimmed.nn.targets import check_background, cross_entropy
from untrimmed.training import Run, TrainingSet


@dataclass(frozen=True)
class Config:
    """Hide-and-Seek's settings. Defaults are the paper's for THUMOS14, as far as it says."""

    hide: float = setting(0.5, "chance with which each stretch of a video is hidden in training", low=0, high=0.99, source="paper")
    stretches: int = setting(20, "equal stretches of a video, each hidden as a whole", low=1, source="paper: 100 of 2,000 features")
    hidden: int = setting(500, "width of the two layers", low=1, source="paper")
    background: bool = setting(True, "a class for videos without labels, which the paper does not have")
    epochs: int = setting(200, "passes over the training videos", low=1)
    batch: int = setting(16, "videos per step", low=1)
    learning_rate: float = setting(1e-4, "Adam's", low=0)
    weight_decay: float = setting(5e-4, "Adam's", low=0)


class Net(nn.Module):
    """Two layers of each snippet, D -> hidden -> hidden, each with a ReLU, and the classifier."""

    def __init__(self, width: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second, self.classifier = nn.Linear(width, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)

    def embed(self, x: Tensor) -> Tensor:
        """[..., T, D] -> [..., T, hidden]."""
        return F.relu(self.second(F.relu(self.first(x))))

    def forward(self, x: Tensor) -> Tensor:
        """The video's class logits [..., outputs] of x [..., T, D]: the classifier on the maximum over time."""
        return self.classifier(self.embed(x).amax(-2))


def hide(x: Tensor, hidden: Tensor, value: Tensor) -> Tensor:
    """x [B, T, D] in which the stretches that are `hidden`, [B, stretches] bool, are `value`, [D], throughout."""
    count, stretches = x.shape[1], hidden.shape[1]
    of_snippet = torch.arange(count, device=x.device) * stretches // count
    return torch.where(hidden[:, of_snippet].unsqueeze(-1), value, x)


def mean_feature(data: TrainingSet, streams: Mapping[str, int]) -> Tensor:
    """The mean over all snippets of all training videos, of the streams side by side: [D]."""
    sums, count = np.zeros(sum(streams.values())), 0
    for video in data.videos:
        x = data.store.load(video, list(streams), check=False)
        sums += np.concatenate([x[stream].sum(0, dtype=np.float64) for stream in streams])
        count += len(next(iter(x.values())))
    return torch.from_numpy((sums / count).astype(np.float32))


class HideAndSeek(Method):
    """The method: one `Net` on all streams side by side."""

    name: ClassVar = "hideandseek"
    title: ClassVar = "Hide-and-Seek: stretches hidden in training (ICCV 2017), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 1

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        self.net = Net(sum(streams.values()), config.hidden, len(classes) + config.background)

    def fit(self, data: TrainingSet, run: Run) -> None:
        """Train on shuffled batches, other stretches hidden in each.

        Raises:
            InputError: some videos need a background class which is switched off, or the training diverges.
        """
        config, matrix = self.config, np.asarray(data.labels, dtype=np.float32)
        check_background(config.background, matrix)
        self.to(run.device).train()
        labels, value = torch.from_numpy(matrix).to(run.device), mean_feature(data, self.widths).to(run.device)
        optimizer = torch.optim.Adam(self.net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        steps = math.ceil(len(data) / config.batch)
        for _ in run.loop(JOINT, config.epochs, net=self.net, optimizer=optimizer):
            total = 0.0
            for step, chosen in enumerate(np.array_split(run.rng("videos").permutation(len(data)), steps)):
                drawn, _ = data.draw(chosen, self.widths, partial(run.rng, f"snippets {step}"))
                hidden = torch.rand((len(chosen), config.stretches), generator=run.torch_rng(f"hidden {step}")) < config.hide
                x = hide(torch.cat(list(drawn.values()), -1).to(run.device), hidden.to(run.device), value)
                loss = cross_entropy(F.log_softmax(self.net(x), -1), labels[chosen])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += loss.item()
            run.log(total=total / steps)
        self.eval()

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """The class activation map: the classifier's weights, without its bias, on each snippet; background last."""
        embedded = self.net.embed(torch.cat([features[stream] for stream in self.widths], -1))
        return {JOINT: SnippetScores(None, F.linear(embedded, self.net.classifier.weight))}

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """Video scores: the softmax of the classifier on the maximum over time, without background. The map is relative
        to the background's."""
        cam, count = curves[JOINT].class_logit, len(self.classes)
        windows = zip(*(in_windows(features[stream], cam.device) for stream in self.widths))
        highest = torch.stack([self.net.embed(torch.cat(rows, -1)).amax(0) for rows in windows]).amax(0)
        score = self.net.classifier(highest).softmax(-1)[:count].double()
        logit = cam[:, :count] - cam[:, count:] if self.config.background else cam
        return {JOINT: StreamActivation(None, logit.cpu().numpy(), score.cpu().numpy())}

"""UntrimmedNet: UntrimmedNets for Weakly Supervised Action Recognition and Detection (Wang, Xiong, Lin, Van Gool;
CVPR 2017; arXiv:1703.03329).

A classification module scores each clip of a video by itself, x^c; a selection module says which clips the video's
label is about:

    soft selection    attention, a softmax over the clips:     p = sum_n softmax_n(x^s) softmax_c(x^c_n)
    hard selection    a class's score is that of its top clips: p = softmax_c(mean of the top x^c)

    L = -sum_c y_c log p_c        the video's labels shared equally

The paper trains the networks that see the frames together with both modules. Here features are given: what is learned
is the last layer of each module, and a clip is a snippet. Values that the paper does not give are the released code's;
see `untrimmednet.yaml` and docs/paper_index.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from untrimmed.data.settings import of_stream, setting
from untrimmed.data.types import StreamActivation
from untrimmed.methods.base import Method, SnippetScores
from untrimmed.nn.dropout import dropout
from untrimmed.nn.targets import check_background, cross_entropy
from untrimmed.training import Run, TrainingSet

MOMENTUM = 0.9
LARGEST_GRADIENT = 20.0
"""A longer gradient is shortened to this norm."""
DROPS = (0.4, 0.8)
"""After these shares of the training the learning rate falls to a tenth."""
TEMPERATURE = 3.0
"""The selection's logits are divided by it when a whole video is scored."""


@dataclass(frozen=True)
class Config:
    """UntrimmedNet's settings. Defaults are the released code's, of its RGB stream."""

    selection: Literal["soft", "hard"] = setting(
        "soft",
        "which clips count: by an attention, or the top ones of each class",
        choices=("soft", "hard"),
        source="paper",
        by_stream=False,
    )
    top: int = setting(3, "with selection=hard, how many clips of each class count", low=1, source="code")
    background: bool = setting(True, "a class for videos without labels, which the paper does not have", by_stream=False)
    dropout: float = setting(0.8, "dropout of the features", low=0, high=0.99, source="code")
    epochs: int = setting(1200, "passes over the training videos", low=1, source="code: 15,000 steps of 16 videos")
    batch: int = setting(16, "videos per step", low=1, source="code")
    learning_rate: float = setting(
        1e-3, "of stochastic gradient descent; a tenth after 0.4 and 0.8 of the epochs", low=0, source="code"
    )
    weight_decay: float = setting(5e-4, "decay of the weights, not of the biases", low=0, source="code")
    streams: dict[str, dict[str, Any]] = setting({}, "settings that differ by stream")


class StreamNet(nn.Module):
    """Both modules of one stream, a linear layer each: D -> classes (and background, last), and D -> 1."""

    def __init__(self, width: int, outputs: int, soft: bool) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, outputs)
        self.selection = nn.Linear(width, 1) if soft else None
        for layer in (self.classifier, self.selection):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.001)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        """The selection's logits [..., T], None with hard selection, and class scores [..., T, outputs] of x [..., T, D]."""
        return None if self.selection is None else self.selection(x).squeeze(-1), self.classifier(x)


def hard_score(score: Tensor, top: int) -> Tensor:
    """The mean of each class's `top` highest scores, of all where there are fewer: [..., T, C] -> [..., C]."""
    return score.topk(min(top, score.shape[-2]), dim=-2).values.mean(-2)


def log_prediction(selection: Tensor | None, score: Tensor, top: int) -> Tensor:
    """log p of each video: selection [B, T], or None with hard selection; score [B, T, C] -> [B, C]."""
    if selection is None:
        return F.log_softmax(hard_score(score, top), -1)
    return torch.logsumexp(F.log_softmax(selection, 1).unsqueeze(-1) + F.log_softmax(score, -1), 1)


class UntrimmedNet(Method):
    """The method: a `StreamNet` per stream, each trained by itself."""

    name: ClassVar = "untrimmednet"
    title: ClassVar = "UntrimmedNet: a classification and a selection module (CVPR 2017), from video-level labels"
    Config: ClassVar = Config
    learns_from: ClassVar = frozenset({"labels"})
    reach: ClassVar = 1
    attention_kind: ClassVar = "distribution"

    def __init__(self, config: Any, classes: tuple[str, ...], streams: Mapping[str, int]) -> None:
        super().__init__(config, classes, streams)
        outputs, soft = len(classes) + config.background, config.selection == "soft"
        self.streams = nn.ModuleDict({name: StreamNet(width, outputs, soft) for name, width in streams.items()})

    def fit(self, data: TrainingSet, run: Run) -> None:
        """Train each stream.

        Raises:
            InputError: some videos need a background class which is switched off, or the training diverges.
        """
        check_background(self.config.background, np.asarray(data.labels))
        self.to(run.device).train()
        run.side_by_side(self.streams, self._fit_stream, data)
        self.eval()

    def _fit_stream(self, stream: str, data: TrainingSet, run: Run) -> None:
        config, net = of_stream(self.config, stream), self._net(stream)
        labels = torch.from_numpy(np.asarray(data.labels, dtype=np.float32)).to(run.device)
        weights, biases = ([p for name, p in net.named_parameters() if name.endswith(end)] for end in ("weight", "bias"))
        groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": biases}]
        optimizer = torch.optim.SGD(groups, config.learning_rate, momentum=MOMENTUM)
        steps = math.ceil(len(data) / config.batch)
        for epoch in run.loop(stream, config.epochs, net=net, optimizer=optimizer):
            rate = config.learning_rate * 0.1 ** sum(epoch >= share * config.epochs for share in DROPS)
            for group, times in zip(optimizer.param_groups, (1, 2)):  # biases learn twice as fast, as the released code's
                group["lr"] = times * rate
            total = 0.0
            for step, chosen in enumerate(np.array_split(run.rng(f"{stream} videos").permutation(len(data)), steps)):
                x = data.sample(chosen, stream, run.rng(f"{stream} snippets {step}")).to(run.device)
                selection, score = net(dropout(x, config.dropout, run.torch_rng(f"{stream} dropout {step}")))
                loss = cross_entropy(log_prediction(selection, score, config.top), labels[chosen])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
                optimizer.step()
                total += loss.item()
            run.log(total=total / steps)

    def curves(self, features: Mapping[str, Tensor]) -> dict[str, SnippetScores]:
        """Per stream the selection's logits, and the class scores of each snippet, background last."""
        return {stream: SnippetScores(*self._net(stream)(x)) for stream, x in features.items()}

    def pool(self, features: Mapping[str, Any], curves: Mapping[str, SnippetScores]) -> dict[str, StreamActivation]:
        """The attention sums to one over the video. Of each snippet its own is the softmax of its scores; a video's
        score is that of the scores that a softer attention weighs, or of the top ones."""
        found, count = {}, len(self.classes)
        for stream, curve in curves.items():
            selection, score = curve.attention_logit, curve.class_logit
            if selection is None:
                attention, video = None, hard_score(score, of_stream(self.config, stream).top)
            else:
                attention, video = selection.softmax(0).cpu().numpy(), (selection / TEMPERATURE).softmax(0) @ score
            logit = score[:, :count] - score[:, count:] if self.config.background else score
            own = {"own": score.softmax(-1)[:, :count].cpu().numpy()}
            found[stream] = StreamActivation(attention, logit.cpu().numpy(), video.softmax(-1)[:count].double().cpu().numpy(), own)
        return found

    def _net(self, stream: str) -> StreamNet:
        net = self.streams[stream]
        assert isinstance(net, StreamNet)
        return net

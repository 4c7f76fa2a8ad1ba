"""Convolutions over time, of batches of videos of different lengths."""

from torch import Tensor, nn


class TemporalConvolution(nn.Conv1d):
    """A convolution over time that keeps the number of snippets: [B, T, D] -> [B, T, channels].

    Before a video's first snippet and after its last stand zeros, so that padding with others changes nothing.
    """

    def __init__(self, width: int, channels: int, kernel: int, *, dilation: int = 1, groups: int = 1, bias: bool = True) -> None:
        side = (kernel - 1) // 2 * dilation
        super().__init__(width, channels, kernel, padding=side, dilation=dilation, groups=groups, bias=bias)

    def forward(self, x: Tensor, inside: Tensor | None = None) -> Tensor:
        """x [B, T, D] of which `inside`, [B, T] bool, says what are snippets; None: all."""
        if inside is not None:
            x = x.masked_fill(~inside.unsqueeze(-1), 0)
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def reach_of(*convolutions: TemporalConvolution) -> int:
    """How many snippets around one decide what convolutions that follow each other say of it."""
    return 1 + sum((layer.kernel_size[0] - 1) * layer.dilation[0] for layer in convolutions)

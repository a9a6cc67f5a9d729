"""Multiplicative Gaussian noise with given noise."""

from torch import Tensor, nn, randn_like


class GaussianNoise(nn.Module):
    """Multiply by r ~ N(1, std²) in training; `mask` is r, and without one it is drawn."""

    def __init__(self, std: float = 1.0) -> None:
        super().__init__()
        self.std = std
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the noise in training."""
        if not self.training:
            return x
        return x * (1 + self.std * randn_like(x) if self.mask is None else self.mask)

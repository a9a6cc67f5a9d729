"""The stochastic rectifier of document 003 with a given mask."""

from torch import Tensor, nn, rand_like
from torch.nn import functional


class StochasticReLU(nn.Module):
    """ReLU whose units are off with probability p in training; `scaled` divides by what is on, 1 - p."""

    def __init__(self, p: float = 0.5, scaled: bool = True) -> None:
        super().__init__()
        self.p, self.scaled = p, scaled
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Rectify, and in training multiply by the mask."""
        y = functional.relu(x)
        if not self.training:
            return y
        y = y * (rand_like(x) >= self.p if self.mask is None else self.mask)
        if not self.scaled:
            return y
        return y / (1 - self.p) if self.p < 1 else y * 0

"""DropConnect with given masks: one for the batch (document 003), or one an example (Wan et al. 2013)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class DropConnect(nn.Linear):
    """A linear layer whose weights are dropped with probability p, with an activation behind it.

    per="batch" scales in training and has one mask (out, in); per="example" has masks (B, out, in), and its
    evaluation averages the activation over a Gaussian of the right mean and variance (Wan's algorithm 2).

    `mask` is what the next training pass uses and `noise` (samples, B, out) what the Gaussian is made from;
    without them they are drawn.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        p: float = 0.5,
        per: str = "batch",
        activation: nn.Module | None = None,
        samples: int = 1000,
        bias: bool = True,
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.p, self.per, self.samples = p, per, samples
        self.activation = activation
        self.mask: Tensor | None = None
        self.noise: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The activation of the linear map through the weights that stay, or of its moments."""
        activation: Callable[[Tensor], Tensor] = self.activation or nn.Identity()
        if self.training:
            shape = self.weight.shape if self.per == "batch" else (len(x), *self.weight.shape)
            mask = torch.rand(shape, device=x.device) >= self.p if self.mask is None else self.mask
            if self.per == "batch":
                z = functional.linear(x, self.weight * mask / (1 - self.p), self.bias)
            else:
                z = torch.einsum("bi,boi->bo", x, self.weight * mask)
                z = z if self.bias is None else z + self.bias
            return activation(z)
        if self.per == "batch":
            return activation(functional.linear(x, self.weight, self.bias))
        return self._moment_matched(x, activation)

    def _moment_matched(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        keep = 1 - self.p
        mean = functional.linear(x, keep * self.weight, self.bias)
        variance = functional.linear(x**2, keep * (1 - keep) * self.weight**2)
        if self.activation is None:
            return mean  # what the average of the samples tends to
        noise = torch.randn(self.samples, *mean.shape, dtype=x.dtype) if self.noise is None else self.noise
        return activation(mean + variance.sqrt() * noise).mean(0)

"""Dropout with a given mask, since `torch.nn.Dropout` only takes one of its own."""

from torch import Tensor, nn, rand


class Dropout(nn.Module):
    """Drop with probability p; `mode` says whether training or evaluation is scaled.

    `mask`, True where an element stays, is what the next training pass uses; without one it is drawn. But for
    that inverted dropout is `torch.nn.Dropout`.
    """

    def __init__(self, p: float = 0.5, mode: str = "inverted", per: str = "element") -> None:
        super().__init__()
        self.p, self.mode, self.per = p, mode, per
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the mask in training."""
        if not self.training:
            return x * (1 - self.p) if self.mode == "paper" else x
        shape = x.shape if self.per == "element" else x.shape[1:]
        mask = rand(shape, device=x.device) >= self.p if self.mask is None else self.mask
        if self.mode == "paper":
            return x * mask
        return x * mask / (1 - self.p) if self.p < 1 else x * 0

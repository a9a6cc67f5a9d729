"""PyTorch's own: `torch.optim.Adamax`."""

from torch.optim import Adamax

__all__ = ["Adamax"]

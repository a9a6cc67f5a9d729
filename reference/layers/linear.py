"""PyTorch's own: `torch.nn.Linear`."""

from torch.nn import Linear

__all__ = ["Linear"]

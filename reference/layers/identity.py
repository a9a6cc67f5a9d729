"""PyTorch's own: `torch.nn.Identity`."""

from torch.nn import Identity

__all__ = ["Identity"]

"""PyTorch's own: `torch.nn.Sigmoid`."""

from torch.nn import Sigmoid

__all__ = ["Sigmoid"]

"""PyTorch's own: `torch.nn.Tanh`."""

from torch.nn import Tanh

__all__ = ["Tanh"]

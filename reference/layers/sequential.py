"""PyTorch's own: `torch.nn.Sequential`."""

from torch.nn import Sequential

__all__ = ["Sequential"]

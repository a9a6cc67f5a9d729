"""PyTorch's own: `torch.nn.ReLU`."""

from torch.nn import ReLU

__all__ = ["ReLU"]

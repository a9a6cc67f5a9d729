"""PyTorch's own: `torch.optim.SGD`."""

from torch.optim import SGD

__all__ = ["SGD"]

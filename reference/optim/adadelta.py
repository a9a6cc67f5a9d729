"""PyTorch's own: `torch.optim.Adadelta`."""

from torch.optim import Adadelta

__all__ = ["Adadelta"]

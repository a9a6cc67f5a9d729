"""PyTorch's own: `torch.optim.Adagrad`."""

from torch.optim import Adagrad

__all__ = ["Adagrad"]

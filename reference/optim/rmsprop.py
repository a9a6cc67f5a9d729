"""PyTorch's own: `torch.optim.RMSprop`."""

from torch.optim import RMSprop

__all__ = ["RMSprop"]

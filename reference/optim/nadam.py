"""PyTorch's own: `torch.optim.NAdam`.

It keeps its product of momenta in PyTorch's default dtype, whatever the dtype of the weights: a comparison in
float64 needs `torch.set_default_dtype(torch.float64)`.
"""

from torch.optim import NAdam

__all__ = ["NAdam"]

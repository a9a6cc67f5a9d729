"""Max-norm in two lines of PyTorch.

`torch.renorm(weight, p=2, dim=0, maxnorm=length)` is nearly this. It divides by |W_i| + 1e-7, so that its
rows come out shorter than `length` by up to 1e-7 / length: `python -m reference` compares with it too, at the
tolerance that follows, while whole runs in float64 need the quotient itself.
"""

import torch
from torch import Tensor


@torch.no_grad()
def max_norm_(weight: Tensor, length: float) -> Tensor:
    """Shorten, in place, each row of `weight` that is longer than `length` to that length."""
    norms = torch.linalg.vector_norm(weight, dim=1, keepdim=True)
    return weight.mul_(length / norms.clamp(min=length))

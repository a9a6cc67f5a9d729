"""PyTorch's default dtype for the length of a comparison."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def default_dtype(dtype: str) -> Iterator[None]:
    """Make `dtype` what NAdam keeps its product in, and ToTensor its pixels, inside a `with` block."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(before)

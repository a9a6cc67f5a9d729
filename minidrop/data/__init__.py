"""Data: the IDX format, the data sets that minidrop knows, and minibatches of them."""

from minidrop.data.batches import Batches
from minidrop.data.datasets import DATASETS, Dataset, Examples, load, split, standard_moments
from minidrop.data.fetch import fetch
from minidrop.data.idx import read_idx, write_idx

__all__ = [
    "DATASETS",
    "Batches",
    "Dataset",
    "Examples",
    "fetch",
    "load",
    "read_idx",
    "split",
    "standard_moments",
    "write_idx",
]

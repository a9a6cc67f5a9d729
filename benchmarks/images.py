"""Images and labels of MNIST's shape, from a seed: passes over them take as long as over the real ones."""

import numpy as np

from benchmarks.workload import Workload
from minidrop.data import Examples

#: what a pixel is divided by
DIVISOR = 255.0
#: how many are tested at a time, as in minidrop's own runs
TEST_BATCH = 1000


def images(workload: Workload, count: int, *, test: bool = False) -> Examples:
    """Random bytes and labels, as many pixels and classes as the workload's net has inputs and outputs.

    >>> images(Workload(), 60)
    Examples(60 x 784, uint8)
    """
    rng = np.random.default_rng([workload.seed, test])
    pixels = rng.integers(0, 256, (count, workload.sizes[0]), dtype=np.uint8)
    return Examples(pixels, rng.integers(0, workload.sizes[-1], count))

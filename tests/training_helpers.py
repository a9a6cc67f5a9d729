"""A small dropout network to train, and how to compare two of them."""

import numpy as np

import minidrop as md
from minidrop.backends.numpy_backend import NumpyBackend
from minidrop.data import Batches, Examples

RNG = np.random.default_rng(0)
INPUTS = RNG.integers(0, 256, (60, 12)).astype(np.uint8)
LABELS = RNG.integers(0, 3, 60)


def build(seed=0, dtype="float64", optimizer=md.SGDHinton, **options):
    """A small dropout network in the middle of everything: two hidden layers, an optimizer, 60 examples."""
    model = md.Sequential(
        md.Dropout(0.2),
        md.Linear(12, 16, dtype=dtype),
        md.ReLU(),
        md.Dropout(0.5),
        md.Linear(16, 8, dtype=dtype),
        md.ReLU(),
        md.Linear(8, 3, dtype=dtype),
        seed=seed,
    )
    step = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer(model.parameters(), lr=0.2, **options))
    batches = Batches(Examples(INPUTS, LABELS), 8, seed=seed, scaling=md.Scaling(255), dtype=dtype)
    return step, batches


def snapshot(step):
    """Weights, slots and the number of steps."""
    arrays = [step.optimizer.parameters.flat_values, *step.optimizer.state.values()]
    return [array.copy() for array in arrays], step.optimizer.scalars()


def assert_same(first, second):
    for a, b in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert first[1] == second[1]


class Shared(NumpyBackend):
    """NumPy with a number of shares that does not depend on the machine.

    Each share has a thread of its own, as always; or all run in this one, by rising number (order=1) or by
    falling number (order=-1).
    """

    def __init__(self, shares, *, order=None):
        self.number, self.order = shares, order

    def shares(self, rows, weights):
        return self.number

    def update_shares(self, weights):
        return self.number

    def share_out(self, job, shares):
        if self.order is None:
            super().share_out(job, shares)
            return
        for share in range(shares)[:: self.order]:
            job(share)

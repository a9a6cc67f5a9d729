"""What the tests of the fused step share: recipes of chains, and a step of them by both ways."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from optim_helpers import EVERY
from tolerances import TRAINING_PATH
from training_helpers import Shared

import minidrop as md
from minidrop.backends.numpy_backend import NumpyBackend
from minidrop.layers import Layer

UNITS = {"relu": md.ReLU, "sigmoid": md.Sigmoid, "tanh": md.Tanh, "identity": md.Identity, "none": None}
#: (rate, mode, per) of a dropout
DROPOUTS = [
    (p, mode, per) for p in (0.5, 0.2) for mode in ("inverted", "paper") for per in ("element", "feature")
]


@dataclass(frozen=True)
class Chain:
    """A recipe: sizes, a unit for each hidden layer; for each matrix a dropout before it, or None; biases."""

    sizes: tuple[int, ...] = (7, 12, 9, 4)
    units: tuple[str, ...] = ("relu", "relu")
    dropouts: tuple[tuple[float, str, str] | None, ...] = (DROPOUTS[4], DROPOUTS[0], DROPOUTS[0])
    biases: tuple[bool, ...] = (True, True, True)
    nested: bool = False
    seed: int = 1

    def build(self, backend: NumpyBackend | None = None, dtype: str = "float64") -> md.Sequential:
        """The net; each time the same one."""
        with md.using_backend(backend or "numpy"):
            layers: list[Layer] = []
            for i, (n, m) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
                if self.dropouts[i] is not None:
                    p, mode, per = self.dropouts[i]
                    layers.append(md.Dropout(p, mode=mode, per=per))
                layers.append(md.Linear(n, m, bias=self.biases[i], dtype=dtype))
                if i < len(self.units) and UNITS[self.units[i]] is not None:
                    layers.append(UNITS[self.units[i]]())
            if self.nested:
                parts = [md.Sequential(*part) for part in (layers[:1], layers[1:]) if part]
                layers = [md.Sequential(*parts[:-1], md.Sequential(parts[-1]))]
            return md.Sequential(*layers, seed=self.seed)

    def batches(self, sizes, dtype="float64"):
        """Inputs N(0, 1) and labels: one batch of each size."""
        rng = np.random.default_rng([self.seed, 7])
        features, classes = self.sizes[0], self.sizes[-1]
        return [
            (rng.standard_normal((rows, features)).astype(dtype), rng.integers(0, classes, rows))
            for rows in sizes
        ]


class Adding(Shared):
    """A backend that adds a product in any case: with NumPy alone where its BLAS is not found."""

    def add_product(self, alpha, a, b, beta, c):
        if not super().add_product(alpha, a, b, beta, c):
            c *= beta
            c += alpha * (a.T @ b)
        return True


#: three batches, the second larger than the first and the third smaller: buffers grow and shrink
SIZES = (20, 33, 6)


def trainer(model, optimizer="sgd", *, fused=True, gradients=True, reduction="mean", **options):
    """A step of `model`; with `gradients`, which layers write in any case, both kinds do the same sums."""
    cls, own = ALL[optimizer] if isinstance(optimizer, str) else optimizer
    loss = md.SoftmaxCrossEntropy(reduction, backend=model.backend)
    updates = cls(model.parameters(), **(own | options))
    return md.TrainStep(model, loss, updates, fused=fused, gradients=gradients)


SLIPS = {slip: (md.SGDHinton, {"lr": 0.1, "limit": 0.5, "slips": [slip]}) for slip in md.SGDHinton.SLIPS}
ALL = EVERY | SLIPS


def schedule(optimizer, t):
    """Learning rate and momentum of step t, none of them the one before; no momentum in the first step."""
    optimizer.lr = 0.1 / (1 + t)
    if hasattr(optimizer, "momentum"):
        optimizer.momentum = (0.0, 0.5, 0.8, 0.9, 0.3)[t % 5]


def masks(model):
    return [layer.mask.copy() for _, layer in model.leaves() if isinstance(layer, md.Dropout)]


def train(step, batches):
    """What each step gives: loss, masks, weights and slots."""
    path = []
    for x, labels in batches:
        schedule(step.optimizer, step.optimizer.steps)
        loss = step(x, labels)
        numbers = [step.optimizer.parameters.flat_values, *step.optimizer.state.values()]
        path.append((loss, masks(step.model), [array.copy() for array in numbers]))
    return path


def gradients_of(step):
    return {name: parameter.grad.copy() for name, parameter in step.optimizer.parameters.items()}


def numbers_of(step):
    """Weights, slots and counts."""
    arrays = [step.optimizer.parameters.flat_values, *step.optimizer.state.values()]
    return [array.tobytes() for array in arrays], step.optimizer.scalars()


def assert_same_path(found, expected):
    """Two steps' worth of `train`, bit for bit."""
    for a, b in zip([found[0], *found[1], *found[2]], [expected[0], *expected[1], *expected[2]], strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def assert_same_bits(fused, layers, batches):
    """Also where this package's masks, gradients and counts are read."""
    assert fused.fused
    assert not layers.fused
    assert [type(layer) for _, layer in fused.model.leaves()] == [
        type(layer) for _, layer in layers.model.leaves()
    ]
    for (x, _), found, expected in zip(batches, train(fused, batches), train(layers, batches), strict=True):
        assert found[0].dtype == expected[0].dtype == x.dtype
        assert_same_path(found, expected)
    for name, gradient in gradients_of(layers).items():
        np.testing.assert_array_equal(gradients_of(fused)[name], gradient, err_msg=name)
    assert fused.optimizer.scalars() == layers.optimizer.scalars()


def assert_same_to_rounding(fused, layers, batches, tolerance=TRAINING_PATH):
    """But for the masks, which are the same bits."""
    assert fused.fused
    for found, expected in zip(train(fused, batches), train(layers, batches), strict=True):
        np.testing.assert_allclose(found[0], expected[0], rtol=tolerance, atol=tolerance)
        for a, b in zip(found[1], expected[1], strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
        for a, b in zip(found[2], expected[2], strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    assert fused.optimizer.scalars() == layers.optimizer.scalars()


@st.composite
def chains(draw, rates=(0.0, 2**-16, 0.2, 0.5, 0.8, 1.0)):
    """Random chains of one to four matrices, also of one unit."""
    n = draw(st.integers(1, 4))
    dropout = st.tuples(
        st.sampled_from(rates),
        st.sampled_from(["inverted", "paper"]),
        st.sampled_from(["element", "feature"]),
    )

    def several(values, size):
        return tuple(draw(st.lists(values, min_size=size, max_size=size)))

    return Chain(
        several(st.integers(1, 20), n + 1),
        several(st.sampled_from(list(UNITS)), n - 1),
        several(st.none() | dropout, n),
        several(st.booleans(), n),
        draw(st.booleans()),
        draw(st.integers(0, 2**32 - 1)),
    )

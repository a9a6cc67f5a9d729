"""Layers with one subtle bug each, and what check_layer must say of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from stranger_layers import BatchNorm, GlobalDropout, LeakyReLU, Linear, OwnDropout, RowNorm, Softplus

import minidrop as md

LINEAR = {"W": "dW", "b": "db"}
NORM = {"g": "dg", "b": "db"}


def reseed_numpy():
    np.random.seed(0)  # noqa: NPY002


@dataclass
class Wrong:
    make: Callable[[], Any]
    check: str  # the first check that must fail
    says: str  # a regular expression that its problems must contain
    options: Mapping[str, Any] = field(default_factory=dict)
    #: the only checks that fail, where the bug is of one kind
    only: tuple[str, ...] = ()


WRONG: dict[str, Wrong] = {}


def wrong(check, says, only=(), **options):
    def note(cls):
        WRONG[cls.__name__] = Wrong(cls, check, says, options, only)
        return cls

    return note


@wrong(
    "finite differences",
    r"gradient of W at \(\d, \d\).*\n.*got is the transpose of expected",
    parameters=LINEAR,
)
class SquareTransposed(Linear):
    def __init__(self):
        super().__init__(5, 5)

    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.dW.T.copy()
        return dx


@wrong(
    "shapes",
    r"gradient of W has shape \(3, 5\), but W has \(5, 3\): it may be the transpose",
    parameters=LINEAR,
)
class Transposed(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.dW.T.copy()
        return dx


@wrong("shapes", r"gradient of b has shape \(4,\), but b has \(3,\)", parameters=LINEAR)
class BiasWrongAxis(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy.sum(axis=1)
        return dx


GRADIENTS = ("finite differences", "complex step", "adjointness", "size one", "batch additivity")


@wrong("finite differences", r"gradient of b at .*", GRADIENTS,
       input_shape=(3, 5), parameters=LINEAR)  # fmt: skip
class BiasWrongAxisSquare(Linear):
    """The batch has as many examples as the bias has units, so the shape is right."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy.sum(axis=1)
        return dx


@wrong("shapes", r"gradient of b has shape \(1, 3\)", parameters=LINEAR)
class BiasKeepsDims(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy.sum(axis=0, keepdims=True)
        return dx


@wrong("shapes", r"gradient of b is None after backward", parameters=LINEAR)
class BiasForgotten(Linear):
    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


@wrong("repeatable", r"gradient of W differs(.|\n)*2 times expected(.|\n)*gradients add up", ("repeatable",),
       parameters=LINEAR)  # fmt: skip
class Accumulates(Linear):
    def __init__(self):
        super().__init__()
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def backward(self, dy):
        self.dW += self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


@wrong(
    "repeatable", r"gradient of W differs after passes over another x; is a cache stale\?", parameters=LINEAR
)
class StaleCache(Linear):
    def forward(self, x):
        if getattr(self, "x", None) is None:
            self.x = x
        return x @ self.W + self.b


@wrong("finite differences", r"gradient of W .*\n.*got is 2 times expected", parameters=LINEAR)
class WeightTwice(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW *= 2
        return dx


@wrong("finite differences", r"gradient of W .*\n.*got is 1/4 times expected \(the batch has 4 examples\)",
       parameters=LINEAR)  # fmt: skip
class MeanInside(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW /= len(dy)
        return dx


@wrong("finite differences", r"gradient of b .*\n.*got is expected with the sign turned", parameters=LINEAR)
class BiasSign(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = -self.db
        return dx


@wrong("finite differences", r"gradient of b at .*\n.*got is 0 where expected is not", parameters=LINEAR)
class BiasZero(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = np.zeros_like(self.b)
        return dx


@wrong("no mutation", r"backward changed dy at \(0, 0\)", ("no mutation",), parameters=LINEAR)
class MutatesDy(Linear):
    def backward(self, dy):
        dx = super().backward(dy.copy())
        dy *= 0.5
        return dx


@wrong("no mutation", r"forward changed x at \(\d, \d\)")
class MutatesX(LeakyReLU):
    def forward(self, x):
        self.slope = np.where(x > 0, 1, 0.1).astype(x.dtype)
        x *= self.slope
        return x.copy()


@wrong("no mutation", r"forward changed W", parameters=LINEAR)
class MutatesWeight(Linear):
    def forward(self, x):
        self.W *= 0.99
        return super().forward(x)


@wrong("no mutation", r"backward changed y at")
class MutatesOutput(Softplus):
    def forward(self, x):
        self.y = super().forward(x)
        return self.y

    def backward(self, dy):
        dx = super().backward(dy)
        self.y *= 0
        return dx


@wrong("memory", r"y shares memory with x", ("memory",))
class ViewOfInput:
    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy):
        return dy.reshape(self.shape).copy()


@wrong("memory", r"the outputs of two forward passes share memory", ("memory",))
class OneBuffer(LeakyReLU):
    def forward(self, x):
        y = super().forward(x)
        if getattr(self, "buffer", np.empty(0)).shape != y.shape or self.buffer.dtype != y.dtype:
            self.buffer = np.empty_like(y)
        self.buffer[...] = y
        return self.buffer


@wrong("dtype", r"y is float64 for float32 x and dy", ("dtype",))
class Upcasts(LeakyReLU):
    def forward(self, x):
        y = super().forward(x)
        return y * np.float64(1.0)


@wrong("dtype", r"gradient of b is float64 for float32 x and dy, parameters as float32: W, b", ("dtype",),
       parameters=LINEAR)  # fmt: skip
class UpcastsGradient(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = np.add.reduce(dy, axis=0, dtype=float)
        return dx


@wrong("dtype", r"y is float32 for float64 x and dy", parameters=LINEAR)
class Downcasts(Linear):
    def forward(self, x):
        return super().forward(x).astype(np.float32)


@wrong("finite differences", r"input gradient at (.|\n)*all wrong elements have x < 0")
class WrongWhereNegative(LeakyReLU):
    def backward(self, dy):
        return dy * np.where(self.slope == 1, 1, 0.2).astype(dy.dtype)


@wrong(
    "finite differences",
    r"input gradient at .*\n.*got is not 0 where expected is 0",
    freeze=reseed_numpy,
)
class MaskMissing(GlobalDropout):
    def backward(self, dy):
        return 2 * dy


@wrong("finite differences", r"input gradient .*\n.*got is 1/2 times expected", freeze=reseed_numpy)
class ScaleMissing(GlobalDropout):
    def backward(self, dy):
        return dy * (self.mask > 0)


@wrong("finite differences", r"input gradient at", freeze=lambda layer: layer.reseed(0))
class FreshMask(OwnDropout):
    def backward(self, dy):
        self.mask = (self.rng.random(self.mask.shape) < 0.5).astype(dy.dtype) * 2
        return dy * self.mask


@wrong("frozen randomness", r"y differs when forward runs again(.|\n)*freeze=", ("frozen randomness",))
class NotFrozen(OwnDropout):
    pass


@wrong("backward before forward", r"backward returned a result although forward had not run",
       ("backward before forward",))  # fmt: skip
class BeforeForward(LeakyReLU):
    def __init__(self):
        self.slope = np.float32(1.0)


@wrong("linearity of backward", r"dy = 2 a - 3 b at", ("linearity of backward",))
class ClipsLargeGradients(Softplus):
    """Only what is larger than any dy of the other checks is clipped."""

    def backward(self, dy):
        return np.clip(super().backward(dy), -2.5, 2.5)


@wrong("batch additivity", r"input gradient of other examples (.|\n)*mixes examples", ("batch additivity",),
       parameters=NORM, input_shape=(4, 5))  # fmt: skip
class MixesExamples(BatchNorm):
    """Right, but a test of layers that should not do it says so."""


@wrong("finite differences", r"input gradient at", parameters=NORM)
class NormWithoutMeanTerm(RowNorm):
    def backward(self, dy):
        super().backward(dy)
        dz = dy * self.g
        return (dz - self.z * (dz * self.z).mean(axis=1, keepdims=True)) / self.std


@wrong("finite differences", r"got is 2\.718 times expected")
class OddFactor(Softplus):
    def backward(self, dy):
        return np.asarray(np.e, dy.dtype) * super().backward(dy)


@wrong("finite differences", r"input gradient at \(2, 3\)(.|\n)*wrong at 1 of 20 elements")
class OneElement(Softplus):
    def backward(self, dy):
        dx = super().backward(dy)
        if dx.shape[0] > 2:
            dx[2, 3] *= 2
        return dx


@wrong("complex step", r"input gradient at .* \(complex step\)", ("complex step", "adjointness"))
class TinyEpsilon(Softplus):
    """Too little for differences."""

    def backward(self, dy):
        return super().backward(dy) * (1 + np.asarray(1e-9, dy.dtype))


@wrong("non-contiguous input", r"y of x in Fortran order at", ("non-contiguous input",))
class ReadsMemory(Softplus):
    def forward(self, x):
        if not x.flags.c_contiguous:
            self.x = x
            return np.log1p(np.exp(x.ravel(order="K").reshape(x.shape)))
        return super().forward(x)


@wrong("size one", r"y of a batch of one has shape \(5,\)", ("size one",))
class Squeezes(Softplus):
    def forward(self, x):
        return super().forward(x).squeeze()


@wrong(
    "size one", r"gradient of g of an empty batch is neither zero nor refused", ("size one",), parameters=NORM
)
class EmptyIsNaN(RowNorm):
    def backward(self, dy):
        dx = super().backward(dy)
        if not len(dy):
            self.dg = self.dg * np.nan
        return dx


@wrong(
    "shapes", r"it raised ValueError: .*\(wrong_layers.py, line \d+\)", ("shapes", "no mutation", "memory")
)
class Raises(Softplus):
    def backward(self, dy):
        raise ValueError("not yet")


@wrong("finite differences", r"gradient of W at .*\n.*got is the transpose of expected|got is 2 times")
class OursWithWrongFactor(md.Linear):
    """A minidrop layer finds its parameters itself."""

    def __init__(self):
        super().__init__(5, 3)

    def backward_parameters(self, dy):
        super().backward_parameters(dy)
        self.weight.grad[...] *= 2

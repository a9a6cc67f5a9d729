"""Layers whose bugs only other values, buffers, dtypes or batches show; right ones in unusual places."""

import numpy as np
import pytest
from failing import failures

import minidrop as md
from minidrop.errors import ArgumentError
from minidrop.testing import check_layer, check_loss


class Gain(md.Layer):
    """y = g x, as in the docstring of Layer, whose dx forgets g."""

    def __init__(self, begin):
        super().__init__()
        self.gain = md.Parameter((5,), md.Constant(begin), backend=self.backend)

    def own_parameters(self):
        return {"gain": self.gain}

    def forward(self, x):
        y = self.gain.value * x
        self.save(x, output=y)
        return y

    def backward(self, dy):
        (x,) = self.saved(dy)
        self.gain.grad[...] = (x * dy).sum(axis=0)
        return dy.copy()


class Gated(Gain):
    """y = x + g tanh(x) with the gate closed, whose dx forgets what is behind it."""

    def forward(self, x):
        y = x + self.gain.value * np.tanh(x)
        self.save(np.tanh(x), output=y)
        return y


class Bounded:
    """min(max(x, 0), 6) without the upper bound in the backward pass."""

    def forward(self, x):
        self.x = x
        return np.clip(x, 0, 6)

    def backward(self, dy):
        return dy * (self.x > 0)


class AloneDivided(md.Linear):
    def backward_parameters(self, dy):
        super().backward_parameters(dy)
        self.weight.grad[...] /= len(dy)

    def backward(self, dy):
        dx = super().backward(dy)
        self.weight.grad[...] *= len(dy)
        return dx


class AloneLost(Gain):
    """A right backward pass, beside one for the parameters alone that writes nothing."""

    def backward(self, dy):
        super().backward(dy)
        return self.gain.value * dy

    def backward_parameters(self, dy):
        pass


class OneBuffer(md.Layer):
    """y = tanh(x)², whose backward pass writes over what it saved, if buffers are used again."""

    def forward(self, x):
        t = self.array("a", x.shape, x.dtype)
        np.tanh(x, out=t)
        y = t * t
        self.save(t, output=y)
        return y

    def backward(self, dy):
        (t,) = self.saved(dy)
        s = self.array("a", t.shape, t.dtype)
        np.multiply(t, t, out=s)
        return 2 * dy * t * (1 - s)


class OtherInFloat32:
    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dy):
        return dy * self.x if dy.dtype == "float32" else 2 * dy * self.x


class FirstBatchSize:
    """y = x - mean(x) over the batch, whose size it keeps from its first one."""

    def __init__(self):
        self.n = None

    def forward(self, x):
        self.n = self.n or len(x)
        return x - x.mean(axis=0)

    def backward(self, dy):
        return dy - dy.sum(axis=0) / self.n


@pytest.mark.parametrize(
    ("layer", "options", "check"),
    [
        (Gain(1), {}, "elsewhere"),
        (Gated(0), {}, "elsewhere"),
        (Bounded(), {}, "elsewhere"),
        (AloneDivided(5, 3), {}, "training step"),
        (AloneLost(1), {}, "training step"),
        (md.Sequential(AloneDivided(5, 3), md.Tanh()), {}, "training step"),
        (OneBuffer(), {}, "training step"),
        (md.Sequential(md.Linear(5, 3), OneBuffer(), md.Linear(3, 2)), {}, "training step"),
        (OtherInFloat32(), {}, "dtype"),
        (FirstBatchSize(), {"skip": "batch additivity"}, "repeatable"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "forward") else "",
)
def test_a_layer_that_is_right_at_first_sight(layer, options, check):
    assert failures(check_layer, layer, **options) == [check]


class Log:
    def forward(self, x):
        self.x = x
        return np.log(x)

    def backward(self, dy):
        return dy / self.x


class Logit(Log):
    def forward(self, x):
        if not ((x > 0) & (x < 1)).all():
            raise ValueError("probabilities must be in (0, 1)")
        self.x = x
        return np.log(x / (1 - x))

    def backward(self, dy):
        return dy / (self.x * (1 - self.x))


class Rows(md.Layer):
    """y = x² of rows that sum to 1."""

    def forward(self, x):
        if abs(x.sum(axis=1) - 1).max(initial=0) > 1e-3:
            raise ValueError("rows must sum to 1")
        y = x * x
        self.save(x, output=y)
        return y

    def backward(self, dy):
        (x,) = self.saved(dy)
        return 2 * x * dy


class Clip:
    def forward(self, x):
        self.x = x
        return np.clip(x, -0.3, 0.3)

    def backward(self, dy):
        return dy * (abs(self.x) <= 0.3)


class Exp:
    def forward(self, x):
        with np.errstate(over="ignore"):
            self.y = np.exp(x)
        return self.y.copy()

    def backward(self, dy):
        return dy * self.y


class NoiseByDtype:
    def reseed(self):
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        self.keep = self.rng.random(x.shape, dtype=x.dtype) < 0.5
        return x * self.keep

    def backward(self, dy):
        return dy * self.keep


class Shift:
    """y = x + b, which needs nothing of forward."""

    def __init__(self):
        self.b = np.zeros(5)

    def forward(self, x):
        return x + self.b

    def backward(self, dy):
        self.db = dy.sum(axis=0)
        return dy.copy()


class SharpSoftmax:
    def forward(self, x):
        e = np.exp(100 * (x - x.max(axis=1, keepdims=True)))
        self.p = e / e.sum(axis=1, keepdims=True)
        return self.p.copy()

    def backward(self, dy):
        return 100 * self.p * (dy - (self.p * dy).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("highest", [16, 255])
def test_pixels_as_they_are_in_bytes(highest, seed):
    x = np.random.default_rng(seed).integers(0, highest + 1, (4, 64)).astype(float)
    assert check_layer(md.Sequential(md.Linear(64, 3), md.Tanh(), seed=seed), x).passed


@pytest.mark.parametrize("seed", range(10))
def test_steep_places_of_a_logarithm(seed):
    assert check_layer(Log(), np.random.default_rng(seed).random((8, 10)), analytic=True).passed
    assert check_layer(Log(), np.random.default_rng(seed).random((8, 10)), analytic=False).passed


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (md.Sigmoid(), np.full((2, 3), 40.0)),
        (md.Tanh(), np.full((2, 3), 40.0)),
        (md.Sequential(md.Linear(3, 3), md.Tanh()), np.array([[1990.0, 3, 1], [2005, 7, 0]])),
        (SharpSoftmax(), np.random.default_rng(0).standard_normal((4, 5))),
        (Logit(), np.random.default_rng(0).uniform(0.2, 0.8, (4, 5))),
        (Rows(), np.random.default_rng(0).dirichlet(np.ones(5), 4)),
        (Clip(), np.random.default_rng(0).choice([-0.3, 0.1, 0.3], (4, 3))),
        (Exp(), np.full((2, 3), 100.0)),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "forward") else "",
)
def test_a_right_layer_in_an_unusual_place_passes(layer, x):
    assert check_layer(layer, x).passed


def test_random_numbers_may_be_others_in_float32():
    assert check_layer(NoiseByDtype(), freeze=lambda layer: layer.reseed()).passed


def test_a_backward_pass_that_needs_nothing_may_have_parameters():
    report = check_layer(Shift(), parameters={"b": "db"})
    assert report["backward before forward"].note == "needs nothing of forward"


def test_a_place_where_forward_does_not_work_is_left_out():
    class Root(Gain):
        def forward(self, x):
            y = np.sqrt(self.gain.value - 1) + x
            self.save(output=y)
            return y

        def backward(self, dy):
            self.saved(dy)
            self.gain.grad[...] = dy.sum(axis=0) / (2 * np.sqrt(self.gain.value - 1))
            return dy.copy()

    assert check_layer(Root(1.05))["elsewhere"].note == "forward is not finite there"


def test_a_tolerance_for_no_check_is_refused():
    with pytest.raises(ArgumentError, match=r"a check in tolerance must be one of .*finite differences"):
        check_layer(md.ReLU(), tolerance={"finite difference": 1e-3})
    with pytest.raises(ArgumentError, match="a check in tolerance must be one of "):
        check_loss(md.SoftmaxCrossEntropy(), tolerance={"linearity of backward": 1e-3})

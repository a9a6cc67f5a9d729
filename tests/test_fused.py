"""The fused step against the layers one after another, and against derivatives that know of neither."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optim_helpers import EVERY
from threadpoolctl import threadpool_limits
from tolerances import COMPLEX_STEP, REORDERED, TRAINING_PATH, TRAINING_PATH_FLOAT32
from training_helpers import Shared

import minidrop as md
from minidrop.backends.numpy_backend import NumpyBackend
from minidrop.errors import ArrayError, MinidropError, UsageError
from minidrop.layers import Layer
from minidrop.optim import OPTIMIZERS, Group

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


# -- one share: the same bits ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dropout", [None, *DROPOUTS[:4]], ids=str)
def test_every_block_has_the_bits_of_its_layers(dropout, bias, unit, dtype):
    chain = Chain(units=(unit,) * 2, dropouts=(None, dropout, dropout), biases=(bias,) * 3)
    steps = [trainer(chain.build(dtype=dtype), "torch", fused=fused) for fused in (True, False)]
    assert_same_bits(*steps, chain.batches(SIZES, dtype))


@given(
    chain=chains(rates=(0.0, 2**-16, 0.5, 1 - 2**-16, 1.0)),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    dtype=st.sampled_from(["float32", "float64"]),
    name=st.sampled_from(["sgd", "sgd-hinton", "adam"]),
    reduction=st.sampled_from(["mean", "sum"]),
)
def test_any_chain_has_the_bits_of_its_layers(chain, sizes, dtype, name, reduction):
    steps = [
        trainer(chain.build(dtype=dtype), name, fused=fused, reduction=reduction) for fused in (True, False)
    ]
    with np.errstate(all="ignore"):  # a rate next to 1 scales by 65536 until nothing is finite any more
        assert_same_bits(*steps, chain.batches(sizes, dtype))


@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize(("mode", "per"), [case[1:] for case in DROPOUTS[:4]])
@pytest.mark.parametrize("unit", UNITS)
def test_dropout_of_nothing_and_of_everything(unit, mode, per, p):
    chain = Chain(units=(unit,) * 2, dropouts=((p, mode, per),) * 3)
    steps = [trainer(chain.build(), fused=fused) for fused in (True, False)]
    assert_same_bits(*steps, chain.batches(SIZES))


@pytest.mark.parametrize("decay", [0, 0.05])
@pytest.mark.parametrize("name", ALL)
def test_every_optimizer_takes_the_same_path(name, decay):
    """With groups, and with a second projection that binds in all layers."""
    groups = {"1.weight": Group(lr_scale=0.5), "*.bias": Group(lr_scale=2.0, weight_decay=0.0)}
    options = {"weight_decay": decay, "groups": groups, "projections": [md.MaxNorm(0.9, layers="all")]}
    chain = Chain()
    steps = [trainer(chain.build(), name, fused=fused, **options) for fused in (True, False)]
    assert_same_bits(*steps, chain.batches(SIZES + SIZES))


def test_no_optimizer_is_left_out():
    assert {cls for cls, _ in ALL.values()} == set(OPTIMIZERS.values())


@pytest.mark.parametrize("unit", UNITS)
def test_masks_can_be_given(unit):
    """For one dropout a mask an element, for another one that broadcasts, and drawn ones again afterwards."""
    chain, rng = Chain(units=(unit,) * 2), np.random.default_rng(3)
    given_masks = [rng.random((20, 7)) < 0.5, rng.random((1, 12)) < 0.5, None]
    steps = [trainer(chain.build(), fused=fused) for fused in (True, False)]
    for step in steps:
        dropouts = [layer for _, layer in step.model.leaves() if isinstance(layer, md.Dropout)]
        for layer, mask in zip(dropouts, given_masks, strict=True):
            layer.use_mask(mask)
    assert_same_bits(*steps, chain.batches((20, 20)))
    found = masks(steps[0].model)
    np.testing.assert_array_equal(found[0], given_masks[0])
    np.testing.assert_array_equal(found[1], np.tile(given_masks[1], (20, 1)))
    for step in steps:
        for _, layer in step.model.leaves():
            if isinstance(layer, md.Dropout):
                layer.use_mask(None)
    assert_same_bits(*steps, chain.batches((20, 6)))


def test_a_run_may_change_between_the_two_kinds_of_step():
    """Both leave weights, slots and counts behind in which the other goes on."""
    chain = Chain()
    mixed, layers = (trainer(chain.build(), "adam", fused=fused) for fused in (True, False))
    other = md.TrainStep(mixed.model, mixed.loss, mixed.optimizer, fused=False)
    batches = chain.batches((20, 33, 6, 20))
    expected = train(layers, batches)
    found = [
        train(step, [batch])[0] for step, batch in zip((mixed, other, mixed, other), batches, strict=True)
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert_same_path(ours, theirs)


@pytest.mark.parametrize("shares", [1, 3])
def test_a_mask_can_be_read_after_its_step(shares):
    """It is that of the lanes of (seed, place, step), whatever step the layers drew before."""
    chain = Chain(
        dropouts=((0.2, "inverted", "element"), (0.5, "paper", "feature"), (0.5, "inverted", "element"))
    )
    step = trainer(chain.build(Adding(shares)))
    step.model.set_step(17)
    for t, (x, labels) in enumerate(chain.batches(SIZES)):
        step(x, labels)
        for position, shape in ((0, x.shape), (3, (12,)), (6, (len(x), 9))):
            layer = step.model[position]
            lanes = layer.stream.lanes(int(np.prod(shape)), t).reshape(shape)
            np.testing.assert_array_equal(layer.mask, lanes >= round(layer.drop_prob * 65536), strict=True)


# -- several shares: the same to rounding ------------------------------------------------------------------


@pytest.mark.parametrize("shares", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_shares_change_rounding_only(name, gradients, shares):
    """Also where there are more of them than blocks of rows or units, so that some have nothing to do."""
    chain, options = Chain(), {"groups": {"*.bias": Group(lr_scale=2.0)}, "projections": [md.MaxNorm(0.9)]}
    fused = trainer(chain.build(Adding(shares)), name, gradients=gradients, **options)
    layers = trainer(chain.build(), name, fused=False, **options)
    assert_same_to_rounding(fused, layers, chain.batches((70, 33, 6, 70)))


@given(
    chain=chains(),
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=3),
    shares=st.integers(1, 7),
    gradients=st.booleans(),
)
def test_any_chain_in_any_number_of_shares(chain, sizes, shares, gradients):
    fused = trainer(chain.build(Adding(shares)), "ema", gradients=gradients)
    layers = trainer(chain.build(), "ema", fused=False)
    with np.errstate(all="ignore"):
        assert_same_to_rounding(fused, layers, chain.batches(sizes))


@pytest.mark.parametrize("shares", [1, 3])
def test_shares_change_rounding_only_in_float32(shares):
    chain = Chain()
    fused = trainer(chain.build(Adding(shares), "float32"), "sgd-hinton", gradients=False)
    layers = trainer(chain.build(dtype="float32"), "sgd-hinton", fused=False)
    assert_same_to_rounding(fused, layers, chain.batches((70, 33), "float32"), TRAINING_PATH_FLOAT32)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("shares", [2, 3, 5])
def test_the_same_shares_give_the_same_bits(shares, unit):
    """Whether they run at once or in turn, from the first or from the last: none looks at another's work."""
    chain, paths = Chain((30, 40, 50, 10), (unit,) * 2), []
    with threadpool_limits(1, "blas"):
        for order in (None, None, 1, -1):
            step = trainer(chain.build(Adding(shares, order=order)), "sgd-hinton", gradients=False)
            paths.append(train(step, chain.batches((90, 64))))
    for path in paths[1:]:
        for found, expected in zip(path, paths[0], strict=True):
            assert_same_path(found, expected)


def test_a_share_that_fails_fails_the_step():
    """The last examples belong to another thread; what numpy.errstate says holds there too."""
    chain = Chain(dropouts=(None,) * 3)
    step, expected = (trainer(chain.build(Adding(3)), "adam") for _ in range(2))
    (x, labels), good = chain.batches((60, 60))
    x[-1] = 1e308 * np.sign(step.model[0].weight.value[0])
    before = numbers_of(step)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        step(x, labels)
    assert numbers_of(step) == before
    assert_same_path(train(step, [good])[0], train(expected, [good])[0])


def test_a_batch_is_shared_out_where_the_threads_have_enough_to_do():
    """The rule is the backend's; here with what the step asks of it."""
    asked = []

    class Asked(Shared):
        def shares(self, rows, weights):
            asked.append((rows, weights))
            return super().shares(rows, weights)

    chain = Chain()
    step = trainer(chain.build(Asked(2)))
    train(step, chain.batches((20, 6)))
    assert asked == [(20, step.optimizer.parameters.size), (6, step.optimizer.parameters.size)]


# -- weight gradients that go straight into the velocity ---------------------------------------------------

LINEAR = ("sgd", "torch", "dampened", "classical", "ema", "hinton", "sgd-hinton")


@pytest.mark.parametrize("shares", [1, 3])
@pytest.mark.parametrize("name", LINEAR)
def test_a_weights_gradient_is_not_there_where_none_was_written(name, shares):
    chain = Chain()
    step = trainer(chain.build(Adding(shares)), name, gradients=False)
    for x, labels in chain.batches((70, 33)):
        step(x, labels)
    for parameter_name, parameter in step.optimizer.parameters.items():
        try:
            said = "written" if parameter.grad.any() else "zeros"
        except UsageError as error:
            said = str(error).partition("; ")[2]
        is_bias = parameter_name.endswith("bias")
        assert said == ("written" if is_bias else "TrainStep(..., gradients=True) writes it")


def test_the_next_gradient_that_is_written_can_be_read():
    chain = Chain()
    step, twin = (trainer(chain.build(Adding(1)), gradients=gradients) for gradients in (False, True))
    first, second = chain.batches((20, 33))
    for trained in (step, twin):
        trained(*first)
    twin.model.load_state_dict(step.model.state_dict())
    layers = md.TrainStep(step.model, step.loss, step.optimizer, fused=False)
    layers(*second)
    twin(*second)
    for name, gradient in gradients_of(twin).items():
        np.testing.assert_array_equal(gradients_of(layers)[name], gradient, err_msg=name)


@pytest.mark.parametrize("shares", [Shared(1), Shared(3), Shared(5, order=1), Shared(5, order=-1)])
def test_a_batch_that_blas_cannot_read_has_its_gradients_written(shares):
    """Every second column of a larger array, here with more shares than units."""
    chain = Chain((7, 4, 4, 3), dropouts=(None,) * 3)
    fused, layers = trainer(chain.build(shares), gradients=False), trainer(chain.build(), fused=False)
    x, labels = chain.batches((40,))[0]
    apart = np.repeat(x, 2, axis=1)[:, ::2]
    fused(apart, labels), layers(x, labels)
    gradient = gradients_of(layers)["0.weight"]
    np.testing.assert_allclose(fused.model[0].weight.grad, gradient, rtol=REORDERED, atol=REORDERED)
    np.testing.assert_allclose(
        *(step.optimizer.parameters.flat_values for step in (fused, layers)),
        rtol=TRAINING_PATH,
        atol=TRAINING_PATH,
    )


@pytest.mark.parametrize("name", [name for name in ALL if name not in LINEAR and name not in SLIPS])
def test_an_update_that_is_not_linear_gets_its_gradients(name):
    chain = Chain()
    first = trainer(chain.build(), name, gradients=False, lr=0.1)
    second = trainer(chain.build(), name, fused=False, lr=0.1)
    for x, labels in chain.batches((20,)):
        assert first(x, labels) == second(x, labels)
    for parameter_name, gradient in gradients_of(second).items():
        np.testing.assert_array_equal(gradients_of(first)[parameter_name], gradient)


@pytest.mark.parametrize("name", LINEAR)
def test_with_weight_decay_every_gradient_is_written(name):
    chain = Chain()
    steps = [
        trainer(chain.build(Adding(1)), name, fused=fused, gradients=False, weight_decay=0.05)
        for fused in (True, False)
    ]
    assert_same_bits(*steps, chain.batches(SIZES))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_groups_that_have_weight_decay_and_groups_that_have_none(momentum):
    """Momentum that stands still, too: form torch then leaves its velocity alone."""
    chain = Chain()
    options = {"momentum": momentum, "groups": {"4.weight": Group(weight_decay=0.1, lr_scale=0.5)}}
    paths = []
    for fused in (True, False):
        step = trainer(chain.build(), "torch", fused=fused, gradients=False, **options)
        for x, labels in chain.batches(SIZES):
            step(x, labels)
        paths.append([step.optimizer.parameters.flat_values, *step.optimizer.state.values()])
    for a, b in zip(*paths, strict=True):
        np.testing.assert_allclose(a, b, rtol=TRAINING_PATH, atol=TRAINING_PATH)


def signs(base):
    """An update of its own, of a class that inherits everything else."""

    class Signs(base):
        def update(self, xp, w, g, lr, *slots):
            w -= lr * np.sign(g)

    return Signs


def clipped(base):
    """Something done to the gradients before a step."""

    class Clipped(base):
        def step(self):
            np.clip(self.parameters.flat_gradients, -1e-3, 1e-3, out=self.parameters.flat_gradients)
            super().step()

    return Clipped


def by_norm(base):
    """A step whose length is the same whatever the gradients are, as `begin_step` finds them."""

    class ByNorm(base):
        def begin_step(self):
            super().begin_step()
            self.lr = 0.1 / np.linalg.norm(self.parameters.flat_gradients)

    return ByNorm


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("base", [md.SGD, md.Momentum, md.SGDHinton, md.Adam])
@pytest.mark.parametrize("change", [signs, clipped, by_norm])
def test_a_subclass_of_an_optimizer_trains_as_it_says(change, base, gradients):
    chain, optimizer = Chain(), (change(base), {"lr": 0.1})
    paths = []
    for fused in (True, False):
        step = trainer(chain.build(Adding(1)), optimizer, fused=fused, gradients=gradients)
        for x, labels in chain.batches(SIZES):
            step(x, labels)
        paths.append(step.optimizer.parameters.flat_values)
    np.testing.assert_allclose(*paths, rtol=TRAINING_PATH, atol=TRAINING_PATH)


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("name", ["sgd", "sgd-hinton", "adam"])
def test_a_copied_step_trains_its_own_model(name, gradients):
    chain = Chain()
    step = trainer(chain.build(), name, gradients=gradients)
    expected = trainer(chain.build(), name, gradients=gradients)
    batches = chain.batches(SIZES)
    train(step, batches[:1]), train(expected, batches[:1])
    twin, before = copy.deepcopy(step), numbers_of(step)
    for found, wanted in zip(train(twin, batches[1:]), train(expected, batches[1:]), strict=True):
        assert_same_path(found, wanted)
    assert numbers_of(step) == before


# -- what is a chain, and what is not ----------------------------------------------------------------------


class Square(Layer):
    """A layer of a stranger."""

    def forward(self, x):
        self.save(x)
        return x * x

    def backward(self, dy):
        (x,) = self.saved(dy)
        return 2 * x * dy


def sequential(*layers):
    return lambda: md.Sequential(*(layer() for layer in layers))


def linear(n=4, m=4):
    return lambda: md.Linear(n, m, dtype="float64")


def subclass(cls, *arguments, **options):
    return lambda: type(f"My{cls.__name__}", (cls,), {})(*arguments, **options)


CHAINS = {
    "Linear": sequential(linear()),
    "Dropout, Linear": sequential(md.Dropout, linear()),
    "Linear, Linear": sequential(linear(), linear()),
    "Linear, Dropout, Linear": sequential(linear(), md.Dropout, linear()),
    "Linear, Tanh, Dropout, Linear": sequential(linear(), md.Tanh, md.Dropout, linear()),
    "nested": sequential(sequential(linear(), md.ReLU), sequential(sequential(md.Dropout), linear())),
}
NO_CHAINS = {
    "a Linear alone": linear(),
    "a layer of one's own": sequential(linear(), Square, linear()),
    "a subclass of Linear": sequential(linear(), subclass(md.Linear, 4, 4, dtype="float64")),
    "a subclass of ReLU": sequential(linear(), subclass(md.ReLU), linear()),
    "a subclass of Dropout": sequential(linear(), subclass(md.Dropout, 0.5), linear()),
    "a subclass of Sequential": lambda: type("MySequential", (md.Sequential,), {})(linear()()),
    "DropConnect": sequential(lambda: md.DropConnect(4, 4, dtype="float64"), linear()),
    "DropConnect alone": sequential(lambda: md.DropConnect(4, 4, dtype="float64")),
    "noise": sequential(linear(), lambda: md.GaussianNoise(0.1), linear()),
    "StochasticReLU": sequential(linear(), md.StochasticReLU, linear()),
    "a unit first": sequential(md.ReLU, linear()),
    "a unit behind the first dropout": sequential(md.Dropout, md.ReLU, linear()),
    "a unit last": sequential(linear(), md.ReLU),
    "dropout last": sequential(linear(), md.Dropout),
    "two units": sequential(linear(), md.ReLU, md.Tanh, linear()),
    "two dropouts": sequential(linear(), md.Dropout, md.Dropout, linear()),
    "two dropouts first": sequential(md.Dropout, md.Dropout, linear()),
    "dropout before the unit": sequential(linear(), md.Dropout, md.ReLU, linear()),
}
BATCH = np.random.default_rng(0).standard_normal((6, 4)), np.array([0, 3, 1, 1, 2, 0])


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_fused_unless_that_is_not_wanted(name):
    assert trainer(CHAINS[name]()).fused
    assert not trainer(CHAINS[name](), fused=False).fused
    assert_same_bits(*(trainer(CHAINS[name](), "torch", fused=fused) for fused in (True, False)), [BATCH] * 3)


@pytest.mark.parametrize("name", NO_CHAINS)
def test_what_is_no_chain_is_trained_by_its_layers(name):
    step, layers = (trainer(NO_CHAINS[name](), "torch", fused=fused) for fused in (True, False))
    assert not step.fused
    before = step.optimizer.parameters.flat_values.copy()
    for found, expected in zip(train(step, [BATCH] * 2), train(layers, [BATCH] * 2), strict=True):
        assert_same_path(found, expected)
    assert not np.array_equal(step.optimizer.parameters.flat_values, before)


def test_a_loss_of_ones_own_is_not_fused():
    class Half(md.SoftmaxCrossEntropy):
        def scale(self, rows):
            return 0.5 / rows

    model = CHAINS["Linear"]()
    assert not md.TrainStep(model, Half(), md.SGD(model.parameters())).fused


@pytest.mark.parametrize("fused", [False, True])
def test_matrices_that_do_not_fit_are_the_layers_error(fused):
    step = trainer(sequential(linear(4, 3), linear(4, 4))(), fused=fused)
    assert not step.fused
    with pytest.raises(
        ArrayError, match=r"the input of Linear\(4, 4\) must have shape \(any, 4\), got \(6, 3\)"
    ):
        step(*BATCH)


# -- bad input ---------------------------------------------------------------------------------------------


def with_nan(x):
    x = x.copy()
    x[2, 1] = np.nan
    return x


BAD = {
    "too many features": lambda x, t: (np.ones((6, 5)), t),
    "one example without its batch": lambda x, t: (x[0], t[:1]),
    "three axes": lambda x, t: (x[:, :, None], t),
    "no example": lambda x, t: (x[:0], t[:0]),
    "float32": lambda x, t: (x.astype("float32"), t),
    "integers": lambda x, t: (x.astype(int), t),
    "a list": lambda x, t: (x.tolist(), t),
    "NaN": lambda x, t: (with_nan(x), t),
    "infinity": lambda x, t: (abs(x) / 0, t),
    "infinities of both signs": lambda x, t: (x / 0, t),
    "a label too large": lambda x, t: (x, t + 1),
    "a label below 0": lambda x, t: (x, t - 1),
    "too few labels": lambda x, t: (x, t[:5]),
    "labels as a column": lambda x, t: (x, t[:, None]),
    "labels as floats": lambda x, t: (x, t.astype(float)),
    "labels as a list": lambda x, t: (x, t.tolist()),
    "both": lambda x, t: (with_nan(x), t + 1),
}


def numbers_of(step):
    """Weights, slots and counts."""
    arrays = [step.optimizer.parameters.flat_values, *step.optimizer.state.values()]
    return [array.tobytes() for array in arrays], step.optimizer.scalars()


def error_of(step, batch):
    """The class and the words of what a step refuses a batch with."""
    try:
        step(*batch)
    except MinidropError as error:
        return type(error), str(error)
    return None


@pytest.mark.parametrize("shares", [1, 3])
@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("dropout", [(), (md.Dropout,)], ids=["", "dropout"])
def test_bad_input_is_the_layers_error_and_changes_nothing(kind, dropout, shares):
    make = sequential(*dropout, linear(), md.ReLU, md.Dropout, linear())
    with md.using_backend(Adding(shares)):
        step = trainer(make(), "adam")
    never, layers = trainer(make(), "adam", fused=False), trainer(make(), "adam", fused=False)
    with np.errstate(all="ignore"):
        bad = BAD[kind](*BATCH)
    train(step, [BATCH]), train(never, [BATCH])
    before = numbers_of(step)
    expected = error_of(layers, bad)
    assert expected is not None
    assert error_of(step, bad) == expected
    assert numbers_of(step) == before
    for found_step, expected_step in zip(train(step, [BATCH]), train(never, [BATCH]), strict=True):
        np.testing.assert_allclose(found_step[0], expected_step[0], rtol=TRAINING_PATH)
        for a, b in zip(found_step[2], expected_step[2], strict=True):
            np.testing.assert_allclose(a, b, rtol=TRAINING_PATH, atol=TRAINING_PATH)


def test_a_mask_that_does_not_fit_is_the_layers_error():
    errors = []
    for fused in (True, False):
        step = trainer(CHAINS["Linear, Dropout, Linear"](), "adam", fused=fused)
        step.model[1].use_mask(np.ones((5, 4), bool))
        before = numbers_of(step)
        with pytest.raises(ArrayError, match="which does not fit") as error:
            step(*BATCH)
        assert numbers_of(step) == before
        errors.append(str(error.value))
        step.model[1].use_mask(None)
        step(*BATCH)
    assert errors[0] == errors[1]


# -- the gradient, from the formula of the loss alone ------------------------------------------------------

FORMULAS = {
    "relu": lambda z: np.where(z.real > 0, z, 0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "identity": lambda z: z,
    "none": lambda z: z,
}


def mean_loss(chain, weights, given_masks, x, labels):
    """The mean cross-entropy of a chain in plain NumPy, also for complex weights."""
    for i, (p, mode, _) in enumerate(chain.dropouts):
        x = x * given_masks[i] / (1 - p if mode == "inverted" else 1)
        x = x @ weights[2 * i].T + weights[2 * i + 1]
        x = FORMULAS[chain.units[i]](x) if i < len(chain.units) else x
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(labels)), labels]).mean()


@pytest.mark.parametrize("shares", [1, 3])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("dropouts", [DROPOUTS[:3], DROPOUTS[1:4]], ids=["element", "feature"])
@pytest.mark.parametrize("unit", UNITS)
def test_a_step_descends_the_derivative_of_the_loss(unit, dropouts, gradients, shares):
    """w - w' of plain gradient descent with rate 1 is dL/dw, here by complex step."""
    chain = Chain((4, 5, 6, 3), (unit, unit), tuple((0.5, mode, per) for _, mode, per in dropouts))
    step = trainer(chain.build(Adding(shares)), gradients=gradients, lr=1.0)
    (x, labels), rng, given_masks = chain.batches((20,))[0], np.random.default_rng(5), []
    for _, layer in step.model.leaves():
        if isinstance(layer, md.Dropout):
            size = chain.sizes[len(given_masks)]
            given_masks.append(rng.random((20, size) if layer.per == "element" else size) < 0.5)
            layer.use_mask(given_masks[-1])
    parameters = list(step.optimizer.parameters.values())
    weights = [parameter.value.astype(complex) for parameter in parameters]
    loss = step(x, labels)
    np.testing.assert_allclose(
        loss, mean_loss(chain, weights, given_masks, x, labels).real, rtol=COMPLEX_STEP
    )
    for parameter, w in zip(parameters, weights, strict=True):
        descent = w.real - parameter.value
        for where in np.ndindex(*w.shape):
            w[where] += 1e-30j
            slope = mean_loss(chain, weights, given_masks, x, labels).imag / 1e-30
            w[where] = w[where].real
            np.testing.assert_allclose(descent[where], slope, rtol=COMPLEX_STEP, atol=COMPLEX_STEP)

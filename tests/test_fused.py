"""The fused step against the layers one after another, and against derivatives that know of neither."""

import numpy as np
import pytest
from fused_helpers import (
    ALL,
    DROPOUTS,
    SIZES,
    UNITS,
    Adding,
    Chain,
    assert_same_bits,
    assert_same_path,
    assert_same_to_rounding,
    chains,
    masks,
    numbers_of,
    train,
    trainer,
)
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits
from tolerances import COMPLEX_STEP, TRAINING_PATH_FLOAT32
from training_helpers import Shared

import minidrop as md
from minidrop.optim import OPTIMIZERS, Group

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

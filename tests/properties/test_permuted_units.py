"""Hidden units have no names: a net with its units permuted trains as the net itself, permuted.

W and W' = (W permuted in the rows of one matrix and the columns of the next) stay so through whole trainings,
with masks, the optimizer's memory, weight decay, groups and max-norm.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optim_helpers import EVERY
from strategies import seeds, share
from tolerances import TRAINING_PATH

import minidrop as md

STEPS = 6
#: Adam and its kin divide by √v + ε. Where a gradient is nearly 0 a small ε would magnify its last bits.
LARGE_EPS = {"adam", "adam as printed", "adamw", "adagrad", "rmsprop", "rmsprop with momentum"} | {
    "rmsprop centered",
    "adamax",
    "nadam",
}
UNITS = {"relu": md.ReLU, "sigmoid": md.Sigmoid, "tanh": md.Tanh}


def build(unit, sizes, name, mode):
    """A net of one hidden layer, with dropout before it and behind it, and a step of the optimizer `name`."""
    n, hidden, classes = sizes
    model = md.Sequential(
        md.Dropout(0.2, mode=mode),
        md.Linear(n, hidden, dtype="float64"),
        UNITS[unit](),
        md.Dropout(0.4, mode=mode),
        md.Linear(hidden, classes, dtype="float64"),
    )
    cls, options = EVERY[name]
    options = options | {"weight_decay": 0.05, "groups": {"*.bias": md.Group(lr_scale=0.5)}}
    if name in LARGE_EPS:
        options["eps"] = 1e-3
    if cls is not md.SGDHinton:
        options["projections"] = [md.MaxNorm(0.5, layers="all")]
    return md.TrainStep(model, md.SoftmaxCrossEntropy(), cls(model.parameters(), **options))


def permuted(arrays, order):
    """The arrays of weights, or of a slot, with the hidden units in another order."""
    return {
        "1.weight": arrays["1.weight"][order],
        "1.bias": arrays["1.bias"][order],
        "4.weight": arrays["4.weight"][:, order],
        "4.bias": arrays["4.bias"],
    }


@pytest.mark.parametrize("name", EVERY)
@share(0.3)
@given(
    unit=st.sampled_from(list(UNITS)),
    sizes=st.tuples(st.integers(1, 5), st.integers(2, 7), st.integers(2, 4)),
    mode=st.sampled_from(["inverted", "paper"]),
    data=st.data(),
    seed=seeds,
)
def test_permuting_units_commutes_with_training(name, unit, sizes, mode, data, seed):
    order = np.array(data.draw(st.permutations(range(sizes[1])), label="order"))
    plain, other = (build(unit, sizes, name, mode) for _ in range(2))
    rng = np.random.default_rng(seed)
    arena = plain.model.parameters()
    arena.flat_values[...] = rng.normal(0, 0.7, arena.size)
    other.model.load_state_dict(permuted(plain.model.state_dict(), order))
    for _ in range(STEPS):
        x, labels = rng.standard_normal((5, sizes[0])), rng.integers(0, sizes[2], 5)
        visible, hidden = rng.random((5, sizes[0])) > 0.2, rng.random((5, sizes[1])) > 0.4
        for step, mask in ((plain, hidden), (other, hidden[:, order])):
            step.model[0].use_mask(visible)
            step.model[3].use_mask(mask)
        loss = plain(x, labels)
        np.testing.assert_allclose(other(x, labels), loss, rtol=TRAINING_PATH, atol=TRAINING_PATH)
    twin = other.model.parameters()
    memories = [(arena.flat_values, twin.flat_values)]
    memories += [(slot, other.optimizer.state[key]) for key, slot in plain.optimizer.state.items()]
    for mine, theirs in memories:
        expected, found = permuted(arena.views(mine), order), twin.views(theirs)
        for key, array in expected.items():
            np.testing.assert_allclose(found[key], array, rtol=TRAINING_PATH, atol=TRAINING_PATH, err_msg=key)

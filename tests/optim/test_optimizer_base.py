"""What all optimizers share: groups, pieces, dtype, the order of things, and what a step leaves alone."""

from typing import Any

import numpy as np
import pytest
from optim_helpers import EVERY, assert_same_path, make, random_gradients, run, small_model, start_of
from tolerances import OPTIMIZER_PATH_FLOAT32
from training_helpers import Shared

import minidrop as md
from minidrop.errors import ArgumentError
from minidrop.optim import OPTIMIZERS, Group, Optimizer

every_optimizer = pytest.mark.parametrize("name", EVERY)
GRADIENTS = random_gradients(0, 10)


def by_name(optimizer: Optimizer) -> dict[str, np.ndarray]:
    return {name: parameter.value.copy() for name, parameter in optimizer.parameters.items()}


# -- shares ----------------------------------------------------------------------------------------------


@every_optimizer
@pytest.mark.parametrize("shares", [2, 3, 7])
def test_shares_of_an_update_change_no_bit(name, shares):
    """Also where there are more of them than units; an update knows one weight, a projection one unit."""
    options = {
        "weight_decay": 0.1,
        "groups": {"1.*": Group(lr_scale=0.5), "*.bias": Group(weight_decay=0.0)},
        "projections": [md.MaxNorm(0.5, layers="all")],
    }
    expected = run(make(name, **options), GRADIENTS)
    for order in (None, 1, -1):
        model = small_model(backend=Shared(shares, order=order))
        np.testing.assert_array_equal(run(make(name, model, **options), GRADIENTS), expected)


# -- groups ----------------------------------------------------------------------------------------------


@every_optimizer
def test_a_group_is_trained_as_by_an_optimizer_of_its_own(name):
    """Updates act on each weight by itself, so two whole runs show what each group of a mixed one must do."""
    lr = EVERY[name][1]["lr"]
    mixed = make(name, weight_decay=0.1, groups={"*.bias": Group(lr_scale=0.5, weight_decay=0.3)})
    for_weights = make(name, weight_decay=0.1)
    for_biases = make(name, weight_decay=0.3, lr=0.5 * lr)
    for optimizer in (mixed, for_weights, for_biases):
        run(optimizer, GRADIENTS)
    weights, biases = by_name(for_weights), by_name(for_biases)
    for parameter, value in by_name(mixed).items():
        expected = biases if parameter.endswith("bias") else weights
        np.testing.assert_array_equal(value, expected[parameter])


def changes(groups: dict[str, Group], gradient: float = 1.0, **options: Any) -> dict[str, float]:
    """By how much one step of SGD with lr 1 changes each parameter; all weights are 1 before it."""
    optimizer = md.SGD(small_model().parameters(), lr=1.0, groups=groups, **options)
    optimizer.parameters.flat_values[...] = 1.0
    run(optimizer, np.full((1, 39), gradient))
    values = by_name(optimizer)
    assert all((value == value.flat[0]).all() for value in values.values())
    return {name: float(value.flat[0]) - 1.0 for name, value in values.items()}


def test_the_first_matching_pattern_counts():
    found = changes({"0.*": Group(lr_scale=0.0), "*.bias": Group(lr_scale=0.5), "*": Group(lr_scale=0.25)})
    assert found == {
        "0.weight": 0.0,
        "0.bias": 0.0,
        "1.weight": -0.25,
        "1.bias": -0.5,
        "2.weight": -0.25,
        "2.bias": -0.5,
    }


def test_a_group_takes_over_what_it_does_not_say():
    groups = {"0.weight": Group(weight_decay=0.0), "1.weight": Group(weight_decay=0.25), "2.*": Group()}
    found = changes(groups, gradient=0.0, weight_decay=0.5)
    assert found == {
        "0.weight": 0.0,
        "0.bias": -0.5,
        "1.weight": -0.25,
        "1.bias": -0.5,
        "2.weight": -0.5,
        "2.bias": -0.5,
    }


def test_decay_of_a_group_alone():
    found = changes({"2.bias": Group(weight_decay=0.25)}, gradient=0.0)
    assert {name for name, change in found.items() if change} == {"2.bias"}


def test_decoupled_decay_goes_by_the_groups_learning_rate():
    optimizer = md.AdamW(
        small_model().parameters(), lr=0.5, weight_decay=0.5, groups={"0.bias": Group(lr_scale=0.5)}
    )
    optimizer.parameters.flat_values[...] = 1.0
    run(optimizer, np.zeros((1, 39)))
    assert {name: float(value.flat[0]) for name, value in by_name(optimizer).items()} == {
        name: 0.875 if name == "0.bias" else 0.75 for name in optimizer.parameters
    }


def test_patterns_mind_upper_and_lower_case():
    found = changes({"*.[!B]ias": Group(lr_scale=0.0)})
    assert {name for name, change in found.items() if change == 0} == {"0.bias", "1.bias", "2.bias"}


@pytest.mark.parametrize("pattern", ["3.weight", "weight", "*.Bias", ""])
def test_a_pattern_that_matches_nothing_is_refused(pattern):
    with pytest.raises(ArgumentError, match=r"matches no parameter; there are 0\.weight, 0\.bias"):
        md.SGD(small_model().parameters(), lr=1.0, groups={"*.bias": Group(), pattern: Group()})


@pytest.mark.parametrize("groups", [{"0.weight": Group()}, None])
def test_groups_are_set_once(groups):
    """Neither by the optimizer's own mapping nor by the one that it was given: steps know them already."""
    optimizer = md.SGD(small_model().parameters(), lr=1.0, groups=groups)
    with pytest.raises(TypeError, match="does not support item assignment"):
        optimizer.groups["0.weight"] = Group(lr_scale=0.0)
    with pytest.raises(AttributeError, match="no setter"):
        optimizer.groups = {"0.weight": Group(lr_scale=0.0)}
    if groups:
        groups["0.weight"] = Group(lr_scale=0.0)
    assert dict(optimizer.groups) == ({"0.weight": Group()} if groups else {})


# -- pieces ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 10_000, None])
@every_optimizer
def test_the_size_of_the_pieces_changes_no_bit(name, chunk, monkeypatch):
    options: dict[str, Any] = {"weight_decay": 0.1, "groups": {"*.bias": Group(lr_scale=0.5)}}
    if chunk is None and EVERY[name][0] is md.SGDHinton:
        options["limit"] = 0  # see test_max_norm
    whole = run(make(name, **options), GRADIENTS)
    monkeypatch.setattr(type(md.get_backend("numpy")), "chunk", chunk)
    np.testing.assert_array_equal(run(make(name, **options), GRADIENTS), whole)


# -- dtype -----------------------------------------------------------------------------------------------


@every_optimizer
def test_float32_stays_float32_and_follows_the_float64_path(name):
    model = small_model("float32")
    optimizer, reference = make(name, model, weight_decay=0.1), make(name, weight_decay=0.1)
    arena = reference.parameters
    arena.flat_values[...] = optimizer.parameters.flat_values
    path, expected = run(optimizer, random_gradients(1, 30)), run(reference, random_gradients(1, 30))
    scratch = optimizer.temporary("scratch", optimizer.parameters.flat_values)
    for array in (path, scratch, optimizer.parameters.flat_gradients, *optimizer.state.values()):
        assert array.dtype == np.float32
    assert set(optimizer.state) == set(optimizer.slots)
    np.testing.assert_allclose(path, expected, rtol=OPTIMIZER_PATH_FLOAT32, atol=OPTIMIZER_PATH_FLOAT32)


# -- what a step does and leaves alone -------------------------------------------------------------------


@every_optimizer
def test_gradients_are_read_only(name):
    optimizer = make(name, weight_decay=0.1)
    for g in GRADIENTS:
        run(optimizer, g[None])
        np.testing.assert_array_equal(optimizer.parameters.flat_gradients, g)


@pytest.mark.parametrize("name", [name for name in EVERY if name != "published"])  # which ignores lr at first
def test_learning_rate_zero_changes_no_bit(name):
    optimizer = make(name, lr=0.0, weight_decay=0.1)
    optimizer.projections.clear()
    path = run(optimizer, np.concatenate([np.zeros((1, 39)), GRADIENTS]))
    np.testing.assert_array_equal(path, np.broadcast_to(start_of(make(name)), path.shape))


@every_optimizer
def test_steps_are_counted(name):
    optimizer = make(name)
    assert optimizer.steps == 0
    run(optimizer, GRADIENTS)
    assert optimizer.steps == len(GRADIENTS)


def test_max_norm_of_what_is_no_weight_matrix_is_refused_before_any_step():
    with pytest.raises(ArgumentError, match=r"max-norm names 0\.bias; the weight matrices are 0\.weight"):
        make("sgd", projections=[md.MaxNorm({"0.bias": 2.0})])


def test_projections_come_after_the_update_in_their_order():
    seen = []

    class Recorder:
        def __init__(self, name: str) -> None:
            self.name = name

        def apply(self, parameters, share: int, shares: int) -> None:
            assert (share, shares) == (0, 1)
            seen.append((self.name, float(parameters.flat_values[0])))
            parameters.flat_values[0] += 100.0

    model = small_model()
    model.parameters().flat_values[0] = 3.0
    optimizer = md.SGD(model.parameters(), lr=1.0, projections=(Recorder("first"), Recorder("second")))
    run(optimizer, np.ones((2, 39)))
    assert seen == [("first", 2.0), ("second", 102.0), ("first", 201.0), ("second", 301.0)]


def test_any_optimizer_takes_max_norm_and_remembers_nothing_of_it():
    """Without decay Adam's moves depend on gradients only: a free run shows what a projected step adds."""
    limit, free = md.MaxNorm(0.25), make("adam")
    moves = np.diff(run(free, GRADIENTS), axis=0, prepend=start_of(make("adam"))[None])
    by_hand = small_model().parameters()
    expected = []
    for move in moves:
        by_hand.flat_values += move
        limit.apply(by_hand)
        expected.append(by_hand.flat_values.copy())
    assert_same_path(run(make("adam", projections=[limit]), GRADIENTS), np.array(expected))


def test_two_optimizers_share_no_memory():
    """Each has slots and scratch of its own; what one does must not reach the other's model."""
    alone = run(make("nadam", weight_decay=0.1), GRADIENTS)
    first, second = make("nadam", weight_decay=0.1), make("nadam", small_model(seed=1), weight_decay=0.1)
    paths = []
    for g in GRADIENTS:
        paths.append(run(first, g[None])[0])
        run(second, -g[None])
    np.testing.assert_array_equal(paths, alone)


def test_an_optimizer_without_a_formula_says_so():
    with pytest.raises(NotImplementedError):
        Optimizer(small_model().parameters(), lr=0.1).step()


def test_every_optimizer_has_a_name_for_configurations_and_is_tested_here():
    assert {
        "sgd": md.SGD,
        "momentum": md.Momentum,
        "hinton": md.SGDHinton,
        "adam": md.Adam,
        "adamw": md.AdamW,
        "adagrad": md.Adagrad,
        "adadelta": md.Adadelta,
        "rmsprop": md.RMSprop,
        "adamax": md.Adamax,
        "nadam": md.NAdam,
    } == OPTIMIZERS
    assert {cls for cls, _ in EVERY.values()} == set(OPTIMIZERS.values())

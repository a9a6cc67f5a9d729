"""Checks of the fused step and of the threads that share it; square nets, so that no bug fails by shape."""

import pytest
import test_fused
import test_fused_chains
import test_fused_gradients
import test_operations
import test_optimizer_base
import test_own_classes
import test_team
import test_threads
from checks import add
from fused_helpers import DROPOUTS, UNITS, Chain
from threads_helpers import StopError

import minidrop as md
from minidrop import threads
from minidrop.backends.numpy_backend import NumpyBackend

NETS = {unit: Chain((6, 6, 6, 6), (unit, unit), (DROPOUTS[4], *DROPOUTS[:1] * 2)) for unit in UNITS}
NETS["relu, per feature"] = Chain((6, 6, 6, 6), ("relu", "tanh"), (DROPOUTS[5],) * 3)
for name, chain in NETS.items():
    add(
        f"fused bits, {name}",
        test_fused.test_any_chain_has_the_bits_of_its_layers,
        chain=chain,
        sizes=[20, 33, 6],
        dtype="float64",
        name="sgd-hinton",
        reduction="mean",
    )
    for gradients in (False, True):
        add(
            f"fused shares{' with gradients' if gradients else ''}, {name}",
            test_fused.test_any_chain_in_any_number_of_shares,
            chain=chain,
            sizes=[70, 40],
            shares=3,
            gradients=gradients,
        )
for name in ("sgd", "sgd-hinton", "stale-norm"):
    add(
        f"shares of {name}", test_fused.test_shares_change_rounding_only, name=name, gradients=False, shares=3
    )
add(
    "fused derivative",
    test_fused.test_a_step_descends_the_derivative_of_the_loss,
    unit="tanh",
    dropouts=DROPOUTS[:3],
    gradients=True,
    shares=1,
)
add("shares of an update", test_optimizer_base.test_shares_of_an_update_change_no_bit, name="adam", shares=3)
add(
    "no gradient",
    test_fused_gradients.test_a_weights_gradient_is_not_there_where_none_was_written,
    name="sgd",
    shares=1,
)
add(
    "fused weight decay",
    test_fused_gradients.test_with_weight_decay_every_gradient_is_written,
    name="sgd-hinton",
)
add("order of shares", test_fused.test_the_same_shares_give_the_same_bits, shares=3, unit="relu")
add("masks of a fused step", test_fused.test_a_mask_can_be_read_after_its_step, shares=3)
for kind in ("NaN", "a label too large", "three axes"):
    add(
        f"bad input: {kind}",
        test_fused_chains.test_bad_input_is_the_layers_error_and_changes_nothing,
        kind=kind,
        dropout=(),
        shares=1,
    )
for name in (
    "dropout before the unit",
    "two dropouts",
    "a subclass of Linear",
    "a unit last",
    "dropout last",
):
    add(f"no chain: {name}", test_fused_chains.test_what_is_no_chain_is_trained_by_its_layers, name=name)
add(
    "no chain: a container of one's own",
    test_own_classes.test_a_container_with_passes_of_its_own_is_not_fused_away,
)
add("a chain", test_fused_chains.test_a_chain_is_fused_unless_that_is_not_wanted, name="nested")
add("a loss of one's own", test_fused_chains.test_a_loss_of_ones_own_is_not_fused)
for name, change in (("a step", test_fused_gradients.clipped), ("an update", test_fused_gradients.signs)):
    add(
        f"{name} of one's own",
        test_fused_gradients.test_a_subclass_of_an_optimizer_trains_as_it_says,
        change=change,
        base=md.SGD,
        gradients=False,
    )

# -- what a fused step is made of --------------------------------------------------------------------------

for block in (20, 1000):
    add(
        f"fused forward, blocks of {block}",
        test_operations.test_bias_relu_dropout,
        shape=(12, 5),
        dtype="float64",
        seed=0,
        keep_kind="element",
        has_bias=True,
        scale=1.25,
        block=block,
        host=NumpyBackend,
    )
    add(
        f"fused backward, blocks of {block}",
        test_operations.test_relu_dropout_backward,
        shape=(12, 5),
        dtype="float64",
        seed=0,
        scale=1.25,
        block=block,
        host=NumpyBackend,
    )
add(
    "rows of a mask",
    test_operations.test_the_rows_of_a_mask_can_be_drawn_apart,
    rows=9,
    features=7,
    cuts=[3, 4],
    step=1,
)

# -- threads -----------------------------------------------------------------------------------------------


def with_team(test, **arguments):
    """A test with a team of its own."""
    return lambda: test(threads.Team(), **arguments)


def with_libraries(test, **arguments):
    """A test that says which libraries there are."""

    def check():
        with pytest.MonkeyPatch.context() as patch:
            found = []
            patch.setattr(threads, "_controllers", lambda: found)
            test(found, **arguments)

    return check


add("spans", test_team.test_everything_belongs_to_one_share, n=37, shares=3, multiple=8)
add("each share once", with_team(test_team.test_each_share_is_done_once, shares=3))
add(
    "an error in a share",
    with_team(
        test_team.test_what_a_share_raises_is_raised_after_all_have_ended,
        failing=1,
        kind=StopError,
    ),
)
add(
    "floating-point errors in a share",
    with_team(
        test_team.test_what_the_caller_says_of_floating_point_errors_holds_in_every_share,
        share_that_divides=1,
    ),
)
add(
    "threads after an error",
    with_libraries(test_threads.test_all_threads_come_back_after_an_error, failing=1),
)
add(
    "threads of no known library",
    with_libraries(test_threads.test_without_a_blas_that_is_known_there_is_one_thread),
)
add(
    "rule of shares",
    test_threads.test_a_step_is_shared_by_all_threads_or_by_none,
    rows=100,
    weights=10**7,
    number=8,
)
add("threads of two libraries", with_libraries(test_threads.test_each_library_gets_its_own_number_back))
add(
    "threads after two callers",
    with_libraries(test_threads.test_all_threads_come_back_after_two_callers_at_once, call="side_by_side"),
)

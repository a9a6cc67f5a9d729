"""Checks of layers, masks and random streams; nets and matrices are square, so that no bug fails by shape."""

import test_all_masks
import test_batches_of_examples
import test_dropconnect
import test_dropout
import test_gradients
import test_keep_rates
import test_layers
import test_net_gradients
import test_operations
import test_own_classes
import test_sequential
import test_stochastic
import test_streams
import test_symmetries
import test_without_dropout
from checks import Scripted, add
from strategies import Net, batch_for

import minidrop as md
from minidrop.backends.numpy_backend import NumpyBackend

# -- layers and nets ---------------------------------------------------------------------------------------

for layer in test_gradients.CASES:
    add(
        f"gradients of {layer}",
        test_gradients.test_every_gradient_is_the_derivative_by_complex_step,
        name=layer,
        training=True,
        shape=(3, 3),
    )
NET = Net((3, 3, 3), (("inverted", "linear", "tanh", 0.3), ("paper", "linear", "relu", 0.3)), seed=1)
add(
    "gradients of a net",
    test_net_gradients.check_gradients,
    model=NET.build(),
    batch=batch_for(NET, size=3, seed=1),
    step=0,
)
add(
    "a duplicated batch",
    test_batches_of_examples.test_a_duplicated_batch_changes_nothing,
    net=NET,
    size=3,
    copies=2,
    seed=0,
)
add(
    "additivity over batches",
    test_batches_of_examples.test_a_loss_is_additive_over_batches,
    net=NET,
    size=4,
    data=Scripted(cut=1),
    seed=0,
)
CHOICES = Scripted(**{"hidden layer": 0, "exponents": [-1, 0, 2]})
RELU_NET = {"sizes": [3, 3, 2], "p": 0.2, "mode": "inverted", "seed": 1}
add("rescaled units", test_symmetries.test_a_relu_unit_can_be_rescaled, **RELU_NET, data=CHOICES)
add("conserved quantity", test_symmetries.test_the_conserved_quantity_of_a_relu_unit, **RELU_NET)
add(
    "shifted logits",
    test_symmetries.test_softmax_does_not_see_what_is_added_to_a_row,
    drawn=(4, 3, 0),
    reduction="mean",
)
add(
    "training with drop 0",
    test_without_dropout.test_training_with_drop_0_is_evaluation,
    net=NET,
    size=3,
    seed=0,
    step=0,
)
add(
    "parameter gradients of any layer",
    test_layers.test_backward_parameters_writes_what_backward_writes,
    name="DropConnect, per example",
)
add(
    "gradients of a first layer of one's own",
    test_own_classes.test_a_backward_pass_of_ones_own_gives_the_first_layers_gradients,
    make=lambda: md.Sequential(test_own_classes.Doubled(8, 3, dtype="float64")),
)
add(
    "seeds in a container",
    test_own_classes.test_the_seed_and_the_step_reach_what_is_inside,
    kind=test_own_classes.Around,
)
add("parameter gradients alone", test_sequential.test_parameter_gradients_alone_are_the_same_gradients)
add(
    "gradients are written",
    test_layers.test_gradients_are_written_and_not_accumulated,
    name="Linear",
    training=True,
)
add("results share no memory", test_layers.test_two_results_never_share_memory, name="Linear", training=True)

# -- masks -------------------------------------------------------------------------------------------------

for mode in ("inverted", "paper"):
    add(
        f"mean of {mode} dropout",
        test_all_masks.test_the_mean_over_all_masks_is_the_evaluation,
        n=4,
        p=0.3,
        mode=mode,
        seed=0,
    )
add(
    "variance behind dropout",
    test_all_masks.test_the_variance_behind_dropout_follows_the_law,
    n=4,
    p=0.3,
    examples=2,
    mode="inverted",
    seed=0,
)
add("mean of StochasticReLU", test_all_masks.test_stochastic_relu_needs_its_scale, n=4, p=0.3, seed=0)
add(
    "moments of DropConnect",
    test_all_masks.test_dropconnect_with_a_mask_an_example_has_the_moments_of_wan,
    shape=(2, 3),
    p=0.3,
    seed=0,
)
add(
    "mean of DropConnect",
    test_all_masks.test_dropconnect_with_one_mask_a_batch_evaluates_to_the_mean,
    shape=(2, 2),
    p=0.3,
    seed=0,
)
add(
    "the mean net",
    test_all_masks.test_the_mean_net_is_the_normalised_geometric_mean_of_all_nets,
    n=4,
    classes=3,
    unit=md.Sigmoid,
    p=0.5,
    mode="paper",
    seed=0,
)
for p in (0.1, 0.3, 0.5, 0.9):
    add(
        f"keep rate {p}",
        test_keep_rates.test_what_is_dropped_is_binomial,
        name="dropout",
        p=p,
        seed=0,
        step=0,
    )
add(
    "independent masks",
    test_keep_rates.test_neighbours_steps_and_layers_agree_as_often_as_independent_ones_do,
    p=0.5,
    seed=0,
)
add("masks of lanes", test_dropout.test_a_mask_is_a_function_of_seed_position_and_step, mode="inverted")
add("plain masks", test_operations.test_keep_mask, n=100_003, start=0, host=NumpyBackend)
add("every lane once", test_dropout.test_the_expectation_is_exact, drop_prob=0.2)
add("nearest rate", test_dropout.test_the_rate_is_the_nearest_multiple_of_a_lane)
add("next step", test_dropout.test_each_training_pass_draws_the_next_step_and_evaluation_draws_none)
add(
    "factors in evaluation",
    test_dropout.test_the_table_of_factors,
    mode="inverted",
    per="element",
    training=False,
)
add(
    "masks of DropConnect",
    test_dropconnect.test_masks_are_lanes_of_the_step_an_example_after_the_other,
    per="example",
)
add(
    "masks of both passes",
    test_dropconnect.test_the_backward_pass_is_that_of_its_forward_pass_whatever_step_is_next,
    per="example",
)
add("moment matching", test_dropconnect.test_moment_matching_averages_the_activation_over_gaussian_draws)
add("moments of noise", test_stochastic.test_noise_has_mean_1_and_the_given_deviation)
add("philox bits", test_streams.test_the_bits_are_numpys_philox_under_the_documented_key_and_counter)
add("order of lanes", test_streams.test_a_word_gives_four_lanes_lowest_bits_first)
add(
    "pieces of lanes",
    test_streams.test_any_piece_of_lanes_is_that_slice_of_one_long_draw,
    n=40,
    start=37,
    step=3,
)

"""Checks of the loss, initial weights, optimizers, batches and whole runs."""

from pathlib import Path

import numpy as np
import test_adam
import test_adaptive
import test_batches
import test_building
import test_evaluation_inputs
import test_fitting
import test_initializers
import test_losses
import test_max_norm
import test_momentum
import test_operations
import test_optimizer_base
import test_optimizer_resume
import test_paper_mode
import test_parameters
import test_permuted_units
import test_probes
import test_replicas
import test_schedules
import test_sgd_hinton
import test_training
import test_training_machine
from checks import Scripted, add
from strategies import Net

import minidrop as md
from minidrop import threads
from minidrop.backends.numpy_backend import NumpyBackend
from minidrop.config import TrainConfig

# -- loss, initial weights, optimizers ---------------------------------------------------------------------

LOGITS = np.random.default_rng(0).normal(0, 3, (4, 3)), np.array([0, 2, 1, 1])
add(
    "loss",
    test_losses.test_the_loss_is_its_formula_and_the_gradient_its_derivative,
    reduction="mean",
    batch=LOGITS,
)
add(
    "plain loss",
    test_operations.test_softmax_cross_entropy,
    rows=4,
    classes=3,
    dtype="float64",
    seed=0,
    scale=0.125,
    host=NumpyBackend,
)
add(
    "plain max-norm",
    test_operations.test_limit_row_norms,
    rows=6,
    columns=3,
    dtype="float64",
    seed=0,
    limit=2.0,
    block=20,
    host=NumpyBackend,
)
add(
    "plain batches",
    test_operations.test_gather,
    examples=5,
    features=3,
    batch=4,
    stored="uint8",
    dtype="float64",
    scaling=md.Scaling(255.0, 0.1307, 0.3081),
    seed=0,
)
add("huge logits", test_losses.test_huge_logits_stay_finite_and_right, dtype="float64")
add("normal weights", test_initializers.test_normals, initializer=md.Normal(0.5, mean=2.0))
add("scaled weights", test_initializers.test_normals, initializer=md.Scaled(md.FanIn(), 0.8))
add("default weights", test_initializers.test_the_default_is_that_of_torch)
add("sgd", test_momentum.test_sgd_follows_its_formula, seed=0, steps=5, decay=0.2)
for form in test_momentum.FORMS:
    add(
        f"momentum, {form}",
        test_momentum.test_each_form_follows_its_formula,
        seed=0,
        form=form,
        steps=5,
        decay=0.2,
    )
for name, options in (("nesterov", {"nesterov": True}), ("dampening", {"dampening": 0.3})):
    add(
        f"momentum, {name}",
        test_momentum.test_the_options_of_the_torch_form,
        seed=0,
        options=options,
        steps=5,
        decay=0.2,
    )
#: the first case of each class whose ε is so large that its place in the formula shows
LARGE_EPS = {
    cls.__name__: case for case in reversed(test_adaptive.CASES) if case[2]["eps"] >= 0.1 for cls in case[:1]
}
LARGE_EPS["RMSprop, centered"] = next(case for case in test_adaptive.CASES if case[2].get("centered"))
for name, (cls, formula, options) in LARGE_EPS.items():
    add(
        name,
        test_adaptive.test_follows_its_formula,
        seed=0,
        cls=cls,
        formula=formula,
        options=options,
        steps=5,
        decay=0.2,
    )
add(
    "Adam's first step",
    test_adam.test_the_first_step_is_the_learning_rate_against_the_gradients_sign,
    scale=1.0,
)
add("Adam along a line", test_adam.test_along_a_constant_gradient_every_step_is_the_learning_rate)
add(
    "the paper's update",
    test_sgd_hinton.test_the_paper_updates_then_projects_and_the_velocity_does_not_see_it,
    seed=0,
    limit=test_sgd_hinton.LIMIT,
)
add("the paper's update with pauses", test_sgd_hinton.test_slips_together, seed=0, chosen=frozenset())
add("the paper's values", test_sgd_hinton.test_the_papers_values_are_the_defaults)
add("squared limit", test_max_norm.test_squared_bounds_the_squared_length)
add("limited layers", test_max_norm.test_hidden_layers_are_all_but_the_last)
add(
    "short rows",
    test_max_norm.test_short_rows_keep_their_bits_and_long_ones_their_direction,
    seed=0,
    limit=1.0,
    dtype="float64",
)
add("projections last", test_optimizer_base.test_projections_come_after_the_update_in_their_order)
add("steps are counted", test_optimizer_base.test_steps_are_counted, name="sgd")
add(
    "permuted units",
    test_permuted_units.test_permuting_units_commutes_with_training,
    name="sgd-hinton",
    unit="relu",
    sizes=(3, 4, 2),
    mode="inverted",
    data=Scripted(order=[2, 0, 3, 1]),
    seed=0,
)
add("linear schedule", test_schedules.test_linear_of_the_paper)
add("exponential schedule", test_schedules.test_exponential_of_the_paper)
for name in ("adam", "nadam", "dampened"):
    add(
        f"resume {name}",
        test_optimizer_resume.test_a_second_optimizer_continues_the_first_ones_path,
        name=name,
        cut=7,
    )

# -- whole runs --------------------------------------------------------------------------------------------


def training_machine(name: str) -> None:
    """One path through the state machine that does everything once."""
    machine = test_training_machine.TrainingMachine()
    machine.start(name=name, seed=1)
    try:
        machine.train(times=2)
        machine.save()
        machine.pass_on_the_side(rows=2, set_step=None)
        machine.train(times=1)
        machine.evaluate()
        machine.switch(training=False)
        machine.train(times=2)
        machine.is_where_the_plain_run_was()
        machine.look_at_masks()
        draw_last = Scripted(**{"": machine.saved[-1]})
        for fresh in (True, False):
            machine.resume(data=draw_last, fresh=fresh)
            machine.is_where_the_plain_run_was()
            machine.train(times=3)
            machine.is_where_the_plain_run_was()
    finally:
        machine.teardown()


for name in ("adam", "torch"):
    add(f"training machine, {name}", training_machine, name=name)
add(
    "mode before a step",
    test_training_machine.test_a_step_trains_in_whatever_mode_the_model_was,
    net=Net((3, 3), (("gaussian", "linear", "tanh", 0.3),), seed=1),
    batch_seed=0,
    name="adam",
)
PAPER = TrainConfig(
    layers="3-4-3-2",
    dropout="0.2,0.5,0.5",
    init="normal:0.7",
    bias_init="normal:0.3",
    lr=0.1,
    limit=0.8,
    weight_decay=0.05,
    dtype="float64",
)
add(
    "paper and inverted",
    test_paper_mode.test_inverted_dropout_can_follow_the_papers_trajectory,
    config=PAPER,
    seed=0,
)
add("scalings", test_building.test_scalings)
add("initial weights without dropout", test_building.test_initial_weights_do_not_depend_on_dropout)


class NoFolder:
    """A tmp_path_factory for a run that writes nothing."""

    def getbasetemp(self) -> Path:
        return Path("nowhere")


add(
    "inputs in evaluation",
    test_evaluation_inputs.test_an_example_has_the_same_inputs_in_training_and_evaluation,
    tmp_path_factory=NoFolder(),
    normalise="unit",
    dtype="float64",
    seed=0,
    size=1000,
)
add("epochs differ", test_batches.test_epochs_and_seeds_differ_and_repeat)
add("pieces of an epoch", test_batches.test_an_epoch_is_the_permutation_of_its_stream_in_pieces)
add("the last batch", test_batches.test_the_last_batch_is_kept_or_dropped, drop_last=False, sizes=[4, 4, 3])
add("inputs and labels", test_batches.test_inputs_go_with_their_labels_and_are_scaled)
add("evaluation", test_training.test_evaluation_is_without_randomness_and_independent_of_the_batch_size)
add(
    "modes and steps",
    test_probes.test_each_layer_keeps_its_own_mode_and_its_place_in_its_stream,
    training=True,
)
add("one name", test_parameters.test_a_parameter_has_one_name)
add(
    "another order",
    test_fitting.test_resume_refuses_another_order_of_the_examples,
    change={"seed": 1},
    says="has seed of the order 0",
)
add("errors", test_training.test_evaluation_counts_by_the_largest_logit)
add("history", test_fitting.test_history_has_one_row_an_epoch_with_the_values_in_force)
add("train loss", test_fitting.test_train_loss_is_the_mean_over_examples_not_over_batches)
add("best epoch", test_fitting.test_fit_leaves_the_weights_of_the_best_validation_epoch)
add("more epochs", test_fitting.test_more_epochs_after_the_end_are_the_longer_run)
for after in (1, 11):
    add(
        f"interruption after batch {after}",
        test_fitting.test_a_run_that_is_interrupted_and_resumed_is_the_run_that_was_not,
        optimizer=md.SGDHinton,
        after=after,
    )
add("replicas", test_replicas.test_each_replica_is_the_single_run_of_its_seed_bit_for_bit, number=2)
add("a replica behind", test_replicas.test_a_replica_whose_checkpoint_is_older_catches_up)
add(
    "interrupted replicas",
    test_replicas.test_replicas_that_are_interrupted_and_resumed_are_those_that_were_not,
    after=31,
    number=1,
)


def one_thread_for_a_late_replica(tmp_path):
    with threads.limited(2):
        test_replicas.test_a_replica_that_catches_up_alone_has_one_thread_too(None, tmp_path)


add("threads of a late replica", one_thread_for_a_late_replica)
add("mean of rows", test_replicas.test_the_mean_of_rows)

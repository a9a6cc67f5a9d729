"""TrainStep, evaluate and fit: what they compute, what they allocate, how they stop and go on."""

import math
import os
import signal
import tracemalloc

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING

import minidrop as md
from minidrop.checkpoint import load_weights
from minidrop.data import Batches, Examples
from minidrop.errors import (
    ArgumentError,
    CheckpointError,
    DivergenceError,
    Interrupted,
    MinidropError,
    UsageError,
)
from minidrop.training import Evaluation

RNG = np.random.default_rng(0)
INPUTS = RNG.integers(0, 256, (60, 12)).astype(np.uint8)
LABELS = RNG.integers(0, 3, 60)


def build(seed=0, dtype="float64", optimizer=md.SGDHinton, **options):
    """A small dropout network in the middle of everything: two hidden layers, an optimizer, 60 examples."""
    model = md.Sequential(
        md.Dropout(0.2),
        md.Linear(12, 16, dtype=dtype),
        md.ReLU(),
        md.Dropout(0.5),
        md.Linear(16, 8, dtype=dtype),
        md.ReLU(),
        md.Linear(8, 3, dtype=dtype),
        seed=seed,
    )
    step = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer(model.parameters(), lr=0.2, **options))
    batches = Batches(Examples(INPUTS, LABELS), 8, seed=seed, scaling=md.Scaling(255), dtype=dtype)
    return step, batches


def snapshot(step):
    """Weights, slots and the number of steps."""
    arrays = [step.optimizer.parameters.flat_values, *step.optimizer.state.values()]
    return [array.copy() for array in arrays], step.optimizer.scalars()


def assert_same(first, second):
    for a, b in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert first[1] == second[1]


# -- one step ------------------------------------------------------------------------------------------------


def test_a_step_is_forward_loss_backward_update():
    step, batches = build()
    by_hand, _ = build()
    for x, labels in batches.epoch(0):
        by_hand.model.set_step(by_hand.optimizer.steps)
        expected = by_hand.loss.forward(by_hand.model.forward(x), labels)
        by_hand.model.backward(by_hand.loss.backward())
        by_hand.optimizer.step()
        assert step(x, labels) == expected
    assert_same(snapshot(step), snapshot(by_hand))


def test_a_step_leaves_its_batch_alone():
    step, batches = build()
    x, labels = next(batches.epoch(0))
    x_before, labels_before = x.copy(), labels.copy()
    step(x, labels)
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(labels, labels_before)


def test_the_mask_of_step_t_is_that_of_the_optimizers_count():
    step, batches = build()
    x, labels = next(batches.epoch(0))
    step(x, labels)
    step(x, labels)
    dropout = step.model[3]
    expected = np.empty((8, 16), bool)
    dropout.backend.keep_mask(dropout.stream, 1, dropout.rate.threshold, expected)
    np.testing.assert_array_equal(dropout.mask, expected)


def peak_of_later_steps(model, batch, features):
    """How many bytes a step has beyond those it began with, at its peak, once the first steps are done."""
    optimizer = md.SGDHinton(model.parameters(), lr=0.1, limit=0.5, weight_decay=1e-3)
    step = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer)
    examples = Examples(
        RNG.integers(0, 256, (2 * batch, features)).astype(np.uint8), np.zeros(2 * batch, int)
    )
    batches = Batches(examples, batch, scaling=md.Scaling(255, 0.1, 0.3))
    for x, labels in batches.epoch(0):
        step(x, labels)
    epoch = batches.epoch(1)
    x, labels = next(epoch)  # the permutation belongs to the epoch, not to the step
    tracemalloc.start()
    try:
        step(x, labels)
        next(epoch)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        step(x, labels)
        next(epoch, None)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 4096, "a step must not leave memory behind"
    return peak - before


def network(width, *, dropout):
    def drop():
        return [md.Dropout(0.5)] if dropout else []

    return md.Sequential(*drop(), md.Linear(300, width), md.ReLU(), *drop(), md.Linear(width, 10))


@pytest.mark.parametrize("dropout", [False, True])
def test_after_the_first_step_a_step_allocates_no_array(dropout):
    """What it takes is a casting buffer of NumPy's ufuncs and, with dropout, one piece of random words.

    Both have a fixed size (see NumpyBackend.keep_mask for the words). Whatever else a step allocated would be
    larger for the larger batch: already its labels differ by 4800 bytes.
    """
    ufunc_buffer, words, objects = 8192 * 4, 64 * 1024 if dropout else 0, 4096
    small = peak_of_later_steps(network(400, dropout=dropout), 200, 300)
    large = peak_of_later_steps(network(800, dropout=dropout), 800, 300)
    assert small < ufunc_buffer + words + objects
    assert abs(large - small) < 2048


# -- evaluation ----------------------------------------------------------------------------------------------


def test_evaluation_is_without_randomness_and_independent_of_the_batch_size():
    step, _ = build()
    results = [
        md.evaluate(step.model, Batches(Examples(INPUTS, LABELS), size, shuffle=False, dtype="float64"))
        for size in (60, 7)
    ]
    assert results[0].errors == results[1].errors
    assert results[0].size == results[1].size == 60
    assert results[0].loss == pytest.approx(results[1].loss, rel=FLOAT64_ROUNDING)
    assert step.model[0].training, "evaluation gives the model back in training mode"


def test_evaluation_counts_by_the_largest_logit():
    model = md.Sequential(md.Linear(3, 3, bias=False))
    model[0].weight.value = np.eye(3, dtype=np.float32)
    examples = Examples(np.eye(3, dtype=np.float32), np.array([0, 1, 0]))
    result = md.evaluate(model, Batches(examples, 2, shuffle=False))
    assert (result.errors, result.size) == (1, 3)
    log_sum = math.log(math.e + 2)
    assert result.loss == pytest.approx((log_sum - 1 + log_sum - 1 + log_sum) / 3, rel=1e-6)
    assert str(Evaluation(0.1, 8, 360)) == "error 2.22 % (8/360)"


# -- fit -----------------------------------------------------------------------------------------------------


def test_history_has_one_row_an_epoch_with_the_values_in_force():
    step, batches = build()
    test = Batches(Examples(INPUTS, LABELS), 60, shuffle=False, scaling=batches.scaling, dtype="float64")
    schedules = {"lr": md.schedules.exponential(0.2, 0.5), "momentum": md.schedules.linear(0.5, 0.9, 4)}
    state = md.fit(step, batches, 3, test=test, schedules=schedules)
    assert [row["epoch"] for row in state.history] == [1, 2, 3]
    assert [row["step"] for row in state.history] == [8, 16, 24]
    assert [row["learning_rate"] for row in state.history] == [0.2, 0.1, 0.05]
    assert [row["momentum"] for row in state.history] == pytest.approx([0.5, 0.6, 0.7])
    last = md.evaluate(step.model, test)
    assert (state.history[-1]["test_loss"], state.history[-1]["test_errors"]) == (last.loss, last.errors)
    assert state.history[-1]["validation_loss"] is None
    rows = [np.linalg.norm(step.model[i].weight.value, axis=1).max() for i in (1, 4)]
    assert state.history[-1]["largest_row_norm"] == pytest.approx(max(rows))


def test_train_loss_is_the_mean_over_examples_not_over_batches():
    step, batches = build()
    twin, _ = build()
    losses, sizes = [], []
    for x, labels in batches.epoch(0):  # seven batches of 8 and one of 4
        losses.append(float(twin(x, labels)))
        sizes.append(len(labels))
    state = md.fit(step, batches, 1)
    assert state.history[0]["train_loss"] == pytest.approx(np.average(losses, weights=sizes))


def test_fit_leaves_the_weights_of_the_best_validation_epoch():
    step, batches = build()
    validation = Batches(
        Examples(INPUTS[:20], LABELS[:20]), 20, shuffle=False, scaling=batches.scaling, dtype="float64"
    )
    state = md.fit(step, batches, 12, validation=validation)
    ranks = [(row["validation_errors"], row["validation_loss"]) for row in state.history]
    assert state.best_epoch == 1 + ranks.index(min(ranks))
    assert state.best_epoch < 12, "the example must choose an epoch that is not the last"
    result = md.evaluate(step.model, validation)
    assert (result.errors, result.loss) == min(ranks)


def test_fit_refuses_a_schedule_for_what_the_optimizer_lacks():
    step, batches = build(optimizer=md.Adam)
    with pytest.raises(ArgumentError, match="Adam has no momentum"):
        md.fit(step, batches, 1, schedules={"momentum": md.schedules.constant(0.5)})


@pytest.mark.parametrize("epochs", [0, -1, 1.5])
def test_fit_refuses_epochs_that_are_no_positive_integer(epochs):
    step, batches = build()
    with pytest.raises(ArgumentError, match="epochs must be an integer of at least 1"):
        md.fit(step, batches, epochs)


# -- stopping and going on -----------------------------------------------------------------------------------

OPTIMIZERS = [
    md.SGD,
    md.Momentum,
    md.SGDHinton,
    md.Adam,
    md.AdamW,
    md.Adagrad,
    md.Adadelta,
    md.RMSprop,
    md.Adamax,
    md.NAdam,
]


class StopAfter:
    """A reporter that sends this process a signal after some batches, as Ctrl-C would."""

    def __init__(self, batches, number=signal.SIGINT):
        self.left, self.number = batches, number

    def running(self, done, epochs, batches):
        from contextlib import nullcontext

        return nullcontext(self)

    def batch(self, batch, loss):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)

    def epoch(self, row):
        pass


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("after", [1, 8, 11])
def test_a_run_that_is_interrupted_and_resumed_is_the_run_that_was_not(optimizer, after, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    validation = Batches(Examples(INPUTS[:9], LABELS[:9]), 9, shuffle=False, dtype="float64")
    whole, batches = build(optimizer=optimizer)
    expected = md.fit(whole, batches, 3, validation=validation)

    first, batches = build(optimizer=optimizer)
    with pytest.raises(Interrupted, match=r"interrupted in epoch \d after batch \d of 8; saved in"):
        md.fit(first, batches, 3, validation=validation, checkpoint=path, reporter=StopAfter(after))
    second, batches = build(optimizer=optimizer)
    state = md.fit(second, batches, 3, validation=validation, checkpoint=path, resume=True)

    assert_same(snapshot(second), snapshot(whole))
    assert state == expected


def test_more_epochs_after_the_end_are_the_longer_run(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    whole, batches = build()
    expected = md.fit(whole, batches, 4)
    first, _ = build()
    md.fit(first, batches, 2, checkpoint=path)
    second, _ = build()
    assert md.fit(second, batches, 4, checkpoint=path, resume=True) == expected
    assert_same(snapshot(second), snapshot(whole))


def test_sigterm_is_a_request_to_stop_too_and_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    step, batches = build()
    with pytest.raises(Interrupted):
        md.fit(step, batches, 3, checkpoint=tmp_path / "c", reporter=StopAfter(2, signal.SIGTERM))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_two_runs_with_one_seed_write_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        step, batches = build(seed=seed)
        md.fit(step, batches, 2, checkpoint=tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_resume_refuses_another_model_and_another_optimizer(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    step, batches = build()
    md.fit(step, batches, 1, checkpoint=path)
    single, _ = build(dtype="float32")
    with pytest.raises(CheckpointError, match=r"another model: for .* it has float64"):
        md.fit(single, batches, 2, checkpoint=path, resume=True)
    adam, _ = build(optimizer=md.Adam)
    with pytest.raises(CheckpointError, match="written by SGDHinton, but the optimizer here is Adam"):
        md.fit(adam, batches, 2, checkpoint=path, resume=True)


# -- divergence ----------------------------------------------------------------------------------------------


def test_a_run_that_diverges_stops_by_itself_and_keeps_the_last_good_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    step, batches = build(limit=0)
    schedules = {"lr": lambda epoch: 0.1 if epoch == 0 else 1e6}
    with pytest.raises(
        DivergenceError, match=r"in epoch 2, step \d+ \(batch \d of 8\).*last good state is in"
    ):
        md.fit(step, batches, 5, schedules=schedules, checkpoint=path)
    good, _ = build(limit=0)
    md.fit(good, batches, 1, schedules=schedules)
    for name, value in load_weights(path).items():
        np.testing.assert_array_equal(value, good.model.state_dict()[name])


def test_a_loss_that_is_nan_is_a_divergence():
    step, batches = build()
    step.model[6].bias.value = np.array([np.nan, 0, 0])
    with pytest.raises(DivergenceError, match="the loss became nan in epoch 1, step 1"):
        md.fit(step, batches, 1)


def test_an_evaluation_that_explodes_is_a_divergence_and_is_not_saved(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    step, batches = build(optimizer=md.SGD)
    batches = Batches(Examples(INPUTS, LABELS), 60, scaling=md.Scaling(255), dtype="float64")
    test = Batches(Examples(INPUTS, LABELS), 60, shuffle=False, scaling=md.Scaling(255), dtype="float64")
    before = step.model.state_dict()
    with pytest.raises(DivergenceError, match=r"the test loss became .* in epoch 1, step 1 \(its last\)"):
        md.fit(step, batches, 1, test=test, schedules={"lr": lambda epoch: 1e8}, checkpoint=path)
    for name, value in load_weights(path).items():
        np.testing.assert_array_equal(value, before[name])


def test_weights_that_are_not_finite_are_a_divergence():
    step, _ = build(optimizer=md.SGD, weight_decay=100.0)
    whole = Batches(Examples(INPUTS, LABELS), 60, scaling=md.Scaling(255), dtype="float64")
    with pytest.raises(DivergenceError, match="weights became infinite or NaN in epoch 1"):
        md.fit(step, whole, 1, schedules={"lr": lambda epoch: 1.7e308})


# -- what else is refused ------------------------------------------------------------------------------------


def test_the_optimizer_must_be_over_the_models_parameters():
    step, _ = build()
    other, _ = build(seed=1)
    with pytest.raises(UsageError, match="it would train another model"):
        md.TrainStep(step.model, step.loss, other.optimizer)


def test_evaluation_leaves_the_mode_as_it_was_also_after_an_error():
    step, batches = build()
    step.model.eval()
    md.evaluate(step.model, batches)
    assert not step.model.training
    step.model.train()
    with pytest.raises(MinidropError):
        md.evaluate(step.model, Batches(Examples(INPUTS[:, :5], LABELS), 8))
    assert step.model.training
    assert step.model[0].training


def test_a_run_cannot_end_before_it_is(tmp_path):
    step, batches = build()
    md.fit(step, batches, 2, checkpoint=tmp_path / "c")
    again, _ = build()
    with pytest.raises(ArgumentError, match="has 2 epochs already; it cannot end after 1"):
        md.fit(again, batches, 1, checkpoint=tmp_path / "c", resume=True)

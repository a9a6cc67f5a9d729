"""fit: its history, how it stops, goes on and gives up."""

import os
import signal

import numpy as np
import pytest
from training_helpers import INPUTS, LABELS, assert_same, build, snapshot

import minidrop as md
from minidrop.checkpoint import load_weights
from minidrop.data import Batches, Examples
from minidrop.errors import (
    ArgumentError,
    CheckpointError,
    DivergenceError,
    Interrupted,
)


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


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"train": Examples(INPUTS, LABELS)},
            r"train must be of type Batches, .*Batches\(dataset\.train, 100\)",
        ),
        ({"test": Examples(INPUTS, LABELS)}, r"test must be of type Batches, .*; got Examples"),
        ({"step": md.ReLU()}, "step must be of type TrainStep; got ReLU"),
        (
            {"schedules": {"lr": 0.1}},
            r"schedule of lr must be a function .*md\.schedules\.constant.*; got 0\.1",
        ),
        ({"resume": True}, "resume goes on from a checkpoint: give its file as checkpoint"),
        *(
            (
                {"schedules": {name: md.schedules.constant(1)}},
                f"what a schedule sets must be one of .*'{name}'",
            )
            for name in ("steps", "step", "groups", "state", "lrr", "_lr")
        ),
    ],
)
def test_fit_says_what_it_takes(asked, says):
    step, batches = build()
    with pytest.raises(ArgumentError, match=says):
        md.fit(**({"step": step, "train": batches, "epochs": 1} | asked))
    with pytest.raises(ArgumentError, match=r"evaluated on must be of type Batches, .*; got Examples"):
        md.evaluate(step.model, Examples(INPUTS, LABELS))


def test_fit_refuses_a_schedule_for_what_the_optimizer_lacks():
    step, batches = build(optimizer=md.Adam)
    rates = "lr, weight_decay.*; got 'momentum'"
    with pytest.raises(ArgumentError, match=f"what a schedule sets must be one of {rates}"):
        md.fit(step, batches, 1, schedules={"momentum": md.schedules.constant(0.5)})


def test_a_number_of_an_optimizer_of_ones_own_can_be_scheduled():
    class Halved(md.SGD):
        def __init__(self, parameters, lr):
            super().__init__(parameters, lr)
            self.factor = 1.0

        def update(self, xp, w, g, lr, *slots):
            super().update(xp, w, g, self.factor * lr, *slots)

    step, batches = build(optimizer=Halved)
    md.fit(step, batches, 2, schedules={"factor": md.schedules.constant(0.5)})
    assert step.optimizer.factor == 0.5


def test_fit_refuses_a_sum_whose_losses_it_would_take_for_means():
    step, batches = build()
    summed = md.TrainStep(step.model, md.SoftmaxCrossEntropy("sum"), step.optimizer)
    with pytest.raises(ArgumentError, match=r'fit adds up means of batches: .* reduction="mean"'):
        md.fit(summed, batches, 1)


@pytest.mark.parametrize("epochs", [0, -1, 1.5])
def test_fit_refuses_epochs_that_are_no_positive_integer(epochs):
    step, batches = build()
    with pytest.raises(ArgumentError, match="epochs must be an integer of at least 1"):
        md.fit(step, batches, epochs)


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


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"batch_size": 6}, "has batch size 8; it cannot go on with 6"),
        ({"seed": 1}, "has seed of the order 0; it cannot go on with 1"),
        ({"shuffle": False}, "has shuffle True; it cannot go on with False"),
        ({"drop_last": True}, "has drop_last False; it cannot go on with True"),
        ({"examples": Examples(INPUTS[:50], LABELS[:50])}, "has examples 60; it cannot go on with 50"),
    ],
)
def test_resume_refuses_another_order_of_the_examples(tmp_path, change, says):
    """The half of an epoch that is done would be a half of another one."""
    path = tmp_path / "checkpoint.safetensors"
    step, batches = build()
    with pytest.raises(Interrupted):
        md.fit(step, batches, 1, checkpoint=path, reporter=StopAfter(5))
    same = {"examples": Examples(INPUTS, LABELS), "batch_size": 8, "seed": 0, "dtype": "float64"}
    again, _ = build()
    before = snapshot(again)
    with pytest.raises(CheckpointError, match=says):
        md.fit(again, Batches(**(same | change)), 1, checkpoint=path, resume=True)
    assert_same(snapshot(again), before)


def test_a_config_that_is_no_json_is_refused(tmp_path):
    step, batches = build()
    with pytest.raises(CheckpointError, match=r"the config to keep is no JSON: Object of type .*Path"):
        md.fit(step, batches, 1, checkpoint=tmp_path / "c", config={"folder": tmp_path})
    assert not (tmp_path / "c").exists()


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


def test_a_run_cannot_end_before_it_is(tmp_path):
    step, batches = build()
    md.fit(step, batches, 2, checkpoint=tmp_path / "c")
    again, _ = build()
    with pytest.raises(ArgumentError, match="has 2 epochs already; it cannot end after 1"):
        md.fit(again, batches, 1, checkpoint=tmp_path / "c", resume=True)


def test_a_run_that_is_within_an_epoch_cannot_end_with_the_one_before(tmp_path):
    """Its weights are not those that the epoch before ended with."""
    step, batches = build()
    with pytest.raises(Interrupted, match="in epoch 2 after batch 1"):
        md.fit(step, batches, 3, checkpoint=tmp_path / "c", reporter=StopAfter(9))
    again, _ = build()
    with pytest.raises(ArgumentError, match="has 1 epochs and a part of the next already; it cannot end"):
        md.fit(again, batches, 1, checkpoint=tmp_path / "c", resume=True)


def test_a_file_is_not_written_over_unless_it_is_gone_on_with(tmp_path):
    path = tmp_path / "c"
    path.write_text("precious")
    step, batches = build()
    with pytest.raises(CheckpointError, match="c is there already: go on with it by resume=True"):
        md.fit(step, batches, 1, checkpoint=path)
    assert path.read_text() == "precious"

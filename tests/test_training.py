"""TrainStep and evaluate: what they compute and what they allocate."""

import math
import tracemalloc

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING
from training_helpers import INPUTS, LABELS, RNG, Shared, assert_same, build, snapshot

import minidrop as md
from minidrop import threads
from minidrop.backends import Draw
from minidrop.data import Batches, Examples
from minidrop.errors import ArgumentError, MinidropError, UsageError
from minidrop.training import Evaluation


def test_a_step_is_forward_loss_backward_update():
    step, batches = build()
    step = md.TrainStep(step.model, step.loss, step.optimizer, gradients=True)
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
    dropout.backend.keep_mask(Draw(dropout.stream, 1, dropout.rate.threshold, expected))
    np.testing.assert_array_equal(dropout.mask, expected)


def peak_of_later_steps(backend, batch, width, *, dropout, fused=True, weight_decay=1e-3):
    """How many bytes a step has beyond those it began with, at its peak, once the first steps are done."""
    with md.using_backend(backend):
        drop = (lambda: [md.Dropout(0.5)]) if dropout else list
        model = md.Sequential(
            *drop(), md.Linear(600, width), md.ReLU(), *drop(), md.Linear(width, 10), seed=0
        )
        optimizer = md.SGDHinton(model.parameters(), lr=0.1, limit=0.5, weight_decay=weight_decay)
        step = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer, fused=fused)
        inputs = RNG.integers(0, 256, (2 * batch, 600)).astype(np.uint8)
        examples = Examples(inputs, np.zeros(2 * batch, int))
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
    assert after - before < OBJECTS, "a step must not leave memory behind"
    return peak - before


#: what a share takes for a moment, whatever its size: a casting buffer of NumPy's ufuncs, one piece of random
#: words (see NumpyBackend.keep_mask); and Python's own objects
UFUNC_BUFFER, WORDS, OBJECTS = 8192 * 4, 128 * 1024, 4096
WAYS = {
    "by the layers": (1, {"fused": False}),
    "fused": (1, {}),
    "fused, in shares": (3, {}),
    "fused, into the velocity": (3, {"weight_decay": 0}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dropout", [False, True])
def test_after_the_first_step_a_step_allocates_no_array(dropout, way):
    """What it takes is a casting buffer of NumPy's ufuncs and, with dropout, one piece of random words.

    The smaller batch reaches both: also a third of its smallest mask is more than a piece. Whatever else a
    step allocated would be larger for the larger batch: already its labels differ by 6400 bytes. The shares
    work in turn here, so that the peak does not depend on which of them meet.
    """
    shares, options = WAYS[way]
    backend = Shared(shares, order=1)
    small = peak_of_later_steps(backend, 400, 600, dropout=dropout, **options)
    large = peak_of_later_steps(backend, 1200, 1200, dropout=dropout, **options)
    assert small < UFUNC_BUFFER + WORDS * dropout + OBJECTS
    assert abs(large - small) < 2048


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("weight_decay", [0, 1e-3])
def test_a_step_of_compiled_loops_takes_the_casting_buffer_alone(dropout, weight_decay):
    with threads.limited(1):
        peak = peak_of_later_steps("numba", 1200, 1200, dropout=dropout, weight_decay=weight_decay)
    assert peak < UFUNC_BUFFER + OBJECTS


@pytest.mark.parametrize("dropout", [False, True])
def test_a_thread_takes_no_more_than_a_share(dropout):
    peak = peak_of_later_steps(Shared(3), 1200, 1200, dropout=dropout)
    assert peak < 3 * (UFUNC_BUFFER + WORDS * dropout) + OBJECTS


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


class MeanSquare:
    """A loss as somebody would write it: L = Σ (y - t)² / 2B."""

    def forward(self, output, targets):
        self.gradient = (output - targets) / len(output)
        return 0.5 * len(output) * float((self.gradient**2).sum())

    def backward(self):
        return self.gradient


def test_a_loss_of_somebody_elses_is_lowered():
    model = md.Sequential(md.Linear(3, 4, dtype="float64"), md.Tanh(), md.Linear(4, 2, dtype="float64"))
    step = md.TrainStep(model, MeanSquare(), md.SGD(model.parameters(), lr=0.1))
    x, targets = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 2))
    twin = model.astype("float64")
    loss = MeanSquare()
    first = loss.forward(twin.forward(x), targets)
    twin.backward(loss.backward())
    expected = twin[0].weight.value - 0.1 * twin[0].weight.grad
    assert step(x, targets) == first
    np.testing.assert_array_equal(model[0].weight.value, expected)
    assert [step(x, targets) for _ in range(20)][-1] < 0.9 * first


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        ("model", "784-10", r"the model must be of type Layer, such as md\.Sequential\(\.\.\.\); got str"),
        (
            "loss",
            md.SoftmaxCrossEntropy,
            r"the loss must have .*, such as md\.SoftmaxCrossEntropy\(\); got <c",
        ),
        ("loss", None, r"the loss must have forward\(output, targets\) and backward\(\), .*; got None"),
        ("optimizer", None, r"the optimizer must be of type Optimizer, such as md\.SGD.*; got NoneType"),
        ("optimizer", md.SGD, "the optimizer must be of type Optimizer, .*; got the class SGD"),
    ],
)
def test_what_a_step_is_made_of(part, value, says):
    step, _ = build()
    parts = {"model": step.model, "loss": step.loss, "optimizer": step.optimizer} | {part: value}
    with pytest.raises(ArgumentError, match=says):
        md.TrainStep(**parts)

"""One training step and the evaluation of a model, in buffers that every batch uses again."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from minidrop.backends import Array
from minidrop.captured import STEPS, CapturedStep, Recorder, obstacle
from minidrop.data.batches import Batches
from minidrop.errors import ArgumentError, UsageError, check_type
from minidrop.fused import FusedStep, blocks, buffers
from minidrop.layers import Layer
from minidrop.layers.layer import write_gradients
from minidrop.layers.stochastic import behaving
from minidrop.losses import Loss, SoftmaxCrossEntropy
from minidrop.optim import Optimizer


class TrainStep:
    """One update: forward, loss, backward, optimizer, in buffers that every step uses again.

    The first step allocates what the later ones reuse. The optimizer counts the steps, and step t draws the
    masks of (seed, layer, t).

    Args:
        model: the layers.
        loss: SoftmaxCrossEntropy, or any object with its forward and backward.
        optimizer: over `model.parameters()`.
        fused: whether to do the step in one go, on all threads, where the model is a chain that
            `minidrop.fused` knows; False lets the layers do it one after another, to the same result.
        gradients: whether weight gradients are to be read from `parameter.grad` after a step. Momentum can do
            without: then their matrix products are added to the velocity, which saves time and memory.

    Raises:
        ArgumentError: if one of them is not what it should be.
        UsageError: if the optimizer is over other parameters.

    >>> import minidrop as md, numpy as np
    >>> model = md.Sequential(md.Linear(4, 3))
    >>> step = md.TrainStep(model, md.SoftmaxCrossEntropy(), md.SGD(model.parameters(), lr=0.1))
    >>> x, labels = np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0])
    >>> losses = [float(step(x, labels)) for _ in range(10)]
    >>> losses[-1] < losses[0], step.optimizer.steps
    (True, 10)
    """

    def __init__(
        self,
        model: Layer,
        loss: Loss,
        optimizer: Optimizer,
        *,
        fused: bool = True,
        gradients: bool = False,
    ) -> None:
        check_type("the model", model, Layer, "md.Sequential(...)")
        check_type("the optimizer", optimizer, Optimizer, "md.SGD(model.parameters(), lr=0.1)")
        if isinstance(loss, type) or not (hasattr(loss, "forward") and hasattr(loss, "backward")):
            raise ArgumentError(
                "the loss must have forward(output, targets) and backward(), such as "
                f"md.SoftmaxCrossEntropy(); got {loss!r}"
            )
        if optimizer.parameters is not model.parameters():
            raise UsageError("the optimizer is not over model.parameters(): it would train another model")
        self.model = model
        self.loss: Any = loss
        self.optimizer = optimizer
        self.gradients = gradients
        chain = blocks(model) if fused else None
        #: how far the epoch is
        self.tally = model.backend.tally()
        self._fused: FusedStep | None = None
        if chain is not None and type(loss) is SoftmaxCrossEntropy:  # and no class of somebody's own
            self._fused = FusedStep(model, chain, loss, optimizer, gradients)
        #: what the last epoch's graphs are recordings of
        self.captured: Recorder | None = None
        self._obstacle = "there was no epoch yet"

    @property
    def fused(self) -> bool:
        """Whether the step is done in one go."""
        return self._fused is not None

    def __call__(self, x: Array, labels: Array) -> Array:
        """Update the model from the batch x (B, features), labels (B,); return its loss before the update."""
        with buffers(self.model, self.loss):
            self.model.train()
            if self._fused is not None:
                return self.model.backend.kept(self._fused(x, labels))
            self.model.set_step(self.optimizer.steps)
            loss = self.loss.forward(self.model.forward(x), labels)
            write_gradients(self.model, self.loss.backward())
            self.optimizer.step()
        return loss

    def epoch(
        self, batches: Batches, epoch: int, start: int = 0, loss_sum: float = 0.0
    ) -> Iterator[float | None]:
        """Train on the batches of `epoch` from `start` on, and tell of each, or of several at a time.

        What is yielded is the last loss, or None where looking at it would wait for the device. `tally` says
        how many batches are done and what their losses add up to, those before `start` with `loss_sum`.
        """
        self.tally.begin(start, loss_sum)
        captured = None if self.model.backend.values_are_cheap else self._capture(batches)
        if captured is not None:
            yield from captured.epoch(epoch)
            return
        for x, labels in batches.epoch(epoch, start):
            yield self.tally.add(self(x, labels), len(labels))

    @property
    def launches(self) -> str:
        """How the last epoch's kernels were launched, and why not in graphs; nothing on the host."""
        if self.model.backend.values_are_cheap:
            return ""
        obstacle = self._obstacle or (self.captured.failure if self.captured else "")
        return f"one by one: {obstacle}" if obstacle else f"in CUDA graphs of {STEPS} steps"

    def launched_by(self, captured: Recorder | None, obstacle: str) -> None:
        """Be trained along with other replicas from now on: its memory moves, and its own graphs are gone."""
        self.captured, self._obstacle = captured, obstacle

    def _capture(self, batches: Batches) -> CapturedStep | None:
        """The step that finds `batches` by itself on the device, if there can be one."""
        if self._fused is None:
            self._obstacle = "the step is not fused"
            return None
        self._obstacle = obstacle(self._fused, batches)
        if self._obstacle:
            return None
        captured = self.captured
        if not isinstance(captured, CapturedStep) or captured.batches is not batches:
            captured = self.captured = CapturedStep(self._fused, batches, self.tally)
        return captured


class Evaluation(NamedTuple):
    """How a model does on a set of examples."""

    loss: float  #: the mean cross-entropy
    errors: int  #: how many examples are classified wrongly
    size: int  #: of how many

    @property
    def error(self) -> float:
        """The error rate in percent."""
        return 100 * self.errors / self.size

    def __str__(self) -> str:
        return f"error {self.error:.2f} % ({self.errors}/{self.size})"


def evaluate(model: Layer, batches: Batches) -> Evaluation:
    """The mean cross-entropy and the errors of `model`, without randomness, on all of `batches`.

    Args:
        model: turns inputs (B, features) into logits (B, classes); train or eval, it is left as it was.
        batches: examples and labels; those that they drop are not counted.

    Raises:
        ArgumentError: if the model or the batches are of another type.
        ArrayError: if the inputs do not fit the model, or a label is none of its classes.

    >>> import minidrop as md
    >>> guess = md.Linear(64, 10, init=md.Constant(0), bias_init=md.Constant(0))
    >>> result = md.evaluate(guess, md.data.Batches(md.data.load("digits").test, 100))
    >>> round(result.loss, 4), result.size  # ln 10
    (2.3026, 360)
    """
    check_type("the model", model, Layer, "md.Sequential(...)")
    check_type("what a model is evaluated on", batches, Batches, "md.data.Batches(dataset.test, 1000)")
    loss = SoftmaxCrossEntropy("sum", backend=model.backend)
    total, errors, size = 0.0, 0, 0
    with buffers(model, loss), behaving(model, training=False):
        for x, labels in batches.epoch(0):
            logits = model.forward(x)
            total += float(loss.forward(logits, labels))
            errors += model.backend.count_errors(logits, labels)
            size += len(labels)
    return Evaluation(total / size, errors, size)

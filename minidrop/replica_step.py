"""The training step of K models of one architecture at once, on a device; arrays have an axis of replicas.

    forward     y = x Wᵀ + b                     x (K, B, in)   W (K, out, in)   b (K, out)   y (K, B, out)
    backward    dW = dyᵀ x   db = Σ_batch dy     dx = dy W
    update      all K models in one pass         losses (K,)

It is `FusedStep` for several models: each kernel is launched once for all of them, so that small networks
keep a large device busy. Replica k draws its masks from the streams of seed + k. What is summed is summed in
the order of a single run; products are rounded as the device's library rounds a batch of them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from minidrop.backends import Array, Draw, Workspace
from minidrop.data.batches import ReplicaBatches
from minidrop.fused import Block, blocks
from minidrop.layers import Dropout, Layer
from minidrop.optim import OPTIMIZERS, MaxNorm, Optimizer
from minidrop.training import TrainStep


class ReplicaStep:
    """One training step of several models, whose arrays it moves together.

    Args:
        steps: fused steps that `are_replicas`.
        batches: what to train on.
    """

    def __init__(self, steps: Sequence[TrainStep], batches: ReplicaBatches) -> None:
        self.steps, self.batches = steps, batches
        self.optimizers: Sequence[Optimizer] = [step.optimizer for step in steps]
        first = steps[0]
        self.backend, self.loss = first.model.backend, first.loss
        self.optimizer, arena = first.optimizer, first.optimizer.parameters
        xp, several = self.backend.xp, (len(steps), arena.size)
        # row k is the arena of model k, so its arrays lie k sizes behind those of model 0
        values, gradients = xp.empty(several, arena.dtype), xp.empty(several, arena.dtype)
        self.tallies = xp.zeros((len(steps), 2), "float64")
        for k, step in enumerate(steps):
            step.optimizer.parameters.move(values[k], gradients[k])
            step.tally.array = self.tallies[k]  # type: ignore[attr-defined]
        slots = [xp.empty(several, arena.dtype) for _ in self.optimizer.slots]
        for name, slot in zip(self.optimizer.slots, slots, strict=True):
            for k, optimizer in enumerate(self.optimizers):
                slot[k] = optimizer.state[name]
                optimizer.state[name] = slot[k]
        views = {name: (where, (len(steps), *arena[name].shape)) for name, where in arena.slices().items()}
        self.values, self.gradients, self.first_slots = (
            {name: flat[:, where].reshape(shape) for name, (where, shape) in views.items()}
            # what a gradient is added to is the velocity, which is the first slot; SGD has none, but weights
            for flat in (values, gradients, slots[0] if slots else values)
        )
        self.may_add = self.backend.records and not any(step.gradients for step in steps)
        self.input, *self.blocks = blocks(first.model) or []
        self.workspace = Workspace(xp, reuse=True)

    def epoch(self, epoch: int, start: int, loss_sums: Sequence[float]) -> Iterator[None]:
        """Train on the batches of `epoch` from `start` on; see `TrainStep.epoch`."""
        for step, loss_sum in zip(self.steps, loss_sums, strict=True):
            step.tally.begin(start, loss_sum)
        for x, labels in self.batches.epoch(epoch, start):
            self.count(self(x, labels), labels.shape[1])
            yield None

    def count(self, losses: Array, examples: int) -> None:
        """Count a batch of so many examples for each replica."""
        self.backend.count_batch(self.tallies, losses, examples)
        for step in self.steps:
            step.tally.batches += 1

    def __call__(self, x: Array, labels: Array) -> Array:
        """Update the models from the batches x (K, B, in), labels (K, B); return their losses (K,)."""
        self._forward(x)
        logits = self.blocks[-1].output
        dz = self.blocks[-1].gradient = self._array("gradient", -1, logits.shape)
        scale = self.loss.scale(labels.shape[1])
        losses = self.backend.softmax_cross_entropy(logits, labels, scale, dz, self.workspace)
        chain = [self.input, *self.blocks]
        for i in reversed(range(1, len(self.blocks))):
            self._backward(i, chain[i], chain[i + 1])
        for optimizer in self.optimizers:
            optimizer.advance()
        accumulated = {
            block.weight_name
            for below, block in zip(chain, self.blocks, strict=False)  # the last has none above it
            if self._gradients(block, below.output)
        }
        self.optimizer.replicas = len(self.steps)  # it updates them all
        try:
            self.optimizer.step_share(0, 1, frozenset(accumulated))
        finally:
            self.optimizer.replicas = 1
        return losses

    def _forward(self, x: Array) -> None:
        """Each block's activation, f(x Wᵀ + b), and output, what dropout leaves of it."""
        xp, numbers = self.backend.xp, self.optimizer.numbers()
        for i, block in enumerate([self.input, *self.blocks]):
            if block.linear is not None:
                weight, bias = self.values[block.weight_name], self.values.get(block.bias_name)
                z = self._array("activation", i, (*x.shape[:2], weight.shape[1]))
                self.backend.matmul(x, weight.transpose(0, 2, 1), out=z)
                block.keep = self._keep(i, block, z.shape, numbers)
                if block.is_rectified:
                    self.backend.bias_relu_dropout(z, bias, block.keep, block.scale, self.workspace)
                    block.activation = block.output = x = z
                    continue
                if bias is not None:
                    z += bias[:, None]
                if block.unit is not None:
                    block.unit.function(z, z)
                x = z
            else:
                block.keep = self._keep(i, block, x.shape, numbers)
            block.activation = block.output = x
            if block.keep is not None:
                block.keep = self.backend.drawn(block.keep)
                block.output = self._array("output", i, x.shape)
                xp.multiply(x, block.keep, out=block.output)
                if block.scale != 1:
                    block.output *= block.scale
                x = block.output

    def _keep(self, i: int, block: Block, shape: tuple[int, ...], numbers: Any) -> Array | Draw | None:
        """The keep masks of a block, an axis of replicas in front; None where nothing is dropped."""
        dropout = block.dropout
        if dropout is None or dropout.rate.threshold == 0:
            return None
        per_element = dropout.per == "element"
        shape = shape if per_element else (shape[0], 1, shape[2])
        keep = self.workspace.array(f"keep {i}", shape, bool)
        step, threshold = self.optimizer.steps, dropout.rate.threshold
        draw = Draw(dropout.stream, step, threshold, keep, numbers=numbers, replicas=True)
        return draw if per_element else self.backend.drawn(draw)

    def _backward(self, i: int, below: Block, block: Block) -> None:
        """The gradient of the block `below`, number i, from that of the one above it."""
        y = below.activation
        dy = below.gradient = self._array("gradient", i, y.shape)
        self.backend.matmul(block.gradient, self.values[block.weight_name], out=dy)
        if below.is_rectified:
            self.backend.relu_dropout_backward(dy, y, below.scale, self.workspace)
            return
        if below.keep is not None:
            dy *= below.keep
            if below.scale != 1:
                dy *= below.scale
        if below.unit is not None:
            below.gradient = self._array("gradient of unit", i, dy.shape)
            below.unit.gradient(dy, y, below.gradient)

    def _gradients(self, block: Block, x: Array) -> bool:
        """dW = dzᵀ x, db = Σ_batch dz; whether dW is added to v instead, as in `FusedStep`."""
        dz, name = block.gradient, block.weight_name
        if block.bias_name in self.gradients:
            self.backend.column_sums(dz, self.gradients[block.bias_name])
        if self.may_add and self.optimizer.rule(name) is not None:
            coefficients = self.optimizer.coefficients(name)
            if self.backend.accumulate(coefficients, dz, x, self.first_slots[name]):
                for optimizer in self.optimizers:
                    optimizer.parameters[name].without_gradient = True
                return True
        self.backend.matmul(dz.transpose(0, 2, 1), x, out=self.gradients[name])
        return False

    def _array(self, name: str, i: int, shape: tuple[int, ...]) -> Array:
        return self.workspace.array(f"{name} {i}", shape, self.optimizer.parameters.dtype)


def are_replicas(steps: Sequence[TrainStep]) -> bool:
    """Whether a `ReplicaStep` can take these: there are kernels, and they differ in their seeds, s + k.

    An optimizer of one's own may have a `step` of its own, which would not be asked.
    """
    first = steps[0]
    optimizer, projections = first.optimizer, first.optimizer.projections
    if type(optimizer) not in OPTIMIZERS.values():
        return False
    if len(steps) == 1 or not first.model.backend.takes_replicas or optimizer.formula() is None:
        return False
    if len(projections) > 1 or any(type(projection) is not MaxNorm for projection in projections):
        return False
    if not all(step.fused for step in steps) or any(_has_given_mask(step.model) for step in steps):
        return False
    return all(_kind(step) == _kind(first, k) for k, step in enumerate(steps))


def _has_given_mask(model: Layer) -> bool:
    return any(isinstance(layer, Dropout) and layer.is_given for _, layer in model.leaves())


def _kind(step: TrainStep, further: int = 0) -> tuple[Any, ...]:
    """What replicas have in common: the same for seed and `further` less and for seed + further."""
    optimizer, layers = step.optimizer, []
    for _, layer in step.model.leaves():
        what: list[Any] = [repr(layer), type(layer)]
        if isinstance(layer, Dropout):
            what += [layer.rate, layer.stream.seed + further, layer.stream.index]
        layers.append(what)
    shapes = {name: parameter.shape for name, parameter in optimizer.parameters.items()}
    limits = [projection.lengths(optimizer.parameters) for projection in optimizer.projections]
    numbers = optimizer.lr, getattr(optimizer, "momentum", None), optimizer.weight_decay, optimizer.scalars()
    rule = type(optimizer), optimizer.formula(), numbers, optimizer.groups, limits
    return layers, shapes, optimizer.parameters.dtype, step.loss.reduction, rule

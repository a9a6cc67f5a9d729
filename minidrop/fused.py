"""The training step of a chain of Linear, unit and Dropout, with each layer's work done in one go.

    [Dropout]  (Linear  [ReLU | Sigmoid | Tanh | Identity]  [Dropout]) ...  SoftmaxCrossEntropy

The layers stay the definition: what happens here is what they do one after another, in the same order, with
the same masks. What differs is that nothing is written that is not needed again, and that threads share it,
in two jobs:

    rows    forward, loss and dx of some rows of the batch     no example needs another
    units   dW, db, update and projection of some units        no unit needs another

They wait for one another only after each job. A thread's matrix products are its own; on one thread, where
all gradients are written, the results are those of the layers bit for bit. On several, or where a product
adds the gradient to the weights or the velocity, they differ as sums do that are rounded in another order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from minidrop.backends import Array, Draw, Workspace
from minidrop.backends.workspace import ThreadWorkspace
from minidrop.layers import Dropout, Identity, Layer, Linear, ReLU, Sequential, Sigmoid, Tanh
from minidrop.layers.activation import Activation
from minidrop.layers.sequential import is_chain
from minidrop.losses import SoftmaxCrossEntropy
from minidrop.optim import OPTIMIZERS, Optimizer
from minidrop.threads import span

UNITS = (ReLU, Sigmoid, Tanh, Identity)
#: 16-bit lanes come in blocks of 16, so rows that begin with a block are drawn without looking back
_BLOCK = 16


@dataclass
class Block:
    """A Linear with the unit and the dropout behind it; for the network's input, a dropout alone."""

    linear: Linear | None = None
    weight_name: str = ""
    bias_name: str = ""
    unit: Activation | None = None
    dropout: Dropout | None = None
    # of the present step
    keep: Array | Draw | None = None
    activation: Any = None  # f(x Wᵀ + b)
    output: Any = None  # the same array, or what dropout leaves of it
    gradient: Any = None  # dL / d(x Wᵀ + b)

    @property
    def scale(self) -> float:
        """What a kept element is multiplied by in training."""
        return self.dropout.rate.scale if self.dropout and self.dropout.mode == "inverted" else 1.0

    @property
    def is_rectified(self) -> bool:
        """Whether gradients pass exactly where the output is above 0, which says more than the mask."""
        return isinstance(self.unit, ReLU)


def blocks(model: Layer) -> list[Block] | None:
    """The blocks of a chain, its input first; None if the model is none, or has a container of one's own.

    >>> import minidrop as md
    >>> model = md.Sequential(md.Linear(4, 3), md.ReLU(), md.Dropout(), md.Linear(3, 2))
    >>> [block.linear for block in blocks(model)]
    [None, Linear(4, 3), Linear(3, 2)]
    >>> blocks(md.Sequential(md.Linear(4, 3), md.GaussianNoise(1.0))) is None
    True
    """
    if type(model) is not Sequential or not is_chain(model):
        return None
    chain = [Block()]
    for name, layer in model.leaves():
        last = chain[-1]
        if type(layer) is Linear:
            if last.linear is not None and last.linear.out_features != layer.in_features:
                return None  # the layers say it better
            chain.append(Block(layer, f"{name}.weight", f"{name}.bias"))
        elif type(layer) in UNITS and last.linear and not last.unit and not last.dropout:
            last.unit = cast(Activation, layer)
        elif type(layer) is Dropout and last.dropout is None:
            last.dropout = layer
        else:
            return None
    last = chain[-1]
    return chain if last.linear is not None and last.unit is None and last.dropout is None else None


class FusedStep:
    """One training step of a chain: forward, loss, backward and update.

    Args:
        model: the chain.
        chain: its `blocks`.
        loss: the loss.
        optimizer: over the model's parameters.
        gradients: whether weight gradients are written also where the update can do without.
    """

    def __init__(
        self,
        model: Layer,
        chain: list[Block],
        loss: SoftmaxCrossEntropy,
        optimizer: Optimizer,
        gradients: bool,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        #: an optimizer of the user's may look at all gradients, so it gets them, and its step, as a whole
        self.shares_update = type(optimizer) in OPTIMIZERS.values()
        self.gradients = gradients or not self.shares_update
        self.slices = optimizer.parameters.slices()
        self.backend = model.backend
        self.input, *self.blocks = chain
        self.workspace = Workspace(self.backend.xp, reuse=True)
        self._scratch = ThreadWorkspace(self.backend.xp)

    def __call__(self, x: Array, labels: Array) -> Array:
        """Update the model from the batch x (B, features), labels (B,); return its loss before the update."""
        self._check(x, labels)
        self._prepare(x)
        self.labels = labels
        self.shares = self.backend.shares(len(x), self.optimizer.parameters.size)
        self.losses: list[Array] = [0.0] * self.shares
        self.loss_scale = self.loss.scale(len(x))
        self.backend.share_out(self._rows, self.shares)
        if self.shares_update:
            self.optimizer.advance()
        self.backend.share_out(self._units, self.shares)
        if not self.shares_update:
            self.optimizer.step()
        return sum(self.losses[1:], self.losses[0])

    def _check(self, x: Array, labels: Array) -> None:
        first, last = self.blocks[0].linear, self.blocks[-1].linear
        assert first is not None
        assert last is not None
        self.model.check_input(x)
        self.backend.check_finite(x, "the model's input")
        self.backend.check(x, f"the input of {first}", (None, first.in_features), first.dtype)
        self.loss.check_labels(labels, len(x), last.out_features)

    def _prepare(self, x: Array) -> None:
        """Find arrays and masks for a batch like x; gradients of the last block are the loss's."""
        rows, step = len(x), self.optimizer.steps
        numbers = self.optimizer.numbers()
        self.input.activation = self.input.output = x
        for i, block in enumerate([self.input, *self.blocks]):
            if block.linear is not None:
                shape = (rows, block.linear.out_features)
                block.activation = block.output = self.workspace.array(f"activation {i}", shape, x.dtype)
                if block is self.blocks[-1]:
                    block.gradient = self.loss.new_gradient(shape, x.dtype)
                else:
                    block.gradient = self.workspace.array(f"gradient {i}", shape, x.dtype)
            if block.dropout is not None:
                block.dropout.set_step(step)
                shape = block.activation.shape
                per_element = block.dropout.per == "element"
                block.keep = block.dropout.prepare_keep(
                    shape if per_element else shape[1:], block.dropout.rate
                )
                if isinstance(block.keep, Draw):
                    block.keep = block.keep._replace(numbers=numbers)
                    if not per_element:
                        block.keep = self.backend.drawn(block.keep)  # one mask for all rows
                elif block.dropout.rate.threshold == 0 and not block.dropout.is_given:
                    block.keep = None  # nothing is dropped
                if block.keep is not None and not block.is_rectified:
                    block.output = self.workspace.array(f"output {i}", shape, x.dtype)

    def _rows(self, share: int) -> None:
        """Forward, loss and dx of some rows."""
        rows = span(len(self.labels), share, self.shares, _BLOCK)
        x = self.input.activation[rows]
        for block in (self.input, *self.blocks):
            x = self._forward(block, x, rows)
        last = self.blocks[-1]
        self.losses[share] = self.backend.softmax_cross_entropy(
            x, self.labels[rows], self.loss_scale, last.gradient[rows], self._scratch.workspace
        )
        for below, block in reversed(list(zip(self.blocks, self.blocks[1:], strict=False))):
            self._backward(below, block, rows)

    def _forward(self, block: Block, x: Array, rows: slice) -> Array:
        xp, scratch = self.backend.xp, self._scratch.workspace
        keep = block.keep
        if isinstance(keep, Draw):
            keep = keep.rows(rows)
        elif keep is not None and keep.ndim == 2:
            keep = keep[rows]
        if block.linear is not None:
            bias = block.linear.bias and block.linear.bias.value
            x, z = block.activation[rows], x
            self.backend.matmul(z, block.linear.weight.value.T, out=x)
            if block.is_rectified:
                self.backend.bias_relu_dropout(x, bias, keep, block.scale, scratch)
                return x
            if bias is not None:
                x += bias
            if block.unit is not None:
                block.unit.function(x, x)
        if keep is None:
            return x
        y = block.output[rows]
        xp.multiply(x, self.backend.drawn(keep), out=y)
        if block.scale != 1:
            y *= block.scale
        return y

    def _backward(self, below: Block, block: Block, rows: slice) -> None:
        """The gradient of `below` from that of `block`."""
        assert block.linear is not None
        scratch = self._scratch.workspace
        y, dz = below.activation[rows], below.gradient[rows]
        in_place = below.is_rectified or below.unit is None
        dy = dz if in_place else scratch.array("dy", dz.shape, dz.dtype)
        self.backend.matmul(block.gradient[rows], block.linear.weight.value, out=dy)
        if below.is_rectified:
            self.backend.relu_dropout_backward(dy, y, below.scale, scratch)
            return
        if below.dropout is not None and below.keep is not None:
            mask = below.dropout.mask
            dy *= mask[rows] if mask.ndim == 2 else mask
            if below.scale != 1:
                dy *= below.scale
        if below.unit is not None:
            below.unit.gradient(dy, y, dz)

    def _units(self, share: int) -> None:
        """dW, db, update and projection of some units of each layer."""
        shares = self.shares
        accumulated = set()
        for below, block in zip([self.input, *self.blocks], self.blocks, strict=False):
            assert block.linear is not None
            weight, bias = block.linear.weight, block.linear.bias
            units = span(block.linear.out_features, share, shares)
            dz = block.gradient[:, units]
            if not dz.size:
                continue
            if self._accumulate(block, dz, below.output, units):
                accumulated.add(block.weight_name)
                weight.without_gradient = True
            else:
                self.backend.matmul(dz.T, below.output, out=weight.new_grad()[units])
            if bias is not None:
                self.backend.column_sums(dz, bias.new_grad()[units])
        if self.shares_update:
            self.optimizer.step_share(share, shares, frozenset(accumulated))

    def _accumulate(self, block: Block, dz: Array, x: Array, units: slice) -> bool:
        """Whether v ← decay v + factor dzᵀ x is done for some units; v is the first slot, or w itself."""
        rule = None if self.gradients else self.optimizer.rule(block.weight_name)
        if rule is None:
            return False
        flat = next(iter(self.optimizer.state.values()), self.optimizer.parameters.flat_values)
        v = flat[self.slices[block.weight_name]].reshape(-1, x.shape[1])[units]
        if self.backend.records:
            coefficients = self.optimizer.coefficients(block.weight_name)
            return coefficients is not None and self.backend.accumulate(coefficients, dz, x, v)
        return self.backend.add_product(rule.factor, dz, x, rule.decay, v)


@contextmanager
def buffers(model: Layer, loss: Any) -> Iterator[None]:
    """Let the model, and a loss of ours, write into the same arrays each time, inside a `with` block."""
    ours = isinstance(loss, SoftmaxCrossEntropy)
    model.reuse_buffers(True)
    if ours:
        loss.workspace.reuse = True
    try:
        yield
    finally:
        model.reuse_buffers(False)
        if ours:
            loss.workspace.reuse = False

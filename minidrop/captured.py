"""Training steps as CUDA graphs: recorded once, then launched several at a time.

Launching the kernels of a step one by one can take the host longer than they take the device. A recorded step
needs nothing from the host:

    on the device    examples, the epoch's order, η, μ, the step, how far the epoch is
    recorded         next batch → forward → loss → backward → update → count
    by the host      once an epoch its order, η and μ; a launch for some steps; the last, smaller batch

A step that is recorded and one that is not are the same kernels, so they give the same bits.
"""

from collections.abc import Iterator
from typing import Any

from minidrop.backends import Array, Draw, Source
from minidrop.backends.tally import Tally
from minidrop.data.batches import Batches
from minidrop.errors import BackendError
from minidrop.fused import FusedStep, blocks, buffers
from minidrop.optim import MaxNorm

#: how many steps a graph has: a launch for each of them would let the device wait in between
STEPS = 10


def obstacle(fused: FusedStep, batches: Batches) -> str:
    """Why the steps on `batches` cannot be recorded; nothing if they can."""
    backend, optimizer = fused.backend, fused.optimizer
    if not backend.records:
        return f"products: {backend.products}"
    if not fused.shares_update or optimizer.formula() is None:
        return f"there is no kernel for this {type(optimizer).__name__}"
    if any(type(projection) is not MaxNorm for projection in optimizer.projections):
        return "a projection is the user's own"
    if any(block.dropout and block.dropout.is_given for block in (fused.input, *fused.blocks)):
        return "a mask is given"
    if batches.inputs.dtype not in ("uint8", batches.dtype):
        return f"inputs are {batches.inputs.dtype}, neither bytes nor {batches.dtype}"
    return ""


class CapturedStep(FusedStep):
    """A fused step that finds its batches on the device, and the graphs of some of them in a row.

    Args:
        fused: the step that it is instead of.
        batches: what to train on.
        tally: where an epoch is counted.
    """

    def __init__(self, fused: FusedStep, batches: Batches, tally: Tally) -> None:
        chain = blocks(fused.model)
        assert chain is not None
        super().__init__(fused.model, chain, fused.loss, fused.optimizer, fused.gradients)
        xp, rows = self.backend.xp, batches.batch_size
        self.batches, self.tally = batches, tally
        self.x: Array = xp.empty((rows, batches.inputs.shape[1]), batches.dtype)
        self.batch_labels: Array = xp.empty(rows, "int64")
        order = xp.empty(batches.size, "int64")
        self.source = Source(batches.inputs, batches.labels, order, rows, batches.scaling)
        #: what kept a step from being recorded when that was tried
        self.obstacle = ""
        self._frozen: Any = None
        #: whether a step by launches has compiled kernels and made buffers: a recording can do neither
        self._is_warm = False
        self._graphs: dict[int, Any] = {}
        self._alive: list[Any] = []

    def epoch(self, epoch: int) -> Iterator[None]:
        """Train on the batches of `epoch` that the tally has not counted, telling of each launch."""
        batches, tally, rows = self.batches, self.tally, self.batches.batch_size
        self.source.order[...] = self.backend.asarray(batches.order(epoch))
        frozen = self._what_is_frozen()
        if frozen != self._frozen:
            self._frozen, self._is_warm = frozen, False
            self._graphs, self._alive = {}, []
        whole = batches.size // rows
        while tally.batches < len(batches):
            if tally.batches == whole:
                self._steps(batches.size - whole * rows)
            elif not self._is_warm or not self._launch(min(STEPS, whole - tally.batches)):
                self._steps(rows)
                self._is_warm = True
            yield None

    def _what_is_frozen(self) -> Any:
        """What a recording holds by value, so that steps are recorded anew when it has changed."""
        optimizer, arena = self.optimizer, self.optimizer.parameters
        dropouts = [block.dropout for block in (self.input, *self.blocks) if block.dropout]
        return (
            (optimizer.formula(), optimizer.weight_decay, dict(optimizer.groups)),
            [projection.lengths(arena) for projection in optimizer.projections],
            [(dropout.rate, dropout.mode, dropout.per, dropout.stream) for dropout in dropouts],
            [optimizer.rule(name) is None for name in arena],
            (self.loss.reduction, self.backend.tf32),
        )

    def _steps(self, rows: int, steps: int = 1) -> None:
        """Train on the next batches, of so many examples each; queued, or recorded."""
        with buffers(self.model, self.loss):
            self.model.train()
            for _ in range(steps):
                self.tally.add(self(self.x[:rows], self.batch_labels[:rows]), rows)

    def _prepare(self, x: Array) -> None:
        """See `FusedStep._prepare`; x is written, by the kernel that also draws the input's dropout."""
        super()._prepare(x)
        keep = self.input.keep if isinstance(self.input.keep, Draw) else None
        labels = self.batch_labels[: len(x)]
        self.backend.next_batch(self.source, self.tally, keep, self.input.scale, x, labels)
        if keep is not None:
            self.input.keep, self.input.output = None, x

    def _launch(self, steps: int) -> bool:
        """Queue the graph of the next steps; False, with nothing queued, if they cannot be recorded."""
        self.optimizer.numbers()  # before a recording, which must not write them
        if steps not in self._graphs and not self.obstacle:
            self._record(steps)
        if self.obstacle:
            return False
        self._graphs[steps].launch()
        for _ in range(steps):  # what the host counts
            self.optimizer.advance()
        self.optimizer.numbers(counted=True)
        self.tally.batches += steps
        self.model.set_step(self.optimizer.steps)
        return True

    def _record(self, steps: int) -> None:
        rows, scalars, batches = self.batches.batch_size, self.optimizer.scalars(), self.tally.batches
        try:
            self._graphs[steps] = self.backend.record(lambda: self._steps(rows, steps))
        except BackendError as error:
            self.obstacle = str(error)
        # nothing is done yet
        self.optimizer.restore_scalars(scalars)
        self.optimizer.numbers(counted=True)
        self.tally.batches = batches
        self._alive.append(self._scratch.workspace)  # a graph knows addresses alone
        for block in (self.input, *self.blocks):
            self._alive += [block.activation, block.output, block.gradient]
            self._alive += [block.dropout.mask] if block.dropout else []

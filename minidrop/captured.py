"""Training steps as CUDA graphs: recorded once, then launched several at a time.

Launching the kernels of a step one by one can take the host longer than they take the device. A recorded step
needs nothing from the host:

    on the device    examples, the epoch's order, η, μ, the step, how far the epoch is
    recorded         next batch → forward → loss → backward → update → count
    by the host      once an epoch its order, η and μ; a launch for some steps; the last, smaller batch

A step that is recorded and one that is not are the same kernels, so they give the same bits.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from minidrop.backends import Array, Backend, Draw, Source
from minidrop.backends.tally import Tally
from minidrop.data.batches import Batches, ReplicaBatches
from minidrop.errors import BackendError
from minidrop.fused import Block, FusedStep, blocks, buffers
from minidrop.losses import SoftmaxCrossEntropy
from minidrop.optim import MaxNorm, Optimizer

#: how many steps a graph has: a launch for each of them would let the device wait in between
STEPS = 10


def obstacle(fused: FusedStep, batches: Batches) -> str:
    """Why the steps on `batches` cannot be recorded; nothing if they can."""
    optimizer = fused.optimizer
    if why := unrecordable(fused.backend, batches):
        return why
    if not fused.shares_update or optimizer.formula() is None:
        return f"there is no kernel for this {type(optimizer).__name__}"
    if any(type(projection) is not MaxNorm for projection in optimizer.projections):
        return "a projection is the user's own"
    if any(block.dropout and block.dropout.is_given for block in (fused.input, *fused.blocks)):
        return "a mask is given"
    return ""


def unrecordable(backend: Backend, batches: Batches | ReplicaBatches) -> str:
    """Why no step on `batches` can be recorded; nothing if one can."""
    if not backend.records:
        return f"products: {backend.products}"
    if batches.inputs.dtype not in ("uint8", batches.dtype):
        return f"inputs are {batches.inputs.dtype}, neither bytes nor {batches.dtype}"
    return ""


class Recorder:
    """What a step needs besides, that finds its batches on the device, to be launched several at a time.

    Args:
        batches: what to train on.
        tallies: where the epochs of the models are counted, in step with one another.
        optimizers: the models'.
        order: for the order of an epoch, on the device.
    """

    backend: Backend
    optimizer: Optimizer
    loss: SoftmaxCrossEntropy
    input: Block
    blocks: list[Block]

    def __init__(
        self,
        batches: Batches | ReplicaBatches,
        tallies: Sequence[Tally],
        optimizers: Sequence[Optimizer],
        order: Array,
    ) -> None:
        self.batches: Any = batches
        self.all_tallies, self.optimizers, self.order = tallies, optimizers, order
        #: what kept a step from being recorded when that was tried
        self.failure = ""
        self._frozen: Any = None
        #: whether a step by launches has compiled kernels and made buffers: a recording can do neither
        self._is_warm = False
        #: the recordings, by how many steps they have
        self.graphs: dict[int, Any] = {}
        self._alive: list[Any] = []

    def _steps(self, rows: int, steps: int = 1) -> None:
        """Train on the next batches, of so many examples each; queued, or recorded."""
        raise NotImplementedError

    def _in_use(self) -> Any:
        """What a graph, which knows addresses alone, needs to stay alive."""

    def _launched(self, epoch: int) -> Iterator[None]:
        """Train on the batches of `epoch` that the tally has not counted, telling of each launch."""
        batches, tally, rows = self.batches, self.all_tallies[0], self.batches.batch_size
        self.order[...] = self.backend.asarray(batches.order(epoch))
        frozen = self._what_is_frozen()
        if frozen != self._frozen:
            self._frozen, self._is_warm = frozen, False
            self.graphs, self._alive = {}, []
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
            (optimizer.formula(), optimizer.weight_decay),
            [projection.lengths(arena) for projection in optimizer.projections],
            [(dropout.rate, dropout.mode, dropout.per, dropout.stream) for dropout in dropouts],
            [optimizer.rule(name) is None for name in arena],
            (self.loss.reduction, self.backend.tf32),
        )

    def _launch(self, steps: int) -> bool:
        """Queue the graph of the next steps; False, with nothing queued, if they cannot be recorded."""
        self.optimizer.numbers()  # before a recording, which must not write them
        if steps not in self.graphs and not self.failure:
            self._record(steps)
        if self.failure:
            return False
        self.graphs[steps].launch()
        for optimizer in self.optimizers:  # what the host counts
            for _ in range(steps):
                optimizer.advance()
        self.optimizer.numbers(counted=True)
        for tally in self.all_tallies:
            tally.batches += steps
        return True

    def _record(self, steps: int) -> None:
        rows, batches = self.batches.batch_size, self.all_tallies[0].batches
        scalars = [optimizer.scalars() for optimizer in self.optimizers]
        try:
            self.graphs[steps] = self.backend.record(lambda: self._steps(rows, steps))
        except BackendError as error:
            self.failure = str(error)
        # nothing is done yet
        for optimizer, before in zip(self.optimizers, scalars, strict=True):
            optimizer.restore_scalars(before)
        self.optimizer.numbers(counted=True)
        for tally in self.all_tallies:
            tally.batches = batches
        self._alive.append(self._in_use())


class CapturedStep(Recorder, FusedStep):
    """A fused step that finds its batches on the device, and the graphs of some of them in a row.

    Args:
        fused: the step that it is instead of.
        batches: what to train on.
        tally: where an epoch is counted.
    """

    def __init__(self, fused: FusedStep, batches: Batches, tally: Tally) -> None:
        chain = blocks(fused.model)
        assert chain is not None
        FusedStep.__init__(self, fused.model, chain, fused.loss, fused.optimizer, fused.gradients)
        xp, rows = self.backend.xp, batches.batch_size
        Recorder.__init__(self, batches, [tally], [self.optimizer], xp.empty(batches.size, "int64"))
        self.tally = tally
        self.x: Array = xp.empty((rows, batches.inputs.shape[1]), batches.dtype)
        self.batch_labels: Array = xp.empty(rows, "int64")
        self.source = Source(batches.inputs, batches.labels, self.order, rows, batches.scaling)

    def epoch(self, epoch: int) -> Iterator[None]:
        """Train on the batches of `epoch` that the tally has not counted, telling of each launch."""
        for told in self._launched(epoch):
            self.model.set_step(self.optimizer.steps)
            yield told

    def _steps(self, rows: int, steps: int = 1) -> None:
        """See `Recorder._steps`."""
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

    def _in_use(self) -> Any:
        """See `Recorder._in_use`."""
        chain = (self.input, *self.blocks)
        arrays = [(block.activation, block.output, block.gradient) for block in chain]
        return self._scratch.workspace, arrays, [block.dropout.mask for block in chain if block.dropout]

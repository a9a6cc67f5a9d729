"""CuPy: matrix products by cuBLAS, nearly everything else by kernels.cu. Only this file imports cupy.

The products of a training step are those of a cuBLAS handle of our own, which a graph can record; where that
fails they are CuPy's, and `products` says why.

Nothing here waits for the device, and within a step nothing is allocated. Where an operation has no kernel,
as for complex numbers and for arrays with gaps, the plain definition does it.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from minidrop.backends import cublas, graphs
from minidrop.backends.arguments import (
    NOT_DRAWN,
    Numbers,
    after_a_step,
    constants,
    drawing,
    kernels_take,
    of_first_replica,
)
from minidrop.backends.base import Backend
from minidrop.backends.kernels import NUMBERS_SIZE, Kernels, grid
from minidrop.backends.tally import DeviceTally, Tally
from minidrop.backends.values import Array, Draw, Formula, Moving, Scaling, Source, Update
from minidrop.backends.workspace import Workspace
from minidrop.errors import BackendError

INSTALL = "pip install -c constraints.txt -e '.[cuda12]' for CUDA 12, '.[cuda13]' for CUDA 13"

_WARP, _WARPS, _LANES = 32, 8, 16


class CupyBackend(Backend):
    """Arrays on the current CUDA device.

    Raises:
        BackendError: if CuPy is not installed, or if it is and finds no device.
    """

    name = "cupy"
    has_kernels = True
    takes_replicas = True

    def __init__(self) -> None:
        try:
            import cupy
        except ImportError as error:
            raise BackendError(f"backend cupy: CuPy is not installed ({error}); {INSTALL}") from None
        try:
            devices = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise BackendError(
                f"backend cupy: CuPy {cupy.__version__} is installed but finds no CUDA device ({error}); "
                f"check nvidia-smi, and that the extra fits the driver: {INSTALL}"
            ) from None
        if devices == 0:
            raise BackendError(
                f"backend cupy: CuPy {cupy.__version__} is installed but this machine has no CUDA device; "
                "use --backend numpy here"
            )
        self.xp = cupy
        self._launch = Kernels(cupy).launch
        self._cublas: cublas.Cublas | None = None
        try:
            own = cublas.Cublas(cupy, cublas.load(cupy))
            graphs.check(cupy, own)
        except BackendError as error:
            self.products = f"CuPy, uncaptured ({error})"
        else:
            self._cublas, self.products = own, f"own cuBLAS {own.version}, captured"
            self.records = True
        self._is_recording = False

    def to_host(self, array: Array) -> np.ndarray[Any, Any]:
        """A copy of `array` on the host."""
        host: np.ndarray[Any, Any] = self.xp.asnumpy(array)
        return host

    def device(self) -> str:
        """The name of the current device."""
        runtime = self.xp.cuda.runtime
        properties = runtime.getDeviceProperties(self.xp.cuda.Device().id)
        return str(properties["name"].decode())

    # -- products ----------------------------------------------------------------------------------------

    def matmul(self, a: Array, b: Array, out: Array) -> None:
        """See `Backend.matmul`; by our own handle, which a graph can record."""
        if self._cublas is not None:
            self._cublas.tf32 = self.tf32
            if self._cublas.product(a, b, out):
                return
        super().matmul(a, b, out)

    def accumulate(self, coefficients: Array, a: Array, b: Array, c: Array) -> bool:
        """See `Backend.accumulate`."""
        assert self._cublas is not None
        self._cublas.tf32 = self.tf32
        transposed = a.T if a.ndim == 2 else a.transpose(0, 2, 1)
        return self._cublas.product(transposed, b, c, coefficients)

    def record(self, work: Callable[[], object]) -> Any:
        """See `Backend.record`; a CUDA graph."""
        assert self._cublas is not None
        self._is_recording = True
        try:
            return graphs.record(self._cublas, work)
        finally:
            self._is_recording = False

    # -- masks -------------------------------------------------------------------------------------------

    def keep_mask(self, draw: Draw) -> Array:
        """See `Backend.keep_mask`; a thread for each block of random words, also of several replicas."""
        replicas = len(draw.keep) if draw.replicas else 1
        n = draw.keep.size // replicas
        blocks = grid(-(-n // _LANES) + 1)
        self._launch("keep_mask", "float32", blocks, draw.keep, n, *drawing(draw), replicas=replicas)
        return draw.keep

    keep_masks = keep_mask

    def bias_relu_dropout(
        self, z: Array, bias: Array | None, keep: Array | Draw | None, scale: float, workspace: Workspace
    ) -> None:
        """See `Backend.bias_relu_dropout`; a mask is drawn by the threads that use it, and written beside."""
        mask = keep.keep if isinstance(keep, Draw) else keep
        replicas, rows, columns = (1, *z.shape)[-3:]
        row, distance = of_first_replica(bias, replicas)
        if not kernels_take(z, mask, row):
            super().bias_relu_dropout(z, bias, keep, scale, workspace)
            return
        of_features = mask is not None and mask.size == replicas * columns and rows > 1
        self._launch(
            "bias_relu_dropout",
            z.dtype,
            grid(rows * columns // _LANES + 2),
            *(z, rows, columns, row, distance, 1.0 if keep is None else scale),
            *(mask, of_features, isinstance(keep, Draw), *drawing(keep)),
            sizes=[(row, columns), (mask, replicas * columns if of_features else z.size)],
            replicas=replicas,
        )

    def relu_dropout_backward(self, dy: Array, y: Array, scale: float, workspace: Workspace) -> None:
        """See `Backend.relu_dropout_backward`."""
        if not kernels_take(dy, y):
            super().relu_dropout_backward(dy, y, scale, workspace)
            return
        self._launch(
            "relu_dropout_backward", dy.dtype, grid(dy.size), dy, y, dy.size, scale, sizes=[(y, dy.size)]
        )

    # -- batches -----------------------------------------------------------------------------------------

    def gather(
        self, inputs: Array, indices: Array, scaling: Scaling, out: Array, workspace: Workspace
    ) -> Array:
        """See `Backend.gather`; from bytes to numbers in one kernel."""
        name = {"uint8": "gather_bytes", out.dtype.name: "gather_reals"}.get(inputs.dtype.name)
        if name is None or inputs.ndim != 2 or not kernels_take(out, inputs, indices):
            return super().gather(inputs, indices, scaling, out, workspace)
        rows, columns = out.shape
        self._launch(
            name,
            out.dtype,
            grid(out.size // _LANES + 2),
            *(inputs, None, indices, rows, columns, 0, None, *scaling, out, None, 1.0, None, *NOT_DRAWN),
            sizes=[(indices, rows)],
        )
        return out

    def next_batch(
        self, source: Source, tally: Tally, keep: Draw | None, scale: float, x: Array, labels: Array
    ) -> None:
        """See `Backend.next_batch`; in one kernel, which looks up what the device has counted."""
        assert isinstance(tally, DeviceTally)
        rows, columns = x.shape
        mask, factor = (None, 1.0) if keep is None else (keep.keep, scale)
        _, *draw = drawing(keep)  # its lanes begin with the batch
        self._launch(
            "gather_bytes" if source.inputs.dtype == np.uint8 else "gather_reals",
            x.dtype,
            grid(x.size // _LANES + 2),
            *(source.inputs, source.labels, source.order, rows, columns, source.batch_size, tally.array),
            *(*source.scaling, x, labels, factor, mask, keep is not None, *draw),
            sizes=[(source.order, rows), (labels, rows), (mask, x.size)],
        )

    def take(self, array: Array, indices: Array, out: Array) -> Array:
        """See `Backend.take`."""
        return self.xp.take(array, indices, axis=0, out=out)

    # -- loss and gradients ------------------------------------------------------------------------------

    def softmax_cross_entropy(
        self, logits: Array, labels: Array, scale: float, gradient: Array, workspace: Workspace
    ) -> Array:
        """See `Backend.softmax_cross_entropy`; a warp for each row. A label that is no class makes it NaN."""
        if not kernels_take(logits, gradient):
            return super().softmax_cross_entropy(logits, labels, scale, gradient, workspace)
        *several, rows, classes = logits.shape
        loss = workspace.array("loss", tuple(several), logits.dtype)
        losses = workspace.array("losses", logits.shape[:-1], logits.dtype)
        if labels.dtype != np.int64 or not labels.flags.c_contiguous:
            given, labels = labels, workspace.array("labels", labels.shape, np.int64)
            labels[...] = given
        self._launch(
            "softmax_cross_entropy",
            logits.dtype,
            -(-losses.size // _WARPS),
            *(logits, labels, losses.size, classes, scale, gradient, losses),
            sizes=[(labels, losses.size), (gradient, logits.size)],
        )
        self._launch("scaled_sum", logits.dtype, 1, losses, rows, scale, loss, replicas=loss.size)
        return loss

    def kept(self, scalar: Array) -> Array:
        """See `Backend.kept`."""
        return scalar.copy()

    def tally(self) -> Tally:
        """See `Backend.tally`; in device memory, which is read when somebody asks."""
        return DeviceTally(self)

    def count_batch(self, tally: Array, loss: Array, examples: int) -> None:
        """See `Backend.count_batch`."""
        sizes = [(tally, 2 * loss.size), (loss, 1)]
        self._launch("count_batch", loss.dtype, 1, tally, loss, examples, sizes=sizes, replicas=loss.size)

    def column_sums(self, matrix: Array, out: Array) -> Array:
        """See `Backend.column_sums`; in an order that depends on the shape alone."""
        replicas, rows, columns = (1, *matrix.shape)[-3:]
        sums, distance = of_first_replica(out, replicas)
        if not kernels_take(matrix, sums):
            return super().column_sums(matrix, out)
        blocks = -(-columns // _WARP)
        arguments = matrix, rows, columns, sums, distance
        sizes = [(sums, columns)]
        self._launch("column_sums", matrix.dtype, blocks, *arguments, sizes=sizes, replicas=replicas)
        return out

    # -- updates -----------------------------------------------------------------------------------------

    def numbers(self, moving: Moving, held: Any = None, *, counted: bool = False) -> Any:
        """See `Backend.numbers`; a step that only counts is counted on the device, by itself.

        Raises:
            BackendError: in a recording, if the device cannot count it: it would be what it is now for ever.
        """
        numbers = cast(Numbers, held) or Numbers(self.xp.zeros(NUMBERS_SIZE, "float64"))
        known = numbers.moving
        if counted:
            numbers.moving = moving
        elif moving != known:
            if known is not None and moving == after_a_step(known):
                self._launch("advance_numbers", "float32", 1, numbers.array)
            elif self._is_recording:
                raise BackendError("each step takes numbers from the host")
            else:
                there = moving._replace(velocity_steps=moving.velocity_steps or 0)
                self._launch("set_numbers", "float32", 1, numbers.array, *there)
            numbers.moving = moving
        return numbers

    def update(self, update: Update) -> None:
        """See `Backend.update`: a thread for each weight, or a block for each row with a limit."""
        formula, numbers, arrays, lr_scale, weight_decay, decoupled, rows, (several, distance) = update
        w = arrays[0]
        assert w is not None
        slots = [*arrays, None, None, None][:5]
        rule = (numbers.array, lr_scale, weight_decay, decoupled, *constants(formula))
        sizes = [(array, w.size) for array in arrays]
        name = f"update_{formula.name}"
        if rows is None:
            sized = grid(w.size), *slots, w.size, distance
            self._launch(name, w.dtype, *sized, *rule, sizes=sizes, replicas=several)
        else:
            count, limit = rows
            sized = count, *slots, w.size // count, distance, limit
            self._launch(f"{name}_rows", w.dtype, *sized, *rule, sizes=sizes, replicas=several)

    def coefficients(self, formula: Formula, numbers: Any, lr_scale: float, out: Array) -> None:
        """See `Backend.coefficients`."""
        arguments = (numbers.array, lr_scale, *constants(formula), out)
        self._launch(f"coefficients_{formula.name}", out.dtype, 1, *arguments, sizes=[(out, 2)])

    def squared_row_norms(self, matrix: Array) -> Array:
        """See `Backend.squared_row_norms`; a block for each row."""
        if not kernels_take(matrix):
            return super().squared_row_norms(matrix)
        rows, columns = matrix.shape
        squared = self.xp.empty(rows, matrix.dtype)
        self._launch("squared_row_norms", matrix.dtype, rows, matrix, columns, squared)
        return squared

    def limit_row_norms(self, matrix: Array, limit: float, workspace: Workspace) -> None:
        """See `Backend.limit_row_norms`; a block for each row."""
        if not kernels_take(matrix):
            super().limit_row_norms(matrix, limit, workspace)
            return
        rows, columns = matrix.shape
        self._launch("limit_row_norms", matrix.dtype, rows, matrix, columns, limit)

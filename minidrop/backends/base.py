"""What a backend is, and the plain definition of every operation that a backend may speed up.

A backend is an array module `xp` (NumPy or CuPy, which share their interface), the way between host and
device, and a few operations that do more than one array call. Each of those is defined here in its plainest
form. A backend may override one where that is measurably faster; a test holds every override to the
definition in this file.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

from minidrop.backends.arrays import Arrays
from minidrop.backends.tally import Tally
from minidrop.backends.values import Array, Draw, Formula, Moving, Scaling, Source, Update
from minidrop.backends.workspace import Workspace
from minidrop.streams import Stream


class Backend(Arrays):
    """An array module with the operations that minidrop's layers, losses and optimizers are built from."""

    #: how many elements of the flat parameters one pass of an update takes; None: all of them at once
    chunk: int | None = None
    #: whether `update` and `numbers` are there, so that an optimizer's step need not be array operations
    has_kernels: bool = False
    #: whether operations take an axis of replicas, so that one step trains several models
    takes_replicas: bool = False
    #: whether `record` is there
    records: bool = False
    #: whose matrix products a training step uses, where there is a choice
    products: str = ""
    #: whether float32 products may round their factors to TF32, where a device has that
    tf32: bool = False

    def __deepcopy__(self, memo: dict[int, Any]) -> "Backend":
        """There is one backend object of a kind, also for a copied model."""
        return self

    # -- threads -----------------------------------------------------------------------------------------

    def shares(self, rows: int, weights: int) -> int:
        """Among how many threads to share out a step of a model of `weights` numbers on `rows` examples."""
        return 1

    def update_shares(self, numbers: int) -> int:
        """Among how many threads to share out an update alone, which changes so many weights and slots."""
        return 1

    def share_out(self, job: Callable[[int], object], shares: int) -> None:
        """Call job(0) ... job(shares - 1), at the same time where the backend has threads for it."""
        for share in range(shares):
            job(share)

    def side_by_side(self, job: Callable[[int], object], most: int) -> None:
        """Call job(0), job(1), ... at the same time, one in each thread, at most `most` of them.

        For work that takes its own share of what is to do, and where products should not be shared out.
        """
        job(0)

    # -- recording ---------------------------------------------------------------------------------------

    def record(self, work: Callable[[], object]) -> Any:
        """What `work` queues, as something to `launch()` any number of times; nothing of it is done now.

        Raises:
            BackendError: if something in it cannot be recorded.
        """
        raise NotImplementedError

    # -- operations --------------------------------------------------------------------------------------

    def drawn(self, keep: Array | Draw) -> Array:
        """A mask that is there already, or one that is drawn now."""
        if not isinstance(keep, Draw):
            return keep
        return self.keep_masks(keep) if keep.replicas else self.keep_mask(keep)

    def uniform_mask(self, value: bool, shape: tuple[int, ...]) -> Array:
        """A mask of one value, as a view that takes no memory."""
        return self.xp.broadcast_to(self._booleans[value], shape)

    @cached_property
    def _booleans(self) -> list[Array]:
        return [self.xp.full((), value) for value in (False, True)]

    def keep_mask(self, draw: Draw) -> Array:
        """Write into the boolean `draw.keep` which elements stay: keep = (lane >= threshold).

        Element i, in C order, looks at 16-bit lane start + i of (stream, step), so it is dropped with
        probability threshold / 65536 exactly.
        """
        stream, step, threshold, keep, start, *_ = draw
        lanes = self.asarray(stream.lanes(keep.size, step, start)).reshape(keep.shape)
        return self.xp.greater_equal(lanes, threshold, out=keep)

    def keep_masks(self, draw: Draw) -> Array:
        """Draw the masks of several replicas, (K, ...): that of replica k from the stream of seed + k."""
        for k, mask in enumerate(draw.keep):
            stream = replace(draw.stream, seed=draw.stream.seed + k)
            self.keep_mask(draw._replace(stream=stream, keep=mask, replicas=False))
        return draw.keep

    def bias_relu_dropout(
        self, z: Array, bias: Array | None, keep: Array | Draw | None, scale: float, workspace: Workspace
    ) -> None:
        """Change z = x Wᵀ into what Linear, ReLU and Dropout together make of x: scale keep max(z + b, 0).

        Where there is no bias or no dropout, None stands for it; a mask that is a `Draw` is drawn. Of several
        replicas, z is (K, B, out), bias (K, out), and keep (K, B, out) or (K, 1, out).
        """
        if bias is not None:
            z += bias[..., None, :]
        self.xp.maximum(z, 0, out=z)
        if keep is not None:
            z *= self.drawn(keep)
            z *= scale

    def relu_dropout_backward(self, dy: Array, y: Array, scale: float, workspace: Workspace) -> None:
        """Change dy into dz = scale dy [y > 0]: an output y is above 0 where it was kept and its z was."""
        dy *= y > 0
        dy *= scale

    def matmul(self, a: Array, b: Array, out: Array) -> None:
        """Write the matrix product a b into `out`."""
        self.xp.matmul(a, b, out=out)

    def add_product(self, alpha: float, a: Array, b: Array, beta: float, c: Array) -> bool:
        """C ← β C + α Aᵀ B, if the backend can do that without an array for the product; False if not."""
        return False

    def accumulate(self, coefficients: Array, a: Array, b: Array, c: Array) -> bool:
        """C ← β C + α Aᵀ B as `add_product` does it, on a backend that records, with (α, β) in its memory."""
        raise NotImplementedError

    def coefficients(self, formula: Formula, numbers: Any, lr_scale: float, out: Array) -> None:
        """Write (α, β) of a linear rule v ← β v + α g, as it is by `numbers`, into `out`."""
        raise NotImplementedError

    def axpby(self, alpha: float, x: Array, beta: float, y: Array, scratch: Array) -> None:
        """y ← β y + α x, flat; what `scratch`, another array like y or x itself, holds is lost."""
        if beta != 1:
            y *= beta
        if alpha == 1:
            y += x
        else:
            self.xp.multiply(x, alpha, out=scratch)
            y += scratch

    def kept(self, scalar: Array) -> Array:
        """A scalar that outlives the next step: on a device a copy of one that lies in a step's memory."""
        return scalar

    def tally(self) -> Tally:
        """Where an epoch's losses are added up."""
        return Tally()

    def count_batch(self, tally: Array, loss: Array, examples: int) -> None:
        """Add a batch with its loss, a scalar of a device, to the memory of a `DeviceTally`.

        Of several replicas, tally is (K, 2) and loss (K,).
        """
        raise NotImplementedError

    def column_sums(self, matrix: Array, out: Array) -> Array:
        """Write the sum of each column of `matrix` into `out`: a bias gradient from those of the examples.

        Of several replicas, `matrix` is (K, B, columns) and `out` (K, columns).
        """
        return self.xp.sum(matrix, axis=-2, out=out)

    def numbers(self, moving: Moving, held: Any = None, *, counted: bool = False) -> Any:
        """Where a device finds `moving`, in the memory that was `held` for it before; None on the host.

        If it has `counted` there by itself, as recorded steps do, nothing is written.
        """
        return None

    def update(self, update: Update) -> None:
        """Change weights and slots by a formula: one optimizer's `update` and its projection, in a kernel."""
        raise NotImplementedError

    def standard_normal(self, stream: Stream, step: int, out: Array) -> Array:
        """Fill `out` with draws of N(0, 1), made in float64 on the host so that all backends agree."""
        out[...] = self.asarray(stream.generator(step).standard_normal(out.shape), out.dtype)
        return out

    def softmax_cross_entropy(
        self, logits: Array, labels: Array, scale: float, gradient: Array, workspace: Workspace
    ) -> Array:
        """Return scale * sum_i -log softmax(logits_i)[label_i] and write its gradient.

        With z = logits - max(logits), which changes nothing and keeps exp in range, and s = sum_j exp(z_j):

            loss_i = log s_i - z_i[label_i]        gradient_i = scale * (exp(z_i) / s_i - onehot(label_i))

        Of several replicas, logits (K, B, classes) and labels (K, B), the losses are (K,).
        """
        xp = self.xp
        if logits.ndim == 3:
            each = zip(logits, labels, gradient, strict=True)
            return xp.stack([self.softmax_cross_entropy(z, t, scale, g, workspace) for z, t, g in each])
        rows = xp.arange(len(labels))
        z = logits - logits.max(axis=1, keepdims=True)
        exp_z = xp.exp(z)
        s = exp_z.sum(axis=1, keepdims=True)
        xp.divide(exp_z, s, out=gradient)
        gradient[rows, labels] -= 1
        gradient *= scale
        return scale * (xp.log(s[:, 0]) - z[rows, labels]).sum()

    def squared_row_norms(self, matrix: Array) -> Array:
        """The squared Euclidean length of each row of `matrix`, shape (rows,)."""
        return self.xp.einsum("ij,ij->i", matrix, matrix)

    def limit_row_norms(self, matrix: Array, limit: float, workspace: Workspace) -> None:
        """Rescale, in place, each row longer than `limit` to that length: W_i *= limit / max(limit, |W_i|).

        For a row within the limit the factor is limit / limit = 1, so it keeps its bits.
        """
        xp = self.xp
        lengths = xp.sqrt(self.squared_row_norms(matrix))
        matrix *= (limit / xp.maximum(lengths, limit))[:, None]

    def take(self, array: Array, indices: Array, out: Array) -> Array:
        """Write array[indices], whole rows, into `out`."""
        out[...] = array[indices]
        return out

    def gather(
        self, inputs: Array, indices: Array, scaling: Scaling, out: Array, workspace: Workspace
    ) -> Array:
        """Write (inputs[indices] / divisor - mean) / std into `out`: a batch, from bytes to numbers."""
        return self.scale(inputs[indices], scaling, out)

    def next_batch(
        self, source: Source, tally: Tally, keep: Draw | None, scale: float, x: Array, labels: Array
    ) -> None:
        """Write the batch that follows on those of `tally` into x and labels, with dropout if there is one.

        Row r is example i = order[batches * batch_size + r] of the source:

            x_r = scale keep_r (inputs_i / divisor - mean) / std        labels_r = labels_i
        """
        first = tally.batches * source.batch_size
        indices = source.order[first : first + len(x)]
        self.gather(source.inputs, indices, source.scaling, x, Workspace(self.xp))
        self.take(source.labels, indices, labels)
        if keep is not None:
            x *= self.drawn(keep)
            x *= scale

    def scale(self, inputs: Array, scaling: Scaling, out: Array) -> Array:
        """Write (inputs / divisor - mean) / std into `out`."""
        out[...] = inputs
        out /= scaling.divisor
        out -= scaling.mean
        out /= scaling.std
        return out

    def count_errors(self, logits: Array, labels: Array) -> int:
        """How many rows of `logits` have their maximum elsewhere than at their label."""
        return int((logits.argmax(axis=1) != labels).sum())

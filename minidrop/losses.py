"""The loss: softmax and cross-entropy in one, because together their gradient is simple."""

from typing import Any, Protocol

from minidrop.backends import Array, Backend, Workspace, get_backend
from minidrop.errors import ArrayError, UsageError, check_choice
from minidrop.parameters import DTYPES


class Loss(Protocol):
    """What a training step can lower; `minidrop.testing.check_loss` proves one."""

    def forward(self, output: Array, targets: Array) -> Any:
        """The loss of a batch, a scalar: a mean over its examples; `output` is the next step's again."""

    def backward(self) -> Array:
        """The gradient of the last loss, in the shape of the output."""


class SoftmaxCrossEntropy:
    """L = c Σ_i -log p_i[t_i] with p = softmax(z), logits z (B, classes), integer labels t (B,).

        p_ij = e^(z_ij) / Σ_k e^(z_ik)        dz = c (p - onehot(t))

    c is 1/B for reduction="mean" and 1 for "sum". The maximum of each row is subtracted first, which changes
    nothing and keeps the exponentials in range, and the logarithm is taken of a sum that is at least 1: no
    epsilon is needed, also at logits of 1e4.

    Args:
        reduction: "mean" or "sum".
        backend: "numpy", "numba", "cupy" or the current one.

    Raises:
        ArgumentError: for another reduction.

    >>> import minidrop as md, numpy as np
    >>> loss = md.SoftmaxCrossEntropy()
    >>> print(loss.forward(np.zeros((1, 4)), np.array([2])))  # log 4
    1.3862943611198906
    >>> loss.backward()
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """

    def __init__(self, reduction: str = "mean", *, backend: str | Backend | None = None) -> None:
        self.reduction = check_choice("reduction", reduction, ("mean", "sum"))
        self.backend = get_backend(backend)
        self.workspace = Workspace(self.backend.xp)
        self._scratch = Workspace(self.backend.xp, reuse=True)
        self._gradient: Array | None = None

    def forward(self, logits: Array, labels: Array) -> Array:
        """The loss, a scalar of the backend (float() of it is a number); the gradient is made along with it.

        Raises:
            ArrayError: if logits are not (B, classes), or labels not B integers in 0 ... classes - 1.
        """
        self.backend.check(logits, "the logits", (None, None))
        if logits.dtype not in DTYPES:
            raise ArrayError(f"the logits must be float32 or float64, got {logits.dtype}")
        self.check_labels(labels, *logits.shape)
        gradient = self.new_gradient(logits.shape, logits.dtype)
        scale = self.scale(len(logits))
        loss = self.backend.softmax_cross_entropy(logits, labels, scale, gradient, self._scratch)
        return self.backend.kept(loss)

    def check_labels(self, labels: Array, rows: int, classes: int) -> None:
        """Refuse labels that are not `rows` integers in 0 ... classes - 1, with an ArrayError."""
        if getattr(labels, "shape", ()) == (rows, classes):
            raise ArrayError("the labels must be classes, one integer each, not one-hot: .argmax(axis=1)")
        self.backend.check(labels, "the labels", (rows,))
        if labels.dtype.kind not in "iu":
            raise ArrayError(f"the labels must be integers, got {labels.dtype.name}")
        if self.backend.values_are_cheap:
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= classes:
                bad = low if low < 0 else high
                raise ArrayError(f"the labels must be in 0 ... {classes - 1}, found {bad}")

    def scale(self, rows: int) -> float:
        """c, for a batch of `rows` examples."""
        return 1 / rows if self.reduction == "mean" else 1.0

    def new_gradient(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Where the gradient of this pass is to be written: what `backward` will return."""
        self._gradient = self.workspace.array("gradient", shape, dtype)
        return self._gradient

    def backward(self) -> Array:
        """dz = c (p - onehot(t)), shape (B, classes); UsageError before a forward pass."""
        if self._gradient is None:
            raise UsageError("SoftmaxCrossEntropy.backward needs a forward pass first")
        return self._gradient

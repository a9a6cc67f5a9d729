"""The loss and its gradient, as mean and as sum, also where naive exponentials overflow."""

from collections.abc import Iterator
from functools import partial

import numpy as np

import minidrop as md
from reference import tolerances as tol
from reference.checks.rows import Check, Comparison, Row, Setting, row
from reference.losses import SoftmaxCrossEntropy

#: (batch, classes), and how large the logits are
CASES = (((1, 10), 1.0), ((33, 10), 3.0), ((7, 2), 1.0), ((100, 10), 1e4))


def checks(setting: Setting) -> Iterator[Check]:
    """One for each reduction."""
    source = md.SoftmaxCrossEntropy.forward
    for reduction in ("mean", "sum"):
        yield Check(f"SoftmaxCrossEntropy {reduction}", partial(_rows, setting, reduction), source)


def _rows(setting: Setting, reduction: str) -> Iterator[Row]:
    values, gradients = [], []
    for (batch, classes), size in CASES:
        rng = setting.rng(batch, classes)
        logits = setting.array(size * rng.standard_normal((batch, classes)))
        labels = rng.integers(classes, size=batch)
        loss = md.SoftmaxCrossEntropy(reduction, backend=setting.backend)
        value = loss.forward(logits, setting.backend.asarray(labels))
        theirs = setting.tensor(logits).requires_grad_()
        expected = SoftmaxCrossEntropy(reduction=reduction)(theirs, setting.tensor(labels))
        expected.backward()
        assert theirs.grad is not None
        what = f"logits {batch, classes} of size {size:g}"
        values.append(
            Comparison(
                f"{what}: L",
                np.asarray(setting.backend.to_host(value)).astype(setting.dtype),
                expected.detach().numpy(),
                tol.summing(setting.dtype, batch + classes, tol.FUNCTION),
            )
        )
        gradients.append(
            Comparison(
                f"{what}: dz",
                setting.backend.to_host(loss.backward()),
                theirs.grad.numpy(),
                tol.summing(setting.dtype, classes, tol.FUNCTION),
            )
        )
    op = f"SoftmaxCrossEntropy {reduction}"
    both = (type(setting.backend).softmax_cross_entropy, md.SoftmaxCrossEntropy.forward)
    yield row(op, "value", values, both)
    yield row(op, "gradient", gradients, type(setting.backend).softmax_cross_entropy)

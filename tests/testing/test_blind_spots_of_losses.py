"""Losses whose bugs only larger logits, other labels, batches or dtypes show."""

import numpy as np
import pytest
from failing import failures

from minidrop.errors import ArgumentError
from minidrop.testing import check_loss


class CrossEntropy:
    """The mean over a batch, right as it is here."""

    def softmax(self, z):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def log(self, z, rows, labels):
        z = z - z.max(axis=1, keepdims=True)
        return (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))[rows, labels]

    def forward(self, z, labels):
        rows = np.arange(len(z))
        self.p, self.onehot = self.softmax(z), np.eye(z.shape[1], dtype=z.dtype)[labels]
        return -self.log(z, rows, labels).mean()

    def backward(self):
        return (self.p - self.onehot) / np.asarray(len(self.p), self.p.dtype)


class Clipped(CrossEntropy):
    def log(self, z, rows, labels):
        return np.log(np.clip(self.p, 1e-7, 1))[rows, labels]


class OneMaximum(CrossEntropy):
    """Of the whole batch instead of each row: a row far below it is 0 / 0."""

    def softmax(self, z):
        e = np.exp(z - z.max())
        return e / e.sum(axis=1, keepdims=True)


class FirstLabels(CrossEntropy):
    kept = None

    def forward(self, z, labels):
        value = super().forward(z, labels)
        if self.kept is None:
            self.kept = self.onehot
        self.onehot = self.kept[: len(z)]
        return value


class FirstSize(CrossEntropy):
    size = None

    def backward(self):
        self.size = self.size or len(self.p)
        return (self.p - self.onehot) / np.asarray(self.size, self.p.dtype)


class TwiceInFloat32(CrossEntropy):
    def backward(self):
        return super().backward() * np.asarray(1 + (self.p.dtype == "float32"), self.p.dtype)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("loss", "check"),
    [
        (Clipped, "elsewhere"),
        (OneMaximum, "stability"),
        (FirstLabels, "repeatable"),
        (FirstSize, "repeatable"),
        (TwiceInFloat32, "dtype"),
    ],
)
def test_a_loss_that_is_right_at_first_sight(loss, check, seed):
    assert check_loss(CrossEntropy(), seed=seed).passed
    assert check in failures(check_loss, loss(), seed=seed)


def test_a_loss_for_each_example_is_told_to_add_up():
    class Each(CrossEntropy):
        def forward(self, z, labels):
            super().forward(z, labels)
            return z[:, 0]

    with pytest.raises(ArgumentError, match=r"must be one number, got shape \(5,\): add the examples up"):
        check_loss(Each())

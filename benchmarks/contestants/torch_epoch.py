"""PyTorch's epoch, as it is usually written and as it is fast."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.contestants.parts import Parts
from benchmarks.contestants.torch_step import TorchStep
from benchmarks.images import DIVISOR, TEST_BATCH, images
from benchmarks.workload import Workload
from minidrop.data import Examples

Batch = tuple[Tensor, Tensor]


class TorchEpoch:
    """One pass over the training images, then the test images.

    Args:
        workload: the net and its batches.
        train: how many images to train on.
        test: how many images to test on.
        loader: whether batches come from a DataLoader over a TensorDataset, which collates single examples;
            else they are rows of one tensor, by `index_select`. Pixels are floats already.
    """

    def __init__(self, workload: Workload, train: int, test: int, *, loader: bool) -> None:
        self.step = TorchStep(workload, optimizer="fused", max_norm=True, compiled=False)
        self.batch, self.loader = workload.batch, loader
        self.train = tensors(images(workload, train))
        self.test = tensors(images(workload, test, test=True))
        self._parts = Parts()

    def batches(self, data: Batch, size: int, shuffle: bool) -> Iterator[Batch]:
        """The batches of an epoch."""
        if self.loader:
            yield from DataLoader(TensorDataset(*data), batch_size=size, shuffle=shuffle)
            return
        x, labels = data
        if not shuffle:
            yield from zip(torch.split(x, size), torch.split(labels, size), strict=True)
            return
        for indices in torch.split(torch.randperm(len(x)), size):
            yield x.index_select(0, indices), labels.index_select(0, indices)

    def __call__(self) -> None:
        """One epoch."""
        self._parts.clear()
        total = 0.0
        batches = self.batches(self.train, self.batch, shuffle=True)
        for x, labels in self._parts.waits("batches", batches):
            with self._parts.takes("steps"):
                self.step.inputs, self.step.labels = x, labels
                total += self.step() * self.batch
        with self._parts.takes("test"):
            self.evaluate()

    def evaluate(self) -> tuple[float, int]:
        """The mean loss on the test images, and how many are wrong."""
        total, errors = 0.0, 0
        with torch.no_grad():
            for x, labels in self.batches(self.test, TEST_BATCH, shuffle=False):
                for layer in self.step.layers[:-1]:
                    x = functional.relu(layer(x))
                logits = self.step.layers[-1](x)
                total += functional.cross_entropy(logits, labels, reduction="sum").item()
                errors += int((logits.argmax(1) != labels).sum())
        return total / len(self.test[1]), errors

    def parts(self) -> Parts:
        """Where the time of the last epoch went."""
        return self._parts

    def values(self, n: int) -> list[float]:
        """The test loss of the initial weights, and how many steps an epoch has."""
        return [self.evaluate()[0], -(-len(self.train[0]) // self.batch)]


def tensors(examples: Examples) -> Batch:
    """Pixels as floats, and labels."""
    return torch.from_numpy(examples.inputs).float() / DIVISOR, torch.from_numpy(examples.labels)


def epoch(*, train: int, test: int, loader: bool, **fields: Any) -> TorchEpoch:
    """PyTorch's epoch on so many images."""
    return TorchEpoch(Workload(**fields), train, test, loader=loader)

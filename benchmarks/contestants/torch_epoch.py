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
        step: the net's, with the workload that says how large its batches are.
        train: how many images to train on.
        test: how many images to test on.
        loader: whether batches come from a DataLoader over a TensorDataset, which collates single examples;
            else they are rows of one tensor, by `index_select`. Pixels are floats already.
    """

    def __init__(self, step: TorchStep, train: int, test: int, *, loader: bool) -> None:
        self.step, workload = step, step.workload
        self.batch, self.loader = workload.batch, loader
        self.train = tensors(images(workload, train), step.device)
        self.test = tensors(images(workload, test, test=True), step.device)
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
        for indices in torch.split(torch.randperm(len(x), device=x.device), size):
            yield x.index_select(0, indices), labels.index_select(0, indices)

    def __call__(self) -> None:
        """One epoch."""
        self._parts.clear()
        total: Any = 0.0
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


def tensors(examples: Examples, device: str) -> Batch:
    """Pixels as floats, and labels."""
    pixels, labels = torch.from_numpy(examples.inputs).float() / DIVISOR, torch.from_numpy(examples.labels)
    return pixels.to(device), labels.to(device)


def epoch(*, train: int, test: int, loader: bool, **fields: Any) -> TorchEpoch:
    """PyTorch's epoch on so many images."""
    step = TorchStep(Workload(**fields), optimizer="fused", max_norm=True, compiled=False)
    return TorchEpoch(step, train, test, loader=loader)

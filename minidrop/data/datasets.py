"""Examples with their labels, and the three data sets that minidrop knows by name."""

import math
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from minidrop.backends import Array, Backend
from minidrop.data.layout import FOLDERS, IMAGE_SHAPE, raw_folder, read_split
from minidrop.errors import ArgumentError, DataError, check_choice, check_count, check_range, check_type
from minidrop.streams import Purpose, Stream, check_seed

#: the names that `load` knows
DATASETS = ("digits", *FOLDERS)
DIGITS_TEST = 360


@dataclass(frozen=True, eq=False, repr=False)
class Examples:
    """N examples: `inputs` (N, features) and `labels` (N,).

    The inputs keep their dtype, uint8, float32 or float64, and are made contiguous; the labels, of any
    integer dtype, become int64.

    Raises:
        DataError: for anything else: other dtypes or shapes, no examples, unequal counts, inputs that are
            not finite, negative labels.

    >>> import numpy as np
    >>> from minidrop.data import Examples
    >>> Examples(np.zeros((3, 64), np.uint8), np.array([7, 2, 1]))
    Examples(3 x 64, uint8)
    """

    inputs: np.ndarray[Any, Any]
    labels: np.ndarray[Any, np.dtype[np.int64]]

    def __post_init__(self) -> None:
        inputs, labels = self.inputs, self.labels
        for what, array in (("inputs", inputs), ("labels", labels)):
            if not isinstance(array, np.ndarray):
                raise DataError(f"{what} must be a numpy.ndarray, got {type(array).__qualname__}")
        if inputs.ndim != 2 or inputs.size == 0:
            raise DataError(
                f"inputs must have shape (N, features) and not be empty, got {inputs.shape}; flatten images "
                f"with .reshape(len(images), -1)"
            )
        if inputs.dtype not in (np.uint8, np.float32, np.float64):
            raise DataError(f"inputs must be uint8, float32 or float64, got {inputs.dtype}: use .astype")
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise DataError(
                f"labels must be integers of shape (N,), got {labels.dtype} of shape {labels.shape}"
            )
        if len(inputs) != len(labels):
            raise DataError(f"there are {len(inputs)} inputs but {len(labels)} labels")
        if inputs.dtype != np.uint8 and not np.isfinite(inputs).all():
            row, column = np.argwhere(~np.isfinite(inputs))[0]
            raise DataError(f"inputs[{row}, {column}] is {inputs[row, column]}: inputs must be finite")
        labels = labels.astype(np.int64)
        if labels.min() < 0:
            index = int(np.argmax(labels < 0))
            raise DataError(f"labels[{index}] is {labels[index]}: a label is a class number, at least 0")
        object.__setattr__(self, "inputs", np.ascontiguousarray(inputs))
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.labels)

    def on(self, backend: Backend) -> tuple[Array, Array]:
        """Inputs and labels as arrays of a backend, which copies them once, whoever asks again."""
        there: dict[str, tuple[Array, Array]] = self.__dict__.setdefault("_there", {})
        if backend.name not in there:
            there[backend.name] = backend.asarray(self.inputs), backend.asarray(self.labels)
        return there[backend.name]

    def __repr__(self) -> str:
        return f"Examples({len(self)} x {self.inputs.shape[1]}, {self.inputs.dtype})"

    def take(self, indices: np.ndarray[Any, Any] | Sequence[int]) -> "Examples":
        """A copy of the examples at `indices`, in that order; ArgumentError if one is not there.

        >>> from minidrop.data import load
        >>> load("digits").train.take([0, 2]).labels
        array([0, 4])
        """
        where = np.asarray(indices)
        if where.ndim != 1 or where.size == 0 or where.dtype.kind not in "iu":
            raise ArgumentError(
                f"indices must be integers of shape (n,), n >= 1, got {where.dtype} of shape {where.shape}"
            )
        outside = where[(where < 0) | (where >= len(self))]
        if len(outside):
            raise ArgumentError(f"indices must be within 0 ... {len(self) - 1}, got {outside[0]}")
        return Examples(self.inputs[where], self.labels[where])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set of images with its official split.

    Args:
        name: what messages call it.
        train: the examples to learn from.
        test: the examples to be judged by.
        classes: the number of classes; labels are 0 ... classes - 1.
        maximum: the largest pixel value, which divides the inputs into [0, 1].
        shape: of an image; an example has its elements in C order.

    Raises:
        DataError: naming the split, if an example does not fit `shape` or a label `classes`.
        ArgumentError: if classes, maximum or shape cannot be used.

    >>> import numpy as np
    >>> from minidrop.data import Dataset, Examples
    >>> stripes = Examples(np.array([[9, 9, 0, 0], [9, 0, 9, 0]], np.uint8), labels=np.array([0, 1]))
    >>> Dataset("stripes", train=stripes, test=stripes, classes=2, maximum=9, shape=(2, 2)).features
    4
    """

    name: str
    train: Examples
    test: Examples
    classes: int
    maximum: float
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        check_count("classes", self.classes, minimum=2)
        _check_maximum(self.maximum)
        check_type("shape", self.shape, Sequence, "(28, 28)")
        for n in self.shape:
            check_count("a size in shape", n)
        for split, examples in (("train", self.train), ("test", self.test)):
            if examples.inputs.shape[1] != self.features:
                raise DataError(
                    f"{self.name}, {split} split: the examples have {examples.inputs.shape[1]} features, but "
                    f"images of shape {self.shape} have {self.features}"
                )
            if examples.labels.max() >= self.classes:
                index = int(np.argmax(examples.labels >= self.classes))
                raise DataError(
                    f"{self.name}, {split} split: labels[{index}] is {examples.labels[index]}, but the "
                    f"{self.classes} classes are 0 ... {self.classes - 1}"
                )

    @property
    def features(self) -> int:
        """The number of elements of an image."""
        return math.prod(self.shape)


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """The data set `name`: "digits", "mnist" or "fashion-mnist", its inputs as uint8 pixels.

    "mnist" (LeCun, Cortes and Burges; 60,000 + 10,000 images, 28x28) and "fashion-mnist" (Xiao, Rasul and
    Vollgraf 2017; the same sizes) are read from files in torchvision's layout under `data_dir`, else
    $MINIDROP_DATA, else the user's cache folder; nothing is downloaded here (see `minidrop.data.fetch`).

    "digits" comes with minidrop: the 1,797 images, 8x8 of 0 ... 16, of "Optical Recognition of Handwritten
    Digits" (Alpaydin and Kaynak 1998, CC BY 4.0, see DIGITS-LICENSE.txt). It has no split of its own; the
    test set is the 360 examples that `Stream(0, Purpose.SPLIT).permutation(1797, step=0)` puts first, in
    file order, and training takes the other 1,437. The file has 13 writers, one after the other, so both
    sets are of the same hands: a plain network of 256-256 units errs on about 1.2 % of this test set, and on
    about 7.9 % of the last 360 examples of the file if it learns from the others. It is a quick check that
    training works, not a benchmark.

    Raises:
        ArgumentError: for another name.
        DataError: if files are missing, damaged or do not fit together.

    >>> from minidrop.data import load
    >>> digits = load("digits")
    >>> digits.train, digits.test, digits.shape, digits.maximum
    (Examples(1437 x 64, uint8), Examples(360 x 64, uint8), (8, 8), 16.0)
    """
    check_choice("data set", name, DATASETS)
    if name == "digits":
        return _load_digits()
    folder = raw_folder(name, data_dir)
    train, test = (
        Examples(images.reshape(len(images), -1), labels.astype(np.int64))
        for images, labels in (read_split(name, split, folder) for split in ("train", "test"))
    )
    return Dataset(name, train, test, classes=10, maximum=255.0, shape=IMAGE_SHAPE)


def _load_digits() -> Dataset:
    try:
        with resources.files("minidrop.data").joinpath("digits.npz").open("rb") as file, np.load(file) as npz:
            images, labels = npz["images"], npz["labels"]
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"the digits that come with minidrop cannot be read ({error}): install it again"
        ) from error
    everything = Examples(images.reshape(len(images), -1), labels)
    train, test = split(everything, DIGITS_TEST, seed=0)
    assert test is not None
    return Dataset("digits", train, test, classes=10, maximum=16.0, shape=(8, 8))


def split(
    examples: Examples, n_validation: int, seed: int, n_training: int = 0
) -> tuple[Examples, Examples | None]:
    """`examples` as (training, validation): `n_validation` held out, and `n_training` others to learn from.

    Which they are depends on the seed: the first n_validation of
    `Stream(seed, Purpose.SPLIT).permutation(len(examples), step=0)` are held out, and the next n_training are
    for training, so that a smaller training set is part of a larger one; 0 means all others. Both parts keep
    the order that they had. With n_validation = 0 there is None for validation.

    Raises:
        ArgumentError: unless 0 <= n_validation < len(examples) and 0 <= n_training <= the rest, or for a seed
            that is not one.

    >>> from minidrop.data import load, split
    >>> split(load("digits").train, 237, seed=0)
    (Examples(1200 x 64, uint8), Examples(237 x 64, uint8))
    >>> split(load("digits").train, 0, seed=0, n_training=100)
    (Examples(100 x 64, uint8), None)
    """
    check_count("n_validation", n_validation, minimum=0)
    check_count("n_training", n_training, minimum=0)
    check_seed(seed)
    left = len(examples) - n_validation
    if left <= 0:
        raise ArgumentError(
            f"validation must leave something to train on: got {n_validation} of {len(examples)} examples"
        )
    if n_training > left:
        raise ArgumentError(f"examples must be at most {left}, which are left to train on; got {n_training}")
    if n_validation == 0 and n_training in (0, left):
        return examples, None
    order = Stream(seed, Purpose.SPLIT).permutation(len(examples), step=0)
    held_out, training = order[:n_validation], order[n_validation:][: n_training or left]
    validation = examples.take(np.sort(held_out)) if n_validation else None
    return examples.take(np.sort(training)), validation


def standard_moments(examples: Examples, maximum: float) -> tuple[float, float]:
    """The mean and the standard deviation of inputs / maximum over all elements, to four digits.

        mean = sum_i x_i / n        std = sqrt(sum_i x_i^2 / n - mean^2)

    Of uint8 inputs the sums are counted, in integers, so only the last division rounds. MNIST's training
    images give the well-known (0.1307, 0.3081).

    Raises:
        ArgumentError: unless maximum is a positive number.
        DataError: if all elements are (nearly) equal, so that nothing could be divided by std.

    >>> from minidrop.data import load, standard_moments
    >>> standard_moments(load("digits").train, maximum=16)
    (0.305, 0.376)
    """
    _check_maximum(maximum)
    x = examples.inputs
    if x.dtype == np.uint8:
        # bincount needs eight bytes an element for what it counts, so it gets a few rows at a time
        blocks = (x[i : i + 1024].ravel() for i in range(0, len(x), 1024))
        counts = np.sum([np.bincount(block, minlength=256) for block in blocks], axis=0).tolist()
        n, total, squares = (sum(c * v**k for v, c in enumerate(counts)) for k in range(3))
        mean, std = total / n, math.sqrt(n * squares - total**2) / n
    else:
        mean, std = float(x.mean(dtype=np.float64)), float(x.std(dtype=np.float64))
    rounded = round(mean / maximum, 4), round(std / maximum, 4)
    if rounded[1] == 0:
        raise DataError(f"the inputs are all (nearly) {mean:g}: no scale gives them a std of 1")
    return rounded


def _check_maximum(maximum: float) -> None:
    if check_range("maximum", maximum, 0) == 0:
        raise ArgumentError("maximum must be above 0: it divides the inputs")

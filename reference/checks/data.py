"""Batches against torchvision's data sets and transforms, and PyTorch's DataLoader, from the same files."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, Subset

import minidrop as md
from minidrop.data import Batches, load, read_idx, standard_moments
from reference import tolerances as tol
from reference.checks.rows import Check, Comparison, Row, Setting, row
from reference.data import CLASSES, data_root, dataset, missing, torchvision, unpacked

#: how many images go through the transforms, which take one at a time; the last batch is a smaller one
SAMPLE, BATCH = 512, 100


def checks(setting: Setting) -> Iterator[Check]:
    """One for each data set."""
    for name in CLASSES:
        yield Check(f"data {name}", partial(_rows, setting, name), read_idx)


def _rows(setting: Setting, name: str) -> Iterator[Row]:
    op, root = f"data {name}", data_root()
    try:
        _, note = torchvision()
    except ImportError as error:
        yield Row(op, "torchvision", "skip", message=f"{op}: torchvision is not installed ({error})")
        return
    reason = missing(name, root)
    if reason:
        yield Row(op, "torchvision", "skip", message=f"{op}: {reason}")
        return
    data = load(name, root)
    moments = standard_moments(data.train, data.maximum)
    with unpacked(name, root) as plain:
        yield from _compare(setting, name, data, moments, plain)
    if note:
        yield Row(op, "beside torchvision's Python", "pass", message=f"{op}: torchvision's {note}")


def _compare(
    setting: Setting, name: str, data: md.data.Dataset, moments: tuple[float, float], plain: Path
) -> Iterator[Row]:
    stored, batches = [], []
    for split, examples in (("train", data.train), ("test", data.test)):
        theirs = dataset(name, plain, split == "train", *moments)
        pixels = theirs.data.reshape(len(theirs), -1).numpy()
        stored.append(Comparison(f"{split} pixels", examples.inputs, pixels, 0.0))
        stored.append(Comparison(f"{split} labels", examples.labels, theirs.targets.numpy(), 0.0))

        chosen = setting.rng(len(split)).permutation(len(examples))[:SAMPLE]
        loader = DataLoader(Subset(theirs, chosen.tolist()), batch_size=BATCH)
        mine = Batches(
            examples.take(chosen),
            BATCH,
            shuffle=False,
            scaling=md.Scaling(data.maximum, *moments),
            dtype=setting.dtype,
            backend=setting.backend,
        )
        # the mean is subtracted from values around it, so an error is relative to 1 / std
        allowed = tol.rounding(setting.dtype, tol.PIXELS)
        for i, ((x, t), (their_x, their_t)) in enumerate(zip(mine.epoch(0), loader, strict=True)):
            host = setting.backend.to_host
            what = f"{split}, batch {i}"
            batches.append(
                Comparison(f"{what}: inputs", host(x).copy(), their_x.numpy(), allowed, 1 / moments[1])
            )
            batches.append(Comparison(f"{what}: labels", np.array(host(t)), their_t.numpy(), 0.0))
    yield row(f"data {name}", "all pixels and labels", stored, read_idx)
    yield row(f"data {name}", "batches: ToTensor, Normalize, DataLoader", batches, Batches.epoch)

"""Document 001 validates on the last examples of MNIST's training set: are they as hard as others?

It takes `mnist.pkl.gz`, which trains on the first 50,000 and validates on the 10,000 after them. A split that
is drawn by the seed has both kinds on both sides, so that its numbers and the document's are of other
examples. Nets that learn from some of the first ones, and are judged on others of them and on the last, say
by how much that alone sets the numbers apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.config import from_dict
from minidrop.data import load
from minidrop.experiments.experiment import Job, Plan, Result, Table
from minidrop.experiments.training_job import training
from minidrop.experiments.verdicts import DIFFERS, Quantity
from minidrop.fitting import fit
from minidrop.runs import Run

#: what is compared
MEASURES = ("accuracy", "loss")


def judging(plan: Plan, config: Mapping[str, Any]) -> list[Job]:
    """The jobs that train by `config`, one for each of five seeds, and call `judge_last`."""
    return [
        replace(training(plan, f"last-seed-{seed}", {**config, "seed": seed}), work=judge_last)
        for seed in plan.seeds_of(5)
    ]


def judge_last(folder: Path, config: Mapping[str, Any]) -> Result:
    """Accuracy and loss of a net on the last examples and on as many others: what `validation` says.

    The others are drawn by the seed. The net learns from what is left, and never from the last.
    """
    filled = from_dict(config)
    whole = load(filled.dataset, filled.data_dir)
    first, last = np.split(np.arange(len(whole.train)), [-filled.validation])
    cut = replace(whole, train=whole.train.take(first), test=whole.train.take(last))
    run = Run(filled, dataset=cut)
    fit(run.step, run.train, filled.epochs)
    found = {"last": run.evaluate("test"), "others": run.evaluate("validation")}
    return {part: {"accuracy": 1 - one.error / 100, "loss": one.loss} for part, one in found.items()}


def differences(results: Mapping[str, Result]) -> dict[str, Quantity]:
    """By how much accuracy and loss on the last examples are above those on others; nothing without runs."""
    found = [result for key, result in results.items() if key.startswith("last-seed-")]
    return {
        measure: Quantity(
            f"{measure} on the last examples minus that on others, narrower nets",
            [result["last"][measure] - result["others"][measure] for result in found],
        )
        for measure in MEASURES
        if found
    }


def on_the_last(quantities: Sequence[Quantity], apart: Mapping[str, Quantity]) -> Table:
    """The quantities that differ from what is published, as they would be on the document's examples.

    To each the mean difference of its measure is added; what that may be off by widens the verdict.
    """
    rows: list[list[Any]] = []
    for one in quantities:
        for measure, difference in apart.items():
            if one.verdict == DIFFERS and f" {measure}, " in one.name:
                there = replace(
                    one,
                    ours=[value + difference.mean for value in one.ours],
                    tolerance=one.tolerance + (difference.half if len(difference.ours) > 1 else 0.0),
                )
                rows.append([one.name, one.published, one.mean, there.mean, there.verdict])
    columns = ["quantity", "published", "ours", "ours on the last examples", "verdict"]
    return Table("What differs, on the document's examples", columns, rows)

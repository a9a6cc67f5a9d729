"""A study of the user's own: every configuration of a grid or a list, several seeds each.

name = "dropout-and-width"
seeds = 3

[base]                      # keys of `minidrop train`; what is not mentioned is its default
dataset = "digits"
epochs = 20

[grid]                      # every combination of these values
dropout = ["0", "0.1,0.5,0.5"]
layers = ["64-128-128-10", "64-256-256-10"]

[[runs]]                    # or, and also, single configurations
optimizer = "adam"
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

from minidrop.config import read_config, resolve
from minidrop.errors import ArgumentError, check_count
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, band, label, panels
from minidrop.experiments.training_job import curve, last, train
from minidrop.experiments.verdicts import Quantity

_KEYS = ("name", "seeds", "base", "grid", "runs")


def read_sweep(path: str | Path) -> Experiment:
    """The study that a TOML or JSON file describes, as an experiment.

    Raises:
        DataError: if the file cannot be read.
        ArgumentError: naming what is wrong in it.
    """
    path = Path(path)
    values = read_config(path)
    unknown = [key for key in values if key not in _KEYS]
    if unknown:
        raise ArgumentError(f"{path} has an unknown key {unknown[0]!r}; the keys are {', '.join(_KEYS)}")
    for key, kind in (("base", dict), ("grid", dict), ("runs", list)):
        if not isinstance(values.get(key, kind()), kind):
            raise ArgumentError(f"{path}: {key} must be a {'table' if kind is dict else 'list of tables'}")
    variants = list(_variants(values.get("grid", {}), values.get("runs", []), path))
    for key in ("seed", "replicas"):
        if any(key in changes for changes in (values.get("base", {}), *variants)):
            raise ArgumentError(f"{path}: a sweep has seeds = N at its beginning, and no key {key}")
    study = Sweep(
        str(values.get("name", path.stem)),
        values.get("base", {}),
        variants,
        check_count("seeds", values.get("seeds", 3)),
    )
    study.jobs(Plan(seeds=1))  # so that a wrong value is found before anything runs
    return Experiment(
        name=study.name,
        ids=(),
        question=f"{len(variants)} configurations: which is best?",
        data=str(study.base.get("dataset", "digits")),
        duration="",
        jobs=study.jobs,
        analyse=study.analyse,
    )


def _variants(grid: Mapping[str, Any], runs: Sequence[Any], path: Path) -> "Sequence[dict[str, Any]]":
    for key, choices in grid.items():
        if not isinstance(choices, list) or not choices:
            raise ArgumentError(f"{path}: grid.{key} must be a list of values")
    if not all(isinstance(run, dict) for run in runs):
        raise ArgumentError(f"{path}: runs must be a list of tables")
    combinations = product(*grid.values()) if grid else ()
    found = [dict(zip(grid, values, strict=True)) for values in combinations] + [dict(run) for run in runs]
    if not found:
        raise ArgumentError(f"{path} has neither a grid nor runs")
    return found


@dataclass(frozen=True)
class Sweep:
    """Every variant of a base configuration, with several seeds each."""

    name: str
    base: Mapping[str, Any]
    variants: Sequence[Mapping[str, Any]]
    seeds: int

    def jobs(self, plan: Plan) -> list[Job]:
        """One training for each variant and seed."""
        found = []
        for i, changes in enumerate(self.variants, start=1):
            for seed in plan.seeds_of(self.seeds):
                where = {"backend": plan.backend, "data_dir": plan.data_dir}
                values = {key: value for key, value in where.items() if value is not None}
                config = resolve({**self.base, **values, **changes, "seed": seed})
                found.append(Job(f"{i:02}-seed-{seed}", train, {"config": config.to_dict()}))
        return found

    def analyse(self, plan: Plan, results: Mapping[str, Result]) -> Findings:
        """Test error by variant, the best first, and the curves of the best eight."""
        found = []
        for i, changes in enumerate(self.variants, start=1):
            runs = [
                results[key]
                for seed in plan.seeds_of(self.seeds)
                if (key := f"{i:02}-seed-{seed}") in results
            ]
            ended = [run for run in runs if not run["diverged"]]
            name = ", ".join(f"{key}={value}" for key, value in changes.items()) or "base"
            if ended:
                quantity = Quantity(f"{name}: test error [%]", [test_error(run) for run in ended], digits=2)
                found.append((quantity, name, ended))
        found.sort(key=lambda one: one[0].mean)
        figure, axes = panels(1, 2)
        for (_, name, ended), colour in zip(found, COLOURS, strict=False):
            epochs = [row["epoch"] for row in ended[0]["history"]]
            for axis, key in zip(axes.flat, ("train_loss", "test_error"), strict=True):
                same = [curve(run, key) for run in ended if len(run["history"]) == len(epochs)]
                band(axis, epochs, same, name, colour)
        label(axes[0, 0], "epoch", "training loss [nats]", epochs=True, legend=False)
        label(axes[0, 1], "epoch", "test error [%]", epochs=True)
        diverged = [key for key, run in results.items() if run["diverged"]]
        rows = [
            (name, len(ended), q.mean, q.half if isfinite(q.half) else None, last(ended[0], "train_loss"))
            for q, name, ended in found
        ]
        columns = ("configuration", "runs", "test error [%]", "± 95 %", "training loss, first seed")
        return Findings(
            quantities=[quantity for quantity, _, _ in found],
            tables=[Table("Configurations, the best first", columns, rows)],
            drawings=[
                Drawing("curves", "Mean over seeds with its 95 % interval, the best configurations.", figure)
            ],
            notes=[f"Diverged: {', '.join(diverged)}."] if diverged else [],
        )


def test_error(result: Result) -> float:
    """The final test error in percent, of the best validation epoch where there is one."""
    test = result["test"]
    return 100 * float(test["errors"]) / float(test["size"])


test_error.__test__ = False  # type: ignore[attr-defined]

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
from shlex import quote
from statistics import fmean
from typing import Any

from minidrop.config import read_config, resolve
from minidrop.errors import ArgumentError, check_count, check_path
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, band, label, panels
from minidrop.experiments.training_job import curve, last, train
from minidrop.experiments.verdicts import Claim, Quantity, gaps, ordered, signed

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
    name = str(values.get("name", path.stem))
    check_path(f"{path}: name", name)
    if name in ("", "..") or Path(name).name != name:
        raise ArgumentError(f"{path}: name must be that of a folder, without /, got {name!r}")
    study = Sweep(
        name,
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
        command=f"minidrop sweep {quote(str(path))}",
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
    twice = next((changes for i, changes in enumerate(found) if changes in found[:i]), None)
    if twice is not None:
        raise ArgumentError(f"{path} has {_called(twice)} twice")
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
        """The variants, the best first, how the best differs from each other, and the curves of eight."""
        found = {}
        for i, changes in enumerate(self.variants, start=1):
            keys = {seed: f"{i:02}-seed-{seed}" for seed in plan.seeds_of(self.seeds)}
            runs = {seed: results[key] for seed, key in keys.items() if key in results}
            ended = {seed: run for seed, run in runs.items() if not run["diverged"]}
            if ended:
                found[_called(changes)] = ended
        every = [run for runs in found.values() for run in runs.values()]
        validated = bool(every) and all(run["history"][0]["validation_error"] is not None for run in every)
        chosen_by = validation_error if validated else final_error

        def worth(name: str) -> tuple[int, float]:
            """First that it came to its end with every seed."""
            return -len(found[name]), fmean(map(chosen_by, found[name].values()))

        names = sorted(found, key=worth)
        errors = {name: [final_error(run) for run in found[name].values()] for name in names}
        quantities = {name: Quantity(f"{name}: test error [%]", errors[name], digits=2) for name in names}
        figure, axes = panels(1, 2)
        for name, colour in zip(names, COLOURS, strict=False):
            of_seeds = list(found[name].values())
            epochs = [row["epoch"] for row in of_seeds[0]["history"]]
            for axis, key in zip(axes.flat, ("train_loss", "test_error"), strict=True):
                same = [curve(run, key) for run in of_seeds if len(run["history"]) == len(epochs)]
                band(axis, epochs, same, name, colour)
        label(axes[0, 0], "epoch", "training loss [nats]", epochs=True, legend=False)
        label(axes[0, 1], "epoch", "test error [%]", epochs=True)
        losses = {name: last(next(iter(found[name].values())), "train_loss") for name in names}
        diverged = [key for key, run in results.items() if run["diverged"]]
        rows = [
            (name, len(q.ours), q.mean, q.half if isfinite(q.half) else None, losses[name])
            for name, q in quantities.items()
        ]
        columns = ("configuration", "runs", "test error [%]", "± 95 %", "training loss, first seed")
        title = f"Configurations, the best first, by {'validation' if validated else 'test'} error"
        return Findings(
            quantities=list(quantities.values()),
            claims=[
                lower(found, names[0], name) for name in names[1:] if {*found[name]} & {*found[names[0]]}
            ],
            tables=[Table(title, columns, rows)],
            drawings=[
                Drawing("curves", "Mean over seeds with its 95 % interval, the best configurations.", figure)
            ],
            notes=[f"Diverged: {', '.join(diverged)}."] if diverged else [],
        )


def lower(found: Mapping[str, Mapping[int, Result]], best: str, other: str) -> Claim:
    """The claim that one has the lower test error, by the differences seed by seed.

    The best was not known before, so the intervals are those of all pairs together.
    """
    errors = [{seed: final_error(run) for seed, run in found[name].items()} for name in (other, best)]
    pairs = len(found) * (len(found) - 1) // 2
    differences, text = gaps(*errors), f"{best} has a lower test error than {other}"
    return ordered(text, differences, detail=f"{signed(differences, 2, pairs)} points", among=pairs)


def _called(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in changes.items()) or "base"


def validation_error(result: Result) -> float:
    """The validation error in percent, at the best epoch."""
    return float(result["history"][result["best_epoch"] - 1]["validation_error"])


def final_error(result: Result) -> float:
    """The final test error in percent, of the best validation epoch where there is one."""
    test = result["test"]
    return 100 * float(test["errors"]) / float(test["size"])

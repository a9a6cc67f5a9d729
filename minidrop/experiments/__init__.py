"""The experiments of the source documents, one file each, and what runs them.

>>> from minidrop.experiments import NAMES, experiment
>>> experiment("golden-dropout").name in NAMES
True
"""

from importlib import import_module

from minidrop.errors import check_choice
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.verdicts import Claim, Quantity

__all__ = [
    "NAMES",
    "Claim",
    "Drawing",
    "Experiment",
    "Findings",
    "Job",
    "Plan",
    "Quantity",
    "Result",
    "Table",
    "experiment",
]

#: all experiments, in the order of the documents; each is in a file of that name, with underscores
NAMES: tuple[str, ...] = (
    "hinton-mnist",
    "hinton-nets",
    "dampened-sgd",
    "norm-limits",
    "adam-against-hinton",
    "dropout-scaling",
    "wide-nets",
    "where-dropout-wins",
    "batch-against-loop",
    "gradient-descent",
    "batch-size",
    "golden-dropout",
    "fashion-dropout",
    "dropout-pairs",
    "dropout-epochs",
    "activation-variance",
    "dropout-at-test",
    "dropout-and-decay",
    "dropconnect",
    "stochastic-relu",
    "noise-contest",
    "initializations",
    "optimizers-compared",
    "ravine",
    "steep-optima",
)


def experiment(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        ArgumentError: if there is none.
    """
    module = import_module(
        f"minidrop.experiments.{check_choice('experiment', name, NAMES).replace('-', '_')}"
    )
    found: Experiment = module.EXPERIMENT
    return found

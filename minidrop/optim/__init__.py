"""The optimizers, one formula a file, with max-norm and the schedules."""

from minidrop.optim.adadelta import Adadelta
from minidrop.optim.adagrad import Adagrad
from minidrop.optim.adam import Adam, AdamW
from minidrop.optim.adamax import Adamax
from minidrop.optim.groups import Group
from minidrop.optim.hinton import SGDHinton
from minidrop.optim.max_norm import MaxNorm, largest_row_norm
from minidrop.optim.momentum import Momentum
from minidrop.optim.nadam import NAdam
from minidrop.optim.optimizer import Optimizer
from minidrop.optim.rmsprop import RMSprop
from minidrop.optim.sgd import SGD

#: the optimizers by the name that a configuration gives them
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "hinton": SGDHinton,
    "adam": Adam,
    "adamw": AdamW,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "adamax": Adamax,
    "nadam": NAdam,
}

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Group",
    "MaxNorm",
    "Momentum",
    "NAdam",
    "Optimizer",
    "RMSprop",
    "SGDHinton",
    "largest_row_norm",
]

"""minidrop: dropout networks by hand, every backward pass written out, on NumPy or CuPy."""

from minidrop import data, probes
from minidrop.backends import Scaling, get_backend, set_backend, using_backend
from minidrop.errors import MinidropError
from minidrop.fitting import fit, fit_replicas
from minidrop.initializers import (
    Constant,
    FanIn,
    KaimingNormal,
    KaimingUniform,
    Normal,
    Scaled,
    TorchLinear,
    Uniform,
    XavierNormal,
    XavierUniform,
)
from minidrop.layers import (
    DropConnect,
    Dropout,
    GaussianNoise,
    Identity,
    Layer,
    Linear,
    ReLU,
    Sequential,
    Sigmoid,
    StochasticReLU,
    Tanh,
)
from minidrop.losses import SoftmaxCrossEntropy
from minidrop.optim import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Group,
    MaxNorm,
    Momentum,
    NAdam,
    RMSprop,
    SGDHinton,
    schedules,
)
from minidrop.parameters import Parameter
from minidrop.single_run import Replica
from minidrop.training import TrainStep, evaluate

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Constant",
    "DropConnect",
    "Dropout",
    "FanIn",
    "GaussianNoise",
    "Group",
    "Identity",
    "KaimingNormal",
    "KaimingUniform",
    "Layer",
    "Linear",
    "MaxNorm",
    "MinidropError",
    "Momentum",
    "NAdam",
    "Normal",
    "Parameter",
    "RMSprop",
    "ReLU",
    "Replica",
    "SGDHinton",
    "Scaled",
    "Scaling",
    "Sequential",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "StochasticReLU",
    "Tanh",
    "TorchLinear",
    "TrainStep",
    "Uniform",
    "XavierNormal",
    "XavierUniform",
    "__version__",
    "data",
    "evaluate",
    "fit",
    "fit_replicas",
    "get_backend",
    "probes",
    "schedules",
    "set_backend",
    "using_backend",
]

"""The network of document 004, 784-512-256-256-128-10, and the document's seven initializations of it.

Linear, unit, Linear, unit, ..., Linear        named 0, 1, 2, ..., so that the Linears are 0, 2, 4, 6, 8
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from minidrop.backends import Backend
from minidrop.building import UNITS
from minidrop.config import TrainConfig
from minidrop.initializers import INITIALIZERS
from minidrop.layers import Layer, Linear, Sequential
from minidrop.specs import build

#: the hidden layers; inputs and classes are those of the data set
HIDDEN = (512, 256, 256, 128)
Published = tuple[float, ...]


@dataclass(frozen=True)
class Setting:
    """One initialization of the document.

    Args:
        id: of the experiment.
        title: for tables and figures.
        unit: between the Linears.
        init: of the weights.
        std: their standard deviation in Linear number i, of d inputs and n units; 0 if nothing is random.
        activations: the published variance of each Linear's output.
        gradients: the published variance of each weight's gradient, where there is one.
        bias: how biases begin.
        bias_std: their standard deviation.
        first: how the first matrix begins, if not like the others.
    """

    id: str
    title: str
    unit: str
    init: str
    std: Callable[[int, int, int], float]
    activations: Published
    gradients: Published = ()
    bias: str = "constant:0"
    bias_std: float = 0.0
    first: str | None = None


#: by the keys of their jobs, in the order of the document; published are the outputs of its cells 13 to 19
SETTINGS = {
    "constant": Setting(
        *("004-1", "constant 0.005", "identity", "constant:0.005", lambda i, d, n: 0.0),
        activations=(2.05828, 13.4891, 22.1006, 36.2096, 14.8314),
        bias="constant:0.005",
    ),
    "std-0.01": Setting(
        *("004-2", "normal, std 0.01", "identity", "normal:0.01", lambda i, d, n: 0.01),
        activations=(0.0783125, 0.00406401, 0.000223179, 0.000115561, 8.16216e-05),
        bias="normal:0.01",
        bias_std=0.01,
    ),
    "std-0.1": Setting(
        *("004-3", "normal, std 0.1", "identity", "normal:0.1", lambda i, d, n: 0.1),
        activations=(8.08221, 37.8736, 96.3610, 237.263, 303.442),
        bias="normal:0.1",
        bias_std=0.1,
    ),
    "equal-variance": Setting(
        *("004-4", "normal, std 1/√d", "identity", "fan-in", lambda i, d, n: sqrt(1 / d)),
        activations=(1.00882, 1.06968, 1.12566, 1.13088, 1.05040),
    ),
    "xavier": Setting(
        *("004-5", "Xavier, identity", "identity", "xavier-uniform", lambda i, d, n: sqrt(2 / (d + n))),
        activations=(1.22095, 1.58397, 1.54299, 2.02138, 2.68678),
        gradients=(0.000399102, 0.000702257, 0.000939733, 0.00148040, 0.0125495),
    ),
    "xavier-tanh": Setting(
        *("004-6", "Xavier, tanh", "tanh", "xavier-uniform", lambda i, d, n: sqrt(2 / (d + n))),
        activations=(1.20470, 0.591754, 0.295978, 0.249977, 0.272762),
        gradients=(2.18264e-05, 3.59527e-05, 4.87287e-05, 6.26916e-05, 0.000462062),
    ),
    "kaiming": Setting(
        *("004-7", "Kaiming, ReLU", "relu", "kaiming-normal", lambda i, d, n: sqrt((2 if i else 1) / d)),
        activations=(1.02569, 1.01011, 1.01588, 1.13986, 0.469034),
        gradients=(3.41491e-05, 3.84348e-05, 4.71325e-05, 0.000109303, 0.00178395),
        first="fan-in",
    ),
}


def network(
    sizes: Sequence[int],
    setting: Setting,
    *,
    seed: int = 0,
    dtype: str = "float32",
    backend: str | Backend | None = None,
) -> Sequential:
    """A chain of Linears that begin as the setting says, with its unit between any two.

    >>> network([8, 4, 2], SETTINGS["xavier-tanh"])
    Sequential(Linear(8, 4), Tanh(), Linear(4, 2))
    """
    layers: list[Layer] = []
    for i, (d, n) in enumerate(pairwise(sizes)):
        spec = setting.first if setting.first and i == 0 else setting.init
        init, bias_init = (build("init", text, INITIALIZERS) for text in (spec, setting.bias))
        linear = Linear(d, n, init=init, bias_init=bias_init, dtype=dtype, backend=backend)
        layers += [linear, UNITS[setting.unit](backend)]
    return Sequential(*layers[:-1], seed=seed)


def kaiming(config: TrainConfig) -> Sequential:
    """The document's `kaiming_init`: std √(2/d), but 1/√d where no ReLU comes before; biases 0.

    >>> kaiming(TrainConfig(layers="64-32-10", dropout="0"))[0].weight.initializer
    FanIn(gain=1.0)
    """
    setting, sizes = SETTINGS["kaiming"], config.layer_sizes()
    return network(sizes, setting, seed=config.seed, dtype=config.dtype, backend=config.backend)

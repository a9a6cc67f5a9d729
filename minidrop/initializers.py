"""How weights begin: each initializer is a distribution, scaled perhaps by a layer's fan in and fan out.

All draws are made on the host, in float64, from the layer's own stream, and then rounded to the layer's
dtype: the same seed gives the same initial weights on every backend, and float32 and float64 models that
differ by rounding only.
"""

from dataclasses import dataclass
from math import inf, sqrt
from typing import Any, NamedTuple, Protocol

import numpy as np

from minidrop.errors import check_choice, check_range
from minidrop.streams import Purpose, Stream

HostArray = np.ndarray[Any, np.dtype[np.float64]]


class Fans(NamedTuple):
    """How many inputs one unit of a layer sums, and how many units one input feeds."""

    fan_in: int
    fan_out: int


class Initializer(Protocol):
    """Anything that fills `out`, a flat float64 array, from `rng` for a layer with `fans`.

    It is called with consecutive pieces of a large array, so element i may depend on the i-th draw only.
    """

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""


@dataclass(frozen=True)
class Constant:
    """Every element is `value`; 0, the default, is what biases usually begin with.

    Raises:
        ArgumentError: if the value is not finite.

    >>> from minidrop.initializers import Constant, draw
    >>> draw(Constant(0.005), (2,))
    array([0.005, 0.005])
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        check_range("value", self.value, -inf)

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""
        out[:] = self.value


@dataclass(frozen=True)
class Normal:
    """N(mean, std^2); std 0.01 is Hinton et al. 2012, appendix A.

    Raises:
        ArgumentError: if `std` is below 0, or one is not finite.

    >>> from minidrop.initializers import Normal, draw
    >>> bool(abs(draw(Normal(0.01), (100, 100)).std() - 0.01) < 0.0005)
    True
    """

    std: float = 0.01
    mean: float = 0.0

    def __post_init__(self) -> None:
        check_range("std", self.std, 0)
        check_range("mean", self.mean, -inf)

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""
        rng.standard_normal(out=out)
        out *= self.std
        out += self.mean


@dataclass(frozen=True)
class Uniform:
    """U[low, high), by default around zero.

    Raises:
        ArgumentError: if `high` is below `low`, or one is not finite.

    >>> from minidrop.initializers import Uniform, draw
    >>> bool(draw(Uniform(-0.1, 0.1), (100, 100)).max() < 0.1)
    True
    """

    low: float = -0.1
    high: float = 0.1

    def __post_init__(self) -> None:
        check_range("low", self.low, -inf)
        check_range("high", self.high, self.low)

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""
        rng.random(out=out)
        out *= self.high - self.low
        out += self.low


@dataclass(frozen=True)
class FanIn:
    """N(0, gain^2 / fan_in): the 1/sqrt(d) scaling that keeps a linear layer's variance (document 004).

    Raises:
        ArgumentError: if the gain is below 0 or not finite.

    >>> from minidrop.initializers import FanIn, draw
    >>> round(float(draw(FanIn(), (200, 100)).std()), 3)  # 1 / sqrt(100)
    0.1
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0)

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""
        Normal(self.gain / sqrt(fans.fan_in))(rng, fans, out)


@dataclass(frozen=True)
class XavierNormal:
    """N(0, std^2) with std = gain sqrt(2 / (fan_in + fan_out)); Glorot & Bengio 2010, eq. 12.

    Raises:
        ArgumentError: if the gain is below 0 or not finite.

    >>> from minidrop.initializers import XavierNormal, draw
    >>> round(float(draw(XavierNormal(), (150, 50)).std()), 2)  # sqrt(2 / 200)
    0.1
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0)

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""
        Normal(self.gain * sqrt(2 / (fans.fan_in + fans.fan_out)))(rng, fans, out)


@dataclass(frozen=True)
class XavierUniform:
    """U[-a, a) with a = gain sqrt(6 / (fan_in + fan_out)); Glorot & Bengio 2010, eq. 16.

    Raises:
        ArgumentError: if the gain is below 0 or not finite.

    >>> from minidrop.initializers import XavierUniform, draw
    >>> round(float(draw(XavierUniform(), (400, 200)).max()), 3)  # sqrt(6 / 600)
    0.1
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0)

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""
        a = self.gain * sqrt(6 / (fans.fan_in + fans.fan_out))
        Uniform(-a, a)(rng, fans, out)


@dataclass(frozen=True)
class KaimingNormal:
    """N(0, gain^2 / fan); He et al. 2015, eq. 10 (fan="in") and eq. 14 (fan="out"), gain sqrt(2) for ReLU.

    Raises:
        ArgumentError: if the gain is below 0 or not finite, or `fan` is neither "in" nor "out".

    >>> from minidrop.initializers import KaimingNormal, draw
    >>> draws = draw(KaimingNormal(), (50, 200)), draw(KaimingNormal(fan="out"), (50, 200))
    >>> [round(float(W.std()), 2) for W in draws]  # sqrt(2 / 200) and sqrt(2 / 50)
    [0.1, 0.2]
    """

    gain: float = sqrt(2)
    fan: str = "in"

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0)
        check_fan(self.fan)

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""
        Normal(self.gain / sqrt(pick_fan(fans, self.fan)))(rng, fans, out)


@dataclass(frozen=True)
class KaimingUniform:
    """U[-a, a) with a = gain sqrt(3 / fan), the uniform of the same variance; He et al. 2015.

    Raises:
        ArgumentError: if the gain is below 0 or not finite, or `fan` is neither "in" nor "out".

    >>> from minidrop.initializers import KaimingUniform, draw
    >>> round(float(draw(KaimingUniform(), (100, 600)).max()), 3)  # sqrt(2) sqrt(3 / 600)
    0.1
    """

    gain: float = sqrt(2)
    fan: str = "in"

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0)
        check_fan(self.fan)

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""
        a = self.gain * sqrt(3 / pick_fan(fans, self.fan))
        Uniform(-a, a)(rng, fans, out)


@dataclass(frozen=True)
class TorchLinear:
    """U[-a, a) with a = 1 / sqrt(fan_in), for weights and biases: the default of torch.nn.Linear.

    >>> from minidrop.initializers import TorchLinear, draw
    >>> round(float(draw(TorchLinear(), (500, 100)).max()), 3)  # 1 / sqrt(100)
    0.1
    """

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""
        a = 1 / sqrt(fans.fan_in)
        Uniform(-a, a)(rng, fans, out)


@dataclass(frozen=True)
class Scaled:
    """Another initializer's draws times `factor`, as the step from paper to inverted dropout needs them.

    >>> from minidrop.initializers import Constant, Scaled, draw
    >>> draw(Scaled(Constant(0.01), 0.5), (1,))
    array([0.005])
    """

    initializer: Initializer
    factor: float

    def __call__(self, rng: np.random.Generator, fans: Fans, out: HostArray) -> None:
        """Fill `out`."""
        self.initializer(rng, fans, out)
        out *= self.factor


#: the initializers by the name that a configuration gives them
INITIALIZERS: dict[str, type[Any]] = {
    "constant": Constant,
    "normal": Normal,
    "uniform": Uniform,
    "fan-in": FanIn,
    "xavier-normal": XavierNormal,
    "xavier-uniform": XavierUniform,
    "kaiming-normal": KaimingNormal,
    "kaiming-uniform": KaimingUniform,
    "torch-linear": TorchLinear,
}


def check_fan(fan: str) -> None:
    """Refuse anything but "in" and "out"."""
    check_choice("fan", fan, ("in", "out"))


def pick_fan(fans: Fans, fan: str) -> int:
    """The fan of that name."""
    return fans.fan_in if fan == "in" else fans.fan_out


def draw(
    initializer: Initializer, shape: tuple[int, ...], fans: Fans | None = None, seed: int = 0
) -> HostArray:
    """A float64 array of `shape`, to look at what an initializer does.

    >>> from minidrop.initializers import Fans, TorchLinear, draw
    >>> draw(TorchLinear(), (2, 4), Fans(fan_in=4, fan_out=2)).shape
    (2, 4)
    """
    out = np.empty(shape)
    rng = Stream(seed, Purpose.WEIGHTS).generator(step=0)
    initializer(rng, fans or Fans(shape[-1], shape[0]), out.reshape(-1))
    return out

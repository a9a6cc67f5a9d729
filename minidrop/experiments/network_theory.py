"""What theory says of the variances in a fresh network, layer by layer."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import pi, sqrt
from typing import Any

import numpy as np

from minidrop.experiments.tutorial_network import Setting

#: the units as functions of arrays
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda z: z,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
}


def expected_variances(sizes: Sequence[int], setting: Setting, input_square: float) -> list[float]:
    """What the document's argument gives for each Linear's output, from the mean square of the inputs on.

        v_1 = d σ² E x² + σ_b²        v_l = d σ² E f(z)² + σ_b²,  z ~ N(0, v_(l-1))

    For the identity that is v_l = d σ² v_(l-1) + σ_b². The Gaussian mean is by Gauss-Hermite quadrature.

    >>> from minidrop.experiments.tutorial_network import SETTINGS
    >>> [round(v, 6) for v in expected_variances([784, 512, 256], SETTINGS["std-0.01"], 1.0)]
    [0.0785, 0.004119]
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    square, found = input_square, []
    for i, (d, n) in enumerate(pairwise(sizes)):
        found.append(d * setting.std(i, d, n) ** 2 * square + setting.bias_std**2)
        behind = FUNCTIONS[setting.unit](sqrt(found[-1]) * nodes)
        square = float(weights @ behind**2) / sqrt(2 * pi)
    return found


def variance_law(
    h: np.ndarray[Any, Any], units: int, std: float, bias_std: float = 0.0
) -> tuple[float, float]:
    """Mean and variance, over random W and b, of the variance of all elements of z = h Wᵀ + b, given h.

        u = (σ h, σ_b)        M = mean u uᵀ        m = mean u        means over the batch
        E v = tr M - |m|² / n        Var v = 2 tr M² / n - 4 mᵀ M m / n² + 2 |m|⁴ / n²

    Exact for normal W and b, whatever h is; uniform ones have the same mean and less variance.

    Args:
        h: the inputs of the layer (B, d).
        units: n, how many units it has.
        std: σ, of the weights.
        bias_std: σ_b, of the biases.

    >>> variance_law(np.ones((3, 4)), 1, 0.5)  # one unit, and all examples are equal
    (0.0, 0.0)
    """
    u = np.column_stack([std * h, np.full(len(h), bias_std)])
    m = u.mean(axis=0)
    product = u.T @ u / len(u)
    square = float(m @ m)
    variance = np.sum(product**2) / units - (2 * float(m @ product @ m) - square**2) / units**2
    return float(np.trace(product)) - square / units, 2 * float(variance)

"""Loss surfaces of a few weights, with gradients by hand, and what an optimizer does on them.

A surface is anything with `value(w)` and `gradient(w)`, w a NumPy array (..., n) of points: a single one, or
a grid of them to draw. Both keep the dtype that they are given, and `value` can also be taken at complex
points, where its imaginary part proves the gradient.
"""

from collections.abc import Callable, Sequence
from math import pi
from typing import Any, Protocol

import numpy as np

from minidrop.backends import Backend, get_backend
from minidrop.errors import ArgumentError, ArrayError, check_count, check_range
from minidrop.initializers import Constant, Fans
from minidrop.optim import Optimizer
from minidrop.parameters import Parameter, ParameterArena, check_dtype

Host = np.ndarray[Any, Any]
#: what makes an optimizer of parameters, such as functools.partial(minidrop.SGD, lr=0.1)
Factory = Callable[[ParameterArena], Optimizer]


class Surface(Protocol):
    """A loss of n weights, at points w (..., n)."""

    def value(self, w: Host) -> Host:
        """The loss, shape (...)."""

    def gradient(self, w: Host) -> Host:
        """Its derivative by w, shape (..., n)."""


class Quadratic:
    """f(w) = ½ (w - c)ᵀ H (w - c), with H symmetric.

        ∇f = H (w - c)

    Args:
        curvature: H, (n, n).
        centre: c, (n,); the origin by default.

    Raises:
        ArrayError: if H is not symmetric, or c does not fit it.

    >>> bowl = Quadratic([[2.0, 0.0], [0.0, 40.0]])
    >>> print(bowl.value(np.array([1.0, 1.0])), bowl.gradient(np.array([1.0, 1.0])))
    21.0 [ 2. 40.]
    """

    def __init__(self, curvature: Any, centre: Any = None) -> None:
        self.curvature = np.array(curvature, np.float64)
        if self.curvature.ndim != 2 or not np.array_equal(self.curvature, self.curvature.T):
            raise ArrayError(f"the curvature must be a symmetric matrix, got {curvature!r}")
        self.centre = np.zeros(len(self.curvature)) if centre is None else np.array(centre, np.float64)
        if self.centre.shape != self.curvature.shape[:1]:
            raise ArrayError(f"the centre must have {len(self.curvature)} numbers, got {centre!r}")

    def value(self, w: Host) -> Host:
        """½ (w - c)ᵀ H (w - c)."""
        away = w - self.centre.astype(w.dtype)
        half: Host = (away * (away @ self.curvature.astype(w.dtype))).sum(-1) / 2
        return half

    def gradient(self, w: Host) -> Host:
        """H (w - c)."""
        slope: Host = (w - self.centre.astype(w.dtype)) @ self.curvature.astype(w.dtype)
        return slope

    def stability_limit(self, momentum: float = 0.0) -> float:
        """The learning rate above which gradient descent diverges: 2 (1 + γ) / λ_max.

        Along an eigenvector of H with eigenvalue λ, classical momentum (u ← γ u + η g, w ← w - u) is

            w_(t+1) = (1 + γ - η λ) w_t - γ w_(t-1)

        whose characteristic roots leave the unit circle at -1, when η λ = 2 (1 + γ). Without momentum that is
        |1 - η λ| > 1.

        >>> Quadratic([[2.0, 0.0], [0.0, 40.0]]).stability_limit()
        0.05
        """
        check_range("momentum", momentum, 0, 1, exclude_high=True)
        return 2 * (1 + momentum) / float(np.linalg.eigvalsh(self.curvature)[-1])


class Ravine:
    """f(w) = tanh² w₁ + 0.01 |w₁| + σ(w₂), σ the logistic function: document 004's pathological curvature.

        ∂f/∂w₁ = 2 tanh w₁ / cosh² w₁ + 0.01 sign w₁        ∂f/∂w₂ = σ(w₂) (1 - σ(w₂))

    Steep walls across w₁, and a bed that falls gently, ever less, towards w₂ = -∞. At w₁ = 0 sign is 0.

    >>> print(Ravine().value(np.zeros(2)), Ravine().gradient(np.zeros(2)))
    0.5 [0.   0.25]
    """

    def value(self, w: Host) -> Host:
        """tanh² w₁ + 0.01 |w₁| + σ(w₂)."""
        w1, w2 = w[..., 0], w[..., 1]
        e = np.exp(-_magnitude(w2))  # at most 1, so nothing overflows
        logistic = np.where(w2.real < 0, e, 1) / (1 + e)
        loss: Host = np.tanh(w1) ** 2 + 0.01 * _magnitude(w1) + logistic
        return loss

    def gradient(self, w: Host) -> Host:
        """2 tanh w₁ (1 - tanh² w₁) + 0.01 sign w₁, and σ(w₂) (1 - σ(w₂))."""
        w1, w2 = w[..., 0], w[..., 1]
        tanh, e = np.tanh(w1), np.exp(-np.abs(w2))
        return np.stack([2 * tanh * (1 - tanh**2) + 0.01 * np.sign(w1), e / (1 + e) ** 2], axis=-1)


class SteepOptima:
    """f(w) = -Σ_k exp(-|w - c_k|² / 2 σ²) / 2 π σ²: normal densities as pits in a plain; document 004.

        ∇f = Σ_k (w - c_k) / σ² · exp(-|w - c_k|² / 2 σ²) / 2 π σ²

    Args:
        centres: the c_k, (k, 2); the document's three by default.
        width: σ, above 0.

    Raises:
        ArgumentError: if there is no centre in the plane, or the width is not above 0.

    >>> pits = SteepOptima()
    >>> print(pits.value(np.array([1.0, -0.5])).round(3), pits.gradient(np.array([0.0, 0.0])).round(4))
    -3.979 [0.0007 0.0012]
    """

    def __init__(
        self,
        centres: Sequence[Sequence[float]] = ((1.0, -0.5), (-1.0, 0.5), (-0.5, -0.8)),
        width: float = 0.2,
    ) -> None:
        self.centres = np.array(centres, np.float64)
        if self.centres.ndim != 2 or self.centres.shape[-1] != 2 or not len(self.centres):
            raise ArgumentError(f"centres must be points of the plane, got {centres!r}")
        if not check_range("width", width, 0):
            raise ArgumentError("width must be above 0")
        self.width = float(width)

    def value(self, w: Host) -> Host:
        """-Σ_k exp(-|w - c_k|² / 2 σ²) / 2 π σ²."""
        depth: Host = -self._densities(self._away(w)).sum(-1)
        return depth

    def gradient(self, w: Host) -> Host:
        """Σ_k (w - c_k) / σ² · exp(-|w - c_k|² / 2 σ²) / 2 π σ²."""
        away = self._away(w)
        slope: Host = (self._densities(away)[..., None] * away).sum(-2) / self.width**2
        return slope

    def _away(self, w: Host) -> Host:
        """w - c_k, shape (..., k, 2)."""
        away: Host = w[..., None, :] - self.centres.astype(w.dtype)
        return away

    def _densities(self, away: Host) -> Host:
        """The k normal densities, shape (..., k)."""
        density: Host = np.exp(-(away**2).sum(-1) / (2 * self.width**2)) / (2 * pi * self.width**2)
        return density


def _magnitude(w: Host) -> Host:
    """|w| as ±w by the sign of its real part, so that a complex step passes through."""
    return np.where(w.real < 0, -w, w)


def descend(
    surface: Surface,
    start: Sequence[float],
    optimizer: Factory,
    steps: int,
    dtype: Any = "float64",
    *,
    backend: str | Backend | None = None,
) -> Host:
    """The points that an optimizer visits on a surface, (steps + 1, n), the start first.

        w_(t+1) = the optimizer's update of w_t with the gradient ∇f(w_t)

    A path that diverges ends in infinities or NaN.

    Args:
        surface: the loss; it is computed on the host.
        start: w_0, n numbers.
        optimizer: makes the optimizer of the parameters, as in the example.
        steps: how many updates.
        dtype: float32 or float64, of weights, gradients and the optimizer's slots.
        backend: where the optimizer works: "numpy", "numba", "cupy" or the current one.

    Raises:
        ArgumentError, ArrayError: if steps, dtype or start cannot be used.

    >>> import minidrop as md
    >>> from functools import partial
    >>> descend(Quadratic([[1.0]]), [1.0], partial(md.SGD, lr=0.5), steps=3).ravel().tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    check_count("steps", steps, 0)
    home = get_backend(backend)
    first = np.array(start, check_dtype(dtype))
    if first.ndim != 1 or not first.size:
        raise ArrayError(f"the start must be a point, some numbers in a row; got {start!r}")
    point = Parameter(first.shape, Constant(0.0), Fans(1, 1), backend=home, dtype=first.dtype)
    point.value = home.asarray(first)
    chosen = optimizer(ParameterArena({"w": point}))
    path = np.empty((steps + 1, first.size), first.dtype)
    path[0] = first
    with np.errstate(over="ignore", invalid="ignore"):  # a path may diverge
        for t in range(steps):
            point.grad[...] = home.asarray(surface.gradient(path[t]))
            chosen.step()
            path[t + 1] = home.to_host(point.value)
    return path

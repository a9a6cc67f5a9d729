"""What all checks of one layer share: the layer in float64, an input, and an output gradient."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from minidrop.backends import Array
from minidrop.errors import ArgumentError
from minidrop.testing.derivatives import Mover, Slopes, central_slopes, complex_derivative, probes
from minidrop.testing.report import SkipCheck, raised
from minidrop.testing.subject import Pass, Subject, host, module_of
from minidrop.testing.tolerances import CENTRAL

Host = np.ndarray[Any, Any]


def shape_for(layer: object, input_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """`input_shape`, or (4, 5) with the number of features that the layer, or its first one, says."""
    if input_shape is not None:
        if not isinstance(input_shape, tuple | list):
            raise ArgumentError(f"input_shape must be (batch, features), such as (4, 5); got {input_shape!r}")
        return tuple(input_shape)
    while layer is not None:
        features = getattr(layer, "in_features", None) or getattr(
            getattr(layer, "linear", None), "in_features", None
        )
        if features:
            return 4, int(features)
        inner = getattr(layer, "layers", None)
        layer = inner[0] if isinstance(inner, list | tuple) and inner else None
    return 4, 5


class Context:
    """A layer under test; every check runs fresh copies of `subject`, which itself never runs."""

    def __init__(
        self,
        subject: Subject,
        x: Array | None,
        input_shape: tuple[int, ...],
        seed: int,
        tolerance: float | Mapping[str, float] | None,
    ) -> None:
        self.original = subject
        self.subject = subject.cast("float64")
        rng = np.random.default_rng(seed)
        self.seed = seed
        self.override = tolerance
        self.drawn = x is None
        if x is None:
            arrays = subject.values().values()
            xp = subject.layer.backend.xp if subject.ours else module_of(next(iter(arrays), None))
            x = xp.asarray(rng.standard_normal(input_shape))
        if getattr(x, "dtype", np.dtype(object)).kind not in "fiub":
            raise ArgumentError(f"x must be an array of real numbers, got {type(x).__name__}")
        if x.ndim == 0 or x.size == 0:
            raise ArgumentError(f"x must be a batch that is not empty, got shape {x.shape}")
        self.xp = module_of(x)
        self.x = self.xp.array(x, dtype="float64")
        try:
            y = self.subject.copy().forward(self.copy(self.x))
        except Exception as error:
            raise ArgumentError(
                f"{type(subject.layer).__name__}.forward of a float64 input of shape {self.x.shape}: "
                f"{raised(error)}; say input_shape=(batch, features) or give an x that it takes"
            ) from error
        if not isinstance(y, self.xp.ndarray) or y.ndim == 0:
            raise ArgumentError(
                f"{type(subject.layer).__name__}.forward must return an array of a batch, got "
                f"{type(y).__name__}: is it a loss? Then use check_loss"
            )
        self.dy = self.xp.asarray(rng.standard_normal(y.shape))
        self.batch = len(self.x)

    def tolerance(self, check: str, default: float, *, at_least: bool = False) -> float:
        """What the caller said, or else the default; for all checks at once no less than that, if so said."""
        if isinstance(self.override, Mapping):
            return float(self.override.get(check, default))
        given = default if self.override is None else float(self.override)
        return max(default, given) if at_least else given

    def generator(self) -> np.random.Generator:
        """What a check draws from: the same for each, so that none depends on which others ran."""
        return np.random.default_rng((self.seed, 1))

    def copy(self, array: Array) -> Array:
        """A copy of `array`, so that a layer that writes into its arguments does no harm."""
        return self.xp.array(array)

    def run(self, x: Array | None = None, dy: Array | None = None, subject: Subject | None = None) -> Pass:
        """Both passes of a fresh copy, on copies."""
        fresh = (subject or self.subject).copy()
        done = fresh.run(self.copy(self.x if x is None else x), self.copy(self.dy if dy is None else dy))
        return Pass(
            self.copy(done.y), {n: None if g is None else self.copy(g) for n, g in done.gradients.items()}
        )

    def mover(self, dtype: str = "float64", x: Array | None = None) -> Mover:
        """Y as a function of how far an array is moved."""
        subject = self.subject.copy() if dtype == "float64" else self.subject.cast(dtype)
        return Mover(subject, (self.x_smooth if x is None else x).astype(dtype))

    @cached_property
    def x_smooth(self) -> Array:
        """The input, its elements moved a little where a kink lies at them."""
        x, rng = self.copy(self.x), np.random.default_rng(self.seed)
        for attempt in range(5):
            found = [p for p in probes(x.shape, np.random.default_rng(self.seed)) if p.index is not None]
            kinks = [
                p for p, fine in zip(found, self._slopes("input", found, x).smooth, strict=True) if not fine
            ]
            if not kinks:
                break
            for probe in kinks:
                x[probe.index] += float(rng.choice([-1, 1]) * rng.uniform(0.01, 0.02) * (attempt + 1))
        return x

    @cached_property
    def central(self) -> dict[str, Slopes]:
        """The slopes of the input and of every parameter, by central differences at `x_smooth`.

        Before they contradict a gradient they are taken again with a closer look.
        """
        shapes = {"input": self.x.shape} | {n: v.shape for n, v in self.subject.values().items()}
        slopes = {}
        for name, shape in shapes.items():
            found = probes(shape, np.random.default_rng(self.seed))
            slopes[name] = self._slopes(name, found, self.x_smooth)
            if self._contradict(name, slopes[name]):
                slopes[name] = self._slopes(name, found, self.x_smooth, closer=True)
        return slopes

    def _contradict(self, name: str, slopes: Slopes) -> bool:
        gradient = self.smooth_run.gradients[name]
        shape = self.x.shape if name == "input" else self.subject.values()[name].shape
        if host(gradient).shape != shape:
            return False  # nothing to hold them against
        predicted = np.array([probe.of(host(gradient)) for probe in slopes.probes])
        apart = np.abs(predicted - slopes.values)[slopes.smooth].max(initial=0)
        return not apart <= CENTRAL * slopes.scale

    @cached_property
    def complex(self) -> dict[str, Host] | str:
        """The same slopes by complex step, or why that cannot be."""
        values = {}
        try:
            mover = self.mover("complex128")
            for name, slopes in self.central.items():
                changes = [complex_derivative(mover, name, probe.direction) for probe in slopes.probes]
                values[name] = np.array([float((host(self.dy) * change).sum()) for change in changes])
                apart = np.abs(values[name] - slopes.values)[slopes.smooth].max(initial=0)
                if not apart <= 16 * CENTRAL * slopes.scale:
                    return f"not analytic in {name}: complex step and differences disagree"
        except SkipCheck as reason:
            return str(reason)
        return values

    @cached_property
    def smooth_run(self) -> Pass:
        """Both passes at `x_smooth`, the place where the slopes are taken."""
        return self.run(self.x_smooth)

    @cached_property
    def floor(self) -> float:
        """Σ |dy y| / 64: less than that is rounding of the passes, whatever a gradient's size."""
        return float(np.abs(host(self.dy) * host(self.run().y)).sum()) / 64

    def _slopes(self, name: str, found: list[Any], x: Array, *, closer: bool = False) -> Slopes:
        return central_slopes(self.mover(x=x), name, found, host(self.dy), closer=closer)


def gradient_name(name: str) -> str:
    """How messages call it.

    >>> gradient_name("input"), gradient_name("W")
    ('input gradient', 'gradient of W')
    """
    return "input gradient" if name == "input" else f"gradient of {name}"

"""Derivatives of <dy, y(x, parameters)> from forward passes alone: central differences and complex step."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidrop.backends import Array
from minidrop.testing.report import SkipCheck, raised
from minidrop.testing.subject import Subject, host, module_of
from minidrop.testing.tolerances import CENTRAL, CENTRAL_STEP, COMPLEX_STEP, DIRECTIONS, ELEMENTS, EPS, KINK

Host = np.ndarray[Any, Any]


@dataclass
class Probe:
    """A direction in which one array is moved: a single element of it, or all at random."""

    label: str
    index: tuple[int, ...] | None
    direction: Host

    def of(self, gradient: Host) -> float:
        """The slope along the direction that a gradient predicts."""
        return float((gradient * self.direction).sum() if self.index is None else gradient[self.index])


def probes(shape: tuple[int, ...], rng: np.random.Generator) -> list[Probe]:
    """Every element of a small array; of a large one a sample, and some random directions."""
    size = int(np.prod(shape))
    chosen = range(size) if size <= ELEMENTS else sorted(rng.choice(size, ELEMENTS // 4, replace=False))
    found = []
    for flat in chosen:
        index = tuple(int(i) for i in np.unravel_index(flat, shape))
        direction = np.zeros(shape)
        direction[index] = 1
        found.append(Probe(f"at {index}", index, direction))
    if size > ELEMENTS:
        for k in range(DIRECTIONS):
            direction = rng.standard_normal(shape)
            found.append(Probe(f"along random direction {k}", None, direction / np.abs(direction).max()))
    return found


class Mover:
    """y as a function of one number: how far the input or a parameter is moved along a direction."""

    def __init__(self, subject: Subject, x: Array) -> None:
        self.subject, self.x = subject, x
        self.start = {name: module_of(v).array(v) for name, v in subject.values().items()}

    def at(self, name: str, direction: Host, amount: complex) -> Array:
        """A copy of y where `name` ("input" or a parameter) is moved by amount * direction."""
        xp = module_of(self.x)
        if name == "input":
            return xp.array(self.subject.forward(self.x + amount * xp.asarray(direction)))
        value = self.subject.values()[name]
        value[...] = self.start[name] + amount * xp.asarray(direction)
        y = xp.array(self.subject.forward(xp.array(self.x)))
        value[...] = self.start[name]
        return y


@dataclass
class Slopes:
    """d <dy, y> along each probe of one array; `smooth` is False where the two sides disagree."""

    probes: list[Probe]
    values: Host
    smooth: Host
    scale: float

    def full(self, shape: tuple[int, ...]) -> bool:
        """Whether there is exactly one probe for each element."""
        return len(self.probes) == int(np.prod(shape)) and all(p.index is not None for p in self.probes)


def central_slopes(mover: Mover, name: str, found: list[Probe], dy: Host, *, closer: bool = False) -> Slopes:
    """D(h) = (f(θ + h) - f(θ - h)) / 2h for each probe, and whether f has a kink there.

    Its error is h² f⁽³⁾/6. A closer look takes (4 D(h/2) - D(h)) / 3, whose error is of the order h⁴, by
    twice as many forward passes.
    """
    values, smooth = np.zeros(len(found)), np.ones(len(found), bool)
    middle = host(mover.at(name, np.zeros(found[0].direction.shape), 0.0)) if found else np.zeros(())
    start = host(mover.x if name == "input" else mover.start[name])
    for i, probe in enumerate(found):
        size = 1.0 if probe.index is None else max(1.0, abs(float(start[probe.index])))
        center, gap, slope = _sides(mover, name, probe, middle, CENTRAL_STEP * size)
        noise = 100 * EPS * float(np.abs(middle).max(initial=0)) / CENTRAL_STEP
        if gap.max(initial=0) > KINK * slope + noise:
            nearer, smaller, _ = _sides(mover, name, probe, middle, CENTRAL_STEP * size / 8)
            falls = bool((smaller <= gap / 4 + 8 * noise).all())
            settled = bool((np.abs(nearer - center) <= 100 * CENTRAL * slope + 8 * noise).all())
            smooth[i] = falls and settled
        if closer:
            half, _, _ = _sides(mover, name, probe, middle, CENTRAL_STEP * size / 2)
            center = (4 * half - center) / 3
        values[i] = float((dy * center).sum())
    # Σ |dy y| is what rounding is relative to; its 64th leaves a 16th of the tolerance to it
    scale = max(float(np.abs(dy * middle).sum()) / 64, float(np.abs(values[smooth]).max(initial=0)))
    return Slopes(found, values, smooth, scale)


def _sides(mover: Mover, name: str, probe: Probe, middle: Host, h: float) -> tuple[Host, Host, float]:
    """The central slope of every element of y, how much its sides disagree, and the largest slope."""
    above = (host(mover.at(name, probe.direction, h)) - middle) / h
    below = (middle - host(mover.at(name, probe.direction, -h))) / h
    steepest = max(np.abs(above).max(initial=0), np.abs(below).max(initial=0))
    return (above + below) / 2, np.abs(above - below), float(steepest)


def complex_derivative(mover: Mover, name: str, direction: Host) -> Host:
    """J v of y along `direction`, by Im y(θ + ih v) / h; `mover` is of complex arrays.

    Raises:
        SkipCheck: if forward does not take complex input, or drops its imaginary part.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            y = host(mover.at(name, direction, 1j * COMPLEX_STEP))
        except Exception as error:
            raise SkipCheck(f"forward takes no complex input: {raised(error)}") from None
    if y.dtype.kind != "c":
        raise SkipCheck("forward drops the imaginary part")
    slope: Host = y.imag / COMPLEX_STEP
    return slope

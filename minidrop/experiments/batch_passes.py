"""Forward and backward pass of a linear layer, for a batch at once and by a loop over its examples, timed."""

import time
from collections.abc import Callable, Sequence
from math import inf, isnan
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from minidrop.backends import Array, Backend, get_backend
from minidrop.experiments.experiment import Result
from minidrop.layers import Linear
from minidrop.streams import Purpose, Stream

#: one way to do a pass: a call gives its results
Way = Callable[[], tuple[Array, ...]]
#: what one rounding to float32 is off by, relative
UNIT = 2.0**-24
#: a way that is slow is not repeated further after so many seconds and calls
PATIENCE, FEWEST = 40.0, 3


def measure(
    folder: Path, backend: str, inputs: int, units: int, batches: Sequence[int], repetitions: int
) -> Result:
    """Median seconds of both ways, forward and backward, and how far apart their numbers are."""
    rows = []
    for batch in batches:
        for name, (one, loop, terms, bounds) in ways(get_backend(backend), batch, inputs, units).items():
            apart = max(map(rounding_apart, one(), loop(), terms, bounds))
            timed = [median_seconds(way, repetitions, backend) for way in (one, loop)]
            seconds, times = zip(*timed, strict=True)
            rows.append({"pass": name, "batch": batch, "seconds": seconds, "apart": apart, "times": times})
    return {"backend": backend, "inputs": inputs, "units": units, "rows": rows}


def ways(
    backend: Backend, batch: int, inputs: int, units: int
) -> dict[str, tuple[Way, Way, Sequence[int], Sequence[Array]]]:
    """By pass: both ways to compute its results, how many terms each sums up, and the sums of their sizes.

    >>> one, loop, terms, sizes = ways(get_backend("numpy"), 5, 3, 2)["backward"]
    >>> [a.shape for a in one()], [a.shape for a in loop()], terms
    ([(2, 3), (5, 3)], [(2, 3), (5, 3)], (5, 2))
    """
    draw = Stream(0, Purpose.NOISE).generator(0).standard_normal
    shapes = ((batch, inputs), (units, inputs), (batch, units))
    x, w, dy = (backend.asarray(draw(shape, np.float32)) for shape in shapes)
    both = passes(backend, x, w, dy)
    return {
        "forward": (*both["forward"], (inputs,), (abs(x) @ abs(w).T,)),
        "backward": (*both["backward"], (batch, units), (abs(dy).T @ abs(x), abs(dy) @ abs(w))),
    }


def passes(backend: Backend, x: Array, w: Array, dy: Array) -> dict[str, tuple[Way, Way]]:
    """By pass: one product for the batch, and a loop over its examples, in buffers that each call uses again.

        forward     y = x Wᵀ                  y_k = W x_k
        backward    dW = dyᵀ x, dx = dy W     dW = Σ_k dy_k x_kᵀ, dx_k = Wᵀ dy_k

    For x (B, inputs), W (units, inputs) and dy (B, units).
    """
    xp, (units, inputs) = backend.xp, w.shape
    layer = Linear(inputs, units, bias=False, backend=backend)
    layer.weight.value = w
    layer.reuse_buffers(True)
    layer.forward(x)  # the backward pass needs what it saves
    y, dx = xp.empty_like(dy), xp.empty_like(x)
    dw, product = xp.empty_like(w), xp.empty_like(w)

    def forward() -> tuple[Array, ...]:
        return (layer.forward(x),)

    def forward_loop() -> tuple[Array, ...]:
        for k in range(len(x)):
            xp.matmul(w, x[k], out=y[k])
        return (y,)

    def backward() -> tuple[Array, ...]:
        dx = layer.backward(dy)
        return layer.weight.grad, dx

    def backward_loop() -> tuple[Array, ...]:
        dw.fill(0)
        for k in range(len(x)):
            xp.multiply(dy[k][:, None], x[k], out=product)
            xp.add(dw, product, out=dw)
            xp.matmul(dy[k], w, out=dx[k])
        return dw, dx

    return {"forward": (forward, forward_loop), "backward": (backward, backward_loop)}


def rounding_apart(one: Array, other: Array, terms: int, sizes: Array) -> float:
    """How far two float32 results are apart, at most, in units of what rounding allows; inf for NaN.

    A sum of n products in any order is within n u / (1 - n u) Σ|product| of the true one, u = 2^-24 (Higham
    2002, section 3.1), so two orders are at most twice that apart.

    >>> a = np.ones((2, 3), np.float32)
    >>> rounding_apart(a, a, 10, a), rounding_apart(a, 2 * a, 10, a) > 1e5
    (0.0, True)
    """
    allowed = 2 * terms * UNIT / (1 - terms * UNIT)
    apart = float((abs(one - other) / sizes).max()) / allowed
    return inf if isnan(apart) else apart


def median_seconds(way: Way, repetitions: int, backend: str) -> tuple[float, int]:
    """The median time of a call, the device's work included, and of how many calls.

    >>> seconds, times = median_seconds(tuple, 3, "numpy")
    >>> 0 <= seconds < 1, times
    (True, 3)
    """
    wait: Callable[[], Any] = tuple
    if backend == "cupy":
        wait = get_backend(backend).xp.cuda.Device().synchronize
    seconds: list[float] = []
    while len(seconds) < repetitions and (len(seconds) < FEWEST or sum(seconds) < PATIENCE):
        wait()
        since = time.perf_counter()
        way()
        wait()
        seconds.append(time.perf_counter() - since)
    return median(seconds), len(seconds)

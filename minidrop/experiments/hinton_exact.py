"""What must be exact of document 000: its updates along given gradients, and a net before its first step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minidrop as md
from minidrop.building import build_model
from minidrop.config import from_dict
from minidrop.experiments.experiment import Job, Result
from minidrop.experiments.verdicts import Quantity

Array = np.ndarray[Any, Any]


def path(
    optimizer: md.optim.Optimizer,
    gradients: Array,
    rates: Sequence[float] | Array,
    momenta: Sequence[float] | Array | None = None,
) -> Array:
    """All weights after each step along gradients that are given in advance, a row a step.

    >>> arena = md.Linear(1, 1, bias=False, init=md.Constant(1), dtype="float64").parameters()
    >>> path(md.SGD(arena), np.ones((3, 1)), [0.5, 0.25, 0.125]).ravel()
    array([0.5  , 0.25 , 0.125])
    """
    arena, found = optimizer.parameters, []
    for t, gradient in enumerate(gradients):
        optimizer.lr = float(rates[t])
        if momenta is not None:
            optimizer.momentum = float(momenta[t])  # type: ignore[attr-defined]
        arena.flat_gradients[...] = gradient
        optimizer.step()
        found.append(arena.flat_values.copy())
    return np.array(found)


def small_net(std: float = 2.0) -> md.Sequential:
    """A 6-5-3 net in float64 for given gradients; its hidden rows of length √6 std are longer than √15."""
    options: dict[str, Any] = {"init": md.Normal(std), "dtype": "float64", "backend": "numpy"}
    return md.Sequential(md.Linear(6, 5, **options), md.ReLU("numpy"), md.Linear(5, 3, **options))


def beginning_of(name: str, config: Mapping[str, Any]) -> Job:
    """A job that looks at the net of a configuration, whose data set need not be there."""
    return Job(f"beginning-{name}", beginning, {"config": config}, reads_data=False)


def beginning(folder: Path, config: Mapping[str, Any]) -> Result:
    """The net of a configuration before its first step, on 100 images of noise.

    Gives its loss, which is ln 10 for small weights; how far the spread of each weight matrix is from that of
    N(0, 0.01²), in standard errors; and the relative error of its gradient in a random direction, beside a
    difference quotient of the loss with the same masks.
    """
    whole = from_dict({**config, "dtype": "float64", "backend": "numpy"})
    net = build_model(whole)
    loss = md.SoftmaxCrossEntropy(backend="numpy")
    rng = np.random.default_rng(0)
    x, labels = rng.random((100, whole.layer_sizes()[0])), rng.integers(0, 10, 100)
    arena = net.parameters()
    spreads = [
        (float(np.std(p.value)) / 0.01 - 1) * (2 * p.size) ** 0.5 for p in arena.values() if p.rows_are_units
    ]

    def loss_here() -> float:
        net.set_step(1)  # the same masks each time
        return float(loss.forward(net.forward(x), labels))

    at_start = loss_here()
    net.backward_parameters(loss.backward())
    start, direction = arena.flat_values.copy(), rng.standard_normal(arena.size)
    slope, values = float(direction @ arena.flat_gradients), []
    for move in (1e-8, -1e-8):
        arena.flat_values[...] = start + move * direction
        values.append(loss_here())
    quotient = (values[0] - values[1]) / 2e-8
    return {
        "loss": at_start,
        "spread": max(spreads, key=abs),
        "gradient_error": abs(slope / quotient - 1),
    }


def of_the_beginning(label: str, found: Result) -> list[Quantity]:
    """What must be right of a net before its first step; 5 standard errors are allowed to the weights."""
    return [
        Quantity(f"{label}: loss at the start [nats], ln 10", [found["loss"]], np.log(10), "exact", 0.05),
        Quantity(
            f"{label}: spread of initial weights from 0.01 [standard errors]",
            *([found["spread"]], 0.0, "exact", 5.0, 2),
        ),
        Quantity(
            f"{label}: relative error of the gradient", [found["gradient_error"]], 0.0, "exact", 1e-3, 6
        ),
    ]


def appendix_a(
    weights: Mapping[str, Array], gradients: Sequence[Mapping[str, Array]], rates: Any, momenta: Any
) -> list[dict[str, Array]]:
    """The weights after each step by Hinton et al. 2012, appendix A, written out; "0.weight" is hidden.

    Δw ← p Δw - (1 - p) ε g, then w ← w + Δw, and rows with |W_i|² > 15 are divided by |W_i| / √15.
    """
    w, found = {name: value.copy() for name, value in weights.items()}, []
    change = {name: np.zeros_like(value) for name, value in weights.items()}
    for g, rate, p in zip(gradients, rates, momenta, strict=True):
        for name in w:
            change[name] = p * change[name] - (1 - p) * rate * g[name]
            w[name] = w[name] + change[name]
        for row in w["0.weight"]:
            if (squared := float(row @ row)) > 15:
                row /= (squared / 15) ** 0.5
        found.append({name: value.copy() for name, value in w.items()})
    return found


def document_000(
    weights: Mapping[str, Array], gradients: Sequence[Mapping[str, Array]], rates: Any, momenta: Any
) -> list[dict[str, Array]]:
    """The weights after each step by the code that document 000 prints, line by line, l2_limit = 15."""
    w, found = {name: value.copy() for name, value in weights.items()}, []
    buffers: dict[str, Array] = {}
    for g, rate, momentum in zip(gradients, rates, momenta, strict=True):
        for name, p in w.items():
            d_p, renorm = g[name], np.ones_like(p)
            if momentum != 0:
                if name not in buffers:
                    buf = buffers[name] = d_p.copy()
                else:
                    buf = buffers[name]
                    buf *= momentum
                    buf -= rate * (1 - momentum) * d_p
                    if p.ndim > 1:
                        for i, length in enumerate(np.linalg.norm(p, axis=1)):
                            if length > 15:
                                renorm[i] = 15 / length
                d_p = buf
            p += d_p
            p *= renorm
        found.append({name: value.copy() for name, value in w.items()})
    return found


#: what `updates` compares: a reading, the options of `SGDHinton`, and the same written out
READINGS: dict[str, tuple[dict[str, Any], Any, float]] = {
    "paper": ({}, appendix_a, 2.0),  # rows of length 4.9, above √15
    "published": ({"slips": "published"}, document_000, 8.0),  # 19.6, above 15
}


def updates(folder: Path, steps: int = 60) -> Result:
    """By how much `SGDHinton` and the same update written out part on given gradients; the first step's sign.

    The schedules are the paper's, ten times as fast: 10 steps an epoch, momentum 0.5 to 0.99 in 50 epochs.
    """
    epochs = np.arange(steps) // 10
    rates, momenta = 10.0 * 0.98**epochs, 0.5 + 0.49 * epochs / 50
    found: dict[str, Any] = {}
    for reading, (options, written_out, std) in READINGS.items():
        net = small_net(std)
        arena = net.parameters()
        gradients = np.random.default_rng(0).standard_normal((steps, arena.size))
        start = arena.flat_values.copy()
        by_name = [arena.views(gradient) for gradient in gradients]
        expected = written_out(arena.views(start), by_name, rates, momenta)
        optimizer = md.SGDHinton(arena, **options)
        ours = path(optimizer, gradients, rates, momenta)
        theirs = np.array([np.concatenate([v.ravel() for v in step.values()]) for step in expected])
        found[reading] = float(np.abs(ours - theirs).max())
        output = arena.slices()["2.bias"]  # without a limit in either reading
        found[f"{reading} uphill"] = bool(((ours[0] - start) * gradients[0])[output].min() > 0)
    return found

"""How long does an update take for each weight, and how near is that to the speed of the memory?

An update computes little and moves much: SGD reads a weight and its gradient and writes the weight, 12 bytes
in float32, and each slot of an optimizer's memory is read and written too, 8 bytes more. So the time of an
update is set beside that of `numpy.copyto` on one thread, in the same rounds; what a copy reads and what it
writes both count, as they do for an update. There are two copies:

    copy, cache    of arrays that together are as large as what the update touches: 10 to 20 MB, which the
                   last cache of many processors holds. The percentages refer to it, and so do the marks in
                   the figure: an update faster than that must use more threads than one.
    copy, memory   256 MB, which no cache holds: what the update gets where other work has filled the cache.

The bytes are counted from the formulas and not measured: w, g and the slots that the formula needs, each read
once and all but g written once. An implementation that goes over its arrays several times, or keeps slots
that it does not need, moves more and shows it in a lower rate. All are given the parameters of 784-800-800-10
as a model has them; minidrop's are one flat array. Its `step()` shares an update as large as this one out to
its threads; "one thread" is the same without.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import minidrop as md
from benchmarks.figures import COLOURS
from benchmarks.harness import NUMBA, Case, Contestant, typical
from benchmarks.results import Benchmark
from minidrop.optim import OPTIMIZERS

LAYERS = (784, 800, 800, 10)
MEMORY_COPY = 256_000_000
NUMBA_STEP = "minidrop numba step()"
#: The weights differ from PyTorch's by a few float32 roundings of 6e-8 a step, random over a million weights,
#: and PyTorch rounds some of the scalars too. Another ε or learning rate changes the lengths by over 1e-3.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Formula:
    """An optimizer's options, the same in PyTorch under its own names, and how many slots its formula needs.

    Args:
        torch: the class in torch.optim.
        slots: numbers remembered for each weight; each is read and written.
        options: minidrop's.
        torch_options: PyTorch's.
        fused: whether PyTorch has it fused on a CPU.
        note: what is special about it.
    """

    torch: str
    slots: int
    options: Mapping[str, Any] = field(default_factory=dict)
    torch_options: Mapping[str, Any] = field(default_factory=dict)
    fused: bool = False
    note: str = ""

    @property
    def bytes(self) -> int:
        """Moved for each float32 weight: w and the slots read and written, g read."""
        return 4 * (2 + 2 * self.slots + 1)


#: Hinton's velocity under a constant learning rate is PyTorch's with lr (1 - momentum). The limit is one that
#: the rows exceed after every step, so that they are not only measured but rescaled too.
LIMIT = 0.25
_ADAM: dict[str, Any] = {"lr": 1e-3, "eps": 1e-8}
FORMULAS = {
    "sgd": Formula("SGD", 0, {"lr": 0.1}, {"lr": 0.1}, fused=True),
    "momentum": Formula("SGD", 1, {"lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "momentum": 0.9}, fused=True),
    "hinton": Formula(
        "SGD",
        1,
        {"lr": 1.0, "momentum": 0.9, "limit": LIMIT},
        {"lr": 1.0 * (1 - 0.9), "momentum": 0.9},
        fused=True,
        note="and max-norm",
    ),
    "adam": Formula("Adam", 2, _ADAM, _ADAM, fused=True),
    "adamw": Formula(
        "AdamW", 2, {**_ADAM, "weight_decay": 0.01}, {**_ADAM, "weight_decay": 0.01}, fused=True
    ),
    "nadam": Formula("NAdam", 2, _ADAM, _ADAM),
    "adamax": Formula("Adamax", 2, _ADAM, _ADAM),
    "adagrad": Formula("Adagrad", 1, {"lr": 0.01, "eps": 1e-8}, {"lr": 0.01, "eps": 1e-8}, fused=True),
    "adadelta": Formula("Adadelta", 2, {"lr": 1.0, "eps": 1e-6}, {"lr": 1.0, "eps": 1e-6}),
    "rmsprop": Formula("RMSprop", 1, _ADAM, _ADAM),
}


def weights(layers: Sequence[int]) -> int:
    """How many weights and biases the net has.

    >>> weights(LAYERS)
    1276810
    """
    return sum(o * i + o for i, o in pairwise(layers))


def model(layers: Sequence[int]) -> md.Sequential:
    """The net whose parameters are updated."""
    return md.Sequential(*(md.Linear(i, o) for i, o in pairwise(layers)))


def gradients(n: int, step: int) -> Any:
    """The gradients of a step, shape (n,): of all sizes from 1e-8 to 1e-1, so that every ε shows."""
    rng = np.random.default_rng(step)
    return (rng.choice((-1, 1), n) * 10 ** rng.uniform(-8, -1, n)).astype(np.float32)


class Update:
    """One call is one update of all weights with the gradients that are there.

    Args:
        step: the update.
        values: views of the weights, in order.
        slopes: views of the gradients, in the same order.
    """

    def __init__(self, step: Callable[[], object], values: Sequence[Any], slopes: Sequence[Any]) -> None:
        self.step = step
        self.weights = values
        self.gradients = slopes
        self.set_gradients(0)

    def __call__(self) -> None:
        """Update."""
        self.step()

    def set_gradients(self, step: int) -> None:
        """Let the gradients be those of `step`."""
        flat = gradients(sum(g.size for g in self.gradients), step)
        ends = np.cumsum([g.size for g in self.gradients])
        for g, piece in zip(self.gradients, np.split(flat, ends[:-1]), strict=True):
            g[...] = piece.reshape(g.shape)

    def values(self, n: int) -> list[float]:
        """How far n updates have taken the weights from where they began, after each of them."""
        start, lengths = self.flat(), []
        for step in range(n):
            self.set_gradients(step)
            self()
            lengths.append(float(np.linalg.norm(self.flat() - start)))
        return lengths

    def flat(self) -> Any:
        """A copy of all weights, in float64 so that the lengths do not round."""
        return np.concatenate([w.reshape(-1) for w in self.weights]).astype(float)


def by_minidrop(name: str, layers: Sequence[int], way: str) -> Update:
    """minidrop's update: "step()", or on "one thread"."""
    parameters = model(layers).parameters()
    optimizer = OPTIMIZERS[name](parameters, **FORMULAS[name].options)

    def alone() -> None:
        optimizer.advance()
        optimizer.step_share(0, 1)

    step = alone if way == "one thread" else optimizer.step
    return Update(step, [p.value for p in parameters.values()], [p.grad for p in parameters.values()])


def by_torch(name: str, layers: Sequence[int], way: str) -> Update:
    """PyTorch's update: a loop over the parameters, "foreach" or "fused"."""
    import torch

    formula = FORMULAS[name]
    start = model(layers).state_dict()
    parameters = [torch.nn.Parameter(torch.from_numpy(array)) for array in start.values()]
    gradients = [torch.zeros_like(p) for p in parameters]
    for p, gradient in zip(parameters, gradients, strict=True):
        p.grad = gradient
    ways: dict[str, Any] = {
        "loop": {"foreach": False},
        "foreach": {"foreach": True},
        "fused": {"fused": True},
    }
    optimizer = getattr(torch.optim, formula.torch)(parameters, **formula.torch_options, **ways[way])
    step = optimizer.step
    if "limit" in formula.options:
        length, hidden = formula.options["limit"] ** 0.5, [p.detach() for p in parameters if p.ndim > 1][:-1]

        def step() -> None:
            optimizer.step()
            for w in hidden:
                norms = torch.linalg.vector_norm(w, dim=1, keepdim=True)
                w.mul_(length / norms.clamp_(min=length))

    return Update(
        step, [p.detach().numpy() for p in parameters], [gradient.numpy() for gradient in gradients]
    )


def copy(size: int) -> Callable[[], None]:
    """Copy arrays that are `size` bytes together, half of them to the other half."""
    source, target = np.ones(size // 8, np.float32), np.zeros(size // 8, np.float32)
    return lambda: np.copyto(target, source)


def cases(quick: bool) -> list[Case]:
    """One case an optimizer."""
    layers = (64, 32, 10) if quick else LAYERS
    return [case(name, layers) for name in (("hinton",) if quick else OPTIMIZERS)]


def case(name: str, layers: Sequence[int]) -> Case:
    """The ways that minidrop and PyTorch have, and the copies."""
    formula, n = FORMULAS[name], weights(layers)
    touched = n * 4 * (2 + formula.slots)
    memory = min(MEMORY_COPY, 100 * touched)  # less in the quick mode
    here, given = "benchmarks.optimizers", {"name": name, "layers": list(layers)}
    ways = ["loop", "foreach", *(["fused"] if formula.fused else [])]
    return Case(
        f"{name}{f' {formula.note}' if formula.note else ''}, {n:,} weights",
        {"optimizer": name, "weights": n, "bytes": formula.bytes, "cache": touched, "memory": memory},
        [
            *(
                Contestant(f"minidrop {way}", f"{here}:by_minidrop", {**given, "way": way})
                for way in ("step()", "one thread")
            ),
            Contestant(
                NUMBA_STEP,
                f"{here}:by_minidrop",
                {**given, "way": "step()"},
                ("numba",),
                environment=NUMBA,
            ),
            *(
                Contestant(f"PyTorch {way}", f"{here}:by_torch", {**given, "way": way}, needs=("torch",))
                for way in ways
            ),
            Contestant("copy, cache", f"{here}:copy", {"size": touched}, note=f"{touched / 1e6:.3g} MB"),
            Contestant("copy, memory", f"{here}:copy", {"size": memory}, note=f"{memory / 1e6:.3g} MB"),
        ],
        values=5,
        tolerance=TOLERANCE,
        share=0.4,  # a shorter block is over before threads that slept are awake for good
        rounds=7,
    )


def rate(one: Mapping[str, Any], case: Mapping[str, Any]) -> float:
    """Bytes a second, read and written."""
    given = case["parameters"]
    kind = one["label"].removeprefix("copy, ")
    moved = given[kind] if kind in given else given["bytes"] * given["weights"]
    return float(moved / typical(one))


def copying(case: Mapping[str, Any], kind: str = "cache") -> float:
    """The bytes a second of a copy."""
    return next(rate(one, case) for one in case["contestants"] if one["label"] == f"copy, {kind}")


def for_each_weight(one: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """The column of the time for one weight."""
    copies = one["label"].startswith("copy")
    return "" if copies else f"{typical(one) / case['parameters']['weights'] * 1e12:.0f}"


def moved(one: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """The column of the bytes for one weight."""
    return "" if one["label"].startswith("copy") else f"{case['parameters']['bytes']}"


def draw(result: Mapping[str, Any]) -> Figure:
    """Bars: the time for one weight, a group an optimizer, with marks where the copies would be."""
    ways = {"minidrop step()": COLOURS[0], "minidrop one thread": COLOURS[5], NUMBA_STEP: COLOURS[1]}
    ways |= {"PyTorch loop": "0.8", "PyTorch foreach": "0.65", "PyTorch fused": "0.45"}
    bars = [(case, one) for case in result["cases"] for one in case["contestants"] if one["label"] in ways]
    figure = Figure(figsize=(8, 0.155 * len(bars) + 0.15 * len(result["cases"]) + 1.2), layout="constrained")
    axes = figure.subplots()
    y, ticks, names = 0.0, [], []
    for case in result["cases"]:
        group = [one for one in case["contestants"] if one["label"] in ways]
        for i, one in enumerate(group):
            picoseconds = typical(one) / case["parameters"]["weights"] * 1e12
            axes.barh(y + i, picoseconds, 0.9, color=ways[one["label"]])
            number = axes.text(picoseconds, y + i, f" {picoseconds:.0f}", va="center", fontsize=7)
            number.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.2})
        for kind, style in (("cache", "-"), ("memory", ":")):
            mark = case["parameters"]["bytes"] / copying(case, kind) * 1e12
            axes.plot([mark, mark], [y - 0.6, y + len(group) - 0.4], "k", linestyle=style, linewidth=1.5)
        ticks.append(y + (len(group) - 1) / 2)
        names.append(f"{case['name'].partition(',')[0]}\n{case['parameters']['bytes']} bytes")
        y += len(group) + 1
    handles: list[Any] = [axes.barh(0, 0, color=colour, label=label) for label, colour in ways.items()]
    handles = handles[3:] + handles[:3]
    for kind, style in (("cache", "-"), ("memory", ":")):
        handles += axes.plot([], [], "k", linestyle=style, label=f"copy of as many bytes, {kind}")
    axes.set_yticks(ticks, names, fontsize=8)
    axes.set_ylim(y - 1, -1)
    axes.margins(x=0.08)
    axes.set_xlabel("time for each weight in ps")
    axes.spines[["top", "right"]].set_visible(False)
    legend: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.1, 1), "ncols": 3, "frameon": False}
    axes.legend(handles=handles, fontsize=8, **legend)
    return figure


BENCHMARK = Benchmark(
    "optimizers",
    "How long does an update take for each weight, against a copy of as many bytes?",
    cases,
    draw,
    columns=[
        ("ps/weight", for_each_weight),
        ("B/weight", moved),
        ("GB/s", lambda one, case: f"{rate(one, case) / 1e9:.3g}"),
        ("% of copy", lambda one, case: f"{100 * rate(one, case) / copying(case):.0f}"),
    ],
)

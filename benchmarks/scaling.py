"""How do the time of a training step and its memory grow with batch, width and depth?

From the paper's net, 784-800-800-10 with batch 100, along each axis in turn. And for the net of document 001,
784-8192-8192-8192-10 with batch 1000 and plain SGD: its dropout is behind each hidden layer, with keep
probabilities .9, .8 and .8. Here each example has a mask of its own; in the document all share one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmarks.figures import COLOURS
from benchmarks.harness import NUMBA, Case, Contestant, typical
from benchmarks.results import Benchmark, size
from benchmarks.train_step import FLOOR, STEPS, TOLERANCE
from benchmarks.workload import Workload

#: the axes that grow from the base, and where to
BASE = {"batch": 100, "width": 800, "depth": 2}
AXES = {
    "batch": (10, 30, 100, 300, 1000, 3000),
    "width": (100, 400, 800, 1600, 3200),
    "depth": (1, 2, 4, 8),
}
UNITS = {"batch": "examples in the batch", "width": "units of a hidden layer", "depth": "hidden layers"}
DOCUMENT_001 = "784-8192-8192-8192-10, batch 1000"
TORCH = "PyTorch, fused SGD"


def workload(batch: int, width: int, depth: int) -> Workload:
    """The paper's step with other sizes; `depth` counts the hidden layers.

    The limit is 1, where layers keep the size of what passes through. At 15, eight of them make it 50,000
    times as large, and then rounding alone makes losses differ.
    """
    return Workload((784, *[width] * depth, 10), batch, (0.2, *[0.5] * depth), limit=1.0)


def case(name: str, work: Workload, **settings: Any) -> Case:
    """One net at one batch size, by those who do all of the step, and its matrix products."""
    fields = asdict(work)
    contestants = "benchmarks.contestants."
    batch, width, depth = work.batch, work.sizes[1], len(work.sizes) - 2
    weights = sum((inputs + 1) * units for inputs, units in zip(work.sizes, work.sizes[1:], strict=False))
    return Case(
        name,
        {"batch": batch, "width": width, "depth": depth, "weight_bytes": 4 * weights},
        [
            Contestant("minidrop", f"{contestants}minidrop_step:step", fields),
            Contestant(
                "minidrop, numba", f"{contestants}minidrop_step:step", fields, ("numba",), environment=NUMBA
            ),
            Contestant(
                TORCH, f"{contestants}torch_step:step", fields | {"optimizer": "fused"}, ("torch",), "eager"
            ),
            Contestant(FLOOR, f"{contestants}products:step", fields, (), "in NumPy: the floor"),
        ],
        **settings,
    )


def cases(quick: bool) -> list[Case]:
    """The base, each axis, and last document 001's net; to compare its values would need memory, too."""
    if quick:
        net = Workload((20, 64, 64, 64, 10), 50, (0.0, 0.1, 0.2, 0.2), momentum=0.0, limit=0.0)
        return [
            case("batch 10, width 30, depth 1", workload(10, 30, 1), values=STEPS, tolerance=TOLERANCE),
            case("20-64-64-64-10, batch 50", net),
        ]
    points = {tuple((BASE | {axis: at}).items()) for axis, values in AXES.items() for at in values}
    compared = {"values": STEPS, "tolerance": TOLERANCE, "share": 0.5}
    grown = [
        case(", ".join(f"{axis} {at}" for axis, at in point), workload(**dict(point)), **compared)
        for point in sorted(
            points, key=lambda point: [dict(point)[axis] for axis in ("depth", "width", "batch")]
        )
    ]
    net = Workload((784, 8192, 8192, 8192, 10), 1000, (0.0, 0.1, 0.2, 0.2), momentum=0.0, limit=0.0)
    return [*grown, case(DOCUMENT_001, net, rounds=5)]


def memory(one: Mapping[str, Any]) -> int | None:
    """How many bytes the step needs beside what the libraries hold, or None if it could not be told."""
    return None if one["peak_bytes"] is None else one["peak_bytes"] - one["bytes_before"]


def memory_column(one: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """The column of the memory."""
    found = memory(one)
    return "-" if found is None else size(found)


def times_weights(one: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """The column of the memory as a multiple of that of weights and biases."""
    found = memory(one)
    return "-" if found is None else f"{found / case['parameters']['weight_bytes']:.1f}"


def axis_of(case: Mapping[str, Any]) -> list[str]:
    """The axes that a case lies on: all three for the base."""
    sizes = case["parameters"]
    return [axis for axis in AXES if all(sizes[other] == BASE[other] for other in BASE if other != axis)]


def draw(result: Mapping[str, Any]) -> Figure:
    """Time along each axis, and the memory of document 001's net."""
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    panels = list(figure.subplots(2, 2).flat)
    for axes, axis in zip(panels, AXES, strict=False):
        draw_axis(axes, axis, [case for case in result["cases"] if axis in axis_of(case)])
    if panels[0].lines:
        panels[0].legend(frameon=False, fontsize=8)
    draw_memory(panels[3], result["cases"][-1])
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_axis(axes: Axes, axis: str, cases: Sequence[Mapping[str, Any]]) -> None:
    """The time of everyone along one axis."""
    points: dict[str, list[tuple[int, float]]] = {}
    for case in cases:
        for one in case["contestants"]:
            points.setdefault(one["label"], []).append((case["parameters"][axis], 1e3 * typical(one)))
    for (label, times), colour in zip(points.items(), COLOURS, strict=False):
        style = "--" if label == FLOOR else "o-"
        axes.plot(*zip(*sorted(times), strict=True), style, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(AXES[axis], [str(at) for at in AXES[axis]])
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(UNITS[axis])
    axes.set_ylabel("ms a step")


def draw_memory(axes: Axes, case: Mapping[str, Any]) -> None:
    """Who needs how much memory for one net, beside its weights."""
    rows = [("weights alone", case["parameters"]["weight_bytes"], "0.65")]
    for one, colour in zip(case["contestants"], COLOURS, strict=False):
        needed = memory(one)
        if needed is not None and one["label"] != FLOOR:
            rows.append((one["label"], needed, colour))
    for y, (_, needed, colour) in enumerate(reversed(rows)):
        axes.barh(y, needed, color=colour)
        axes.text(needed, y, f" {size(needed)}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [label for label, *_ in reversed(rows)], fontsize=8)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.margins(x=0.15)
    axes.set_title(f"memory of a step of\n{case['name']}", fontsize=9)


BENCHMARK = Benchmark(
    "scaling",
    "How do time and memory of a step grow with batch, width and depth?",
    cases,
    draw,
    columns=[("memory", memory_column), ("× weights", times_weights)],
)

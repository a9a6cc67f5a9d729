"""How long does an epoch of MNIST take from end to end, and how long until a command begins?

An epoch is 600 steps of the paper's net on batches of 100 out of 60,000 images in a new order, then the
test on 10,000 images. The images are random bytes of MNIST's shape, so no data set is needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

from matplotlib.figure import Figure

from benchmarks.figures import COLOURS
from benchmarks.harness import NUMBA, Case, Contestant, typical
from benchmarks.results import Benchmark
from benchmarks.train_step import TOLERANCE
from benchmarks.workload import Workload

#: images to train on and to test on
IMAGES = {"train": 60_000, "test": 10_000}
EPOCH, START = "an epoch of {train:,} images, test on {test:,}", "from the start of Python to its end"
#: parts of an epoch, by what `parts` of a contestant calls them; the last is what is left
PARTS = {"steps": "in steps", "batches": "batches", "test": "test", "rest": "rest"}
COMMANDS = {
    "import minidrop": ["-c", "import minidrop"],
    "minidrop --help": ["-m", "minidrop", "--help"],
    "import numpy": ["-c", "import numpy"],
    "import torch": ["-c", "import torch"],
}


def cases(quick: bool) -> list[Case]:
    """An epoch, and what a process needs before it can begin one."""
    net = Workload((20, 32, 32, 10)) if quick else Workload()
    counts = {"train": 2000, "test": 1000} if quick else IMAGES
    fields = asdict(net) | counts
    ours, maker = "benchmarks.contestants.minidrop_epoch:epoch", "benchmarks.contestants.torch_epoch:epoch"
    return [
        Case(
            EPOCH.format(**counts),
            counts,
            [
                Contestant("minidrop", ours, fields, (), "fit, evaluate"),
                Contestant("minidrop, numba", ours, fields, ("numba",), "compiled loops", NUMBA),
                Contestant(
                    "PyTorch, one tensor", maker, fields | {"loader": False}, ("torch",), "index_select"
                ),
                Contestant(
                    "PyTorch, DataLoader", maker, fields | {"loader": True}, ("torch",), "TensorDataset"
                ),
            ],
            values=2,
            tolerance=TOLERANCE,
            rounds=7,
        ),
        Case(
            START,
            {},
            [
                Contestant(
                    label,
                    "benchmarks.contestants.commands:python",
                    {"arguments": arguments},
                    needs=("torch",) if label == "import torch" else (),
                )
                for label, arguments in COMMANDS.items()
                if not (quick and "torch" in label)  # it takes longer than all else
            ],
            rounds=7,
        ),
    ]


def share(part: str, one: Mapping[str, Any]) -> float | None:
    """The median over the rounds of a part's share of the time, or None for work without parts."""
    if "parts" not in one:
        return None
    shares = [
        (whole - sum(parts.values()) if part == "rest" else parts[part]) / whole
        for parts, whole in zip(one["parts"], one["seconds"], strict=True)
    ]
    return float(median(shares))


def column(part: str) -> Callable[[Mapping[str, Any], Mapping[str, Any]], str]:
    """The column of a part's share."""

    def text(one: Mapping[str, Any], case: Mapping[str, Any]) -> str:
        found = share(part, one)
        return "" if found is None else f"{found:.1%}"

    return text


def draw(result: Mapping[str, Any]) -> Figure:
    """The parts of an epoch, and the starts, as bars."""
    epoch, start = result["cases"]
    counts = [len(epoch["contestants"]), len(start["contestants"])]
    figure = Figure(figsize=(8, 0.4 * sum(counts) + 1.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=counts)
    for y, one in enumerate(epoch["contestants"]):
        left = 0.0
        for part, colour in zip(PARTS, (COLOURS[0], COLOURS[1], COLOURS[2], "0.7"), strict=True):
            width = typical(one) * (share(part, one) or 0.0)
            upper.barh(y, width, left=left, color=colour, label=PARTS[part] if y == 0 else None)
            left += width
        upper.text(left, y, f" {typical(one):.2f}", va="center", fontsize=8)
    for y, one in enumerate(start["contestants"]):
        lower.barh(y, typical(one), color=COLOURS[0] if "minidrop" in one["label"] else "0.7")
        lower.text(typical(one), y, f" {typical(one):.2f}", va="center", fontsize=8)
    for axes, case in ((upper, epoch), (lower, start)):
        axes.set_yticks(
            range(len(case["contestants"])), [one["label"] for one in case["contestants"]], fontsize=8
        )
        axes.invert_yaxis()
        axes.margins(x=0.1)
        axes.set_title(case["name"], fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    lower.set_xlabel("seconds")
    upper.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(PARTS))
    return figure


BENCHMARK = Benchmark(
    "epoch",
    "How long does an epoch of MNIST take from end to end?",
    cases,
    draw,
    columns=[(title, column(part)) for part, title in PARTS.items()],
)

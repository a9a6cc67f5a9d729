"""How much faster is one matrix product for the whole batch than a loop over its examples?

Document 002 times the forward pass of a linear layer with 1000 inputs and 1500 units on 2500 examples, in
PyTorch: as one matrix product, and as a loop of 2500 products of the matrix with a vector. It prints that the
loop takes 5.1 times as long on its CPU and 76.0 times on its GPU. Here the experiment is repeated, for other
batch sizes too, and with the backward pass: dW = dyᵀ x, the sum of the examples' dy_k x_kᵀ, and dx = dy W.

PyTorch's forward passes are the document's lines. NumPy's and CuPy's batch is `minidrop.Linear`, in buffers
that it uses again; their loop is `xp.matmul` of W and one example, into a row of a buffer. The document takes
the median of 51 repetitions; --rounds 51 does so for whatever is slower than a block.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.figures import COLOURS
from benchmarks.harness import Case, Contestant, ratio, typical
from benchmarks.results import Benchmark
from minidrop.backends import get_backend
from minidrop.experiments.batch_passes import passes

INPUTS, UNITS = 1000, 1500
#: what document 002 prints for its 2500 examples, by library
PUBLISHED = {"PyTorch": 5.1, "PyTorch GPU": 76.0}
PUBLISHED_BATCH = 2500

#: the batch sizes of the sweep by pass; the loop of the backward pass is slower, so it has fewer
SIZES = {"forward": (2500, 1, 3, 10, 30, 100, 400), "backward": (1000, 1, 10, 100)}
#: sums of a thousand float32 products in two orders: each rounds by 6e-8, and errors add as random walks do
TOLERANCE = 1e-5

Results = Sequence[Any]
Pass = Callable[[], Results]


def given(batch: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """x (B, inputs), W (units, inputs) and dy (B, units) in float32, all of N(0, 1) as in the document."""
    rng = np.random.default_rng(seed)
    x, w, dy = (
        rng.standard_normal(s, np.float32) for s in ((batch, INPUTS), (UNITS, INPUTS), (batch, UNITS))
    )
    return x, w, dy


class Work:
    """One pass, each call of which gives its results: y, or dW and dx.

    Args:
        run: the pass.
        synchronise: waits for the device that it runs on, if that does not wait by itself.
    """

    def __init__(self, run: Pass, synchronise: Callable[[], None] | None = None) -> None:
        self.run = run
        if synchronise is not None:
            self.synchronise = synchronise

    def __call__(self) -> None:
        """Compute them."""
        self.results = self.run()

    def values(self, n: int) -> list[float]:
        """Length and largest element of n / 2 stretches that together hold every number of the results."""
        self()
        flat = [np.ravel(on_host(result)).astype(float) for result in self.results]
        parts = [part for one in flat for part in np.array_split(one, n // 2 // len(flat))]
        return [float(number) for part in parts for number in (np.linalg.norm(part), part.max())]


def on_host(array: Any) -> Any:
    """An array or tensor of any device as a NumPy array."""
    if hasattr(array, "get"):  # CuPy
        return array.get()
    return array.cpu().numpy() if hasattr(array, "cpu") else array


def by_arrays(backend: str, batch: int) -> dict[str, Work]:
    """Every pass in NumPy or CuPy."""
    back = get_backend(backend)
    both = passes(back, *map(back.asarray, given(batch)))
    synchronise = back.xp.cuda.Device().synchronize if backend == "cupy" else None
    return {
        f"{name}_{way}": Work(run, synchronise)
        for name, runs in both.items()
        for way, run in zip(("batch", "loop"), runs, strict=True)
    }


def by_torch(device: str, batch: int) -> dict[str, Work]:
    """Every pass in PyTorch; the forward ones are document 002's lines."""
    import torch

    x, w, dy = (torch.from_numpy(array).to(device) for array in given(batch))
    y, dx, dw = x.new_empty(batch, UNITS), torch.empty_like(x), torch.empty_like(w)

    def forward_batch() -> Results:
        return (x.mm(w.t()),)

    def forward_loop() -> Results:
        for k in range(batch):
            y[k] = w.mv(x[k])
        return (y,)

    def backward_batch() -> Results:
        return dy.t().mm(x), dy.mm(w)

    def backward_loop() -> Results:
        dw.zero_()
        for k in range(batch):
            dw.addr_(dy[k], x[k])
            dx[k] = w.t().mv(dy[k])
        return dw, dx

    synchronise = torch.cuda.synchronize if device == "cuda" else None
    passes = (forward_batch, forward_loop, backward_batch, backward_loop)
    return {run.__name__: Work(run, synchronise) for run in passes}


#: who computes the passes and where, by the name in the tables: contestants' arguments, modules, GPU
LIBRARIES: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "NumPy": ("by_arrays", "numpy", (), ""),
    "PyTorch": ("by_torch", "cpu", ("torch",), ""),
    "CuPy GPU": ("by_arrays", "cupy", ("cupy",), "cupy"),
    "PyTorch GPU": ("by_torch", "cuda", ("torch",), "torch"),
}


def work(maker: str, device: str, name: str, way: str, batch: int) -> Work:
    """The work of one contestant."""
    makers = {"by_arrays": by_arrays, "by_torch": by_torch}
    return makers[maker](device, batch)[f"{name}_{way}"]


def contestants(name: str, batch: int) -> list[Contestant]:
    """Both ways for each library; what is published is a note beside the loop that it is about."""
    published = PUBLISHED if (name, batch) == ("forward", PUBLISHED_BATCH) else {}
    return [
        Contestant(
            f"{library}, {way}",
            "benchmarks.batch_vs_loop:work",
            {"maker": maker, "device": device, "name": name, "way": way, "batch": batch},
            needs=needs,
            note=f"document 002: {published[library]}" if way == "loop" and library in published else "",
            gpu=gpu,
        )
        for library, (maker, device, needs, gpu) in LIBRARIES.items()
        for way in ("batch", "loop")
    ]


def cases(quick: bool) -> list[Case]:
    """The document's experiment first, then other batch sizes, then the backward pass.

    Who is left out, and why, is said once a pass.
    """
    sizes: Mapping[str, Sequence[int]] = {"forward": (30,), "backward": (10,)} if quick else SIZES
    return [
        Case(
            f"{name}, {batch} {'example' if batch == 1 else 'examples'}",
            {"pass": name, "batch": batch},
            [c for c in contestants(name, batch) if batch == batches[0] or not c.missing()],
            values=8,
            tolerance=TOLERANCE,
            share=0.15,
        )
        for name, batches in sizes.items()
        for batch in batches
    ]


def loop_ratio(library: str, case: Mapping[str, Any]) -> float | None:
    """How many times as long as the batch the loop takes, or None if the library was left out."""
    found = {one["label"]: one for one in case["contestants"]}
    if f"{library}, loop" not in found:
        return None
    return ratio(found[f"{library}, loop"], found[f"{library}, batch"])


def against_batch(one: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """The column of a loop's ratio to the same library's batch."""
    library, _, way = one["label"].partition(", ")
    return f"{loop_ratio(library, case):.1f}" if way == "loop" else ""


def rate(one: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """The column of the operations a second: one product for each weight and example, or two backwards."""
    products = {"forward": 1, "backward": 2}[case["parameters"]["pass"]]
    return f"{2 * products * case['parameters']['batch'] * INPUTS * UNITS / typical(one) / 1e9:.0f}"


def draw(result: Mapping[str, Any]) -> Figure:
    """The ratio of loop to batch over the batch size, with document 002's two numbers."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for colour, library in zip(COLOURS, LIBRARIES, strict=False):
        for name, style in (("forward", "o-"), ("backward", "s--")):
            points = sorted(
                (case["parameters"]["batch"], value)
                for case in result["cases"]
                if case["parameters"]["pass"] == name and (value := loop_ratio(library, case)) is not None
            )
            if points:
                axes.plot(*zip(*points, strict=True), style, color=colour, label=f"{library}, {name}")
    for library, where in (("PyTorch", "CPU"), ("PyTorch GPU", "GPU")):
        axes.axhline(PUBLISHED[library], color="0.4", linestyle=":", linewidth=1)
        text = f"{PUBLISHED[library]}: document 002,\n{where}, {PUBLISHED_BATCH} examples"
        beside = axes.get_yaxis_transform()
        axes.text(1.01, PUBLISHED[library], text, va="center", fontsize=8, color="0.3", transform=beside)
    axes.axhline(1, color="0.8", linewidth=1, zorder=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(top=max(120, axes.get_ylim()[1]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.set_xlabel("examples in the batch")
    axes.set_ylabel("time of the loop / time of the batch")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=8)
    return figure


BENCHMARK = Benchmark(
    "batch_vs_loop",
    "How much faster is one matrix product than a loop over the examples?",
    cases,
    draw,
    columns=[("loop/batch", against_batch), ("GFLOP/s", rate)],
)

"""How long does dropout take: drawing a keep mask, and a layer's forward and backward pass?

minidrop's mask is a function of (seed, layer, step): Philox counters, 16 bits for each element, in pieces
that stay in the cache. The others draw from a generator with a state, whose masks depend on everything that
was drawn before. What a NumPy user writes first is a comparison of float32 uniforms, 32 bits for each
element; one who looks further takes integers of 16 bits, or views the generator's raw words as such.

Every contestant draws new masks in every repetition, into an array that it uses again where its library can
do that. No values are compared, since no two generators agree; a test holds them to the drop probability.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import minidrop as md
from benchmarks.figures import COLOURS
from benchmarks.harness import Case, Contestant, typical
from benchmarks.results import Benchmark
from minidrop import backends
from minidrop.layers.stochastic import DropRate
from minidrop.streams import Stream

#: a hidden layer's activations on a batch of 784-800-800-10, and a larger one's
SIZES = ((100, 800), (1000, 2000))
DROP = 0.5
_LANES = 1 << 16


class Draw:
    """One call draws a new keep mask, which is then in `mask`.

    Args:
        draw: gives the mask.
    """

    def __init__(self, draw: Callable[[], Any]) -> None:
        self.draw = draw

    def __call__(self) -> None:
        """Draw."""
        self.mask = self.draw()


def keep_mask(shape: Sequence[int], drop: float) -> Draw:
    """minidrop's: 16 bits for each element, from Philox counters."""
    backend, stream, rate = backends.get_backend("numpy"), Stream(0), DropRate.of(drop)
    mask, step = np.empty(shape, bool), 0

    def draw() -> Any:
        nonlocal step
        step += 1
        return backend.keep_mask(backends.Draw(stream, step, rate.threshold, mask))

    return Draw(draw)


def numpy_mask(shape: Sequence[int], drop: float, bits: str, way: str) -> Draw:
    """NumPy's, from the bit generator of that name: "float32", "uint16", or from "raw" words."""
    generator = np.random.Generator(getattr(np.random, bits)(0))
    words, size = generator.bit_generator.random_raw, int(np.prod(shape))
    mask, uniform, threshold = np.empty(shape, bool), np.empty(shape, np.float32), round(drop * _LANES)

    def float32() -> Any:
        generator.random(out=uniform, dtype=np.float32)
        return np.greater_equal(uniform, drop, out=mask)

    def uint16() -> Any:
        lanes = generator.integers(0, _LANES, shape, np.uint16)
        return np.greater_equal(lanes, threshold, out=mask)

    def raw() -> Any:
        lanes = words(-(-size // 4)).view(np.uint16)[:size].reshape(shape)
        return np.greater_equal(lanes, threshold, out=mask)

    return Draw({"float32": float32, "uint16": uint16, "raw": raw}[way])


def torch_mask(shape: Sequence[int], drop: float, way: str) -> Draw:
    """PyTorch's: "bernoulli" draws booleans, "rand" compares uniforms."""
    import torch

    torch.manual_seed(0)
    mask, uniform = torch.empty(*shape, dtype=torch.bool), torch.empty(*shape)

    def rand() -> Any:
        torch.rand(*shape, out=uniform)
        return torch.ge(uniform, drop, out=mask)

    return Draw({"bernoulli": lambda: mask.bernoulli_(1 - drop), "rand": rand}[way])


class Passes:
    """One call is a forward and a backward pass; y and dx are their results.

    Args:
        passes: gives y and dx for the same x and dy every time, with a new mask.
    """

    def __init__(self, passes: Callable[[], tuple[Any, Any]]) -> None:
        self.passes = passes

    def __call__(self) -> None:
        """Forward and backward."""
        self.y, self.dx = self.passes()


def given(shape: Sequence[int]) -> tuple[Any, Any]:
    """x and dy of N(0, 1)."""
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape, np.float32), rng.standard_normal(shape, np.float32)


def dropout_layer(shape: Sequence[int], drop: float) -> Passes:
    """minidrop's layer, in buffers that it uses again."""
    layer = md.Dropout(drop, backend="numpy")
    layer.reuse_buffers(True)
    x, dy = given(shape)
    return Passes(lambda: (layer.forward(x), layer.backward(dy)))


def numpy_layer(shape: Sequence[int], drop: float) -> Passes:
    """Two lines of NumPy: y = x m and dx = dy m, with m = (u >= p) / (1 - p) in float32."""
    generator = np.random.default_rng(0)
    x, dy = given(shape)
    scale = np.float32(1 / (1 - drop))

    def passes() -> tuple[Any, Any]:
        m = (generator.random(shape, np.float32) >= drop) * scale
        return x * m, dy * m

    return Passes(passes)


def torch_layer(shape: Sequence[int], drop: float) -> Passes:
    """PyTorch's function and its autograd."""
    import torch
    from torch.nn.functional import dropout

    torch.manual_seed(0)
    x, dy = map(torch.from_numpy, given(shape))
    x.requires_grad_()

    def passes() -> tuple[Any, Any]:
        y = dropout(x, drop)
        return y.detach(), torch.autograd.grad(y, x, dy)[0]

    return Passes(passes)


def jax_layer(shape: Sequence[int], drop: float) -> Passes:
    """JAX's generator and its derivative, compiled together."""
    import jax

    x, dy = map(jax.numpy.asarray, given(shape))

    @jax.jit
    def both(key: Any, x: Any, dy: Any) -> Any:
        keep = jax.random.bernoulli(key, 1 - drop, x.shape)
        y, pullback = jax.vjp(lambda x: jax.numpy.where(keep, x / (1 - drop), 0), x)
        return y, pullback(dy)[0]

    key, step = jax.random.key(0), 0

    def passes() -> tuple[Any, Any]:
        nonlocal step
        step += 1
        y, dx = both(jax.random.fold_in(key, step), x, dy)
        return y.block_until_ready(), dx.block_until_ready()

    return Passes(passes)


#: label, maker, its arguments, modules, note
Entry = tuple[str, str, dict[str, str], tuple[str, ...], str]
MASKS: tuple[Entry, ...] = (
    ("minidrop", "keep_mask", {}, (), "function of (seed, layer, step)"),
    ("NumPy PCG64 float32", "numpy_mask", {"bits": "PCG64", "way": "float32"}, (), "what default_rng gives"),
    ("NumPy PCG64 uint16", "numpy_mask", {"bits": "PCG64", "way": "uint16"}, (), ""),
    ("NumPy PCG64 raw", "numpy_mask", {"bits": "PCG64", "way": "raw"}, (), "words as 4 x 16 bits"),
    ("NumPy SFC64 raw", "numpy_mask", {"bits": "SFC64", "way": "raw"}, (), "words as 4 x 16 bits"),
    ("NumPy Philox float32", "numpy_mask", {"bits": "Philox", "way": "float32"}, (), ""),
    ("NumPy Philox raw", "numpy_mask", {"bits": "Philox", "way": "raw"}, (), "minidrop's bits, stateful"),
    ("PyTorch bernoulli_", "torch_mask", {"way": "bernoulli"}, ("torch",), ""),
    ("PyTorch rand", "torch_mask", {"way": "rand"}, ("torch",), ""),
)
LAYERS: tuple[Entry, ...] = (
    ("minidrop Dropout", "dropout_layer", {}, (), ""),
    ("NumPy, two lines", "numpy_layer", {}, (), "PCG64, float32"),
    ("PyTorch F.dropout", "torch_layer", {}, ("torch",), "autograd"),
    ("JAX jit", "jax_layer", {}, ("jax",), "bernoulli and vjp"),
)
#: what a case does, by the name in its parameters: how it is called, and who does it
WORK: dict[str, tuple[str, tuple[Entry, ...]]] = {
    "mask": ("keep mask", MASKS),
    "layer": ("forward and backward", LAYERS),
}


def cases(quick: bool) -> list[Case]:
    """Masks and layers of each size."""
    sizes = ((10, 80),) if quick else SIZES
    return [
        Case(
            f"{name}, {shape[0]} x {shape[1]}",
            {"work": work, "rows": shape[0], "columns": shape[1], "drop": DROP},
            [
                Contestant(
                    label,
                    f"benchmarks.dropout:{maker}",
                    {"shape": list(shape), "drop": DROP, **arguments},
                    needs=needs,
                    note=note,
                )
                for label, maker, arguments, needs, note in entries
                if not (quick and "jax" in needs)  # compiling takes longer than all else
            ],
            share=0.5,
        )
        for work, (name, entries) in WORK.items()
        for shape in sizes
    ]


def nanoseconds(one: Mapping[str, Any], case: Mapping[str, Any]) -> float:
    """The time for each element."""
    elements: int = case["parameters"]["rows"] * case["parameters"]["columns"]
    return typical(one) / elements * 1e9


def draw(result: Mapping[str, Any]) -> Figure:
    """Bars: the time for each element, a panel for the masks and one for the layers."""
    heights = [len(entries) for _, entries in WORK.values()]
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    panels = figure.subplots(len(WORK), height_ratios=heights, sharex=True)
    for axes, (work, (title, entries)) in zip(panels, WORK.items(), strict=True):
        cases = [case for case in result["cases"] if case["parameters"]["work"] == work]
        for i, case in enumerate(cases):
            size = f"{case['parameters']['rows']} x {case['parameters']['columns']}"
            times = {one["label"]: nanoseconds(one, case) for one in case["contestants"]}
            for row, (label, *_) in enumerate(entries):
                if label in times:
                    y = row + (i - (len(cases) - 1) / 2) * 0.4
                    first = {"label": size} if row == 0 else {}
                    axes.barh(y, times[label], 0.38, color=COLOURS[i], **first)
                    axes.text(times[label], y, f" {times[label]:.2f}", va="center", fontsize=7)
        axes.set_yticks(range(len(entries)), [entry[0] for entry in entries], fontsize=8)
        axes.invert_yaxis()
        axes.set_title(title, fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize=8, loc="center right")
    panels[-1].set_xlabel("time for each element in ns")
    panels[-1].margins(x=0.06)
    return figure


BENCHMARK = Benchmark(
    "dropout",
    "How long does a dropout mask take, and a layer's two passes?",
    cases,
    draw,
    columns=[("ns/element", lambda one, case: f"{nanoseconds(one, case):.3g}")],
)

"""What does each override of the NumPy backend gain over its plain definition in backends/base.py?

Not shown in the times: the overrides leave no temporary arrays behind either.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.figures import ratios
from benchmarks.harness import Case, Contestant
from benchmarks.results import Benchmark
from minidrop.backends import Backend, Scaling, Workspace, get_backend
from minidrop.streams import Stream


def arguments() -> dict[str, tuple[Any, ...]]:
    """What a step of 784-800-800-10 at batch 100 gives each operation, in float32."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60_000, 784)).astype(np.uint8)
    logits = rng.standard_normal((100, 10)).astype(np.float32)
    weights = rng.standard_normal((800, 784)).astype(np.float32)
    workspace = Workspace(np, reuse=True)
    batch, x = rng.permutation(60_000)[:100], np.empty((100, 784), np.float32)
    return {
        "keep_mask": (Stream(0), 0, 32768, np.empty((100, 800), bool)),
        "softmax_cross_entropy": (logits, rng.integers(0, 10, 100), 0.01, np.empty_like(logits), workspace),
        "limit_row_norms": (weights, 1e3, workspace),
        "gather": (images, batch, Scaling(255.0), x, workspace),
    }


SIZES = {
    "keep_mask": "100 x 800",
    "softmax_cross_entropy": "100 x 10",
    "limit_row_norms": "800 x 784, none over the limit",
    "gather": "100 of 60,000 x 784 bytes",
}


def work(operation: str, plain: bool) -> Callable[[], Any]:
    """One call of an operation: its plain definition, or the NumPy backend's own."""
    backend, given = get_backend("numpy"), arguments()[operation]
    function = getattr(Backend if plain else type(backend), operation)
    return lambda: function(backend, *given)


def cases(quick: bool) -> list[Case]:
    """One case an operation."""
    make = "benchmarks.operations:work"
    return [
        Case(
            f"{name} on {size}",
            {"operation": name},
            [
                Contestant("override", make, {"operation": name, "plain": False}),
                Contestant("definition", make, {"operation": name, "plain": True}),
            ],
        )
        for name, size in SIZES.items()
    ]


BENCHMARK = Benchmark(
    "operations", "What does each override of the NumPy backend gain?", cases, lambda result: ratios(result)
)

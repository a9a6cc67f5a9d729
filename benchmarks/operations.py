"""What does each override of a backend on the host gain over its plain definition in backends/base.py?

Not shown in the times: the overrides leave no temporary arrays behind either.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.figures import ratios
from benchmarks.harness import Case, Contestant
from benchmarks.results import Benchmark
from minidrop.backends import Backend, Draw, Scaling, Workspace, get_backend
from minidrop.streams import Stream


def arguments() -> dict[str, tuple[Any, ...]]:
    """What a step of 784-800-800-10 at batch 100 gives each operation, in float32."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60_000, 784)).astype(np.uint8)
    logits = rng.standard_normal((100, 10)).astype(np.float32)
    hidden, bias = rng.random((100, 800), np.float32), np.zeros(800, np.float32)
    weights = rng.standard_normal((800, 784)).astype(np.float32)
    workspace = Workspace(np, reuse=True)
    batch, x = rng.permutation(60_000)[:100], np.empty((100, 784), np.float32)
    return {
        "keep_mask": (Draw(Stream(0), 0, 32768, np.empty((100, 800), bool)),),
        "bias_relu_dropout": (hidden, bias, rng.random((100, 800)) < 0.5, 1.0, workspace),
        "relu_dropout_backward": (hidden.copy(), hidden, 1.0, workspace),
        "softmax_cross_entropy": (logits, rng.integers(0, 10, 100), 0.01, np.empty_like(logits), workspace),
        "column_sums": (hidden, bias.copy()),
        "limit_row_norms": (weights, 1e3, workspace),
        "gather": (images, batch, Scaling(255.0), x, workspace),
    }


SIZES = {
    "keep_mask": "100 x 800",
    "bias_relu_dropout": "100 x 800",
    "relu_dropout_backward": "100 x 800",
    "softmax_cross_entropy": "100 x 10",
    "column_sums": "100 x 800",
    "limit_row_norms": "800 x 784, none over the limit",
    "gather": "100 of 60,000 x 784 bytes",
}


def work(operation: str, backend: str | None) -> Callable[[], Any]:
    """One call of an operation: of a backend's own, or of its plain definition."""
    owner, given = get_backend(backend or "numpy"), arguments()[operation]
    function = getattr(type(owner) if backend else Backend, operation)
    return lambda: function(owner, *given)


def cases(quick: bool) -> list[Case]:
    """One case an operation."""
    make = "benchmarks.operations:work"
    return [
        Case(
            f"{name} on {size}",
            {"operation": name},
            [
                Contestant("NumPy", make, {"operation": name, "backend": "numpy"}),
                Contestant("Numba", make, {"operation": name, "backend": "numba"}, ("numba",)),
                Contestant("definition", make, {"operation": name, "backend": None}),
            ],
        )
        for name, size in list(SIZES.items())[: 1 if quick else None]
    ]


BENCHMARK = Benchmark(
    "operations",
    "What does each override of a backend on the host gain?",
    cases,
    lambda result: ratios(result),
)

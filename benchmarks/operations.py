"""What does each override of the NumPy backend gain over its plain definition?

    python -m benchmarks.operations

Override and definition run in turn, in rounds; a row gives the median time of both and the median of the
rounds' ratios. Not shown here: the overrides also leave no temporary arrays behind.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from minidrop.backends import Backend, Scaling, Workspace, get_backend
from minidrop.streams import Stream

ROUNDS = 30
CALLS = 20


def cases() -> dict[str, tuple[str, tuple[Any, ...]]]:
    """Each operation with the arguments that a step of 784-800-800-10 at batch 100 gives it, in float32."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60_000, 784)).astype(np.uint8)
    logits = rng.standard_normal((100, 10)).astype(np.float32)
    labels = rng.integers(0, 10, 100)
    weights = rng.standard_normal((800, 784)).astype(np.float32)
    workspace = Workspace(np, reuse=True)
    return {
        "keep_mask": ("100 x 800", (Stream(0), 0, 32768, np.empty((100, 800), bool))),
        "softmax_cross_entropy": ("100 x 10", (logits, labels, 0.01, np.empty_like(logits), workspace)),
        "limit_row_norms": ("800 x 784, none over the limit", (weights, 1e3, workspace)),
        "gather": (
            "100 of 60,000 x 784 bytes",
            (
                images,
                rng.permutation(60_000)[:100],
                Scaling(255.0),
                np.empty((100, 784), np.float32),
                workspace,
            ),
        ),
    }


def time(function: Callable[..., Any], *arguments: Any) -> float:
    """Microseconds a call."""
    since = perf_counter()
    for _ in range(CALLS):
        function(*arguments)
    return (perf_counter() - since) / CALLS * 1e6


def main() -> None:
    """Measure and print the table."""
    backend = get_backend("numpy")
    table = Table("operation", "on", "definition [µs]", "override [µs]", "ratio")
    for name, (what, arguments) in cases().items():
        override, definition = getattr(backend, name), getattr(Backend, name)
        pairs = [
            (time(definition, backend, *arguments), time(override, *arguments)) for _ in range(ROUNDS + 1)
        ][1:]
        plain, fast = (median(column) for column in zip(*pairs, strict=True))
        ratio = median(fast / plain for plain, fast in pairs)
        table.add_row(name, what, f"{plain:.1f}", f"{fast:.1f}", f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()

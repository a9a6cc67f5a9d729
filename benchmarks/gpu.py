"""What does a GPU make of it? All that needs one, by one command: `python -m benchmarks gpu`.

    steps      784-800-800-10 at batch 100, and document 001's 8192-wide net at batch 1000, beside PyTorch and
               JAX on the same GPU with the same update and max-norm; a repetition is a hundred steps
    roofline   the steps' matrix products alone: what is above them is the step's own
    updates    of 100 million weights, beside a copy in the same memory
    batch      document 002's loop against batch, for which it prints 76.0

Every contestant's block lies between two synchronisations, and no loss is read inside. A step has 2 B n m
operations for each product of a batch of B and a matrix n x m: one forwards and two backwards, without the
first layer's dx. The bytes of an update are those of `benchmarks.optimizers`.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

from benchmarks import batch_vs_loop
from benchmarks.contestants.on_gpu import STEPS
from benchmarks.figures import ratios
from benchmarks.harness import Case, Contestant, typical
from benchmarks.optimizers import FORMULAS
from benchmarks.results import Benchmark
from benchmarks.train_step import TOLERANCE
from benchmarks.workload import Workload

#: what `python -m benchmarks gpu` says where there is none
NEEDS = "benchmarks: gpu needs a CUDA device and CuPy; see README, Backends and random numbers"
WIDE = Workload((784, 8192, 8192, 8192, 10), 1000, (0.2, 0.5, 0.5, 0.5))
#: JAX takes three quarters of the memory at its start, and rounds to TF32, unless it is told not to
ENVIRONMENT = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "JAX_DEFAULT_MATMUL_PRECISION": "highest",
    "TORCH_LOGS": "-dynamo",
}
WEIGHTS = 100_000_000
UPDATES = ("momentum", "hinton", "adam")


def one(label: str, make: str, note: str, arguments: Mapping[str, Any], *needs: str) -> Contestant:
    """A contestant on the GPU."""
    make = f"benchmarks.contestants.on_gpu:{make}"
    return Contestant(label, make, arguments, needs, note, ENVIRONMENT, gpu=needs[0])


def steps(work: Workload) -> list[Contestant]:
    """Who does a hundred steps of a workload; the reference first."""
    fields = asdict(work)
    return [
        one("minidrop", "minidrop", "CUDA graphs", fields, "cupy"),
        one("minidrop, gradients", "minidrop", "written", fields | {"gradients": True}, "cupy"),
        one("minidrop, launches", "minidrop", "one by one", fields | {"captured": False}, "cupy"),
        one("matrix products alone", "products", "the floor", fields, "cupy"),
        one("PyTorch", "torch", "eager, fused SGD", fields | {"way": "eager"}, "torch"),
        one("PyTorch, CUDA graph", "torch", "fused SGD", fields | {"way": "graph"}, "torch"),
        one("torch.compile", "torch", "reduce-overhead", fields | {"way": "compiled"}, "torch"),
        one("JAX", "jax", "one jit", fields, "jax"),
    ]


def operations(work: Workload) -> int:
    """Floating-point operations of a step's products.

    >>> operations(Workload((2, 3, 4), 1, (0.5, 0.5)))
    96
    """
    sizes = [n * m for n, m in pairwise(work.sizes)]
    return 2 * work.batch * (3 * sum(sizes) - sizes[0])


def updates(name: str, n: int) -> list[Contestant]:
    """An update of n weights by minidrop and PyTorch, and a copy."""
    own, copied = {"name": name, "n": n}, {"name": name, "n": n, "who": "copy"}
    return [
        one("minidrop", "update", FORMULAS[name].note, own | {"who": "minidrop"}, "cupy"),
        one("PyTorch, fused", "update", "no max-norm", own | {"who": "torch"}, "torch"),
        one("copy", "update", "of as many", copied, "cupy"),
    ]


def cases(quick: bool) -> list[Case]:
    """Steps, updates, and the document's batch against loop on the GPU."""
    works = [Workload((20, 32, 32, 10), 16)] if quick else [Workload(), WIDE]
    n = 100_000 if quick else WEIGHTS
    found = [
        Case(
            f"{'-'.join(map(str, work.sizes))}, batch {work.batch}",
            {"steps": STEPS, "operations": STEPS * operations(work)},
            steps(work),
            values=5,
            tolerance=TOLERANCE,
            rounds=0 if work.batch < 1000 else 5,
        )
        for work in works
    ]
    for name in UPDATES:
        parameters = {"weights": n, "bytes": FORMULAS[name].bytes}
        found.append(Case(f"{name}, {n:,} weights", parameters, updates(name, n), share=0.5))
    for case in batch_vs_loop.cases(quick):
        on_gpu = [contestant for contestant in case.contestants if contestant.gpu]
        found += [replace(case, contestants=on_gpu)] if on_gpu else []
    return found


def rate(contestant: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """Operations of a step's products or bytes of an update, a second."""
    parameters, seconds = case["parameters"], typical(contestant)
    if "operations" in parameters:
        return f"{parameters['operations'] / seconds / 1e12:.1f} TFLOP/s"
    if "weights" in parameters:
        each = 8 if contestant["label"] == "copy" else parameters["bytes"]
        return f"{parameters['weights'] * each / seconds / 1e9:.0f} GB/s"
    return batch_vs_loop.against_batch(contestant, case)


BENCHMARK = Benchmark("gpu", "What does a GPU make of it?", cases, ratios, [("rate or loop/batch", rate)])

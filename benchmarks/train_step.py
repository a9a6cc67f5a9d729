"""How long does a training step take, beside the same step elsewhere and beside its matrix products alone?

A step is forward pass with dropout, loss, backward pass, SGD with momentum, and max-norm on the hidden units,
on one batch in memory: see `benchmarks.workload`. Those that do less say so in their note.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.figures import panels
from benchmarks.harness import NUMBA, Case, Contestant, ratio
from benchmarks.results import Benchmark
from benchmarks.workload import Workload

FLOOR = "matrix products alone"

#: How many losses must agree, each after one update more, and how well. float32 has eps 1.2e-7. A logit is a
#: sum of at most 2,000 products, whose roundings, added in two orders, differ by less than 2 √2000 eps = 1e-5
#: of it. In the mean over the batch most of that cancels: up to 2.3e-7 was seen. A learning rate that is 1 %
#: off moves one of the losses by 1.2e-4 or more, and so do another momentum, mask or limit.
STEPS, TOLERANCE = 5, 1e-5

#: by module: JAX on the processor alone; PyTorch without the warning that profiler hooks are not compiled
ENVIRONMENT = {"jax": {"JAX_PLATFORMS": "cpu"}, "torch": {"TORCH_LOGS": "-dynamo"}, "numba": NUMBA}

#: (width of the hidden layers, batch)
SIZES = ((800, 32), (800, 100), (800, 1000), (1200, 100), (2000, 100), (2000, 1000))


def contestants(workload: Workload) -> list[Contestant]:
    """Who does the step of a workload; the reference first."""
    fields = asdict(workload)

    def one(label: str, module: str, note: str, *needs: str, **options: Any) -> Contestant:
        make = f"benchmarks.contestants.{module}:step"
        return Contestant(label, make, fields | options, needs, note, ENVIRONMENT.get("".join(needs), {}))

    return [
        one("minidrop", "minidrop_step", "", fused=True),
        one("minidrop, numba", "minidrop_step", "compiled loops", "numba", fused=True),
        one("minidrop, unfused", "minidrop_step", "layer by layer", fused=False),
        one(FLOOR, "products", "in NumPy: the floor"),
        one("PyTorch, fused SGD", "torch_step", "eager, renorm_", "torch", optimizer="fused"),
        one("PyTorch, SGD", "torch_step", "eager, renorm_", "torch"),
        one("PyTorch, no max-norm", "torch_step", "fused SGD", "torch", optimizer="fused", max_norm=False),
        one("torch.compile", "torch_step", "SGD, renorm_", "torch", compiled=True),
        one("JAX", "jax_step", "one jit, threefry", "jax"),
        one("thinc", "thinc_step", "no momentum or max-norm", "thinc"),
        one("scikit-learn", "sklearn_step", "no dropout or max-norm", "sklearn"),
    ]


def cases(quick: bool) -> list[Case]:
    """The paper's net, wider ones, and batches of three sizes."""
    if quick:
        workloads = [Workload((20, 32, 32, 10), batch=16)]
    else:
        workloads = [Workload((784, width, width, 10), batch) for width, batch in SIZES]
    return [
        Case(
            f"width {work.sizes[1]}, batch {work.batch}",
            {"width": work.sizes[1], "batch": work.batch},
            contestants(work),
            STEPS,
            TOLERANCE,
        )
        for work in workloads
    ]


def times_floor(contestant: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """The time as a multiple of that of the matrix products."""
    floor = next(one for one in case["contestants"] if one["label"] == FLOOR)
    return f"{ratio(contestant, floor):.2f}"


BENCHMARK = Benchmark(
    "train_step",
    "How long does a training step take, beside the same step elsewhere?",
    cases,
    lambda result: panels(result, floor=FLOOR),
    [("× floor", times_floor)],
)

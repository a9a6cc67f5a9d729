"""What does a GPU make of it? All that needs one, by one command: `python -m benchmarks gpu`.

    steps      784-800-800-10 at batch 100, and document 001's 8192-wide net at batch 1000, beside PyTorch and
               JAX on the same GPU with the same update and max-norm; a repetition is a hundred steps, or ten
    floors     the steps' matrix products alone, and copies of as many bytes as a step must move
    replicas   1 to 64 seeds of 784-800-800-10 in the same steps
    epoch      784-800-800-10 on 60,000 images that lie on the device, and the test on 10,000
    updates    of 100 million weights, beside a copy in the same memory
    batch      document 002's loop against batch, for which it prints 76.0

Every contestant's block lies between two synchronisations, and no loss is read inside. A step of a net with n
weights, n₁ of them in its first matrix, at batch B has

    operations   2 B n for each product of all weights: forwards, for dW and, but for n₁, for dx
    bytes        each weight read forwards, for dx and by the update, and written; each velocity read and
                 written; each hidden unit's output written, read twice and its gradient written, read
                 twice; the inputs read twice

and cannot take less than the longer of the two floors, which is what the column "of the roof" refers to.
The bytes of an update are those of `benchmarks.optimizers`.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure

from benchmarks import batch_vs_loop, epoch
from benchmarks.figures import ratios
from benchmarks.harness import Case, Contestant, typical
from benchmarks.optimizers import FORMULAS
from benchmarks.optimizers import TOLERANCE as LENGTHS
from benchmarks.results import Benchmark
from benchmarks.train_step import TOLERANCE
from benchmarks.workload import Workload

#: what `python -m benchmarks gpu` says where there is none
NEEDS = "benchmarks: gpu needs a CUDA device and CuPy; see README, Backends and random numbers"
WIDE = Workload((784, 8192, 8192, 8192, 10), 1000, (0.2, 0.5, 0.5, 0.5))
SMALL = Workload((20, 32, 32, 10), 16)
#: JAX takes three quarters of the memory at its start, and rounds to TF32, unless it is told not to
ENVIRONMENT = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "JAX_DEFAULT_MATMUL_PRECISION": "highest",
    "TORCH_LOGS": "-dynamo",
}
WEIGHTS = 100_000_000
UPDATES = ("momentum", "hinton", "adam")
REPLICAS = (1, 2, 4, 8, 16, 32, 64)
PRODUCTS, COPIES = "matrix products alone", "copies of its bytes"


def one(label: str, make: str, note: str, arguments: Mapping[str, Any], needs: str = "cupy") -> Contestant:
    """A contestant on the GPU, whose maker is in a module of the contestants."""
    return Contestant(
        label, f"benchmarks.contestants.{make}", arguments, (needs,), note, ENVIRONMENT, gpu=needs
    )


def operations(work: Workload) -> int:
    """Floating-point operations of a step's products.

    >>> operations(Workload((2, 3, 4), 1, (0.5, 0.5)))
    96
    """
    sizes = [n * m for n, m in pairwise(work.sizes)]
    return 2 * work.batch * (3 * sum(sizes) - sizes[0])


def moved(work: Workload) -> int:
    """Bytes that a step must read or write, if no cache keeps them; biases and logits do not count.

    >>> moved(Workload((2, 3, 4), 1, (0.5, 0.5)))  # 4 * (6 * 18 - 6 + 6 * 3 + 2 * 2)
    496
    """
    sizes = [n * m for n, m in pairwise(work.sizes)]
    hidden, inputs = sum(work.sizes[1:-1]), work.sizes[0]
    numbers = 6 * sum(sizes) - sizes[0] + work.batch * (6 * hidden + 2 * inputs)
    return numbers * (8 if work.dtype == "float64" else 4)


def steps(work: Workload, count: int) -> Case:
    """Who does steps of a workload, the reference first, and the floors."""
    fields, bytes_ = asdict(work) | {"steps": count}, moved(work)
    return Case(
        f"{'-'.join(map(str, work.sizes))}, batch {work.batch}",
        {"steps": count, "operations": operations(work), "bytes": bytes_},
        [
            one("minidrop", "on_gpu:minidrop", "CUDA graphs", fields),
            one("minidrop, gradients", "on_gpu:minidrop", "written", fields | {"gradients": True}),
            one("minidrop, launches", "on_gpu:minidrop", "one by one", fields | {"captured": False}),
            one(PRODUCTS, "on_gpu:products", "a floor", fields),
            one(COPIES, "on_gpu:copies", "a floor", fields | {"moved": bytes_}),
            one("PyTorch", "torch_on_gpu:steps", "eager, fused SGD", fields | {"way": "eager"}, "torch"),
            one("PyTorch, CUDA graph", "torch_on_gpu:steps", "fused SGD", fields | {"way": "graph"}, "torch"),
            one(
                "torch.compile",
                "torch_on_gpu:steps",
                "reduce-overhead",
                fields | {"way": "compiled"},
                "torch",
            ),
            one("JAX", "jax_on_gpu:steps", "one jit", fields, "jax"),
        ],
        values=5,
        tolerance=TOLERANCE,
        rounds=7,
    )


def replicas(work: Workload, several: tuple[int, ...], count: int) -> Case:
    """Steps of several replicas at once; ratios are multiples of the time of one."""
    fields = asdict(work) | {"steps": count}
    return Case(
        f"replicas of {'-'.join(map(str, work.sizes))}, batch {work.batch}",
        {"steps": count},
        [
            one(f"{k} at once", "on_gpu:replicas", f"seeds 0 to {k - 1}", fields | {"several": k})
            for k in several
        ],
        values=5,
        tolerance=TOLERANCE,
        rounds=7,
    )


def epochs(work: Workload, counts: Mapping[str, int]) -> Case:
    """An epoch with its test."""
    fields = {**asdict(work), **counts}
    return Case(
        epoch.EPOCH.format(**counts),
        {**counts},
        [
            one("minidrop", "on_gpu:epoch", "fit, evaluate", fields),
            one("PyTorch", "torch_on_gpu:epoch", "eager, index_select", fields, "torch"),
        ],
        values=2,
        tolerance=TOLERANCE,
        rounds=5,
    )


def updates(name: str, n: int) -> Case:
    """An update of n weights by minidrop and PyTorch, and a copy."""
    formula, fields = FORMULAS[name], {"name": name, "n": n}
    return Case(
        f"{name}, {n:,} weights",
        {"weights": n, "bytes": formula.bytes},
        [
            one("minidrop", "updates_on_gpu:by_minidrop", formula.note, fields),
            one("PyTorch, fused", "updates_on_gpu:by_torch", formula.note, fields, "torch"),
            one("copy", "updates_on_gpu:copy", "of as many numbers", {"n": n}),
        ],
        values=3,
        tolerance=LENGTHS,
        share=0.5,
        rounds=7,
    )


def cases(quick: bool) -> list[Case]:
    """Steps, replicas, an epoch, updates, and the document's batch against loop."""
    found = [steps(SMALL, 20)] if quick else [steps(Workload(), 100), steps(WIDE, 10)]
    net, several = (SMALL, REPLICAS[:2]) if quick else (Workload(), REPLICAS)
    found += [replicas(net, several, 10 if quick else 100)]
    found += [epochs(net, {"train": 2000, "test": 1000} if quick else epoch.IMAGES)]
    found += [updates(name, 100_000 if quick else WEIGHTS) for name in UPDATES]
    for case in batch_vs_loop.cases(quick):
        on_gpu = [contestant for contestant in case.contestants if contestant.gpu]
        found += [replace(case, contestants=on_gpu)] if on_gpu else []
    return found


def rate(contestant: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """Operations of a step's products, or bytes of copies and updates, a second."""
    parameters, seconds = case["parameters"], typical(contestant)
    if "operations" in parameters:
        each = seconds / parameters["steps"]
        if contestant["label"] == COPIES:
            return f"{parameters['bytes'] / each / 1e9:.0f} GB/s"
        return f"{parameters['operations'] / each / 1e12:.1f} TFLOP/s"
    if "weights" in parameters:
        each = 8 if contestant["label"] == "copy" else parameters["bytes"]
        return f"{parameters['weights'] * each / seconds / 1e9:.0f} GB/s"
    return batch_vs_loop.against_batch(contestant, case)


def of_the_roof(contestant: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """The longer floor as a share of a step's time; for an update a copy's rate."""
    everyone = {each["label"]: typical(each) for each in case["contestants"]}
    if "weights" in case["parameters"] and "copy" in everyone:
        each = 8 if contestant["label"] == "copy" else case["parameters"]["bytes"]
        return f"{everyone['copy'] / 8 * each / typical(contestant):.0%}"
    floors = [everyone[label] for label in (PRODUCTS, COPIES) if label in everyone]
    return f"{max(floors) / typical(contestant):.0%}" if floors else ""


def graph_nodes(contestant: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """How many nodes of a CUDA graph a step has."""
    found = contestant.get("facts", {}).get("nodes")
    return "" if found is None else f"{found:.1f}"


def draw(result: Mapping[str, Any]) -> Figure:
    """The times as multiples of the reference's; the document's loops, which are far beyond, have none."""
    return ratios({"cases": [case for case in result["cases"] if "pass" not in case["parameters"]]})


BENCHMARK = Benchmark(
    "gpu",
    "What does a GPU make of it?",
    cases,
    draw,
    [("rate or loop/batch", rate), ("of the roof", of_the_roof), ("nodes", graph_nodes)],
)

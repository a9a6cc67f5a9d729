"""What README's section on speed shows of each result: tables in Markdown, and what they mean."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks import batch_vs_loop, epoch, gpu, optimizers, scaling, train_step
from benchmarks.harness import ratio, typical
from benchmarks.results import duration, size

#: what is shown of each benchmark, by the labels of its contestants or cases
STEPS = ("width 800, batch 100", "width 2000, batch 1000")
STEPPERS = (
    "minidrop",
    "minidrop, numba",
    train_step.FLOOR,
    "PyTorch, fused SGD",
    "torch.compile",
    "JAX",
    "thinc",
    "scikit-learn",
)
OPTIMIZERS = ("sgd", "momentum", "hinton", "adam")
MASKS = ("minidrop", "NumPy PCG64 float32", "NumPy PCG64 raw", "PyTorch bernoulli_", "PyTorch rand")

Result = Mapping[str, Any]
One = Mapping[str, Any]
Row = Sequence[str]


def table(titles: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown, numbers to the right.

    >>> print(table(["who", "time"], [["minidrop", "1 ms"]]))
    | who | time |
    |---|--:|
    | minidrop | 1 ms |
    """
    lines = [titles, *rows]
    texts = [f"| {' | '.join(line)} |" for line in lines]
    texts.insert(1, f"|---{'|--:' * (len(titles) - 1)}|")
    return "\n".join(texts)


def labelled(case: Mapping[str, Any]) -> dict[str, One]:
    """The contestants of a case by label."""
    return {one["label"]: one for one in case["contestants"]}


def named(one: One) -> str:
    """A contestant's label, with its note."""
    return f"{one['label']} ({one['note']})" if one["note"] else one["label"]


def chosen(cases: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The cases of these names; if there are none, as in quick mode, the first one."""
    return [case for name in names for case in cases if case["name"] == name] or list(cases[:1])


def steps(result: Result) -> str:
    """The training step."""
    cases = chosen(result["cases"], STEPS)
    everyone = [labelled(case) for case in cases]
    titles = ["a training step"]
    for case in cases:
        titles += [case["name"], "× minidrop", "× products"]
    rows = []
    for label in STEPPERS:
        if all(label not in contestants for contestants in everyone):
            continue
        row = [next(named(contestants[label]) for contestants in everyone if label in contestants)]
        for contestants in everyone:
            if label not in contestants:
                row += ["", "", ""]
                continue
            one = contestants[label]
            row.append(duration(typical(one)))
            row += [f"{ratio(one, contestants[other]):.2f}" for other in ("minidrop", train_step.FLOOR)]
        rows.append(row)
    return "\n\n".join(
        [
            "A step is forward pass with dropout, loss, backward pass, momentum and max-norm on one batch, "
            "for a net with two hidden layers, in float32; who does less says so. The products are its "
            "matrix products alone, which no step beats but by noise.",
            table(titles, rows),
        ]
    )


def memory(result: Result) -> str:
    """Time and memory of the largest net."""
    case = result["cases"][-1]
    reference, *others = (one for one in case["contestants"] if one["label"] != train_step.FLOOR)
    rows = []
    for one in (reference, *others):
        row = [one["label"], duration(typical(one)), f"{ratio(one, reference):.2f}"]
        rows.append([*row, scaling.memory_column(one, case), scaling.times_weights(one, case)])
    weights = size(case["parameters"]["weight_bytes"])
    return "\n\n".join(
        [
            f"By plain SGD, as in document 001; the weights and biases are {weights}. Memory is the most "
            "that a process holds while it makes steps, less what it held before it made the net.",
            table([case["name"], "a step", f"× {reference['label']}", "memory", "× weights"], rows),
        ]
    )


def epochs(result: Result) -> str:
    """The epoch, and the start of a process."""
    whole, *starts = result["cases"]
    reference = whole["contestants"][0]
    rows = []
    for one in whole["contestants"]:
        shares = [epoch.column(part)(one, whole) for part in epoch.PARTS]
        row = [one["label"], duration(typical(one)), f"{ratio(one, reference):.2f}"]
        rows.append([*row, *shares])
    titles = [whole["name"], "time", f"× {reference['label']}", *epoch.PARTS.values()]
    lines = [table(titles, rows)]
    for case in starts:
        labels = [one["label"] for one in case["contestants"]]
        times = [duration(typical(one)) for one in case["contestants"]]
        lines.append(table([f"a process, {case['name']}", *labels], [["time", *times]]))
    return "\n\n".join(lines)


def loops(result: Result) -> str:
    """The loop over examples against the batch."""
    return "\n\n".join(
        [
            "Document 002 compares a loop over the examples with one matrix product for all, and publishes "
            f"the ratios of a CPU and a GPU for {batch_vs_loop.PUBLISHED_BATCH} examples.",
            loop_table(result["cases"][0], batch_vs_loop.PUBLISHED),
        ]
    )


def loop_table(case: Mapping[str, Any], wanted: Iterable[str] = ()) -> str:
    """The ratios of the libraries that were measured, and of those that are wanted in any case."""
    rows = []
    for library in batch_vs_loop.LIBRARIES:
        value = batch_vs_loop.loop_ratio(library, case)
        if value is not None or library in wanted:
            measured = "not measured" if value is None else f"{value:.1f}"
            rows.append([library, measured, f"{batch_vs_loop.PUBLISHED.get(library, '')}"])
    return table([f"loop / batch, {case['name']}", "here", "document 002"], rows)


def updates(result: Result) -> str:
    """The optimizers."""
    rows = []
    for case in result["cases"]:
        if case["parameters"]["optimizer"] not in OPTIMIZERS:
            continue
        everyone = labelled(case)
        ours = [everyone[label] for label in ("minidrop step()", optimizers.NUMBA_STEP) if label in everyone]
        theirs = [one for one in case["contestants"] if one["label"].startswith("PyTorch")]
        best = min(theirs, key=typical, default=None)
        row = [case["name"].partition(",")[0], *(duration(typical(one)) for one in ours)]
        row += [""] * (2 - len(ours))
        row += ["", ""] if best is None else [duration(typical(best)), f"{ratio(best, ours[-1]):.2f}"]
        rows.append([*row, f"{optimizers.rate(ours[-1], case) / optimizers.copying(case):.0%}"])
    weights = result["cases"][0]["parameters"]["weights"]
    ways = ("minidrop", "numba", "PyTorch's fastest", "× numba", "of a copy")
    titles = [f"an update of {weights:,} weights", *ways]
    return "\n\n".join(
        [
            "An update of weights whose gradients are there. The last column is the numba backend's bytes a "
            "second as a share of those of `numpy.copyto` on one thread.",
            table(titles, rows),
        ]
    )


def masks(result: Result) -> str:
    """The dropout masks."""
    case = next(case for case in result["cases"] if case["parameters"]["work"] == "mask")
    everyone = labelled(case)
    reference = case["contestants"][0]
    drawn = [everyone[label] for label in MASKS if label in everyone]
    rows = [[named(one), f"{1 / typical(one):,.0f}", f"{ratio(one, reference):.2f}"] for one in drawn]
    return table([case["name"], "masks a second", f"× {reference['label']}'s time"], rows)


def on_gpu(result: Result) -> str:
    """What only a GPU can show: steps, replicas, epoch, updates."""
    parts = [
        "On a GPU no loss is read while steps are timed. The roof is the longer one of the two floors, the "
        "step's matrix products and copies of the bytes that it must move; for an update it is a copy."
    ]
    looped = [case for case in result["cases"] if "pass" in case["parameters"]]
    for case in result["cases"]:
        if case in looped:
            continue
        reference = case["contestants"][0]
        rows = [
            [
                named(one),
                duration(typical(one) / case["parameters"].get("steps", 1)),
                f"{ratio(one, reference):.2f}",
                gpu.of_the_roof(one, case),
                gpu.graph_nodes(one, case),
            ]
            for one in case["contestants"]
        ]
        parts.append(table([case["name"], "time", f"× {reference['label']}", "of the roof", "nodes"], rows))
    parts += [loop_table(case) for case in looped[:1]]
    return "\n\n".join(parts)


#: the parts in their order, by the name of their benchmark
PARTS: dict[str, Callable[[Result], str]] = {
    "train_step": steps,
    "scaling": memory,
    "epoch": epochs,
    "batch_vs_loop": loops,
    "optimizers": updates,
    "dropout": masks,
    "gpu": on_gpu,
}

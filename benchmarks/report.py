"""README's section on speed, from the results: `python -m benchmarks report`.

Each part of it shows what its result has; a result that is not there is left out with its part.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks import batch_vs_loop, epoch, optimizers, scaling, train_step
from benchmarks.harness import ratio, typical
from benchmarks.results import RESULTS, duration, size

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
#: the section that the one on speed follows
BEFORE = "\n## Proof\n"

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

#: versions that are named, by the name in the provenance
NAMES = {
    "python": "Python",
    "numpy": "NumPy",
    "blas": "BLAS",
    "torch": "PyTorch",
    "jax": "JAX",
    "thinc": "thinc",
    "scikit-learn": "scikit-learn",
    "cupy-cuda12x": "CuPy",
    "cupy-cuda13x": "CuPy",
}

Result = Mapping[str, Any]
One = Mapping[str, Any]
Row = Sequence[str]


def write(folder: Path = RESULTS, readme: Path = README) -> list[Path]:
    """Put the section for the results in `folder` into `readme`; the paths that were written."""
    text = readme.read_text(encoding="utf-8")
    section = f"{BEGIN}\n{render(folder)}{END}"
    if BEGIN in text:
        before, _, rest = text.partition(BEGIN)
        changed = before + section + rest.partition(END)[2]
    else:
        start = text.find("\n## ", text.index(BEFORE) + 1)
        start = len(text) if start < 0 else start
        changed = f"{text[:start]}\n## Speed\n\n{section}\n{text[start:]}"
    readme.write_text(changed, encoding="utf-8")
    return [readme]


def section(text: str) -> str:
    """What a README has between the two comments; nothing if it has no such section."""
    return text.partition(f"{BEGIN}\n")[2].partition(END)[0]


def render(folder: Path) -> str:
    """The section in Markdown; nothing without results."""
    results = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in found(folder)
    }
    if not results:
        return ""
    parts = [provenance(results), *(PARTS[name](results[name]) for name in PARTS if name in results)]
    pictures = [f"![{results[name]['question']}](benchmarks/results/{name}.png)" for name in results]
    parts += ["<details><summary>Figures</summary>", *pictures, "</details>"]
    return "".join(f"{wrapped(paragraph)}\n\n" for part in parts for paragraph in part.split("\n\n"))


def wrapped(paragraph: str) -> str:
    """A paragraph in lines as long as README's, unless it is a table, a picture or HTML."""
    return paragraph if paragraph[0] in "|!<" else "\n".join(wrap(paragraph, 112, break_on_hyphens=False))


def found(folder: Path) -> list[str]:
    """The benchmarks that have a result, those with a part first and in the order of the parts."""
    names = sorted(path.stem for path in folder.glob("*.json"))
    return [*(name for name in PARTS if name in names), *(name for name in names if name not in PARTS)]


def provenance(results: Mapping[str, Result]) -> str:
    """How everything was measured, on what, and the command that repeats it."""
    machines: dict[str, dict[str, str]] = {}
    for name, result in results.items():
        machines.setdefault(machine(result), {})[name] = result["provenance"]["commit"]
    lines = [
        "Each contestant has a process of its own, and they take turns in interleaved rounds. Shown are "
        "medians of the times, and of each round's ratios. Contestants that compute the same must agree on "
        "it before they are timed. `python -m benchmarks all` repeats this with what the extra `bench` "
        "installs, `python -m benchmarks report` writes this section from [the results](benchmarks/results), "
        "which hold the spreads, too."
    ]
    for text, commits in machines.items():
        names = "" if len(machines) == 1 else f"{', '.join(f'`{name}`' for name in commits)}: "
        line = f"{names}{text}, at commit {' or '.join(dict.fromkeys(commits.values()))}."
        lines.append(line[0].upper() + line[1:])
    return "\n\n".join(lines)


def machine(result: Result) -> str:
    """What a result was measured on."""
    known = result["provenance"]
    count = known["processors_used"]
    used = f"{count} {'processor' if count == 1 else 'processors'} ({known['processor']})"
    versions = ", ".join(f"{title} {known[name]}" for name, title in NAMES.items() if name in known)
    how = "run in quick mode, which measures nothing," if result["quick"] else "measured"
    return f"{how} on {used} with {versions}"


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
            "matrix products alone.",
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
    case = result["cases"][0]
    rows = []
    for library in batch_vs_loop.LIBRARIES:
        value = batch_vs_loop.loop_ratio(library, case)
        published = batch_vs_loop.PUBLISHED.get(library)
        if value is not None or published is not None:
            measured = "not measured" if value is None else f"{value:.1f}"
            rows.append([library, measured, "" if published is None else f"{published}"])
    return "\n\n".join(
        [
            "Document 002 compares a loop over the examples with one matrix product for all, and publishes "
            f"the ratios of a CPU and a GPU for {batch_vs_loop.PUBLISHED_BATCH} examples.",
            table([f"loop / batch, {case['name']}", "here", "document 002"], rows),
        ]
    )


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


#: the parts in their order, by the name of their benchmark
PARTS: dict[str, Callable[[Result], str]] = {
    "train_step": steps,
    "scaling": memory,
    "epoch": epochs,
    "batch_vs_loop": loops,
    "optimizers": updates,
    "dropout": masks,
}

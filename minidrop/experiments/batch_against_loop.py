"""002-1: how much faster is one matrix product for a whole batch than a loop over its examples?

Document 002 multiplies 2500 examples of 1000 numbers by 1500x1000 weights, as one product and as 2500
products of the matrix with a vector, takes medians of 51, and prints that the loop takes 5.1 times as long on
its CPU and 76.0 times on its GPU. Here the same in NumPy, or in CuPy with `--backend cupy`, for other batch
sizes too, and for the backward pass by hand, dW = dyᵀ x and dx = dy W, whose loop adds up the dy_k x_kᵀ.

Times are the machine's and are not judged. That both ways give the same numbers, but for rounding, is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from minidrop.backends import get_backend
from minidrop.experiments.batch_passes import measure
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, label, legend_below, panels
from minidrop.experiments.verdicts import Claim, Quantity

#: the ratios that the document prints, by our backend and by the processor
PUBLISHED = {"numpy": ("CPU", 5.1), "cupy": ("GPU", 76.0)}
PUBLISHED_BATCH = 2500


def jobs(plan: Plan) -> Sequence[Job]:
    """One, so that nothing else of the experiment runs while it measures."""
    small = {"inputs": 100, "units": 150, "batches": [1, 10, 50]}
    full = {"inputs": 1000, "units": 1500, "batches": [1, 10, 100, 500, PUBLISHED_BATCH]}
    sizes = small if plan.quick else full
    return [
        Job(
            "timings",
            measure,
            {"backend": get_backend(plan.backend).name, "repetitions": plan.pick(51, 3), **sizes},
        )
    ]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """The published ratio beside ours, which is not judged, and that both ways agree, which is."""
    found = results["timings"]
    rows = found["rows"]
    processor, published = PUBLISHED.get(found["backend"], PUBLISHED["numpy"])
    findings = Findings()
    for row in (rows[-2], rows[-1]):
        batch, loop = row["seconds"]
        name = f"time of the loop / time of the batch, {row['pass']}, {row['batch']} examples, {processor}"
        same = row["pass"] == "forward" and row["batch"] == PUBLISHED_BATCH
        findings.quantities.append(
            Quantity(name, [loop / batch], published if same else None, digits=1, judge=False)
        )
    for name, what in (("forward", "y = x Wᵀ"), ("backward", "dW = dyᵀ x and dx = dy W")):
        apart = max(row["apart"] for row in rows if row["pass"] == name)
        findings.claims.append(
            Claim(
                f"{name.capitalize()} pass: batch and loop give the same numbers but for rounding, {what}",
                apart <= 1,
                f"at most {apart:.1g} of what two orders of summing may differ by",
                exact=True,
            )
        )
    columns = (
        "pass",
        "examples",
        "batch, ms",
        "loop, ms",
        "ratio",
        "batch, GFLOP/s",
        "loop, GFLOP/s",
        "medians of",
    )
    findings.tables.append(
        Table(
            f"{found['inputs']} inputs, {found['units']} units, float32",
            columns,
            [
                (
                    row["pass"],
                    row["batch"],
                    *(1e3 * s for s in row["seconds"]),
                    row["seconds"][1] / row["seconds"][0],
                    *(operations(found, row) / s / 1e9 for s in row["seconds"]),
                    "{} and {}".format(*row["times"]),
                )
                for row in rows
            ],
        )
    )
    findings.drawings.append(draw(found, processor))
    findings.notes.append(
        "A product of the matrix with one example reads every weight for two operations, so the loop waits "
        "for memory; one product for all uses a weight for many examples while it is in a cache. Times are "
        "those of this machine with whatever else ran on it: they are shown, never judged."
    )
    shown = rows[-1]["times"]
    text = f"Backward it is the median of {shown[0]} products and {shown[1]} loops; the document takes 51."
    if found["backend"] != "cupy":
        text += f" On its GPU it has {PUBLISHED['cupy'][1]:g}, which is not run here: `--backend cupy` does."
    findings.notes.append(text)
    return findings


def operations(found: Result, row: Mapping[str, Any]) -> float:
    """Multiplications and additions of a pass: one product for each weight and example, or two."""
    products = 1 if row["pass"] == "forward" else 2
    return 2.0 * products * int(row["batch"]) * int(found["inputs"]) * int(found["units"])


def draw(found: Result, processor: str) -> Drawing:
    """The ratio, and the operations a second behind it, by batch size."""
    figure, ((ratio, rate),) = panels(1, 2)
    for colour, name in zip(COLOURS, ("forward", "backward"), strict=False):
        rows = [row for row in found["rows"] if row["pass"] == name]
        batches = [row["batch"] for row in rows]
        ratio.plot(
            batches, [row["seconds"][1] / row["seconds"][0] for row in rows], "o-", color=colour, label=name
        )
        for i, way, line in ((0, "batch", "o-"), (1, "loop", "s--")):
            speeds = [operations(found, row) / row["seconds"][i] / 1e9 for row in rows]
            rate.plot(batches, speeds, line, color=colour, label=f"{name}, {way}")
    for marker, (where, value) in zip("*P", PUBLISHED.values(), strict=True):
        mine = where == processor
        style: dict[str, Any] = {"color": "black" if mine else "0.6", "markersize": 12 if mine else 8}
        ratio.plot(
            PUBLISHED_BATCH,
            value,
            marker=marker,
            linestyle="none",
            label=f"published, forward, {where}",
            **style,
        )
    for axes in (ratio, rate):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
    label(ratio, "examples in the batch", "time of the loop / time of the batch", "Ratio", legend=False)
    label(rate, "examples in the batch", "operations, GFLOP/s", "Speed", legend=False)
    legend_below(figure)
    caption = f"A loop over the examples against one product, {processor}, {found['inputs']} inputs."
    return Drawing("ratio", caption, figure)


EXPERIMENT = Experiment(
    name="batch-against-loop",
    ids=("002-1",),
    question="How much faster is one matrix product than a loop over the batch, forward and backward?",
    data="none",
    duration="3 min",
    jobs=jobs,
    analyse=analyse,
)

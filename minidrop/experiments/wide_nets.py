"""001-2, 001-3, 001-4: document 001's trainings, with dropout and without, twice each.

784-8192-8192-8192-10 ReLU, a dropout that keeps .9, .8, .8 behind the hidden layers, plain SGD .1, batches of
1000, 50,000 examples of MNIST to train on and 10,000 to validate, ten epochs. Published: after the last one
.928 and .931 are right and the validation loss is .245 and .240; without dropout, once, .947 and .190.

The slip that matters for reading the numbers: `print_stats` takes (train_loss, test_loss) and is called with
(validation_loss, batch_loss), so "train/loss" is the validation loss and "test/loss" that of the last
training batch, before its update and with its mask. The accuracies are not swapped. The other one, a mask
that the whole batch shares, is run as published; `where_dropout_wins` has it beside the paper's reading, a
mask for each example, at an eighth of the width.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean
from typing import Any

from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, label, panels
from minidrop.experiments.notebook import LOOP, NETS, logarithmic, runs_of, tidy
from minidrop.experiments.notebook_loop import compare_by_hand, machinery
from minidrop.experiments.notebook_split import differences, judging, on_the_last
from minidrop.experiments.training_job import training
from minidrop.experiments.verdicts import Quantity, gaps, ordered, signed

#: what each run prints by epoch: validation accuracy, validation loss ("train/loss"), last batch's loss and
#: accuracy ("test/loss" and "train/acc")
PUBLISHED: dict[str, tuple[Sequence[tuple[float, float, float, float]], ...]] = {
    "feature": (
        (
            *((0.691, 2.01263, 2.044, 0.679), (0.762, 0.83665, 0.904, 0.772), (0.838, 0.55770, 0.578, 0.786)),
            *((0.864, 0.44125, 0.537, 0.816), (0.908, 0.33095, 0.380, 0.891), (0.911, 0.31102, 0.327, 0.906)),
            *((0.922, 0.27874, 0.292, 0.920), (0.922, 0.27533, 0.270, 0.927), (0.931, 0.24899, 0.270, 0.920)),
            (0.928, 0.24539, 0.222, 0.936),
        ),
        (
            *((0.655, 2.00463, 2.033, 0.609), (0.812, 0.79174, 0.884, 0.785), (0.857, 0.51021, 0.540, 0.834)),
            *((0.857, 0.44558, 0.509, 0.856), (0.904, 0.33933, 0.403, 0.888), (0.916, 0.30778, 0.321, 0.903)),
            *((0.921, 0.28514, 0.312, 0.922), (0.917, 0.28560, 0.289, 0.912), (0.923, 0.26086, 0.300, 0.926)),
            (0.931, 0.24044, 0.260, 0.923),
        ),
    ),
    "none": (
        (
            *((0.829, 0.89401, 0.945, 0.798), (0.885, 0.44121, 0.511, 0.858), (0.908, 0.33113, 0.347, 0.907)),
            *((0.900, 0.33722, 0.386, 0.903), (0.926, 0.26231, 0.266, 0.922), (0.931, 0.24377, 0.269, 0.922)),
            *((0.936, 0.22360, 0.223, 0.931), (0.942, 0.21045, 0.235, 0.929), (0.945, 0.19661, 0.191, 0.949)),
            (0.947, 0.19025, 0.199, 0.947),
        ),
    ),
}
#: the four numbers: what they are, and what the document calls them
COLUMNS = (
    ("validation accuracy", "test/acc"),
    ("validation loss", "train/loss"),
    ("last batch's loss", "test/loss"),
    ("last batch's accuracy", "train/acc"),
)
FOLLOW = "minidrop.experiments.notebook:last_batch"


def config(plan: Plan) -> dict[str, Any]:
    """The document's setting, or a small one on the digits."""
    quick = {
        "dataset": "digits",
        "layers": "64-128-128-128-10",
        "validation": 237,
        "batch_size": 20,
        "lr": 0.5,
    }
    full = {"dataset": "mnist", "layers": "784-8192-8192-8192-10", "validation": 10000, "batch_size": 1000}
    return LOOP | (quick if plan.quick else full) | {"epochs": plan.pick(10, 3)}


def jobs(plan: Plan) -> Sequence[Job]:
    """Small nets beside the document's loop by hand and on its examples, then each published net twice."""
    full = config(plan)
    by_hand = [Job(f"by-hand-{net}", compare_by_hand, {"net": net}) for net in NETS]
    narrow = judging(plan, full | NETS["none"][1] | plan.pick({"layers": "784-512-512-512-10"}, {}))
    wide = [
        tidy(training(plan, f"{net}-seed-{seed}", full | NETS[net][1] | {"seed": seed}, follow=FOLLOW))
        for seed in plan.seeds_of(2)
        for net in PUBLISHED
    ]
    return [*by_hand, *narrow, *wide]


def columns_of(result: Result) -> list[list[float]]:
    """The four numbers of `COLUMNS` by epoch; NaN where a kill came before the batch was asked for."""
    lost = {"loss": float("nan"), "accuracy": float("nan")}
    told = [answer or lost for answer in result["followed"]]
    return [
        [1 - row["validation_error"] / 100 for row in result["history"]],
        [row["validation_loss"] for row in result["history"]],
        [answer["loss"] for answer in told],
        [answer["accuracy"] for answer in told],
    ]


#: when a published number agrees with ours
TWO_RUNS = (
    "within the 95 % interval of our mean, widened by two standard deviations of one run, as the "
    "document's two runs have them"
)


def spread(column: int) -> float:
    """By how much a published run may be off: two standard deviations of one run.

    The document's two runs with dropout differ by √2 of that deviation; the last five epochs are taken.
    """
    first, second = PUBLISHED["feature"]
    squares = [(one[column] - two[column]) ** 2 for one, two in zip(first[-5:], second[-5:], strict=True)]
    return 2 * sqrt(fmean(squares) / 2)


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """The last epoch beside what is published, every epoch in tables, and what must hold of the machinery."""
    epochs = config(plan)["epochs"]
    by_seed = {
        net: {seed: columns_of(run) for seed, run in runs_of(results, net, epochs).items()}
        for net in PUBLISHED
    }
    runs = {net: list(found.values()) for net, found in by_seed.items()}
    findings = Findings(claims=machinery(results))
    for net, documents in PUBLISHED.items():
        for i, rows in enumerate(documents):
            for column in (0, 1):
                ours = [run[column][-1] for run in runs[net]]
                which = f"published run {i + 1}" if len(documents) > 1 else "published run"
                name = f"{COLUMNS[column][0]}, {NETS[net][0]}, {which}"
                if ours:
                    published = rows[-1][column]
                    findings.quantities.append(
                        Quantity(name, ours, published, tolerance=spread(column), because=TWO_RUNS)
                    )
    if apart := differences(results):
        if not plan.quick:  # of other nets and data nothing is published
            findings.tables.append(on_the_last(findings.quantities, apart))
        findings.quantities += apart.values()
    plain, dropped = ({seed: run[0][-1] for seed, run in by_seed[net].items()} for net in ("none", "feature"))
    if gained := gaps(plain, dropped):
        text = f"After ten epochs no dropout is better than {NETS['feature'][0]}"
        findings.claims.append(ordered(text, gained, detail=f"without minus with: {signed(gained)}"))
    findings.tables += [table(net, runs[net]) for net in PUBLISHED if runs[net]]
    findings.drawings += draw(runs)
    diverged = [key for key, result in results.items() if result.get("diverged")]
    findings.notes += [f"{key} diverged: {results[key]['diverged']}" for key in diverged]
    findings.notes.append(
        'What the document heads "test/loss" and "train/loss" is exchanged: the columns here say what they '
        "are. Its validation examples are the last 10,000 of MNIST's training images, ours are drawn by the "
        "seed: narrower nets tell the difference. It counts epochs from 0, these tables from 1."
    )
    return findings


def table(net: str, runs: Sequence[Sequence[Sequence[float]]]) -> Table:
    """Every epoch, under what the numbers are and what the document calls them."""
    columns = ["epoch"]
    for name, printed in COLUMNS:
        columns += [name, f'published as "{printed}"']
    rows = []
    for epoch in range(len(runs[0][0])):
        row: list[Any] = [epoch + 1]
        for i in range(len(COLUMNS)):
            row.append(fmean(run[i][epoch] for run in runs))
            row.append(", ".join(f"{run[epoch][i]:.3f}" for run in PUBLISHED[net]))
        rows.append(row)
    return Table(f"By epoch, {NETS[net][0]}", columns, rows)


def draw(runs: Mapping[str, Sequence[Sequence[Sequence[float]]]]) -> list[Drawing]:
    """Accuracy by epoch, and the two losses side by side."""
    accuracy, (single,) = panels()
    losses, (pair,) = panels(1, 2, sharey=True)
    for axes, i in ((single[0], 0), (pair[0], 1), (pair[1], 2)):
        for colour, marker, (net, documents) in zip(COLOURS, "oD", PUBLISHED.items(), strict=False):
            name = NETS[net][0]
            for n, run in enumerate(runs[net]):  # two runs have no band worth the name
                axes.plot(range(1, len(run[i]) + 1), run[i], color=colour, label=None if n else name)
            for n, rows in enumerate(documents):
                values = [row[i] for row in rows]
                style = {"color": colour, "marker": marker, "markersize": 5, "alpha": 0.6}
                text = None if n else f"published, {name.removeprefix('dropout, ')}"
                axes.plot(range(1, 11), values, linestyle="none", label=text, **style)
    label(single[0], "epoch", "validation accuracy", epochs=True)
    for axes, i in zip(pair, (1, 2), strict=True):
        name, printed = COLUMNS[i]
        logarithmic(axes)
        y = "mean cross-entropy" if i == 1 else ""
        label(axes, "epoch", y, f'{name.capitalize()}, printed as "{printed}"', epochs=True, legend=i == 1)
    return [
        Drawing(
            "accuracy", "Validation accuracy by epoch; lines are our runs, markers the document's.", accuracy
        ),
        Drawing("losses", "The two losses, which the document prints under each other's heading.", losses),
    ]


EXPERIMENT = Experiment(
    name="wide-nets",
    ids=("001-2", "001-3", "001-4"),
    question="Three layers of 8192 units, ten epochs of plain SGD: does dropout help?",
    data="mnist",
    duration="3 h",
    jobs=jobs,
    analyse=analyse,
)

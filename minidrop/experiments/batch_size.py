"""002-3: how the size of a mini-batch and the loss are connected, on MNIST.

Document 002 shows a figure, "Mini-batch size and loss reduction (MNIST)", without its network, learning rate
or numbers. Ours is a 784-200-10 net trained by plain SGD with batches of several sizes B.

Its formulas sum the gradient over the batch, w ← w - η Σ_b ∇ℓ_b, while its code averages. The two are one
algorithm when the mean's learning rate is B η, and both readings are run:

    mean    learning rate 0.1 for every B: a large batch makes as long steps, but few in an epoch
    sum     η = 0.001, that is 0.001 B for the mean: a large batch steps as far as its examples one by one,
            until that is too far

The loss is that of the test set after each epoch: the training loss of an epoch is a mean over its steps, and
would be a larger one for the fewer and earlier steps of a large batch.

Its ad hoc loop over batches is `for b in range(N, bs)`, which is empty; `range(0, N, bs)` is meant.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from minidrop.building import build_model, build_optimizer
from minidrop.config import resolve
from minidrop.data.datasets import load
from minidrop.experiments.batch_size_figures import Runs, draw_curves, draw_sizes, losses_of
from minidrop.experiments.experiment import Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.training_job import PLAIN, curve, training
from minidrop.experiments.verdicts import Claim, Quantity, gaps, ordered
from minidrop.intervals import interval
from minidrop.losses import SoftmaxCrossEntropy
from minidrop.training import TrainStep

READINGS = ("mean", "sum")
TITLES = {"mean": "mean: learning rate 0.1", "sum": "sum: learning rate 0.001 B"}
#: the batch for which both readings are the same run, which is done once
COMMON = 100
RATE = 0.1
#: of the job that compares the two readings step by step
BATCH, STEPS = 20, 10


def sizes(plan: Plan) -> Sequence[int]:
    """The batch sizes; MNIST's 60,000 examples are whole batches of each."""
    chosen: Sequence[int] = plan.pick((10, 30, 100, 300, 1000, 3000), (25, 75, 100, 400))
    return chosen


def rate_of(reading: str, size: int) -> float:
    """The learning rate of the mean gradient that stands for a reading."""
    return RATE if reading == "mean" else RATE / COMMON * size


def key_of(reading: str, size: int, seed: int) -> str:
    """The job of a run."""
    return f"{'both' if size == COMMON else reading}-{size}-seed-{seed}"


def jobs(plan: Plan) -> Sequence[Job]:
    """The proof that the sum is B times the mean, and a training for each size, reading and seed."""
    shared = {
        "dataset": plan.pick("mnist", "digits"),
        "layers": plan.pick("784-200-10", "64-32-10"),
        "epochs": plan.pick(10, 3),
        "drop_last": True,  # so that all sums are of B examples
        "threads": 1,  # the nets are small, and jobs run beside each other
    }
    runs = {
        key_of(reading, size, seed): shared | {"batch_size": size, "lr": rate_of(reading, size), "seed": seed}
        for seed in plan.seeds_of(3)
        for size in reversed(sizes(plan))
        for reading in READINGS
    }
    return [
        Job("sum-and-mean", sum_and_mean, {"backend": plan.backend}),
        *(training(plan, key, config) for key, config in runs.items()),
    ]


def sum_and_mean(folder: Path, backend: str | None) -> Result:
    """Train two small nets on the same digits in float64: by the mean with B η, and by the sum with η."""
    digits = load("digits")
    gradients, weights = [], []
    for reading in READINGS:
        rate = RATE if reading == "mean" else RATE / BATCH
        about = {"layers": "64-32-10", "dtype": "float64", "backend": backend, "lr": rate}
        config = resolve(PLAIN | about, preset="digits")
        model = build_model(config)
        parameters, home = model.parameters(), model.backend
        loss = SoftmaxCrossEntropy(reading, backend=home)
        step = TrainStep(model, loss, build_optimizer(config, model), gradients=True)
        for t in range(STEPS):
            rows = slice(t * BATCH, (t + 1) * BATCH)
            inputs = digits.train.inputs[rows] / digits.maximum
            step(home.asarray(inputs), home.asarray(digits.train.labels[rows]))
            if t == 0:
                gradients.append(home.to_host(parameters.flat_gradients).copy())
        weights.append(home.to_host(parameters.flat_values).copy())
    mean, total = gradients
    return {
        "ratio": float(total @ mean / (mean @ mean)),
        "apart": float(abs(weights[0] - weights[1]).max()),
    }


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """The two readings, the curves, and what the size does to the loss after an epoch and in the end."""
    findings = Findings()
    if "sum-and-mean" in results:
        found = results["sum-and-mean"]
        name = f"sum of a batch's {BATCH} gradients over their mean, which is B"
        findings.quantities.append(Quantity(name, [found["ratio"]], BATCH, "exact", 1e-9, digits=9))
        name = f"weights apart after {STEPS} steps by the sum with η and by the mean with B η, which is 0"
        findings.quantities.append(Quantity(name, [found["apart"]], 0.0, "exact", 1e-12, digits=12))
    runs: Runs = {}
    for reading in READINGS:
        for size in sizes(plan):
            keys = {seed: key_of(reading, size, seed) for seed in plan.seeds_of(3)}
            histories = {s: results[k] for s, k in keys.items() if k in results and results[k]["history"]}
            if histories:
                runs[reading, size] = histories
    examples = plan.pick(60000, 1437)
    rows = []
    for (reading, size), by_seed in runs.items():
        found_runs = list(by_seed.values())
        first, last = losses_of(found_runs)
        diverged = sum(run["diverged"] is not None for run in found_runs)
        updates, published = found_runs[0]["history"][0]["step"], len(range(examples, size))
        numbers = [interval(first)[0], interval(last)[0]]
        rows.append([reading, size, rate_of(reading, size), updates, published, *numbers, diverged])
        for epoch, losses in (("epoch 1", first), ("the last epoch", last)):
            findings.quantities.append(Quantity(f"{reading}, B = {size}: test loss after {epoch}", losses))
    columns = (
        *("gradient", "B", "learning rate of the mean", "updates an epoch", "published loop's updates"),
        *("loss after epoch 1", "loss after the last epoch", "runs that diverged"),
    )
    findings.tables.append(Table("Test loss by size of the batch", columns, rows))
    findings.claims += _claims(plan, runs)
    equal, claims = by_updates(runs)
    findings.tables.append(equal)
    findings.claims += claims
    findings.drawings += [draw_curves(runs, examples, TITLES), draw_sizes(runs)]
    return findings


def _claims(plan: Plan, runs: Runs) -> list[Claim]:
    """What the first epoch shows."""
    by_seed = {key: after(found, 0) for key, found in runs.items()}
    first = {key: interval(list(losses.values()))[0] for key, losses in by_seed.items()}
    mean = [size for size in sizes(plan) if ("mean", size) in first]
    small = [first["sum", size] for size in sizes(plan) if ("sum", size) in first and size <= 3 * COMMON]
    if len(mean) < 2 or len(small) < 2:
        return []
    shown = ", ".join(f"{first['mean', size]:.3f}" for size in mean)
    text = "at one learning rate of the mean, an epoch of smaller batches lowers the loss more"
    grown = [gaps(by_seed["mean", large], by_seed["mean", small]) for small, large in pairwise(mean)]
    claims = [ordered(text, *grown, detail=f"losses from small to large: {shown}")]
    alike = max(small) / min(small)
    text = f"with the sum, sizes up to {3 * COMMON} lower the loss alike, within a tenth"
    claims.append(Claim(text, alike < 1.1, f"largest over smallest loss after epoch 1: {alike:.2f}"))
    return claims


def by_updates(runs: Runs) -> tuple[Table, list[Claim]]:
    """With the mean: as many updates of larger batches, which have seen more examples."""
    rows, pairs = [], []
    for (reading, size), found in runs.items():
        epochs = max(len(run["history"]) for run in found.values())
        less = size // epochs
        if reading == "mean" and epochs > 1 and size % epochs == 0 and (reading, less) in runs:
            updates = max(run["history"][-1]["step"] for run in found.values())
            small, large = after(runs[reading, less], 0), after(found, epochs - 1)
            text = f"with the mean, {updates:g} updates of {size} lower the loss more than of {less}"
            pairs.append((text, gaps(small, large)))
            means = [interval(list(losses.values()))[0] for losses in (large, small)]
            rows.append((updates, size, means[0], less, means[1]))
    claims = [ordered(text, found, among=len(pairs)) for text, found in pairs]
    columns = ("updates", "B", "test loss", "smaller B", "its test loss")
    return Table("At equal numbers of updates, with the mean", columns, rows), claims


def after(runs: Mapping[int, Result], epoch: int) -> dict[int, float]:
    """The test loss after an epoch, from 0, by the seeds that came so far."""
    curves = {seed: curve(run, "test_loss") for seed, run in runs.items()}
    return {seed: losses[epoch] for seed, losses in curves.items() if len(losses) > epoch}


EXPERIMENT = Experiment(
    name="batch-size",
    ids=("002-3",),
    question="How does the size of a mini-batch change how far the loss falls, by samples and by updates?",
    data="mnist",
    duration="10 min",
    jobs=jobs,
    analyse=analyse,
)

"""What the experiments of document 003 share: its network, its two evaluations, and numbers beside its own.

The document trains on pixels in [0, 1]. The validation accuracy that it plots is of such pixels too, the
final accuracy that it prints of pixels in 0 ... 255. Here every network is evaluated on both. Its validation
set is Fashion-MNIST's test set, and nothing is chosen by it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import TYPE_CHECKING, Any

from minidrop.backends import Scaling
from minidrop.building import build_model
from minidrop.config import TrainConfig
from minidrop.data.batches import Batches
from minidrop.experiments.experiment import Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, band, label, legend_below, longest, panels
from minidrop.experiments.training_job import curve, last, training
from minidrop.experiments.verdicts import Quantity, gaps
from minidrop.intervals import interval
from minidrop.layers import Layer, Sequential
from minidrop.runs import EVALUATION_BATCH, Run
from minidrop.training import evaluate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: how a published number is drawn
CROSS: Mapping[str, Any] = {
    "marker": "X",
    "markersize": 8,
    "markeredgecolor": "black",
    "linestyle": "none",
    "zorder": 5,
}
#: the two evaluations
PIXELS = ("scaled", "raw")
#: when a published number, which is of a single run, agrees with ours
ONE_MORE_RUN = (
    "in the interval of 95 % of single runs like ours, wider than that of our mean, up to its rounding"
)
#: accuracies on raw pixels after ten epochs in one setting: single runs that the document shows
PRINTED = {
    "dropout 0.5": {"fashion-dropout": 0.780, "dropout-epochs": 0.798, "dropout-and-decay": 0.809},
    "no dropout": {"dropout-epochs": 0.814, "dropout-and-decay": 0.797},
}


def setting(plan: Plan, **changes: Any) -> dict[str, Any]:
    """The document's network and training; on the embedded digits a small one.

    >>> setting(Plan())["layers"], setting(Plan(quick=True), dropout="0")["layers"]
    ('784-256-256-10', '64-32-32-10')
    """
    full = {"dataset": "fashion-mnist", "layers": "784-256-256-10", "batch_size": 256, "epochs": 10}
    quick = {"dataset": "digits", "layers": "64-32-32-10", "batch_size": 32, "epochs": 3, "threads": 1}
    return dict(plan.pick(full, quick)) | {"dropout": "0,0.5,0.5", "lr": 0.1} | changes


def from_scratch(plan: Plan) -> dict[str, Any]:
    """How the document's networks that are written from scratch begin: N(0, 0.01²), biases 0.

    The others begin as PyTorch's do. The small network of a quick run would not leave so small weights.

    >>> from_scratch(Plan())
    {'init': 'normal:0.01', 'bias_init': 'constant:0'}
    """
    return {"init": plan.pick("normal:0.01", "normal:0.2"), "bias_init": "constant:0"}


def raw_accuracy(run: Run) -> float:
    """The test accuracy on pixels as they are stored, 0 ... 255, although training saw them in [0, 1]."""
    test = run.dataset.test
    size = min(EVALUATION_BATCH, len(test))
    dtype, backend = run.config.dtype, run.model.backend
    batches = Batches(test, size, shuffle=False, scaling=Scaling(), dtype=dtype, backend=backend)
    result = evaluate(run.model, batches)
    return 1 - result.errors / result.size


def fashion_job(plan: Plan, key: str, changes: Mapping[str, Any], **arguments: Any) -> Job:
    """A training by `setting`, whose raw accuracy is asked for after each epoch and at the end."""
    asked = dict.fromkeys(("probe", "follow"), "minidrop.experiments.fashion:raw_accuracy")
    return training(plan, key, setting(plan, **changes), **(asked | arguments))


def rebuilt(config: TrainConfig, change: Callable[[Sequence[Layer]], Iterable[Layer]]) -> Sequential:
    """The ordinary model with some layers replaced; what keeps its place keeps its initial weights and masks.

    >>> import minidrop as md
    >>> config = TrainConfig(layers="64-32-10", dropout="0,0.5")
    >>> rebuilt(config, lambda layers: [*layers[:2], md.Tanh(), *layers[3:]])[2]
    Tanh()
    """
    return Sequential(*change(build_model(config).layers), seed=config.seed)


# -- what came of it -------------------------------------------------------------------------------------


def accuracy(result: Result, pixels: str) -> float:
    """The final accuracy on "scaled" or "raw" pixels; NaN where it was not asked for.

    The probe has the one on raw pixels: as a number, or as "raw" among others.
    """
    if pixels == "scaled":
        return 1 - last(result, "test_error") / 100
    probe = result["probe"]
    found = probe.get("raw") if isinstance(probe, dict) else probe
    return nan if found is None else float(found)


def accuracies(result: Result, pixels: str) -> list[float]:
    """The accuracy after each epoch; NaN where nobody asked, as after a kill."""
    if pixels == "scaled":
        return [1 - error / 100 for error in curve(result, "test_error")]
    return [nan if value is None else float(value) for value in result["followed"]]


@dataclass(frozen=True)
class Variant:
    """One configuration with its runs.

    Args:
        name: what it is called.
        runs: the results that came to their end, by seed.
        published: the published accuracy on "scaled" and on "raw" pixels, where there is one.
        decimals: of the one on raw pixels; that on scaled pixels is read off a figure, to three.
    """

    name: str
    runs: Mapping[int, Result]
    published: Mapping[str, float]
    decimals: int = 3

    def final(self, pixels: str) -> list[float]:
        """The final accuracy of each run."""
        return [accuracy(run, pixels) for run in self.runs.values()]

    def quantities(self) -> list[Quantity]:
        """Both final accuracies, beside what is published; none if no run came to its end."""
        decimals = {"raw": self.decimals}
        return [
            beside_a_run(
                f"{self.name}: accuracy, {pixels} pixels",
                self.final(pixels),
                self.published.get(pixels),
                decimals.get(pixels, 3),
            )
            for pixels in PIXELS
            if self.runs
        ]


def variant(
    results: Mapping[str, Result],
    seeds: Iterable[int],
    key: str,
    name: str,
    *,
    scaled: float | None = None,
    raw: float | None = None,
    decimals: int = 3,
) -> Variant:
    """The runs "KEY-seed-0", ... that are there and did not diverge, with the two published accuracies."""
    found = {seed: results[f"{key}-seed-{seed}"] for seed in seeds if f"{key}-seed-{seed}" in results}
    published = {pixels: value for pixels, value in zip(PIXELS, (scaled, raw), strict=True) if value}
    return Variant(
        name, {seed: run for seed, run in found.items() if not run["diverged"]}, published, decimals
    )


def beside_a_run(name: str, ours: Sequence[float], published: float | None, decimals: int = 3) -> Quantity:
    """Our runs beside a single published one, which may be off by its rounding and by the spread of a run.

    The interval of our mean, t s / √n, becomes that of one more run, t s √(1 + 1/n), and half of the last of
    the published decimals is added. One run of ours alone cannot say how runs spread, and is not judged.

    >>> beside_a_run("accuracy", [0.84, 0.85, 0.86], 0.80).verdict, interval([0.84, 0.85, 0.86])[1] < 0.03
    ('agrees', True)
    """
    if published is None or len(ours) < 2:
        return Quantity(name, ours, published, digits=3, judge=False)
    tolerance = of_one_more(ours) + 0.5 * 10.0**-decimals
    return Quantity(name, ours, published, tolerance=tolerance, digits=3, because=ONE_MORE_RUN)


def of_one_more(ours: Sequence[float]) -> float:
    """By how much the interval of one more run is wider than that of the mean."""
    return interval(ours)[1] * (sqrt(len(ours) + 1) - 1)


def paired(one: Variant, other: Variant, pixels: str = "scaled") -> list[float]:
    """The accuracy of `one` minus that of `other`, seed by seed: the same initial weights and shuffles."""
    ours, theirs = ({seed: accuracy(run, pixels) for seed, run in each.runs.items()} for each in (one, other))
    return gaps(ours, theirs)


def nearest(variants: Sequence[Variant]) -> Table:
    """After which epoch our mean accuracy is nearest to each published one, which is of the last epoch."""
    rows = []
    for one in variants:
        for pixels, published in one.published.items():
            curves = [accuracies(run, pixels) for run in one.runs.values()]
            means = [interval(values)[0] for values in zip(*curves, strict=False)]  # until the shortest ends
            away = [(abs(mean - published), i) for i, mean in enumerate(means) if isfinite(mean)]
            if away:
                _, i = min(away)
                rows.append((one.name, pixels, published, i + 1, means[i], len(means)))
    columns = ("network", "pixels", "published", "nearest after epoch", "our mean there", "of epochs")
    return Table("After which epoch our mean is nearest to the published accuracy", columns, rows)


def printed_runs() -> str:
    """A note on `PRINTED`, for the experiments that stand beside one of its numbers.

    >>> print(printed_runs())
    The document shows several single runs of one setting, on raw pixels after ten epochs: dropout
    0.5 has 0.78, 0.798 and 0.809, no dropout has 0.814 and 0.797. One setting differs by that much.
    """
    runs = {name: [f"{value:g}" for value in found.values()] for name, found in PRINTED.items()}
    told = [f"{name} has {', '.join(most)} and {last}" for name, (*most, last) in runs.items()]
    return (
        "The document shows several single runs of one setting, on raw pixels after ten epochs: "
        f"{', '.join(told)}. One setting differs by that much."
    )


def diverged(results: Mapping[str, Result]) -> list[str]:
    """A note on the runs that did not come to their end, if there are any."""
    found = [key for key, result in results.items() if result.get("diverged")]
    return [f"Diverged: {', '.join(found)}."] if found else []


def accuracy_curves(
    variants: Sequence[Variant], raw_by_epoch: Mapping[str, Mapping[int, float]] | None = None
) -> "Figure":
    """Accuracy by epoch on scaled and on raw pixels, and published numbers as crosses.

    Args:
        variants: one curve each; what is published of them is of the last epoch.
        raw_by_epoch: what is published on raw pixels by the name of the variant and by epoch.
    """
    figure, axes = panels(1, 2)
    for axis, pixels in zip(axes.flat, PIXELS, strict=True):
        for one, colour in zip(variants, COLOURS, strict=False):
            curves = longest([accuracies(run, pixels) for run in one.runs.values()])
            epochs = len(curves[0]) if curves else 0
            if epochs:
                band(axis, range(1, epochs + 1), curves, one.name, colour)
            crosses = {epochs: one.published[pixels]} if epochs and pixels in one.published else {}
            if raw_by_epoch and pixels == "raw":
                crosses |= {
                    epoch: value for epoch, value in raw_by_epoch[one.name].items() if epoch <= epochs
                }
            _crosses(axis, list(crosses), list(crosses.values()), colour)
        label(axis, "epoch", f"test accuracy, {pixels} pixels", legend=False, epochs=True)
    legend_with_crosses(figure, 3)
    return figure


def accuracy_points(variants: Sequence[Variant], x: str) -> "Figure":
    """The final accuracy of every run with mean and interval, and published numbers as crosses."""
    figure, axes = panels(1, 2)
    for axis, pixels in zip(axes.flat, PIXELS, strict=True):
        for i, (one, colour) in enumerate(zip(variants, COLOURS, strict=False)):
            final = one.final(pixels)
            if final:
                axis.plot([i] * len(final), final, "o", color=colour, alpha=0.4, markersize=4)
            if len(final) > 1:
                mean, half = interval(final)
                axis.errorbar(i + 0.15, mean, half, fmt="_", color=colour, capsize=4)
            if pixels in one.published:
                _crosses(axis, [i - 0.15], [one.published[pixels]], colour)
        axis.set_xticks(range(len(variants)), [one.name.removeprefix("dropout ") for one in variants])
        axis.margins(x=0.15)
        label(axis, x, f"test accuracy, {pixels} pixels", legend=False)
    legend_with_crosses(figure)
    return figure


def _crosses(axis: Any, x: Sequence[float], y: Sequence[float], colour: str) -> None:
    if x:
        axis.plot(x, y, color=colour, **CROSS)


def legend_with_crosses(figure: "Figure", columns: int = 4) -> None:
    """One legend below all panels, which names the published numbers' marker, too."""
    (cross,) = figure.axes[0].plot([], [], color="#999999", **CROSS)
    legend_below(figure, columns, published=cross)

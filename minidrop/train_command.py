"""The command `minidrop train`: an option for each key of the configuration, and the summary at the end."""

import functools
import inspect
import time
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from minidrop.errors import Interrupted


def train(
    *,
    config: str | None,
    preset: str | None,
    run: str | None,
    resume: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a network and write a run folder with its weights, history and curves.

    Replicas are several seeds, trained at once, each with a folder of its own
    in the run folder, whose history and summary are means with spreads.

    Without options it learns the embedded digits. A preset changes the
    defaults, a configuration file the preset, and options change both.
    """
    from minidrop.config import resolve
    from minidrop.progress import make_reporter, silent
    from minidrop.replicas import make_run, open_run

    explicit = {key: value for key, value in options.items() if value is not None}
    if run == "":
        raise typer.BadParameter("--run needs a folder")
    if resume:
        if run is None or config is not None or preset is not None:
            raise typer.BadParameter(
                "--resume needs --run FOLDER, whose configuration it takes: leave out --config and --preset"
            )
        this = open_run(run, explicit)
    else:
        chosen = resolve(explicit, file=config, preset=preset)
        this = make_run(chosen, None if run is None else Path(run))
        this.create()
    seeds = seeds_of(this)
    first, each = seeds[0], f" in each of {len(seeds)} replicas" if len(seeds) > 1 else ""
    size = first.model.parameters().size
    typer.echo(f"{first.dataset.name}: {first.train.size} training examples, {size:,} parameters{each}")
    typer.echo(f"run folder: {this.folder}")
    if first.config.tf32 and first.model.backend.values_are_cheap:
        typer.echo(f"--tf32 is for GPUs: products of the {first.model.backend.name} backend stay as they are")
    if first.model.backend.name == "numba" and not quiet:
        typer.echo("Numba compiles its loops in the first step, for some seconds unless it has them already")
    since = time.perf_counter()
    try:
        outcome = this.execute(resume=resume, reporter=silent if quiet else make_reporter())
    except (Interrupted, KeyboardInterrupt) as error:
        what = str(error) or "interrupted"
        raise Interrupted(f"{what}; go on with: minidrop train --resume --run {this.folder}") from None
    _summary(this, time.perf_counter() - since, resume)
    tell_results("test", seeds, [result for _, result in each_of(outcome)])


def _summary(this: Any, seconds: float, resume: bool) -> None:
    from rich.table import Table

    states = [run.state for run in seeds_of(this)]
    rows = [state.history[state.best_epoch - 1] for state in states]

    def all_of(numbers: Iterable[Any]) -> str:
        return ", ".join(map(str, dict.fromkeys(numbers)))

    table = Table("", "", show_header=False, title="summary", title_justify="left")
    table.add_row("epochs", f"{states[0].epoch}, weights of epoch {all_of(s.best_epoch for s in states)}")
    table.add_row("steps", f"{all_of(row['step'] for row in rows)} to that epoch")
    table.add_row(
        "time", f"{seconds:.1f} s{' since it was resumed' if resume else ''}, tests and figures included"
    )
    if launches := seeds_of(this)[0].step.launches:
        table.add_row("launches", launches)
    table.add_row("train loss", f"{mean_of([row['train_loss'] for row in rows], 4)} (with dropout)")
    for part in ("validation", "test"):
        if rows[0][f"{part}_loss"] is not None:
            loss, error = ([row[f"{part}_{name}"] for row in rows] for name in ("loss", "error"))
            table.add_row(f"{part} loss, error", f"{mean_of(loss, 4)}, {mean_of(error, 2)} %")
    table.add_row("largest row norm", mean_of([row["largest_row_norm"] for row in rows], 3))
    table.add_row("figure", str(this.folder / "curves.png"))
    plain_console().print(table)


def seeds_of(this: Any) -> list[Any]:
    """The runs of a run: one for each seed, or itself."""
    return getattr(this, "runs", [this])


def each_of(outcome: Any) -> list[Any]:
    """What came of each run."""
    return outcome if isinstance(outcome, list) else [outcome]


def mean_of(values: list[float], digits: int) -> str:
    """The number, or the mean of several with its 95 % interval."""
    from minidrop.intervals import interval

    mean, half = interval(values)
    return f"{mean:.{digits}f}" + (f" ± {half:.{digits}f}" if len(values) > 1 else "")


def tell_results(part: str, seeds: list[Any], results: list[Any]) -> None:
    """A line for the run, or one for each seed and one for their mean."""
    if len(results) == 1:
        typer.echo(f"{part} {results[0]}")
        return
    for run, result in zip(seeds, results, strict=True):
        typer.echo(f"seed {run.config.seed}: {part} {result}")
    error = mean_of([result.error for result in results], 2)
    typer.echo(f"{part} error {error} % (mean of {len(results)} seeds and its 95 % interval)")


def plain_console() -> Any:
    """The terminal, where a path may hold what looks like markup."""
    from rich.console import Console

    return Console(markup=False, highlight=False)


def _signature() -> inspect.Signature:
    """The options of `train`: those of the command, then one for each key of the configuration."""
    from minidrop.config import PRESETS, TrainConfig
    from minidrop.initializers import INITIALIZERS
    from minidrop.optim import OPTIMIZERS
    from minidrop.optim.schedules import SCHEDULES

    registries: dict[str, Any] = {
        "init": INITIALIZERS,
        "optimizer": OPTIMIZERS,
        "lr_schedule": SCHEDULES,
        "momentum_schedule": SCHEDULES,
    }

    def option(name: str, kind: Any, default: Any, *decls: str, **settings: Any) -> inspect.Parameter:
        annotation = Annotated[kind, typer.Option(*decls, **settings)]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    text = str | None
    parameters = [
        option(
            "config", text, None, help="TOML or JSON file with the keys below, such as a run's config.json."
        ),
        option(
            "preset",
            text,
            None,
            help=f"{', '.join(PRESETS)}; by default the data set's. The defaults below are those of digits.",
        ),
        option("run", text, None, help="Run folder; by default the next free runs/DATASET-NNN."),
        option("resume", bool, False, "--resume", help="Go on with the run in --run."),
        option("quiet", bool, False, "--quiet", help="No progress."),
    ]
    for key in fields(TrainConfig):
        kind = key.type if isinstance(None, key.type) else key.type | None  # type: ignore[arg-type, operator]
        names = f" Known: {', '.join(registries[key.name])}." if key.name in registries else ""
        default = str(key.default).lower() if key.type is bool else str(key.default)
        shown = "" if key.default is None else f" Default: {default}"
        parameters.append(option(key.name, kind, None, help=f"{key.metadata['help']}{names}{shown}"))
    return inspect.Signature(parameters)


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """`function` with the signature that typer makes options from."""

    @functools.wraps(function)
    def command(**options: Any) -> None:
        function(**options)

    signature = _signature()
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command

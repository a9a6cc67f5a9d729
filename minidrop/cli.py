"""The command line: minidrop train, eval, reproduce, sweep, info and data."""

import functools
import inspect
import io
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from minidrop import __version__
from minidrop.errors import DivergenceError, Interrupted, MinidropError
from minidrop.experiments.commands import reproduce, sweep

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="The data sets: where they are, and how to get them.", no_args_is_help=True)
app.add_typer(data_app, name="data")

INTERRUPTED = 130  # what a shell makes of SIGINT
Folder = Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"minidrop {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and exit.")
    ] = False,
) -> None:
    """Dropout networks by hand: every backward pass written out, on NumPy or CuPy."""


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
    seeds = _seeds(this)
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
    _results("test", seeds, [result for _, result in _each(outcome)])


def _seeds(this: Any) -> list[Any]:
    """The runs of a run: one for each seed, or itself."""
    return getattr(this, "runs", [this])


def _each(outcome: Any) -> list[Any]:
    """What came of each run."""
    return outcome if isinstance(outcome, list) else [outcome]


def _summary(this: Any, seconds: float, resume: bool) -> None:
    from rich.table import Table

    states = [run.state for run in _seeds(this)]
    rows = [state.history[state.best_epoch - 1] for state in states]

    def all_of(numbers: Iterable[Any]) -> str:
        return ", ".join(map(str, dict.fromkeys(numbers)))

    table = Table("", "", show_header=False, title="summary", title_justify="left")
    table.add_row("epochs", f"{states[0].epoch}, weights of epoch {all_of(s.best_epoch for s in states)}")
    table.add_row("steps", f"{all_of(row['step'] for row in rows)} to that epoch")
    table.add_row(
        "time", f"{seconds:.1f} s{' since it was resumed' if resume else ''}, tests and figures included"
    )
    if launches := _seeds(this)[0].step.launches:
        table.add_row("launches", launches)
    table.add_row("train loss", f"{_mean([row['train_loss'] for row in rows], 4)} (with dropout)")
    for part in ("validation", "test"):
        if rows[0][f"{part}_loss"] is not None:
            loss, error = ([row[f"{part}_{name}"] for row in rows] for name in ("loss", "error"))
            table.add_row(f"{part} loss, error", f"{_mean(loss, 4)}, {_mean(error, 2)} %")
    table.add_row("largest row norm", _mean([row["largest_row_norm"] for row in rows], 3))
    table.add_row("figure", str(this.folder / "curves.png"))
    _show(table)


def _mean(values: list[float], digits: int) -> str:
    """The number, or the mean of several with its 95 % interval."""
    from minidrop.intervals import interval

    mean, half = interval(values)
    return f"{mean:.{digits}f}" + (f" ± {half:.{digits}f}" if len(values) > 1 else "")


def _results(part: str, seeds: list[Any], results: list[Any]) -> None:
    """A line for the run, or one for each seed and one for their mean."""
    if len(results) == 1:
        typer.echo(f"{part} {results[0]}")
        return
    for run, result in zip(seeds, results, strict=True):
        typer.echo(f"seed {run.config.seed}: {part} {result}")
    error = _mean([result.error for result in results], 2)
    typer.echo(f"{part} error {error} % (mean of {len(results)} seeds and its 95 % interval)")


def _show(table: Any) -> None:
    from rich.console import Console

    Console(markup=False, highlight=False).print(table)  # a path may hold what looks like markup


def _train_signature() -> inspect.Signature:
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


def _with_options(function: Callable[..., None]) -> Callable[..., None]:
    """`function` with the signature that typer makes options from."""

    @functools.wraps(function)
    def command(**options: Any) -> None:
        function(**options)

    signature = _train_signature()
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command


app.command("train")(_with_options(train))
app.command("reproduce")(reproduce)
app.command("sweep")(sweep)


@app.command("eval")
def evaluate(
    run: Folder,
    part: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    data_dir: Annotated[str | None, typer.Option(help="Folder with the data, if not the run's.")] = None,
    backend: Annotated[str | None, typer.Option(help="numpy, numba or cupy, if not the run's.")] = None,
) -> None:
    """Evaluate the weights of a run: the best of its epochs, or the last."""
    from minidrop.replicas import open_run

    changes = {"data_dir": data_dir, "backend": backend}
    this = open_run(run, {key: value for key, value in changes.items() if value is not None}, tuple(changes))
    this.load_weights()
    results = _each(this.evaluate(part))
    typer.echo(f"{part} loss {_mean([result.loss for result in results], 4)}")
    _results(part, _seeds(this), results)


@app.command()
def info() -> None:
    """Show versions, backends, devices, BLAS and threads."""
    from rich.table import Table

    from minidrop.backends import get_backend
    from minidrop.versions import backends, versions

    table = Table("", "", show_header=False)
    for name, value in versions().items():
        table.add_row(name, value)
    try:
        table.add_row("backend", get_backend().name)
    except MinidropError as error:
        table.add_row("backend", str(error))
    for name, value in backends().items():
        table.add_row(f"backend {name}", value.removeprefix(f"backend {name}: "))
    _show(table)


@data_app.command("list")
def data_list(data_dir: Annotated[str | None, typer.Option(help="Folder to look in.")] = None) -> None:
    """List the data sets and whether they are here."""
    from rich.table import Table

    from minidrop.data import DATASETS, load

    table = Table("data set", "training", "test", "inputs")
    missing = []
    for name in DATASETS:
        try:
            found = load(name, data_dir)
        except MinidropError as error:
            missing.append(f"{name}: {error}")
        else:
            table.add_row(name, str(len(found.train)), str(len(found.test)), str(found.features))
    _show(table)
    for line in missing:
        typer.echo(line)


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="mnist or fashion-mnist.")],
    data_dir: Annotated[str | None, typer.Option(help="Folder to write to; else the user cache.")] = None,
) -> None:
    """Download a data set, checked by SHA-256."""
    from minidrop.data import fetch

    typer.echo(f"{name} is in {fetch(name, data_dir)}")


def main() -> None:
    """Run the command line: one clear line and exit code 2 for whatever is wrong with the input."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a "?" where a terminal has no ± or β
    command = typer.main.get_command(app)
    try:
        status = command.main(prog_name="minidrop", standalone_mode=False)
        if status == INTERRUPTED:  # typer keeps the KeyboardInterrupt for itself
            _fail("interrupted", INTERRUPTED)
    except DivergenceError as error:
        status = _fail(error, 1)
    except Interrupted as error:
        status = _fail(error, INTERRUPTED)
    except (MinidropError, OSError) as error:
        status = _fail(error, 2)
    except MemoryError as error:
        status = _fail(f"not enough memory: {error}", 2)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's own complaints about the command line have it
            raise
        status = _fail(error.format_message(), 2)
    sys.exit(status or 0)


def _fail(error: object, status: int) -> int:
    text = " ".join(str(error).split())
    if text:  # without a command typer shows the help, and says nothing more
        typer.echo(f"error: {text}", err=True)
    return status


if __name__ == "__main__":
    main()

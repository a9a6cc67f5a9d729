"""The command line: minidrop train, eval, reproduce, sweep, info and data."""

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from minidrop import __version__
from minidrop.errors import DivergenceError, Interrupted, MinidropError
from minidrop.experiments.commands import reproduce, sweep
from minidrop.train_command import (
    each_of,
    mean_of,
    plain_console,
    seeds_of,
    tell_results,
    train,
    with_options,
)

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


app.command("train")(with_options(train))
app.command("reproduce")(reproduce)
app.command("sweep")(sweep)


@app.command("eval")
def evaluate(
    run: Folder,
    part: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    data_dir: Annotated[str | None, typer.Option(help="Folder with the data, if not the run's.")] = None,
    backend: Annotated[str | None, typer.Option(help="numpy, numba or cupy, if not the run's.")] = None,
) -> None:
    """Evaluate the weights of a run: of its best epoch, or what it was last saved with."""
    from minidrop.replicas import open_run

    changes = {"data_dir": data_dir, "backend": backend}
    this = open_run(run, {key: value for key, value in changes.items() if value is not None}, tuple(changes))
    this.load_weights()
    results = each_of(this.evaluate(part))
    typer.echo(f"{part} loss {mean_of([result.loss for result in results], 4)}")
    tell_results(part, seeds_of(this), results)


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
    plain_console().print(table)


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
    plain_console().print(table)
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

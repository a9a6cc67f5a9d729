"""python -m docs: put an experiment's run into docs/results, take it out again, or write all pages again."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from docs.pages import write
from docs.taking import restore as back
from docs.taking import take
from docs.words import counted_jobs
from minidrop.errors import MinidropError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def add(
    folders: Annotated[list[Path], typer.Argument(help="Of `minidrop reproduce`.", show_default=False)],
    commit: Annotated[
        str | None, typer.Option(help="What the jobs were run with, where they do not say it themselves.")
    ] = None,
) -> None:
    """Take results.json and figures from runs at full size, and write their pages and the index."""
    for folder in folders:
        take(folder, commit=commit)
    refresh()


@app.command()
def restore(
    name: Annotated[str, typer.Argument(help="Of an experiment that has a page.", show_default=False)],
    folder: Annotated[Path | None, typer.Argument(help="Else runs/reproduce/NAME.")] = None,
) -> None:
    """Make the run's folder of a page again, for `minidrop reproduce` to go on with or to analyse anew."""
    folder = folder or Path("runs/reproduce") / name
    new, command = back(name, folder)
    typer.echo(f"{counted_jobs(len(new))} put into {folder}; `{command}` runs what is left, and analyses all")


@app.command()
def refresh() -> None:
    """Write all pages and the index from the results that are there."""
    typer.echo("\n".join(map(str, write())))


if __name__ == "__main__":
    try:
        app()
    except (MinidropError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)

"""The commands `minidrop reproduce` and `minidrop sweep`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minidrop.train_command import plain_console

if TYPE_CHECKING:
    from minidrop.experiments.experiment import Experiment, Plan
    from minidrop.experiments.reproduce import Outcome
    from minidrop.experiments.runner import Told

Jobs = Annotated[int, typer.Option(min=1, help="How many jobs to run at a time.")]
Backend = Annotated[str | None, typer.Option(help="numpy, numba or cupy; else MINIDROP_BACKEND, else numpy.")]
DataDir = Annotated[
    str | None, typer.Option(help="Folder with MNIST/raw; else MINIDROP_DATA, else the user cache.")
]


def reproduce(
    name: Annotated[str, typer.Argument(help="An experiment; --list shows them.", show_default=False)] = "",
    list_all: Annotated[bool, typer.Option("--list", help="List the experiments.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Run all experiments, one after another.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="On the embedded digits, in seconds.")] = False,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many; else what each experiment says.")
    ] = None,
    first_seed: Annotated[int, typer.Option(min=0, help="The first; another one is another sample.")] = 0,
    jobs: Jobs = 1,
    backend: Backend = None,
    data_dir: DataDir = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; else runs/reproduce/NAME.")] = None,
    only: Annotated[
        str, typer.Option(help="Run only the jobs of such names, as 'relu-*'; the others later.")
    ] = "*",
) -> None:
    """Run an experiment of the documents, and show its numbers beside the published ones.

    What is finished stays finished: the same command again goes on where it
    stopped. A report.html with all tables and figures is in the folder.
    """
    from minidrop.experiments import NAMES, Plan, experiment

    if list_all:
        _list()
        return
    if bool(name) == everything:
        raise typer.BadParameter("name one experiment, or say --all or --list")
    plan = Plan(quick, seeds, backend, data_dir, first_seed)
    broken = []
    for each in NAMES if everything else [name]:
        folder = Path(out or "runs/reproduce") / (f"{each}-quick" if quick else each)
        if out is not None and not everything:
            folder = out
        outcome = _run(experiment(each), plan, folder, jobs, only)
        if outcome.broken:
            broken.append(each)
    if broken:
        typer.echo(f"not as it must be: {', '.join(broken)}", err=True)
        raise typer.Exit(1)


def sweep(
    config: Annotated[
        Path, typer.Argument(help="TOML file with a grid or a list of runs.", show_default=False)
    ],
    seeds: Annotated[int | None, typer.Option(min=1, help="How many; else what the file says.")] = None,
    jobs: Jobs = 1,
    backend: Backend = None,
    data_dir: DataDir = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; else runs/sweep/NAME.")] = None,
) -> None:
    """Train every configuration of a grid or a list, several seeds each, and compare them.

    The file is described in README.md; the outputs are those of reproduce.
    """
    from minidrop.experiments import Plan
    from minidrop.experiments.sweep import read_sweep

    study = read_sweep(config)
    outcome = _run(study, Plan(False, seeds, backend, data_dir), out or Path("runs/sweep") / study.name, jobs)
    if not outcome.findings.quantities:
        typer.echo("nothing to compare: no training came to its end", err=True)
    if outcome.broken or not outcome.findings.quantities:
        raise typer.Exit(1)


def _list() -> None:
    """Two lines for each: what fits a terminal, and the question."""
    from minidrop.experiments import NAMES, experiment

    typer.echo(f"{'name':20} {'ids':14} {'data':14} about")
    for name in NAMES:
        this = experiment(name)
        ids = this.ids[0] if len(this.ids) == 1 else f"{this.ids[0]} ... {this.ids[-1].partition('-')[2]}"
        typer.echo(f"{name:20} {ids:14} {this.data:14} {this.duration}\n    {this.question}")


def _run(experiment: "Experiment", plan: "Plan", folder: Path, processes: int, only: str = "*") -> "Outcome":
    from minidrop.errors import Interrupted
    from minidrop.experiments.reproduce import reproduce

    typer.echo(f"{experiment.name}: {experiment.question}")
    try:
        with _progress(experiment.name) as told:
            outcome = reproduce(experiment, plan, folder, processes=processes, told=told, only=only)
    except (Interrupted, KeyboardInterrupt) as error:
        what = str(error) or "interrupted"
        raise Interrupted(f"{what}; the same command goes on where this stopped") from None
    _show(outcome)
    return outcome


@contextmanager
def _progress(name: str) -> "Iterator[Told]":
    """A live bar where the output is a terminal, a line for each job where it is not."""
    console = plain_console()
    if not console.is_terminal:
        yield lambda key, done, total, error: console.print(
            f"{done}/{total} {key}{f': {error}' if error else ''}"
        )
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=None)

        def told(key: str, done: int, total: int, error: str | None) -> None:
            progress.update(task, completed=done, total=total, description=key)
            if error:
                progress.console.print(f"{key}: {error}")

        yield told


def _show(outcome: "Outcome") -> None:
    from rich.table import Table

    console, findings = plain_console(), outcome.findings
    for own, heads in ((False, ("quantity", "published")), (True, ("own check", "expected"))):
        quantities = [quantity for quantity in findings.quantities if quantity.own == own]
        beside = any(quantity.published is not None for quantity in quantities)
        table = Table(*heads, "ours", "verdict") if beside else Table(heads[0], "ours")
        for q in quantities:
            table.add_row(q.name, *([q.published_text(), q.text(), q.verdict] if beside else [q.text()]))
        if quantities:
            console.print(table)
    if findings.claims:
        table = Table("claim", "here", "verdict")
        for claim in findings.claims:
            table.add_row(claim.text, claim.detail, claim.verdict)
        console.print(table)
    for note in findings.notes:
        console.print(note)
    for key, error in outcome.failed.items():
        console.print(f"job {key} failed: {error}; see {outcome.folder / 'jobs' / key / 'error.txt'}")
    if outcome.missing:
        console.print(f"{len(outcome.missing)} jobs are still to be run: {', '.join(outcome.missing)}")
    console.print(f"report: {outcome.folder / 'report.html'}")

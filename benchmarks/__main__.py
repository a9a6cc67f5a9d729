"""python -m benchmarks NAME: measure, show, and write to benchmarks/results/."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.harness import DisagreementError, Pace, finds_gpu
from benchmarks.results import RESULTS, Benchmark

NAMES = ("train_step", "batch_vs_loop", "optimizers", "dropout", "scaling", "epoch", "operations")


def benchmark(name: str) -> Benchmark:
    """The benchmark of a module."""
    found: Benchmark = import_module(f"benchmarks.{name}").BENCHMARK
    return found


def main(
    name: Annotated[str, typer.Argument(help=f"{', '.join(NAMES)}, gpu; or all, list, report.")] = "list",
    quick: Annotated[bool, typer.Option(help="Small sizes and no repetitions: does it all run?")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Blocks of each contestant.")] = 15,
    seconds: Annotated[float, typer.Option(min=0.001, help="Length of a block.")] = 0.3,
    threads: Annotated[int, typer.Option(min=0, help="Processors to use; 0 for all.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Where to write; nothing is, in quick mode.")] = None,
) -> None:
    """Measure minidrop beside what one would use instead; each contestant in its own process, in turns."""
    wide = None if sys.stdout.isatty() else 120  # in a file nothing need be cut off
    console = Console(markup=False, highlight=False, width=wide)
    if name == "list":
        for each in NAMES:
            console.print(f"{each:15} {benchmark(each).question}")
        return
    if name == "report":
        from benchmarks.report import write

        console.print(*write(), sep="\n")
        return
    if name == "gpu" and not finds_gpu("cupy"):
        from benchmarks.gpu import NEEDS

        typer.echo(NEEDS, err=True)
        raise typer.Exit(2)
    if name not in ("all", "gpu", *NAMES):
        raise typer.BadParameter(f"there is no benchmark {name!r}; there are {', '.join(NAMES)}")
    pace = Pace(1, 0.002, threads, apart=False) if quick else Pace(rounds, seconds, threads)
    command = "python -m benchmarks " + " ".join(sys.argv[1:])
    for each in NAMES if name == "all" else [name]:
        chosen = benchmark(each)
        with console.status(f"{each} ...") as status:
            try:
                told = lambda what, each=each: status.update(f"{each}: {what}")  # noqa: E731
                result = chosen.run(pace, quick=quick, command=command, told=told)
            except (DisagreementError, RuntimeError) as error:
                console.print(f"benchmarks: {error}")
                raise typer.Exit(1) from None
        chosen.show(result, console)
        if out or not quick:
            console.print("written:", *chosen.save(result, out or RESULTS))


if __name__ == "__main__":
    typer.run(main)

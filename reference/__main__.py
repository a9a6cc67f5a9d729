"""The command line: `python -m reference` and `python -m reference run`."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from minidrop.backends import BACKENDS, using_backend
from minidrop.errors import MinidropError
from minidrop.streams import check_seed

NO_TORCH = (
    "the reference is written in PyTorch, which is not installed: "
    "pip install -c constraints.txt -e '.[reference]'"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if everything agrees, 1 if something does not, 2 if it could not be tried."""
    options = _parser().parse_args(arguments)
    try:
        import torch  # noqa: F401
    except ImportError:
        print(NO_TORCH, file=sys.stderr)
        return 2
    try:
        check_seed(options.seed)
        if options.command == "run":
            from reference.parity import run_all

            return run_all(options)
        return _table(options)
    except MinidropError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reference", description="Hold minidrop to PyTorch: a table, op by op."
    )
    _shared(parser, suppress=False)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float64", help="of both sides")
    commands = parser.add_subparsers(dest="command", metavar="[run]")
    run = commands.add_parser(
        "run",
        help="whole training runs",
        description="Train the same networks in minidrop and in PyTorch, in float64 and in float32.",
    )
    _shared(run, suppress=True)
    run.add_argument("--steps", type=int, default=300, help="of each run (300)")
    run.add_argument("--out", type=Path, default=None, help="folder of figures and results (runs/parity)")
    return parser


def _shared(parser: argparse.ArgumentParser, suppress: bool) -> None:
    """The options that may stand before or behind `run`, where an absent one must not undo one before."""

    def add(name: str, default: object, **about: object) -> None:
        parser.add_argument(name, default=argparse.SUPPRESS if suppress else default, **about)  # type: ignore[arg-type]

    add("--backend", "numpy", choices=BACKENDS, help="minidrop's arrays")
    add("--seed", 0, type=int, help="of weights, masks, inputs and schedules")
    add("--json", False, action="store_true", help="print JSON instead of the table")
    add("--filter", "", metavar="TEXT", help="only ops, or runs, whose name contains TEXT")


def _table(options: argparse.Namespace) -> int:
    from reference.checks import Setting, rows
    from reference.precision import default_dtype
    from reference.report import print_table, to_json

    began = time.perf_counter()
    with using_backend(options.backend) as backend, default_dtype(options.dtype):
        found = []
        with Console(stderr=True).status("comparing") as status:
            for row in rows(Setting(backend, options.dtype, options.seed), options.filter):
                found.append(row)
                status.update(f"compared {row.op}")
    seconds = time.perf_counter() - began
    if not found:
        print(f"no op contains {options.filter!r}", file=sys.stderr)
        return 2
    if options.json:
        about = {"backend": options.backend, "dtype": options.dtype, "seed": options.seed}
        print(to_json(found, **about, seconds=round(seconds, 2)))
    else:
        title = f"minidrop against PyTorch: {options.backend}, {options.dtype}, seed {options.seed}"
        print_table(found, f"{title}, {seconds:.0f} s")
    return int(any(row.status == "fail" for row in found))


if __name__ == "__main__":
    sys.exit(main())

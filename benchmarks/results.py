"""What a measurement leaves: a JSON file with its provenance, a table, a figure."""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Case, Pace, about_gpu, ratio, run_case, spread, typical
from minidrop.versions import versions

RESULTS = Path(__file__).parent / "results"
#: measured against; versions() has minidrop's own
PACKAGES = ("torch", "jax", "jaxlib", "thinc", "scikit-learn", "threadpoolctl")

Result = dict[str, Any]
#: a column beside the common ones: its title, and its text for a contestant of a case
Column = tuple[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]]


@dataclass(frozen=True)
class Benchmark:
    """A question, the cases that answer it, and how the answer is shown.

    Args:
        name: of its module and its files.
        question: one line.
        cases: all of them, or with True those of the quick mode: small, one of each kind.
        draw: a matplotlib Figure of a result.
        columns: of the table, beside time, spread and ratio.
    """

    name: str
    question: str
    cases: Callable[[bool], Sequence[Case]]
    draw: Callable[[Result], Any]
    columns: Sequence[Column] = ()

    def run(self, pace: Pace, *, quick: bool, command: str, told: Callable[[str], None]) -> Result:
        """Measure every case."""
        return {
            "benchmark": self.name,
            "question": self.question,
            "command": command,
            "quick": quick,
            "pace": {"rounds": pace.rounds, "seconds": pace.seconds},
            "provenance": provenance(pace),
            "cases": [run_case(case, pace, told) for case in self.cases(quick)],
        }

    def table(self, case: Mapping[str, Any]) -> Table:
        """One case as a table."""
        extra = [title for title, _ in self.columns]
        table = Table(title=f"{self.name}: {case['name']}", title_justify="left")
        table.add_column("contestant", no_wrap=True)
        for title in ("time", "±", "ratio", *extra):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("note")
        reference = case["contestants"][0]
        for one in case["contestants"]:
            texts = [text(one, case) for _, text in self.columns]
            table.add_row(
                one["label"],
                duration(typical(one)),
                f"{spread(one):.0%}",
                f"{ratio(one, reference):.2f}",
                *texts,
                one["note"],
            )
        for label, reason in case["left_out"].items():
            table.add_row(label, "-", "-", "-", *["-"] * len(extra), reason)
        return table

    def show(self, result: Result, console: Console) -> None:
        """Print all tables."""
        for case in result["cases"]:
            console.print(self.table(case))

    def save(self, result: Result, folder: Path) -> list[Path]:
        """Write the result and its figure into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        data, picture = folder / f"{self.name}.json", folder / f"{self.name}.png"
        data.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        self.draw(result).savefig(picture, dpi=120)
        return [data, picture]


def duration(seconds: float) -> str:
    """A time with its unit and three digits.

    >>> duration(0.0123), duration(4.56e-6)
    ('12.3 ms', '4.56 µs')
    """
    factor, unit = next(
        (f, u) for f, u in ((1, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns")) if seconds * f >= 1
    )
    return f"{seconds * factor:.3g} {unit}"


def size(count: int) -> str:
    """A number of bytes with its unit and three digits.

    >>> size(562_000_000), size(12_340)
    ('562 MB', '12.3 kB')
    """
    factor, unit = next((f, u) for f, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")) if count >= f)
    return f"{count / factor:.3g} {unit}"


def provenance(pace: Pace) -> dict[str, Any]:
    """What the figures depend on: versions, processor, GPU, memory, threads, the commit that was measured."""
    found: dict[str, Any] = dict(versions())
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    found["processor"] = processor()
    found["memory_bytes"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found["processors_used"] = len(pace.processors())
    if gpu := about_gpu():
        found["gpu"] = gpu
    return found


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")

"""The table on the terminal, and the same as JSON."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from reference.checks.rows import Row

WIDTH = 100
STYLES = {"pass": "green", "fail": "bold red", "skip": "yellow"}


def print_table(rows: Sequence[Row], title: str, console: Console | None = None) -> None:
    """Print every row, then what failed and what was skipped, then the sum."""
    console = console or Console()
    if console.width > WIDTH or not console.is_terminal:
        console.width = WIDTH
    table = Table(title=title, expand=False, pad_edge=False)
    table.add_column("op", overflow="fold")
    table.add_column("check", overflow="fold")
    table.add_column("largest error", justify="right", no_wrap=True)
    table.add_column("tolerance", justify="right", no_wrap=True)
    table.add_column("result", no_wrap=True)
    last = None
    for row in rows:
        if row.op != last and last is not None and _kind(row.op) != _kind(last):
            table.add_section()
        table.add_row(
            row.op if row.op != last else "",
            row.check,
            number(row.error),
            number(row.tolerance),
            f"[{STYLES[row.status]}]{row.status}[/]",
        )
        last = row.op
    console.print(table)
    for row in rows:
        if row.message:
            console.print(
                f"{row.status}: {row.message}", style=STYLES[row.status], markup=False, soft_wrap=True
            )
    console.print(summary(rows), highlight=False)


def summary(rows: Sequence[Row]) -> str:
    """How many rows came out how."""
    counts = {status: sum(row.status == status for row in rows) for status in STYLES}
    return f"{len(rows)} rows: {counts['pass']} pass, {counts['fail']} fail, {counts['skip']} skipped"


def to_json(rows: Sequence[Row], **about: Any) -> str:
    """Everything the table says, for programs; an error that is not finite is null."""
    return json.dumps({**about, "rows": [row.to_dict() for row in rows]}, indent=1, allow_nan=False)


def number(value: float | None) -> str:
    """A number of the table: two digits are enough."""
    return "" if value is None else f"{value:.1e}" if value else "0"


def _kind(op: str) -> str:
    return op.split()[0]

"""The tables of a page, in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from minidrop.experiments.report import number
from minidrop.experiments.verdicts import NOT_JUDGED, Claim, Quantity

#: how the names of accuracies on both kinds of pixels end
PIXELS = (": accuracy, scaled pixels", ": accuracy, raw pixels")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], align: str = "") -> str:
    r"""A table in Markdown, its columns to the left, or as `align` says to the left or right.

    >>> print(table(["net", "errors"], [["a | b", 130.0]], "lr"))
    | net | errors |
    |---|--:|
    | a \| b | 130 |
    """
    rule = "|".join("--:" if side == "r" else "---" for side in align.ljust(len(columns), "l"))
    lines = [" | ".join(number(cell).replace("|", "\\|") for cell in row) for row in (columns, *rows)]
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def numbers(quantities: Sequence[Quantity]) -> str:
    """Quantities beside the published numbers; without a column for them where there is none.

    Accuracies on scaled and on raw pixels of one network are in one row.
    """
    if all(q.name.endswith(PIXELS) for q in quantities):
        return by_pixels(quantities)
    ours = "ours, ± 95 %" if any("±" in q.text() for q in quantities) else "ours"
    if any(q.published is not None for q in quantities):
        rows = [(q.name, q.published_text(), q.text(), q.verdict) for q in quantities]
        return table(("quantity", "published", ours, "verdict"), rows, "lrrl")
    return table(("quantity", ours), [(q.name, q.text()) for q in quantities], "lr")


def by_pixels(quantities: Sequence[Quantity]) -> str:
    """A row for each network with its accuracies, and columns only for what there is.

    >>> found = [Quantity(f"net: accuracy, {which} pixels", [0.5], digits=2) for which in ("scaled", "raw")]
    >>> print(by_pixels(found))
    | accuracy, ± 95 % | scaled pixels | raw pixels |
    |---|--:|--:|
    | net | 0.50 | 0.50 |
    """
    rows: dict[str, list[str]] = {}
    for q in quantities:
        name, _, which = q.name.rpartition(": ")
        at = PIXELS.index(f": {which}")
        verdict = "" if q.verdict == NOT_JUDGED else f", {q.verdict}"
        rows.setdefault(name, ["—"] * 4)[2 * at : 2 * at + 2] = q.published_text(), q.text() + verdict
    head = ("published", "scaled pixels", "published", "raw pixels")
    there = [i for i in range(4) if any(cells[i] != "—" for cells in rows.values())]
    lines = [(name, *(cells[i] for i in there)) for name, cells in rows.items()]
    return table(("accuracy, ± 95 %", *(head[i] for i in there)), lines, "l" + "r" * len(there))


def claimed(claims: Sequence[Claim]) -> str:
    """Claims with the numbers behind them."""
    return table(("claim", "here", "verdict"), [(c.text, c.detail, c.verdict) for c in claims])


def checked(quantities: Sequence[Quantity], claims: Sequence[Claim]) -> str:
    """Checks of our own: numbers beside what is expected, and statements that have none."""
    rows = [(q.name, q.published_text(), q.text(), q.verdict) for q in quantities]
    rows += [(c.text, "", c.detail, c.verdict) for c in claims]
    return table(("own check", "expected", "here", "verdict"), rows, "lrrl")

"""One page for one experiment: self-contained HTML with its tables, verdicts and figures."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined

from minidrop.experiments.verdicts import AGREES, DIFFERS, Quantity

if TYPE_CHECKING:
    from minidrop.experiments.reproduce import Outcome


def render(outcome: "Outcome", about: Mapping[str, Any], files: Sequence[Path]) -> str:
    """The page as a text; `files` holds the PNG and the SVG of each figure."""
    source = resources.files("minidrop.experiments").joinpath("report.html.j2").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    images = {path.stem: b64encode(path.read_bytes()).decode() for path in files if path.suffix == ".png"}
    return environment.from_string(source).render(
        experiment=outcome.experiment,
        findings=outcome.findings,
        failed=outcome.failed,
        missing=outcome.missing,
        about=about,
        images=images,
        seeds=seeds_of(outcome),
        rules=rules_of(outcome.findings.quantities),
    )


def seeds_of(outcome: "Outcome") -> int:
    """The largest number of values that a quantity has."""
    return max((len(quantity.ours) for quantity in outcome.findings.quantities), default=1)


def rules_of(quantities: Sequence[Quantity]) -> list[str]:
    """By which rules published numbers are judged here, each once."""
    judged = [q for q in quantities if not q.own and q.verdict in (AGREES, DIFFERS)]
    return list(dict.fromkeys(q.rule_text for q in judged))


def number(value: Any) -> str:
    """A number as a page shows it: four significant digits, and whole numbers whole.

    >>> number(0.123456), number(1234.5678), number(60000), number(1e-7), number("digits"), number(None)
    ('0.1235', '1235', '60000', '1.000e-07', 'digits', '—')
    """
    if value is None:
        return "—"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e6):
        return str(int(value))
    size = abs(value)
    if 1e-3 <= size < 1e6:
        return f"{value:.4g}" if size < 1000 else f"{value:.0f}"
    return f"{value:.3e}"

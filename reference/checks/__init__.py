"""The rows of the table, a file for each kind."""

from collections.abc import Iterable, Iterator

from reference.checks import data, initializers, layers, losses, max_norm, optimizers, schedules
from reference.checks.rows import Check, Row, Setting, where, where_raised

__all__ = ["Row", "Setting", "all_checks", "rows"]


def all_checks(setting: Setting) -> Iterator[Check]:
    """Every check, in the order of the table."""
    for kind in (layers, losses, optimizers, max_norm, initializers, schedules, data):
        yield from kind.checks(setting)


def rows(setting: Setting, text: str = "") -> Iterator[Row]:
    """The rows of every check whose op contains `text`; an exception in a check is a failure of its op."""
    for check in all_checks(setting):
        if text.lower() in check.op.lower():
            yield from _rows_of(check)


def _rows_of(check: Check) -> Iterable[Row]:
    found: list[Row] = []
    try:
        found.extend(check.run())
    except Exception as error:  # whatever a broken layer raises, the table goes on
        lines = str(error).splitlines() or [""]
        raised = where_raised(error) or (where(check.source) if check.source is not None else "")
        place = f"; see {raised}" if raised else ""
        message = f"{check.op} stopped with {type(error).__name__}: {lines[0]}{place}"
        found.append(Row(check.op, "runs", "fail", message=message))
    return found

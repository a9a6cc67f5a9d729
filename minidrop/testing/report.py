"""What a check hands back: a table when all is well, an error that a person can read when it is not."""

import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from minidrop.errors import ArgumentError, MinidropError, check_choice


@dataclass
class Outcome:
    """The result of one check: its status, the largest error, what was allowed, and a note.

    >>> Outcome("dtype", "passed").status
    'passed'
    """

    check: str
    status: str  #: "passed", "failed" or "skipped"
    error: float | None = None  #: the largest relative error, where the check measures one
    tolerance: float | None = None
    note: str = ""  #: why it was skipped, or what else there is to know
    problems: list[str] = field(default_factory=list)  #: what is wrong, one text a finding


@dataclass
class Report:
    """The outcomes of all checks of one subject; `str` of it is a table.

    >>> print(Report("ReLU()", [Outcome("dtype", "passed"), Outcome("memory", "skipped", note="as asked")]))
    ReLU(): 1 passed, 1 skipped
    check                     status     largest error   tolerance  note
    dtype                     passed                 -           -
    memory                    skipped                -           -  as asked
    """

    subject: str
    outcomes: list[Outcome]
    repeat: str = ""  #: the call that does it again

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not any(outcome.status == "failed" for outcome in self.outcomes)

    def __getitem__(self, check: str) -> Outcome:
        """The outcome of the check of that name; KeyError if there is none."""
        for outcome in self.outcomes:
            if outcome.check == check:
                return outcome
        raise KeyError(check)

    def __str__(self) -> str:
        states = [outcome.status for outcome in self.outcomes]
        counts = [f"{states.count(s)} {s}" for s in ("passed", "failed", "skipped") if s in states]
        lines = [f"{_shorten(self.subject, 60)}: {', '.join(counts)}"]
        lines.append(f"{'check':26}{'status':8}{'largest error':>16}{'tolerance':>12}  note")
        for o in self.outcomes:
            row = f"{o.check:26}{o.status:8}{_number(o.error):>16}{_number(o.tolerance):>12}  "
            lines.append((row + _shorten(o.note, 100 - len(row))).rstrip())
        return "\n".join(lines)


class CheckError(MinidropError, AssertionError):
    """At least one check failed; the message says which, where and how, and `report` holds all outcomes."""

    def __init__(self, report: Report) -> None:
        failed = [outcome for outcome in report.outcomes if outcome.status == "failed"]
        lines = [f"{_shorten(report.subject, 60)} failed {len(failed)} of {len(report.outcomes)} checks"]
        for number, outcome in enumerate(failed, 1):
            lines += ["", f"{number}. {outcome.check}"]
            lines += [f"   {line}" for text in outcome.problems for line in text.splitlines()]
        lines += ["", f"repeat with {report.repeat}", "", str(report)]
        super().__init__("\n".join(lines))
        self.report = report


class SkipCheck(Exception):  # noqa: N818 - no error
    """Raised by a check that does not apply, with the reason."""


Check = Callable[[], Outcome]


def run_checks(
    subject: str,
    repeat: str,
    checks: Mapping[str, Check],
    skip: Iterable[str],
    needs: Mapping[str, tuple[str, ...]],
) -> Report:
    """Run `checks` in order, leaving out `skip` and those whose `needs` failed.

    A need "NAME raised" is one that failed with an exception.

    Raises:
        ArgumentError: if `skip` names no check.
        CheckError: after the last check, if any failed.
    """
    names = {skip} if isinstance(skip, str) else set(skip)
    for name in names:
        check_choice("skip", name, checks)
    report = Report(subject, [], repeat)
    failed: set[str] = set()
    for name, check in checks.items():
        blocked = next((other for other in needs.get(name, ()) if other in failed), None)
        if name in names:
            outcome = Outcome(name, "skipped", note="as asked")
        elif blocked is not None:
            outcome = Outcome(
                name, "skipped", note=f"means nothing while {blocked.split(' raised')[0]} fails"
            )
        else:
            outcome = _run(name, check)
        if outcome.status == "failed":
            failed |= {name, f"{name} {outcome.note}"}
        report.outcomes.append(outcome)
    if not report.passed:
        raise CheckError(report)
    return report


def check_names(tolerance: object, checks: Mapping[str, Check]) -> None:
    """Refuse, with an ArgumentError, a tolerance for a check that does not exist."""
    for name in tolerance if isinstance(tolerance, Mapping) else ():
        check_choice("a check in tolerance", name, checks)


def _run(name: str, check: Check) -> Outcome:
    try:
        outcome = check()
    except SkipCheck as reason:
        return Outcome(name, "skipped", note=str(reason))
    except ArgumentError:
        raise
    except Exception as error:
        return Outcome(name, "failed", note="raised", problems=[raised(error)])
    outcome.check = name
    return outcome


def raised(error: BaseException) -> str:
    """One line on an exception and where it came from.

    >>> raised(ValueError("no"))
    'it raised ValueError: no'
    """
    text = f"it raised {type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else text


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _shorten(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."

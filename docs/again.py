"""An experiment that was run again with other seeds: are its means where those of the page are?

Means of two samples are apart by √(h₁² + h₂²) at most in 95 of 100 cases or more, where h₁ and h₂ are the
half widths of their 95 % intervals. In the interval of one of them the other's mean is less often.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import hypot, sqrt

from docs.found import Found, Json
from minidrop.errors import ExperimentError
from minidrop.experiments.fashion import ONE_MORE_RUN, of_one_more
from minidrop.experiments.verdicts import Quantity
from minidrop.intervals import inside, student


def attached(page: Json, run: Json) -> Json:
    """The results of a page with what another run found.

    Raises:
        ExperimentError: if that is the same sample, in part or whole, or is not complete.
    """
    same = [key for key in run["jobs"] if "seed-" in key and key in page["jobs"]]
    if same:
        raise ExperimentError(f"{page['experiment']} has run with these seeds already: {', '.join(same[:3])}")
    if run["missing"]:
        raise ExperimentError(f"jobs are still to be run: {', '.join(run['missing'][:3])}")
    commits = sorted({record["commit"] for record in run["jobs"].values() if record["commit"]})
    quantities = [{key: q[key] for key in ("name", "ours", "verdict")} for q in run["quantities"]]
    return {**page, "again": {"command": run["command"], "commits": commits, "quantities": quantities}}


def told_again(results: Json) -> str:
    """What the other run found, in words; nothing if there was none."""
    if "again" not in results:
        return ""
    again = results["again"]
    pairs = list(_pairs(results))
    near = [q.name for q, other in pairs if abs(q.mean - other.mean) <= hypot(q.half, other.half)]
    within = [q.name for q, other in pairs if abs(q.mean - other.mean) <= q.half]
    expected = sum(_chance(*pair) for pair in pairs)
    text = (
        f"`{again['command']}`, at commit {', '.join(again['commits']) or 'unknown'}: of {len(pairs)} means "
        f"{len(within)} are inside the intervals above (to be expected: {expected:.1f}), and {len(near)} no "
        "further from ours than √(h₁² + h₂²) of the half widths of both intervals."
    )
    verdicts = {q["name"]: q["verdict"] for q in again["quantities"]}
    turned = [
        f"{q.name}, *{verdicts[q.name]}* with those, *{together_with(q, other).verdict}* with all"
        for q, other in pairs
        if verdicts[q.name] != q.verdict
    ]
    return text + (f" Another verdict: {'; '.join(turned)}." if turned else "")


def _chance(q: Quantity, other: Quantity) -> float:
    """P(|T| < t / √(1 + n/m)): how probably the mean of m more values is in the interval of that of n.

    >>> round(_chance(Quantity("", [1, 2, 3, 4, 5]), Quantity("", [1, 2, 3, 4, 5])), 2)
    0.88
    """
    n, m = len(q.ours), len(other.ours)
    return inside(student(n - 1) / sqrt(1 + n / m), n - 1)


def together_with(q: Quantity, other: Quantity) -> Quantity:
    """The same of both samples in one, with what is known of the published number."""
    ours = [*q.ours, *other.ours]
    spread = of_one_more(ours) - of_one_more(q.ours) if q.because == ONE_MORE_RUN else 0.0
    return replace(q, ours=ours, tolerance=q.tolerance + spread)


def _pairs(results: Json) -> Iterator[tuple[Quantity, Quantity]]:
    """The quantities that are means over seeds in both runs."""
    others = {q["name"]: Quantity(q["name"], q["ours"]) for q in results["again"]["quantities"]}
    for q in Found(results).quantities:
        other = others.get(q.name)
        if other is not None and not q.own and min(len(q.ours), len(other.ours)) > 1:
            yield q, other

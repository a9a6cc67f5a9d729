"""Whether ours and the published agree, by a rule that is stated with each number.

    exact       every one of ours is within the tolerance of the published number
    interval    the published number is in the 95 % interval of our mean, widened by the tolerance

The interval is that of `minidrop.intervals`. A tolerance stands for what is known of the published number:
half of its last digit, for example, or the spread that it was published with; `Quantity.rule_text` says it.

What must be exact is stated by a document, or it is a check of our own, beside a number of theory or one that
a document's code gives. The two are counted apart, since only the first is agreement with a document.

Trainings are ordered by one rule, `ordered`: by their differences seed by seed, which share initial weights,
masks and shuffles. An order holds if the 95 % interval of the mean difference is above 0, is contradicted if
it is below, and stays open if 0 is inside, as it does with a single seed. Equality, `alike`, is contradicted
if 0 is outside and stays open otherwise: an interval with 0 in it bears out neither an order nor equality.
Where a claim is tried in several settings, and one success would bear it out, intervals are so much wider
that 95 % is for all of them together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from minidrop.intervals import interval

AGREES, DIFFERS, NOT_JUDGED, OPEN = "agrees", "differs", "not judged", "open"


@dataclass(frozen=True)
class Quantity:
    """A number of ours beside a published one.

    Args:
        name: what it is, with its unit.
        ours: one value for each seed; a single one where there is nothing random.
        published: the published number, or what is expected if the row is `own`; None if there is none.
        rule: "exact" or "interval".
        tolerance: by how much the published number may be off.
        digits: how many decimals to show.
        judge: False shows the numbers side by side without a verdict, as where the setting differs.
        stated: whether a document states what must be exact; if not, the row is a check of our own.
        because: when it agrees, in words that follow "the published number is"; by default the rule's.
    """

    name: str
    ours: Sequence[float]
    published: float | None = None
    rule: str = "interval"
    tolerance: float = 0.0
    digits: int = 4
    judge: bool = True
    stated: bool = False
    because: str = ""

    @property
    def own(self) -> bool:
        """Whether it is a check of our own, and not a published number."""
        return self.rule == "exact" and not self.stated

    @property
    def rule_text(self) -> str:
        """When it agrees, in words that follow "the published number is".

        >>> Quantity("accuracy", [0.90, 0.91], 0.80).rule_text
        'within the 95 % interval of our mean'
        """
        rule = (
            "ours, but for its rounding" if self.rule == "exact" else "within the 95 % interval of our mean"
        )
        return self.because or rule

    @property
    def mean(self) -> float:
        """The mean of ours."""
        return interval(self.ours)[0]

    @property
    def half(self) -> float:
        """The half width of the 95 % interval of the mean; infinite if there is one value alone."""
        return interval(self.ours)[1]

    @property
    def verdict(self) -> str:
        """AGREES, DIFFERS or NOT_JUDGED.

        >>> Quantity("mean", [0.35], 0.35, "exact", 1e-6).verdict
        'agrees'
        >>> Quantity("accuracy", [0.90, 0.91, 0.92], 0.80).verdict
        'differs'
        """
        if self.published is None or not self.judge:
            return NOT_JUDGED
        if self.rule == "exact":
            near = all(abs(value - self.published) <= self.tolerance for value in self.ours)
            return AGREES if near else DIFFERS
        if len(self.ours) < 2 and not self.tolerance:
            return NOT_JUDGED  # one value has no interval
        half = self.half if len(self.ours) > 1 else 0.0
        return AGREES if abs(self.mean - self.published) <= half + self.tolerance else DIFFERS

    def published_text(self) -> str:
        """The published number as a text; a dash where there is none.

        What need not be exact has no zeros at its end, as 0.66 was not published as 0.660.

        >>> Quantity("gradient", [1.0], 4.0, "exact").published_text()
        '4.0000'
        >>> Quantity("accuracy", [1.0], 0.66).published_text()
        '0.66'
        """
        if self.published is None:
            return "—"
        text = f"{self.published:.{self.digits}f}"
        shorter = text.rstrip("0").rstrip(".")
        exact = self.rule == "exact" or "." not in text or float(text) != self.published
        return text if exact else shorter

    def text(self) -> str:
        """Ours as a text; what must be exact has no interval.

        >>> Quantity("errors", [130.0, 132.0, 134.0], digits=1).text()
        '132.0 ± 5.0'
        """
        shown = f"{self.mean:.{self.digits}f}"
        single = self.half == inf or self.rule == "exact"
        return shown if single else f"{shown} ± {self.half:.{self.digits}f}"


@dataclass(frozen=True)
class Claim:
    """A statement of a document, or of theory, that a run can bear out.

    Args:
        text: the statement.
        holds: whether it does; None if the run cannot say, as a quick one.
        detail: the numbers behind it.
        exact: whether it must hold in every run, a quick one too.
        stated: whether a document states what must be exact; if not, it is a check of our own.
    """

    text: str
    holds: bool | None
    detail: str = ""
    exact: bool = False
    stated: bool = False

    @property
    def own(self) -> bool:
        """Whether it is a check of our own."""
        return self.exact and not self.stated

    @property
    def verdict(self) -> str:
        """AGREES, DIFFERS or OPEN."""
        return OPEN if self.holds is None else AGREES if self.holds else DIFFERS


def gaps(one: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    """By how much the numbers of `one` are above those of `other`, for each seed that both have.

    >>> gaps({0: 3.0, 1: 4.0}, {1: 2.0, 2: 1.0})
    [2.0]
    """
    return [value - other[seed] for seed, value in one.items() if seed in other]


def signed(gaps: Sequence[float], digits: int = 4, among: int = 1) -> str:
    """The mean of differences with its 95 % interval, as the detail of a claim.

    One of several that 95 % is for together says so; see `interval`.

    >>> signed([0.01, 0.02, 0.03]), signed([1.5], 1), signed([])
    ('+0.0200 ± 0.0248', '+1.5', 'no runs')
    >>> signed([0.01, 0.02, 0.03], among=5)
    '+0.0200 ± 0.0573 (5 together)'
    """
    if not gaps:
        return "no runs"
    mean, half = interval(gaps, among)
    together = f" ({among} together)" if among > 1 else ""
    return f"{mean:+.{digits}f}" + (f" ± {half:.{digits}f}{together}" if half < inf else "")


def above(gaps: Sequence[float], among: int = 1) -> bool | None:
    """Whether differences are above 0 on average, by their 95 % interval `among` others; None if 0 is inside.

    >>> above([1.0, 2.0, 1.5]), above([-1.0, -2.0, -1.5]), above([1.0, -2.0, 1.5]), above([1.0]), above([])
    (True, False, None, None, None)
    """
    mean, half = interval(gaps, among) if gaps else (0.0, inf)
    return True if mean > half else False if mean < -half else None


def ordered(text: str, *gaps: Sequence[float], detail: str = "", among: int = 1) -> Claim:
    """The claim that an order of trainings holds.

    Args:
        text: the order.
        gaps: for each two neighbours in it, their differences seed by seed, positive where the order holds.
        detail: the numbers behind it; the means of `gaps` if it is not given.
        among: how many claims are tries of one question, as in `interval`.

    >>> ordered("a beats b, and b c", [0.1, 0.11, 0.12], [0.2, -0.1, 0.0]).holds is None
    True
    """
    found = [above(one, among) for one in gaps]
    holds = False if False in found else None if None in found else True
    return Claim(text, holds, detail or "; ".join(signed(one, among=among) for one in gaps))


def alike(text: str, gaps: Sequence[float], detail: str = "", among: int = 1) -> Claim:
    """The claim that differences seed by seed are 0 on average: contradicted, or open; no run can prove it.

    Arguments as of `ordered`.

    >>> [alike("a is as good as b", found).verdict for found in ([0.1, -0.1], [1.0, 1.01], [0.0])]
    ['open', 'differs', 'open']
    """
    return Claim(text, None if above(gaps, among) is None else False, detail or signed(gaps, among=among))


def crossing(one: Sequence[float], other: Sequence[float]) -> int | None:
    """The epoch, counted from 1, from which on curve `one` is below `other`; None if there is none.

    From there on to the end, which must be a tenth of all epochs, it is below in 95 % of them: a single epoch
    is chance, and says nothing of all others.

    >>> crossing([9, 7, 5, 4], [8, 7, 6, 6]), crossing([1, 1], [2, 2]), crossing([1, 2], [2, 2])
    (3, 1, None)
    >>> crossing([9, 5, 5, 7] + 17 * [5], 21 * [6]), crossing(20 * [9] + [5], 21 * [6])
    (2, None)
    """
    below = [a < b for a, b in zip(one, other, strict=False)]
    for i, here in enumerate(below):
        rest = below[i:]
        if here and 20 * rest.count(False) <= len(rest) and 10 * len(rest) >= len(below):
            return 1 + i
    return None


def lower_since(one: Sequence[float], other: Sequence[float]) -> str:
    """The crossing in words, "for good" where there is none.

    >>> lower_since([9, 7, 5, 4], [8, 7, 6, 6]), lower_since([1, 2], [2, 2])
    ('lower in 95 % of the epochs from 3 on', 'never lower for good')
    """
    epoch = crossing(one, other)
    return f"lower in 95 % of the epochs from {epoch} on" if epoch else "never lower for good"

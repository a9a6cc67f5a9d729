"""Whether ours and the published agree, by a rule that is stated with each number.

    exact       every one of ours is within the tolerance of the published number
    interval    the published number is in the 95 % interval of our mean, widened by the tolerance

The interval is that of `minidrop.intervals`. A tolerance stands for what is known of the published number:
half of its last digit, for example, or the spread that it was published with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from minidrop.intervals import interval

AGREES, DIFFERS, NOT_JUDGED = "agrees", "differs", "not judged"


@dataclass(frozen=True)
class Quantity:
    """A number of ours beside a published one.

    Args:
        name: what it is, with its unit.
        ours: one value for each seed; a single one where there is nothing random.
        published: the published number; None if there is none.
        rule: "exact" or "interval".
        tolerance: by how much the published number may be off.
        digits: how many decimals to show.
        judge: False shows the numbers side by side without a verdict, as where the setting differs.
    """

    name: str
    ours: Sequence[float]
    published: float | None = None
    rule: str = "interval"
    tolerance: float = 0.0
    digits: int = 4
    judge: bool = True

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

        >>> Quantity("errors", [1.0], 2.3094).published_text()
        '2.3094'
        """
        return "—" if self.published is None else f"{self.published:.{self.digits}f}"

    def text(self) -> str:
        """Ours as a text.

        >>> Quantity("errors", [130.0, 132.0, 134.0], digits=1).text()
        '132.0 ± 5.0'
        """
        shown = f"{self.mean:.{self.digits}f}"
        return shown if self.half == inf else f"{shown} ± {self.half:.{self.digits}f}"


@dataclass(frozen=True)
class Claim:
    """A statement of a document, or of theory, that a run can bear out.

    Args:
        text: the statement.
        holds: whether it does; None if the run cannot say, as a quick one.
        detail: the numbers behind it.
        exact: whether it must hold in every run, a quick one too.
    """

    text: str
    holds: bool | None
    detail: str = ""
    exact: bool = False

    @property
    def verdict(self) -> str:
        """AGREES, DIFFERS or NOT_JUDGED."""
        return NOT_JUDGED if self.holds is None else AGREES if self.holds else DIFFERS

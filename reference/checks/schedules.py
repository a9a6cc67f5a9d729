"""The schedules against PyTorch's schedulers, epoch by epoch."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from minidrop.optim import schedules as mine
from reference import tolerances as tol
from reference.checks.rows import Check, Comparison, Row, Setting, row
from reference.optim import schedules as theirs

EPOCHS = 60


def checks(setting: Setting) -> Iterator[Check]:
    """One for each schedule; these are Python floats whatever the dtype."""
    rng = setting.rng(0)
    a, b, decay = rng.uniform(0.1, 1.0), rng.uniform(0.1, 1.0), rng.uniform(0.9, 1.0)
    cases = {
        "constant": (mine.constant(a), lambda: theirs.constant(a, EPOCHS)),
        "exponential": (mine.exponential(a, decay), lambda: theirs.exponential(a, decay, EPOCHS)),
        "linear": (mine.linear(a, b, 40), lambda: theirs.linear(a, b, 40, EPOCHS)),
        "saturating": (mine.saturating(a, b, 20), lambda: theirs.saturating(a, b, 20, EPOCHS)),
        "step": (mine.step(a, decay, 7), lambda: theirs.step(a, decay, 7, EPOCHS)),
    }
    for name, (schedule, expected) in cases.items():
        yield Check(f"schedule {name}", partial(_rows, name, schedule, expected), getattr(mine, name))


def _rows(name: str, schedule: mine.Schedule, expected: Callable[[], list[float]]) -> Iterator[Row]:
    found = np.array([schedule(k) for k in range(EPOCHS)])
    allowed = tol.rounding("float64", tol.SCHEDULE + tol.SCHEDULE_STEP * EPOCHS)
    comparison = Comparison("value at epoch", found, np.array(expected()), allowed)
    yield row(f"schedule {name}", f"{EPOCHS} epochs", [comparison], getattr(mine, name))

"""What the tests of several benchmarks share."""

from importlib import import_module

from benchmarks.harness import agree


def built(contestant):
    """The work of a contestant, in this process."""
    module, function = contestant.make.split(":")
    return getattr(import_module(module), function)(**contestant.arguments)


def values_of(case):
    """The values that the contestants of `case` compute, by label, of those that are here and compute any."""
    works = {c.label: built(c) for c in case.contestants if not c.missing()}
    return {label: work.values(case.values) for label, work in works.items() if hasattr(work, "values")}


def assert_agreement(case):
    """Every contestant of `case` computes the same as the first."""
    values = values_of(case)
    assert len(values) > 1
    assert all(len(numbers) == case.values for numbers in values.values())
    agree(case, values)


def measured(case, seconds):
    """A case as a result holds it, with every contestant's time from `seconds`, by label."""
    return {
        "name": case.name,
        "parameters": dict(case.parameters),
        "contestants": [{"label": label, "note": "", "seconds": [time]} for label, time in seconds.items()],
        "left_out": {},
    }

"""What the jobs of a page ran on, in words."""

from collections.abc import Iterable

from docs.found import Json
from minidrop.versions import in_short


def machine(record: Json, results: Json) -> str:
    """What a job ran on; if an older version did not write it down, what its analysis did."""
    return record.get("machine") or in_short(results["versions"])


def together(machines: Iterable[str]) -> list[str]:
    """Each machine once, and those that differ in their threads alone as one.

    >>> together(["2 processors, 2 threads, with A", "another", "2 processors, 1 thread, with A"])
    ['2 processors, 1 thread or 2 threads, with A', 'another']
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for one in sorted(set(machines)):
        hardware, _, software = one.partition(", with ")
        processors, _, threads = hardware.partition(", ")
        groups.setdefault((processors, software), []).append(threads)
    return [
        f"{processors}, {' or '.join(threads)}, with {software}" if software else processors
        for (processors, software), threads in groups.items()
    ]

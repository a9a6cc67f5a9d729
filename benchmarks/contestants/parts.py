"""Where the time of an epoch goes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


class Parts(dict[str, float]):
    """Seconds by name, added up until `clear`.

    >>> parts = Parts()
    >>> for batch in parts.waits("batches", range(3)):
    ...     with parts.takes("steps"):
    ...         pass
    >>> list(parts)
    ['batches', 'steps']
    """

    @contextmanager
    def takes(self, name: str) -> Iterator[None]:
        """Count what happens inside the block."""
        since = perf_counter()
        yield
        self[name] = self.get(name, 0.0) + perf_counter() - since

    def waits(self, name: str, things: Iterable[T]) -> Iterator[T]:
        """`things`, counting what it takes to get them."""
        since = perf_counter()
        for thing in things:
            self[name] = self.get(name, 0.0) + perf_counter() - since
            yield thing
            since = perf_counter()
        self[name] = self.get(name, 0.0) + perf_counter() - since

"""The suite's own tests as calls that take a moment: checks that pass, and that fail for their mutants."""

from collections.abc import Callable
from functools import partial
from typing import Any

CHECKS: dict[str, Callable[..., Any]] = {}


class Scripted:
    """Stands for hypothesis' `data`: what it gives is written down, by label."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def draw(self, strategy: Any, label: str = "") -> Any:
        return self.values[label]


def add(name: str, test: Any, /, **arguments: Any) -> None:
    """A check: `test` with arguments; pytest's `tmp_path` is added where it asks for it.

    A property is called with these arguments as its one example, past hypothesis.
    """
    assert name not in CHECKS, f"two checks are called {name!r}"
    inner = test.hypothesis.inner_test if hasattr(test, "hypothesis") else test
    CHECKS[name] = partial(inner, **arguments)

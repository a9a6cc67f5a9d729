"""The examples in the benchmarks' docstrings; testpaths leaves them out, as some need PyTorch or JAX."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import benchmarks

FILES = Path(benchmarks.__file__).parent.rglob("*.py")
MODULES = [
    ".".join(path.relative_to(Path(benchmarks.__file__).parents[1]).with_suffix("").parts)
    for path in sorted(FILES)
    if ">>>" in path.read_text(encoding="utf-8")
]


def test_there_are_examples():
    assert "benchmarks.results" in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    done = doctest.testmod(import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert done.attempted > 0
    assert done.failed == 0

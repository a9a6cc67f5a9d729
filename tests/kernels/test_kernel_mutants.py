"""With any one of these bugs in kernels.cu a check of the suite fails, on a machine without a GPU."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import shim
import standin
from mutants_of_kernels import MUTANTS

import minidrop as md
from minidrop.backends import kernels

SOURCE = kernels.source()


@pytest.fixture(scope="module")
def compiled(compiler):
    """All mutants, compiled by as many compilers at once as there are processors."""
    sources = [SOURCE, *(SOURCE.replace(mutant.old, mutant.new) for mutant in MUTANTS)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: shim.compile(source, "float"), sources))


def failure(source, check, monkeypatch):
    """What a check says of kernels that are compiled from `source`; None if it passes."""
    monkeypatch.setattr(kernels, "source", lambda: source)
    with standin.installed(), md.using_backend("cupy") as device:
        try:
            check(device)
        except AssertionError as error:  # a wrong number, or one written to what is not the kernel's
            return error
    return None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_no_mutant_survives(mutant, compiled, monkeypatch):
    assert SOURCE.count(mutant.old) == 1
    assert failure(SOURCE.replace(mutant.old, mutant.new), mutant.check, monkeypatch)


@pytest.mark.parametrize("name", sorted({mutant.check.__qualname__ for mutant in MUTANTS}))
def test_every_check_passes_as_long_as_there_is_no_mutant(name, compiled, monkeypatch):
    for mutant in MUTANTS:
        if mutant.check.__qualname__ == name:
            assert failure(SOURCE, mutant.check, monkeypatch) is None

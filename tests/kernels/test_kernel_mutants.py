"""With any one of these bugs in kernels.cu a check of the suite fails, on a machine without a GPU."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import shim
import standin
import standin_cuda
from mutants_of_kernels import MUTANTS

import minidrop as md
from minidrop.backends import kernels

SOURCE = kernels.source()


def run(mutant, compiled):
    """What the mutant's check says of kernels that `compiled(code, options)` gives; None if it passes."""
    with pytest.MonkeyPatch.context() as patch, standin.installed(), md.using_backend("cupy") as device:
        patch.setattr(standin_cuda, "_compiled", compiled)
        try:
            mutant.check(device)
        except AssertionError as error:  # a wrong number, or one written to what is not the kernel's
            return error
    return None


@pytest.fixture(scope="module")
def originals(compiler):
    """By mutant's name what its check says of the right kernels, and the names of those that it launches."""
    found, compiled, prepare, names = {}, standin_cuda._compiled, shim.Kernels.prepare, set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            shim.Kernels, "prepare", lambda self, name, *rest: names.add(name) or prepare(self, name, *rest)
        )
        for mutant in MUTANTS:
            names.clear()
            found[mutant.name] = run(mutant, compiled), sorted(names)
    return found


@pytest.fixture(scope="module")
def mutated(originals):
    """By mutant's name the kernels of its check, from as many compilers at once as there are processors."""

    def compiled(mutant):
        return shim.compile(SOURCE.replace(mutant.old, mutant.new), names=originals[mutant.name][1])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip([mutant.name for mutant in MUTANTS], pool.map(compiled, MUTANTS), strict=True))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_no_mutant_survives(mutant, mutated):
    assert SOURCE.count(mutant.old) == 1
    assert run(mutant, lambda code, options: mutated[mutant.name])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_check_passes_as_long_as_there_is_no_mutant(mutant, originals):
    assert originals[mutant.name][0] is None

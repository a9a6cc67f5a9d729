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


def failure(mutant, compiled):
    """What the mutant's check says of kernels, which `compiled(code, options)` gives; None if it passes."""
    with pytest.MonkeyPatch.context() as patch, standin.installed(), md.using_backend("cupy") as device:
        patch.setattr(standin_cuda, "_compiled", compiled)
        try:
            mutant.check(device)
        except AssertionError as error:  # a wrong number, or one written to what is not the kernel's
            return error
    return None


@pytest.fixture(scope="module")
def originals(compiler):
    """For each mutant what its check says of the kernels as they are, and the names of those that it launches."""
    original = standin_cuda._compiled
    found = {}
    for mutant in MUTANTS:
        with pytest.MonkeyPatch.context() as patch:
            names, prepare = set(), shim.Kernels.prepare
            patch.setattr(
                shim.Kernels, "prepare", lambda self, name, *rest: names.add(name) or prepare(self, name, *rest)
            )
            found[mutant.name] = failure(mutant, original), sorted(names)
    return found


@pytest.fixture(scope="module")
def mutated(originals):
    """Of each mutant the kernels that its check launches, from as many compilers at once as there are processors."""

    def compiled(mutant):
        return shim.compile(SOURCE.replace(mutant.old, mutant.new), names=originals[mutant.name][1])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip([mutant.name for mutant in MUTANTS], pool.map(compiled, MUTANTS), strict=True))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_no_mutant_survives(mutant, mutated):
    assert SOURCE.count(mutant.old) == 1
    assert failure(mutant, lambda code, options: mutated[mutant.name])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_check_passes_as_long_as_there_is_no_mutant(mutant, originals):
    assert originals[mutant.name][0] is None

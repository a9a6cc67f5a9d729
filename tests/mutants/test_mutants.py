"""The mutation proof: with any one of these bugs in minidrop a test of the suite fails.

A check counts as having caught a bug if one of its assertions fails, or what must be refused is not; a crash
does not count.
"""

import inspect

import checks_of_fused
import checks_of_layers
import checks_of_training
import numpy as np
import pytest
from checks import CHECKS
from mutants_of_fused import FUSED_MUTANTS
from mutants_of_layers import LAYER_MUTANTS
from mutants_of_masks import MASK_MUTANTS
from mutants_of_optimizers import OPTIMIZER_MUTANTS
from mutants_of_runs import RUN_MUTANTS
from mutants_of_shares import SHARE_MUTANTS
from mutants_of_slips import SLIP_MUTANTS
from mutation import inject

assert checks_of_fused
assert checks_of_layers
assert checks_of_training  # they fill CHECKS
MUTANTS = [
    *SLIP_MUTANTS,
    *LAYER_MUTANTS,
    *MASK_MUTANTS,
    *OPTIMIZER_MUTANTS,
    *RUN_MUTANTS,
    *FUSED_MUTANTS,
    *SHARE_MUTANTS,
]
USED = sorted({mutant.check for mutant in MUTANTS})


def run(name, tmp_path):
    check = CHECKS[name]
    wants_folder = "tmp_path" in inspect.signature(check).parameters
    return check(tmp_path=tmp_path) if wants_folder else check()


@pytest.mark.parametrize("name", USED)
def test_every_check_passes_as_long_as_there_is_no_mutant(name, tmp_path):
    run(name, tmp_path)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_no_mutant_survives(mutant, tmp_path, monkeypatch):
    inject(mutant, monkeypatch)
    with np.errstate(all="ignore"), pytest.raises((AssertionError, pytest.fail.Exception)):
        run(mutant.check, tmp_path)


def test_the_mutants_have_names_of_their_own():
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names))

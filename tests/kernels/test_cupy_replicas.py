"""Replicas on the CuPy backend: all models in each launch, and each the one that it would be alone."""

import numpy as np
import pytest
from optim_helpers import EVERY
from test_cupy_runs import SIZES, build
from tolerances import TRAINING_PATH

import minidrop as md
from minidrop.data.batches import ReplicaBatches
from minidrop.replica_step import ReplicaStep, are_replicas

SEEDS = (2, 3, 4)
#: those whose every step is a kernel
KERNELS = [name for name in sorted(EVERY) if name != "published"]


def runs(backend, seeds=SEEDS, **options):
    return [md.Replica(*build(backend, seed=seed, **options), name=f"seed {seed}") for seed in seeds]


def numbers(step):
    host = step.model.backend.to_host
    return [host(a).copy() for a in (step.optimizer.parameters.flat_values, *step.optimizer.state.values())]


def assert_same(found, expected, exact):
    """On the stand-in, whose products are those of single matrices, bit for bit."""
    for mine, theirs in zip(found, expected, strict=True):
        if exact:
            np.testing.assert_array_equal(mine, theirs)
        else:
            np.testing.assert_allclose(mine, theirs, rtol=TRAINING_PATH, atol=TRAINING_PATH)


@pytest.mark.parametrize("optimizer", KERNELS)
def test_each_replica_is_the_single_run_of_its_seed(device, optimizer):
    exact = hasattr(device.xp, "standin")
    together, alone = (runs(device, optimizer=optimizer) for _ in range(2))
    states = md.fit_replicas(together, 1)
    for replica, state, single in zip(together, states, alone, strict=True):
        expected = md.fit(single.step, single.train, 1)
        assert_same(numbers(replica.step), numbers(single.step), exact)
        assert replica.step.optimizer.scalars() == single.step.optimizer.scalars()
        if exact:
            assert state == expected

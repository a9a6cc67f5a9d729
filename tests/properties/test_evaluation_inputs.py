"""Training and evaluation see the same pixels as the same numbers, which document 003's nets do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import share
from tolerances import FLOAT32_ROUNDING

from minidrop.config import TrainConfig
from minidrop.runs import Run


@pytest.mark.parametrize("normalise", ["none", "unit", "standard"])
@share(0.03)
@given(
    dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 2**64 - 1), size=st.integers(1, 1437)
)
def test_an_example_has_the_same_inputs_in_training_and_evaluation(
    tmp_path_factory, normalise, dtype, seed, size
):
    config = TrainConfig(
        layers="64-10", dropout="0", normalise=normalise, dtype=dtype, seed=seed, batch_size=size
    )
    run = Run(config, tmp_path_factory.getbasetemp())
    evaluated = np.concatenate([x.copy() for x, _ in run.evaluation("train").epoch(0)])
    trained = np.concatenate([x.copy() for x, _ in run.train.epoch(0)])
    order = run.train.stream.permutation(len(trained), 0)
    np.testing.assert_array_equal(trained, evaluated[order])
    pixels = run.dataset.train.inputs.astype(dtype)
    divisor, mean, std = run.scaling
    np.testing.assert_allclose(
        evaluated, (pixels / divisor - mean) / std, rtol=FLOAT32_ROUNDING, atol=FLOAT32_ROUNDING
    )

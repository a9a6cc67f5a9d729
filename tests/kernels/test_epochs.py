"""Epochs of `fit` on a device: nothing is read before its end, and stopping and going on change nothing."""

import kernel_checks as checks
import numpy as np
import pytest
from test_cupy_runs import build
from test_fitting import StopAfter
from tolerances import TRAINING_PATH

import minidrop as md
from minidrop.checkpoint import load_weights
from minidrop.errors import DivergenceError, Interrupted


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_device_counts_as_the_host_does(device, dtype):
    checks.check_count_batch(device, dtype)


def test_nothing_is_read_before_the_end_of_an_epoch(device, stand_in):
    step, batches = build(device, "float32")
    with stand_in.no_host_reads():
        for epoch in range(2):
            assert set(step.epoch(batches, epoch)) == {None}
    assert step.tally.batches == len(batches)
    assert step.tally.loss_sum > 0


def test_the_history_is_that_of_numpy(device):
    rows = {}
    for backend in (device, "numpy"):
        step, batches = build(backend)
        rows[backend] = md.fit(step, batches, 3, validation=batches).history
    for mine, numpys in zip(rows[device], rows["numpy"], strict=True):
        for key, value in numpys.items():
            assert mine[key] == (value if value is None else pytest.approx(value, rel=TRAINING_PATH)), key


@pytest.mark.parametrize("after", [1, 3, 5, 6])  # a step, graphs, a smaller batch
def test_a_run_that_is_interrupted_and_resumed_is_the_run_that_was_not(device, tmp_path, after):
    """Also in its history, whose losses are the same sums in the same order."""

    def fit(**options):
        step, batches = build(device, "float32")
        return md.fit(step, batches, 2, **options).history, step.model.state_dict()

    path = tmp_path / "checkpoint.safetensors"
    history, weights = fit()
    with pytest.raises(Interrupted):
        fit(checkpoint=path, reporter=StopAfter(after))
    resumed_history, resumed = fit(checkpoint=path, resume=True)
    assert resumed_history == history
    for name, value in weights.items():
        np.testing.assert_array_equal(resumed[name], value)


def test_a_run_that_diverges_is_seen_at_the_end_of_its_epoch(device, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    schedules = {"lr": lambda epoch: 1.0 if epoch == 0 else 1e300}
    step, batches = build(device)
    with pytest.raises(DivergenceError, match=r"the mean loss of the epoch became .* in epoch 2, step"):
        md.fit(step, batches, 3, checkpoint=path, schedules=schedules)
    good, batches = build(device)
    md.fit(good, batches, 1, schedules=schedules)
    for name, value in load_weights(path).items():
        np.testing.assert_array_equal(value, good.model.state_dict()[name])

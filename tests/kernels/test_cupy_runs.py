"""Whole trainings on the CuPy backend: the masks, shuffles and initial weights of NumPy, and its weights."""

import kernel_checks as checks
import numpy as np
import pytest
from layer_cases import CASES
from optim_helpers import EVERY
from test_plain import assert_same_run
from tolerances import TRAINING_PATH

import minidrop as md
from minidrop.testing import check_layer

#: three matrices with all that a fused chain can have between them
SIZES = (64, 40, 33, 10)


def build(backend, dtype="float64", optimizer="sgd-hinton", seed=2, **options):
    """A training step whose model is a fused chain, with its batches of the digits."""
    a, b, c, d = SIZES
    model = md.Sequential(
        md.Dropout(0.2, mode="paper", backend=backend),
        md.Linear(a, b, dtype=dtype, backend=backend),
        md.ReLU(backend),
        md.Dropout(0.5, backend=backend),
        md.Linear(b, c, dtype=dtype, backend=backend),
        md.Sigmoid(backend),
        md.Dropout(0.25, per="feature", backend=backend),
        md.Linear(c, d, dtype=dtype, backend=backend),
        seed=seed,
    )
    cls, own = EVERY[optimizer]
    step = md.TrainStep(
        model, md.SoftmaxCrossEntropy(backend=backend), cls(model.parameters(), **(own | options))
    )
    assert step.fused
    digits = md.data.load("digits").train
    scaling = md.Scaling(16, 0.3, 0.4)
    batches = md.data.Batches(digits, 50, seed=seed, scaling=scaling, dtype=dtype, backend=backend)
    return step, batches


def train(backend, steps, **options):
    """The losses, the masks of each step and the weights at the end, all on the host."""
    step, batches = build(backend, **options)
    host, losses, masks = step.model.backend.to_host, [], []
    for epoch in range(-(-steps // len(batches))):
        for x, labels in batches.epoch(epoch):
            if len(losses) < steps:
                losses.append(step(x, labels))
                masks.append([host(step.model[i].mask).copy() for i in (0, 3, 6)])
    return [float(loss) for loss in losses], masks, step.model.state_dict()


def test_200_steps_are_those_of_numpy(device):
    losses, masks, weights = train(device, 200, lr=1.0)
    numpy_losses, numpy_masks, numpy_weights = train("numpy", 200, lr=1.0)
    for mine, numpys in zip(masks, numpy_masks, strict=True):
        for mask, numpy_mask in zip(mine, numpys, strict=True):
            np.testing.assert_array_equal(mask, numpy_mask)
    np.testing.assert_allclose(losses, numpy_losses, rtol=TRAINING_PATH)
    for name, value in weights.items():
        np.testing.assert_allclose(value, numpy_weights[name], rtol=TRAINING_PATH, atol=TRAINING_PATH)
    assert numpy_losses[-1] < 0.9 * numpy_losses[0]


def test_initial_weights_and_shuffles_are_numpys_bit_for_bit(device):
    mine, numpys = build(device, "float32"), build("numpy", "float32")
    for name, value in mine[0].model.state_dict().items():
        np.testing.assert_array_equal(value, numpys[0].model.state_dict()[name])
    for (_, labels), (_, numpy_labels) in zip(mine[1].epoch(3), numpys[1].epoch(3), strict=True):
        np.testing.assert_array_equal(device.to_host(labels), numpy_labels)


def test_a_run_of_every_layer_is_the_run_on_numpy(device):
    assert_same_run(device)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_runs_are_equal_bit_for_bit(device, dtype):
    first, second = (train(device, 12, dtype=dtype) for _ in range(2))
    assert first[0] == second[0]
    for name, value in first[2].items():
        np.testing.assert_array_equal(value, second[2][name])


@pytest.mark.parametrize("optimizer", [name for name in sorted(EVERY) if name != "published"])
def test_a_step_allocates_nothing_and_does_not_wait(device, stand_in, monkeypatch, optimizer):
    """After the first steps, which make the buffers; and beyond the copy of the loss that it returns."""
    monkeypatch.setattr(device, "kept", lambda loss: loss)
    step, batches = build(device, "float32", optimizer)
    for i, (x, labels) in enumerate(batches.epoch(0)):
        if i < 2:
            step(x, labels)
        elif i < 5:
            with stand_in.no_host_reads(), stand_in.no_allocations():
                step(x, labels)


def test_losses_of_former_steps_stay_what_they_were(device):
    step, batches = build(device)
    losses = [step(x, labels) for x, labels in batches.epoch(0)]
    assert len({float(loss) for loss in losses}) == len(losses)
    loss = md.SoftmaxCrossEntropy(backend=device)
    logits = device.asarray(np.eye(3))
    labels = device.asarray(np.arange(3))
    first = loss.forward(logits, labels)
    before = float(first)
    loss.forward(100 * logits, labels)
    assert float(first) == before


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_layer_passes_the_checks_that_are_for_everyone(device, name):
    """Derivatives by differences and by complex step, adjointness, modes, copies, unusual inputs."""
    layer = CASES[name](5, "float64")
    assert layer.backend is device
    options = {"freeze": lambda layer: layer.set_step(0)} if hasattr(layer, "set_step") else {}
    assert check_layer(layer, input_shape=(4, 5), **options).passed


def test_a_resumed_run_is_the_run_that_was_not_interrupted(device, tmp_path):
    """The device's count of steps and its momentum come back from the checkpoint."""

    def fit(epochs, **options):
        step, batches = build(device, "float32", "adam")
        md.fit(step, batches, epochs, **options)
        return step.model.state_dict()

    whole, path = fit(2), tmp_path / "checkpoint.safetensors"
    fit(1, checkpoint=path)
    resumed = fit(2, checkpoint=path, resume=True)
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value)


@pytest.mark.gpu
def test_memory_does_not_grow_over_10_000_steps(device):
    if hasattr(device.xp, "standin"):
        pytest.skip("a question for a GPU's own memory")
    step, batches = build(device, "float32")
    pool, used = device.xp.get_default_memory_pool(), []
    done = 0
    for epoch in range(10_000 // len(batches) + 1):
        for x, labels in batches.epoch(epoch):
            step(x, labels)
            done += 1
        used.append(pool.total_bytes())
    assert done >= 10_000
    assert len(set(used[1:])) == 1


def test_a_mask_given_to_a_fused_chain_is_used_as_it_is(device):
    def run(backend):
        step, batches = build(backend)
        x, labels = next(iter(batches.epoch(0)))
        asarray = step.model.backend.asarray
        step.model[3].use_mask(asarray(np.arange(SIZES[1]) % 2 == 0))
        step.model[6].use_mask(asarray(np.ones(1, bool)))
        step(x, labels)
        return step.model

    mine, numpys = run(device), run("numpy")
    for name, value in mine.state_dict().items():
        checks.assert_close(device, device.asarray(value), numpys.state_dict()[name], "float64")

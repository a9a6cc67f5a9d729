"""Epochs in CUDA graphs: the bits of steps that are launched one by one, and what is not recorded."""

import numpy as np
import pytest
from optim_helpers import EVERY
from test_cupy_runs import build
from test_updates import count_launches

import minidrop as md
from minidrop import captured
from minidrop.backends.cupy_backend import CupyBackend
from minidrop.errors import BackendError
from minidrop.optim import Group

#: optimizers whose steps are not recorded, and why
NOT_RECORDED = {
    "published": "one by one: there is no kernel for this SGDHinton",
    "nadam": "one by one: each step takes numbers from the host",
}
IN_GRAPHS = "in CUDA graphs of 3 steps"


@pytest.fixture(autouse=True)
def _graphs_of_three_steps(monkeypatch):
    monkeypatch.setattr(captured, "STEPS", 3)
    monkeypatch.setattr("minidrop.training.STEPS", 3)


def make(device, optimizer="sgd-hinton", batch_size=200, change=None, **options):
    """A step, and batches of the digits: seven, and one of 37."""
    step, _ = build(device, "float32", optimizer, **options)
    if change is not None:
        change(step)
    digits = md.data.load("digits").train
    return step, md.data.Batches(digits, batch_size, scaling=md.Scaling(16), backend=device)


def everything(step):
    """Weights, slots, the last masks, and what is counted."""
    host = step.model.backend.to_host
    arrays = [step.optimizer.parameters.flat_values, *step.optimizer.state.values()]
    dropouts = [layer for _, layer in step.model.leaves() if isinstance(layer, md.Dropout)]
    counts = step.optimizer.scalars(), [layer.step for layer in dropouts]
    return [host(array).copy() for array in (*arrays, *(layer.mask for layer in dropouts))], counts


def assert_equal_to_one_by_one(device, monkeypatch, run, expected=IN_GRAPHS):
    """Whatever `run` does, it is the same in graphs and without; its history and all else that is left."""
    history, step = run()
    assert step.launches == expected
    with monkeypatch.context() as patch:
        patch.setattr("minidrop.training.obstacle", lambda *_: "forbidden")
        other_history, other = run()
        assert other.launches == "one by one: forbidden"
    assert history == other_history
    (arrays, counts), (others, other_counts) = everything(step), everything(other)
    assert counts == other_counts
    for mine, theirs in zip(arrays, others, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def fit(device, optimizer="sgd-hinton", epochs=2, schedules=None, change=None, **options):
    def run():
        step, batches = make(device, optimizer, change=change, **options)
        return md.fit(step, batches, epochs, schedules=schedules).history, step

    return run


@pytest.mark.parametrize("optimizer", sorted(EVERY))
def test_every_optimizer_is_equal_bit_for_bit(device, monkeypatch, optimizer):
    """With η and μ that change from epoch to epoch, and a momentum that begins with 0."""
    schedules = {"lr": lambda epoch: 0.05 / (epoch + 1)}
    if hasattr(EVERY[optimizer][0], "momentum"):
        schedules["momentum"] = lambda epoch: (0.0, 0.5, 0.9)[epoch]
    run = fit(device, optimizer, 3, schedules)
    assert_equal_to_one_by_one(device, monkeypatch, run, NOT_RECORDED.get(optimizer, IN_GRAPHS))


@pytest.mark.parametrize(
    "options",
    [
        {"schedules": {"weight_decay": lambda epoch: 0.1 * epoch}},  # which is passed by value
        {"batch_size": 1437},  # one step an epoch
        {"batch_size": 479, "epochs": 3},  # three, and no smaller one
        {"batch_size": 719, "optimizer": "adam"},  # one whole batch, and one of 718
        {"groups": {"*.bias": Group(lr_scale=0.5)}},
        {"change": lambda step: step.model.seed(7)},
    ],
)
def test_other_runs_are_equal_bit_for_bit(device, monkeypatch, options):
    assert_equal_to_one_by_one(device, monkeypatch, fit(device, **options))


def test_what_happens_between_two_epochs_is_seen(device, monkeypatch):
    """Weights, momentum, masks and a larger batch by hand; other batches, and the first again."""

    def run():
        step, batches = make(device)
        _, larger = make(device, batch_size=300)
        weights = step.model.state_dict()
        losses = []

        def train(on, epoch):
            for _ in step.epoch(on, epoch):
                pass
            losses.append(step.tally.loss_sum)

        train(batches, 0)
        step(*next(larger.epoch(0)))
        train(batches, 1)
        train(batches, 1)  # the smaller batch has taken the larger buffers
        step.model.load_state_dict(weights)
        step.optimizer.momentum, step.optimizer.lr = 0.25, 0.5
        step.optimizer.projections.append(md.MaxNorm(0.3))
        train(batches, 2)
        step.model.seed(9)
        train(larger, 3)
        train(batches, 4)
        md.evaluate(step.model, larger)
        train(batches, 5)
        return losses, step

    assert_equal_to_one_by_one(device, monkeypatch, run)


def test_an_epoch_is_launches_of_graphs(device, stand_in, monkeypatch):
    """Two of three steps, one of one; kernels are launched for the smaller batch alone, nothing is read."""
    step, batches = make(device)
    for epoch in range(2):
        list(step.epoch(batches, epoch))
    kernels, graphs = count_launches(device, monkeypatch), []
    cls = type(step.captured.graphs[3])
    original = cls.launch
    monkeypatch.setattr(cls, "launch", lambda graph: (graphs.append(len(graph)), original(graph)))
    before = stand_in.allocations
    with stand_in.no_host_reads():
        told = list(step.epoch(batches, 2))
    assert told == [None] * 4
    assert graphs[0] == graphs[1] == 3 * graphs[2]
    assert kernels.count("gather_bytes") == 1
    assert (
        stand_in.allocations == before + 1
    )  # the epoch's order, which is copied from there to where it stays


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda step: step.model[3].use_mask(step.model.backend.asarray(np.ones((), bool))),
            "a mask is given",
        ),
        (
            lambda step: step.optimizer.projections.append(type("Mine", (md.MaxNorm,), {})(1.0)),
            "a projection is the user's own",
        ),
    ],
)
def test_what_is_not_recorded(device, monkeypatch, change, reason):
    assert_equal_to_one_by_one(device, monkeypatch, fit(device, change=change), f"one by one: {reason}")


def test_models_and_data_that_are_not_recorded(device):
    step, batches = make(device)
    assert step.launches == "one by one: there was no epoch yet"
    layers = md.TrainStep(step.model, step.loss, step.optimizer, fused=False)
    list(layers.epoch(batches, 0))
    assert layers.launches == "one by one: the step is not fused"
    digits = md.data.load("digits").train
    examples = md.data.Examples(digits.inputs.astype("float64"), digits.labels)
    list(step.epoch(md.data.Batches(examples, 719, backend=device), 0))
    assert step.launches == "one by one: inputs are float64, neither bytes nor float32"
    host, batches = build("numpy")
    list(host.epoch(batches, 0))
    assert host.launches == ""


def test_a_recording_that_fails_is_not_tried_again(device, monkeypatch):
    tried = []

    def record(self, work):
        tried.append(work)
        raise BackendError("CUDA cannot record it: because")

    def run():
        with monkeypatch.context() as patch:
            patch.setattr(CupyBackend, "record", record)
            return fit(device)()

    assert_equal_to_one_by_one(device, monkeypatch, run, "one by one: CUDA cannot record it: because")
    assert len(tried) == 1


def test_the_summary_says_how_kernels_were_launched(device, minidrop):
    code, out, err = minidrop(
        "train", "--backend", "cupy", "--epochs", 1, "--layers", "64-8-10", "--dropout", 0
    )
    assert code == 0, err
    assert "in CUDA graphs of 3 steps" in out

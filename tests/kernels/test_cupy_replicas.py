"""Replicas on the CuPy backend: all models in each launch, and each the one that it would be alone."""

import kernel_checks as checks
import numpy as np
import pytest
from optim_helpers import EVERY
from test_cupy_runs import build
from test_replicas import Told
from tolerances import TRAINING_PATH

import minidrop as md
from minidrop.data import Batches, Examples
from minidrop.data.batches import ReplicaBatches, are_alike
from minidrop.errors import Interrupted, UsageError
from minidrop.optim import Group
from minidrop.replica_step import ReplicaStep, are_replicas

SEEDS = (2, 3, 4)
DIGITS = md.data.load("digits")
#: four batches of 50, the last of them with 20 examples
SOME = DIGITS.train.take(range(170))


def replica(backend, seed, held_out=0, folder=None, batch=50, **options):
    """A run of a few digits, with a validation set of its own if examples are held out."""
    step, whole = build(backend, seed=seed, **options)
    train, validation = md.data.split(SOME, held_out, seed)
    common = {"scaling": whole.scaling, "dtype": whole.dtype, "backend": backend}
    return md.Replica(
        step,
        Batches(train, batch, seed=seed, **common),
        None if validation is None else Batches(validation, held_out, shuffle=False, **common),
        schedules={"lr": md.schedules.exponential(step.optimizer.lr, 0.9)},
        checkpoint=None if folder is None else folder / str(seed),
    )


def alone(replica, epochs):
    return md.fit(
        replica.step, replica.train, epochs, validation=replica.validation, schedules=replica.schedules
    )


def numbers(step):
    host = step.model.backend.to_host
    return [host(a).copy() for a in (step.optimizer.parameters.flat_values, *step.optimizer.state.values())]


def assert_same(device, found, expected):
    """On the stand-in, whose products are those of single matrices, bit for bit."""
    for mine, theirs in zip(found, expected, strict=True):
        if hasattr(device.xp, "standin"):
            np.testing.assert_array_equal(mine, theirs)
        else:
            np.testing.assert_allclose(mine, theirs, rtol=TRAINING_PATH, atol=TRAINING_PATH)


def check_steps(device, **options):
    """Losses, weights and slots of an epoch in one step for all, and in a step for each."""
    together, single = ([replica(device, seed, **options) for seed in SEEDS] for _ in range(2))
    steps, each = [one.step for one in together], [one.train for one in together]
    assert are_replicas(steps)
    assert are_alike(each)
    batches, losses, expected = ReplicaBatches(each), [], []
    step = ReplicaStep(steps, batches)
    for x, labels in batches.epoch(1):
        losses.append(device.to_host(step(x, labels)).copy())
    for one in single:
        expected.append([float(one.step(x, labels)) for x, labels in one.train.epoch(1)])
    assert_same(device, losses, np.transpose(expected))
    for one, other in zip(together, single, strict=True):
        assert_same(device, numbers(one.step), numbers(other.step))
        assert one.step.optimizer.scalars() == other.step.optimizer.scalars()


@pytest.mark.parametrize("optimizer", [name for name in sorted(EVERY) if name != "published"])
def test_a_step_for_all_is_a_step_for_each(device, optimizer):
    check_steps(device, optimizer=optimizer)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"held_out": 20},
        {"limit": {"1.weight": 0.3, "4.weight": 0.7, "7.weight": 0.2}},
        {"groups": {"*.bias": Group(lr_scale=2.0, weight_decay=0.1)}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_step_for_all_has_the_options_of_a_step_for_each(device, options):
    check_steps(device, **options)


@pytest.mark.parametrize("optimizer", ["sgd-hinton", "adam"])
def test_epochs_of_all_in_graphs_are_those_by_launches_and_those_of_each(device, optimizer, monkeypatch):
    """Over changes of the learning rate and a last batch that is smaller."""
    options = {"optimizer": optimizer, "batch": 15, "dtype": "float32"}
    in_graphs, by_launches = ([replica(device, seed, **options) for seed in SEEDS] for _ in range(2))
    states = md.fit_replicas(in_graphs, 3)
    assert all(one.step.launches.startswith("in CUDA graphs") for one in in_graphs) or not device.records
    monkeypatch.setattr(device, "records", False)
    assert md.fit_replicas(by_launches, 3) == states
    assert all(one.step.launches.startswith("one by one: products") for one in by_launches)
    for one, other, seed in zip(in_graphs, by_launches, SEEDS, strict=True):
        for mine, theirs in zip(numbers(one.step), numbers(other.step), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert_same(device, numbers(one.step), numbers(trained(replica(device, seed, **options))))


def trained(one):
    alone(one, 3)
    return one.step


def test_kernels_of_several_replicas(device):
    checks.check_replicas(device, "float32", seed=0)
    checks.check_replicas(device, "float64", seed=1)


def test_gradients_are_there_if_they_were_asked_for(device):
    def gradients(asked):
        made = [replica(device, seed) for seed in SEEDS]
        for one in made if asked else ():
            one.step.gradients = True
        batches = ReplicaBatches([one.train for one in made])
        ReplicaStep([one.step for one in made], batches)(*next(batches.epoch(0)))
        return [one.step.model[4].weight.grad for one in made]

    asked = gradients(True)
    for seed, found in zip(SEEDS, asked, strict=True):
        single = replica(device, seed)
        step = md.TrainStep(single.step.model, single.step.loss, single.step.optimizer, gradients=True)
        step(*next(single.train.epoch(0)))
        assert_same(device, [device.to_host(found)], [device.to_host(single.step.model[4].weight.grad)])
    if device.records:
        with pytest.raises(UsageError, match="added the gradient to the velocity"):
            gradients(False)


def test_masks_and_shuffles_are_those_of_numpy_bit_for_bit(device):
    together = [replica(device, seed) for seed in SEEDS]
    batches = ReplicaBatches([one.train for one in together])
    step = ReplicaStep([one.step for one in together], batches)
    host = device.to_host
    for number, (x, labels) in enumerate(batches.epoch(0)):
        step(x, labels)
        for k, seed in enumerate(SEEDS):
            layers, order = together[k].step.model, together[k].train.stream.permutation(len(SOME), 0)
            chosen = order[50 * number :][: labels.shape[1]]
            np.testing.assert_array_equal(host(labels)[k], SOME.labels[chosen])
            for i, block in enumerate([step.input, *step.blocks[:-1]]):
                stream, keep = layers[3 * i].stream, host(block.keep if i != 1 else block.keep.keep)[k]
                assert stream.seed == seed
                expected = stream.lanes(keep.size, number) >= layers[3 * i].rate.threshold
                np.testing.assert_array_equal(keep, expected.reshape(keep.shape))


def test_more_replicas_are_no_more_launches(device, monkeypatch):
    launch, names = device._launch, []
    monkeypatch.setattr(
        device, "_launch", lambda name, *rest, **more: (names.append(name), launch(name, *rest, **more))
    )
    found = []
    for seeds in (SEEDS[:2], SEEDS):
        md.fit_replicas([replica(device, seed) for seed in seeds], 1)
        found.append([name for name in names if name != "squared_row_norms"])  # of the history's row
        names.clear()
    assert found[0] == found[1]


def test_a_step_for_all_allocates_nothing_and_does_not_wait(device, stand_in):
    """After the first, which makes the buffers."""
    together = [replica(device, seed, dtype="float32") for seed in SEEDS]
    batches = ReplicaBatches([one.train for one in together])
    step = ReplicaStep([one.step for one in together], batches)
    for i, (x, labels) in enumerate(batches.epoch(0)):
        if i == 0:
            step(x, labels)
        elif i < 3:  # the last batch is smaller, and has views of its own
            with stand_in.no_host_reads(), stand_in.no_allocations():
                step(x, labels)


def test_interrupted_replicas_go_on_to_the_same_bits(device, tmp_path):
    """Also those with validation sets of their own, and whose best epochs differ.

    In graphs an epoch of fifteen batches is ten and five steps, but the first begins with a step alone.
    """
    options = {"held_out": 20, "batch": 10}
    whole = [replica(device, seed, **options) for seed in SEEDS]
    expected = md.fit_replicas(whole, 3)
    with pytest.raises(Interrupted, match="interrupted in epoch 2 after batch 10 of 15"):
        md.fit_replicas(
            [replica(device, seed, folder=tmp_path, **options) for seed in SEEDS], 3, reporter=Told(4)
        )
    again = [replica(device, seed, folder=tmp_path, **options) for seed in SEEDS]
    assert md.fit_replicas(again, 3, resume=True) == expected
    for one, other in zip(again, whole, strict=True):
        for mine, theirs in zip(numbers(one.step), numbers(other.step), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_replicas_are_those_of_numpy(device):
    states = md.fit_replicas([replica(device, seed, held_out=20) for seed in SEEDS], 2)
    for state, seed in zip(states, SEEDS, strict=True):
        expected = alone(replica("numpy", seed, held_out=20), 2)
        for row, theirs in zip(state.history, expected.history, strict=True):
            known = {key: value for key, value in theirs.items() if value is not None}
            assert {key: row[key] for key in known} == pytest.approx(known, rel=TRAINING_PATH)


def test_a_model_of_the_replicas_goes_on_alone(device):
    """Its memory lies among the others', which it must leave as they are."""
    together = [replica(device, seed) for seed in SEEDS]
    md.fit_replicas(together, 1)
    before = [numbers(one.step) for one in together[1:]]
    x, labels = next(together[0].train.epoch(0))
    together[0].step(x, labels)
    for one, expected in zip(together[1:], before, strict=True):
        for mine, theirs in zip(numbers(one.step), expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_models_that_were_trained_alone_are_trained_together_and_alone_again(device):
    """Their memory moves in between, and a graph knows addresses."""
    found = []
    for way in ("together", "alone"):
        made = [replica(device, seed, batch=15) for seed in SEEDS]
        for one in made:
            md.fit(one.step, one.train, 1)
        if way == "together":
            md.fit_replicas(made, 1)
        else:
            for one in made:
                alone(one, 1)
        for one in made:
            md.fit(one.step, one.train, 2)
        found.append([numbers(one.step) for one in made])
    for mine, theirs in zip(*found, strict=True):
        assert_same(device, mine, theirs)


def given_mask(device):
    one = replica(device, 3)
    one.step.model[0].use_mask(device.asarray(np.ones(64, bool)))
    return one


DIFFERENT = {
    "a seed that is not the next": lambda device: replica(device, 4),
    "another learning rate": lambda device: replica(device, 3, lr=0.3),
    "another weight decay": lambda device: replica(device, 3, weight_decay=0.1),
    "another optimizer": lambda device: replica(device, 3, optimizer="adam"),
    "another limit": lambda device: replica(device, 3, limit=0.4),
    "another dtype": lambda device: replica(device, 3, dtype="float32"),
    "a mask that is given": given_mask,
    "a formula without a kernel": lambda device: replica(device, 3, optimizer="published"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_runs_that_differ_in_more_than_their_seeds_are_trained_one_by_one(device, what):
    made = [replica(device, 2), DIFFERENT[what](device)]
    assert not are_replicas([one.step for one in made])
    assert not are_replicas([one.step for one in made[::-1]])
    states = md.fit_replicas(made, 1)
    assert states[0] == alone(replica(device, 2), 1)
    assert states[1] == alone(DIFFERENT[what](device), 1)


def test_two_projections_are_more_than_a_kernel_does(device):
    def two(seed):
        made = replica(device, seed)
        made.step.optimizer.projections.append(md.MaxNorm(0.1))
        return made

    states = md.fit_replicas([two(2), two(3)], 1)
    assert [state.history for state in states] == [alone(two(seed), 1).history for seed in (2, 3)]


def test_batches_that_are_not_alike():
    def batches(size=50, **options):
        return Batches(SOME, size, **options)

    assert are_alike([batches(), batches(seed=1)])
    others = batches(40), batches(drop_last=True), batches(dtype="float64"), batches(shuffle=False)
    more = batches(scaling=md.Scaling(16)), Batches(Examples(SOME.inputs[:160], SOME.labels[:160]), 50)
    for other in (*others, *more):
        assert not are_alike([batches(), other])


def test_train_and_eval_replicas_on_the_device(device, minidrop):
    arguments = ["--layers", "64-16-10", "--dropout", 0.2, "--epochs", 1, "--validation", 1300]
    code, out, err = minidrop("train", "--backend", "cupy", "--replicas", 2, *arguments, "--run", "run")
    assert code == 0, err
    code, again, err = minidrop("eval", "run")
    assert again.splitlines()[1:] == out.splitlines()[-3:]

"""fit_replicas: each run is the one that it would be alone, however they share the threads."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from training_helpers import INPUTS, LABELS, assert_same, build, snapshot

import minidrop as md
from minidrop import threads
from minidrop.data import Batches, Examples
from minidrop.errors import ArgumentError, DivergenceError, Interrupted
from minidrop.intervals import mean_row

SEEDS = (0, 1, 2)


def held_out(seed):
    """The same examples for all, in another order for each, so that a mix-up shows."""
    order = np.random.default_rng(seed).permutation(len(LABELS))[:9]
    return Batches(Examples(INPUTS[order], LABELS[order]), 9, shuffle=False, dtype="float64")


def replicas(seeds=SEEDS, folder=None, **options):
    made = []
    for seed in seeds:
        step, train = build(seed=seed, **options)
        path = None if folder is None else folder / f"{seed}.safetensors"
        schedules = {"lr": md.schedules.exponential(0.2, 0.9)}
        made.append(
            md.Replica(step, train, held_out(seed), schedules=schedules, checkpoint=path, name=f"seed {seed}")
        )
    return made


def alone(replica, epochs=3):
    """The run that `fit` makes of it, on one thread."""
    with threads.limited(1):
        return md.fit(
            replica.step,
            replica.train,
            epochs,
            validation=replica.validation,
            schedules=replica.schedules,
            checkpoint=replica.checkpoint,
        )


def assert_each_is_alone(found, states, epochs=3):
    for replica, state, single in zip(found, states, replicas(), strict=True):
        assert state == alone(single, epochs)
        assert_same(snapshot(replica.step), snapshot(single.step))


class Told:
    """A reporter that remembers what it is told, and may send this process a signal after some batches."""

    def __init__(self, stop_after=-1):
        self.left, self.began, self.batches, self.rows = stop_after, None, [], []

    def running(self, done, epochs, batches):
        from contextlib import nullcontext

        self.began = (done, epochs, batches)
        return nullcontext(self)

    def batch(self, batch, loss):
        self.batches.append(batch)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)

    def epoch(self, row):
        self.rows.append(row)


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_each_replica_is_the_single_run_of_its_seed_bit_for_bit(number):
    with threads.limited(number):
        found = replicas()
        assert_each_is_alone(found, md.fit_replicas(found, 3))


def layers_of_every_kind(seed):
    """Layers that no fused step knows, with weights and draws of their own."""
    return md.Sequential(
        md.GaussianNoise(0.1),
        md.DropConnect(12, 10, drop_prob=0.4, dtype="float64"),
        md.StochasticReLU(0.3),
        md.Linear(10, 3, dtype="float64"),
        seed=seed,
    )


def test_any_layers_and_any_optimizer_can_be_replicas():
    def run(seed):
        model = layers_of_every_kind(seed)
        step = md.TrainStep(model, md.SoftmaxCrossEntropy(), md.Adam(model.parameters(), lr=0.01))
        return md.Replica(step, build(seed=seed)[1])

    together = [run(seed) for seed in SEEDS]
    states = md.fit_replicas(together, 2)
    for replica, state, seed in zip(together, states, SEEDS, strict=True):
        single = run(seed)
        with threads.limited(1):
            assert state == md.fit(single.step, single.train, 2)
        assert_same(snapshot(replica.step), snapshot(single.step))


class Asking(Batches):
    """Batches that ask something when an epoch begins, in the thread that trains."""

    def __init__(self, ask, seed):
        super().__init__(Examples(INPUTS, LABELS), 8, seed=seed, dtype="float64")
        self.ask = ask

    def epoch(self, epoch, start=0):
        self.ask()
        return super().epoch(epoch, start)


def asking(ask, seed):
    return md.Replica(build(seed=seed)[0], Asking(ask, seed), name=f"seed {seed}")


@pytest.fixture
def two_threads():
    with threads.limited(2):
        if threads.available() < 2:
            pytest.skip("nobody knows how many threads NumPy's products use here")
        yield
        assert threads.available() == 2


def test_the_replicas_share_the_threads(two_threads):
    """Two at the same time, which wait here for one another; one of them is this one."""
    meeting, names = threading.Barrier(2, timeout=60), set()

    def meet():
        meeting.wait()
        names.add(threading.current_thread().name)
        assert threads.available() == 1, "the products of a replica are on its own thread"

    md.fit_replicas([asking(meet, 0), asking(meet, 1)], 2)
    assert len(names) == 2
    assert threading.current_thread().name in names


def test_a_replica_that_catches_up_alone_has_one_thread_too(two_threads, tmp_path):
    made, found = replicas((0, 1), folder=tmp_path), []
    alone(made[0], 1)
    late = replicas((0, 1), folder=tmp_path)
    late[1] = asking(lambda: found.append(threads.available()), 1)
    md.fit_replicas(late, 1, resume=True)
    assert found == [1]


def test_replicas_of_another_thread_than_the_main_one_have_one_thread_each_too(two_threads):
    found = []
    made = [asking(lambda: found.append(threads.available()), seed) for seed in (0, 1)]
    with ThreadPoolExecutor(1) as other:
        other.submit(md.fit_replicas, made, 1).result()
    assert found == [1, 1]


def test_an_error_in_one_replica_stops_all(two_threads):
    begun = []

    def fail():
        begun.append(1)
        if len(begun) == 4:
            raise ZeroDivisionError

    told = Told()
    with pytest.raises(ZeroDivisionError):
        md.fit_replicas([asking(fail, seed) for seed in SEEDS], 100, reporter=told)
    assert len(told.rows) == 1


def test_the_reporter_is_told_of_all_batches_and_of_the_mean():
    told = Told()
    states = md.fit_replicas(replicas(), 2, reporter=told)
    assert told.began == (0, 2, 3 * 8)
    assert len(told.batches) == 2 * 3 * 8
    assert told.batches[23] == told.batches[47] == 24
    assert told.rows == [mean_row([state.history[epoch] for state in states]) for epoch in (0, 1)]


def test_the_mean_of_rows():
    rows = [
        {
            "epoch": 3,
            "step": 24,
            "learning_rate": 0.1,
            "momentum": None,
            "test_errors": errors,
            "test_loss": loss,
        }
        for errors, loss in ((4, None), (10, None))
    ]
    assert mean_row(rows) == {
        "epoch": 3,
        "step": 24,
        "learning_rate": 0.1,
        "momentum": None,
        "test_errors": 7.0,
        "test_errors_std": pytest.approx(18**0.5),
        "test_loss": None,
        "test_loss_std": None,
    }


@pytest.mark.parametrize("after", [1, 23, 24, 31])
@pytest.mark.parametrize("number", [1, 2])
def test_replicas_that_are_interrupted_and_resumed_are_those_that_were_not(after, number, tmp_path):
    with threads.limited(number):
        words = r"in epoch \d after batch \d of 8 \(seed \d\); all 3 runs are saved$"
        with pytest.raises(Interrupted, match=words):
            md.fit_replicas(replicas(folder=tmp_path), 3, reporter=Told(after))
        found, told = replicas(folder=tmp_path), Told()
        assert_each_is_alone(found, md.fit_replicas(found, 3, resume=True, reporter=told))
        if number == 1:  # on two threads one more may have been under way
            assert told.batches[0] == after % 24 + 1


def test_a_replica_whose_checkpoint_is_older_catches_up(tmp_path):
    """As after a kill between two checkpoints: one run is two epochs behind, one has not begun."""
    made = replicas(folder=tmp_path)
    alone(made[0], 2)
    alone(made[1], 1)
    told, found = Told(), replicas(folder=tmp_path)
    assert_each_is_alone(found, md.fit_replicas(found, 3, resume=True, reporter=told))
    assert told.began == (0, 3, 3 * 8)
    assert [row["epoch"] for row in told.rows] == [1, 2, 3]
    assert told.batches[-1] == 24


def test_a_run_can_go_on_alone(tmp_path):
    md.fit_replicas(replicas(folder=tmp_path), 2)
    (one,) = replicas([1], folder=tmp_path)
    (expected,) = replicas([1])
    with threads.limited(1):
        state = md.fit(
            one.step,
            one.train,
            3,
            validation=one.validation,
            schedules=one.schedules,
            checkpoint=one.checkpoint,
            resume=True,
        )
    assert state == alone(expected)


def test_replicas_of_which_one_diverges_stop_and_name_it(tmp_path):
    made = replicas(folder=tmp_path)
    made[1].step.model[6].bias.value = np.array([np.nan, 0, 0])
    with pytest.raises(
        DivergenceError, match=r"^seed 1: the loss became nan in epoch 1, step 1 .*1\.safetensors"
    ):
        md.fit_replicas(made, 3)
    again = replicas(folder=tmp_path)
    states = md.fit_replicas([again[0], again[2]], 3, resume=True)
    for state, single in zip(states, replicas([0, 2]), strict=True):
        assert state == alone(single)


@pytest.mark.parametrize(("shared", "says"), [("step", "one model"), ("checkpoint", "one checkpoint")])
def test_replicas_share_nothing(shared, says, tmp_path):
    one, other, _ = replicas(folder=tmp_path)
    with pytest.raises(ArgumentError, match=f"two of the replicas have {says}: each needs its own"):
        md.fit_replicas([one, replace(other, **{shared: getattr(one, shared)})], 1)
    assert not list(tmp_path.iterdir())


def test_no_replicas_are_refused():
    with pytest.raises(ArgumentError, match="number of replicas must be an integer of at least 1, got 0"):
        md.fit_replicas([], 1)

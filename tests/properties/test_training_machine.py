"""A training with interruptions of all kinds, in any order, is the plain training bit for bit.

Hypothesis drives it: steps, evaluations, checkpoints, resumes into a fresh model, switches between training
and evaluation, passes on the side, looks at masks. A plain run, which only steps, says what must come out.
"""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from optim_helpers import EVERY
from strategies import batch_for, nets, seeds

import minidrop as md
from minidrop.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from minidrop.data import Batches, Examples
from minidrop.errors import UsageError

LR = 0.05
RNG = np.random.default_rng(0)
EXAMPLES = Examples(RNG.integers(0, 256, (17, 6)).astype(np.uint8), RNG.integers(0, 3, 17))


def build(name: str, seed: int):
    """A net with every kind of randomness, a step of the optimizer `name`, and its batches."""
    model = md.Sequential(
        md.Dropout(0.2, mode="paper"),
        md.DropConnect(6, 5, drop_prob=0.3, per="example", activation=md.StochasticReLU(0.2), samples=3),
        md.Dropout(0.3, per="feature"),
        md.DropConnect(5, 4, drop_prob=0.3),
        md.GaussianNoise(0.3),
        md.Linear(4, 3),
        seed=seed,
    )
    cls, options = EVERY[name]
    step = md.TrainStep(model, md.SoftmaxCrossEntropy(), cls(model.parameters(), **options))
    return step, Batches(EXAMPLES, 5, seed=seed, scaling=md.Scaling(255))


def train(step: md.TrainStep, batches: Batches) -> float:
    """The next step of the run: which batch it is follows from how many there were."""
    epoch, batch = divmod(step.optimizer.steps, len(batches))
    step.optimizer.lr = LR * 0.9**epoch
    if hasattr(step.optimizer, "momentum"):
        step.optimizer.momentum = min(0.5 + 0.1 * epoch, 0.9)
    return float(step(*next(batches.epoch(epoch, start=batch))))


def snapshot(step: md.TrainStep) -> list[bytes]:
    """Weights, slots and scalars."""
    optimizer = step.optimizer
    arrays = [optimizer.parameters.flat_values, *optimizer.state.values()]
    return [array.tobytes() for array in arrays] + [repr(optimizer.scalars()).encode()]


class TrainingMachine(RuleBasedStateMachine):
    """`self.path[t]` is the plain run after t steps, `self.losses[t]` the loss of the next."""

    @initialize(name=st.sampled_from(list(EVERY)), seed=seeds)
    def start(self, name, seed):
        self.name, self.seed = name, seed
        self.folder = Path(tempfile.mkdtemp())
        self.plain, self.plain_batches = build(name, seed)
        self.path, self.losses = [snapshot(self.plain)], []
        self.step, self.batches = build(name, seed)
        self.saved: list[Path] = []

    @rule(times=st.integers(1, 3))
    def train(self, times):
        for _ in range(times):
            t = self.step.optimizer.steps
            if t == len(self.losses):
                self.losses.append(train(self.plain, self.plain_batches))
                self.path.append(snapshot(self.plain))
            assert train(self.step, self.batches) == self.losses[t]

    @rule()
    def save(self):
        path = self.folder / f"{len(self.saved)}.safetensors"
        optimizer = self.step.optimizer
        save_checkpoint(path, optimizer.parameters, optimizer, TrainingState(batch=optimizer.steps))
        self.saved.append(path)

    @precondition(lambda self: self.saved)
    @rule(data=st.data(), fresh=st.booleans())
    def resume(self, data, fresh):
        """Into a fresh model, whose own initial weights are of no account, or into the one at hand."""
        path = data.draw(st.sampled_from(self.saved))
        if fresh:
            self.step, self.batches = build(self.name, self.seed)
            self.step.optimizer.parameters.flat_values[...] = 1
        optimizer = self.step.optimizer
        state, _, _ = load_checkpoint(path, optimizer.parameters, optimizer)
        assert optimizer.steps == state.batch

    @rule(training=st.booleans())
    def switch(self, training):
        self.step.model.train(training)

    @rule()
    def evaluate(self):
        batches = Batches(EXAMPLES, 17, shuffle=False, scaling=md.Scaling(255))
        result = md.evaluate(self.step.model, batches)
        assert result == md.evaluate(self.step.model, batches)
        assert result.size == 17

    @rule(rows=st.integers(1, 4), set_step=st.sampled_from([None, 0, 7]))
    def pass_on_the_side(self, rows, set_step):
        if set_step is not None:
            self.step.model.set_step(set_step)
        self.step.model.forward(np.ones((rows, 6), np.float32))

    @rule()
    def look_at_masks(self):
        for layer in self.step.model.layers[:-1]:
            with suppress(UsageError):  # before its first training pass, or after an average, it has none
                assert np.isfinite(layer.mask).all()

    @invariant()
    def is_where_the_plain_run_was(self):
        assert snapshot(self.step) == self.path[self.step.optimizer.steps]

    def teardown(self):
        shutil.rmtree(self.folder, ignore_errors=True)


TestTrainingMachine = TrainingMachine.TestCase
TestTrainingMachine.settings = settings(stateful_step_count=20)


@given(net=nets(), batch_seed=seeds, name=st.sampled_from(list(EVERY)))
def test_a_step_trains_in_whatever_mode_the_model_was(net, batch_seed, name):
    cls, options = EVERY[name]
    twins = [net.build(), net.build()]
    twins[1].eval()
    for model in twins:
        step = md.TrainStep(model, md.SoftmaxCrossEntropy(), cls(model.parameters(), **options))
        step(*batch_for(net, 4, batch_seed))
        assert all(leaf.training for _, leaf in model.leaves())
    np.testing.assert_array_equal(*(model.parameters().flat_values for model in twins))

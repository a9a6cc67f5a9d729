"""The nets that are grown are those that are named, and an epoch is one."""

import numpy as np
import pytest
from benchmark_helpers import assert_agreement, built
from numpy.testing import assert_allclose

from benchmarks import epoch, scaling
from benchmarks.contestants.minidrop_epoch import MinidropEpoch
from benchmarks.contestants.minidrop_step import MinidropStep
from benchmarks.images import images
from benchmarks.workload import Workload

SMALL = Workload((20, 32, 32, 10), batch=30)


def test_each_axis_grows_alone_from_one_base():
    *grown, _ = scaling.cases(quick=False)
    sizes = [{axis: case.parameters[axis] for axis in scaling.AXES} for case in grown]
    assert sizes.count(scaling.BASE) == 1
    for axis, values in scaling.AXES.items():
        others = {other: scaling.BASE[other] for other in scaling.BASE if other != axis}
        found = [size[axis] for size in sizes if size.items() >= others.items()]
        assert found == list(values)


def test_the_last_case_is_document_001s_net():
    case = scaling.cases(quick=False)[-1]
    assert case.values == 0
    assert case.parameters["weight_bytes"] == 4 * (785 * 8192 + 2 * 8193 * 8192 + 8193 * 10)
    for contestant in case.contestants:
        work = Workload(**{key: contestant.arguments[key] for key in vars(Workload())})
        assert (work.sizes, work.batch) == ((784, 8192, 8192, 8192, 10), 1000)
        assert (work.drops, work.momentum, work.limit) == ((0, 0.1, 0.2, 0.2), 0, 0)


@pytest.mark.parametrize("case", scaling.cases(quick=True), ids=lambda case: case.name)
def test_plain_and_hintons_steps_are_pytorchs(case):
    pytest.importorskip("torch")
    net = scaling.Case(case.name, {}, case.contestants, scaling.STEPS, scaling.TOLERANCE)
    assert_agreement(net)


def test_plain_sgd_remembers_nothing():
    plain = MinidropStep(Workload((4, 3, 2), momentum=0, limit=0, drops=(0, 0)), fused=True)
    assert not plain.step.optimizer.state
    assert MinidropStep(Workload((4, 3, 2), drops=(0, 0)), fused=True).step.optimizer.state


def test_memory_is_what_was_added():
    case = {"parameters": {"weight_bytes": 2_000_000}}
    one = {"peak_bytes": 13_000_000, "bytes_before": 10_000_000}
    assert scaling.memory_column(one, case) == "3 MB"
    assert scaling.times_weights(one, case) == "1.5"
    untold = one | {"peak_bytes": None}
    assert scaling.memory_column(untold, case) == scaling.times_weights(untold, case) == "-"


def assert_shuffled(batches, examples):
    """The batches hold every image once, in another order."""
    found, given = np.rint(np.concatenate(batches) * 255), examples.inputs
    assert found.shape == given.shape
    assert (found != given).any()
    assert_allclose(found[np.lexsort(found.T)], given[np.lexsort(given.T)])


@pytest.fixture
def minidrop_epoch():
    return MinidropEpoch(SMALL, train=100, test=1000)


def test_an_epoch_sees_every_image_once(minidrop_epoch, monkeypatch):
    seen = []
    step = type(minidrop_epoch.step).__mro__[1].__call__
    monkeypatch.setattr(
        type(minidrop_epoch.step).__mro__[1],
        "__call__",
        lambda self, x, labels: (seen.append(x.copy()), step(self, x, labels))[1],
    )
    minidrop_epoch()
    assert [len(x) for x in seen] == [30, 30, 30, 10]
    assert_shuffled(seen, images(SMALL, 100))


def test_pytorchs_epoch_sees_every_image_once(monkeypatch):
    pytest.importorskip("torch")
    contestants = [one for one in epoch.cases(quick=True)[0].contestants if "torch" in one.needs]
    assert len(contestants) == 2
    for contestant in contestants:
        work = built(contestant)
        seen, step = [], type(work.step).__call__
        monkeypatch.setattr(
            type(work.step),
            "__call__",
            lambda self, seen=seen, step=step: (seen.append(self.inputs.numpy().copy()), step(self))[1],
        )
        work()
        monkeypatch.undo()
        assert_shuffled(seen, images(Workload(sizes=(20, 32, 32, 10)), 2000))


def test_the_contestants_of_an_epoch_test_the_same_net():
    pytest.importorskip("torch")
    assert_agreement(epoch.cases(quick=True)[0])


def test_the_parts_of_an_epoch_begin_anew(minidrop_epoch):
    minidrop_epoch()
    assert set(minidrop_epoch.parts()) == {"steps", "batches", "test"}
    for part in minidrop_epoch.parts():
        minidrop_epoch.parts()[part] = 1e6
    minidrop_epoch()
    assert max(minidrop_epoch.parts().values()) < 1e6


def test_training_and_test_images_differ():
    assert not (images(SMALL, 50).inputs == images(SMALL, 50, test=True).inputs).all()


def test_shares_of_an_epoch():
    one = {"seconds": [1.0, 2.0], "parts": [{"steps": 0.5, "batches": 0.1, "test": 0.2}] * 2}
    assert_allclose(epoch.share("steps", one), (0.5 + 0.25) / 2)
    assert_allclose(epoch.share("rest", one), (0.2 + 0.6) / 2)
    assert epoch.share("steps", {"seconds": [1.0]}) is None

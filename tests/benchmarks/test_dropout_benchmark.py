import numpy as np
import pytest
from benchmark_helpers import built, measured
from numpy.testing import assert_allclose
from tolerances import FLOAT32_ROUNDING, STANDARD_ERRORS

from benchmarks import dropout
from benchmarks.dropout import Draw, given
from benchmarks.harness import Contestant

torch = pytest.importorskip("torch", reason="some contestants are PyTorch's")

SHAPE = (150, 401)  # an odd number of elements: the last word of a generator is used in part
DROPS = (0.2, 0.5)


def contestants(entries, drop):
    """The contestants of a case on SHAPE."""
    for label, maker, arguments, needs, _ in entries:
        given = {"shape": SHAPE, "drop": drop, **arguments}
        yield pytest.param(
            Contestant(label, f"benchmarks.dropout:{maker}", given, needs), id=f"{label} {drop}"
        )


masks = pytest.mark.parametrize("contestant", [c for drop in DROPS for c in contestants(dropout.MASKS, drop)])
layers = pytest.mark.parametrize(
    "contestant", [c for drop in DROPS for c in contestants(dropout.LAYERS, drop)]
)


def assert_rate(keep, drop):
    """The share of elements that are kept is 1 - drop, as far as chance allows: in all, rows and columns."""
    assert keep.shape == SHAPE
    for axis, among in ((None, keep.size), (1, SHAPE[1]), (0, SHAPE[0])):
        error = (drop * (1 - drop) / among) ** 0.5
        assert np.abs(keep.mean(axis=axis) - (1 - drop)).max() < STANDARD_ERRORS * error


def start(contestant):
    """Its work, unless its library is missing."""
    if contestant.missing():
        pytest.skip(f"{contestant.missing()} not installed")
    return built(contestant)


@masks
def test_masks_keep_what_they_should(contestant):
    work = start(contestant)
    drawn = []
    for _ in range(2):
        work()
        drawn.append(np.asarray(work.mask).copy())
        assert drawn[-1].dtype == bool
        assert_rate(drawn[-1], contestant.arguments["drop"])
    assert (drawn[0] != drawn[1]).any()


def test_a_mask_that_keeps_what_it_should_drop_is_caught():
    work = Draw(lambda: np.random.default_rng(0).random(SHAPE) < DROPS[0])
    work()
    with pytest.raises(AssertionError):
        assert_rate(work.mask, DROPS[0])


def test_a_mask_that_is_the_same_for_a_whole_row_is_caught():
    keep = np.arange(SHAPE[0])[:, None] % 2 == 0  # the share of all is right
    with pytest.raises(AssertionError):
        assert_rate(np.broadcast_to(keep, SHAPE), DROPS[1])


@layers
def test_layers_multiply_both_ways_by_one_mask(contestant):
    work, drop = start(contestant), contestant.arguments["drop"]
    x, dy = given(SHAPE)
    kept = []
    for _ in range(2):
        work()
        y, dx = np.asarray(work.y), np.asarray(work.dx)
        keep = y != 0
        assert_rate(keep, drop)
        assert_allclose(y, x * keep / (1 - drop), rtol=FLOAT32_ROUNDING)
        assert_allclose(dx, dy * keep / (1 - drop), rtol=FLOAT32_ROUNDING)
        kept.append(keep)
    assert (kept[0] != kept[1]).any()


def test_minidrops_mask_is_a_function_of_the_step():
    first, again = dropout.keep_mask(SHAPE, 0.5), dropout.keep_mask(SHAPE, 0.5)
    first()
    once = first.mask.copy()
    first()
    again()
    assert (again.mask == once).all()
    assert (first.mask != once).any()


def test_the_figure_has_a_panel_for_masks_and_one_for_layers():
    cases = dropout.cases(False)
    result = {"cases": [measured(case, {c.label: 1e-3 for c in case.contestants}) for case in cases]}
    figure = dropout.draw(result)
    assert [len(axes.texts) for axes in figure.axes] == [2 * len(dropout.MASKS), 2 * len(dropout.LAYERS)]

"""The strategies make what they say, and every layer that they make passes check_layer."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidrop as md
from minidrop.testing import check_layer, check_loss, strategies

some = settings(deadline=None, derandomize=True, max_examples=60, database=None)


@some
@given(strategies.layers(), strategies.seeds(), st.integers(1, 3))
def test_every_layer_passes_check_layer(layer, seed, batch):
    from minidrop.testing.context import shape_for

    check_layer(layer, input_shape=(batch, *shape_for(layer, None)[1:]), seed=seed)


@some
@given(strategies.logits_and_labels())
def test_logits_with_labels_pass_check_loss(pair):
    z, labels = pair
    assert labels.shape == (len(z),)
    assert labels.dtype.kind in "iu"
    assert labels.max() < z.shape[1]
    check_loss(md.SoftmaxCrossEntropy(), z, labels)


@some
@given(strategies.arrays(dtype=strategies.dtypes(), margin=0.1, layout=None))
def test_arrays_keep_away_from_zero(x):
    assert x.dtype in (np.float32, np.float64)
    assert np.isfinite(x).all()
    assert (np.abs(x) >= 0.1).all()


@some
@given(strategies.arrays((3, 4)), st.sampled_from(strategies.LAYOUTS))
def test_layouts_change_memory_and_no_values(x, layout):
    view = strategies.lay_out(x, layout)
    np.testing.assert_array_equal(view, x)
    assert view.flags.c_contiguous == (layout == "contiguous")


@some
@given(strategies.shapes(3, 4), strategies.probabilities(), strategies.networks(2, dtype="float32"))
def test_the_rest(shape, p, net):
    assert len(shape) == 3
    assert all(1 <= side <= 4 for side in shape)
    assert 0 <= p <= 1
    assert net.parameters().dtype == np.float32


def test_without_hypothesis_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "minidrop.testing.strategies")
    with pytest.raises(md.MinidropError, match="pip install hypothesis"):
        __import__("minidrop.testing.strategies")


def test_minidrop_does_not_import_its_testing_nor_testing_hypothesis():
    code = (
        "import sys, minidrop; assert 'minidrop.testing' not in sys.modules; "
        "import minidrop.testing; assert 'hypothesis' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

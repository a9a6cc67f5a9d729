"""What Adam's two corrections of bias do, and what document 004's printed formula does instead."""

import numpy as np
import pytest
from optim_helpers import assert_same_path, random_gradients, run, small_model, start_of

import minidrop as md


def moves(steps: int, gradient: np.ndarray, **options) -> np.ndarray:
    """How far each weight moves in each of `steps` steps along one constant gradient, with lr 1."""
    optimizer = md.Adam(small_model().parameters(), lr=1.0, eps=0.0, **options)
    optimizer.parameters.flat_values[...] = 0
    path = run(optimizer, np.broadcast_to(gradient, (steps, gradient.size)))
    return np.diff(path, axis=0, prepend=0.0)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_first_step_is_the_learning_rate_against_the_gradients_sign(scale):
    gradients = random_gradients(0, 1) * scale
    optimizer = md.Adam(small_model().parameters(), lr=0.3, eps=0.0)
    start = start_of(optimizer)
    assert_same_path(run(optimizer, gradients)[0] - start, -0.3 * np.sign(gradients[0]))


def test_a_rescaled_loss_changes_no_bit():
    """A power of two passes through every operation exactly: m scales by c, √v by c, and c cancels."""
    gradients = random_gradients(1, 30)
    plain, scaled = (md.Adam(small_model().parameters(), lr=0.1, eps=0.0) for _ in range(2))
    np.testing.assert_array_equal(run(plain, gradients), run(scaled, 1024.0 * gradients))


def test_along_a_constant_gradient_every_step_is_the_learning_rate():
    gradient = random_gradients(2, 1)[0]
    assert_same_path(moves(100, gradient), np.broadcast_to(-np.sign(gradient), (100, gradient.size)))


def test_the_printed_formula_steps_further_by_what_the_document_omits():
    """√v for √v̂ divides by less: the ratio of the steps is (1 - β₂ᵗ)^-½."""
    gradient = random_gradients(3, 1)[0]
    ratio = moves(1000, gradient, corrected=False) / moves(1000, gradient)
    t = np.arange(1, 1001)[:, None]
    assert_same_path(ratio, np.broadcast_to((1 - 0.999**t) ** -0.5, ratio.shape))
    assert [f"{ratio[t - 1, 0]:.3g}" for t in (1, 10, 100, 1000)] == ["31.6", "10", "3.24", "1.26"]


def test_decoupled_decay_shrinks_the_weight_and_leaves_the_moments_alone():
    """L2 regularisation drowns in Adam's own scaling; decoupled decay does not enter the moments."""
    gradients = random_gradients(4, 5)
    coupled, decoupled, plain = (
        md.Adam(small_model().parameters(), weight_decay=0.5),
        md.AdamW(small_model().parameters(), weight_decay=0.5),
        md.Adam(small_model().parameters()),
    )
    for optimizer in (coupled, decoupled, plain):
        run(optimizer, gradients)
    for slot in ("first_moment", "second_moment"):
        np.testing.assert_array_equal(decoupled.state[slot], plain.state[slot])
        assert (coupled.state[slot] != plain.state[slot]).any()

"""Hinton's optimizer as the paper has it, and each slip of document 000 alone and together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optim_helpers import assert_same_path, fixed_examples, make, random_gradients, run, seeds, small_model
from tolerances import OPTIMIZERS_APART

import minidrop as md
from minidrop.errors import ArgumentError
from minidrop.optim import largest_row_norm

STEPS = 30
SLIPS = ("ascend-first", "ascend-plain", "stale-norm", "limit-norm", "limit-output")
#: both readings of it bind: rows of small_model are about 1 long and move by about 0.1 a step
LIMIT = 0.4


def shortening(matrix: np.ndarray, length: float) -> np.ndarray:
    """For each row the factor that makes it no longer than `length`."""
    factors = np.ones((len(matrix), 1))
    for i, row in enumerate(matrix):
        norm = np.sqrt(sum(x * x for x in row))
        if norm > length:
            factors[i] = length / norm
    return factors


def document_000(p: np.ndarray, gradients, lr, momentum, l2_limit: float) -> list[np.ndarray]:
    """What `SGDHinton.step` of document 000 does to one parameter, in the document's own order."""
    buffer, path = None, []
    for g, learning_rate, mu in zip(gradients, lr, momentum, strict=True):
        renorm = 1.0
        move = g
        if mu != 0:
            if buffer is None:
                buffer = g  # nothing scales it, and nothing turns its sign
            else:
                buffer = mu * buffer - learning_rate * (1 - mu) * g
                if l2_limit > 0 and p.ndim > 1:
                    renorm = shortening(p, l2_limit)  # p is not yet updated
                move = buffer
        p = (p + move) * renorm
        path.append(p)
    return path


def paper(p: np.ndarray, gradients, lr, momentum, limit: float, hidden: bool, slips=()) -> list[np.ndarray]:
    """Hinton et al. 2012, appendix A, for one parameter; each slip changes what its name says."""
    length = limit if "limit-norm" in slips else np.sqrt(limit)
    limited = limit > 0 and p.ndim > 1 and (hidden or "limit-output" in slips)
    velocity, path = np.zeros_like(p), []
    steps_with_momentum = 0
    for g, eps, mu in zip(gradients, lr, momentum, strict=True):
        steps_with_momentum += mu != 0
        first = mu != 0 and steps_with_momentum == 1
        factors = 1.0
        if limited and "stale-norm" in slips and not first:
            factors = shortening(p, length)
        plain = mu == 0 and "ascend-plain" in slips
        if plain:
            p = p + g
        elif first and "ascend-first" in slips:
            velocity = g
            p = p + velocity
        else:
            velocity = mu * velocity - (1 - mu) * eps * g
            p = p + velocity
        if limited and "stale-norm" not in slips:
            factors = shortening(p, length)
        if not plain:
            p = p * factors  # the velocity never hears of it
        path.append(p)
    return path


def schedules(seed: int, steps: int = STEPS) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([seed, 1])
    return {"lr": rng.uniform(0.1, 2.0, steps), "momentum": rng.uniform(0.3, 0.95, steps)}


def compare(seed: int, schedule: dict[str, np.ndarray], reference, limit: float = LIMIT, **options) -> None:
    """Run SGDHinton, and `reference(name, start, gradients)` for each parameter of the same model."""
    model = small_model(seed=seed)
    arena = model.parameters()
    gradients = random_gradients(seed, len(schedule["lr"]))
    expected = {
        name: reference(name, arena[name].value.copy(), [arena.views(g)[name] for g in gradients])
        for name in arena
    }
    path = run(md.SGDHinton(arena, lr=1.0, limit=limit, **options), gradients, **schedule)
    for name in arena:
        assert_same_path(np.array([arena.views(w)[name] for w in path]), np.array(expected[name]))


def is_hidden(name: str) -> bool:
    return not name.startswith("2.")  # small_model has three layers


@pytest.mark.parametrize("limit", [LIMIT, 0])
@given(seed=seeds)
@fixed_examples
def test_the_paper_updates_then_projects_and_the_velocity_does_not_see_it(seed, limit):
    schedule = schedules(seed)
    compare(
        seed, schedule, lambda name, p, g: paper(p, g, **schedule, limit=limit, hidden=is_hidden(name)), limit
    )


@pytest.mark.parametrize("pauses", [(), (1, 2, 9), (0, 1, 5)], ids=["", "momentum pauses", "starts late"])
@pytest.mark.parametrize("slip", SLIPS)
@given(seed=seeds)
@fixed_examples
def test_each_slip_alone(seed, slip, pauses):
    schedule = schedules(seed)
    schedule["momentum"][list(pauses)] = 0.0
    compare(
        seed,
        schedule,
        lambda name, p, g: paper(p, g, **schedule, limit=LIMIT, hidden=is_hidden(name), slips=(slip,)),
        slips=slip,
    )


@given(seed=seeds, chosen=st.sets(st.sampled_from(SLIPS)))
@fixed_examples
def test_slips_together(seed, chosen):
    schedule = schedules(seed)
    schedule["momentum"][10:12] = 0.0
    compare(
        seed,
        schedule,
        lambda name, p, g: paper(p, g, **schedule, limit=LIMIT, hidden=is_hidden(name), slips=chosen),
        slips=chosen,
    )


@pytest.mark.parametrize(
    "without_momentum",
    [slice(0), slice(7, 10), slice(0, 3), slice(None)],
    ids=["", "momentum pauses", "starts late", "never starts"],
)
@pytest.mark.parametrize("limit", [0.9, 0])
@given(seed=seeds)
@fixed_examples
def test_published_is_what_document_000_does(seed, limit, without_momentum):
    """It ascends, and skips the limit, at the first step with momentum: that is when it makes its buffer."""
    schedule = schedules(seed)
    schedule["momentum"][without_momentum] = 0.0
    compare(
        seed,
        schedule,
        lambda name, p, g: document_000(p, g, **schedule, l2_limit=limit),
        limit,
        slips="published",
    )


@pytest.mark.parametrize("slip", SLIPS)
def test_each_slip_makes_a_difference(slip):
    """Guard of the tests above: with the setup that they use, no slip is invisible."""
    schedule, gradients = schedules(0), random_gradients(0, STEPS)
    schedule["momentum"][5] = 0.0
    right, wrong = (make("sgd-hinton", limit=LIMIT, slips=slips) for slips in ((), slip))
    right, wrong = (run(optimizer, gradients, **schedule) for optimizer in (right, wrong))
    assert np.abs(right - wrong).max() > OPTIMIZERS_APART


def test_published_starts_away_from_the_paper_by_the_first_gradient():
    """With no limit: (1 + (1 - μ) ε) g_1 after step 1, since one goes up by g and the other down."""
    lr, mu, g = 0.1, 0.5, random_gradients(0, 1)
    right, wrong = (
        run(md.SGDHinton(small_model().parameters(), lr, mu, limit=0, slips=slips), g)[0]
        for slips in ((), "published")
    )
    assert_same_path(wrong - right, (1 + (1 - mu) * lr) * g[0])


def test_the_paper_holds_the_limit_and_a_stale_norm_does_not():
    schedule, gradients = schedules(0), 10 * random_gradients(0, STEPS)
    right, stale = (make("sgd-hinton", limit=LIMIT, slips=slips) for slips in ((), "stale-norm"))
    for optimizer in (right, stale):
        run(optimizer, gradients, **schedule)
    assert largest_row_norm(right.parameters) ** 2 <= LIMIT + OPTIMIZERS_APART
    assert largest_row_norm(stale.parameters) ** 2 > LIMIT + OPTIMIZERS_APART


def test_the_papers_values_are_the_defaults():
    optimizer = md.SGDHinton(small_model().parameters())
    assert (optimizer.lr, optimizer.momentum, optimizer.form) == (10.0, 0.5, "hinton")
    (projection,) = optimizer.projections
    assert projection.lengths(optimizer.parameters) == {"0.weight": 15**0.5, "1.weight": 15**0.5}


def test_names_of_slips():
    def slips(given) -> set[str]:
        return set(md.SGDHinton(small_model().parameters(), slips=given).slips)

    assert set(md.SGDHinton.SLIPS) == set(SLIPS)
    assert slips("published") == slips(["published"]) == slips(["stale-norm", "published"]) == set(SLIPS)
    assert slips(()) == set()
    assert slips("stale-norm") == slips(["stale-norm"]) == {"stale-norm"}
    for unknown in ("stale", "", ["limit-norm", "climb"], "ascend-first,stale-norm"):
        with pytest.raises(ArgumentError, match="slip must be one of ascend-first"):
            slips(unknown)


@pytest.mark.parametrize("limit", [-1.0, float("nan"), float("inf"), "x", True], ids=repr)
def test_limits_that_are_none_are_refused(limit):
    with pytest.raises(ArgumentError, match="limit"):
        md.SGDHinton(small_model().parameters(), limit=limit)


@pytest.mark.parametrize("slips", [(), "published"])
@pytest.mark.parametrize("name", ["0.bias", "3.weight", "*.weight"])
def test_limits_for_what_is_no_weight_matrix_are_refused_before_any_step(name, slips):
    with pytest.raises(ArgumentError, match=r"the weight matrices are 0\.weight, 1\.weight, 2\.weight"):
        md.SGDHinton(small_model().parameters(), limit={"0.weight": 1.0, name: 2.0}, slips=slips)


def test_limit_zero_is_none():
    assert md.SGDHinton(small_model().parameters(), limit=0).projections == []
    assert md.SGDHinton(small_model().parameters(), limit=0, slips="published").projections == []


def test_further_projections_stay_and_come_first():
    mine = md.MaxNorm({"2.weight": 0.1})
    first, second = md.SGDHinton(small_model().parameters(), projections=[mine]).projections
    assert first is mine
    assert set(second.lengths(small_model().parameters())) == {"0.weight", "1.weight"}

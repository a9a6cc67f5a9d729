"""The checks of other inputs: not contiguous, batches of one and of none, larger x, moved parameters."""

import warnings
from collections.abc import Callable

import numpy as np

from minidrop.backends import Array
from minidrop.testing.context import Context, gradient_name
from minidrop.testing.derivatives import Mover, Probe, central_slopes
from minidrop.testing.findings import Findings
from minidrop.testing.report import Outcome, SkipCheck, raised
from minidrop.testing.subject import Subject, host
from minidrop.testing.tolerances import CENTRAL, ROUNDING


def non_contiguous(ctx: Context) -> Outcome:
    """x and dy in Fortran order, strided and backwards give what contiguous ones give."""
    found = Findings(ctx.tolerance("non-contiguous input", ROUNDING), ctx.batch)
    plain = ctx.run()
    for how, view in _views(ctx).items():
        fresh = ctx.subject.copy()
        try:
            done = fresh.run(view(ctx.x), view(ctx.dy))
        except Exception as error:
            found.require(False, f"x and dy {how}: {raised(error)}")
            continue
        found.compare(f"y of x {how}", done.y, plain.y, "a contiguous x")
        for name, gradient in done.gradients.items():
            if gradient is not None and plain.gradients[name] is not None:
                what = f"{gradient_name(name)}, x and dy {how},"
                found.compare(what, gradient, plain.gradients[name], "contiguous ones")
    return found.outcome()


def _views(ctx: Context) -> dict[str, Callable[[Array], Array]]:
    xp = ctx.xp

    def strided(array: Array) -> Array:
        wide = xp.full((*array.shape[:-1], 2 * array.shape[-1]), 7.0)
        wide[..., ::2] = array
        return wide[..., ::2]

    def backwards(array: Array) -> Array:
        return xp.ascontiguousarray(array[::-1])[::-1]

    return {"in Fortran order": xp.asfortranarray, "strided": strided, "backwards in memory": backwards}


def size_one(ctx: Context) -> Outcome:
    """A batch of one has the right gradients; an empty one raises, or gives empty arrays and no NaN."""
    found = Findings(ctx.tolerance("size one", CENTRAL), 1)
    x = ctx.copy(ctx.x_smooth[:1])
    try:
        y = ctx.subject.copy().forward(ctx.copy(x))
        if found.require(y.shape == (1, *ctx.dy.shape[1:]), f"y of a batch of one has shape {y.shape}"):
            _along_directions(ctx, found, ctx.subject, x, ctx.copy(ctx.dy[:1]), "of a batch of one")
    except Exception as error:
        found.require(False, f"a batch of one: {raised(error)}")
    fresh, empty = ctx.subject.copy(), ctx.xp.zeros((0, *ctx.x.shape[1:]))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # NumPy warns of a mean of nothing; what counts is the result
            y = fresh.forward(empty)
            gradients = fresh.run(empty, ctx.xp.zeros((0, *y.shape[1:]))).gradients
    except Exception:
        return found.outcome("an empty batch raises")
    found.require(len(y) == 0, f"y of an empty batch has shape {y.shape}")
    for name, gradient in gradients.items():
        bad = gradient is not None and bool(np.any(host(gradient)))  # NaN counts as well
        found.require(not bad, f"{gradient_name(name)} of an empty batch is neither zero nor refused")
    return found.outcome("an empty batch gives an empty y")


def elsewhere(ctx: Context, larger: float) -> Outcome:
    """Where each parameter is moved by a tenth, and a drawn x is `larger`, the gradients are right too.

    A gain of 1, a gate of 0 or an x below a bound says nothing of what multiplies by it or is cut off there.
    """
    found = Findings(ctx.tolerance("elsewhere", CENTRAL), ctx.batch)
    subject, rng = ctx.subject.copy(), ctx.generator()
    for value in subject.values().values():
        amount = ctx.xp.asarray(rng.choice([-0.1, 0.1], value.shape))
        value[...] += amount * ctx.xp.where(value == 0, 1, value)
    x = larger * ctx.x if ctx.drawn else ctx.x_smooth
    try:
        with np.errstate(all="ignore"):
            y = host(subject.copy().forward(ctx.copy(x)))
    except Exception as error:
        raise SkipCheck(f"forward does not work there: {raised(error)}") from None
    if not np.isfinite(y).all():
        raise SkipCheck("forward is not finite there")
    _along_directions(ctx, found, subject, x, ctx.dy, f"at moved parameters{' and a larger x' * ctx.drawn}")
    return found.outcome()


def _along_directions(
    ctx: Context, found: Findings, subject: Subject, x: Array, dy: Array, where: str
) -> None:
    gradients = ctx.run(x, dy, subject).gradients
    mover, rng = Mover(subject.copy(), ctx.copy(x)), ctx.generator()
    for name, value in ({"input": x} | subject.values()).items():
        gradient, what = gradients[name], f"{gradient_name(name)} {where}"
        shape = host(gradient).shape
        if shape != value.shape:
            whole = host(ctx.smooth_run.gradients[name]).shape  # if wrong too, the check of shapes says so
            found.require(whole != value.shape, f"{what} has shape {shape}")
            continue
        directions = [rng.uniform(-1, 1, value.shape) for _ in range(3)]
        probes = [Probe(f"along random direction {k}", None, v) for k, v in enumerate(directions)]
        slopes = central_slopes(mover, name, probes, host(dy), closer=True)
        got = np.array([probe.of(host(gradient)) for probe in probes])
        labels = [probe.label for probe in probes]
        scale = max(slopes.scale, float(np.abs(host(gradient)).max(initial=0)))
        found.compare(
            what, got, slopes.values, "central differences", scale=scale, valid=slopes.smooth, labels=labels
        )

"""The checks that the backward pass is the derivative of the forward pass."""

import numpy as np

from minidrop.testing.context import Context, Host, gradient_name
from minidrop.testing.derivatives import Slopes, complex_derivative
from minidrop.testing.findings import Findings
from minidrop.testing.report import Outcome, SkipCheck
from minidrop.testing.subject import host
from minidrop.testing.tolerances import CENTRAL, COMPLEX, COMPLEX_STEP, DIRECTIONS, ROUNDING


def finite_differences(ctx: Context, of: str = "<dy, y>") -> Outcome:
    """dL/dθ = (L(θ + h) - L(θ - h)) / 2h with L = <dy, y>, for the input and every parameter."""
    found = Findings(ctx.tolerance("finite differences", CENTRAL), ctx.batch)
    aside = 0
    for name, slopes in ctx.central.items():
        finite = np.isfinite(slopes.values)
        found.require(bool(finite.all()), f"forward is not finite when {name} is moved by 6e-6")
        valid = slopes.smooth & finite
        aside += int((~slopes.smooth).sum())
        fine = bool(valid.any()) or not len(valid)
        found.require(fine, f"{name}: every element lies at a kink, so nothing was checked; give another x")
        _compare(ctx, found, name, slopes.values, valid, f"central differences of {of}", slopes.scale)
    moved = int((host(ctx.x_smooth) != host(ctx.x)).sum())
    notes = [f"{moved} moved off a kink"] * (moved > 0) + [f"{aside} at a kink set aside"] * (aside > 0)
    return found.outcome(", ".join(notes))


def complex_step(ctx: Context, analytic: bool | None) -> Outcome:
    """dL/dθ = Im L(θ + ih) / h, exact to rounding, where forward is analytic."""
    if analytic is False:
        raise SkipCheck("as analytic=False says")
    found = Findings(ctx.tolerance("complex step", COMPLEX), ctx.batch)
    slopes = ctx.complex
    if isinstance(slopes, str):
        if not analytic:
            raise SkipCheck(slopes)
        found.require(False, f"analytic=True, but {slopes}")
        return found.outcome()
    for name, values in slopes.items():
        smooth, scale = ctx.central[name].smooth, ctx.central[name].scale
        _compare(ctx, found, name, values, smooth, "complex step", scale)
    return found.outcome()


def adjointness(ctx: Context, analytic: bool | None) -> Outcome:
    """<dy, J v> = <Jᵀ dy, v> for random v, J v by complex step where that can be, else by differences."""
    exact = analytic is not False and not isinstance(ctx.complex, str)
    default = COMPLEX if exact else CENTRAL
    found = Findings(ctx.tolerance("adjointness", default), ctx.batch)
    mover, rng = ctx.mover("complex128" if exact else "float64"), np.random.default_rng(ctx.seed + 1)
    dy, gradients = host(ctx.dy), ctx.smooth_run.gradients
    h = COMPLEX_STEP if exact else float(np.cbrt(np.finfo(float).eps))
    kinks = 0
    for name, slopes in ctx.central.items():
        if not _usable(ctx, name):
            continue
        gradient, lefts, rights, labels = host(gradients[name]), [], [], []
        scale = slopes.scale
        for k in range(DIRECTIONS // 2):
            # a kink within reach of one element would spoil the whole direction
            v = rng.standard_normal(gradient.shape) * _smooth_elements(slopes, gradient.shape)
            if exact:
                change = complex_derivative(mover, name, v)
            else:
                above, below, upper, lower = (host(mover.at(name, v, s * h)) for s in (1, -1, 0.5, -0.5))
                middle = host(mover.at(name, v, 0.0))
                change = (above - below) / (2 * h)
                bend = np.abs(above - 2 * middle + below).max(initial=0) / h
                if bend > 1e-2 * np.abs(change).max(initial=0):
                    kinks += 1
                    continue
                change = (4 * (upper - lower) / h - change) / 3  # a closer look, as in `central_slopes`
            lefts.append(float((dy * change).sum()))
            rights.append(float((gradient * v).sum()))
            labels.append(f"for random v no. {k}")
            scale = max(scale, float(np.abs(dy * change).sum()), float(np.abs(gradient * v).sum()))
        what, method = f"<{gradient_name(name)}, v>", f"<dy, J v>, v from default_rng({ctx.seed + 1})"
        if lefts:
            found.compare(what, np.array(rights), np.array(lefts), method, scale=scale, labels=labels)
    if found.error is None:
        raise SkipCheck("no gradient to compare" if not kinks else "a kink in every direction")
    return found.outcome("" if exact else "J v by central differences")


def linearity(ctx: Context) -> Outcome:
    """backward(2 a - 3 b) = 2 backward(a) - 3 backward(b): backward is linear in dy."""
    found = Findings(ctx.tolerance("linearity of backward", ROUNDING), ctx.batch)
    a, b = ctx.dy, ctx.xp.asarray(ctx.generator().standard_normal(ctx.dy.shape))
    first, second, both = (ctx.run(dy=dy).gradients for dy in (a, b, 2 * a - 3 * b))
    for name in both:
        if _usable(ctx, name):
            one, two = host(first[name]), host(second[name])
            scale = 5 * max(ctx.floor, *(float(np.abs(part).max(initial=0)) for part in (one, two)))
            what = f"{gradient_name(name)} for dy = 2 a - 3 b"
            found.compare(what, both[name], 2 * one - 3 * two, "2 backward(a) - 3 backward(b)", scale=scale)
    return found.outcome()


def batch_additivity(ctx: Context) -> Outcome:
    """With dy of one example at a time: the parameters' gradients add up, dx of all other rows is zero."""
    found = Findings(ctx.tolerance("batch additivity", ROUNDING), ctx.batch)
    if len(ctx.dy) != ctx.batch:
        raise SkipCheck("y has another batch size than x")
    whole = ctx.run().gradients
    sums = {name: np.zeros(host(g).shape) for name, g in whole.items() if _usable(ctx, name)}
    sizes = dict.fromkeys(sums, 0.0)
    for i in range(ctx.batch):
        dy = ctx.xp.zeros_like(ctx.dy)
        dy[i] = ctx.dy[i]
        part = ctx.run(dy=dy).gradients
        for name, total in sums.items():
            piece = host(part[name])
            total += piece
            sizes[name] += float(np.abs(piece).max(initial=0))
        others = np.delete(host(part["input"]), i, axis=0) if "input" in sums else np.zeros(())
        if not found.require(
            not np.any(others),
            f"input gradient of other examples is up to {np.abs(others).max(initial=0):.3g} where only dy of "
            f"example {i} is not zero\n  the layer mixes examples; if it should, skip=('batch additivity',)",
        ):
            break
    else:
        for name, total in sums.items():
            what, method = gradient_name(name), "the sum over examples"
            found.compare(what, whole[name], total, method, scale=sizes[name])
    return found.outcome()


def _usable(ctx: Context, name: str) -> bool:
    """Whether there is a gradient of the right shape: if not, the check of shapes has said so."""
    value = ctx.x if name == "input" else ctx.subject.values()[name]
    return bool(host(ctx.smooth_run.gradients[name]).shape == value.shape)


def _smooth_elements(slopes: Slopes, shape: tuple[int, ...]) -> Host:
    smooth = np.ones(shape, bool)
    for probe, fine in zip(slopes.probes, slopes.smooth, strict=True):
        if probe.index is not None:
            smooth[probe.index] = fine
    return smooth


def _compare(
    ctx: Context, found: Findings, name: str, values: Host, valid: Host, method: str, scale: float
) -> None:
    """Hold a gradient against slopes along probes."""
    if not _usable(ctx, name):
        return
    gradient, slopes = host(ctx.smooth_run.gradients[name]), ctx.central[name]
    x = host(ctx.x_smooth) if name == "input" else None
    if slopes.full(gradient.shape):
        values, valid = values.reshape(gradient.shape), valid.reshape(gradient.shape)
        found.compare(gradient_name(name), gradient, values, method, scale=scale, valid=valid, x=x)
        return
    predicted = np.array([probe.of(gradient) for probe in slopes.probes])
    labels = [probe.label for probe in slopes.probes]
    found.compare(gradient_name(name), predicted, values, method, scale=scale, valid=valid, labels=labels)

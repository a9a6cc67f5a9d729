"""Checking a loss."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from minidrop.backends import Array
from minidrop.errors import ArgumentError, check_choice
from minidrop.testing import gradients
from minidrop.testing.behaviour import frozen, repeatable
from minidrop.testing.context import Context
from minidrop.testing.findings import Findings
from minidrop.testing.inputs import elsewhere, non_contiguous
from minidrop.testing.layers import subject_name
from minidrop.testing.report import Outcome, Report, check_names, raised, run_checks
from minidrop.testing.subject import Subject, check_instance, duplicate, host, module_of
from minidrop.testing.tolerances import FLOAT32, ROUNDING


class LossAsLayer:
    """A loss with its labels as a layer of the logits, whose output is (1,): so the layers' checks apply."""

    def __init__(self, loss: Any, labels: Array) -> None:
        self.loss, self.labels = loss, labels

    def forward(self, logits: Array) -> Array:
        """The loss, in an array of one element."""
        xp = module_of(logits)
        return xp.asarray(self.loss.forward(logits, xp.array(self.labels))).reshape(1)

    def backward(self, dy: Array) -> Array:
        """dy times the loss's gradient."""
        return self.loss.backward() * dy


def check_loss(
    loss: Any,
    logits: Array | None = None,
    labels: Array | None = None,
    *,
    shape: tuple[int, int] = (5, 4),
    reduction: str | None = None,
    seed: int = 0,
    skip: Iterable[str] = (),
    analytic: bool | None = None,
    tolerance: float | Mapping[str, float] | None = None,
) -> Report:
    """Hold a hand-written loss to its own value: backward() must be the derivative of forward.

        dz_ij = ∂L / ∂z_ij,   L = forward(logits z, labels)

    The loss may be any object with forward(logits, labels) -> L and backward() -> dz; it is copied and never
    run itself. Named as `skip` takes them, its checks are `backward before forward`, `no mutation`, `dtype`,
    `frozen randomness`, `repeatable`, `finite differences`, `complex step`, `non-contiguous input` as in
    `check_layer`, and

        rows sum to zero      of dz, if L does not change when a row of z is shifted
        batch behaviour       a batch given twice changes a mean nothing, and doubles a sum, dz alike
        elsewhere             dz is right for drawn logits that are 32 times as large
        stability             L and dz are finite for logits of ±1e4

    Args:
        loss: the loss.
        logits: its first argument; drawn from N(0, 1) unless given.
        labels: its second; integers below shape[1] unless given. Targets of a regression are welcome.
        shape: (examples, classes) of what is drawn.
        reduction: "mean" or "sum", what the loss is over its batch; found out unless given.
        seed: of everything that is drawn here.
        skip: names of checks to leave out.
        analytic: as in `check_layer`.
        tolerance: as in `check_layer`.

    Returns:
        A report; `str` of it is a table.

    Raises:
        CheckError: if any check fails, after all have run; the message tells what is wrong where.
        ArgumentError: if the loss cannot be copied or does not take the input, or an argument is wrong.

    >>> import minidrop as md
    >>> check_loss(md.SoftmaxCrossEntropy())["batch behaviour"].note
    'mean'
    """
    check_instance(loss)
    if reduction is not None:
        check_choice("reduction", reduction, ("mean", "sum"))
    rng = np.random.default_rng(seed)
    xp = getattr(getattr(loss, "backend", None), "xp", module_of(logits))
    z = xp.asarray(rng.standard_normal(shape)) if logits is None else logits
    given = labels is not None
    if labels is None:
        if getattr(z, "ndim", 0) != 2:
            raise ArgumentError("logits are not (examples, classes): give labels too")
        labels = module_of(z).asarray(rng.integers(0, z.shape[1], len(z)))
    try:
        value = duplicate(loss).forward(xp.array(z), xp.array(labels))
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"{type(loss).__name__} of float64 logits of shape {z.shape} and labels of shape {labels.shape}: "
            f"{raised(error)}; give logits and labels that it takes"
        ) from error
    if np.size(host(value)) != 1:
        raise ArgumentError(
            f"the loss must be one number, got shape {np.shape(host(value))}: add the examples up"
        )
    ctx = Context(Subject(LossAsLayer(loss, labels), {}, None), z, z.shape, seed, tolerance)
    ctx.dy, ctx.drawn = xp.ones(1), logits is None
    checks: dict[str, Callable[[], Outcome]] = {
        "backward before forward": partial(_before_forward, loss),
        "no mutation": partial(_no_mutation, ctx, loss, labels),
        "dtype": partial(_dtypes, ctx, loss, labels),
        "frozen randomness": partial(frozen, ctx),
        "repeatable": partial(_repeatable, ctx, loss, labels),
        "finite differences": partial(gradients.finite_differences, ctx, "the loss"),
        "complex step": partial(gradients.complex_step, ctx, analytic),
        "rows sum to zero": partial(_rows, ctx, loss, labels),
        "batch behaviour": partial(_batch, ctx, loss, labels, reduction),
        "elsewhere": partial(elsewhere, ctx, 32.0),
        "stability": partial(_stability, ctx, loss, labels),
        "non-contiguous input": partial(non_contiguous, ctx),
    }
    check_names(tolerance, checks)
    after = list(checks)[list(checks).index("frozen randomness") + 1 :]
    call = ["loss"] + (["logits"] if logits is not None else [f"shape={tuple(z.shape)}"])
    call += ["labels=labels"] * given + [f"analytic={analytic}"] * (analytic is not None) + [f"seed={seed}"]
    needs = dict.fromkeys(after, ("frozen randomness", "no mutation raised"))
    return run_checks(subject_name(loss), f"check_loss({', '.join(call)})", checks, skip, needs)


def _run(loss: Any, z: Array, labels: Array) -> tuple[Array, Array]:
    """L and dz of a copy, on copies."""
    xp, fresh = module_of(z), duplicate(loss)
    value = fresh.forward(xp.array(z), xp.array(labels))
    return value, fresh.backward()


def _before_forward(loss: Any) -> Outcome:
    found = Findings()
    try:
        result = duplicate(loss).backward()
    except Exception:
        return found.outcome()
    found.require(
        False,
        f"backward returned {'None' if result is None else 'a result'} although forward had not run\n"
        "  (if this very object has run before, check a new one)",
    )
    return found.outcome()


def _no_mutation(ctx: Context, loss: Any, labels: Array) -> Outcome:
    found, fresh = Findings(), duplicate(loss)
    z, t = ctx.copy(ctx.x), ctx.xp.array(labels)
    fresh.forward(z, t)
    fresh.backward()
    for name, now, before in (("logits", z, ctx.x), ("labels", t, labels)):
        for where in np.argwhere(host(now) != host(before))[:1]:
            old, new = host(before)[tuple(where)], host(now)[tuple(where)]
            place = tuple(int(i) for i in where)
            found.require(False, f"the passes changed {name} at {place} from {old:.8g} to {new:.8g}")
    return found.outcome()


def _repeatable(ctx: Context, loss: Any, labels: Array) -> Outcome:
    """As for layers, and after the same loss has seen other labels and another number of them."""
    outcome = repeatable(ctx)
    found, fresh = Findings(0.0, ctx.batch), duplicate(loss)
    fresh.forward(ctx.copy(ctx.x), ctx.xp.array(labels))
    fresh.backward()
    turned = ctx.xp.roll(ctx.x, 1, axis=0), ctx.xp.roll(labels, 1, axis=0)
    for z, t in (turned, (ctx.x[1:], labels[1:])) if ctx.batch > 1 and not outcome.problems else ():
        value, dz = _run(loss, z, t)
        again = fresh.forward(ctx.copy(z), ctx.xp.array(t))
        after = "after passes over another batch; is a cache stale?"
        found.compare(
            f"the loss {after}", np.reshape(host(again), 1), np.reshape(host(value), 1), "a new copy"
        )
        found.compare(f"the gradient {after}", fresh.backward(), dz, "a new copy")
    outcome.problems += found.problems
    outcome.status = "failed" if outcome.problems else outcome.status
    return outcome


def _dtypes(ctx: Context, loss: Any, labels: Array) -> Outcome:
    found = Findings(ctx.tolerance("dtype", FLOAT32, at_least=True), ctx.batch)
    results = {}
    for dtype in ("float32", "float64"):
        z = ctx.x.astype("float32").astype(dtype)
        targets = labels if labels.dtype.kind != "f" else labels.astype("float32").astype(dtype)
        value, dz = results[dtype] = _run(loss, z, targets)
        found.require(dz.dtype == dtype, f"the gradient is {dz.dtype} for {dtype} logits")
        kind = getattr(value, "dtype", None)  # a Python float has none, and is fine
        found.require(kind is None or kind == dtype, f"the loss is {kind} for {dtype} logits")
    (value, dz), (exact, gradient) = results.values()
    found.compare("the loss in float32", np.reshape(host(value), 1), np.reshape(host(exact), 1), "in float64")
    found.compare("the gradient in float32", dz, gradient, "in float64")
    return found.outcome()


def _rows(ctx: Context, loss: Any, labels: Array) -> Outcome:
    tolerance = ctx.tolerance("rows sum to zero", ROUNDING)
    shift = ctx.xp.asarray(ctx.generator().standard_normal((len(ctx.x), *[1] * (ctx.x.ndim - 1))))
    value, dz = _run(loss, ctx.x, labels)
    moved, _ = _run(loss, ctx.x + shift, labels)
    found = Findings(tolerance)
    if abs(float(moved) - float(value)) > 16 * tolerance * (1 + abs(float(value))):
        return Outcome("", "skipped", note="the loss changes when a row is shifted")
    sums = host(dz).reshape(len(dz), -1).sum(axis=1)
    scale = float(np.abs(host(dz)).max(initial=0))
    found.compare(
        "the sum of a row of the gradient", sums, np.zeros(len(sums)), "shift invariance", scale=scale
    )
    return found.outcome()


def _batch(ctx: Context, loss: Any, labels: Array, reduction: str | None) -> Outcome:
    found, xp = Findings(ctx.tolerance("batch behaviour", ROUNDING), ctx.batch), ctx.xp
    value, dz = (host(a) for a in _run(loss, ctx.x, labels))
    twice, dz2 = (host(a) for a in _run(loss, xp.concatenate([ctx.x] * 2), xp.concatenate([labels] * 2)))
    ratio = float(twice) / float(value) if float(value) else 1.0
    kind = reduction or ("mean" if abs(ratio - 1) < abs(ratio - 2) else "sum")
    factor = 1 if kind == "mean" else 2
    what = f"the {kind} loss of a batch given twice"
    found.compare(
        what, np.reshape(twice, 1), np.reshape(factor * value, 1), f"{factor} times that of the batch"
    )
    method = f"{factor}/2 of that of the batch, as of a {kind}"
    halves = np.concatenate([dz] * 2) * (factor / 2)
    found.compare("gradient of a batch given twice", dz2, halves, method)
    alone = [_run(loss, ctx.x[i : i + 1], labels[i : i + 1]) for i in range(ctx.batch)]
    share = 1 / ctx.batch if kind == "mean" else 1.0
    total = share * sum(float(v) for v, _ in alone)
    found.compare(
        f"the {kind} loss", np.reshape(value, 1), np.array([total]), f"the {kind} over single examples"
    )
    rows = share * np.concatenate([host(g) for _, g in alone])
    found.compare("gradient", dz, rows, f"{share:.3g} times those of single examples")
    return found.outcome(kind)


def _stability(ctx: Context, loss: Any, labels: Array) -> Outcome:
    found = Findings()
    signs = np.where(ctx.generator().random(ctx.x.shape) < 0.5, -1e4, 1e4)
    rows = np.abs(signs) * (-1.0) ** np.arange(len(signs)).reshape(-1, *[1] * (signs.ndim - 1))
    logits = {"±1e4": signs, "1e4": np.abs(signs), "-1e4": -np.abs(signs), "±1e4 by rows": rows}
    for how, values in logits.items():
        for dtype in ("float32", "float64"):
            with np.errstate(all="ignore"):
                value, dz = _run(loss, ctx.xp.asarray(values.astype(dtype)), labels)
            found.require(
                bool(np.isfinite(float(value))), f"the loss is {float(value)} for {dtype} logits of {how}"
            )
            bad = np.argwhere(~np.isfinite(host(dz)))
            for where in bad[:1]:
                place = tuple(int(i) for i in where)
                found.require(False, f"the gradient at {place} is not finite for {dtype} logits of {how}")
    return found.outcome()

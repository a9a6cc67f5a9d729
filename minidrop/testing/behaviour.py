"""The checks of how a layer treats its arguments, its memory and its dtype."""

import numpy as np

from minidrop.backends import Array
from minidrop.layers.layer import write_gradients
from minidrop.parameters import Parameter
from minidrop.testing.context import Context, gradient_name
from minidrop.testing.findings import Findings
from minidrop.testing.report import Outcome, raised
from minidrop.testing.subject import Subject, held, host, module_of
from minidrop.testing.tolerances import FLOAT32, ROUNDING


def before_forward(ctx: Context) -> Outcome:
    """Backward on a copy that has not run raises, unless it needs nothing from a forward pass."""
    found, fresh = Findings(), ctx.subject.copy()
    try:
        dx = fresh.layer.backward(ctx.copy(ctx.dy))
    except Exception:
        return found.outcome()
    after, done = {"input": dx} | fresh.gradients(), ctx.run()
    stateless = not fresh.ours and all(
        np.array_equal(host(gradient), host(done.gradients[name])) for name, gradient in after.items()
    )
    found.require(
        stateless,
        "backward returned a result although forward had not run: it used a state that nobody set\n"
        "  (if this very object has run before, check a new one)",
    )
    return found.outcome("needs nothing of forward")


def shapes(ctx: Context) -> Outcome:
    """dx has the shape of x, and every parameter's gradient that of the parameter."""
    found, done = Findings(), ctx.run()
    for name, value in ({"input": ctx.x} | ctx.subject.values()).items():
        gradient, what = done.gradients[name], gradient_name(name)
        if not isinstance(gradient, ctx.xp.ndarray) and not (name != "input" and np.isscalar(gradient)):
            kind = "None" if gradient is None else f"a {type(gradient).__name__}"
            found.require(False, f"{what} is {kind} after backward, not an array")
            continue
        shape = host(gradient).shape
        turned = len(shape) == 2 and shape[::-1] == value.shape
        extra = ": it may be the transpose" if turned else ""
        found.require(
            shape == value.shape,
            f"{what} has shape {shape}, but {'x' if name == 'input' else name} has {value.shape}{extra}",
        )
    return found.outcome()


def no_mutation(ctx: Context) -> Outcome:
    """Neither pass changes x, dy or a parameter, and backward leaves y as it was."""
    found, fresh = Findings(), ctx.subject.copy()
    x, dy = ctx.copy(ctx.x), ctx.copy(ctx.dy)
    watched = {"x": x, "dy": dy} | fresh.values()
    before = {name: ctx.copy(array) for name, array in watched.items()}
    y = fresh.forward(x)
    _unchanged(found, "forward", watched, before)
    watched, before = watched | {"y": y}, before | {"y": ctx.copy(y)}
    fresh.layer.backward(dy)
    _unchanged(found, "backward", watched, before)
    return found.outcome()


def _unchanged(found: Findings, method: str, now: dict[str, Array], before: dict[str, Array]) -> None:
    for name, array in now.items():
        same = _equal(array, before[name])
        if not same:
            where = tuple(int(i) for i in np.argwhere(host(array) != host(before[name]))[0])
            old, new = host(before[name])[where], host(array)[where]
            found.require(False, f"{method} changed {name} at {where} from {old:.8g} to {new:.8g}")
            before[name] = array.copy()


def frozen(ctx: Context) -> Outcome:
    """The same x gives the same y again, bit for bit."""
    found, fresh = Findings(), ctx.subject.copy()
    first, second = (ctx.copy(fresh.forward(ctx.copy(ctx.x))) for _ in range(2))
    found.require(
        _equal(first, second),
        "y differs when forward runs again on the same x; if the layer is random, say how to repeat it:\n"
        "  freeze= is called before each forward pass with the copy that runs, as in lambda layer: ...",
    )
    return found.outcome()


def declared(ctx: Context) -> Outcome:
    """Whatever array of floats the output depends on is a parameter whose gradient is checked, or named."""
    found, before = Findings(), ctx.run().y
    for path, thing in held(ctx.subject.layer):
        fresh = ctx.subject.copy()
        known = fresh.values() | fresh.constants()
        kept = {name: array.copy() for name, array in known.items()}
        array = dict(held(fresh.layer))[path]
        array = array.value if isinstance(array, Parameter) else array
        if not getattr(array.flags, "writeable", True):  # nothing can train it; CuPy has none of these
            continue
        array += module_of(array).asarray(ctx.generator().standard_normal(array.shape))
        for name, value in kept.items():  # also where the array that moved holds it
            known[name][...] = value
        try:
            same = _equal(fresh.forward(ctx.copy(ctx.x)), before)
        except Exception:
            same = False
        if isinstance(thing, Parameter):
            how = "let own_parameters() return it"
        else:
            named = "make it a Parameter that own_parameters() returns"
            if not ctx.subject.ours:
                named = f'say parameters={{"{path}": the attribute that holds its gradient}}'
            how = f'{named}, or parameters={{"{path}": None}} for a constant'
        found.require(same, f"y depends on {path}, of which no gradient is checked:\n  {how}")
    count = len(ctx.subject.values())
    return found.outcome(f"{count} of them" if count else "none")


def repeatable(ctx: Context) -> Outcome:
    """The same passes again give the same bits, also after passes over something else."""
    found, fresh = Findings(), ctx.subject.copy()
    first = _copied(ctx, fresh, ctx.x, ctx.dy)
    second = _copied(ctx, fresh, ctx.x, ctx.dy)
    for name in first:
        _same(ctx, found, name, second[name], first[name], "when both passes run again")
    passes = {"another x": _others(ctx)}
    if len(ctx.dy) == ctx.batch > 1:
        passes["a larger batch"] = ctx.x[:-1], ctx.dy[:-1]
    for what, (x, dy) in passes.items():
        if found.problems:
            break
        when = f"after passes over {what}; is a cache stale?"
        try:
            alone = _copied(ctx, ctx.subject.copy(), x, dy)
        except Exception:  # it has one batch size, or refuses that x
            continue
        try:
            moved = _copied(ctx, fresh, x, dy)
        except Exception as error:
            found.require(False, f"{raised(error)} {when}")
            break
        for name in moved:
            _same(ctx, found, name, moved[name], alone[name], when)
    return found.outcome()


def in_training(ctx: Context) -> Outcome:
    """In buffers used again, as a TrainStep has them, and by `backward_parameters` all is the same."""
    found, fresh = Findings(ctx.tolerance("training step", ROUNDING), ctx.batch), ctx.subject.copy()
    fresh.layer.reuse_buffers(True)
    for x, dy in (_others(ctx), (ctx.x, ctx.dy)):
        try:
            done = ctx.run(x, dy)
        except Exception:  # it refuses that x
            continue
        found.compare(
            "y in a buffer used again", fresh.forward(ctx.copy(x)), done.y, "a new array", scale=ctx.floor
        )
        now = {"input": fresh.layer.backward(ctx.copy(dy))} | fresh.gradients()
        for name, gradient in done.gradients.items():
            what = f"{gradient_name(name)}, with buffers used again,"
            found.compare(what, now[name], gradient, "new arrays", scale=ctx.floor)
        fresh.forward(ctx.copy(x))
        for gradient in fresh.gradients().values():
            gradient[...] = np.nan  # so that one that is not written shows
        write_gradients(fresh.layer, ctx.copy(dy))
        for name, gradient in fresh.gradients().items():
            what = f"{gradient_name(name)} by {type(fresh.layer).__name__}.backward_parameters"
            found.compare(what, gradient, done.gradients[name], "backward", scale=ctx.floor)
    return found.outcome()


def _others(ctx: Context) -> tuple[Array, Array]:
    """Another dy, and an x whose elements are between those of x, in whatever interval these are."""
    rng = ctx.generator()
    shuffled = ctx.x.reshape(-1)[ctx.xp.asarray(rng.permutation(ctx.x.size))].reshape(ctx.x.shape)
    return (ctx.x + shuffled) / 2, ctx.xp.asarray(rng.standard_normal(ctx.dy.shape))


def _copied(ctx: Context, subject: Subject, x: Array, dy: Array) -> dict[str, Array]:
    done = subject.run(ctx.copy(x), ctx.copy(dy))
    return {"y": ctx.copy(done.y)} | {
        n: None if g is None else ctx.copy(g) for n, g in done.gradients.items()
    }


def _same(ctx: Context, found: Findings, name: str, got: Array, expected: Array, when: str) -> None:
    if got is None or expected is None or _equal(got, expected):
        return
    what = "y" if name == "y" else gradient_name(name)
    strict = Findings(0.0, ctx.batch)
    strict.compare(what, got, expected, "a first run of a new copy")
    added = "got is 2 times" in "".join(strict.problems)
    hint = "\n  gradients add up; they should be written anew by each backward pass" if added else ""
    found.require(False, "\n".join([f"{what} differs {when}", *strict.problems]) + hint)


def memory(ctx: Context) -> Outcome:
    """Two outputs do not share memory, y is not a view of x, nor dx of dy."""
    found, fresh = Findings(), ctx.subject.copy()
    x, dy, other = ctx.copy(ctx.x), ctx.copy(ctx.dy), ctx.copy(ctx.dy)
    y = fresh.forward(x)
    dx = fresh.layer.backward(dy)
    y2 = fresh.forward(ctx.copy(ctx.x))
    dx2 = fresh.layer.backward(other)
    pairs: dict[str, tuple[Array, Array]] = {
        "y shares memory with x": (y, x),
        "the outputs of two forward passes share memory": (y, y2),
        "dx shares memory with dy": (dx, dy),
        "dx shares memory with x": (dx, x),
        "dx shares memory with y": (dx, y),
        "the input gradients of two backward passes share memory": (dx, dx2),
    }
    for text, (a, b) in pairs.items():
        shared = isinstance(a, ctx.xp.ndarray) and bool(ctx.xp.may_share_memory(a, b))
        found.require(not shared, f"{text}: writing into one changes the other")
    for name, gradient in fresh.gradients().items():
        shared = isinstance(gradient, ctx.xp.ndarray) and bool(ctx.xp.may_share_memory(gradient, other))
        found.require(
            not shared, f"{gradient_name(name)} shares memory with dy: writing into one changes the other"
        )
    return found.outcome()


def dtypes(ctx: Context) -> Outcome:
    """float32 in, float32 out, gradients included, with the values of float64; float64 likewise."""
    found = Findings(ctx.tolerance("dtype", FLOAT32, at_least=True), ctx.batch)
    x, dy = ctx.x_smooth.astype("float32"), ctx.dy.astype("float32")
    exact = ctx.run(x.astype("float64"), dy.astype("float64"), ctx.original.cast("float64"))
    for dtype in ("float32", "float64"):
        cast = ctx.original.cast(dtype)
        done = ctx.run(x.astype(dtype), dy.astype(dtype), cast)
        results = {"y": done.y} | {gradient_name(n): g for n, g in done.gradients.items() if g is not None}
        for what, array in results.items():
            named = f", parameters as {dtype}: {', '.join(cast.values())}" if cast.values() else ""
            fine = getattr(array, "dtype", None) == dtype
            is_now = getattr(array, "dtype", type(array).__name__)
            found.require(fine, f"{what} is {is_now} for {dtype} x and dy{named}")
        if dtype == "float32" and ctx.original.freeze is None:  # random numbers may be others in float32
            pairs = {"y": (done.y, exact.y)} | {
                gradient_name(n): (g, exact.gradients[n]) for n, g in done.gradients.items() if g is not None
            }
            for what, (got, right) in pairs.items():
                if host(got).shape == host(right).shape:
                    fits = np.abs(host(right)) < np.finfo("float32").max
                    scale = 0.0 if what == "y" else ctx.floor
                    found.compare(f"{what} in float32", got, right, "in float64", scale=scale, valid=fits)
    return found.outcome()


def _equal(a: Array, b: Array) -> bool:
    """The same bits, NaN being equal to itself."""
    a, b = host(a), host(b)
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))

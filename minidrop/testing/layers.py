"""Checking a layer."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from minidrop.backends import Array
from minidrop.testing import behaviour, gradients, inputs
from minidrop.testing.context import Context, shape_for
from minidrop.testing.report import Outcome, Report, check_names, run_checks
from minidrop.testing.subject import Subject


def check_layer(
    layer: Any,
    x: Array | None = None,
    *,
    input_shape: tuple[int, ...] | None = None,
    parameters: Mapping[str, str | None] | None = None,
    freeze: Callable[..., object] | None = None,
    seed: int = 0,
    skip: Iterable[str] = (),
    analytic: bool | None = None,
    tolerance: float | Mapping[str, float] | None = None,
) -> Report:
    """Hold a hand-written layer to its own forward pass: backward must be the derivative of forward.

        dx = Jᵀ dy,   J = ∂y/∂x        dW = Σ dy ∂y/∂W for every parameter W

    The layer may be any object with forward(x) -> y and backward(dy) -> dx on NumPy or CuPy arrays,
    minidrop's or not. It is copied and never run itself. The checks, by the names that `skip` takes:

        backward before forward   raises
        shapes                    of dx and of the parameters' gradients
        no mutation               x, dy and the parameters stay as they are
        frozen randomness         the same x gives the same y
        parameters                every array of floats that y depends on is named
        repeatable                so do gradients: they are written, not added to; no cache is stale, of
                                  another x or of a larger batch
        memory                    results share none with each other or with x and dy
        dtype                     float32 in, float32 out, with the values of float64; float64 likewise
        training step             the same in buffers used again and by `backward_parameters`, which an
                                  md.Layer has
        linearity of backward     backward(2 a - 3 b) = 2 backward(a) - 3 backward(b)
        batch additivity          examples do not mix, parameters' gradients are sums over them
        finite differences        central, every element of small arrays, away from kinks
        complex step              Im f(θ + ih) / h, exact, where forward is analytic
        adjointness               <dy, J v> = <Jᵀ dy, v> for random v
        non-contiguous input      gives what a contiguous one gives
        size one                  a batch of one is right, an empty one is refused or empty
        elsewhere                 gradients are right at parameters moved by a tenth and, if drawn, larger x

    Args:
        layer: the layer; its mode, training or evaluation, is left as it is.
        x: an input, batch first; drawn from N(0, 1) unless given.
        input_shape: of the input to draw; (4, 5), or (4, in_features) of a layer that says so.
        parameters: for a layer that is not minidrop's, the attribute of each parameter and the attribute that
            holds its gradient after backward: {"W": "dW"}; None is for a constant that forward uses. Dots go
            through attributes, mappings and lists.
        freeze: makes a random layer repeat itself; called before each forward pass, with the copy that runs
            if it takes an argument: `lambda layer: layer.reseed(0)`. minidrop's need none.
        seed: of everything that is drawn here.
        skip: names of checks to leave out.
        analytic: whether complex step must (True) or must not (False) be used; found out unless given.
        tolerance: a largest relative error in place of every check's own (of dtype's if it is larger), or a
            mapping from checks to them.

    Returns:
        A report; `str` of it is a table.

    Raises:
        CheckError: if any check fails, after all have run; the message tells what is wrong where.
        ArgumentError: if the layer cannot be copied or does not take the input, or an argument is wrong.

    >>> import minidrop as md
    >>> print(check_layer(md.Tanh()))
    Tanh(): 17 passed
    check                     status     largest error   tolerance  note
    backward before forward   passed                 -           -
    shapes                    passed                 -           -
    no mutation               passed                 -           -
    frozen randomness         passed                 -           -
    parameters                passed                 -           -  none
    repeatable                passed                 -           -
    memory                    passed                 -           -
    dtype                     passed           ...e-0...     1.6e-02
    training step             passed           0.0e+00     9.1e-13
    linearity of backward     passed           ...e-1...     9.1e-13
    batch additivity          passed           ...           9.1e-13
    finite differences        passed           ...e-1...     3.8e-08
    complex step              passed           ...e-1...     3.6e-12
    adjointness               passed           ...e-1...     3.6e-12
    non-contiguous input      passed           ...           9.1e-13
    size one                  passed           ...e-1...     3.8e-08  an empty batch raises
    elsewhere                 passed           ...e-1...     3.8e-08
    """
    subject = Subject(layer, parameters or {}, freeze)
    shape = shape_for(layer, input_shape)
    ctx = Context(subject, x, shape, seed, tolerance)
    checks: dict[str, Callable[[], Outcome]] = {
        "backward before forward": partial(behaviour.before_forward, ctx),
        "shapes": partial(behaviour.shapes, ctx),
        "no mutation": partial(behaviour.no_mutation, ctx),
        "frozen randomness": partial(behaviour.frozen, ctx),
        "parameters": partial(behaviour.declared, ctx),
        "repeatable": partial(behaviour.repeatable, ctx),
        "memory": partial(behaviour.memory, ctx),
        "dtype": partial(behaviour.dtypes, ctx),
        **({"training step": partial(behaviour.in_training, ctx)} if subject.ours else {}),
        "linearity of backward": partial(gradients.linearity, ctx),
        "batch additivity": partial(gradients.batch_additivity, ctx),
        "finite differences": partial(gradients.finite_differences, ctx),
        "complex step": partial(gradients.complex_step, ctx, analytic),
        "adjointness": partial(gradients.adjointness, ctx, analytic),
        "non-contiguous input": partial(inputs.non_contiguous, ctx),
        "size one": partial(inputs.size_one, ctx),
        "elsewhere": partial(inputs.elsewhere, ctx, 8.0),
    }
    check_names(tolerance, checks)
    after = list(checks)[list(checks).index("frozen randomness") + 1 :]
    needs = dict.fromkeys(after, ("frozen randomness", "shapes raised"))
    call = ["layer"] + (["x"] if x is not None else [f"input_shape={shape}"])
    call += [f"parameters={dict(parameters)}"] if parameters else []
    call += ["freeze=freeze"] if freeze is not None else []
    call += [f"analytic={analytic}"] if analytic is not None else []
    call += [f"seed={seed}"]
    return run_checks(subject_name(layer), f"check_layer({', '.join(call)})", checks, skip, needs)


def subject_name(layer: Any) -> str:
    """Its repr, unless that is Python's own with an address."""
    return type(layer).__name__ if " object at 0x" in repr(layer) else repr(layer)

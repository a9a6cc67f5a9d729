"""Each layer: its output, its input gradient and its parameter gradients, in training and in evaluation."""

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import nn

import minidrop as md
from minidrop.layers import StochasticLayer
from minidrop.streams import Purpose, Stream
from reference import tolerances as tol
from reference.checks.layer_cases import CASES, Case
from reference.checks.rows import Check, Comparison, Row, Setting, row
from reference.layers import DropConnect
from reference.models import load, share_masks, tensor

#: (batch, features); in every second one the masks are PyTorch's draws, and minidrop is given them
SHAPES = ((1, 7), (6, 7), (5, 1), (33, 20))


def checks(setting: Setting) -> Iterator[Check]:
    """A check for each case."""
    for case in CASES:
        yield Check(case.name, partial(_rows, setting, case), type(case.layer(2, "float64")).backward)


def _rows(setting: Setting, case: Case) -> Iterator[Row]:
    found: dict[str, list[Comparison]] = {}
    for number, (shape, training) in enumerate(product(SHAPES, (True, False))):
        for kind, comparison in _compare(setting, case, shape, training, given=number // 2 % 2 == 1):
            found.setdefault(kind, []).append(comparison)
    kind_of = type(case.layer(2, "float64"))
    sources = {"forward": kind_of.forward, "mask": type(setting.backend).keep_mask}
    for kind, comparisons in found.items():
        alone = kind_of.backward_parameters if "backward_parameters" in kind else kind_of.backward
        yield row(case.name, kind, comparisons, sources.get(kind, alone))


def _compare(
    setting: Setting, case: Case, shape: tuple[int, int], training: bool, given: bool
) -> Iterator[tuple[str, Comparison]]:
    rng = setting.rng(crc32(case.name.encode()), *shape, training)
    layer, module = case.layer(shape[1], setting.dtype), case.module(shape[1])
    module.to(getattr(torch, setting.dtype))
    load(module, layer)
    layer.train(training)
    module.train(training)
    x_host = rng.standard_normal(shape)
    x_host.flat[0] = 0.0  # the rectifiers' kink, where both sides choose the gradient 0
    x = setting.array(x_host)
    mask = _give_mask(setting, layer, rng, shape) if given else None
    y = layer.forward(x)
    if training:
        share_masks(layer, module)
    if mask is not None:
        module.mask = setting.tensor(mask)
    _share_noise(layer, module, y.shape)
    input_ = setting.tensor(x).requires_grad_()
    output = module(input_)
    mode = "training" if training else "evaluation"
    what = f"{mode}, x {shape}" + (", given masks" if given and training else "")
    allowed = tol.summing(setting.dtype, case.sums(max(*shape, *y.shape)), case.operations)
    host = setting.backend.to_host
    yield "forward", Comparison(f"{what}: y", host(y), output.detach().numpy(), allowed)
    if training and not given and isinstance(layer, StochasticLayer) and hasattr(layer, "rate"):
        drawn = host(layer.mask)
        yield "mask", Comparison(f"{what}: mask", drawn, philox_mask(layer, drawn.shape), 0.0)
    if not training and case.name.startswith("DropConnect per example"):
        return  # the average over a Gaussian has no backward pass

    dy = setting.array(rng.standard_normal(y.shape))
    _spoil_gradients(layer)
    dx = layer.backward(dy)
    output.backward(setting.tensor(dy))
    assert input_.grad is not None
    yield "input gradient", Comparison(f"{what}: dx", host(dx), input_.grad.numpy(), allowed)
    theirs = dict(module.named_parameters())
    for alone in (False, True):
        if alone:
            _spoil_gradients(layer)
            layer.backward_parameters(dy)
        for name, mine in layer.named_parameters().items():
            grad = theirs[name].grad
            assert grad is not None
            kind = f"d{name.rpartition('.')[2]}" + (" by backward_parameters" if alone else "")
            yield kind, Comparison(f"{what}: d {name}", host(mine.grad).copy(), grad.numpy(), allowed)


def _spoil_gradients(layer: md.Layer) -> None:
    """Gradients are written, not added to: what was there before must not count."""
    for parameter in layer.named_parameters().values():
        parameter.grad[...] = np.nan


def philox_mask(layer: md.Layer, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """What a layer that stands alone keeps at step 0: lanes of numpy.random.Philox at or above the threshold.

    >>> import minidrop as md
    >>> philox_mask(md.Dropout(0.5), (3,))
    array([ True, False,  True])
    """
    assert isinstance(layer, StochasticLayer)
    key = np.array([layer.stream.seed, (1 << 32) + layer.stream.index], np.uint64)
    n = int(np.prod(shape))
    words = np.random.Philox(key=key, counter=np.zeros(4, np.uint64)).random_raw(-(-n // 4))
    lanes = words.view("<u2")[:n].reshape(shape)
    kept: np.ndarray[Any, Any] = lanes >= round(layer.drop_prob * 2**16)
    return kept


def _give_mask(setting: Setting, layer: md.Layer, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Let a drawing layer that stands alone use a mask that minidrop has not drawn, and return it."""
    if isinstance(layer, md.DropConnect):
        weight = layer.linear.weight.shape
        shape = weight if layer.per == "batch" else (shape[0], *weight)
    elif isinstance(layer, md.Dropout) and layer.per == "feature":
        shape = shape[1:]
    if isinstance(layer, md.GaussianNoise):
        mask = setting.array(rng.standard_normal(shape))
    elif isinstance(layer, StochasticLayer):
        mask = setting.backend.asarray(rng.random(shape) < 0.6)
    else:
        return None
    layer.use_mask(mask)
    return mask


def _share_noise(layer: md.Layer, module: nn.Module, shape: tuple[int, ...]) -> None:
    """Give the Gaussian of a DropConnect's evaluation the draws that minidrop uses."""
    if not (isinstance(layer, StochasticLayer) and isinstance(module, DropConnect)):
        return
    stream = Stream(layer.stream.seed, Purpose.NOISE, layer.stream.index)
    draws = [stream.generator(s).standard_normal(shape) for s in range(module.samples)]
    module.noise = tensor(np.array(draws)).to(next(module.parameters()).dtype)

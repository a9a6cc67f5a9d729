"""Every optimizer whose name is PyTorch's, step by step against the class of torch.optim, in float64."""

from typing import Any

import numpy as np
import pytest
from optim_helpers import assert_same_path, random_gradients, run, small_model, start_of

import minidrop as md

torch = pytest.importorskip("torch", reason="compares with torch.optim, and PyTorch is not installed")

STEPS = 30

#: minidrop's class, PyTorch's class, and the options of each; none at all compares the default values
CASES: list[tuple[Any, str, dict[str, Any], dict[str, Any]]] = [
    (md.SGD, "SGD", {}, {}),
    (md.Momentum, "SGD", {"momentum": 0.9}, {"momentum": 0.9}),
    (md.Momentum, "SGD", {"momentum": 0.9, "dampening": 0.4}, {"momentum": 0.9, "dampening": 0.4}),
    (md.Momentum, "SGD", {"momentum": 0.7, "dampening": 1}, {"momentum": 0.7, "dampening": 1}),
    (md.Momentum, "SGD", {"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "nesterov": True}),
    (md.Momentum, "SGD", {"momentum": 0, "dampening": 0.4}, {"momentum": 0, "dampening": 0.4}),
    (md.Adam, "Adam", {}, {}),
    (md.Adam, "Adam", {"beta1": 0.5, "beta2": 0.8, "eps": 0.3}, {"betas": (0.5, 0.8), "eps": 0.3}),
    (md.AdamW, "AdamW", {}, {}),
    (md.AdamW, "AdamW", {"beta1": 0.5, "beta2": 0.8, "eps": 0.3}, {"betas": (0.5, 0.8), "eps": 0.3}),
    (md.Adagrad, "Adagrad", {}, {}),
    (md.Adagrad, "Adagrad", {"lr_decay": 0.3, "eps": 0.3}, {"lr_decay": 0.3, "eps": 0.3}),
    (md.Adadelta, "Adadelta", {}, {}),
    (md.Adadelta, "Adadelta", {"rho": 0.5, "eps": 0.1}, {"rho": 0.5, "eps": 0.1}),
    (md.RMSprop, "RMSprop", {}, {}),
    (md.RMSprop, "RMSprop", {"alpha": 0.7, "eps": 0.3}, {"alpha": 0.7, "eps": 0.3}),
    (md.RMSprop, "RMSprop", {"momentum": 0.9}, {"momentum": 0.9}),
    (md.RMSprop, "RMSprop", {"centered": True, "alpha": 0.9}, {"centered": True, "alpha": 0.9}),
    (md.RMSprop, "RMSprop", {"centered": True, "momentum": 0.5}, {"centered": True, "momentum": 0.5}),
    (md.Adamax, "Adamax", {}, {}),
    (md.Adamax, "Adamax", {"beta1": 0.5, "beta2": 0.6, "eps": 0.5}, {"betas": (0.5, 0.6), "eps": 0.5}),
    (md.NAdam, "NAdam", {}, {}),
    (md.NAdam, "NAdam", {"beta1": 0.5, "eps": 0.3}, {"betas": (0.5, 0.999), "eps": 0.3}),
    (md.NAdam, "NAdam", {"beta2": 0.8, "momentum_decay": 0.5}, {"betas": (0.9, 0.8), "momentum_decay": 0.5}),
]
each_case = pytest.mark.parametrize(
    ("cls", "name", "options", "torch_options"), CASES, ids=[f"{c.__name__} {o}" for c, _, o, _ in CASES]
)


@pytest.fixture(autouse=True)
def _float64_inside_torch():
    """NAdam keeps its product of momenta, which every step divides by, in PyTorch's default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def torch_run(optimizer, weights, gradients, lr=None, momentum=None) -> np.ndarray:
    """`run` for an optimizer of PyTorch on one flat tensor."""
    path = []
    for t, g in enumerate(gradients):
        for group in optimizer.param_groups:
            group.update({} if lr is None else {"lr": float(lr[t])})
            group.update({} if momentum is None else {"momentum": float(momentum[t])})
        weights.grad = torch.tensor(g)
        optimizer.step()
        path.append(weights.detach().numpy().copy())
    return np.array(path)


def both(cls, name, options, torch_options):
    """The same weights under both optimizers: minidrop's, PyTorch's and PyTorch's tensor."""
    mine = cls(small_model().parameters(), **options)
    weights = torch.nn.Parameter(torch.tensor(start_of(mine)))
    return mine, getattr(torch.optim, name)([weights], **torch_options), weights


@each_case
@pytest.mark.parametrize("decay", [{}, {"weight_decay": 0.0}, {"weight_decay": 0.2}], ids=str)
def test_same_path(cls, name, options, torch_options, decay):
    """With no decay given, PyTorch's default counts, and so does its learning rate; SGD gets one."""
    rate = {"lr": 0.1} if name == "SGD" else {}
    mine, theirs, weights = both(cls, name, options | decay | rate, torch_options | decay | rate)
    gradients = random_gradients(7, STEPS)
    assert_same_path(run(mine, gradients), torch_run(theirs, weights, gradients))


@each_case
def test_same_path_under_a_schedule_of_the_learning_rate(cls, name, options, torch_options):
    mine, theirs, weights = both(cls, name, options | {"lr": 1.0}, torch_options | {"lr": 1.0})
    gradients, lr = random_gradients(8, STEPS), np.random.default_rng(8).uniform(0.0, 0.3, STEPS)
    assert_same_path(run(mine, gradients, lr), torch_run(theirs, weights, gradients, lr))


@pytest.mark.parametrize("momenta", [(0.9, 0.1, 0.5), (0.9, 0.0, 0.5)], ids=["moving", "pausing"])
@pytest.mark.parametrize("more", [{}, {"dampening": 0.4}, {"nesterov": True}], ids=str)
def test_sgd_under_schedules_of_both(more, momenta):
    options = {"lr": 1.0, "momentum": 0.9, **more}
    mine, theirs, weights = both(md.Momentum, "SGD", options, options)
    lr, momentum = np.random.default_rng(9).uniform(0.01, 0.3, STEPS), np.resize(momenta, STEPS)
    gradients = random_gradients(9, STEPS)
    assert_same_path(run(mine, gradients, lr, momentum), torch_run(theirs, weights, gradients, lr, momentum))


def test_rmsprop_under_a_schedule_of_the_momentum():
    options = {"lr": 0.1, "momentum": 0.9}
    mine, theirs, weights = both(md.RMSprop, "RMSprop", options, options)
    gradients, momentum = random_gradients(10, STEPS), np.linspace(0.5, 0.95, STEPS)
    assert_same_path(
        run(mine, gradients, momentum=momentum), torch_run(theirs, weights, gradients, momentum=momentum)
    )

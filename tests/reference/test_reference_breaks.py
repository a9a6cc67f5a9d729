"""Break one line of minidrop, and a row must fail whose message leads to it."""

import pytest

pytest.importorskip("torch", reason="the reference is written in PyTorch, which is not installed")

import minidrop as md
from minidrop.backends import get_backend
from minidrop.backends.numpy_backend import NumpyBackend
from reference import checks
from reference.precision import default_dtype


def failures(text: str, dtype: str = "float64") -> list[str]:
    with default_dtype(dtype):
        rows = checks.rows(checks.Setting(get_backend("numpy"), dtype, 0), text)
        return [row.message for row in rows if row.status == "fail"]


def after(cls, method, change):
    """`method` of `cls`, and after it `change(self, result)`, whose value is the result if it has one."""
    right = getattr(cls, method)

    def wrong(self, *arguments):
        result = right(self, *arguments)
        changed = change(self, result)
        return result if changed is None else changed

    return cls, method, wrong


def linear_dw(self, _):
    self.weight.grad[0] *= 1 + 1e-12


def linear_db(self, _):
    if self.bias is not None:
        self.bias.grad[...] /= 1 + len(self._saved[0])


def relu_everywhere(self, dy):
    self.saved(dy)
    return dy.copy()


def sigmoid_without_complement(self, dy):
    (y,) = self.saved(dy)
    return dy * y


def tanh_not_squared(self, dy):
    (y,) = self.saved(dy)
    return dy * (1 - y)


def dropout_without_mask(self, dy):
    _, factor = self.saved(dy)
    return dy * factor


def dropconnect_without_mask(self, dy):
    dz = dy if self.activation is None else self.activation.backward(dy)
    x, keep, _, _ = self.saved(dz)
    self.linear.weight.grad[...] = dz.T @ x
    if self.linear.bias is not None:
        self.linear.bias.grad[...] = dz.sum(axis=0)
    return dz @ self._used(keep)


def velocity_forgets(self, xp, w, g, lr, v):
    v[...] = g if self.form in ("torch", "ema", "classical") else -(1 - self.momentum) * lr * g
    w -= lr * v


def adam_corrected_late(self, xp, w, g, lr, m, v):
    m *= self.beta1
    m += (1 - self.beta1) * g
    v *= self.beta2
    v += (1 - self.beta2) * g * g
    t = self.steps + 1
    w -= lr / (1 - self.beta1**t) * m / ((v / (1 - self.beta2**t)) ** 0.5 + self.eps)


def adam_eps_inside(self, xp, w, g, lr, m, v):
    m *= self.beta1
    m += (1 - self.beta1) * g
    v *= self.beta2
    v += (1 - self.beta2) * g * g
    t = self.steps
    w -= lr / (1 - self.beta1**t) * m / (v / (1 - self.beta2**t) + self.eps) ** 0.5


def limit_squared(self, matrix, limit, workspace):
    lengths = self.squared_row_norms(matrix)
    matrix *= (limit / self.xp.maximum(lengths, limit))[:, None]


def raises(self, dy):
    raise ZeroDivisionError("by hand")


#: what is broken: (class, method, wrong method), the op that must say so, a word of its message
BREAKS = {
    "Linear dW": (after(md.Linear, "backward_parameters", linear_dw), "Linear", "dweight"),
    "Linear db": (after(md.Linear, "backward_parameters", linear_db), "Linear", "dbias"),
    "Linear dx": (after(md.Linear, "backward", lambda self, dx: dx * 2), "Linear", "input gradient"),
    "Linear y": (after(md.Linear, "forward", lambda self, y: y + 1), "Linear", "forward"),
    "ReLU": ((md.ReLU, "backward", relu_everywhere), "ReLU", "input gradient"),
    "Sigmoid": ((md.Sigmoid, "backward", sigmoid_without_complement), "Sigmoid", "input gradient"),
    "Tanh": ((md.Tanh, "backward", tanh_not_squared), "Tanh", "input gradient"),
    "Dropout mask": ((md.Dropout, "backward", dropout_without_mask), "Dropout", "input gradient"),
    "DropConnect dW": ((md.DropConnect, "backward", dropconnect_without_mask), "DropConnect", "dweight"),
    "StochasticReLU": (
        after(md.StochasticReLU, "backward", lambda self, dx: -dx),
        "StochasticReLU",
        "input gradient",
    ),
    "softmax": (
        after(md.SoftmaxCrossEntropy, "backward", lambda self, dz: dz + 1e-12),
        "SoftmaxCrossEntropy",
        "gradient",
    ),
    "velocity": ((md.Momentum, "update", velocity_forgets), "Momentum", "50 steps"),
    "Adam correction": ((md.Adam, "update", adam_corrected_late), "Adam", "1 step"),
    "Adam eps": ((md.Adam, "update", adam_eps_inside), "Adam", "step"),
    "max-norm": ((NumpyBackend, "limit_row_norms", limit_squared), "MaxNorm", "0.weight"),
    "max-norm first": (
        (md.SGDHinton, "project", lambda self, *share: None),
        "SGDHinton",
        "weight after step",
    ),
    "initializer": (
        (md.XavierNormal, "__call__", lambda self, rng, fans, out: rng.standard_normal(out=out)),
        "XavierNormal",
        "variance",
    ),
    "exception": ((md.ReLU, "backward", raises), "ReLU", "ZeroDivisionError: by hand"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_line_fails_a_row_that_names_it(name, monkeypatch):
    (cls, method, wrong), op, word = BREAKS[name]
    assert failures(op) == []
    monkeypatch.setattr(cls, method, wrong)
    messages = failures(op)
    assert any(message.startswith(op) and word in message for message in messages), messages


def test_a_message_leads_to_the_line(monkeypatch):
    right = NumpyBackend.softmax_cross_entropy

    def wrong(self, logits, labels, scale, gradient, workspace):
        loss = right(self, logits, labels, scale, gradient, workspace)
        gradient[-1, 1] *= 2
        return loss

    monkeypatch.setattr(NumpyBackend, "softmax_cross_entropy", wrong)
    (message, *_) = failures("SoftmaxCrossEntropy mean")
    for part in ("SoftmaxCrossEntropy mean, gradient", "logits (", "dz: [", ", 1] expected", "got"):
        assert part in message


def test_float32_sees_a_broken_line_too(monkeypatch):
    monkeypatch.setattr(md.Sigmoid, "backward", sigmoid_without_complement)
    assert failures("Sigmoid", "float32")


def test_a_gradient_of_another_dtype_fails(monkeypatch):
    cls, method, wrong = after(md.Tanh, "backward", lambda self, dx: dx.astype("float64"))
    monkeypatch.setattr(cls, method, wrong)
    (message, *_) = failures("Tanh", "float32")
    assert "expected float32" in message
    assert "got float64" in message

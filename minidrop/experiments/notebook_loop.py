"""Document 001's training loop written out, beside minidrop's: what must agree to rounding."""

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path

import numpy as np

from minidrop.backends import Array
from minidrop.building import build_model, build_optimizer
from minidrop.config import resolve
from minidrop.data import Batches, load
from minidrop.experiments.experiment import Result
from minidrop.experiments.notebook import LOOP, NETS, batch_loss
from minidrop.experiments.training_job import PLAIN
from minidrop.experiments.verdicts import Claim
from minidrop.layers import Dropout, Linear, Sequential
from minidrop.losses import SoftmaxCrossEntropy
from minidrop.training import TrainStep

STEPS, BATCH = 5, 50
#: by how much five steps in float64 may differ that sum in another order
ROUNDING = 1e-12


def hand_step(
    weights: Sequence[tuple[Array, Array]], masks: Sequence[Array], x: Array, labels: Array, lr: float
) -> tuple[float, list[tuple[Array, Array]]]:
    """The notebook's `train_batch` with its backward pass written out: the loss, and weights p - lr dL/dp.

        a_l = m_l relu(W_l a_(l-1) + b_l),  a_0 = x,        loss = mean cross-entropy of the last W a + b

    >>> zero = [(np.zeros((2, 3)), np.zeros(2))]
    >>> loss, ((W, b),) = hand_step(zero, [], np.ones((1, 3)), np.array([1]), lr=1.0)
    >>> round(loss, 4), W.tolist(), b.tolist()
    (0.6931, [[-0.5, -0.5, -0.5], [0.5, 0.5, 0.5]], [-0.5, 0.5])
    """
    inputs = [x]
    for (w, b), mask in zip(weights, masks, strict=False):
        inputs.append(np.maximum(inputs[-1] @ w.T + b, 0) * mask)
    p = np.exp(inputs[-1] @ weights[-1][0].T + weights[-1][1])
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(x))
    loss = float(-np.log(p[rows, labels]).mean())
    dz = (p - np.eye(p.shape[1])[labels]) / len(x)
    after: list[tuple[Array, Array]] = []
    for (w, b), a in zip(reversed(weights), reversed(inputs), strict=True):
        after.insert(0, (w - lr * dz.T @ a, b - lr * dz.sum(axis=0)))
        dz = dz @ w * (a > 0)  # a is m relu(.): above 0 where the mask kept what ReLU let through
    return loss, after


def compare_by_hand(folder: Path, net: str) -> Result:
    """Five training steps and an evaluation of a small net in float64, beside `hand_step` with its masks.

    What it returns are the largest differences, the masks' shapes, and how each weight matrix begins.
    """
    config = resolve(
        PLAIN | LOOP | NETS[net][1] | {"layers": "64-96-96-96-10", "dtype": "float64", "backend": "numpy"},
        preset="digits",
    )
    digits = load("digits")
    model = build_model(config)
    step = TrainStep(model, SoftmaxCrossEntropy(backend="numpy"), build_optimizer(config, model))
    weights = weights_of(model)
    begin = [(float(abs(w).max()), float(w.std()), w.shape[1], w.size) for w, _ in weights]
    dropouts = [layer for _, layer in model.leaves() if isinstance(layer, Dropout)][1:]
    losses, told = [], []
    batches = Batches(digits.train, BATCH, dtype="float64", backend="numpy").epoch(0)
    for _, (x, labels) in zip(range(STEPS), batches, strict=False):
        x /= digits.maximum
        ours = float(step(x, labels))
        loss, weights = hand_step(weights, [layer.mask for layer in dropouts], x, labels, lr=0.1)
        losses.append(abs(ours - loss))
        told.append(abs(batch_loss(step.loss.backward())[0] - loss))
    x = digits.test.inputs / digits.maximum
    model.eval()
    a = x
    for (w, b), layer in zip(weights, dropouts, strict=False):
        a = np.maximum(a @ w.T + b, 0) * (1 - round(layer.drop_prob * 65536) / 65536)
    return {
        "weights": max(
            float(abs(ours - hand).max())
            for one, other in zip(weights_of(model), weights, strict=True)
            for ours, hand in zip(one, other, strict=True)
        ),
        "losses": max(losses),
        "told": max(told),
        "logits": float(abs(model.forward(x) - (a @ weights[-1][0].T + weights[-1][1])).max()),
        "shapes": [list(layer.mask.shape) for layer in dropouts],
        "begin": begin,
    }


def weights_of(model: Sequential) -> list[tuple[Array, Array]]:
    """Copies of the weights and biases of a model's linear layers, from its input on."""
    return [
        (layer.weight.value.copy(), layer.bias.value.copy())
        for _, layer in model.leaves()
        if isinstance(layer, Linear) and layer.bias is not None
    ]


def machinery(results: Mapping[str, Result]) -> list[Claim]:
    """What must hold exactly, of the results of `compare_by_hand`, whose keys are by-hand-NET."""
    found = {net: results[f"by-hand-{net}"] for net in NETS if f"by-hand-{net}" in results}
    if not found:
        return []
    away = {key: max(one[key] for one in found.values()) for key in ("weights", "losses", "told", "logits")}
    shapes = {net: one["shapes"][0] for net, one in found.items()}
    wanted = {net: [96] if NETS[net][1].get("per") == "feature" else [BATCH, 96] for net in found}
    # U(-b, b) with b = 1/√in has the variance b²/3 and the fourth moment b⁴/5, so the standard deviation of n
    # draws has a relative standard error of √(9/5 - 1) / 2√n
    begin = [matrix for one in found.values() for matrix in one["begin"]]
    off = max(abs(std * sqrt(3 * inputs) - 1) / sqrt(0.2 / n) for _, std, inputs, n in begin)
    furthest = max(largest * sqrt(inputs) for largest, _, inputs, _ in begin)
    return [
        Claim(
            f"{STEPS} steps are those of the document's loop, its backward pass by hand",
            max(away["weights"], away["losses"]) <= ROUNDING,
            f"weights at most {away['weights']:.0e} and losses {away['losses']:.0e} apart",
            exact=True,
        ),
        Claim(
            "Evaluation multiplies what is behind each hidden layer by its keep rate",
            away["logits"] <= ROUNDING,
            f"logits at most {away['logits']:.0e} apart",
            exact=True,
        ),
        Claim(
            "As published a whole batch shares a mask; in the paper's reading each example has one",
            shapes == wanted,
            "; ".join(f"{NETS[net][0]}: {' x '.join(map(str, shape))}" for net, shape in shapes.items()),
            exact=True,
        ),
        Claim(
            "Weights begin as torch.nn.Linear's, uniform between ±1/√in",
            furthest <= 1 and off <= 4,
            f"none above {furthest:.4f}/√in; standard deviations at most {off:.1f} standard errors off",
            exact=True,
        ),
        Claim(
            'What the document prints as "test/loss" is the last training batch\'s',
            away["told"] <= ROUNDING,
            f"at most {away['told']:.0e} from the loss by hand",
            exact=True,
        ),
    ]

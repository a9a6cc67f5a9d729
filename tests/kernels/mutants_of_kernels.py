"""Bugs that kernels have, each a piece of kernels.cu replaced, with the check that must see it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import kernel_checks as checks
from optim_helpers import assert_same_states, states_along
from test_accumulation import train
from test_cupy_replicas import check_steps

import minidrop as md
from minidrop.streams import Stream


class Mutant(NamedTuple):
    """A bug: `old`, which occurs exactly once in kernels.cu, and what stands there instead."""

    name: str
    old: str
    new: str
    check: Callable[[Any], None]


def masks(device):
    checks.check_mask(device, 100, 7, 20000, Stream(3, index=2), 5)


def masks_from_numbers(device):
    checks.check_mask(device, 33, 0, 20000, Stream(3), 5, in_numbers=True)


def relu(keep_kind):
    return lambda device: checks.check_bias_relu_dropout(
        device, (3, 33), "float32", keep_kind, True, 1.25, seed=0
    )


def backward(device):
    checks.check_relu_dropout_backward(device, (3, 33), "float32", 1.25, 0)


def gathering(device):
    checks.check_next_batch(device, "float32", "uint8", 5, 17, 3, 4, seed=0)


def softmax(device):
    checks.check_softmax(device, 9, 33, "float32", 0.5, 1.0, seed=0)


def softmax_of_large_logits(device):
    checks.check_softmax(device, 9, 33, "float32", 0.5, 1000.0, seed=0)


def sums(device):
    checks.check_column_sums(device, 33, 33, "float32", seed=0)


def accumulation(device):
    """Gradients that are added by their product, against those that are written."""
    (added, _), (written, _) = (
        train(device, "sgd-hinton", gradients, {"limit": 0.5}, steps=3, dtype="float32")
        for gradients in (False, True)
    )
    assert_same_states([added], [written], "float32")


def replicas(device):
    checks.check_replicas(device, "float32", seed=0)


def norms(device):
    checks.check_row_norms(device, 9, 300, "float32", 2.0, seed=0)


def all_replicas(optimizer):
    return lambda device: check_steps(device, optimizer=optimizer, dtype="float32")


def update(name, **options):
    def check(device):
        def run(backend):
            more = {} if name == "sgd-hinton" else {"projections": [md.MaxNorm(0.9)]}
            return states_along(backend, name, "float32", (33, 7, 3), 3, **(more | options))

        assert_same_states(run(device), run("numpy"), "float32")

    return check


MUTANTS = [
    # masks
    Mutant("the first counter is NumPy's second", "c0 = block + 1,", "c0 = block,", masks),
    Mutant("a round is missing", "round < 10", "round < 9", masks),
    Mutant(
        "seed and stream swapped",
        "mask.seed, mask.stream, mask.step",
        "mask.stream, mask.seed, mask.step",
        masks,
    ),
    Mutant("wrong lane", ">> (16 * (i % 4))", ">> (16 * (3 - i % 4))", masks),
    Mutant(
        "> for >= in the mask",
        "words.lane(lane) >= mask",
        "words.lane(lane) > mask",
        lambda device: checks.check_mask(device, 2**19, 0, 20000, Stream(3), 5),
    ),
    Mutant("the start is forgotten", "* LANES - start;", "* LANES;", masks),
    Mutant("off by one at the end", "if (i >= 0 && i < n) {", "if (i >= 0 && i < n - 1) {", masks),
    Mutant("beyond the end", "if (i >= 0 && i < n) {", "if (i >= 0 && i <= n) {", masks),
    Mutant(
        "the last block is forgotten",
        "(start + n + LANES - 1) / LANES - first",
        "(start + n) / LANES - first",
        masks,
    ),
    Mutant(
        "the step of the host, not of the device",
        "keep, true, threshold, seed, stream, (word)(numbers ? numbers->step : step)",
        "keep, true, threshold, seed, stream, (word)step",
        masks_from_numbers,
    ),
    # layers
    Mutant("scale missing", "z[i] = a * (REAL)kept * c;", "z[i] = a * (REAL)kept;", relu("drawn")),
    Mutant("mask missing", "z[i] = a * (REAL)kept * c;", "z[i] = a * c;", relu("element")),
    Mutant("bias of the row", "z[i] + bias[i % columns]", "z[i] + bias[i / columns]", relu("none")),
    Mutant(
        "one mask row for all is read on",
        "mask.keep[columns ? i % columns : i]",
        "mask.keep[i]",
        relu("feature"),
    ),
    Mutant("the drawn mask is not written", "if (mask.keep) mask.keep[i] = keep;", "", relu("drawn")),
    Mutant("gradient at the kink", "(REAL)(y[i] > 0)", "(REAL)(y[i] >= 0)", backward),
    Mutant("no scale on the way back", "(REAL)(y[i] > 0) * (REAL)scale", "(REAL)(y[i] > 0)", backward),
    Mutant("the first batch again", "order += (integer)tally->batches * batch_size", "order += 0", gathering),
    Mutant("labels in their own order", "labels[order[r]]", "labels[r]", gathering),
    Mutant("mean of what is scaled", "/ d - m) / s)", "/ d) / s - m)", gathering),
    # loss and sums
    Mutant("one-hot missing", " - (REAL)(j == label))", ")", softmax),
    Mutant("the maximum is not subtracted", "exp(logits[j] - largest) / s", "exp(logits[j]) / s", softmax),
    Mutant(
        "the maximum of the first warp's columns",
        "j < classes; j += WARP) {\n        REAL z",
        "j < WARP; j += WARP) {\n        REAL z",
        softmax_of_large_logits,
    ),
    Mutant(
        "half a warp is summed",
        "int offset = WARP / 2; offset > 0; offset /= 2) value += ",
        "int offset = WARP / 4; offset > 0; offset /= 2) value += ",
        softmax,
    ),
    Mutant("the loss is not scaled", "= (REAL)scale * sum;", "= sum;", softmax),
    Mutant(
        "the loss of a batch, not of its examples",
        "loss * (double)examples;",
        "loss;",
        checks.check_count_batch,
    ),
    Mutant(
        "the sum begins anew",
        "tally->loss_sum += (double)",
        "tally->loss_sum = (double)",
        checks.check_count_batch,
    ),
    Mutant("the weights stay where they were", "w += rule.step * v[i];", "", accumulation),
    Mutant(
        "alpha and beta swapped",
        "alpha_beta[0] = ALPHA, alpha_beta[1] = BETA;",
        "alpha_beta[0] = BETA, alpha_beta[1] = ALPHA;",
        accumulation,
    ),
    Mutant("a column too few", "if (column < columns)\n", "if (column < columns - 1)\n", sums),
    Mutant("the last warp's sum is missing", "other < warps; other++", "other < warps - 1; other++", sums),
    # replicas
    Mutant(
        "the masks of the first seed", "+= replica() * n, seed += replica();", "+= replica() * n;", replicas
    ),
    Mutant("with a ReLU too", "replica() * distance, seed += replica();", "replica() * distance;", replicas),
    Mutant(
        "the bias of the first replica",
        "columns, bias += replica() * distance,",
        "columns,",
        replicas,
    ),
    Mutant(
        "the mask rows of the first replica",
        "(keep_is_row ? 1 : rows) *",
        "(keep_is_row ? 0 : rows) *",
        replicas,
    ),
    Mutant(
        "sums where columns end", "sums += replica() * distance;", "sums += replica() * columns;", replicas
    ),
    Mutant("the loss of the first replica", "    values += replica() * n;\n", "", replicas),
    Mutant("all losses in one place", "out[replica()] =", "*out =", replicas),
    Mutant("all batches in one tally", "tally += replica(), loss", "loss", replicas),
    Mutant(
        "the update of the first replica",
        "slot2, replica() * distance + i)",
        "slot2, i)",
        all_replicas("adam"),
    ),
    Mutant(
        "the rows of the first replica",
        "row = replica() * distance + blockIdx.x * columns",
        "row = blockIdx.x * columns",
        all_replicas("sgd-hinton"),
    ),
    # updates and projection
    Mutant(
        "every thread counts the step",
        "if (threadIdx.x != 0) return;\n    numbers->step += 1;",
        "numbers->step += 1;",
        update("adam"),
    ),
    Mutant(
        "the norm of the first row",
        "REAL *row = matrix + (integer)blockIdx.x * columns, squares = 0;",
        "REAL *row = matrix, squares = 0;",
        norms,
    ),
    Mutant(
        "the limit squared", "REAL factor = limit / length;", "REAL factor = limit * limit / length;", norms
    ),
    Mutant(
        "the norm before the update",
        "squares += now * now;",
        "squares += 0.01 * now * now;",
        update("sgd-hinton"),
    ),
    Mutant(
        "weight decay forgotten", "gradients[i] + decay * w", "gradients[i]", update("sgd", weight_decay=0.1)
    ),
    Mutant(
        "decoupled decay is coupled", "decay = decoupled ? 0 :", "decay =", update("adamw", weight_decay=0.1)
    ),
    Mutant("a slot is not written back", "if (Rule::slots > 1) slot1[i] = slot[1];", "", update("adam")),
    Mutant("ascent", "w -= lr * g;", "w += lr * g;", update("sgd")),
    Mutant("1 - mu missing", "f = -(1 - mu) * eta", "f = -eta", update("hinton")),
    Mutant("the first gradient is dampened", "now.velocity_steps != 1", "true", update("dampened")),
    Mutant("Nesterov does not look ahead", "s = -eta * mu, h = -eta;", "s = -eta;", update("nesterov")),
    Mutant("epsilon is not corrected", "eps = (REAL)(k.c * c);", "", update("adam", eps=0.1)),
    Mutant(
        "tomorrow's momentum",
        "pow(0.96, (t + 1) * k.d)",
        "pow(0.96, t * k.d)",
        update("nadam", momentum_decay=0.5),
    ),
    Mutant(
        "adds where it should compare",
        "slot[1] = norm > size || norm != norm ? norm : size;",
        "slot[1] = norm + size;",
        update("adamax"),
    ),
    Mutant("not centered", "variance -= slot[2] * slot[2];", "", update("rmsprop centered")),
    Mutant(
        "decays a step early", "(double)(now.step - 1) * k.b", "(double)now.step * k.b", update("adagrad")
    ),
    Mutant(
        "divides the wrong way",
        "sqrt(slot[1] + eps) / sqrt(slot[0] + eps)",
        "sqrt(slot[0] + eps) / sqrt(slot[1] + eps)",
        update("adadelta"),
    ),
]

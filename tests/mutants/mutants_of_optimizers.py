"""Ordinary bugs of updates, projections and schedules."""

from mutation import bug

MOMENTUM = "minidrop.optim.momentum:Momentum."
ADAM = "minidrop.optim.adam:"
OPTIMIZER = "minidrop.optim.optimizer:Optimizer."
MAX_NORM = "minidrop.optim.max_norm:MaxNorm."
NUMPY = "minidrop.backends.numpy_backend:NumpyBackend."


OPTIMIZER_MUTANTS = [
    # momentum
    bug(
        "velocity with the wrong sign",
        MOMENTUM + "linear_rule",
        "-(1 - mu) * lr",
        "(1 - mu) * lr",
        "momentum, hinton",
    ),
    bug("(1 - mu) missing, hinton", MOMENTUM + "linear_rule", "-(1 - mu) * lr", "-lr", "momentum, hinton"),
    bug(
        "(1 - mu) missing, ema",
        MOMENTUM + "linear_rule",
        "(mu, 1 - mu, -lr)",
        "(mu, 1, -lr)",
        "momentum, ema",
    ),
    bug(
        "ema prices gradients at their own day's rate",
        MOMENTUM + "linear_rule",
        "(mu, 1 - mu, -lr)",
        "(mu, (1 - mu) * lr, -1)",
        "momentum, ema",
    ),
    bug(
        "the velocity is added",
        MOMENTUM + "linear_rule",
        "(mu, lr, -1)",
        "(mu, lr, 1)",
        "momentum, classical",
    ),
    bug("mu and 1 - mu swapped", MOMENTUM + "linear_rule", "(mu, 1 if", "(1 - mu, 1 if", "momentum, torch"),
    bug(
        "Nesterov without the gradient",
        MOMENTUM + "update",
        "self.add(-lr, g, 1, w)",
        "pass",
        "momentum, nesterov",
    ),
    bug(
        "the first gradient is dampened",
        MOMENTUM + "linear_rule",
        "self.velocity_steps == 1",
        "False",
        "momentum, dampening",
    ),
    bug("ascent", "minidrop.optim.sgd:SGD.update", "-lr", "lr", "sgd"),
    bug("learning rate missing", "minidrop.optim.sgd:SGD.update", "-lr", "-1.0", "sgd"),
    # Adam and its kin
    bug(
        "first correction off by one",
        ADAM + "Adam.update",
        "self.beta1**self.steps",
        "self.beta1 ** (self.steps + 1)",
        "Adam's first step",
    ),
    bug(
        "second correction off by one",
        ADAM + "Adam.update",
        "self.beta2**self.steps",
        "self.beta2 ** (self.steps + 1)",
        "Adam along a line",
    ),
    bug(
        "first correction missing",
        ADAM + "Adam.update",
        " / (1 - self.beta1**self.steps)",
        "",
        "Adam's first step",
    ),
    bug(
        "eps inside the root",
        ADAM + "Adam.update",
        "xp.sqrt(v, out=step)",
        "xp.sqrt(v + self.eps * c**2, out=step)",
        "Adam",
        ("step += self.eps * c", "pass"),
    ),
    bug(
        "eps before the correction",
        ADAM + "Adam.update",
        "self.eps * c",
        "self.eps",
        "AdamW",
    ),
    bug(
        "beta2 for beta1",
        ADAM + "TwoMoments.update_moments",
        "g, self.beta1, m",
        "g, self.beta2, m",
        "Adam",
    ),
    bug(
        "second moment of |g|",
        OPTIMIZER + "add_square",
        "xp.multiply(x, x, out=square)",
        "xp.absolute(x, out=square)",
        "Adam",
    ),
    bug("(1 - beta2) missing", ADAM + "TwoMoments.update_moments", "xp, 1 - self.beta2", "xp, 1", "NAdam"),
    bug(
        "Adagrad decays a step early",
        "minidrop.optim.adagrad:Adagrad.update",
        "(self.steps - 1)",
        "self.steps",
        "Adagrad",
    ),
    bug(
        "Adadelta divides the wrong way",
        "minidrop.optim.adadelta:Adadelta.update",
        "delta /= root",
        "delta *= root",
        "Adadelta",
    ),
    bug(
        "RMSprop without momentum",
        "minidrop.optim.rmsprop:RMSprop.update",
        "root, self.momentum, v",
        "root, 0, v",
        "RMSprop",
    ),
    bug(
        "RMSprop's mean is squared wrongly",
        "minidrop.optim.rmsprop:RMSprop.update",
        "(a, a, out=root)",
        "(g, g, out=root)",
        "RMSprop, centered",
    ),
    bug(
        "Adamax adds where it should compare",
        "minidrop.optim.adamax:Adamax.update",
        "xp.maximum(u, step, out=u)",
        "u += step",
        "Adamax",
    ),
    bug(
        "NAdam's momentum of yesterday",
        "minidrop.optim.nadam:NAdam.begin_step",
        "(self.steps, self.steps + 1)",
        "(self.steps - 1, self.steps)",
        "NAdam",
    ),
    # what all optimizers do
    bug(
        "weight decay with the wrong sign",
        OPTIMIZER + "_update_by_arrays",
        "xp.multiply(w, decay,",
        "xp.multiply(w, -decay,",
        "sgd",
    ),
    bug("weight decay forgotten", OPTIMIZER + "_update_by_arrays", "g = decayed", "pass", "sgd"),
    bug(
        "coupled decay for decoupled",
        OPTIMIZER + "_update_by_arrays",
        "if decay and self.decoupled:",
        "if False:",
        "AdamW",
    ),
    bug(
        "decoupled decay without the learning rate",
        OPTIMIZER + "_update_by_arrays",
        "1 - lr * decay",
        "1 - decay",
        "AdamW",
    ),
    bug(
        "decoupled decay for coupled",
        OPTIMIZER + "_update_by_arrays",
        "if decay and self.decoupled:",
        "if decay:",
        "Adam",
    ),
    bug("steps not counted", OPTIMIZER + "advance", "self.steps += 1", "pass", "steps are counted"),
    bug(
        "projection before the update",
        OPTIMIZER + "step_share",
        "    parts =",
        "    Optimizer.project(self, share, shares)\n    parts =",
        "projections last",
        ("    self.project(share, shares)", "    pass"),
    ),
    bug(
        "projections forgotten",
        OPTIMIZER + "step_share",
        "self.project(share, shares)",
        "pass",
        "the paper's update",
    ),
    # max-norm
    bug(
        "the limit is not squared",
        MAX_NORM + "lengths",
        "value**0.5 if self.squared else value",
        "value",
        "squared limit",
    ),
    bug(
        "the limit is always squared",
        MAX_NORM + "lengths",
        "value**0.5 if self.squared else value",
        "value**0.5",
        "squared limit",
    ),
    bug(
        "the output layer is limited",
        "minidrop.optim.max_norm:weight_matrices",
        'names[:-1] if layers == "hidden" else names',
        "names",
        "limited layers",
    ),
    bug(
        "the norm of columns",
        NUMPY + "limit_row_norms",
        "np.vecdot(part, part, out=lengths)",
        "lengths[...] = np.vecdot(part.T, part.T)[np.arange(len(part)) % part.shape[1]]",
        "short rows",
    ),
    bug(
        "short rows are stretched",
        NUMPY + "limit_row_norms",
        "np.maximum(lengths, limit, out=lengths)",
        "pass",
        "short rows",
    ),
    bug(
        "the root is forgotten",
        NUMPY + "limit_row_norms",
        "np.sqrt(lengths, out=lengths)",
        "pass",
        "squared limit",
    ),
    bug(
        "one factor for all rows",
        NUMPY + "limit_row_norms",
        "part *= lengths[:, None]",
        "part *= lengths[0]",
        "permuted units",
    ),
    # schedules
    bug(
        "the schedule is an epoch ahead",
        "minidrop.optim.schedules:exponential",
        "decay, epoch",
        "decay, epoch + 1",
        "exponential schedule",
    ),
]

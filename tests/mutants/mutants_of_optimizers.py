"""Ordinary bugs of updates, projections and schedules."""

from mutation import bug

MOMENTUM = "minidrop.optim.momentum:Momentum."
ADAM = "minidrop.optim.adam:"
OPTIMIZER = "minidrop.optim.optimizer:Optimizer."
MAX_NORM = "minidrop.optim.max_norm:MaxNorm."
NUMPY = "minidrop.backends.numpy_backend:NumpyBackend."


OPTIMIZER_MUTANTS = [
    # momentum
    bug("velocity with the wrong sign", MOMENTUM + "update", "v -= step", "v += step", "momentum, hinton"),
    bug("(1 - mu) missing, hinton", MOMENTUM + "update", "(1 - mu) * lr", "lr", "momentum, hinton"),
    bug(
        "(1 - mu) missing, ema",
        MOMENTUM + "update",
        "multiply(g, 1 - mu,",
        "multiply(g, 1.0,",
        "momentum, ema",
    ),
    bug(
        "ema prices gradients at their own day's rate",
        MOMENTUM + "update",
        "multiply(g, 1 - mu,",
        "multiply(g, (1 - mu) * lr,",
        "momentum, ema",
        ("xp.multiply(v, lr, out=step)", "step[...] = v"),
    ),
    bug("the velocity is added", MOMENTUM + "update", "w -= v", "w += v", "momentum, classical"),
    bug("mu and 1 - mu swapped", MOMENTUM + "_torch", "v *= mu", "v *= 1 - mu", "momentum, torch"),
    bug("Nesterov without the gradient", MOMENTUM + "_torch", "step += g", "pass", "momentum, nesterov"),
    bug(
        "the first gradient is dampened",
        MOMENTUM + "_torch",
        "self.velocity_steps == 1 or ",
        "",
        "momentum, dampening",
    ),
    bug("ascent", "minidrop.optim.sgd:SGD.update", "w -= step", "w += step", "sgd"),
    bug("learning rate missing", "minidrop.optim.sgd:SGD.update", "(g, lr,", "(g, 1.0,", "sgd"),
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
        "lr / (1 - self.beta1**self.steps)",
        "lr",
        "Adam's first step",
    ),
    bug(
        "eps inside the root",
        ADAM + "Adam.update",
        "xp.sqrt(v, out=denominator)",
        "xp.sqrt(v + self.eps * correction**2, out=denominator)",
        "Adam",
        ("denominator += self.eps", "pass"),
    ),
    bug(
        "eps before the correction",
        ADAM + "Adam.update",
        "xp.sqrt(v, out=denominator)",
        "xp.sqrt(v, out=denominator)\n    denominator += self.eps",
        "AdamW",
        ("    denominator += self.eps\n    xp.divide", "    xp.divide"),
    ),
    bug(
        "beta1 and beta2 swapped",
        ADAM + "Adam.update",
        "self.beta1, self.beta2,",
        "self.beta2, self.beta1,",
        "Adam",
    ),
    bug(
        "second moment of |g|",
        ADAM + "update_moments",
        "xp.multiply(g, g, out=scratch)",
        "xp.absolute(g, out=scratch)",
        "Adam",
    ),
    bug("(1 - beta2) missing", ADAM + "update_moments", "scratch *= 1 - beta2", "pass", "NAdam"),
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
        "v *= self.momentum",
        "v *= 0",
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
        OPTIMIZER + "step",
        "xp.multiply(w, decay,",
        "xp.multiply(w, -decay,",
        "sgd",
    ),
    bug("weight decay forgotten", OPTIMIZER + "step", "g = decayed", "pass", "sgd"),
    bug(
        "coupled decay for decoupled",
        OPTIMIZER + "step",
        "if decay and self.decoupled:",
        "if False:",
        "AdamW",
    ),
    bug(
        "decoupled decay without the learning rate",
        OPTIMIZER + "step",
        "1 - lr * decay",
        "1 - decay",
        "AdamW",
    ),
    bug(
        "decoupled decay for coupled", OPTIMIZER + "step", "if decay and self.decoupled:", "if decay:", "Adam"
    ),
    bug("steps not counted", OPTIMIZER + "step", "self.steps += 1", "pass", "steps are counted"),
    bug(
        "projection before the update",
        OPTIMIZER + "step",
        "self.begin_step()",
        "self.begin_step()\n    Optimizer.project(self)",
        "projections last",
        ("    self.project()", "    pass"),
    ),
    bug("projections forgotten", OPTIMIZER + "step", "self.project()", "pass", "the paper's update"),
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
        'np.einsum("ij,ij->i", part, part, out=lengths)',
        'lengths[...] = np.einsum("ij,ij->j", part, part)[np.arange(len(part)) % columns]',
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
        "decay**epoch",
        "decay ** (epoch + 1)",
        "exponential schedule",
    ),
]

"""Ordinary bugs of what a fused step is made of: which layers, which operations, its shares and threads."""

from mutation import bug

FUSED = "minidrop.fused:FusedStep."
BLOCKS = "minidrop.fused:blocks"
NUMPY = "minidrop.backends.numpy_backend:NumpyBackend."
PLAIN = "minidrop.backends.base:Backend."
THREADS = "minidrop.threads:"

SHARE_MUTANTS = [
    # chains
    bug(
        "fused: dropout before a unit",
        BLOCKS,
        "last.linear and not last.unit and not last.dropout",
        "last.linear and not last.unit",
        "no chain: dropout before the unit",
    ),
    bug(
        "fused: one of two dropouts",
        BLOCKS,
        "type(layer) is Dropout and last.dropout is None",
        "type(layer) is Dropout",
        "no chain: two dropouts",
    ),
    bug(
        "fused: a container of one's own",
        BLOCKS,
        " or not is_chain(model)",
        "",
        "no chain: a container of one's own",
    ),
    bug(
        "fused: a subclass for its base class",
        BLOCKS,
        "type(layer) is Linear",
        "isinstance(layer, Linear)",
        "no chain: a subclass of Linear",
    ),
    bug("fused: a unit behind the last matrix", BLOCKS, "and last.unit is None", "", "no chain: a unit last"),
    bug(
        "fused: dropout behind the last matrix",
        BLOCKS,
        "and last.unit is None and last.dropout is None",
        "and last.unit is None",
        "no chain: dropout last",
    ),
    bug(
        "fused also where that is not wanted",
        "minidrop.training:TrainStep.__init__",
        "if fused else None",
        "",
        "a chain",
    ),
    bug(
        "fused with another loss",
        "minidrop.training:TrainStep.__init__",
        "and type(loss) is SoftmaxCrossEntropy",
        "",
        "a loss of one's own",
    ),
    bug(
        "fused: another optimizer's step",
        FUSED + "__init__",
        "type(optimizer) in OPTIMIZERS.values()",
        "True",
        "a step of one's own",
    ),
    bug(
        "fused: the update of a base class",
        FUSED + "__init__",
        "gradients or not self.shares_update",
        "gradients",
        "an update of one's own",
    ),
    # what it is made of
    bug(
        "forward of a block with another block's mask",
        NUMPY + "bias_relu_dropout",
        "keep[start : start + block]",
        "keep[: len(part)]",
        "fused forward, blocks of 20",
    ),
    bug(
        "forward without scale",
        NUMPY + "bias_relu_dropout",
        "part *= scale",
        "pass",
        "fused forward, blocks of 1000",
    ),
    bug(
        "backward of a block with another block's outputs",
        NUMPY + "relu_dropout_backward",
        "greater(y[start : start + block]",
        "greater(y[: len(part)]",
        "fused backward, blocks of 20",
    ),
    bug(
        "backward lets pass what is 0",
        NUMPY + "relu_dropout_backward",
        "np.greater(",
        "np.greater_equal(",
        "fused backward, blocks of 1000",
    ),
    bug(
        "plain: backward lets pass what is 0",
        PLAIN + "relu_dropout_backward",
        "y > 0\n",
        "y >= 0\n",
        "fused backward, blocks of 1000",
    ),
    bug(
        "plain: bias behind the ReLU",
        PLAIN + "bias_relu_dropout",
        "z += bias[..., None, :]",
        "pass",
        "fused forward, blocks of 1000",
        ("self.xp.maximum(z, 0, out=z)", "self.xp.maximum(z, 0, out=z); z += bias"),
    ),
    bug(
        "all rows have the mask of the first",
        "minidrop.backends.values:Draw.rows",
        "self.start + rows.start * prod(self.keep.shape[1:])",
        "self.start",
        "rows of a mask",
    ),
    # shares of an update
    bug(
        "every share updates all",
        "minidrop.optim.groups:pieces",
        "span(units, share, shares)",
        "slice(0, units)",
        "shares of sgd",
    ),
    bug(
        "an update for each share",
        "minidrop.optim.optimizer:Optimizer.step",
        "self.step_share(share, shares)",
        "self.step_share(0, 1)",
        "shares of an update",
    ),
    bug(
        "an update of the first share alone",
        "minidrop.optim.optimizer:Optimizer.step",
        "self.step_share(share, shares)",
        "self.step_share(0, shares)",
        "shares of an update",
    ),
    bug(
        "the rows of the first share are limited alone",
        "minidrop.optim.max_norm:MaxNorm.apply",
        "span(parameters[name].shape[0], share, shares)",
        "span(parameters[name].shape[0], 0, shares)",
        "shares of sgd-hinton",
    ),
    bug(
        "stale factors once for each share",
        "minidrop.optim.hinton:SGDHinton.project",
        "span(len(factor), share, shares)",
        "slice(0, len(factor))",
        "shares of stale-norm",
    ),
    # threads
    bug(
        "what is left over belongs to nobody",
        THREADS + "span",
        "n if share == shares - 1 else high",
        "high",
        "spans",
    ),
    bug("shares begin anywhere", THREADS + "span", "// multiple * multiple", "", "spans"),
    bug("share 0 is done twice", THREADS + "Team.run", "start=1", "start=0", "each share once"),
    bug(
        "an exception is swallowed",
        THREADS + "Team._serve",
        "done.put(error)",
        "done.put(None)",
        "an error in a share",
    ),
    bug(
        "an exception is forgotten",
        THREADS + "Team.run",
        "raise error",
        "pass",
        "an error in a share",
    ),
    bug(
        "the caller goes on while others work",
        THREADS + "Team.run",
        "[done.get() for _ in range(shares - 1)]",
        "[]",
        "an error in a share",
    ),
    bug(
        "a thread has its own idea of errors",
        THREADS + "Team._serve",
        "context.run(job, share)",
        "job(share)",
        "floating-point errors in a share",
    ),
    bug(
        "matrix products on all threads of all threads",
        THREADS + "_alone",
        "limited(1)",
        "limited(0)",
        "threads after an error",
    ),
    bug(
        "one thread for ever",
        THREADS + "limited",
        "_set_threads(library, number)",
        "pass",
        "threads after an error",
    ),
    bug(
        "one number of threads for all libraries",
        THREADS + "limited",
        "_set_threads(library, number)",
        "_set_threads(library, min(before))",
        "threads of two libraries",
    ),
    bug(
        "the first caller's limit for the usual one",
        THREADS + "_alone",
        "with _sharing:",
        "if True:",
        "threads after two callers",
    ),
    bug(
        "as many threads as nobody knows",
        THREADS + "available",
        "default=1",
        "default=64",
        "threads of no known library",
    ),
    bug(
        "some of the threads",
        NUMPY + "shares",
        "threads if threads <= most else 1",
        "min(threads, most)",
        "rule of shares",
    ),
]

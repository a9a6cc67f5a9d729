"""The slips of the source documents (EXPERIMENTS.md, section 3), made minidrop's default behaviour."""

from mutation import Mutant

HINTON = "minidrop.optim.hinton:SGDHinton."
TRAINING = "minidrop.single_run:SingleRun."

SLIP_MUTANTS = [
    # 000: Hinton's dropout
    Mutant(
        "000: the first step ascends",
        HINTON + "_ascends",
        'self._makes_velocity() and "ascend-first" in self.slips',
        "self._makes_velocity()",
        "the paper's update",
    ),
    Mutant(
        "000: momentum 0 ascends without learning rate and limit",
        HINTON + "_ascends",
        'self.momentum == 0 and "ascend-plain" in self.slips',
        "self.momentum == 0",
        "the paper's update with pauses",
    ),
    Mutant(
        "000: the limit looks at the weights before the update",
        HINTON + "begin_step",
        ' if "stale-norm" in self.slips else None',
        "",
        "the paper's update",
    ),
    Mutant(
        "000: the limit is compared with the norm, not its square",
        HINTON + "__init__",
        'squared and "limit-norm" not in self.slips',
        "False",
        "the paper's update",
    ),
    Mutant(
        "000: the output layer is limited too",
        HINTON + "__init__",
        '"all" if "limit-output" in self.slips else layers',
        '"all"',
        "the paper's update",
    ),
    Mutant(
        "000: learning rate 0.1 for 10",
        HINTON + "__init__",
        "lr: float = 10.0",
        "lr: float = 0.1",
        "the paper's values",
    ),
    Mutant(
        "000, as the paper prints it: initial and final momentum swapped",
        "minidrop.optim.schedules:linear",
        "epoch / epochs * final + (1 - epoch / epochs) * initial",
        "epoch / epochs * initial + (1 - epoch / epochs) * final",
        "linear schedule",
    ),
    # 001: the notebook
    Mutant(
        "001: one mask for the whole batch by default",
        "minidrop.layers.dropout:Dropout.__init__",
        'per: str = "element"',
        'per: str = "feature"',
        "masks of lanes",
    ),
    Mutant(
        "001: the probability of keeping for that of dropping",
        "minidrop.layers.dropout:Dropout.__init__",
        "self.drop_prob = drop_prob",
        "self.drop_prob = 1 - drop_prob",
        "keep rate 0.9",
    ),
    Mutant(
        "001: the losses of two sets swapped in the table",
        TRAINING + "finish_epoch",
        'f"{name}_loss": result and result.loss,',
        """f"{'validation' if name == 'test' else 'test'}_loss": result and result.loss,""",
        "history",
    ),
    Mutant(
        "001: the last training batch's loss under the epoch's name",
        "minidrop.backends.tally:Tally.add",
        "self._loss_sum += number * examples",
        "self._loss_sum = number * examples",
        "train loss",
    ),
    # 002: going deeper
    Mutant(
        "002: the sum's gradient for the mean's",
        "minidrop.losses:SoftmaxCrossEntropy.scale",
        '1 / rows if self.reduction == "mean" else 1.0',
        "1.0",
        "a duplicated batch",
    ),
    Mutant(
        "002: a loop over batches that never runs",
        "minidrop.data.batches:Batches.epoch",
        "range(start, len(self))",
        "range(self.size, self.batch_size)",
        "pieces of an epoch",
    ),
    Mutant(
        "002: normalised with the moments of the bytes after the division",
        "minidrop.building:build_scaling",
        "Scaling(dataset.maximum, mean, std)",
        "Scaling(dataset.maximum, mean * dataset.maximum, std * dataset.maximum)",
        "scalings",
    ),
    # 003: the exercises
    *(
        Mutant(
            f"003: mask = randn > d, so that d = {p} drops Phi(d)",
            "minidrop.backends.numpy_backend:NumpyBackend.keep_mask",
            "np.greater_equal(next_lanes(bits, part.size), threshold, out=part)",
            "np.greater(np.random.Generator(bits).standard_normal(part.size), threshold / 65536, out=part)",
            f"keep rate {p}",
        )
        for p in (0.1, 0.3, 0.5)
    ),
    Mutant(
        "003: evaluation on raw pixels",
        "minidrop.runs:Run._batches",
        "scaling=self.scaling",
        'scaling=self.scaling if options["shuffle"] else None',
        "inputs in evaluation",
    ),
    Mutant(
        "003: StochasticReLU scales nowhere",
        "minidrop.layers.stochastic_relu:StochasticReLU.__init__",
        "scaled: bool = True",
        "scaled: bool = False",
        "mean of StochasticReLU",
    ),
    Mutant(
        "003: DropConnect evaluates with the raw weights",
        "minidrop.layers.dropconnect:DropConnect._moment_matched",
        "mean = k * (",
        "mean = (",
        "moments of DropConnect",
    ),
    Mutant(
        "003: DropConnect has one mask for all examples",
        "minidrop.layers.dropconnect:DropConnect._example_keep",
        "start=i * weight.size",
        "start=0",
        "masks of DropConnect",
    ),
    Mutant(
        "003: the variance formula of unscaled dropout for inverted dropout",
        "test_all_masks:variance_law",
        "return variance / keep + (1 - keep) / keep * mean**2",
        "return keep * (1 - keep) * mean**2 + keep * variance",
        "variance behind dropout",
    ),
    Mutant(
        "003: the variance of the activations alone, without their mean",
        "test_all_masks:variance_law",
        "return variance / keep + (1 - keep) / keep * mean**2",
        "return variance / keep",
        "variance behind dropout",
    ),
    # 004: the tutorial
    Mutant(
        "004: Adam as its prose has it, with the root of v",
        "minidrop.optim.adam:Adam.__init__",
        "corrected: bool = True",
        "corrected: bool = False",
        "Adam's first step",
    ),
    Mutant(
        "004: biases begin as the weights do",
        "minidrop.layers.linear:Linear.__init__",
        "init if bias_init is None else bias_init",
        "init",
        "default weights",
    ),
]

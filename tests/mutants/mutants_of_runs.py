"""Ordinary bugs of batches, training, checkpoints, initial weights and what a configuration builds."""

from mutation import bug

BATCHES = "minidrop.data.batches:Batches."
NUMPY = "minidrop.backends.numpy_backend:NumpyBackend."
RUN = "minidrop.single_run:SingleRun."
EVALUATE = "minidrop.training:evaluate"
BEHAVING = "minidrop.layers.stochastic:behaving"
CHECKPOINT = "minidrop.checkpoint:"
INITIALIZERS = "minidrop.initializers:"
BUILDING = "minidrop.building:"


RUN_MUTANTS = [
    # batches
    bug(
        "the same order in each epoch",
        BATCHES + "order",
        "permutation(self.size, epoch)",
        "permutation(self.size, 0)",
        "epochs differ",
    ),
    bug("no order at all", BATCHES + "epoch", "if self.shuffle", "if False", "pieces of an epoch"),
    bug(
        "the last batch dropped",
        BATCHES + "__len__",
        "else -(-self.size // self.batch_size)",
        "else self.size // self.batch_size",
        "the last batch",
    ),
    bug(
        "labels in the stored order",
        BATCHES + "epoch",
        "self.backend.take(self.labels, indices, labels)",
        "labels[...] = self.labels[first:last]",
        "inputs and labels",
    ),
    bug("mean added", NUMPY + "scale", "out -= scaling.mean", "out += scaling.mean", "inputs and labels"),
    bug(
        "divided by the variance",
        NUMPY + "scale",
        "out /= scaling.std",
        "out /= scaling.std**2",
        "inputs and labels",
    ),
    # training and evaluation
    bug(
        "TrainStep does not say which step it is",
        "minidrop.training:TrainStep.__call__",
        "self.model.set_step(self.optimizer.steps)",
        "pass",
        "training machine, adam",
    ),
    bug(
        "TrainStep stays in evaluation",
        "minidrop.training:TrainStep.__call__",
        "self.model.train()",
        "pass",
        "mode before a step",
    ),
    bug("evaluation stays in training", BEHAVING, "model.train(training)", "pass", "evaluation"),
    bug("the model is left in evaluation", BEHAVING, "layer.training = was", "pass", "evaluation"),
    bug("a probe's masks are used up", BEHAVING, "stochastic.set_step(step)", "pass", "modes and steps"),
    bug(
        "one mode for all layers",
        BEHAVING,
        "layer.training = was",
        "layer.training = flags[0][1]",
        "modes and steps",
    ),
    bug(
        "tied weights",
        "minidrop.parameters:ParameterArena.__init__",
        "names.setdefault(id(parameter), name)",
        "name",
        "one name",
    ),
    bug(
        "other batches go on",
        CHECKPOINT + "load_checkpoint",
        "(order or {}).items()",
        "()",
        "another order",
    ),
    bug(
        "the mean of batches for that of examples",
        EVALUATE,
        "total / size",
        "total / len(batches)",
        "evaluation",
    ),
    bug(
        "errors by the smallest logit",
        "minidrop.backends.base:Backend.count_errors",
        "argmax",
        "argmin",
        "errors",
    ),
    bug(
        "train loss by batches of equal size",
        "minidrop.training:TrainStep.epoch",
        "len(labels)",
        "batches.batch_size",
        "train loss",
    ),
    bug(
        "schedules of the next epoch",
        RUN + "set_rates",
        "schedule(self.state.epoch)",
        "schedule(self.state.epoch + 1)",
        "history",
    ),
    bug(
        "the best epoch by the test set",
        RUN + "__init__",
        '{"validation": replica.validation, "test": replica.test}',
        '{"validation": replica.test or replica.validation, "test": replica.test}',
        "history",
    ),
    bug(
        "the best epoch is the worst",
        RUN + "finish_epoch",
        "min(rank) == rank[-1]",
        "max(rank) == rank[-1]",
        "best epoch",
    ),
    bug(
        "the best weights are left in the file",
        RUN + "load_best",
        "if self.best is not None",
        "if False",
        "best epoch",
    ),
    # several runs at once
    bug(
        "a run that is ahead is trained along",
        "minidrop.fitting:_train_until",
        "if run.state.epoch < epoch",
        "if True",
        "a replica behind",
    ),
    bug(
        "only one run is saved when interrupted",
        "minidrop.fitting:fit_replicas",
        "for run in runs:\n                    run.save_midway()",
        "for run in runs[:1]:\n                    run.save_midway()",
        "interrupted replicas",
    ),
    bug(
        "only one run gets its best weights back",
        "minidrop.fitting:fit_replicas",
        "for run in runs:\n        run.load_best()",
        "for run in runs[:1]:\n        run.load_best()",
        "replicas",
    ),
    bug(
        "a replica has all threads for its products",
        NUMPY + "side_by_side",
        "side_by_side(job, most)",
        "share_out(job, most)",
        "threads of a late replica",
    ),
    bug(
        "the spread of the mean for that of the seeds",
        "minidrop.intervals:mean_row",
        "stdev(numbers)",
        "stdev(numbers) / sqrt(len(rows))",
        "mean of rows",
    ),
    # checkpoints
    bug(
        "the batch under way is counted after the save",
        RUN + "epoch",
        "state.batch = self.step.tally.batches\n",
        "yield loss\n        state.batch = self.step.tally.batches\n",
        "interruption after batch 11",
        ("        yield loss\n    self.look()", "    self.look()"),
    ),
    bug(
        "a resumed epoch begins again",
        "minidrop.training:TrainStep.epoch",
        "batches.epoch(epoch, start)",
        "batches.epoch(epoch, 0)",
        "interruption after batch 11",
    ),
    bug(
        "a resumed run starts anew",
        RUN + "load",
        "self.state, self.best = state,",
        "self.best =",
        "more epochs",
    ),
    bug(
        "a checkpoint forgets a slot",
        CHECKPOINT + "load_checkpoint",
        "in optimizer.state.items()",
        "in list(optimizer.state.items())[1:]",
        "training machine, adam",
    ),
    bug(
        "a checkpoint forgets the velocity",
        CHECKPOINT + "load_checkpoint",
        "in optimizer.state.items()",
        "in ()",
        "training machine, torch",
    ),
    bug(
        "a checkpoint forgets the step",
        CHECKPOINT + "load_checkpoint",
        'optimizer.restore_scalars(header["scalars"])',
        "pass",
        "training machine, adam",
    ),
    bug(
        "a checkpoint forgets the weights",
        CHECKPOINT + "load_checkpoint",
        "{name: tensors[name] for name in parameters}",
        "{name: parameters[name].value for name in parameters}",
        "training machine, adam",
    ),
    bug(
        "an optimizer forgets its step",
        "minidrop.optim.optimizer:Optimizer.restore_scalars",
        'self.steps = int(scalars["steps"])',
        "pass",
        "resume adam",
    ),
    bug(
        "momentum forgets that it has a velocity",
        "minidrop.optim.momentum:Momentum.restore_scalars",
        'self.velocity_steps = int(scalars["velocity_steps"])',
        "pass",
        "resume dampened",
    ),
    bug(
        "NAdam forgets its product",
        "minidrop.optim.nadam:NAdam.restore_scalars",
        'self._product = scalars["momentum_product"]',
        "pass",
        "resume nadam",
    ),
    # initial weights
    bug(
        "variance for standard deviation",
        INITIALIZERS + "Normal.__call__",
        "out *= self.std",
        "out *= self.std**2",
        "normal weights",
    ),
    bug(
        "fan out for fan in",
        INITIALIZERS + "TorchLinear.__call__",
        "fans.fan_in",
        "fans.fan_out",
        "default weights",
    ),
    bug(
        "scaled by nothing", INITIALIZERS + "Scaled.__call__", "out *= self.factor", "pass", "scaled weights"
    ),
    # from paper to inverted dropout
    bug(
        "learning rate k for k squared",
        BUILDING + "_match_paper",
        "lr_scale=keep**2",
        "lr_scale=keep",
        "paper and inverted",
    ),
    bug(
        "squared limit k for k squared",
        BUILDING + "_match_paper",
        "power = 2",
        "power = 1",
        "paper and inverted",
    ),
    bug(
        "weight decay not divided by k squared",
        BUILDING + "_match_paper",
        "decay / keep**2",
        "decay",
        "paper and inverted",
    ),
    bug(
        "initial weights not scaled by k",
        BUILDING + "build_model",
        "Scaled(init, keep) if config.match_paper else init",
        "init",
        "paper and inverted",
    ),
]

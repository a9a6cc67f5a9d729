"""Ordinary bugs of dropout, masks, streams and the loss."""

from mutation import bug

DROPOUT = "minidrop.layers.dropout:Dropout."
STOCHASTIC = "minidrop.layers.stochastic:"
STREAM = "minidrop.streams:"
PLAIN = "minidrop.backends.base:Backend."
NUMPY = "minidrop.backends.numpy_backend:NumpyBackend."


MASK_MUTANTS = [
    # dropout
    bug(
        "mask missing in backward",
        DROPOUT + "backward",
        "dy, keep, factor",
        "dy, True, factor",
        "gradients of Dropout",
    ),
    bug(
        "scale missing in backward",
        DROPOUT + "backward",
        "dy, keep, factor",
        "dy, keep, 1.0",
        "gradients of Dropout",
    ),
    bug(
        "scale missing",
        DROPOUT + "forward",
        "self.rate.scale if inverted else 1.0",
        "1.0",
        "mean of inverted dropout",
    ),
    bug(
        "scale inverted",
        DROPOUT + "forward",
        "self.rate.scale if inverted",
        "self.rate.keep if inverted",
        "mean of inverted dropout",
    ),
    bug(
        "scale applied twice",
        DROPOUT + "_masked",
        "out *= factor",
        "out *= factor**2",
        "mean of inverted dropout",
    ),
    bug(
        "scale missing at test in paper mode",
        DROPOUT + "forward",
        "1.0 if inverted else self.rate.keep",
        "1.0",
        "the mean net",
    ),
    bug(
        "scaled in training and at test",
        DROPOUT + "forward",
        "self.rate.scale if inverted else 1.0",
        "self.rate.scale",
        "mean of paper dropout",
    ),
    bug("evaluation drops", DROPOUT + "forward", "if self.training", "if True", "factors in evaluation"),
    bug(
        "rounded down instead of to the nearest rate",
        STOCHASTIC + "DropRate.of",
        "round(",
        "int(",
        "nearest rate",
    ),
    bug(
        "scale 1/p for 1/k",
        STOCHASTIC + "DropRate.scale",
        "_LANES / (_LANES - self.threshold)",
        "_LANES / max(1, self.threshold)",
        "nearest rate",
    ),
    bug("> for >= in the mask", NUMPY + "keep_mask", "np.greater_equal(", "np.greater(", "every lane once"),
    bug("the dropped ones are kept", NUMPY + "keep_mask", "np.greater_equal(", "np.less(", "every lane once"),
    bug(
        "the next pass draws the same mask",
        STOCHASTIC + "StochasticLayer.prepare_keep",
        "self.step + 1",
        "self.step",
        "next step",
    ),
    bug(
        "set_step ignored by a layer",
        STOCHASTIC + "StochasticLayer.set_step",
        "self.step = ",
        "_ = ",
        "masks of lanes",
    ),
    bug(
        "seed and place swapped",
        STOCHASTIC + "StochasticLayer.seed",
        "Stream(seed, self.purpose, index)",
        "Stream(index, self.purpose, seed)",
        "masks of lanes",
    ),
    # loss
    bug(
        "1/B doubled",
        NUMPY + "softmax_cross_entropy",
        "gradient *= scale",
        "gradient *= scale * scale",
        "loss",
    ),
    bug(
        "1/B in the gradient of the sum too",
        "minidrop.losses:SoftmaxCrossEntropy.scale",
        'if self.reduction == "mean" else 1.0',
        "if True else 1.0",
        "additivity over batches",
    ),
    bug(
        "maximum not subtracted",
        NUMPY + "softmax_cross_entropy",
        "np.subtract(logits, column, out=gradient)",
        "np.copyto(gradient, logits)",
        "huge logits",
    ),
    bug("one-hot missing", NUMPY + "softmax_cross_entropy", "picked -= 1", "pass", "loss"),
    bug("one-hot added", NUMPY + "softmax_cross_entropy", "picked -= 1", "picked += 1", "loss"),
    bug(
        "softmax over the batch",
        NUMPY + "softmax_cross_entropy",
        "gradient /= column",
        "gradient /= gradient.sum(axis=0)",
        "loss",
    ),
    # streams
    bug(
        "Philox counter off by one",
        STREAM + "Stream._position",
        "(block, step, 0, 0)",
        "(block + 1, step, 0, 0)",
        "philox bits",
    ),
    bug(
        "block and step swapped",
        STREAM + "Stream._position",
        "(block, step, 0, 0)",
        "(step, block, 0, 0)",
        "philox bits",
    ),
    bug(
        "seed and stream swapped",
        STREAM + "Stream.key",
        "self.seed, (int(self.purpose) << 32) + self.index",
        "(int(self.purpose) << 32) + self.index, self.seed",
        "philox bits",
    ),
    bug(
        "lanes from the wrong end",
        STREAM + "next_lanes",
        '.view("<u2")[:n]',
        '.view("<u2").reshape(-1, 4)[:, ::-1].reshape(-1)[:n]',
        "order of lanes",
    ),
    bug(
        "a piece of lanes begins with its block",
        STREAM + "Stream.lanes",
        "[skip:]",
        "[:n]",
        "pieces of lanes",
    ),
    bug(
        "a piece of a mask begins at the wrong block",
        NUMPY + "keep_mask",
        "start // 16",
        "start // 4",
        "masks of DropConnect",
    ),
    bug(
        "the maximum of the batch for the row's",
        NUMPY + "softmax_cross_entropy",
        "np.maximum.reduce(logits, axis=1, keepdims=True, out=column)",
        "column[...] = logits.max()",
        "shifted logits",
    ),
    bug(
        "an epsilon inside the logarithm",
        NUMPY + "softmax_cross_entropy",
        "np.log(column,",
        "np.log(column + 1e-8,",
        "loss",
    ),
    bug(
        "drop 0 drops a little",
        STOCHASTIC + "DropRate.of",
        "* _LANES",
        "* _LANES + 1",
        "training with drop 0",
    ),
    bug(
        "every lane used twice",
        STREAM + "next_lanes",
        '.view("<u2")[:n]',
        '.view("<u2").repeat(2)[:n]',
        "independent masks",
    ),
    bug(
        "all layers draw from one stream",
        STOCHASTIC + "StochasticLayer.seed",
        "Stream(seed, self.purpose, index)",
        "Stream(seed, self.purpose, 0)",
        "independent masks",
    ),
    # the plain definitions, which other backends use
    bug("plain: > for >= in the mask", PLAIN + "keep_mask", "greater_equal(", "greater(", "plain masks"),
    bug("plain: 1/B forgotten", PLAIN + "softmax_cross_entropy", "gradient *= scale", "pass", "plain loss"),
    bug(
        "plain: the norm is not limited but set",
        PLAIN + "limit_row_norms",
        "xp.maximum(lengths, limit)",
        "lengths",
        "plain max-norm",
    ),
    bug("plain: mean added", PLAIN + "scale", "out -= scaling.mean", "out += scaling.mean", "plain batches"),
]

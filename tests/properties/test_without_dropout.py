"""Nothing is nothing: noise of size 0 trains bit for bit as evaluation, and as a net without it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from optim_helpers import EVERY
from strategies import batch_for, gradients, nets, seeds, share

import minidrop as md

#: blocks whose evaluation is the same formula, and not an average over a Gaussian
PLAIN = {
    "noises": ("none", "inverted", "paper", "inverted, per feature", "paper, per feature", "gaussian"),
    "matrices": ("linear", "linear without bias", "dropconnect"),
    "units": ("relu", "sigmoid", "tanh", "stochastic relu", "stochastic relu, published"),
}


def at_rate_0(net):
    blocks = tuple((noise, matrix, unit, 0.0) for noise, matrix, unit, _ in net.blocks)
    return type(net)(net.sizes, blocks, net.seed)


@given(net=nets(**PLAIN), size=st.integers(1, 5), seed=seeds, step=st.integers(0, 1000))
def test_training_with_drop_0_is_evaluation(net, size, seed, step):
    model, (x, labels) = at_rate_0(net).build(), batch_for(net, size, seed)
    loss, training = gradients(model, x, labels, step=step)
    model.eval()
    evaluation_loss, evaluation = gradients(model, x, labels, step=step)
    assert loss == evaluation_loss
    for name, gradient in training.items():
        np.testing.assert_array_equal(gradient, evaluation[name], err_msg=name)


@share(1)
@given(net=nets(**PLAIN), size=st.integers(1, 5), seed=seeds, name=st.sampled_from(list(EVERY)))
def test_a_training_with_drop_0_is_that_of_a_net_without_dropout(net, size, seed, name):
    with_layers, without = at_rate_0(net).build(), at_rate_0(net).build()
    without.layers = tuple(
        md.Identity() if isinstance(layer, md.Dropout | md.GaussianNoise) else layer
        for layer in without.layers
    )
    cls, options = EVERY[name]
    steps = [
        md.TrainStep(model, md.SoftmaxCrossEntropy(), cls(model.parameters(), **options), gradients=True)
        for model in (with_layers, without)
    ]
    for t in range(4):
        x, labels = batch_for(net, size, seed + t)
        losses = [step(x, labels) for step in steps]
        assert losses[0] == losses[1]
    np.testing.assert_array_equal(*(step.optimizer.parameters.flat_values for step in steps))

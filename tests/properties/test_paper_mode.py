"""Paper and inverted dropout are one algorithm after W' = k W, k the keep probability of a matrix's input.

The matrix then takes the learning rate k² η, the weight decay λ / k², the limit k c and k times the initial
weights; biases stay. Whole trainings have the same losses, under any schedule and max-norm, for optimizers
that are linear in the gradient, which those that divide by its size (Adam and its kin) are not.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds
from tolerances import TRAINING_PATH

import minidrop as md
from minidrop.building import build_model, build_optimizer
from minidrop.config import TrainConfig

LINEAR_OPTIMIZERS = [
    "hinton",
    "sgd",
    "momentum",
    "momentum:form=classical",
    "momentum:form=ema",
    "momentum:form=hinton",
    "momentum:nesterov=true",
    "momentum:dampening=0.5",
]
STEPS = 8


@st.composite
def configurations(draw):
    """Random nets with a dropout before each matrix, for the paper's mode."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    drops = draw(st.lists(st.floats(0, 0.9), min_size=len(sizes) - 1, max_size=len(sizes) - 1))
    return TrainConfig(
        layers="-".join(map(str, sizes)),
        dropout=",".join(map(str, drops)),
        unit=draw(st.sampled_from(["relu", "sigmoid", "tanh", "identity"])),
        per=draw(st.sampled_from(["element", "feature"])),
        mode="paper",
        init="normal:0.7",
        bias_init="normal:0.3",
        optimizer=draw(st.sampled_from(LINEAR_OPTIMIZERS)),
        lr=0.1,
        momentum=None,
        weight_decay=draw(st.sampled_from([None, 0.05])),
        limit=draw(st.sampled_from([0.0, 0.2, 0.8, 2.0])),
        limit_kind=draw(st.sampled_from(["squared", "length"])),
        limit_layers=draw(st.sampled_from(["hidden", "all"])),
        seed=draw(st.integers(0, 1000)),
        dtype="float64",
    )


def train(config: TrainConfig, seed: int):
    """The model after STEPS steps with a learning rate and a momentum that jump at each, and the losses."""
    model, rng = build_model(config), np.random.default_rng(seed)
    optimizer = build_optimizer(config, model)
    step, sizes, losses = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer), config.layer_sizes(), []
    for _ in range(STEPS):
        optimizer.lr, momentum = rng.uniform(0.0, 0.3), rng.uniform(0.1, 0.95)
        if hasattr(optimizer, "momentum"):
            optimizer.momentum = momentum
        losses.append(float(step(rng.standard_normal((4, sizes[0])), rng.integers(0, sizes[-1], 4))))
    return model, losses


@given(config=configurations(), seed=seeds)
def test_inverted_dropout_can_follow_the_papers_trajectory(config, seed):
    paper, losses = train(config, seed)
    inverted, found = train(TrainConfig(**config.to_dict() | {"mode": "inverted", "match_paper": True}), seed)
    np.testing.assert_allclose(found, losses, rtol=TRAINING_PATH, atol=TRAINING_PATH)
    for i, layer in enumerate(paper):
        if isinstance(layer, md.Linear):
            keep = paper[i - 1].rate.keep
            for mine, expected in (
                (inverted[i].weight.value, keep * layer.weight.value),
                (inverted[i].bias.value, layer.bias.value),
            ):
                np.testing.assert_allclose(mine, expected, rtol=TRAINING_PATH, atol=TRAINING_PATH)
    paper.eval(), inverted.eval()
    x = np.random.default_rng(seed).standard_normal((3, config.layer_sizes()[0]))
    np.testing.assert_allclose(inverted.forward(x), paper.forward(x), rtol=TRAINING_PATH, atol=TRAINING_PATH)

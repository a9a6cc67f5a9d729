"""The paper's trajectory by inverted dropout."""

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING

import minidrop as md
from minidrop.building import build_model, build_optimizer, build_schedules
from minidrop.config import resolve
from minidrop.data import load
from minidrop.errors import ArgumentError


@pytest.mark.parametrize("limit_kind", ["squared", "length"])
def test_inverted_dropout_follows_the_papers_trajectory(limit_kind):
    """With W' = k W, lr k², limit c k and std k the two modes are one algorithm: 60 steps in float64."""
    common = {
        "layers": "64-24-16-10",
        "dropout": "0.2,0.5,0.3",
        "init": "normal:0.3",
        "dtype": "float64",
        "limit": 1.5,
        "limit_kind": limit_kind,
        "lr_schedule": "exponential:0.9",
        "momentum_schedule": "linear:0.95,4",
    }
    runs = {}
    for mode in ("paper", "inverted"):
        config = resolve({**common, "mode": mode, "match_paper": mode == "inverted"})
        model = build_model(config)
        optimizer = build_optimizer(config, model)
        schedules = build_schedules(config, optimizer)
        step = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer)
        digits = load("digits")
        batches = md.data.Batches(digits.train, 100, scaling=md.Scaling(16), dtype="float64")
        losses = []
        for epoch in range(4):
            optimizer.lr, optimizer.momentum = schedules["lr"](epoch), schedules["momentum"](epoch)
            losses += [float(step(x, labels)) for x, labels in batches.epoch(epoch)]
        runs[mode] = losses, model, optimizer
    paper, inverted = runs["paper"], runs["inverted"]
    np.testing.assert_allclose(inverted[0], paper[0], rtol=100 * FLOAT64_ROUNDING)
    for dropout, linear in ((0, 1), (3, 4), (6, 7)):
        keep = paper[1][dropout].rate.keep
        np.testing.assert_allclose(
            inverted[1][linear].weight.value,
            keep * paper[1][linear].weight.value,
            atol=100 * FLOAT64_ROUNDING,
        )
        np.testing.assert_allclose(
            inverted[1][linear].bias.value, paper[1][linear].bias.value, atol=100 * FLOAT64_ROUNDING
        )
    lengths = np.linalg.norm(paper[1][1].weight.value, axis=1)
    limit = 1.5**0.5 if limit_kind == "squared" else 1.5
    assert (lengths > limit * 0.999).any(), "the limit must bind, or it proves nothing"


def trajectory(**keys):
    """Losses of 3 epochs on the digits in float64."""
    config = resolve({"layers": "64-24-16-10", "dropout": "0.2,0.5,0.3", "dtype": "float64", **keys})
    model = build_model(config)
    optimizer = build_optimizer(config, model)
    step = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer)
    batches = md.data.Batches(load("digits").train, 100, scaling=md.Scaling(16), dtype="float64")
    return [float(step(x, labels)) for epoch in range(3) for x, labels in batches.epoch(epoch)]


@pytest.mark.parametrize(
    "options",
    [
        {"weight_decay": 1e-2},
        {"weight_decay": 1e-2, "limit": 0},
        {"optimizer": "momentum:form=torch,nesterov=true", "lr": 0.05, "momentum": 0.9, "limit": 1.0},
        {"optimizer": "sgd", "limit_layers": "all", "limit": 1.0},
    ],
    ids=str,
)
def test_the_papers_trajectory_with_other_options(options):
    paper = trajectory(mode="paper", **options)
    np.testing.assert_allclose(
        trajectory(mode="inverted", match_paper=True, **options), paper, rtol=100 * FLOAT64_ROUNDING
    )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"optimizer": "adam"}, "match_paper holds for the optimizers sgd, momentum and hinton"),
        ({"optimizer": "hinton:slips=published"}, "without slips"),
        ({"dropout": "0.2,1,0.5"}, "match_paper needs drop probabilities below 1"),
    ],
)
def test_where_there_is_no_paper_trajectory(options, match):
    with pytest.raises(ArgumentError, match=match):
        trajectory(mode="inverted", match_paper=True, **options)

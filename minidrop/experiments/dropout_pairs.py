"""003-Q1: which of two hidden layers to drop more of.

The framework's network of 003-2 with the pairs (.1, .5), (.5, .1), (.1, .9), (.9, .1) behind its first and
second hidden layer. The document trains each once, compares the accuracies on raw pixels, whatever training
saw (see `fashion`), and joins them by a line; here every pair has several seeds, the same for all pairs, so
that a pair and its mirror are compared seed by seed.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.building import build_model
from minidrop.config import from_dict
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.fashion import (
    PIXELS,
    accuracy_points,
    diverged,
    fashion_job,
    paired,
    setting,
    variant,
)
from minidrop.experiments.training_job import training
from minidrop.experiments.verdicts import Claim, ordered, signed
from minidrop.layers import Dropout

#: the accuracy on raw pixels by pair, read off the document's figure by its authors' notebook
PUBLISHED = {(0.1, 0.5): 0.806, (0.5, 0.1): 0.820, (0.1, 0.9): 0.804, (0.9, 0.1): 0.816}


def key(pair: tuple[float, float]) -> str:
    """The key of a pair's jobs.

    >>> key((0.1, 0.5))
    '0.1-0.5'
    """
    return f"{pair[0]:g}-{pair[1]:g}"


def counted(folder: Path, config: Mapping[str, Any]) -> Result:
    """What the masks behind the two hidden layers drop, counted in one pass over a batch of noise."""
    built = from_dict(config)
    model = build_model(built)
    noise = np.random.default_rng(0).random((1000, built.layer_sizes()[0])).astype(built.dtype)
    model.forward(model.backend.asarray(noise))
    masks = [layer.mask for layer in model.layers[1:] if isinstance(layer, Dropout)]
    return {"rates": [1 - float(mask.mean()) for mask in masks], "sizes": [int(mask.size) for mask in masks]}


def jobs(plan: Plan) -> Sequence[Job]:
    """A count of each pair's masks, and a training for each pair and seed."""
    counts = []
    for pair in PUBLISHED:
        config = training(plan, "", setting(plan, dropout=f"0,{pair[0]},{pair[1]}")).arguments["config"]
        counts.append(Job(f"{key(pair)}-masks", counted, {"config": config}))
    return counts + [
        fashion_job(plan, f"{key(pair)}-seed-{seed}", {"dropout": f"0,{pair[0]},{pair[1]}", "seed": seed})
        for seed in plan.seeds_of(5)
        for pair in PUBLISHED
    ]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Accuracy by pair, and what it changes to exchange the layers' probabilities."""
    found = {
        pair: variant(results, plan.seeds_of(5), key(pair), f"dropout {pair[0]:g}, {pair[1]:g}", raw=raw)
        for pair, raw in PUBLISHED.items()
    }
    rows: list[Sequence[Any]] = []
    claims = [drops_what_was_asked(pair, results.get(f"{key(pair)}-masks")) for pair in PUBLISHED]
    for pair in ((0.5, 0.1), (0.9, 0.1)):
        more_first, mirror = found[pair], found[pair[::-1]]
        for pixels in PIXELS:
            gained = paired(more_first, mirror, pixels)
            rows.append((more_first.name, mirror.name, pixels, len(gained), signed(gained)))
            text = f"{pixels} pixels: {more_first.name} is better than {mirror.name}"
            text += ", as in the document's runs" if pixels == "raw" else ""
            claims.append(ordered(text, gained))
    columns = ("more in the first layer", "more in the second", "pixels", "seeds", "difference of accuracy")
    caption = (
        "Final accuracy of every run, with mean and 95 % interval; crosses are the published single runs, "
        "which are on raw pixels."
    )
    return Findings(
        [quantity for one in found.values() for quantity in one.quantities()],
        claims,
        [Table("Exchanging the probabilities, seed by seed", columns, rows)],
        [Drawing("pairs", caption, accuracy_points(list(found.values()), "dropped in layer 1, 2"))],
        diverged(results),
    )


def drops_what_was_asked(pair: tuple[float, float], found: Result | None) -> Claim:
    """That each layer drops its own probability, within five standard errors of the count."""
    text = f"dropout {pair[0]:g}, {pair[1]:g}: the first and the second hidden layer drop that much"
    if found is None:
        return Claim(text, None, exact=True)
    near = [
        abs(rate - asked) < 5 * sqrt(asked * (1 - asked) / size)
        for asked, rate, size in zip(pair, found["rates"], found["sizes"], strict=True)
    ]
    return Claim(text, all(near), ", ".join(f"{rate:.4f}" for rate in found["rates"]), exact=True)


EXPERIMENT = Experiment(
    name="dropout-pairs",
    ids=("003-Q1",),
    question="Is it better to drop more of the first hidden layer or of the second?",
    data="fashion-mnist",
    duration="20 min",
    jobs=jobs,
    analyse=analyse,
)

"""002-5: the dropout example of document 002, whose gradients can be checked by hand."""

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path

import numpy as np

from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, label, panels
from minidrop.experiments.verdicts import Claim, Quantity
from minidrop.layers import Dropout

#: what it makes of ones, and their gradient, as printed
OUTPUT = ((0, 4, 0, 0, 4, 4), (4, 0, 0, 0, 0, 0), (0, 4, 4, 0, 0, 0))
GRADIENT = (
    (0.0, 2.3094, 0.0, 0.0, 2.3094, 2.3094),
    (4.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (0.0, 2.8284, 2.8284, 0.0, 0.0, 0.0),
)


def jobs(plan: Plan) -> Sequence[Job]:
    """One, in no time."""
    return [Job("example", example)]


def example(folder: Path) -> Result:
    """y = dropout(ones) with the printed mask, and the gradient of Σ_i |y_i| with respect to the ones."""
    printed = np.array(OUTPUT)
    layer = Dropout(0.75, backend="numpy")
    layer.use_mask(printed > 0)
    y = layer.forward(np.ones(printed.shape))
    dx = layer.backward(y / np.linalg.norm(y, axis=1, keepdims=True))
    return {"output": y.tolist(), "gradient": dx.tolist()}


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """A row with n kept elements, each 4, has length 4 √n, and its gradient there is 4 / √n."""
    found = results["example"]
    quantities, points, dropped = [], [], list[float]()
    for ours, printed in zip(found["gradient"], GRADIENT, strict=True):
        kept = [value for value, there in zip(ours, printed, strict=True) if there]
        dropped += [value for value, there in zip(ours, printed, strict=True) if not there]
        points.append((len(kept), kept[0], max(printed)))
        text = f"gradient where {len(kept)} of a row are kept"
        quantities.append(Quantity(text, kept, max(printed), "exact", 5e-5, stated=True))
    quantities.append(Quantity("gradient where an element is dropped", dropped, 0.0, "exact"))
    same = [list(map(float, row)) for row in OUTPUT] == found["output"]
    claims = [Claim("of ones the mask makes what the document prints", same, exact=True, stated=True)]
    table = Table("By hand", ("kept", "4 / √n"), [(kept, 4 / sqrt(kept)) for kept, _, _ in points])
    return Findings(quantities, claims, [table], [_draw(points)])


def _draw(points: Sequence[tuple[int, float, float]]) -> Drawing:
    """Ours and the published numbers on the curve that they must lie on."""
    figure, axes = panels(height=3.0)
    kept, ours, published = zip(*points, strict=True)
    curve = np.linspace(0.8, 6.2, 100)
    axes[0, 0].plot(curve, 4 / np.sqrt(curve), color=COLOURS[6], linewidth=1, label="by hand: 4 / √n")
    axes[0, 0].plot(kept, ours, "o", color=COLOURS[0], markersize=9, label="our backward pass")
    axes[0, 0].plot(kept, published, "x", color=COLOURS[1], markersize=9, mew=2, label="published")
    axes[0, 0].set_xticks(range(1, 7))
    label(axes[0, 0], "elements of a row that are kept, n of 6", "gradient at each of them")
    caption = "The gradient of a row's length at the elements that its mask keeps, by how many those are."
    return Drawing("gradients", caption, figure)


EXPERIMENT = Experiment(
    name="golden-dropout",
    ids=("002-5",),
    question="Does the backward pass of Dropout(0.75) give the gradients that document 002 prints?",
    data="none",
    duration="1 s",
    jobs=jobs,
    analyse=analyse,
)

"""002-5: the dropout example of document 002, whose gradients can be checked by hand."""

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path

import numpy as np

from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, label, panels
from minidrop.experiments.verdicts import Quantity
from minidrop.layers import Dropout

#: how many elements each row of the published mask keeps, and the gradient that it prints
PUBLISHED = ((3, 2.3094), (1, 4.0), (2, 2.8284))


def jobs(plan: Plan) -> Sequence[Job]:
    """One, in no time."""
    return [Job("example", example)]


def example(folder: Path) -> Result:
    """The gradient of Σ_i |y_i|, y = dropout(ones), at the elements that each row's mask keeps."""
    keep = np.zeros((3, 9), bool)
    for row, (kept, _) in enumerate(PUBLISHED):
        keep[row, :kept] = True
    layer = Dropout(0.75, backend="numpy")
    layer.use_mask(keep)
    y = layer.forward(np.ones((3, 9)))
    dx = layer.backward(y / np.linalg.norm(y, axis=1, keepdims=True))
    return {"gradients": dx[:, 0].tolist(), "elsewhere": float(abs(dx[~keep]).max())}


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """A row with n kept elements, each 4, has length 4 √n, and its gradient there is 4 / √n."""
    found = results["example"]
    rows = zip(PUBLISHED, found["gradients"], strict=True)
    quantities = [
        Quantity(f"gradient where {kept} of a row are kept", [ours], published, "exact", 5e-5, stated=True)
        for (kept, published), ours in rows
    ]
    quantities.append(Quantity("gradient where an element is dropped", [found["elsewhere"]], 0.0, "exact"))
    table = Table("By hand", ("kept", "4 / √n"), [(kept, 4 / sqrt(kept)) for kept, _ in PUBLISHED])
    return Findings(quantities, tables=[table], drawings=[_draw(found["gradients"])])


def _draw(gradients: Sequence[float]) -> Drawing:
    """Ours and the published numbers on the curve that they must lie on."""
    figure, axes = panels(height=3.0)
    kept = [n for n, _ in PUBLISHED]
    curve = np.linspace(0.8, 9, 100)
    axes[0, 0].plot(curve, 4 / np.sqrt(curve), color=COLOURS[6], linewidth=1, label="by hand: 4 / √n")
    axes[0, 0].plot(kept, gradients, "o", color=COLOURS[0], markersize=9, label="our backward pass")
    published = [gradient for _, gradient in PUBLISHED]
    axes[0, 0].plot(kept, published, "x", color=COLOURS[1], markersize=9, mew=2, label="published")
    axes[0, 0].set_xticks(range(1, 10))
    label(axes[0, 0], "elements of a row that are kept, n of 9", "gradient at each of them")
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

"""What the experiments of document 001, the dropout notebook, share: its nets, and how runs are compared.

The notebook puts a dropout behind each hidden layer's ReLU, keeps .9, .8 and .8, multiplies by the keep rate
in evaluation, and draws one mask of shape (features,) for a whole batch.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.backends import Array
from minidrop.experiments.experiment import Job, Result
from minidrop.experiments.training_job import train
from minidrop.runs import Run

#: the nets that are compared by the key of their jobs: what a legend calls them, and their configuration
NETS: dict[str, tuple[str, dict[str, Any]]] = {
    "feature": ("dropout, one mask a batch", {"dropout": "0,0.1,0.2,0.2", "mode": "paper", "per": "feature"}),
    "element": ("dropout, a mask an example", {"dropout": "0,0.1,0.2,0.2", "mode": "paper"}),
    "none": ("no dropout", {"dropout": "0"}),
}
#: plain SGD on pixels in [0, 1]; weights as torch.nn.Linear begins, which `PLAIN` says
LOOP: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "normalise": "unit"}


def batch_loss(dz: Array) -> tuple[float, float]:
    """Loss and accuracy of a batch, from the gradient dz = (p - onehot(t)) / B of its mean cross-entropy.

    Of each row only the label's element is negative, so that p_t = 1 + B dz_t: in float32 good to 1e-7.

    >>> loss, accuracy = batch_loss(np.array([[0.1, -0.1], [0.3, -0.3]]))  # p_t = .8 and .4
    >>> round(loss, 4), accuracy
    (0.5697, 0.5)
    """
    scaled = len(dz) * np.asarray(dz, float)
    labels = scaled.argmin(axis=1)
    rows = np.arange(len(dz))
    # a probability that rounds to 1 or 0 leaves nothing in float32
    p = np.clip(1 + scaled[rows, labels], np.finfo(np.float32).eps / 2, 1)
    scaled[rows, labels] = p
    return float(-np.log(p).mean()), float((scaled.argmax(axis=1) == labels).mean())


def last_batch(run: Run) -> dict[str, float]:
    """Loss and accuracy of the batch that was last trained on, before its update and with its masks."""
    loss, accuracy = batch_loss(run.model.backend.to_host(run.step.loss.backward()))
    return {"loss": loss, "accuracy": accuracy}


def train_and_tidy(folder: Path, **arguments: Any) -> Result:
    """`train`, and delete the weights: those of one 8192-wide net take 1.7 GB."""
    result = train(folder, **arguments)
    for name in ("checkpoint.safetensors", "model.safetensors"):
        (folder / "run" / name).unlink(missing_ok=True)
    return result


def tidy(job: Job) -> Job:
    """The training job, its weights deleted at its end."""
    return replace(job, work=train_and_tidy)


def runs_of(results: Mapping[str, Result], prefix: str, epochs: int) -> dict[int, Result]:
    """The results by seed whose key is `prefix`-seed-S and that came to their end of `epochs` epochs.

    >>> found = {"a-seed-0": {"history": [{}, {}], "diverged": None}, "a-seed-1": {"history": [{}]}}
    >>> list(runs_of(found, "a", 2)), list(runs_of(found, "b", 2))
    ([0], [])
    """
    return {
        int(key.rpartition("-seed-")[2]): result
        for key, result in results.items()
        if key.rpartition("-seed-")[0] == prefix
        and len(result["history"]) == epochs
        and not result.get("diverged")
    }


def logarithmic(axes: Any) -> None:
    """Make the y axis logarithmic, with plain numbers at 1, 2 and 5, where its curves span a factor of 3."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axes.dataLim.intervaly
    if not 0 < 3 * low <= high:
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())

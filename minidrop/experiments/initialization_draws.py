"""What `initializations` measures on fresh networks: variances, distributions, the slope of the loss."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidrop import probes
from minidrop.backends import Array, Scaling
from minidrop.data import Batches, load
from minidrop.data.datasets import standard_moments
from minidrop.experiments.experiment import Result
from minidrop.experiments.initialization_figures import EDGES
from minidrop.experiments.network_theory import FUNCTIONS, variance_law
from minidrop.experiments.tutorial_network import HIDDEN, SETTINGS, network
from minidrop.layers import Sequential
from minidrop.losses import SoftmaxCrossEntropy


def probe(
    folder: Path, name: str, dataset: str, batch: int, draws: int, backend: str | None, data_dir: str | None
) -> Result:
    """Everything that is measured on the nets of one initialization, in float64."""
    data, setting = load(dataset, data_dir), SETTINGS[name]
    sizes = [data.features, *HIDDEN, data.classes]
    ends = sizes[:-1], sizes[1:]
    scaling = Scaling(data.maximum, *standard_moments(data.train, data.maximum))
    result: Result = {key: [] for key in ("input", "activations", "gradients", "law", "hidden_gradient")}
    for seed in range(draws):
        model = network(sizes, setting, seed=seed, dtype="float64", backend=backend)
        batches = Batches(
            data.train, batch, seed=seed, scaling=scaling, dtype="float64", backend=model.backend
        )
        x, labels = next(batches.epoch(0))
        values = list(probes.activations(model, x).values())
        outputs, inputs = values[::2], [model.backend.to_host(x), *values[1::2]]
        gradients = list(probes.gradients(model, x, labels, names="*.weight").values())
        result["input"].append(float(np.mean(inputs[0] ** 2)))
        result["activations"].append(_variances(outputs))
        result["gradients"].append(_variances(gradients))
        if setting.std(0, 1, 1):
            result["law"].append(
                [
                    variance_law(h, n, setting.std(i, d, n), setting.bias_std)
                    for i, (h, d, n) in enumerate(zip(inputs, *ends, strict=True))
                ]
            )
        largest = [float(abs(gradient).max()) for gradient in gradients]
        result["hidden_gradient"].append(max(largest[:-1]) / (largest[-1] or 1.0))
        if seed == 0:
            unit = FUNCTIONS[setting.unit]
            result["unit_error"] = max(
                float(abs(unit(z) - h).max()) for z, h in zip(outputs[:-1], inputs[1:], strict=True)
            )
            result["slope_error"] = slope_error(model, x, labels)
            result["histograms"] = {
                "activations": [_histogram(a) for a in outputs],
                "gradients": [_histogram(a) for a in gradients],
            }
    return result


def _variances(arrays: Sequence[Any]) -> list[float]:
    return list(probes.variances({str(i): a for i, a in enumerate(arrays)}).values())


def _histogram(array: Any) -> dict[str, Any]:
    """The density of the elements less their mean, in standard deviations."""
    std = float(array.std())
    counts, _ = np.histogram((array - array.mean()) / (std or 1.0), EDGES)
    return {"std": std, "density": (counts / (array.size * (EDGES[1] - EDGES[0]))).tolist()}


def slope_error(model: Sequential, x: Array, labels: Array, step: float = 1e-5) -> float:
    """How far the gradient is from the loss's change when all parameters θ grow together, over Σ |θ g|.

    Σ θ g  against  (L((1 + ε) θ) - L((1 - ε) θ)) / 2ε
    """
    arena, loss = model.parameters(), SoftmaxCrossEntropy(backend=model.backend)
    before = arena.flat_values.copy()
    probes.gradients(model, x, labels)
    terms = model.backend.to_host(before * arena.flat_gradients)
    losses = []
    for factor in (1 + step, 1 - step):
        arena.flat_values[...] = before * factor
        losses.append(float(loss.forward(model.forward(x), labels)))
    arena.flat_values[...] = before
    slope = (losses[0] - losses[1]) / (2 * step)
    return float(abs(slope - terms.sum()) / (max(abs(terms).sum(), abs(slope)) or 1.0))

"""Whole models in PyTorch, and how they get minidrop's weights and randomness."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

import minidrop as md
from minidrop.config import TrainConfig, from_dict
from minidrop.layers import StochasticLayer
from reference.layers import Dropout, Identity, Linear, ReLU, Sequential, Sigmoid, Tanh

#: the networks of the documents, as changes of a configuration: what each trains in its main experiment
DOCUMENTS: dict[str, dict[str, str]] = {
    "000": {"layers": "784-800-800-10", "dropout": "0.2,0.5,0.5", "mode": "paper", "init": "normal:0.01"},
    "001": {"layers": "784-8192-8192-8192-10", "dropout": "0,0.1,0.2,0.2", "mode": "paper", "per": "feature"},
    "003": {"layers": "784-256-256-10", "dropout": "0,0.5,0.5", "mode": "inverted"},
    "004": {"layers": "784-512-256-256-128-10", "dropout": "0", "init": "kaiming-normal"},
}
UNITS: dict[str, type[nn.Module]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh, "identity": Identity}


def realised(drop_prob: float) -> float:
    """The drop probability that minidrop's masks have: the nearest multiple of 2^-16."""
    return round(drop_prob * 2**16) / 2**16


def mlp(config: TrainConfig) -> nn.Sequential:
    """The network of a minidrop configuration: Dropout, Linear, unit, ..., Dropout, Linear.

    Its parameters have the names of minidrop's, so that `load` needs no table.
    """
    sizes, dtype = config.layer_sizes(), getattr(torch, config.dtype)
    layers: list[nn.Module] = []
    for i, drop in enumerate(config.drop_probs()):
        layers += [
            Dropout(realised(drop), config.mode, config.per),
            Linear(sizes[i], sizes[i + 1], dtype=dtype),
        ]
        if i < len(sizes) - 2:
            layers.append(UNITS[config.unit]())
    return Sequential(*layers)


def document(name: str) -> TrainConfig:
    """The configuration of a document's network, for `mlp` here and `minidrop.building.build_model` there."""
    return from_dict({"dataset": "mnist", **DOCUMENTS[name]})


def load(module: nn.Module, layer: md.Layer) -> None:
    """Give `module` copies of the weights of `layer`."""
    if next(module.parameters(), None) is not None:
        module.load_state_dict({name: torch.tensor(value) for name, value in layer.state_dict().items()})


def share_masks(layer: md.Layer, module: nn.Module) -> None:
    """Give `module` the masks, or the noise, of the last training pass of `layer`."""
    drawing = [leaf for _, leaf in layer.leaves() if isinstance(leaf, StochasticLayer)]
    for leaf, part in zip(drawing, takers(module), strict=True):
        part.mask = tensor(leaf.backend.to_host(leaf.mask))


def takers(module: nn.Module) -> Iterator[nn.Module]:
    """The parts of `module` that take a mask, in order."""
    return (part for part in module.modules() if hasattr(part, "mask"))


def tensor(array: object) -> Tensor:
    """A copy of a host array as a tensor of the same dtype."""
    return torch.tensor(array)

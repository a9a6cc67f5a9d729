"""The optimizers in PyTorch, made from minidrop's names and options."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from reference.optim.adadelta import Adadelta
from reference.optim.adagrad import Adagrad
from reference.optim.adam import Adam, AdamPrinted, AdamW
from reference.optim.adamax import Adamax
from reference.optim.hinton import SGDHinton, SGDHintonPublished
from reference.optim.max_norm import max_norm_
from reference.optim.momentum import Momentum
from reference.optim.nadam import NAdam
from reference.optim.rmsprop import RMSprop
from reference.optim.sgd import SGD

#: the optimizers whose name and options are PyTorch's, but for the betas
OWN: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "adamax": Adamax,
    "nadam": NAdam,
}

__all__ = ["SGDHinton", "SGDHintonPublished", "build", "hidden_matrices", "max_norm_"]


def build(name: str, parameters: Mapping[str, nn.Parameter], **options: Any) -> Optimizer:
    """PyTorch's optimizer for `name` and `options` of minidrop, over `parameters` in their order."""
    params = list(parameters.values())
    if "beta1" in options or "beta2" in options:
        options["betas"] = options.pop("beta1", 0.9), options.pop("beta2", 0.999)
    if name == "adam" and not options.pop("corrected", True):
        return AdamPrinted(params, **options)
    if name == "momentum":
        form = options.pop("form", "torch")
        return SGD(params, **options) if form == "torch" else Momentum(params, form=form, **options)
    if name == "hinton":
        limit = options.pop("limit", 15.0)
        if options.pop("slips", None) == "published":
            return SGDHintonPublished(params, l2_limit=limit, **options)
        hidden = hidden_matrices(parameters)
        groups = [{"params": [p], "limit": limit if key in hidden else 0.0} for key, p in parameters.items()]
        return SGDHinton(groups, **options)
    return OWN[name](params, **options)


def hidden_matrices(parameters: Mapping[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """The weights of all layers but the last, which is the output layer."""
    matrices = {name: p for name, p in parameters.items() if p.ndim > 1}
    return dict(list(matrices.items())[:-1])

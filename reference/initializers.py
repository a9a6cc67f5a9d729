"""The initializers, all but one `torch.nn.init`'s own: each fills the weight of a linear layer.

`torch.nn.init` reads fan in and fan out from a weight (out, in), as minidrop does. It has no gain argument
for Kaiming's two, only names of nonlinearities: "relu" is a gain of √2 and "linear" one of 1.
"""

from collections.abc import Callable
from functools import partial
from math import sqrt

from torch import Tensor, nn
from torch.nn import init

import minidrop as md
from minidrop.initializers import Initializer

Fill = Callable[[Tensor], object]


def torch_linear(weight: Tensor) -> Tensor:
    """What a new `torch.nn.Linear` begins with."""
    out_features, in_features = weight.shape
    fresh = nn.Linear(in_features, out_features, bias=False, dtype=weight.dtype)
    return weight.data.copy_(fresh.weight.data)


def scaled(weight: Tensor) -> Tensor:
    """Xavier's normal, times a half."""
    return init.xavier_normal_(weight).mul_(0.5)


#: name: (minidrop's initializer, PyTorch's, its distribution)
PAIRS: dict[str, tuple[Initializer, Fill, str]] = {
    "Constant": (md.Constant(0.005), partial(init.constant_, val=0.005), "constant"),
    "Normal": (md.Normal(0.02, 0.1), partial(init.normal_, mean=0.1, std=0.02), "normal"),
    "Uniform": (md.Uniform(-0.3, 0.1), partial(init.uniform_, a=-0.3, b=0.1), "uniform"),
    "FanIn": (md.FanIn(), partial(init.kaiming_normal_, nonlinearity="linear"), "normal"),
    "XavierNormal": (md.XavierNormal(2.0), partial(init.xavier_normal_, gain=2.0), "normal"),
    "XavierUniform": (md.XavierUniform(2.0), partial(init.xavier_uniform_, gain=2.0), "uniform"),
    "KaimingNormal": (md.KaimingNormal(), partial(init.kaiming_normal_, nonlinearity="relu"), "normal"),
    "KaimingNormal, fan out": (
        md.KaimingNormal(1.0, fan="out"),
        partial(init.kaiming_normal_, mode="fan_out", nonlinearity="linear"),
        "normal",
    ),
    "KaimingUniform": (md.KaimingUniform(), partial(init.kaiming_uniform_, nonlinearity="relu"), "uniform"),
    "KaimingUniform, fan out": (
        md.KaimingUniform(sqrt(2), fan="out"),
        partial(init.kaiming_uniform_, mode="fan_out", nonlinearity="relu"),
        "uniform",
    ),
    "TorchLinear": (md.TorchLinear(), torch_linear, "uniform"),
    "Scaled": (md.Scaled(md.XavierNormal(), 0.5), scaled, "normal"),
}

"""The layers in PyTorch: `torch.nn`'s own, and for the rest modules that take a given mask."""

from reference.layers.dropconnect import DropConnect
from reference.layers.dropout import Dropout
from reference.layers.identity import Identity
from reference.layers.linear import Linear
from reference.layers.noise import GaussianNoise
from reference.layers.relu import ReLU
from reference.layers.sequential import Sequential
from reference.layers.sigmoid import Sigmoid
from reference.layers.stochastic_relu import StochasticReLU
from reference.layers.tanh import Tanh

__all__ = [
    "DropConnect",
    "Dropout",
    "GaussianNoise",
    "Identity",
    "Linear",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "StochasticReLU",
    "Tanh",
]

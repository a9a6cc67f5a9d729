"""The layers: each file holds one, its forward and its backward pass side by side."""

from minidrop.layers.dropconnect import DropConnect
from minidrop.layers.dropout import Dropout
from minidrop.layers.identity import Identity
from minidrop.layers.layer import Layer
from minidrop.layers.linear import Linear
from minidrop.layers.noise import GaussianNoise
from minidrop.layers.relu import ReLU
from minidrop.layers.sequential import Sequential
from minidrop.layers.sigmoid import Sigmoid
from minidrop.layers.stochastic import StochasticLayer
from minidrop.layers.stochastic_relu import StochasticReLU
from minidrop.layers.tanh import Tanh

__all__ = [
    "DropConnect",
    "Dropout",
    "GaussianNoise",
    "Identity",
    "Layer",
    "Linear",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "StochasticLayer",
    "StochasticReLU",
    "Tanh",
]

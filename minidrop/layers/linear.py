"""The affine map y = x Wᵀ + b."""

from typing import Any

import numpy as np

from minidrop.backends import Array, Backend
from minidrop.errors import check_count
from minidrop.initializers import Fans, Initializer, TorchLinear
from minidrop.layers.layer import Layer
from minidrop.parameters import Parameter, check_dtype


class Linear(Layer):
    """y = x Wᵀ + b, with x (B, in), W (out, in), b (out,) and y (B, out).

        dW = dyᵀ x        db = Σ_batch dy        dx = dy W

    W is stored as PyTorch stores it: row i holds the incoming weights of unit i.

    Args:
        in_features: the size of an input.
        out_features: the number of units.
        bias: whether there is a b.
        init: how W begins; PyTorch's default, U(-1/√in, 1/√in), unless given.
        bias_init: how b begins; as `init` unless given.
        dtype: "float32", "float64", or "complex128" for a proof by complex step.
        seed: of the initial weights of a layer that stands alone; a `Sequential` brings its own.
        backend: "numpy", "numba", "cupy" or the current one.

    >>> import minidrop as md, numpy as np
    >>> layer = md.Linear(3, 2, init=md.Constant(0.5), bias_init=md.Constant(1))
    >>> layer.forward(np.ones((1, 3), np.float32))
    array([[2.5, 2.5]], dtype=float32)
    >>> layer.backward(np.ones((1, 2), np.float32))
    array([[1., 1., 1.]], dtype=float32)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        init: Initializer | None = None,
        bias_init: Initializer | None = None,
        dtype: Any = "float32",
        seed: int = 0,
        backend: str | Backend | None = None,
    ) -> None:
        super().__init__(backend)
        self.in_features = check_count("in_features", in_features)
        self.out_features = check_count("out_features", out_features)
        dtype = check_dtype(dtype)
        fans = Fans(fan_in=in_features, fan_out=out_features)
        init = TorchLinear() if init is None else init
        self.weight = Parameter(
            (out_features, in_features),
            init,
            fans,
            backend=self.backend,
            dtype=dtype,
            rows_are_units=True,
        )
        self.bias: Parameter | None = None
        if bias:
            init = init if bias_init is None else bias_init
            self.bias = Parameter((out_features,), init, fans, backend=self.backend, dtype=dtype)
        self.seed(seed)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of weights, inputs and outputs."""
        dtype: np.dtype[Any] = self.weight.dtype
        return dtype

    def forward(self, x: Array) -> Array:
        """y = x Wᵀ + b."""
        self.backend.check(x, f"the input of {self}", (None, self.in_features), self.dtype)
        y = self.array("y", (len(x), self.out_features), self.dtype)
        self.backend.xp.matmul(x, self.weight.value.T, out=y)
        if self.bias is not None:
            y += self.bias.value
        self.save(x, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        """dW = dyᵀ x, db = Σ_batch dy; returns dx = dy W."""
        self.backward_parameters(dy)
        dx = self.array("dx", (len(dy), self.in_features), self.dtype)
        return self.backend.xp.matmul(dy, self.weight.value, out=dx)

    def backward_parameters(self, dy: Array) -> None:
        """dW = dyᵀ x, db = Σ_batch dy."""
        (x,) = self.saved(dy)
        self.backend.xp.matmul(dy.T, x, out=self.weight.new_grad())
        if self.bias is not None:
            self.backend.column_sums(dy, self.bias.new_grad())

    def own_parameters(self) -> dict[str, Parameter]:
        """Weight and, if there is one, bias."""
        return {"weight": self.weight} | ({"bias": self.bias} if self.bias is not None else {})

    def __repr__(self) -> str:
        return f"Linear({self.in_features}, {self.out_features})"

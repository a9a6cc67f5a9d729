"""DropConnect: a linear layer that drops weights instead of activations."""

from collections.abc import Iterator
from typing import Any

from minidrop.backends import Array, Backend, Draw, Workspace
from minidrop.errors import ArgumentError, ArrayError, UsageError, check_choice, check_count
from minidrop.initializers import Initializer
from minidrop.layers.layer import Layer
from minidrop.layers.linear import Linear
from minidrop.layers.stochastic import DropProb, StochasticLayer
from minidrop.parameters import Parameter
from minidrop.streams import Purpose, Stream


class DropConnect(DropProb, StochasticLayer):
    """y = a((M ∘ W) x + b) with a random keep mask M on the weights (Wan et al. 2013), a an activation.

    per="batch", as document 003 (without its slip in the drop rate): one mask M (out, in) for the batch,
    scaled in training, raw weights in evaluation. With z the input of the activation and k = 1 - drop_prob:

        training      z = x (M ∘ W)ᵀ / k + b      dW = M ∘ (dzᵀ x) / k      dx = dz (M ∘ W) / k
        evaluation    z = x Wᵀ + b                dW = dzᵀ x                dx = dz W

    per="example", as Wan et al.: a mask M_i for each example i and nothing scaled in training; in evaluation
    z is replaced by a Gaussian of its mean and variance (their algorithm 2), over which a is averaged:

        training      z_i = (M_i ∘ W) x_i + b     dW = Σ_i M_i ∘ (dz_i x_iᵀ)    dx_i = (M_i ∘ W)ᵀ dz_i
        evaluation    y = mean over s of a(μ + √v ε_s),   μ = k x Wᵀ + b,   v = k (1 - k) x² (W²)ᵀ

    db = Σ_batch dz throughout: b is never dropped here, while Wan et al. mask it too. ε is drawn by position
    in the batch, so that an example's y depends on where it stands, within the sampling error. The masks of
    the examples are not stored: being functions of (seed, step, position), the backward pass draws them
    again, so memory stays that of one mask.

    Args:
        in_features, out_features, bias, init, bias_init, dtype, backend: as in `Linear`.
        drop_prob: the probability that a weight is dropped, in [0, 1].
        per: "batch" or "example".
        activation: the elementwise layer a; none is the identity, for which the mean of y is μ itself.
        samples: how many draws of ε the evaluation averages over.
        seed: of weights and masks of a layer that stands alone; a `Sequential` brings its own.

    Raises:
        ArgumentError: if drop_prob is not in [0, 1], or samples is not positive.

    >>> import minidrop as md, numpy as np
    >>> layer = md.DropConnect(4, 2, drop_prob=0.5, per="example", init=md.Constant(1), activation=md.ReLU())
    >>> layer.forward(np.ones((3, 4), np.float32)).shape, layer.mask.shape
    ((3, 2), (3, 2, 4))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        drop_prob: float = 0.5,
        per: str = "batch",
        activation: Layer | None = None,
        samples: int = 1000,
        bias: bool = True,
        init: Initializer | None = None,
        bias_init: Initializer | None = None,
        dtype: Any = "float32",
        seed: int = 0,
        backend: str | Backend | None = None,
    ) -> None:
        self.drop_prob = drop_prob
        self.per = check_choice("per", per, ("batch", "example"))
        self.samples = check_count("samples", samples)
        if activation is not None and not isinstance(activation, Layer):
            raise ArgumentError(f"the activation is a layer such as ReLU(), got {activation!r}")
        self.activation = activation
        self.linear = Linear(
            in_features, out_features, bias=bias, init=init, bias_init=bias_init, dtype=dtype, backend=backend
        )
        super().__init__(seed, backend)
        self._drawn: tuple[Array | None, int, int] | None = None  # what the masks of the examples were
        self._scratch = Workspace(self.backend.xp, reuse=True)  # for what never leaves a pass
        if activation is not None:
            if activation.backend is not self.backend:
                raise ArrayError(f"{activation} is on {activation.backend.name}, not {self.backend.name}")
            if any(leaf.own_parameters() for _, leaf in activation.leaves()):
                raise ArgumentError(f"the activation of DropConnect must be elementwise, got {activation}")

    def forward(self, x: Array) -> Array:
        """y = a(z), or the mean of a over the Gaussian of z."""
        xp, linear = self.backend.xp, self.linear
        self.backend.check(x, f"the input of {self}", (None, linear.in_features), linear.dtype)
        if not self.training and self.per == "example":
            self.save(x, None, None, False)
            return self._moment_matched(x)
        z = self.array("z", (len(x), linear.out_features), linear.dtype)
        step = self.step
        keep: Array | None = None  # M; with a mask an example only a given one, as others are drawn again
        if self.training and self.per == "example":
            if self._given is not None:
                keep = self.given((len(x), *linear.weight.shape))
            self.step += 1
            self._drawn = keep, step, len(x)
            for i in range(len(x)):
                xp.matmul(self._masked(self._example_keep(keep, step, i), 1.0), x[i], out=z[i])
        else:
            if self.training:
                keep = self.draw_keep(linear.weight.shape, self.rate)
            xp.matmul(x, self._used(keep).T, out=z)
        if linear.bias is not None:
            z += linear.bias.value
        self.save(x, keep, step, self.training, output=z)
        return self.activation.forward(z) if self.activation is not None else z

    def backward(self, dy: Array) -> Array:
        """dx, dW and db through the weights that the forward pass used."""
        xp, weight, bias = self.backend.xp, self.linear.weight, self.linear.bias
        if self._saved is not None and self._output_like is None:
            raise UsageError(
                f"{self} was evaluated by moment matching, which has no backward pass: call train()"
            )
        dz = dy if self.activation is None or self._saved is None else self.activation.backward(dy)
        x, keep, step, training = self.saved(dz)
        dx = self.array("dx", x.shape, x.dtype)
        if training and self.per == "example":
            outer = self._scratch.array("outer", weight.shape, weight.dtype)
            weight.grad[...] = 0
            for i in range(len(x)):
                keep_i = self._example_keep(keep, step, i)
                xp.multiply(dz[i][:, None], x[i], out=outer)
                outer *= keep_i
                weight.grad[...] += outer
                xp.matmul(dz[i], self._masked(keep_i, 1.0), out=dx[i])
        else:
            xp.matmul(dz.T, x, out=weight.grad)
            xp.matmul(dz, self._used(keep), out=dx)
            if keep is not None:
                weight.grad[...] *= keep
                weight.grad[...] *= self.rate.scale
        if bias is not None:
            xp.sum(dz, axis=0, out=bias.grad)
        return dx

    @property
    def mask(self) -> Array:
        """The keep mask of the last training pass: (out, in), or (B, out, in) with a mask an example."""
        if self.per == "batch":
            return super().mask
        if self._drawn is None:
            raise UsageError(f"{self} has no mask before its first forward pass in training")
        keep, step, examples = self._drawn
        return self.backend.xp.stack([self._example_keep(keep, step, i).copy() for i in range(examples)])

    def set_step(self, step: int) -> None:
        """Let the next training pass draw the randomness of `step`."""
        super().set_step(step)
        if self.activation is not None:
            self.activation.set_step(step)

    def own_parameters(self) -> dict[str, Parameter]:
        """Weight and, if there is one, bias."""
        return self.linear.own_parameters()

    def leaves(self) -> Iterator[tuple[str, Layer]]:
        """The layer itself, and its activation."""
        yield "", self
        if self.activation is not None:
            for name, leaf in self.activation.leaves():
                yield f"activation.{name}".rstrip("."), leaf

    def _used(self, keep: Array | None) -> Array:
        """The weights of the whole batch: (M ∘ W) / k with a mask, W without."""
        return self.linear.weight.value if keep is None else self._masked(keep, self.rate.scale)

    def _masked(self, keep: Array, factor: float) -> Array:
        """The weights factor * (M ∘ W)."""
        weight = self.linear.weight
        masked = self._scratch.array("masked", weight.shape, weight.dtype)
        self.backend.xp.multiply(weight.value, keep, out=masked)
        if factor != 1:
            masked *= factor
        return masked

    def _example_keep(self, given: Array | None, step: int, i: int) -> Array:
        """M_i: given, or drawn from the lanes i * size ... of the step."""
        if given is not None:
            return given[i]
        weight = self.linear.weight
        keep = self._scratch.array("keep", weight.shape, bool)
        return self.backend.drawn(Draw(self.stream, step, self.rate.threshold, keep, start=i * weight.size))

    def _moment_matched(self, x: Array) -> Array:
        """The mean over s of a(μ + √v ε_s)."""
        xp, linear, k = self.backend.xp, self.linear, self.rate.keep
        mean = k * (x @ linear.weight.value.T)
        if linear.bias is not None:
            mean += linear.bias.value
        if self.activation is None:
            return mean
        std = xp.sqrt(k * (1 - k) * ((x * x) @ (linear.weight.value * linear.weight.value).T))
        noise = Stream(self.stream.seed, Purpose.NOISE, self.stream.index)
        epsilon, total = xp.empty_like(mean), xp.zeros_like(mean)
        for s in range(self.samples):
            self.backend.standard_normal(noise, s, epsilon)
            total += self.activation.forward(mean + std * epsilon)
        return total / self.samples

    def __repr__(self) -> str:
        sizes = f"{self.linear.in_features}, {self.linear.out_features}"
        return f"DropConnect({sizes}, drop_prob={self.drop_prob:g}, per={self.per!r})"

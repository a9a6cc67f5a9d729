"""JAX's step: one compiled function of weights and velocities, which it writes into the same memory."""

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.workload import Workload

Weights = list[tuple[jax.Array, jax.Array]]


class JaxStep:
    """The whole step in one `jax.jit`, with donated weights and velocities.

    The keys are threefry's, JAX's default: on a processor "rbg" and "unsafe_rbg" take longer, and so does
    the comparison of 16 random bits in place of `jax.random.bernoulli`.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.batch = jnp.asarray(workload.inputs), jnp.asarray(workload.labels)
        self.weights: Weights = [(jnp.asarray(W), jnp.asarray(b)) for W, b in workload.weights()]
        self.velocities: Weights = jax.tree.map(jnp.zeros_like, self.weights)
        self.key = jax.random.key(workload.seed)
        self.steps = 0
        self.step = jax.jit(self._step, donate_argnums=(0, 1))

    def _step(
        self,
        weights: Weights,
        velocities: Weights,
        batch: tuple[jax.Array, jax.Array],
        key: jax.Array,
        step: int,
        factors: list[jax.Array] | None,
    ) -> tuple[Weights, Weights, jax.Array]:
        work = self.workload
        if factors is None:
            keys = jax.random.split(jax.random.fold_in(key, step), len(weights))
            shapes = [(work.batch, units) for units in work.sizes[:-1]]
            factors = [
                jax.random.bernoulli(k, 1 - p, shape) / jnp.asarray(1 - p, work.dtype)
                for k, p, shape in zip(keys, work.drops, shapes, strict=True)
            ]
        loss, gradients = jax.value_and_grad(mean_loss)(weights, factors, *batch)
        velocities = jax.tree.map(lambda v, g: work.momentum * v + g, velocities, gradients)
        weights = jax.tree.map(lambda w, v: w - work.lr * v, weights, velocities)
        if work.limit:
            weights = [(limited(W, work.length), b) for W, b in weights[:-1]] + weights[-1:]
        return weights, velocities, loss

    def __call__(self, factors: list[jax.Array] | None = None) -> float:
        """One step, its dropout JAX's own or by the given factors; the loss before its update."""
        self.weights, self.velocities, loss = jax.block_until_ready(
            self.step(self.weights, self.velocities, self.batch, self.key, self.steps, factors)
        )
        self.steps += 1
        return float(loss)

    def values(self, n: int) -> list[float]:
        """The losses of the first n steps with the workload's masks."""
        return [self([jnp.asarray(factor) for factor in self.workload.factors(t)]) for t in range(n)]


def mean_loss(weights: Weights, factors: list[jax.Array], x: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean cross-entropy of a ReLU net whose layers' inputs are multiplied by the factors."""
    for i, ((W, b), factor) in enumerate(zip(weights, factors, strict=True)):
        x = (x * factor) @ W.T + b
        if i < len(weights) - 1:
            x = jax.nn.relu(x)
    picked = jnp.take_along_axis(jax.nn.log_softmax(x), labels[:, None], axis=1)
    return -picked.mean()


def limited(W: jax.Array, length: float) -> jax.Array:
    """The matrix W with no row longer than `length`."""
    return W * (length / jnp.maximum(jnp.linalg.norm(W, axis=1, keepdims=True), length))


def step(**fields: Any) -> JaxStep:
    """JAX's step on a workload."""
    return JaxStep(Workload(**fields))

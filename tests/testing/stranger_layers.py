"""Right layers, losses and optimizers as somebody who has never seen minidrop would write them."""

import numpy as np


class Linear:
    """y = x W + b, with W (in, out)."""

    def __init__(self, n=5, m=3, seed=0):
        rng = np.random.default_rng(seed)
        self.W, self.b = rng.normal(size=(n, m)), rng.normal(size=m)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.W.T


class InPlaceLinear(Linear):
    """Writes into gradients that it made at first."""

    def __init__(self, n=5, m=3, seed=0):
        super().__init__(n, m, seed)
        self.params = {"W": self.W, "b": self.b}
        self.grads = [np.zeros_like(self.W), np.zeros_like(self.b)]

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dy):
        self.grads[0][...] = self.x.T @ dy
        self.grads[1][...] = dy.sum(axis=0)
        return dy @ self.params["W"].T


class Softplus:
    """y = log(1 + e^x)."""

    def forward(self, x):
        self.x = x
        return np.logaddexp(0, x) if x.dtype.kind == "f" else np.log1p(np.exp(x))

    def backward(self, dy):
        return dy / (1 + np.exp(-self.x))


class LeakyReLU:
    def forward(self, x):
        self.slope = np.where(x > 0, 1, 0.1).astype(x.dtype)
        return x * self.slope

    def backward(self, dy):
        return dy * self.slope


class PReLU:
    """The slope at negative inputs is learned; it is a plain number."""

    def __init__(self):
        self.a = 0.25

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.a * x)

    def backward(self, dy):
        self.da = (dy * np.where(self.x > 0, 0, self.x)).sum()
        return dy * np.where(self.x > 0, 1, self.a).astype(dy.dtype)


class Absolute:
    """Takes complex input, but is not analytic."""

    def forward(self, x):
        self.x = x
        return np.abs(x)

    def backward(self, dy):
        return dy * np.sign(self.x)


class SignedSquare(Absolute):
    """y = x |x|: complex output, and still not analytic."""

    def forward(self, x):
        return x * super().forward(x)

    def backward(self, dy):
        return 2 * dy * np.abs(self.x)


class RowNorm:
    """y = g (x - mean) / std + b over the features of an example, as layer normalisation."""

    def __init__(self, n=5):
        rng = np.random.default_rng(0)
        self.g, self.b = rng.normal(size=n), rng.normal(size=n)

    def forward(self, x):
        c = x - x.mean(axis=1, keepdims=True)
        self.std = np.sqrt((c * c).mean(axis=1, keepdims=True) + 1e-5)
        self.z = c / self.std
        return self.g * self.z + self.b

    def backward(self, dy):
        self.dg, self.db = (dy * self.z).sum(axis=0), dy.sum(axis=0)
        dz = dy * self.g
        mean = dz.mean(axis=1, keepdims=True) + self.z * (dz * self.z).mean(axis=1, keepdims=True)
        return (dz - mean) / self.std


class BatchNorm(RowNorm):
    """The same over the batch: it mixes examples, as it should."""

    def forward(self, x):
        return super().forward(x.T).T

    def __init__(self, n=5):
        self.g, self.b = np.array(1.5), np.array(0.5)

    def backward(self, dy):
        dx = super().backward(dy.T).T
        self.dg, self.db = self.dg.sum(), self.db.sum()
        return dx


class GlobalDropout:
    """Draws from NumPy's global generator."""

    def forward(self, x):
        self.mask = (np.random.rand(*x.shape) < 0.5).astype(x.dtype) * 2  # noqa: NPY002
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class OwnDropout(GlobalDropout):
    """Has a generator of its own."""

    def __init__(self):
        self.xp = np  # a module, which deepcopy does not take
        self.reseed(0)

    def reseed(self, seed):
        self.rng = self.xp.random.default_rng(seed)

    def forward(self, x):
        self.mask = (self.rng.random(x.shape) < 0.5).astype(x.dtype) * 2
        return x * self.mask


class Double:
    """Needs nothing of its forward pass."""

    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


class Conv:
    """A valid 1-d convolution over (B, n, channels), to have an input of three axes."""

    def __init__(self):
        self.k = np.random.default_rng(0).normal(size=(3, 2, 4))

    def forward(self, x):
        self.x, n = x, x.shape[1] - 2
        return sum(x[:, i : i + n] @ self.k[i] for i in range(3))

    def backward(self, dy):
        dx, n = np.zeros_like(self.x), dy.shape[1]
        self.dk = np.zeros_like(self.k)
        for i in range(3):
            dx[:, i : i + n] += dy @ self.k[i].T
            self.dk[i] = np.einsum("bnc,bno->co", self.x[:, i : i + n], dy)
        return dx


class SquaredError:
    """L = mean over the batch of ½ |z - t|²."""

    def forward(self, z, t):
        self.difference = z - t
        return (self.difference**2).sum() / (2 * len(z))

    def backward(self):
        return self.difference / len(self.difference)


class Hinge:
    """L = Σ max(0, 1 + z_j - z_t) over all j but the label t: no complex step, but shift invariant."""

    def forward(self, z, t):
        rows = np.arange(len(z))
        margins = np.maximum(1 + z.real - z.real[rows, t][:, None], 0)
        margins[rows, t] = 0
        self.dz = (margins > 0).astype(z.dtype)
        self.dz[rows, t] = -self.dz.sum(axis=1)
        return margins.sum()

    def backward(self):
        return self.dz


class Momentum:
    """v ← μ v + g, w ← w - η v, over {name: (value, grad)}."""

    def __init__(self, parameters, lr=0.1, mu=0.9):
        self.parameters, self.lr, self.mu = parameters, lr, mu
        self.v = {name: np.zeros_like(value) for name, (value, _) in parameters.items()}

    def step(self):
        for name, (w, g) in self.parameters.items():
            self.v[name] = self.mu * self.v[name] + g
            w -= self.lr * self.v[name]


def momentum_formula(w, g, memory, t):
    memory["v"] = 0.9 * memory.get("v", 0) + g
    return w - 0.1 * memory["v"]

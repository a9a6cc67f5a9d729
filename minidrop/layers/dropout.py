"""Dropout, in both readings of its papers."""

from minidrop.backends import Array, Backend
from minidrop.errors import check_choice
from minidrop.layers.stochastic import DropProb, StochasticLayer


class Dropout(DropProb, StochasticLayer):
    """Set each element to zero with probability p in training (Hinton et al. 2012; Srivastava et al. 2014).

    With m the keep mask, k = 1 - p, and c the factor in the table, x of any shape (B, ...):

        training    y = c x m        dx = c dy m
        evaluation  y = c x          dx = c dy

        mode        c in training    c in evaluation
        inverted    1 / k            1                   torch.nn.Dropout
        paper       1                k                   Hinton 2012: "the mean network"

    Either way the expectation over the masks of what training computes is what evaluation computes. The map
    is linear in x, so the backward pass is the forward map applied to dy, mask included. p is rounded to a
    multiple of 2^-16 (see `DropRate`); p = 0 is the identity and p = 1 gives zeros.

    Args:
        drop_prob: p in [0, 1].
        mode: "inverted" or "paper".
        per: "element", a mask entry for each element; or "feature", one mask of an example's shape that the
            whole batch shares, as document 001 does: unbiased, but its noise is not averaged over the batch.
        seed: of the masks of a layer that stands alone; a `Sequential` brings its own.
        backend: "numpy", "numba", "cupy" or the current one.

    Raises:
        ArgumentError: if drop_prob is not a number in [0, 1], or for an unknown mode or per.

    >>> import minidrop as md, numpy as np
    >>> layer = md.Dropout(0.5)
    >>> x = np.ones((2, 4))
    >>> layer.forward(x)
    array([[2., 0., 2., 0.],
           [0., 2., 0., 2.]])
    >>> layer.mask
    array([[ True, False,  True, False],
           [False,  True, False,  True]])
    >>> layer.eval()
    >>> layer.forward(x)
    array([[1., 1., 1., 1.],
           [1., 1., 1., 1.]])
    """

    def __init__(
        self,
        drop_prob: float = 0.5,
        *,
        mode: str = "inverted",
        per: str = "element",
        seed: int = 0,
        backend: str | Backend | None = None,
    ) -> None:
        super().__init__(seed, backend)
        self.drop_prob = drop_prob
        self.mode = check_choice("mode", mode, ("inverted", "paper"))
        self.per = check_choice("per", per, ("element", "feature"))

    def forward(self, x: Array) -> Array:
        """y = c x m in training, y = c x in evaluation."""
        self.check_input(x)
        inverted = self.mode == "inverted"
        if self.training:
            keep = self.draw_keep(x.shape if self.per == "element" else x.shape[1:], self.rate)
            factor = self.rate.scale if inverted else 1.0
        else:
            keep = True
            factor = 1.0 if inverted else self.rate.keep
        y = self._masked("y", x, keep, factor)
        self.save(keep, factor, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = c dy m in training, dx = c dy in evaluation."""
        keep, factor = self.saved(dy)
        return self._masked("dx", dy, keep, factor)

    def _masked(self, name: str, a: Array, keep: Array | bool, factor: float) -> Array:
        out = self.array(name, a.shape, a.dtype)
        self.backend.xp.multiply(a, keep, out=out)
        if factor != 1:
            out *= factor
        return out

    def __repr__(self) -> str:
        return f"Dropout({self.drop_prob:g}, mode={self.mode!r}, per={self.per!r})"

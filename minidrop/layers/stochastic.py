"""What the layers that draw random numbers share: a rate in lanes of 16 bits, a stream, a step, a mask."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from minidrop.backends import Array, Backend, Draw
from minidrop.errors import ArrayError, UsageError, check_count, check_range
from minidrop.layers.layer import Layer
from minidrop.streams import Purpose, Stream

_LANES = 1 << 16


@dataclass(frozen=True)
class DropRate:
    """A drop probability as the masks realise it: a multiple of 2^-16, so that expectations are exact.

    >>> rate = DropRate.of(0.2)
    >>> rate.threshold, rate.keep, rate.keep * rate.scale
    (13107, 0.8000030517578125, 1.0)
    """

    threshold: int

    @classmethod
    def of(cls, drop_prob: float, name: str = "drop_prob") -> "DropRate":
        """The nearest rate; ArgumentError unless drop_prob is in [0, 1]."""
        return cls(round(check_range(name, drop_prob, 0, 1) * _LANES))

    @property
    def keep(self) -> float:
        """The probability that an element stays: 1 - threshold / 65536."""
        return (_LANES - self.threshold) / _LANES

    @property
    def scale(self) -> float:
        """1 / keep, or 0 where nothing stays."""
        return _LANES / (_LANES - self.threshold) if self.threshold < _LANES else 0.0


class DropProb:
    """A checked, settable `drop_prob`, and the `rate` that it is rounded to."""

    rate: DropRate

    @property
    def drop_prob(self) -> float:
        """The probability that an element is dropped, in [0, 1]."""
        return self._drop_prob

    @drop_prob.setter
    def drop_prob(self, drop_prob: float) -> None:
        self.rate = DropRate.of(drop_prob)
        self._drop_prob = drop_prob


class StochasticLayer(Layer):
    """A layer whose training pass is random: a function of (seed, place in the model, step).

    Each training pass uses the next step, so that a loop written by hand sees fresh masks; `set_step` and a
    `TrainStep` say which. A mask can be read after the pass, and one can be given.
    """

    purpose = Purpose.MASK
    #: what a mask holds: "b" booleans, "f" floating-point factors
    mask_kind = "b"

    def __init__(self, seed: int = 0, backend: str | Backend | None = None) -> None:
        super().__init__(backend)
        self.step = 0
        self._mask: Array | None = None
        self._given: Array | None = None
        self.seed(seed)

    def seed(self, seed: int, index: int = 0) -> int:
        """Draw from the streams (seed, index), and return the next free index."""
        self.stream = Stream(seed, self.purpose, index)
        return super().seed(seed, index)

    def set_step(self, step: int) -> None:
        """Let the next training pass draw the randomness of `step`."""
        self.step = check_count("step", step, 0)

    @property
    def mask(self) -> Array:
        """What the last training pass multiplied by: True where an element stayed; UsageError before it."""
        if self._mask is None:
            raise UsageError(f"{self} has no mask before its first forward pass in training")
        return self._mask

    def use_mask(self, mask: Array | None) -> None:
        """Use `mask` in every training pass from now on, or drawn ones again for None.

        A mask may have any shape that broadcasts against the drawn one's.

        Raises:
            ArrayError: if it is of another backend, or not of the kind that the layer draws.
        """
        if mask is not None:
            self.backend.check(mask, f"the mask of {self}")
            if mask.dtype.kind != self.mask_kind:
                kinds = {"b": "booleans, True where an element stays", "f": "floating-point factors"}
                raise ArrayError(f"the mask of {self} must hold {kinds[self.mask_kind]}; got {mask.dtype}")
        self._given = mask

    @property
    def is_given(self) -> bool:
        """Whether a mask is given, instead of drawn."""
        return self._given is not None

    def given(self, shape: tuple[int, ...]) -> Array:
        """The given mask in `shape`; ArrayError if it does not fit."""
        try:
            return self.backend.xp.broadcast_to(self._given, shape)
        except ValueError:
            found = tuple(self._given.shape) if self._given is not None else ()
            raise ArrayError(
                f"the mask given to {self} has shape {found}, which does not fit {shape}"
            ) from None

    def draw_keep(self, shape: tuple[int, ...], rate: DropRate) -> Array:
        """The keep mask of this pass, drawn or given; the next pass draws the next step's."""
        self.backend.drawn(self.prepare_keep(shape, rate))
        return self.mask

    def prepare_keep(self, shape: tuple[int, ...], rate: DropRate) -> Array | Draw:
        """Have `mask` be the keep mask of this pass; the next pass uses the next step's.

        A mask that is to be drawn is empty until the backend draws what is returned; threads may draw
        different rows of it at the same time.
        """
        step, self.step = self.step, self.step + 1
        if self._given is not None:
            self._mask = self.given(shape)
            return self._mask
        if rate.threshold in (0, _LANES):  # all or nothing: a view of one element says so without memory
            self._mask = self.backend.uniform_mask(rate.threshold == 0, shape)
            return self._mask
        self._mask = self.array("keep", shape, bool)
        return Draw(self.stream, step, rate.threshold, self._mask)


@contextmanager
def behaving(model: Layer, training: bool) -> Iterator[None]:
    """Let a model behave as in training, or as in evaluation, inside a `with` block, as before afterwards.

    What was drawn inside, masks or noise, is drawn again by the next training pass.

    >>> import minidrop as md
    >>> model = md.Sequential(md.Dropout(0.5), md.Dropout(0.5))
    >>> model[1].eval()
    >>> with behaving(model, training=False):
    ...     print(model[0].training, model[1].training)
    False False
    >>> model[0].training, model[1].training
    (True, False)
    """
    layers = list(model.modules())
    flags = [(layer, layer.training) for layer in layers]
    steps = [(layer, layer.step) for layer in layers if isinstance(layer, StochasticLayer)]
    model.train(training)
    try:
        yield
    finally:
        for layer, was in flags:
            layer.training = was
        for stochastic, step in steps:
            stochastic.set_step(step)

"""Max-norm: an upper bound on the length of each unit's incoming weights."""

from collections.abc import Mapping

from minidrop.backends import Workspace
from minidrop.errors import ArgumentError, check_choice, check_range
from minidrop.parameters import ParameterArena


class MaxNorm:
    """Project each unit's incoming weights onto a ball: W_i ← W_i c / max(c, |W_i|).

    Hinton et al. 2012, appendix A, apply it after each update instead of weight decay, with |W_i|² <= 15, to
    the hidden units; Srivastava et al. 2014, section 5.1, write |W_i| <= c. It is the Euclidean projection:
    rows within the ball keep their bits. The optimizer's velocity does not see it.

    Args:
        limit: the largest length allowed, or a limit by parameter name, which then says the layers.
        squared: whether `limit` bounds the squared length, as in Hinton et al., or the length itself.
        layers: "hidden", all weight matrices but the last; or "all".

    Raises:
        ArgumentError: if a limit is not positive, or names no weight matrix of the model.

    >>> import minidrop as md, numpy as np
    >>> model = md.Sequential(md.Linear(2, 1, init=md.Constant(3)))
    >>> md.MaxNorm(1, layers="all").apply(model.parameters())
    >>> model[0].weight.value.round(4)
    array([[0.7071, 0.7071]], dtype=float32)
    """

    def __init__(
        self, limit: float | Mapping[str, float] = 15.0, *, squared: bool = False, layers: str = "hidden"
    ) -> None:
        limits = limit.items() if isinstance(limit, Mapping) else [("limit", limit)]
        for name, value in limits:
            if check_range(f"max-norm {name}", value, 0) == 0:
                raise ArgumentError(f"max-norm {name} must be above 0; leave max-norm out to have no limit")
        self.limit = limit
        self.squared = squared
        self.layers = check_choice("max-norm layers", layers, ("hidden", "all"))
        self._workspace: Workspace | None = None

    def lengths(self, parameters: ParameterArena) -> dict[str, float]:
        """The largest length allowed for the rows of each weight matrix that has a limit."""
        matrices = [name for name, parameter in parameters.items() if parameter.rows_are_units]
        if isinstance(self.limit, Mapping):
            foreign = [name for name in self.limit if name not in matrices]
            if foreign:
                raise ArgumentError(
                    f"max-norm names {', '.join(foreign)}; the weight matrices are {', '.join(matrices)}"
                )
            limits = dict(self.limit)
        else:
            limits = dict.fromkeys(matrices[:-1] if self.layers == "hidden" else matrices, self.limit)
        return {name: value**0.5 if self.squared else value for name, value in limits.items()}

    def apply(self, parameters: ParameterArena) -> None:
        """Project, in place."""
        if self._workspace is None:
            self._workspace = Workspace(parameters.backend.xp, reuse=True)
        for name, length in self.lengths(parameters).items():
            parameters.backend.limit_row_norms(parameters[name].value, length, self._workspace)


def largest_row_norm(parameters: ParameterArena, layers: str = "hidden") -> float:
    """The length of the longest row among the weight matrices that a limit on `layers` would bound.

    A model whose only matrix is the output layer's has no hidden one; then it is that matrix's.
    """
    matrices = [parameter for parameter in parameters.values() if parameter.rows_are_units]
    chosen = (matrices[:-1] or matrices) if layers == "hidden" else matrices
    squared = [parameters.backend.squared_row_norms(p.value.reshape(len(p.value), -1)) for p in chosen]
    return max((float(rows.max()) ** 0.5 for rows in squared), default=0.0)

"""Max-norm: an upper bound on the length of each unit's incoming weights."""

from collections.abc import Mapping

from minidrop.backends.workspace import ThreadWorkspace
from minidrop.errors import ArgumentError, check_choice, check_range
from minidrop.parameters import Parameter, ParameterArena
from minidrop.threads import span


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
        ArgumentError: if a limit is not positive; and, once there is a model, from the optimizer or `apply`,
            if it names what is no weight matrix.

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
        self._scratch: ThreadWorkspace | None = None

    def lengths(self, parameters: ParameterArena) -> dict[str, float]:
        """The largest length allowed for the rows of each weight matrix that has a limit."""
        if isinstance(self.limit, Mapping):
            matrices = weight_matrices(parameters, "all")
            foreign = [name for name in self.limit if name not in matrices]
            if foreign:
                raise ArgumentError(
                    f"max-norm names {', '.join(foreign)}; the weight matrices are {', '.join(matrices)}"
                )
            limits = dict(self.limit)
        else:
            limits = dict.fromkeys(weight_matrices(parameters, self.layers), self.limit)
        return {name: value**0.5 if self.squared else value for name, value in limits.items()}

    def apply(self, parameters: ParameterArena, share: int = 0, shares: int = 1) -> None:
        """Project, in place, one share of each matrix' rows."""
        xp = parameters.backend.xp
        if self._scratch is None or self._scratch.xp is not xp:
            self._scratch = ThreadWorkspace(xp)
        for name, length in self.lengths(parameters).items():
            rows = span(parameters[name].shape[0], share, shares)
            if rows.start < rows.stop:
                matrix = parameters[name].value[rows]
                parameters.backend.limit_row_norms(matrix, length, self._scratch.workspace)


def weight_matrices(parameters: Mapping[str, Parameter], layers: str = "all") -> list[str]:
    """The names of the matrices whose rows are units' incoming weights: "all", or "hidden", all but the last.

    >>> import minidrop as md
    >>> model = md.Sequential(md.Linear(4, 3), md.ReLU(), md.Linear(3, 2))
    >>> weight_matrices(model.parameters(), "hidden")
    ['0.weight']
    """
    names = [name for name, parameter in parameters.items() if parameter.rows_are_units]
    return names[:-1] if layers == "hidden" else names


def largest_row_norm(parameters: ParameterArena) -> float:
    """The length of the longest row among the hidden units' weights, or the output's if there is no other."""
    names = weight_matrices(parameters, "hidden") or weight_matrices(parameters)
    squared = [parameters.backend.squared_row_norms(parameters[name].value) for name in names]
    return max((float(rows.max()) ** 0.5 for rows in squared), default=0.0)

"""What an answer may refer to: the numbers of an experiment's results.json, by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import nan
from typing import Any, TypeVar

from minidrop.errors import ExperimentError
from minidrop.experiments.verdicts import Claim, Quantity

Json = Mapping[str, Any]
One = TypeVar("One")


@dataclass(frozen=True)
class Found:
    """An experiment's results, whose parts are asked for by a piece of their names.

    >>> found = Found({"experiment": "e", "claims": [{"text": "a beats b", "holds": True, "detail": "by 1"}]})
    >>> found.claim("beats").detail
    'by 1'
    """

    results: Json

    @property
    def quantities(self) -> list[Quantity]:
        """All quantities; NaN where JSON has null."""
        return [_made(Quantity, q | {"ours": _numbers(q["ours"])}) for q in self.results["quantities"]]

    @property
    def claims(self) -> list[Claim]:
        """All claims."""
        return [_made(Claim, claim) for claim in self.results["claims"]]

    def q(self, name: str) -> Quantity:
        """The one quantity of that name, or with that in its name.

        Raises:
            ExperimentError: if there is none, or more than one.
        """
        return self._one("quantity", name, {q.name: q for q in self.quantities})

    def claim(self, text: str) -> Claim:
        """The one claim of that text, or with that in its text; raises as `q`."""
        return self._one("claim", text, {claim.text: claim for claim in self.claims})

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, by column; raises as `q`."""
        chosen = self._one("table", table, {one["title"]: one for one in self.results["tables"]})
        return [dict(zip(chosen["columns"], row, strict=True)) for row in chosen["rows"]]

    def row(self, table: str, *begin: Any) -> dict[str, Any]:
        """The one row of a table that begins with these cells, by column; raises as `q`."""
        named = {tuple(row.values())[: len(begin)]: row for row in self.rows(table)}
        if begin not in named:
            raise ExperimentError(f"{self.results['experiment']}: no row of {table!r} begins with {begin}")
        return named[begin]

    def job(self, key: str) -> Any:
        """The result of a job.

        Raises:
            ExperimentError: if there is none.
        """
        found = self.results["jobs"].get(key, {}).get("result")
        if found is None:
            raise ExperimentError(f"{self.results['experiment']}: there is no result of a job {key!r}")
        return found

    def choose(self, piece: str) -> list[Quantity]:
        """All quantities with this in their names.

        Raises:
            ExperimentError: if there is none.
        """
        found = self.some(piece)
        if not found:
            raise ExperimentError(f"{self.results['experiment']}: no quantity has {piece!r} in its name")
        return found

    def some(self, piece: str) -> list[Quantity]:
        """As `choose`, but there may be none, as in a run in part."""
        return [q for q in self.quantities if piece in q.name]

    def _one(self, kind: str, name: str, named: Mapping[str, One]) -> One:
        if name in named:
            return named[name]
        found = [key for key in named if name in key]
        if len(found) != 1:
            which = f"more than one {kind} with {name!r}: {found}" if found else f"no {kind} {name!r}"
            raise ExperimentError(f"{self.results['experiment']} has {which}")
        return named[found[0]]


def _made(kind: Any, values: Json) -> Any:
    return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})


def _numbers(values: Iterable[float | None]) -> Sequence[float]:
    return [nan if value is None else value for value in values]

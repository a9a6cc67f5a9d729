"""What an experiment is: jobs that can run apart, and an analysis of what they give.

    plan  ->  jobs(plan)  ->  {key: result}  ->  analyse(plan, results)  ->  Findings

A job is a function with arguments that JSON can hold, most often one ordinary training run; the runner keeps
its result in the experiment's folder, so nothing is done twice. The analysis makes numbers, tables and
figures of the results, and never trains.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minidrop.errors import check_path
from minidrop.experiments.verdicts import Claim, Quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: what a job returns: what JSON can hold
Result = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How an experiment is to be run.

    Args:
        quick: on the embedded digits, with few and short runs: it all works, and the exact parts are exact.
        seeds: how many seeds; by default what the experiment says.
        backend: "numpy", "numba" or "cupy"; None for the current one.
        data_dir: where MNIST and Fashion-MNIST are; None for the usual places.
        first_seed: of the seeds: another one makes another sample.

    Raises:
        ArgumentError: if `data_dir` can be no path.
    """

    quick: bool = False
    seeds: int | None = None
    backend: str | None = None
    data_dir: str | None = None
    first_seed: int = 0

    def __post_init__(self) -> None:
        check_path("data_dir", self.data_dir or "")

    def seeds_of(self, default: int) -> range:
        """The seeds from the first on: as many as were asked for, one in a quick run, or `default`.

        >>> list(Plan().seeds_of(3)), list(Plan(quick=True).seeds_of(3)), list(Plan(seeds=2).seeds_of(3))
        ([0, 1, 2], [0], [0, 1])
        >>> list(Plan(first_seed=100).seeds_of(3))
        [100, 101, 102]
        """
        count = self.seeds or (1 if self.quick else default)
        return range(self.first_seed, self.first_seed + count)

    def pick(self, full: Any, quick: Any) -> Any:
        """One of two: for a full run or for a quick one."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Job:
    """One piece of an experiment's work.

    Args:
        key: its name, also that of its folder: letters, digits, ".", "-", "_" and "=".
        work: a function of a module, called as work(folder, **arguments); returns a `Result`.
        arguments: what JSON can hold, so that a finished job is known again.
        reads_data: whether the data sets named in its arguments must be there; not so where it builds nets.
    """

    key: str
    work: Callable[..., Result]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    reads_data: bool = True


@dataclass(frozen=True)
class Table:
    """A table of a report: what its columns are, and its rows, numbers or texts."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Drawing:
    """A figure of a report: a name for its files, a caption that says what is to be seen, and the figure."""

    name: str
    caption: str
    figure: "Figure"


@dataclass
class Findings:
    """What an experiment found; the report shows it in this order."""

    quantities: list[Quantity] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Experiment:
    """An experiment of the source documents, or of a user's own.

    Args:
        name: what it shows, in a word or three with hyphens: what `minidrop reproduce` takes.
        ids: which experiments of the documents it is, such as "004-1".
        question: what it asks, in one sentence.
        data: what it needs: "none", "digits", "mnist" or "fashion-mnist".
        duration: about how long a full run takes on two processors.
        jobs: the jobs of a plan, in the order in which to begin them.
        analyse: what their results, by key, say; those of jobs that failed are missing.
        command: what runs it, if that is not `minidrop reproduce NAME`.
    """

    name: str
    ids: tuple[str, ...]
    question: str
    data: str
    duration: str
    jobs: Callable[[Plan], Sequence[Job]]
    analyse: Callable[[Plan, Mapping[str, Result]], Findings]
    command: str = ""

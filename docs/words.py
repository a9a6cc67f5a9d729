"""What a page says in words of its own: times, what was run and is missing, verdicts, claims."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from docs.found import Found, Json
from minidrop.experiments import experiment
from minidrop.experiments.verdicts import AGREES, DIFFERS, NOT_JUDGED, Claim, Quantity


def lasting(seconds: float) -> str:
    """A time in words.

    >>> lasting(42.3), lasting(580), lasting(20000)
    ('42 s', '9.7 min', '5.6 h')
    """
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def told(claim: Claim, yes: str, no: str, undecided: str) -> str:
    """One of three texts: the claim holds, does not, or the runs leave it open."""
    return undecided if claim.holds is None else yes if claim.holds else no


def told_by(claim: Claim, yes: str, no: str, undecided: str) -> str:
    """The same with by how much; if that is open, with how much it is at most, either way.

    >>> texts = "costs", "gains", "makes no clear difference,"
    >>> [told_by(Claim("a slip costs", holds, "+0.08 ± 0.01"), *texts) for holds in (True, None)]
    ['costs 0.08 ± 0.01', 'makes no clear difference, at most 0.09']
    >>> told_by(Claim("a slip costs", False, "-0.08 ± 0.01 (2 together)"), *texts)
    'gains 0.08 ± 0.01'
    """
    detail = claim.detail.partition(" (")[0]
    if claim.holds is None and " ± " in detail:
        mean, _, half = detail.partition(" ± ")
        detail = f"at most {abs(float(mean)) + float(half):.{len(half.partition('.')[2])}f}"
    return f"{told(claim, yes, no, undecided)} {detail if claim.holds is None else detail.lstrip('+-')}"


def extent(results: Json) -> str:
    """How many trainings of how many epochs with which seeds, and what else was run."""
    records = [record for record in results["jobs"].values() if record["result"] is not None]
    data = experiment(results["experiment"]).data
    configs = [record["arguments"].get("config", {}) for record in records if "history" in record["result"]]
    configs = [config for config in configs if config["dataset"] == data]
    if not configs:
        return counted_jobs(len(records))
    epochs, seeds = (sorted({config[key] for config in configs}) for key in ("epochs", "seed"))
    kind = "seed" if len(seeds) == 1 else "seeds"
    trainings = "1 training" if len(configs) == 1 else f"{len(configs)} trainings"
    text = f"{trainings} of {_listed(epochs)} epochs{_alike(configs)}, {kind} {_listed(seeds)}"
    others = len(records) - len(configs)
    return f"{text}, and {counted_jobs(others, 'other ')}" if others else text


#: how a key of a configuration is told where all trainings share its value, and values by other names
SETTING = {
    "dataset": "{}",
    "layers": "{}",
    "unit": "{} units",
    "optimizer": "{}",
    "lr": "learning rate {}",
    "batch_size": "batches of {}",
    "dropout": "drop probabilities {}",
}
#: the key of which a few values are told, too, where the trainings differ in it
COMPARED = "dropout"
NAMES_OF = {
    "relu": "ReLU",
    "sigmoid": "logistic",
    "sgd": "SGD",
    "hinton": "Hinton's update",
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
}


def _alike(configs: Sequence[Json]) -> str:
    """What trainings have in common, in brackets.

    >>> _alike([{"unit": "relu", "lr": 0.1, "layers": None}, {"unit": "relu", "lr": 0.2, "layers": None}])
    ' (ReLU units)'
    >>> _alike([{"dropout": "0"}, {"dropout": "0"}]), _alike([{"dropout": "0"}, {"dropout": "0.2,0.5"}])
    ('', ' (drop probabilities 0 or (0.2, 0.5))')
    """
    parts = []
    for key, text in SETTING.items():
        values = list(dict.fromkeys(one.get(key) for one in configs))
        told = len(values) == 1 if key != COMPARED else len(values) <= 3 and values != ["0"]
        if told and None not in values:
            parts.append(text.format(" or ".join(_value(value) for value in values)))
    return f" ({', '.join(parts)})" if parts else ""


def _value(value: Any) -> str:
    """A key's value as a page tells it; a list in brackets."""
    text = str(NAMES_OF.get(value, value))
    return f"({text.replace(',', ', ')})" if "," in text else text


def unfinished(missing: Sequence[str], shown: int = 6) -> str:
    """Which jobs are missing, some of them by name.

    >>> unfinished(["a"]), unfinished(["a", "b", "c", "d"], shown=2)
    ('a is', 'a, b and 2 more are')
    """
    more = len(missing) - shown
    names = ", ".join(missing[:shown]) + (f" and {more} more" if more > 0 else "")
    return f"{names} {'is' if len(missing) == 1 else 'are'}"


def counted_jobs(count: int, which: str = "") -> str:
    """A number of jobs in words.

    >>> counted_jobs(1, "other "), counted_jobs(2)
    ('1 other job', '2 jobs')
    """
    return f"{count} {which}{'job' if count == 1 else 'jobs'}"


def verdicts(found: Found) -> str:
    """How many published numbers agree, how many claims hold, and how many checks of our own."""
    judged: list[Quantity | Claim] = [*found.quantities, *found.claims]
    published = [q.verdict for q in found.quantities if q.published is not None and not q.own]
    claims = [claim.verdict for claim in found.claims if not claim.own]
    own = [one.verdict for one in judged if one.own]
    parts = [
        _counted(published, "published"),
        _counted(claims, "claim", "claims"),
        _counted(own, "own check", "own checks"),
    ]
    return "; ".join(part for part in parts if part)


def _counted(verdicts: Sequence[str], one: str, more: str = "") -> str:
    """How many agree of how many that are judged, and what became of the others.

    >>> _counted(["agrees", "differs", "open", "agrees"], "claim", "claims")
    '2 of 4 claims, 1 differs, 1 open'
    >>> _counted(["not judged", "not judged"], "published")
    '2 published not judged'
    """
    counts = Counter(verdicts)
    agree, without = counts.pop(AGREES, 0), counts.pop(NOT_JUDGED, 0)
    if counts[DIFFERS] > 1:
        counts["differ"] = counts.pop(DIFFERS)
    judged = agree + sum(counts.values())
    name = one if max(judged, without) == 1 else more or one
    parts = [f"{agree} of {judged} {name}"] if judged else []
    parts += [f"{count} {verdict}" for verdict, count in sorted(counts.items()) if count]
    parts += [f"{without} not judged" if judged else f"{without} {name} not judged"] if without else []
    return ", ".join(parts)


def _listed(values: Sequence[int]) -> str:
    """1, 2 and 3; a longer range as "0 to 4"."""
    if len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    *most, last = map(str, values)
    return f"{', '.join(most)} and {last}" if most else last

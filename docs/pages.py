"""The pages of docs/results, written from the results.json of each experiment and from nothing else.

- results/NAME/results.json and *.png: what a run left, taken by `python -m docs add FOLDER`
- answers/NAME.md.j2: the answer in words, whose numbers are asked for by name (see `Found`)
- page.md.j2 and index.md.j2: what all pages share, and the index
- part.md.j2: instead of an answer that cannot be given before all jobs have run
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from textwrap import wrap
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from docs.again import told_again
from docs.found import Found, Json
from docs.machines import machine, together
from docs.tables import checked, claimed, numbers, table
from minidrop.errors import ExperimentError
from minidrop.experiments import NAMES, experiment
from minidrop.experiments.report import number, rules_of
from minidrop.experiments.verdicts import AGREES, DIFFERS, NOT_JUDGED, Claim

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DOCUMENTS = {
    "000": "Hinton's MNIST nets with dropout",
    "001": "a notebook on dropout",
    "002": "going deeper",
    "003": "exercises on dropout",
    "004": "optimization and initialization",
}
#: how many quantities and claims a page shows before it leaves out checks of our own
ROWS = 12


def write(results: Path = RESULTS) -> list[Path]:
    """Write the page of each experiment that is there, and the index; their paths."""
    pages = {folder / "README.md": page(folder) for folder in folders(results)}
    pages[results / "README.md"] = index(results)
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return list(pages)


def folders(results: Path) -> list[Path]:
    """Those of experiments that have run, in the order of the documents."""
    return [results / name for name in NAMES if (results / name / "results.json").exists()]


def page(folder: Path) -> str:
    """The page of an experiment whose results.json is in `folder`; raises as `render`."""
    text = (folder / "results.json").read_text(encoding="utf-8")
    return render(json.loads(text), len(text.encode()))


def render(results: Json, size: int) -> str:
    """The page of an experiment.

    Args:
        results: what is in its results.json.
        size: that file's, in bytes.

    Raises:
        ExperimentError: if its answer refers to a number that is not there though all jobs have run, or does
            not say why a published number differs.
    """
    try:
        template, context = _answer(results)
        if context["differing"] and not _block(template, "apart", context):
            names = ", ".join(q.name for q in context["differing"])
            raise ExperimentError(f"{template.name} must say, in a block apart, why {names} differs")
        return wrapped(template.render(context, size=size))
    except TemplateError as error:
        raise ExperimentError(f"the answer of {results['experiment']} cannot be given: {error}") from None


def index(results: Path) -> str:
    """All answers in one table for each document."""
    answers = {}
    for folder in folders(results):
        found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        template, context = _answer(found)
        part = f"; {counted_jobs(len(found['missing']))} missing" if found["missing"] else ""
        answers[folder.name] = (_block(template, "answer", context), context["verdicts"] + part)
    groups: dict[str, list[Sequence[str]]] = {}
    for name in NAMES:
        this = experiment(name)
        ids = this.ids[0] if len(this.ids) == 1 else f"{this.ids[0]} … {this.ids[-1].partition('-')[2]}"
        answer, verdicts = answers.get(name, ("not run at full size yet", "—"))
        link = f"[{name}]({name}/README.md)" if name in answers else name
        groups.setdefault(this.ids[0][:3], []).append((f"{link} ({ids})", this.question, answer, verdicts))
    return wrapped(environment().get_template("index.md.j2").render(groups=groups, documents=DOCUMENTS))


def wrapped(text: str) -> str:
    """Each paragraph in lines of 110 characters, but for headings, tables, pictures and HTML."""
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
    lines = [p if p[0] in "#|!<" else "\n".join(wrap(p, 110, break_on_hyphens=False)) for p in paragraphs]
    return "\n\n".join(lines) + "\n"


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
    """The same with by how much, whose sign is in the words where they say so.

    >>> told_by(Claim("a slip costs", True, "+0.08 ± 0.01"), "costs", "gains", "makes no clear difference,")
    'costs 0.08 ± 0.01'
    """
    detail = claim.detail if claim.holds is None else claim.detail.lstrip("+-")
    return f"{told(claim, yes, no, undecided)} {detail}"


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
    text = f"{len(configs)} trainings of {_listed(epochs)} epochs{_alike(configs)}, {kind} {_listed(seeds)}"
    others = len(records) - len(configs)
    return f"{text}, and {counted_jobs(others, 'other ')}" if others else text


#: how a key of a configuration is told where all trainings share its value
SETTING = {
    "dataset": "{}",
    "layers": "{}",
    "unit": "{} units",
    "optimizer": "{}",
    "lr": "learning rate {:g}",
    "batch_size": "batches of {}",
}


def _alike(configs: Sequence[Json]) -> str:
    """What trainings have in common, in brackets.

    >>> _alike([{"layers": "64-10", "lr": 0.1}, {"layers": "64-10", "lr": 0.2}])
    ' (64-10)'
    """
    first, *others = configs
    shared = [key for key in SETTING if key in first and all(one[key] == first[key] for one in others)]
    told = ", ".join(SETTING[key].format(first[key]) for key in shared)
    return f" ({told})" if told else ""


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
    judged = (*found.quantities, *found.claims)
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


def _answer(results: Json) -> tuple[Any, dict[str, Any]]:
    """The template of an experiment's page, and all that it may ask for."""
    found = Found(results)
    own = [one for one in (*found.quantities, *found.claims) if one.own]
    checks = [q for q in found.quantities if q.own and q.published], [c for c in found.claims if c.own]
    quantities = [q for q in found.quantities if not q.own]
    claims = [claim for claim in found.claims if not claim.own]
    if sum(map(len, (quantities, claims, *checks))) > ROWS:
        checks = [], []
    ran = [record for record in results["jobs"].values() if record["result"] is not None]
    trainings = [record for record in ran if "history" in record["result"]]
    commits = sorted({record["commit"] for record in ran if record["commit"]})
    context: dict[str, Any] = {
        "results": results,
        "quantities": quantities,
        "claims": claims,
        "checks": checks,
        "own": own,
        "own_agree": [one for one in own if one.verdict == AGREES],
        "rules": rules_of(quantities),
        "differing": [q for q in found.quantities if q.verdict == DIFFERS],
        "times": [record["seconds"] for record in trainings or ran if record["seconds"]],
        "verdicts": verdicts(found),
        "extent": extent(results),
        "unfinished": results["missing"] and unfinished(results["missing"]),
        "commits": commits,
        "machines": together(machine(record, results) for record in ran),
        "again": told_again(results),
    }
    context |= {name: getattr(found, name) for name in ("q", "claim", "row", "rows", "job", "choose", "some")}
    path = f"answers/{results['experiment']}.md.j2"
    if not (HERE / path).exists():
        raise ExperimentError(f"write docs/{path}, as its neighbours are, with the answer in words")
    made = environment()
    template = made.get_template(path)
    if results["missing"]:
        try:
            template.render(context, size=0)
        except (ExperimentError, TemplateError):
            template = made.get_template("part.md.j2")
    return template, context


def _block(template: Any, name: str, context: Mapping[str, Any]) -> str:
    block = template.blocks.get(name)
    return "" if block is None else " ".join("".join(block(template.new_context(context))).split())


def environment() -> Environment:
    """Jinja with what templates may call; whatever else they refer to is refused."""
    made = Environment(
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    functions: tuple[Callable[..., Any], ...] = (
        table,
        numbers,
        claimed,
        checked,
        lasting,
        median,
        told,
        told_by,
    )
    made.globals |= {function.__name__: function for function in functions}
    made.filters["number"] = number
    return made


def _listed(values: Sequence[int]) -> str:
    """1, 2 and 3; a longer range as "0 to 4"."""
    if len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    *most, last = map(str, values)
    return f"{', '.join(most)} and {last}" if most else last

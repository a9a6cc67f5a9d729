"""The pages of docs/results, written from the results.json of each experiment and from nothing else.

- results/NAME/results.json and *.png: what a run left, taken by `python -m docs add FOLDER`
- answers/NAME.md.j2: the answer in words, whose numbers are asked for by name (see `Found`)
- page.md.j2 and index.md.j2: what all pages share, and the index
- part.md.j2: instead of an answer that cannot be given before all jobs have run
"""

import json
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
from docs.words import counted_jobs, extent, lasting, told, told_by, unfinished, verdicts
from minidrop.errors import ExperimentError
from minidrop.experiments import NAMES, experiment
from minidrop.experiments.report import number, rules_of
from minidrop.experiments.verdicts import AGREES, DIFFERS, Claim, Quantity

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


def _answer(results: Json) -> tuple[Any, dict[str, Any]]:
    """The template of an experiment's page, and all that it may ask for."""
    found = Found(results)
    judged: list[Quantity | Claim] = [*found.quantities, *found.claims]
    own = [one for one in judged if one.own]
    checks = [q for q in found.quantities if q.own and q.published], [c for c in found.claims if c.own]
    quantities = [q for q in found.quantities if not q.own]
    claims = [claim for claim in found.claims if not claim.own]
    if sum(len(one) for one in (quantities, claims, *checks)) > ROWS:
        checks = [], []
    ran = [record for record in results["jobs"].values() if record["result"] is not None]
    trainings = [record for record in ran if "history" in record["result"]]
    commits = sorted({record["commit"] or "unknown" for record in ran})
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
    made.tests["search"] = lambda text, piece: piece in text
    return made

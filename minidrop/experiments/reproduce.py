"""From an experiment to its folder: jobs, analysis, results.json, tables, figures and report.html."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from minidrop.backends import get_backend
from minidrop.errors import ExperimentError
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan
from minidrop.experiments.report import render
from minidrop.experiments.runner import Told, check_pattern, check_plan, finished, run_jobs
from minidrop.experiments.verdicts import DIFFERS, Quantity
from minidrop.files import replacing, write_text
from minidrop.run_folder import claimed
from minidrop.versions import versions


@dataclass(frozen=True)
class Outcome:
    """An experiment that was run: what it found, and which jobs failed, with why, or are still to be run."""

    experiment: Experiment
    folder: Path
    findings: Findings
    failed: dict[str, str]
    missing: Sequence[str] = ()

    @property
    def broken(self) -> bool:
        """Whether a job failed, or what must be exact is not."""
        exact = [quantity.verdict for quantity in self.findings.quantities if quantity.rule == "exact"]
        exact += [claim.verdict for claim in self.findings.claims if claim.exact]
        return bool(self.failed) or DIFFERS in exact


def reproduce(
    experiment: Experiment,
    plan: Plan,
    folder: Path,
    *,
    processes: int = 1,
    told: Told = lambda *_: None,
    only: str = "*",
) -> Outcome:
    """Run an experiment, or what is left of it, in `folder`, and write all that is to be read there.

    Raises:
        ArgumentError, BackendError: if no job matches the pattern `only`, or the backend is none.
        DataError: see `run_jobs`.
        CheckpointError: if another process works in the folder, or it holds another plan.
        ExperimentError: if every job failed.
    """
    failed: dict[str, str] = {}

    def listen(key: str, done: int, total: int, error: str | None) -> None:
        if error is not None:
            failed[key] = error
        told(key, done, total, error)

    get_backend(plan.backend)
    jobs = experiment.jobs(plan)
    check_pattern(jobs, only)
    with claimed(folder):
        check_plan(experiment, plan, folder)
        results = run_jobs(jobs, folder, processes, listen, only)
        if jobs and not results:
            key, error = next(iter(failed.items()))
            raise ExperimentError(
                f"{experiment.name}: all {len(failed)} jobs failed, the first with {error}; see "
                f"{folder / 'jobs' / key / 'error.txt'}"
            )
        findings = experiment.analyse(plan, results)
        if plan.quick:
            findings = only_exact(findings)
        missing = [job.key for job in jobs if job.key not in results | failed]
        outcome = Outcome(experiment, folder, findings, failed, missing)
        files = [path for drawing in findings.drawings for path in _draw(drawing, folder)]
        records = _records(jobs, folder)
        about = {
            "experiment": experiment.name,
            "ids": experiment.ids,
            "question": experiment.question,
            "plan": asdict(plan),
            "command": command(experiment, plan),
            "seconds": round(sum(record["seconds"] or 0 for record in records.values()), 1),
            "versions": versions(),
        }
        state = {"failed": failed, "missing": missing, "jobs": records}
        write_text(folder / "results.json", json_text(about | said(findings) | state))
        write_text(folder / "quantities.csv", _csv(_HEADER, map(_row, findings.quantities)))
        for i, table in enumerate(findings.tables, start=1):
            write_text(folder / f"table-{i}.csv", _csv(table.columns, table.rows))
        write_text(folder / "report.html", render(outcome, about, files))
    return outcome


def said(findings: Findings) -> dict[str, Any]:
    """All that was found, as results.json has it."""
    return {
        "quantities": [_numbers(quantity) for quantity in findings.quantities],
        "claims": [asdict(claim) | {"verdict": claim.verdict} for claim in findings.claims],
        "tables": [asdict(table) for table in findings.tables],
        "drawings": [{"name": one.name, "caption": one.caption} for one in findings.drawings],
        "notes": findings.notes,
    }


def command(experiment: Experiment, plan: Plan) -> str:
    """What to type to run it again; where the data are is everybody's own.

    >>> from minidrop.experiments import experiment
    >>> command(experiment("ravine"), Plan(seeds=5, data_dir="here"))
    'minidrop reproduce ravine --seeds 5'
    """
    options = {"--seeds": plan.seeds, "--first-seed": plan.first_seed or None, "--backend": plan.backend}
    given = [f"{name} {value}" for name, value in options.items() if value is not None]
    return " ".join(
        [
            experiment.command or f"minidrop reproduce {experiment.name}",
            *(["--quick"] if plan.quick else []),
            *given,
        ]
    )


def _records(jobs: Sequence[Job], folder: Path) -> dict[str, dict[str, Any]]:
    """Arguments, result, seconds, commit and machine of each job; older ones lack some of them."""
    found, shown = finished(jobs, folder), {}
    for job in jobs:
        record = found.get(job.key, {})
        result = record.get("result")
        shown[job.key] = {
            "arguments": job.arguments,
            "result": result,
            "seconds": record.get("seconds", (result or {}).get("seconds")),
            "commit": record.get("commit"),
            "machine": record.get("machine"),
        }
    return shown


def only_exact(findings: Findings) -> Findings:
    """Without a verdict on what a quick run, of other data and few steps, cannot say anything of."""
    quantities = [q if q.rule == "exact" else replace(q, judge=False) for q in findings.quantities]
    claims = [claim if claim.exact else replace(claim, holds=None) for claim in findings.claims]
    return replace(findings, quantities=quantities, claims=claims)


_HEADER = (
    "quantity",
    "published",
    "mean",
    "half width of the 95 % interval",
    "values",
    "rule",
    "tolerance",
    "verdict",
)


def _numbers(quantity: Quantity) -> dict[str, Any]:
    half = quantity.half if isfinite(quantity.half) else None
    return asdict(quantity) | {"mean": quantity.mean, "half": half, "verdict": quantity.verdict}


def _row(quantity: Quantity) -> Sequence[Any]:
    found = _numbers(quantity)
    values = " ".join(map(repr, quantity.ours))
    keys = ("name", "published", "mean", "half", "", "rule", "tolerance", "verdict")
    return [values if not key else found[key] for key in keys]


def _csv(header: Sequence[str], rows: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _draw(drawing: Drawing, folder: Path) -> list[Path]:
    paths = [folder / f"{drawing.name}.{suffix}" for suffix in ("png", "svg")]
    for path in paths:
        with replacing(path) as temporary:
            drawing.figure.savefig(temporary, format=path.suffix[1:], dpi=150)
    return paths


def json_text(values: Any) -> str:
    """JSON with a line for each list of numbers.

    >>> print(json_text({"a": [1, 2.5, float("nan")], "b": "[3]"}), end="")
    {
     "a": [1, 2.5, null],
     "b": "[3]"
    }
    """
    text = json.dumps(_finite(values), indent=1, ensure_ascii=False)
    one_line = re.sub(r'\[\n([^]["{}]*)\]', lambda found: f"[{' '.join(found[1].split())}]", text)
    return one_line + "\n"


def _finite(value: Any) -> Any:
    """With null for what JSON has no number for."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value

"""What `python -m docs add` takes from a run: results.json and figures, or the numbers of a run again.

`python -m docs restore` makes the run's folder of it again, to be gone on with or to be analysed anew.
"""

import json
import shutil
from pathlib import Path
from shlex import quote
from typing import Any

from docs.again import attached
from docs.found import Json
from docs.machines import machine
from docs.pages import RESULTS, folders, render
from docs.words import counted_jobs
from minidrop.errors import ExperimentError
from minidrop.experiments import NAMES, Plan, experiment
from minidrop.experiments.reproduce import json_text
from minidrop.experiments.runner import put_back
from minidrop.files import write_text


def take(run: Path, results: Path = RESULTS, commit: str | None = None) -> Path:
    """Copy results.json and figures of a run at full size into `results`; the folder that they are in.

    Of a run with another first seed only its numbers are taken, for the page that is there.

    Raises:
        ExperimentError: if it is no such run, a job of it failed, a file of it is missing, it is in `results`
            already, it lacks a job that the page has, or its page cannot be written; nothing is changed then.
    """
    try:
        found = json.loads((run / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExperimentError(f"{run} is no finished run of minidrop reproduce: {error}") from None
    name = found.get("experiment")
    if name not in NAMES or found["plan"]["quick"] or found["failed"]:
        raise ExperimentError(f"{run} must be a run of an experiment at full size of which no job failed")
    folder: Path = results / name
    if folder.resolve() == run.resolve():
        raise ExperimentError(
            f"{run} is where its page is: add the run's own folder, or write pages by refresh"
        )
    for record in found["jobs"].values():
        if record["result"] is None:
            continue
        if record["commit"] in (None, "unknown"):
            record["commit"] = commit
        record["machine"] = machine(record, found)
    if found["plan"].get("first_seed"):
        return _take_again(found, folder)
    if "drawings" not in found:
        renewed = f"`minidrop reproduce {name} --out {quote(str(run))}`"
        raise ExperimentError(f"{run} is of an older version: {renewed} analyses it anew")
    found = _without(found, "data_dir")  # where somebody's data were
    if before := _before(folder):
        _keeps(found, before, run)
        if "again" in before:
            found["again"] = before["again"]
    text = json_text(found)
    render(found, len(text.encode()))
    files = {f"{drawing['name']}.png": run / f"{drawing['name']}.png" for drawing in found["drawings"]}
    for path in files.values():
        if not path.is_file():
            raise ExperimentError(
                f"{path} is missing: `{found['command']} --out {quote(str(run))}` draws it again"
            )
    folder.mkdir(parents=True, exist_ok=True)
    for file, path in files.items():
        shutil.copy(path, folder / file)
    write_text(folder / "results.json", text)
    for old in folder.glob("*.png"):
        if old.name not in files:
            old.unlink()
    return folder


def restore(name: str, run: Path, results: Path = RESULTS) -> tuple[list[str], str]:
    """Write the finished jobs of a page into the folder of a run.

    Returns the keys of those that it did not have, and the command that runs the others and analyses all.

    Raises:
        ExperimentError: if there is no such page.
        CheckpointError: if the folder is in use, or is of another run.
    """
    if name not in (there := [folder.name for folder in folders(results)]):
        raise ExperimentError(f"{name!r} has no page; those that have one are {', '.join(there)}")
    found = _before(results / name)
    jobs = {
        key: {**record, "machine": machine(record, found)}
        for key, record in found["jobs"].items()
        if record["result"] is not None
    }
    new = put_back(experiment(name), Plan(**found["plan"]), run, jobs)
    return new, f"{found['command']} --out {quote(str(run))}"


def _keeps(found: Json, before: Json, run: Path) -> None:
    """Refuse a run that lacks what is there: it has not come to it, or was asked for fewer seeds."""
    kept, asked = (
        {job.key for job in experiment(one["experiment"]).jobs(Plan(**one["plan"]))}
        for one in (before, found)
    )
    absent = kept - asked | set(found["missing"])
    there = [key for key, record in before["jobs"].items() if record["result"] is not None]
    if lost := [key for key in there if key in absent]:
        raise ExperimentError(
            f"{run} lacks {counted_jobs(len(lost))} of the page that is there ({', '.join(lost[:3])}): "
            f"`python -m docs restore {before['experiment']} {quote(str(run))}` puts them into it"
        )


def _take_again(found: Json, folder: Path) -> Path:
    """Add the numbers of a run with other seeds to those of the page."""
    before = _before(folder)
    if before is None:
        raise ExperimentError(f"{found['experiment']} has no page yet: add a run with --first-seed 0 before")
    write_text(folder / "results.json", json_text(attached(before, found)))
    return folder


def _before(folder: Path) -> Any:
    """The results of a page, if there is one."""
    path = folder / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _without(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: None if name == key else _without(item, key) for name, item in value.items()}
    return [_without(item, key) for item in value] if isinstance(value, list) else value

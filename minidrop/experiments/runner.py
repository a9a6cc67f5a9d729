"""Running an experiment's jobs, side by side, in a folder that remembers what is done.

    FOLDER/plan.json              what is being run; another plan is refused, but for seeds and data folder
    FOLDER/jobs/KEY/result.json   a finished job: arguments, result, seconds, and the commit and machine
                                  that did it
    FOLDER/jobs/KEY/error.txt     a failed one's traceback; it is tried again the next time

A job that was killed begins again, or goes on if it is a training run. The jobs are joblib's: in as many
processes as asked for, which share the processors' threads and end with the one that asks, and on a Dask
cluster inside `joblib.parallel_config(backend="dask")`.
"""

import json
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from minidrop.backends import get_backend
from minidrop.config import TrainConfig
from minidrop.data import load
from minidrop.errors import ArgumentError, CheckpointError, Interrupted, check_count
from minidrop.experiments.experiment import Experiment, Job, Plan, Result
from minidrop.files import write_text
from minidrop.run_folder import claimed
from minidrop.versions import commit, in_short

#: told after each job: its key, how many are done, of how many, and what went wrong with it, if anything
Told = Callable[[str, int, int, str | None], object]


def check_plan(experiment: Experiment, plan: Plan, folder: Path) -> None:
    """Write down what the folder is for, or hold it against what it was for before.

    The data may be elsewhere than they were, and seeds more or fewer: each job is looked at by itself.

    Raises:
        CheckpointError: naming the difference; or if the folder has the results of something else.
    """
    wanted = {"experiment": experiment.name} | asdict(plan)
    path = folder / "plan.json"
    if not path.exists():
        if (folder / "results.json").exists():
            raise CheckpointError(
                f"{folder} has a results.json of no run, which would be lost: choose another folder"
            )
        _write(path, wanted)
        return
    found = asdict(Plan()) | _read(path)  # what a newer version can be told, an older one did by default
    for one in (wanted, found):
        one["backend"] = one["backend"] or get_backend().name
    for name, value in wanted.items():
        if name not in ("data_dir", "seeds") and found.get(name) != value:
            raise CheckpointError(
                f"{folder} holds a run with {name} {found.get(name)}, not {value}: choose another folder"
            )
    if found["seeds"] != plan.seeds:
        _write(path, wanted)


def run_jobs(
    jobs: Sequence[Job],
    folder: Path,
    processes: int = 1,
    told: Told = lambda *_: None,
    only: str = "*",
) -> dict[str, Result]:
    """Run what is not done yet, and return the results by key; those of jobs that failed are missing.

    Args:
        jobs: all that belong to the experiment.
        folder: where to.
        processes: how many at a time.
        told: see `Told`.
        only: a pattern such as "relu-*": other jobs are not run, but theirs are the results if they are done.

    Raises:
        ArgumentError: if no job's key matches `only`.
        DataError: if data that a job needs are not there, before any has run.
        CheckpointError: if a finished job had other arguments, or the folder cannot be written to.
    """
    check_count("jobs", processes)
    keys = [job.key for job in jobs]
    if len(set(keys)) < len(keys) or not all(re.fullmatch(r"[\w.=-]+", key) for key in keys):
        raise ValueError(f"the keys of jobs must be names of folders, each its own: {keys}")
    check_pattern(jobs, only)
    results = {key: record["result"] for key, record in finished(jobs, folder).items()}
    waiting = [job for job in jobs if job.key not in results and fnmatchcase(job.key, only)]
    check_data(waiting)
    total = len(results) + len(waiting)
    for done, key in enumerate(results, start=1):
        told(key, done, total, None)
    parallel = Parallel(n_jobs=processes, return_as="generator_unordered")
    place = folder.absolute()  # workers live on, in the working directory of the first jobs
    ran = parallel(delayed(_run)(job, place, os.getpid()) for job in waiting)
    for done, (key, result, error) in enumerate(ran, start=len(results) + 1):
        told(key, done, total, error)
        if result is not None:
            results[key] = result
    return {key: results[key] for key in keys if key in results}


def check_pattern(jobs: Sequence[Job], only: str) -> None:
    """Refuse, with an ArgumentError, a pattern that no job's key matches."""
    if not any(fnmatchcase(job.key, only) for job in jobs):
        raise ArgumentError(f"no job is called {only!r}; the jobs are {', '.join(job.key for job in jobs)}")


def check_data(jobs: Sequence[Job]) -> None:
    """Refuse, with a DataError, data sets that are not where the jobs will look for them, on this machine."""
    asked = {
        (found["dataset"], found.get("data_dir"))
        for job in jobs
        if job.reads_data
        for found in (
            job.arguments,
            job.arguments.get("config", {}),
            *job.arguments.get("configs", {}).values(),
        )
        if "dataset" in found
    }
    for dataset, data_dir in sorted(asked, key=str):
        load(dataset, data_dir)


@cache
def _end_with(parent: int) -> None:
    """End this process soon after its parent has ended: nobody locks the folder then, or takes results."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run(job: Job, folder: Path, for_process: int) -> tuple[str, Result | None, str | None]:
    if os.getppid() == for_process:  # and not in that process itself, or on another machine
        _end_with(for_process)
    place = folder / "jobs" / job.key
    error_path = place / "error.txt"
    try:
        place.mkdir(parents=True, exist_ok=True)
        since = time.perf_counter()
        result = job.work(place, **job.arguments)
        record = {"arguments": _plain(job.arguments), "result": result}
        record |= {"seconds": time.perf_counter() - since, "commit": commit(), "machine": in_short()}
        _write(place / "result.json", record)
        error_path.unlink(missing_ok=True)
    except Interrupted:  # a request to stop, which is for all jobs
        raise
    except Exception as error:  # whatever else a job raises, the others go on
        error_path.write_text(traceback.format_exc(), encoding="utf-8")
        return job.key, None, f"{type(error).__name__}: {error}"
    return job.key, result, None


def finished(jobs: Sequence[Job], folder: Path) -> dict[str, dict[str, Any]]:
    """What is in the result.json of each finished job, by key.

    Raises:
        CheckpointError: if one had other arguments, or cannot be read.
    """
    found = {}
    for job in jobs:
        path = folder / "jobs" / job.key / "result.json"
        if path.exists():
            found[job.key] = _read(path)
            _same(_plain(job.arguments), found[job.key].get("arguments") or {}, path.parent)
    return found


def put_back(experiment: Experiment, plan: Plan, folder: Path, records: Mapping[str, Any]) -> list[str]:
    """Write finished jobs' records, as `finished` reads them, into a folder; the keys of those it had not.

    Raises:
        CheckpointError: if another process works in the folder, or it holds another plan.
    """
    with claimed(folder):
        check_plan(experiment, plan, folder)
        places = {key: folder / "jobs" / key / "result.json" for key in records}
        new = [key for key, path in places.items() if not path.exists()]
        for key in new:
            places[key].parent.mkdir(parents=True, exist_ok=True)
            _write(places[key], records[key])
    return new


def _same(wanted: Mapping[str, Any], before: Mapping[str, Any], place: Path) -> None:
    wanted, before = _complete(wanted), _complete(before)
    if before != wanted:
        name = next((name for name in wanted if before.get(name) != wanted[name]), "its arguments")
        raise CheckpointError(f"{place} was run with another {name}: choose another folder or delete it")


def _complete(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """With every key of its configurations: what a newer version can be told, an older one did by default.

    Where the data are makes no other job, nor does the current backend's name.
    """
    default, anywhere = TrainConfig().to_dict(), {"data_dir": None}
    completed = {**arguments, **anywhere}
    if "backend" in completed:
        completed["backend"] = completed["backend"] or get_backend().name
    if "config" in arguments:
        completed["config"] = default | arguments["config"] | anywhere
    if "configs" in arguments:
        completed["configs"] = {name: default | one | anywhere for name, one in arguments["configs"].items()}
    return completed


def _plain(values: Mapping[str, Any]) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(values))


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}; delete it to run that part again") from None
    return found


def _write(path: Path, values: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2) + "\n")

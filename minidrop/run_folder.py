"""The folder of a run: how it is made, what says which run it is, and how files are written into it."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from minidrop.checkpoint import Row, saved_config
from minidrop.config import TrainConfig, absolute, from_dict, read_config
from minidrop.errors import CheckpointError
from minidrop.files import write_text
from minidrop.versions import versions

CHECKPOINT = "checkpoint.safetensors"
#: what may change when a run is resumed, since the weights so far do not depend on it
RESUMABLE = ("epochs", "checkpoint_every", "data_dir")
HOLDS_ANOTHER = "{} holds another run: choose another folder with --run, or go on with that run by --resume"
#: what a run writes when it has come somewhere
OUTPUTS = ("history.csv", "summary.json", "model.safetensors", "curves.png")


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder inside a `with` block.

    Raises:
        CheckpointError: if one works in it already, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise CheckpointError(
            f"another process works in {folder}: wait for it, or choose another folder"
        ) from None
    except OSError as error:
        raise CheckpointError(f"cannot work in the folder {folder}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def create_folder(folder: Path | None, config: TrainConfig) -> Path:
    """Make a run folder, or the next free one, with config.json and versions.json; see `Run.create`."""
    folder = folder or _claim_next_folder(config.dataset)
    check_free(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "config.json", "x", encoding="utf-8") as file:
            file.write(_json(config.to_dict()))
    except FileExistsError:
        if not (folder / "config.json").exists():
            raise CheckpointError(f"{folder} is a file; a run needs a folder") from None
        raise CheckpointError(HOLDS_ANOTHER.format(folder)) from None
    except OSError as error:
        raise CheckpointError(f"cannot make the run folder {folder}: {error.strerror}") from None
    write_json(folder / "versions.json", versions())
    return folder


def check_free(folder: Path) -> None:
    """Refuse, with a CheckpointError, a folder in which a run would write over something."""
    if any((folder / name).exists() for name in ("config.json", CHECKPOINT)):
        raise CheckpointError(HOLDS_ANOTHER.format(folder))
    if there := [name for name in OUTPUTS if (folder / name).exists()]:
        raise CheckpointError(
            f"{folder} has a {there[0]} that is no run's, and would be lost: choose another folder with --run"
        )


def check_own(path: Path, config: TrainConfig) -> None:
    """Refuse, with a CheckpointError, a checkpoint that another run left where this one has its own."""
    mine = config.to_dict()
    for key, value in saved_config(path).items():
        if key not in (*RESUMABLE, "backend") and mine.get(key, value) != value:
            raise CheckpointError(
                f"{path} is of a run with {key} {value}, not {mine[key]} as config.json has it: put the file "
                "back that belongs there"
            )


def _claim_next_folder(dataset: str, root: Path = Path("runs")) -> Path:
    """Make the first of runs/DATASET-001, -002, ... that does not exist, whoever else is doing the same."""
    for number in count(1):
        folder = root / f"{dataset}-{number:03}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise CheckpointError(f"cannot make the run folder {folder}: {error.strerror}") from None
        return folder
    raise AssertionError("count() does not end")


def read_changed(
    folder: Path, explicit: Mapping[str, Any] | None, changeable: Sequence[str]
) -> tuple[TrainConfig, bool]:
    """The configuration of the run in `folder` with `explicit` changes, and whether they change it.

    Raises:
        CheckpointError: see `open_run`.
    """
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"there is no run in {folder}: it has no config.json")
    config = from_dict(read_config(folder / "config.json"), str(folder / "config.json"))
    changes = dict(explicit or {})
    if changes.get("data_dir") is not None:
        changes["data_dir"] = absolute(changes["data_dir"])
    changed = from_dict(config.to_dict() | changes)
    for key, value in changed.to_dict().items():
        before = getattr(config, key)
        if value != before and key not in changeable:
            raise CheckpointError(
                f"{folder} is a run with {key} {before}; it cannot go on with {value}: start a new run, or "
                f"leave {key} out"
            )
    return changed, changed != config


def write_history(path: Path, history: Sequence[Row]) -> None:
    """Write a table with a row an epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, history[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write keys and values to a JSON file."""
    write_text(path, _json(values))


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"

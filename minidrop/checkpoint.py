"""Checkpoints: everything that a training run is, in one safetensors file.

The tensors are the weights under their own names, the optimizer's slots as `optimizer/SLOT/NAME` and, if
there was a validation set, the best weights so far as `best/NAME`. The header holds the numbers, under one
key, since safetensors writes several in no fixed order. Random numbers need nothing: they are functions of
(seed, layer, step). The format holds data only, no code.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.errors import CheckpointError
from minidrop.files import replacing
from minidrop.optim import Optimizer
from minidrop.parameters import ParameterArena

FORMAT = "minidrop checkpoint 1"
HostArrays = dict[str, np.ndarray[Any, Any]]
#: one epoch in numbers; None where there is nothing to report
Row = dict[str, float | None]


@dataclass
class TrainingState:
    """Where a run stands: what `fit` needs, beside weights and slots, to go on as if it had never stopped."""

    epoch: int = 0  #: epochs that are complete
    batch: int = 0  #: batches of the next one that are done
    loss_sum: float = 0.0  #: of those batches, weighted by their sizes
    history: list[Row] = field(default_factory=list)  #: one row for each complete epoch
    best_epoch: int = 0  #: the epoch with the fewest validation errors, 0 before there is one
    #: what makes the batches of an epoch, see `Batches.recipe`: the run goes on with the same alone
    order: dict[str, int | bool] = field(default_factory=dict)


def save_checkpoint(
    path: str | Path,
    parameters: ParameterArena,
    optimizer: Optimizer,
    state: TrainingState,
    *,
    best: HostArrays | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Write weights, slots, state and configuration to `path`.

    Raises:
        CheckpointError: if the file cannot be written.
    """
    tensors = parameters.state_dict() | _slots(parameters, optimizer)
    tensors |= {f"best/{name}": value for name, value in (best or {}).items()}
    header = {
        "format": FORMAT,
        "optimizer": type(optimizer).__name__,
        "scalars": optimizer.scalars(),
        "state": asdict(state),
        "config": dict(config or {}),
    }
    _write(Path(path), tensors, header)


def save_weights(path: str | Path, weights: HostArrays) -> None:
    """Write weights alone, under their own names: a file that `torch.nn.Module.load_state_dict` can take.

    Raises:
        CheckpointError: if the file cannot be written.
    """
    _write(Path(path), weights, {"format": FORMAT})


def load_weights(path: str | Path) -> HostArrays:
    """The weights of a weights file, or of a checkpoint the best ones so far, by name.

    Raises:
        CheckpointError: if the file is missing, damaged or no checkpoint of minidrop.
    """
    tensors, _ = _read(Path(path))
    best = {name.removeprefix("best/"): tensors[name] for name in tensors if name.startswith("best/")}
    return best or {name: value for name, value in tensors.items() if "/" not in name}


def saved_config(path: str | Path) -> dict[str, Any]:
    """The configuration that a checkpoint was written with; empty for a file of weights alone.

    Raises:
        CheckpointError: see `load_weights`.
    """
    _, header = _read(Path(path))
    return dict(header.get("config", {}))


def load_checkpoint(
    path: str | Path,
    parameters: ParameterArena,
    optimizer: Optimizer,
    order: Mapping[str, int | bool] | None = None,
) -> tuple[TrainingState, HostArrays, dict[str, Any]]:
    """Put weights and slots of `path` back, and return the state, the best weights and the configuration.

    Nothing is changed unless everything fits.

    Args:
        path: the file.
        parameters: where the weights are put.
        optimizer: where the slots are put.
        order: the `Batches.recipe` that the run goes on with.

    Raises:
        CheckpointError: if the file is missing, damaged, no checkpoint of minidrop, or of another model,
            optimizer or order of the examples.
    """
    path = Path(path)
    tensors, header = _read(path)
    if "state" not in header:
        raise CheckpointError(f"{path} holds weights only; a run resumes from its checkpoint.safetensors")
    if header["optimizer"] != type(optimizer).__name__:
        raise CheckpointError(
            f"{path} was written by {header['optimizer']}, but the optimizer here is "
            f"{type(optimizer).__name__}"
        )
    state = TrainingState(**header["state"])
    for what, value in (order or {}).items():
        if (before := state.order.get(what, value)) != value:
            raise CheckpointError(f"the run in {path} has {what} {before}; it cannot go on with {value}")
    best = {
        name.removeprefix("best/"): tensors.pop(name) for name in list(tensors) if name.startswith("best/")
    }
    expected = parameters.state_dict() | _slots(parameters, optimizer)
    _check_same(path, expected, tensors)
    if best:
        _check_same(path, parameters.state_dict(), best)
    parameters.load_state_dict({name: tensors[name] for name in parameters})
    for slot, flat in optimizer.state.items():
        for name, view in parameters.views(flat).items():
            view[...] = parameters.backend.asarray(tensors[f"optimizer/{slot}/{name}"])
    optimizer.restore_scalars(header["scalars"])
    return state, best, header["config"]


def _slots(parameters: ParameterArena, optimizer: Optimizer) -> HostArrays:
    return {
        f"optimizer/{slot}/{name}": np.array(parameters.backend.to_host(view))
        for slot, flat in optimizer.state.items()
        for name, view in parameters.views(flat).items()
    }


def _check_same(path: Path, expected: HostArrays, found: HostArrays) -> None:
    for name in [*expected, *(name for name in found if name not in expected)]:
        what = [
            "nothing" if arrays.get(name) is None else f"{arrays[name].dtype} {arrays[name].shape}"
            for arrays in (expected, found)
        ]
        if what[0] != what[1]:
            raise CheckpointError(f"{path} is of another model: for {name} it has {what[1]}, not {what[0]}")


def _digest(tensors: HostArrays, header: str) -> str:
    """A fingerprint of everything in the file, so that no damage passes for data."""
    digest = hashlib.blake2b(header.encode(), digest_size=16)
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()


def _write(path: Path, tensors: HostArrays, header: dict[str, Any]) -> None:
    from safetensors.numpy import save

    try:
        text = json.dumps(header)
    except TypeError as error:
        raise CheckpointError(f"cannot write {path}: the config to keep is no JSON: {error}") from None
    content = save(tensors, {"minidrop": f"{_digest(tensors, text)}\n{text}"})
    with replacing(path) as temporary:  # save_file would leave a file of its own behind if killed
        temporary.write_bytes(content)


def _read(path: Path) -> tuple[HostArrays, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or no checkpoint: {error}") from None
    if "minidrop" not in metadata:
        raise CheckpointError(f"{path} was not written by minidrop")
    digest, _, text = metadata["minidrop"].partition("\n")
    if digest != _digest(tensors, text):
        raise CheckpointError(f"{path} is damaged: its content does not match its fingerprint")
    header: dict[str, Any] = json.loads(text)
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has the format {header.get('format')!r}; this version reads {FORMAT!r}"
        )
    return tensors, header

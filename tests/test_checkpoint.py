"""Checkpoints: what is in them, what is refused, and what a process killed at any moment leaves behind."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import minidrop as md
from minidrop.checkpoint import (
    TrainingState,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from minidrop.errors import CheckpointError
from minidrop.files import replacing


def build(sizes=(5, 4, 3), dtype="float32", seed=0):
    model = md.Sequential(
        md.Linear(sizes[0], sizes[1], dtype=dtype),
        md.ReLU(),
        md.Linear(sizes[1], sizes[2], dtype=dtype),
        seed=seed,
    )
    return model.parameters(), md.Adam(model.parameters())


@pytest.fixture
def saved(tmp_path):
    """A checkpoint with something in every part of it."""
    parameters, optimizer = build()
    for slot in optimizer.state.values():
        slot[...] = np.arange(slot.size)
    optimizer.steps = 12
    state = TrainingState(
        epoch=3, batch=2, loss_sum=0.1 + 0.2, history=[{"epoch": 1.0, "x": None}], best_epoch=1
    )
    path = tmp_path / "checkpoint.safetensors"
    best = {name: value + 1 for name, value in parameters.state_dict().items()}
    save_checkpoint(path, parameters, optimizer, state, best=best, config={"seed": 7})
    return path, parameters, optimizer, state, best


def test_everything_comes_back(saved):
    path, parameters, optimizer, state, best = saved
    others, adam = build(seed=1)
    loaded, loaded_best, config = load_checkpoint(path, others, adam)
    assert loaded == state
    assert config == {"seed": 7}
    assert adam.steps == 12
    np.testing.assert_array_equal(others.flat_values, parameters.flat_values)
    for name, slot in optimizer.state.items():
        np.testing.assert_array_equal(adam.state[name], slot)
    assert loaded_best.keys() == best.keys()
    for name, value in best.items():
        np.testing.assert_array_equal(loaded_best[name], value)


def test_weights_lie_in_the_file_under_their_own_names(saved):
    path, parameters, *_ = saved
    tensors = load_file(path)
    for name, value in parameters.state_dict().items():
        np.testing.assert_array_equal(tensors[name], value)
    assert load_weights(path).keys() == set(parameters)


def test_a_weights_file_is_no_checkpoint_to_resume_from(tmp_path):
    parameters, optimizer = build()
    save_weights(tmp_path / "model.safetensors", parameters.state_dict())
    assert load_file(tmp_path / "model.safetensors").keys() == set(parameters)
    with pytest.raises(CheckpointError, match="holds weights only"):
        load_checkpoint(tmp_path / "model.safetensors", parameters, optimizer)


# -- what is refused, leaving everything as it was -----------------------------------------------------------


def refused(path, match, **model):
    parameters, optimizer = build(**{"seed": 5, **model})
    before = parameters.flat_values.copy()
    with pytest.raises(CheckpointError, match=match) as caught:
        load_checkpoint(path, parameters, optimizer)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(parameters.flat_values, before)
    assert optimizer.steps == 0


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5, 0.99])
def test_a_file_cut_short(saved, fraction):
    path = saved[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    refused(path, "damaged")


def test_one_bit_flipped_anywhere(saved):
    path = saved[0]
    content = bytearray(path.read_bytes())
    for position in range(8, len(content), 37):  # the first 8 bytes are the header's length
        damaged = content.copy()
        damaged[position] ^= 1
        path.write_bytes(damaged)
        refused(path, "damaged|not written by minidrop|another model|has the format")


def test_a_missing_file(tmp_path):
    refused(tmp_path / "nothing", "there is no checkpoint at")


def test_a_foreign_file(tmp_path):
    save_file({"0.weight": np.zeros((4, 5), np.float32)}, tmp_path / "foreign.safetensors")
    refused(tmp_path / "foreign.safetensors", "was not written by minidrop")
    (tmp_path / "text").write_text("hello")
    refused(tmp_path / "text", "damaged or no checkpoint")


def test_another_architecture(saved):
    refused(saved[0], r"another model: for .*0\.(weight|bias)", sizes=(5, 6, 3))


def test_another_dtype(saved):
    refused(saved[0], "it has float32 .*, not float64", dtype="float64")


def test_another_format_version(saved, monkeypatch):
    monkeypatch.setattr("minidrop.checkpoint.FORMAT", "minidrop checkpoint 2")
    refused(saved[0], "has the format 'minidrop checkpoint 1'")


# -- writing -------------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def run_out_of_space():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match=r"cannot write .*file: No space left"):
        run_out_of_space()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_write_access_is_one_line(tmp_path):
    (tmp_path / "file").write_text("a file where the folder should be")
    parameters, optimizer = build()
    with pytest.raises(CheckpointError, match="cannot write"):
        save_checkpoint(tmp_path / "file" / "checkpoint", parameters, optimizer, TrainingState())


WRITER = """
import sys
import numpy as np
from test_checkpoint import build
from minidrop.checkpoint import TrainingState, save_checkpoint
parameters, optimizer = build(sizes=(400, 300, 10))
print("ready", flush=True)
for epoch in range(10**6):
    parameters.flat_values[...] = epoch
    save_checkpoint(sys.argv[1], parameters, optimizer, TrainingState(epoch=epoch))
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    parameters, optimizer = build(sizes=(400, 300, 10))
    seen = set()
    for attempt in range(6):
        environment = os.environ | {"PYTHONPATH": os.path.dirname(__file__)}
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, env=environment
        )
        assert writer.stdout.readline() == b"ready\n"
        while not path.exists():
            time.sleep(0.001)
        time.sleep(0.003 + 0.0137 * attempt)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        state, _, _ = load_checkpoint(path, parameters, optimizer)
        assert (parameters.flat_values == state.epoch).all()
        seen.add(state.epoch)
    assert len(seen) > 1, "the kills must fall on different moments"


def test_the_header_is_json_of_plain_numbers(saved):
    from safetensors import safe_open

    with safe_open(saved[0], framework="numpy") as file:
        header = json.loads(file.metadata()["minidrop"].partition("\n")[2])
    assert header["state"]["loss_sum"] == 0.1 + 0.2
    assert header["optimizer"] == "Adam"

"""Commands on the CuPy backend: the table against PyTorch, training, and what is said where it cannot run."""

import importlib.util
import shutil
import subprocess
import sys

import pytest
import standin

import minidrop as md
from minidrop.errors import BackendError

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: '.[reference]'"
)


@needs_torch
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_operation_agrees_with_pytorch(device, capsys, dtype):
    from reference.__main__ import main

    if dtype == "float32" and hasattr(device.xp, "standin"):
        pytest.skip("what a GPU rounds, the stand-in cannot show")
    assert main(["--backend", "cupy", "--dtype", dtype]) == 0, capsys.readouterr().out


def test_train_and_eval_on_the_device(device, minidrop):
    for backend in ("cupy", "numpy"):
        arguments = ["--layers", "64-32-16-10", "--epochs", 2, "--dtype", "float64", "--run", backend]
        code, out, err = minidrop("train", "--backend", backend, *arguments)
        assert code == 0, err
    lines = {}
    for run in ("cupy", "numpy"):
        code, out, err = minidrop("eval", run, "--backend", run)
        assert code == 0, err
        lines[run] = [line for line in out.splitlines() if "%" in line]
    assert lines["cupy"] == lines["numpy"] != []


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (0, r"CuPy 14\.0\.0 is installed but this machine has no CUDA device; use --backend numpy here"),
        (
            "cudaErrorInsufficientDriver: the driver is too old",
            r"is installed but finds no CUDA device \(cudaErrorInsufficientDriver.*check nvidia-smi, and "
            r"that the extra fits the driver: pip install .*'\.\[cuda12\]'",
        ),
    ],
)
def test_cupy_without_a_device_is_one_line_that_says_what_to_do(minidrop, devices, message):
    with standin.installed(devices):
        with pytest.raises(BackendError, match=message):
            md.get_backend("cupy")
        code, out, err = minidrop("train", "--backend", "cupy")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in out + err


@pytest.mark.gpu
def test_compute_sanitizer_finds_nothing(device):
    """Reads and writes out of bounds, uninitialised memory and races, in a few steps of a small net."""
    if hasattr(device.xp, "standin"):
        pytest.skip("a tool for GPUs; the stand-in has guards of its own")
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("compute-sanitizer is not installed: it comes with the CUDA toolkit")
    train = [sys.executable, "-m", "minidrop", "train", "--backend", "cupy", "--epochs", "1"]
    for tool in ("memcheck", "racecheck"):
        command = [sanitizer, "--tool", tool, "--error-exitcode", "9", *train, "--run", f"sanitized-{tool}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

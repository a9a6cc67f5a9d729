"""NVIDIA's compiler, where it is installed, takes the kernels for two generations of GPUs."""

import re
import shutil
import subprocess
from importlib.resources import files

import pytest

from minidrop.backends.kernels import PARAMETERS

KERNELS = str(files("minidrop.backends").joinpath("kernels.cu"))


@pytest.mark.parametrize("real", ["float", "double"])
def test_kernels_compile_without_register_spills(tmp_path, real):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("there is no nvcc: install the CUDA toolkit")
    targets = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in (80, 90)]
    command = [nvcc, "-std=c++17", f"-DREAL={real}", *targets, "-fatbin", "-Xptxas", "-v"]
    command += ["-o", tmp_path / "kernels.fatbin", KERNELS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    assert len(spills) >= 2 * len(PARAMETERS)
    assert set(spills) == {("0", "0")}

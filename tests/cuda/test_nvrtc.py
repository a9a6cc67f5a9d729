"""CUDA's own compiler, which needs no GPU, takes minidrop's kernels."""

import ctypes
import importlib.util
from pathlib import Path

import pytest

import minidrop.backends

KERNELS = Path(minidrop.backends.__file__).with_name("kernels.cu")
TOY = Path(__file__).with_name("toy_kernels.cu")


@pytest.fixture(scope="module")
def nvrtc():
    """The library of NVIDIA's package, as a function: (text, options) -> (PTX or None, log)."""
    try:
        package = importlib.util.find_spec("nvidia.cuda_nvrtc")
    except ModuleNotFoundError:
        package = None
    if package is None:
        pytest.skip("NVRTC is not installed: pip install nvidia-cuda-nvrtc-cu12")
    (folder,) = package.submodule_search_locations
    (library,) = (ctypes.CDLL(str(path)) for path in Path(folder).glob("lib/libnvrtc.so.[0-9]*"))

    def compile(text, options):
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        assert library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"", 0, None, None) == 0
        flags = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        failed = library.nvrtcCompileProgram(program, len(options), flags)
        results = []
        for what in ("ProgramLog", "PTX"):
            getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
            buffer = ctypes.create_string_buffer(size.value)
            getattr(library, f"nvrtcGet{what}")(program, buffer)
            results.append(buffer.value.decode())
        log, ptx = results
        return None if failed else ptx, log

    return compile


@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("path", [KERNELS, TOY], ids=lambda path: path.name)
def test_kernels_compile(nvrtc, path, real):
    ptx, log = nvrtc(path.read_text(), [f"-DREAL={real}", "--std=c++17", "--gpu-architecture=compute_75"])
    assert ptx is not None, log
    assert ".visible .entry" in ptx


def test_it_says_what_is_wrong(nvrtc):
    ptx, log = nvrtc("__global__ void wrong(float *x) { *x = INFINITY; }", ["--std=c++17"])
    assert ptx is None
    assert 'identifier "INFINITY" is undefined' in log

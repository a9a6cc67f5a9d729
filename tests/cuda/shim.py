"""Compiles a file of CUDA kernels with g++ and runs them on the CPU.

    kernels = shim.compile(Path("kernels.cu"), real="float")
    kernels.launch("scale", grid=(4,), block=(256,), args=(x, np.int32(x.size)), order="reverse")

Arguments must have exactly the types of the kernel's parameters: CuPy does not check that, so a test must.
"""

import ctypes
import functools
import hashlib
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

HEADERS = (Path(__file__).with_name("shim.h"), Path(__file__).with_name("engine.h"))
FLAGS = (
    *("-std=c++20", "-shared", "-fPIC"),
    "-Og",  # compiles in half the time of -O2, and runs in twice
    "-ffp-contract=off",  # a * b + c is rounded twice on every machine
    "-fno-strict-aliasing",  # kernels read a float* as a float4*
    "-fvisibility=hidden",  # what is `inline` in two libraries is each one's own
    "-U_FORTIFY_SOURCE",  # whose longjmp takes a switch of stacks for a mistake
)
MAX_THREADS = 1024
#: what CuPy passes for a Python number
PYTHON_SCALARS = {bool: np.bool_, int: np.int64, float: np.float64}

_KERNEL = re.compile(
    r"(template\s*<[^;{]*>\s*)?\b__global__\s[^({;]*?(?:__launch_bounds__\s*\(.*?\)\s*)?(\w+)\s*\("
)
_TABLE = """
#line 1 "table.cpp"
static const shim::Kernel shim_kernels[] = {{{rows}}};
#pragma GCC visibility push(default)
extern "C" const char* shim_name(unsigned k) {{ return k < {count} ? shim_kernels[k].name : nullptr; }}
extern "C" const char* shim_signature(unsigned k) {{ return shim_kernels[k].signature; }}
extern "C" bool shim_launch(unsigned k, const unsigned* grid, const unsigned* block, void** values,
                            long long order, char* message, unsigned long size) {{
    return shim::launch(shim_kernels[k], grid, block, values, order, message, size);
}}
"""


class NoCompiler(Exception):  # noqa: N818, it is a reason to skip
    """This machine cannot run kernels on the CPU, and why."""


class CompileError(Exception):
    """What g++ says of a file of kernels."""


class KernelError(RuntimeError):
    """A kernel did what no GPU defines: threads wait for others that never come, for example."""


class ArgumentError(TypeError):
    """An argument that is not what the kernel's parameter says."""


@functools.cache
def compiler() -> tuple[str, str]:
    """The path of g++ and its version; NoCompiler if there is none."""
    path = shutil.which("g++")
    if path is None:
        raise NoCompiler("there is no g++ to compile CUDA kernels for the CPU")
    if not sys.platform.startswith("linux"):
        raise NoCompiler("CUDA kernels run on the CPU on Linux only")
    return path, subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout


def compile(
    source: str | Path, real: str = "float", defines: Iterable[str] = (), names: Iterable[str] = ()
) -> "Kernels":
    """The kernels of a file, or of a text, with REAL and further macros ("NAME" or "NAME=value") defined.

    All of them or, much sooner, those of the `names`.

    Raises:
        NoCompiler: where there is no g++.
        CompileError: with what g++ says.
    """
    text = source.read_text() if isinstance(source, Path) else source
    return _compile(text, (f"REAL={real}", *defines), tuple(names))


@functools.cache
def _compile(text: str, defines: tuple[str, ...], names: tuple[str, ...]) -> "Kernels":
    _, version = compiler()
    flags = [*FLAGS, *(f"-D{define}" for define in defines)]
    parts = [version, _TABLE, text, *flags, *names, *(header.read_text() for header in HEADERS)]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    folder = Path(tempfile.gettempdir()) / f"cuda-on-cpu-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    library = folder / f"{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = _build(text, flags, names or _kernel_names(text, flags), Path(scratch))
            made.replace(library)  # in one step, since other processes may do the same
    return Kernels(library)


def _build(text: str, flags: list[str], names: Sequence[str], folder: Path) -> Path:
    source, library = folder / "all.cpp", folder / "all.so"
    rows = ", ".join(f'{{"{k}", shim::Entry<{k}>::run, shim::Entry<{k}>::signature()}}' for k in names)
    table = _TABLE.format(rows=rows, count=len(names))
    source.write_text(f'#include "{HEADERS[0]}"\n#line 1 "kernels.cu"\n{text}\n{table}')
    _run_compiler([*flags, str(source), "-o", str(library)])
    return library


def _kernel_names(text: str, flags: list[str]) -> list[str]:
    """The names of all kernels, also of those that macros write."""
    words = [f"-D{word}={word}" for word in ("__global__", "__shared__")]  # stay as they are
    expanded = _run_compiler([*flags, *words, "-E", "-P", "-x", "c++", "-"], text)
    if re.search(r"\bextern\s+__shared__", expanded):
        raise CompileError("`extern __shared__` is not supported: give shared arrays their size")
    names = [name for template, name in _KERNEL.findall(expanded) if not template]
    if not names:
        raise CompileError('there is no `extern "C" __global__ void name(...)` in it')
    return names


def _run_compiler(arguments: list[str], text: str = "") -> str:
    path, _ = compiler()
    english = os.environ | {"LC_ALL": "C"}
    result = subprocess.run([path, *arguments], input=text, capture_output=True, text=True, env=english)
    if result.returncode:
        raise CompileError(result.stderr)
    return result.stdout


class Kernels:
    """A loaded library of kernels."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.shim_name.restype = self._library.shim_signature.restype = ctypes.c_char_p
        self._library.shim_launch.restype = ctypes.c_bool
        self._numbers: dict[str, int] = {}
        while (name := self._library.shim_name(len(self._numbers))) is not None:
            self._numbers[name.decode()] = len(self._numbers)
        #: each kernel's parameters by NumPy's codes of their types, with a star for a pointer: "*f4", "i8"
        self.signatures = {
            name: tuple(self._library.shim_signature(number).decode().split())
            for name, number in self._numbers.items()
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the kernels."""
        return tuple(self._numbers)

    def launch(
        self,
        name: str,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[object],
        order: str | int = "forward",
    ) -> None:
        """Run a kernel, its blocks and threads in `order`: "forward", "reverse" or the seed of a shuffle.

        Raises:
            ArgumentError: for arguments that are not those of the kernel, or a grid that no GPU takes.
            KernelError: if the kernel fails.
        """
        self.prepare(name, grid, block, args)(order)

    def prepare(
        self, name: str, grid: Sequence[int], block: Sequence[int], args: Sequence[object]
    ) -> Callable[[str | int], None]:
        """A launch, checked, as a function of the order; the arrays must live as long as it does."""
        number, packed = self._numbers[name], self.pack(name, args)
        sizes = [(ctypes.c_uint * 3)(*_three(name, *size)) for size in (("grid", grid), ("block", block))]
        if math.prod(sizes[1]) > MAX_THREADS:
            raise ArgumentError(f"{name}: a block of {block} has more than {MAX_THREADS} threads")

        def run(order: str | int) -> None:
            values = (ctypes.c_void_p * len(packed))(*(value.ctypes.data for value in packed))
            in_order = ctypes.c_longlong({"forward": -1, "reverse": -2}.get(order, order))
            message = ctypes.create_string_buffer(500)
            size = ctypes.c_ulong(len(message))
            if not self._library.shim_launch(number, *sizes, values, in_order, message, size):
                raise KernelError(message.value.decode())

        return run

    def pack(self, name: str, args: Sequence[object]) -> list[np.ndarray]:
        """Each argument as an array of one element, of its parameter's type; ArgumentError if it has none."""
        signature = self.signatures[name]
        if len(args) != len(signature):
            raise ArgumentError(f"{name} takes {len(signature)} arguments, got {len(args)}")
        packed = []
        for position, (code, value) in enumerate(zip(signature, args, strict=True)):
            try:
                packed.append(_pointer(code[1:], value) if code[0] == "*" else _scalar(code, value))
            except ArgumentError as error:
                raise ArgumentError(f"{name}, argument {position} ({code}): {error}") from None
        return packed


def _three(name: str, what: str, size: Sequence[int]) -> list[int]:
    if not isinstance(size, tuple) or not 1 <= len(size) <= 3 or not all(n >= 1 for n in size):
        raise ArgumentError(f"{name}: {what} must be a tuple of 1 to 3 sizes of at least 1, got {size!r}")
    return [*map(int, size), 1, 1][:3]


def _pointer(code: str, value: object) -> np.ndarray:
    if isinstance(value, np.ndarray):
        bools_as_bytes = code == "u1" and value.dtype == bool
        if code not in ("V", value.dtype.str[1:]) and not bools_as_bytes:
            raise ArgumentError(f"got an array of {value.dtype}")
        if not value.flags.c_contiguous:
            raise ArgumentError(f"got an array that is not contiguous, with strides {value.strides}")
        return np.array(value.ctypes.data, np.uint64)
    address = _as_array(value)
    if address.dtype.kind not in "iu" or address.itemsize != 8:
        raise ArgumentError(f"got {value!r}; a pointer is an array or an integer of 8 bytes")
    return address


def _scalar(code: str, value: object) -> np.ndarray:
    number, wanted = _as_array(value), np.dtype(code)
    kinds = "iu" if wanted.kind in "iu" else wanted.kind
    if number.dtype.kind not in kinds or number.itemsize != wanted.itemsize:
        raise ArgumentError(f"got {value!r}, which arrives as {number.dtype}")
    if number.astype(wanted).item() != number.item() and number == number:
        raise ArgumentError(f"got {value!r}, which is no {wanted}")
    return number


def _as_array(value: object) -> np.ndarray:
    """A Python or NumPy number as an array of no dimension, of the type in which CuPy passes it."""
    dtype = PYTHON_SCALARS.get(type(value))
    if dtype is None and not isinstance(value, np.generic):
        raise ArgumentError(f"got a {type(value).__module__}.{type(value).__qualname__}")
    return np.array(value, dtype)

"""What a run depends on beside its configuration: versions, machine, backends."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.backends import BACKENDS, get_backend
from minidrop.errors import BackendError
from minidrop.threads import available, libraries

PACKAGES = (
    "minidrop",
    "numpy",
    "safetensors",
    "matplotlib",
    "numba",
    "llvmlite",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "torch",
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def versions() -> dict[str, str]:
    """Versions, machine, BLAS and threads, by name: what a run folder's versions.json holds.

    >>> versions()["numpy"] == np.__version__
    True
    """
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"commit": commit(), "blas": blas(), "threads": threads()}


@cache
def commit() -> str:
    """The commit of a checkout that is being used, and whether files differ from it; else "unknown"."""
    checkout = Path(__file__).parents[1]
    if not (checkout / ".git").exists():  # installed, perhaps inside of somebody's own repository
        return "unknown"
    git = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def in_short(found: Mapping[str, str] | None = None) -> str:
    """What numbers and times depend on, in a line, of `versions()` or of what that was elsewhere.

    >>> threads = "2 processors, 1 thread, OMP_NUM_THREADS=1"
    >>> in_short({"threads": threads, "python": "3.11.7", "numpy": "2.4.6", "blas": "OpenBLAS"})
    '2 processors, 1 thread, with Python 3.11.7, NumPy 2.4.6 and BLAS OpenBLAS'
    """
    found = dict(versions() if found is None else found)
    found["threads"] = ", ".join(found["threads"].split(", ")[:2])  # how many, and not what limits them
    return "{threads}, with Python {python}, NumPy {numpy} and BLAS {blas}".format_map(found)


def blas() -> str:
    """The library behind NumPy's matrix products, with the kernels that it uses here if it says so."""
    config: Any = np.show_config(mode="dicts")
    library = config["Build Dependencies"]["blas"]
    kernels = next(
        (f", {info['architecture']} kernels" for info in libraries() if "architecture" in info), ""
    )
    return f"{library.get('name', 'unknown')} {library.get('version', '')}".strip() + kernels


def threads() -> str:
    """How many processors there are for this process, and what limits the threads on them."""
    limits = [f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if name in os.environ]
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    number = available()
    return ", ".join((f"{usable} processors", f"{number} thread{'s' * (number > 1)}", *limits))


def backends() -> dict[str, str]:
    """Each backend, and whether it runs here: its device and whose products, or the line that says why not.

    >>> backends()["numpy"]
    'ready (host)'
    """
    found = {}
    for name in BACKENDS:
        try:
            backend = get_backend(name)
            products = backend.products and f"; products: {backend.products}"
            found[name] = f"ready ({backend.device()}){products}"
        except BackendError as error:
            found[name] = str(error)
    return found

"""A Python process from its start to its end."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any


def python(arguments: list[str]) -> Callable[[], Any]:
    """`python` with these arguments, its output thrown away; CalledProcessError if it fails."""
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

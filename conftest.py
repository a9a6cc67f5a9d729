"""How the tests share the machine's processors."""

import os
from typing import Any

import pytest

#: more workers than this spend their time on imports
MOST_WORKERS = 8


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many as processors; none for a few tests, and on a GPU, which is one."""
    few = any("::" in argument for argument in config.args) or config.option.markexpr == "gpu"
    return 0 if few else min(len(os.sched_getaffinity(0)), MOST_WORKERS)


def pytest_configure(config: Any) -> None:
    """Give each worker's matrix products its share: threads that wait for one processor block it."""
    if workers := config.getoption("numprocesses", 0):
        threads = max(1, len(os.sched_getaffinity(0)) // workers)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))

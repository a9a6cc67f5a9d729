"""How the tests share the machine: a worker of pytest-xdist for each processor, and one thread for each."""

import os
from collections.abc import Generator

import pytest

#: more of them would spend their time on imports
MOST_WORKERS = 8


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """None for the tests of one file, which one worker would run alone, and on a GPU, which is one."""
    processors = yield
    files = {argument.partition("::")[0] for argument in config.args}
    alone = len(files) == 1 and os.path.isfile(*files)
    return 0 if alone or config.option.markexpr == "gpu" else min(processors, MOST_WORKERS)


def pytest_configure(config: pytest.Config) -> None:
    """Threads that wait for another worker take many times as long as one; workers inherit this."""
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")

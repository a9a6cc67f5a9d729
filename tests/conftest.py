import os
import sys
from pathlib import Path

import pytest
from cuda_fixtures import compiler, cupy, device, launch, stand_in  # noqa: F401
from hypothesis import HealthCheck, settings

from minidrop.cli import main

# A machine's speed is no property of the code, so neither a slow example nor slow drawing of one is an error.
settings.register_profile("quick", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", settings.get_profile("quick"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def data_dir():
    """The folder of the real MNIST and FashionMNIST: $MINIDROP_DATA, or shared/data beside the checkout."""
    root = Path(os.environ.get("MINIDROP_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not all((root / name / "raw").is_dir() for name in ("MNIST", "FashionMNIST")):
        pytest.skip(f"MNIST and Fashion-MNIST are not in {root}: set MINIDROP_DATA")
    return root


@pytest.fixture
def minidrop(monkeypatch, capsys, tmp_path):
    """Run the command line in an empty folder: minidrop("train", ...) -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIDROP_DATA", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["minidrop", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return run

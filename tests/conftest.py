import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir():
    """The folder of the real MNIST and FashionMNIST: $MINIDROP_DATA, or shared/data beside the checkout."""
    root = Path(os.environ.get("MINIDROP_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not all((root / name / "raw").is_dir() for name in ("MNIST", "FashionMNIST")):
        pytest.skip(f"MNIST and Fashion-MNIST are not in {root}: set MINIDROP_DATA")
    return root

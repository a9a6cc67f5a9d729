"""The data in torchvision: its MNIST and Fashion-MNIST classes, its transforms and PyTorch's DataLoader."""

import gzip
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import torch

#: minidrop's names and torchvision's classes, which are also the names of the folders
CLASSES = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
_declared: list[torch.library.Library] = []


@cache
def torchvision() -> tuple[ModuleType, str]:
    """Torchvision, and what is to be said about it.

    Its C++ extension is built against one PyTorch and does not load beside another, such as a CPU build. Its
    data sets and transforms are pure Python, but importing them registers operators of the extension, so
    those are declared here, without a body.

    Raises:
        ImportError: if it is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what else does not load
        try:
            import torchvision as module
        except RuntimeError:
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
            library = torch.library.Library("torchvision", "FRAGMENT")
            for name in ("nms", "qnms"):
                signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                library.define(name + signature)
            _declared.append(library)  # it forgets its operators when it is collected
            import torchvision as module
        import torchvision.datasets
        import torchvision.transforms
    from torchvision import extension

    whole = bool(extension._has_ops())
    return module, "" if whole else "pure-Python parts: the C++ extension does not load"


def data_root() -> Path:
    """The folder of the data: $MINIDROP_DATA, else shared/data beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("MINIDROP_DATA") or beside)


def missing(name: str, root: Path) -> str:
    """Why a data set cannot be compared, or nothing if it can."""
    raw = root / CLASSES[name] / "raw"
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        if not any((raw / f"{part}-ubyte{suffix}").exists() for suffix in ("", ".gz")):
            return f"{CLASSES[name]}/raw/{part}-ubyte is not in the data folder: set MINIDROP_DATA"
    return ""


@contextmanager
def unpacked(name: str, root: Path) -> Iterator[Path]:
    """A folder in torchvision's layout whose files are plain: torchvision reads no compressed ones."""
    raw = root / CLASSES[name] / "raw"
    with TemporaryDirectory() as folder:
        target = Path(folder) / CLASSES[name] / "raw"
        target.mkdir(parents=True)
        for path in sorted(raw.iterdir()):
            if path.suffix == ".gz" and not path.with_suffix("").exists():
                with gzip.open(path) as source, (target / path.stem).open("wb") as plain:
                    shutil.copyfileobj(source, plain)
            elif not path.suffix:
                (target / path.name).symlink_to(path.resolve())
        yield Path(folder)


def dataset(name: str, root: Path, train: bool, mean: float, std: float) -> Any:
    """Torchvision's data set with the transforms that everybody uses; `root` holds plain files."""
    module, _ = torchvision()
    transforms = module.transforms
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((mean,), (std,)), torch.flatten]
    )
    return getattr(module.datasets, CLASSES[name])(str(root), train=train, transform=transform)

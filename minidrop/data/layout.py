"""Where the files of MNIST and Fashion-MNIST are: torchvision's layout, so that both can share one copy.

For example, and the same with .gz:

    ROOT / MNIST / raw / train-images-idx3-ubyte
    ROOT / FashionMNIST / raw / t10k-labels-idx1-ubyte
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.data.idx import read_idx
from minidrop.errors import DataError

#: the data sets that are files, and their folders
FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
#: the images and the labels of each split
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
IMAGE_SHAPE = (28, 28)


def raw_folder(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the files of `name`, under `data_dir`, else $MINIDROP_DATA, else the user's cache."""
    root = data_dir or os.environ.get("MINIDROP_DATA")
    if not root:
        import pooch  # here: it is seldom needed

        root = pooch.os_cache("minidrop")
    return Path(os.path.expanduser(root)) / FOLDERS[name] / "raw"


def read_split(name: str, split: str, folder: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The images (N, 28, 28) and the labels (N,) of one split, both uint8.

    Raises:
        DataError: if a file is missing, damaged or not what its name says.
    """
    images_path, labels_path = (_find(name, stem, folder) for stem in FILES[split])
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.dtype != np.uint8 or images.shape[1:] != IMAGE_SHAPE:
        raise DataError(
            f"{images_path} must hold uint8 images of shape (N, 28, 28), got {images.dtype.name} of shape "
            f"{images.shape}"
        )
    if labels.dtype != np.uint8 or labels.ndim != 1:
        raise DataError(
            f"{labels_path} must hold uint8 labels of shape (N,), got {labels.dtype.name} of shape "
            f"{labels.shape}"
        )
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} has {len(images)} images, but {labels_path.name} beside it has {len(labels)} "
            f"labels: they are not of the same data set"
        )
    return images, labels


def _find(name: str, stem: str, folder: Path) -> Path:
    """The plain file if it is there, else the compressed one."""
    for path in (folder / stem, folder / f"{stem}.gz"):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
        return path
    raise DataError(
        f"{name} was not found: {folder} has no {stem}, nor {stem}.gz; give the folder above "
        f"{FOLDERS[name]} with --data-dir or in MINIDROP_DATA, or run `minidrop data fetch {name}`"
    )

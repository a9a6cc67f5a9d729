"""The IDX format of the MNIST files: a header of a few bytes, then the elements of one array.

    offset  bytes  content
    0       2      zero
    2       1      type code: 08 uint8, 09 int8, 0b int16, 0c int32, 0d float32, 0e float64
    3       1      number of axes n, at least 1
    4       4 n    size of each axis, unsigned
    4+4n    ...    the elements in C order

Every number is big-endian. Source: the page of LeCun, Cortes and Burges, "The MNIST database of handwritten
digits".
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.errors import ArgumentError, DataError

DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
#: the format allows 255 axes, NumPy 64
MAX_AXES = 64


def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """The array in an IDX file, plain or gzip, in the machine's byte order, writable and contiguous.

    Whether the file is compressed is seen from its first bytes, not from its name. Nothing is guessed: the
    file must have the size that its header promises, to the byte.

    Raises:
        DataError: naming the file, if it cannot be read, is damaged or is not an IDX file.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels")
    ...     size = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))  # uint8, one axis, of size 3
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{path} is damaged: it does not decompress ({error}); delete it and fetch or copy it again"
            ) from error
    return _decode(content, path)


def _decode(content: bytes, path: Path) -> np.ndarray[Any, Any]:
    zeros, code, axes = content[:2], *content[2:4].ljust(2, b"\0")
    if zeros != b"\0\0" or code not in DTYPES or not 1 <= axes <= MAX_AXES:
        raise DataError(
            f"{path} is not an IDX file: it begins with the bytes '{content[:4].hex(' ')}' instead of 00 00, "
            f"a type code (08, 09, 0b, 0c, 0d or 0e) and a number of axes (1 to {MAX_AXES})"
        )
    dtype, start = DTYPES[code], 4 + 4 * axes
    if len(content) < start:
        raise DataError(f"{path} is damaged: it ends within its header; delete it and fetch or copy it again")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    if 0 in shape:
        raise DataError(f"{path} holds no elements: its header gives the shape {shape}")
    promised = start + math.prod(shape) * dtype.itemsize
    if len(content) != promised:
        change = "is truncated" if len(content) < promised else "has trailing bytes"
        raise DataError(
            f"{path} {change}: its header promises {promised} bytes, for shape {shape} of {dtype.name}, but "
            f"it holds {len(content)}; delete it and fetch or copy it again"
        )
    flat = np.frombuffer(content, dtype, offset=start)  # read-only, as bytes are: astype makes the copy
    return flat.reshape(shape).astype(dtype.newbyteorder("="))


def write_idx(path: str | os.PathLike[str], array: np.ndarray[Any, Any]) -> None:
    """Write `array` as an IDX file, compressed if the name ends in .gz.

    The same array always gives the same bytes: no time is written into the gzip header.

    Raises:
        ArgumentError: if the array is empty, has no axes, or is of a dtype that the format does not have.
        DataError: if the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_idx(f"{folder}/labels.gz", np.array([7, 2, 1], np.uint8))
    ...     read_idx(f"{folder}/labels.gz")
    array([7, 2, 1], dtype=uint8)
    """
    path, array = Path(path), np.asarray(array)
    codes = {dtype: code for code, dtype in DTYPES.items()}
    stored = array.dtype.newbyteorder(">")
    if stored not in codes:
        names = ", ".join(dtype.name for dtype in codes)
        raise ArgumentError(f"an IDX file holds {names}; convert the {array.dtype.name} array with .astype")
    if array.size == 0 or array.ndim == 0:
        raise ArgumentError(f"an IDX file holds at least one axis and one element, got shape {array.shape}")
    header = struct.pack(f">2x2B{array.ndim}I", codes[stored], array.ndim, *array.shape)
    content = header + array.astype(stored, copy=False).tobytes()
    if path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error

"""Files are written beside their destination, flushed to the disk and renamed over it.

A process that is killed at any moment leaves either the old file or the new one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minidrop.errors import CheckpointError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a whole new file at `path`, or nothing: yields a temporary name, renamed over `path` at the end.

    Raises:
        CheckpointError: if the folder cannot be written to, or the disk is full.
    """
    temporary = path.with_name(f"{path.name}.part")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a whole new text file in UTF-8, or nothing; raises as `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

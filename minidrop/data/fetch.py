"""Downloads of MNIST and Fashion-MNIST: on request only, from several mirrors, checked by SHA-256."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minidrop.data.layout import FOLDERS, raw_folder
from minidrop.errors import DataError, check_choice

if TYPE_CHECKING:
    from rich.progress import Progress

MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}
#: SHA-256 of the compressed files as their authors published them
HASHES = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}


def fetch(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    mirrors: Sequence[str] | None = None,
) -> Path:
    """Download what is missing of "mnist" or "fashion-mnist" to where `load` finds it; return that folder.

    A file that is there with the right SHA-256 stays. Each other file is asked of one mirror after the other,
    and takes its place only once its SHA-256 is right.

    Args:
        name: "mnist" or "fashion-mnist".
        data_dir: the folder above MNIST and FashionMNIST; else $MINIDROP_DATA, else the user's cache.
        progress: whether to show a bar for each download on stderr.
        mirrors: the addresses of folders with the four files, instead of the known ones.

    Raises:
        ArgumentError: for another name.
        DataError: if a file can be had from no mirror, or the folder cannot be written.
    """
    check_choice("data set to fetch", name, FOLDERS)
    folder = raw_folder(name, data_dir)
    import pooch  # these here: only downloads need them
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # the bars say the same, shorter
    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), disable=not progress) as bars:
            for file, sha256 in HASHES[name].items():
                _download(file, sha256, folder, MIRRORS[name] if mirrors is None else mirrors, bars)
    finally:
        logger.setLevel(level)
    return folder


def _download(file: str, sha256: str, folder: Path, mirrors: Sequence[str], bars: "Progress") -> None:
    import pooch
    from requests.exceptions import RequestException

    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{file}"
        bar = _Bar(bars, file)
        downloader = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=1 << 16,
            timeout=30,
            headers={"Accept-Encoding": "identity"},  # or a server may compress, and requests unpack, a .gz
        )
        try:
            pooch.retrieve(url, f"sha256:{sha256}", fname=file, path=folder, downloader=downloader)
            return
        except RequestException as error:
            response = error.response
            reason = type(error).__name__ if response is None else f"HTTP status {response.status_code}"
        except ValueError:  # what pooch raises for it
            reason = "wrong SHA-256"
        except OSError as error:
            raise DataError(
                f"{folder} cannot be written: {error.strerror or error}; choose another folder with "
                f"--data-dir or MINIDROP_DATA"
            ) from error
        bar.remove()
        failures.append(f"{url} ({reason})")
    raise DataError(
        f"{file} could not be fetched; tried {', '.join(failures) or 'no mirror'}; check the network, or "
        f"copy the file to {folder} by hand"
    )


class _Bar:
    """What pooch expects of a progress bar, drawn by rich; pooch sets `total` before the first update."""

    total = 0

    def __init__(self, bars: "Progress", file: str) -> None:
        self.bars, self.file = bars, file
        self.task = bars.add_task(file, visible=False)

    def update(self, n: int) -> None:
        self.bars.update(self.task, advance=n, total=self.total or None, visible=True)

    def reset(self) -> None:
        self.bars.update(self.task, completed=0)

    def close(self) -> None:
        pass

    def remove(self) -> None:
        self.bars.remove_task(self.task)

"""The data sets by name, and every file that is refused."""

import hashlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from minidrop.data import (
    DATASETS,
    datasets,
    load,
    standard_moments,
    write_idx,
)
from minidrop.errors import ArgumentError, DataError
from minidrop.streams import Purpose, Stream


def test_the_digits_are_those_of_the_uci_repository():
    """The sums are those of the arrays of sklearn.datasets.load_digits, as bytes."""
    with np.load(datasets.__file__.replace("datasets.py", "digits.npz")) as npz:
        images, labels = npz["images"], npz["labels"]
    assert (images.dtype, images.shape) == (np.uint8, (1797, 8, 8))
    assert (labels.dtype, labels.shape) == (np.uint8, (1797,))
    assert (images.min(), images.max()) == (0, 16)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    sha256 = [hashlib.sha256(array.tobytes()).hexdigest() for array in (images, labels)]
    assert sha256 == [
        "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3",
        "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
    ]


def test_the_digits_are_split_as_documented():
    digits = load("digits")
    with np.load(datasets.__file__.replace("datasets.py", "digits.npz")) as npz:
        images, labels = npz["images"].reshape(1797, 64), npz["labels"]
    order = Stream(0, Purpose.SPLIT).permutation(1797, step=0)
    for part, indices in ((digits.test, np.sort(order[:360])), (digits.train, np.sort(order[360:]))):
        np.testing.assert_array_equal(part.inputs, images[indices])
        np.testing.assert_array_equal(part.labels, labels[indices])
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert np.bincount(digits.test.labels).tolist() == [30, 33, 44, 40, 33, 29, 33, 38, 33, 47]


def test_the_digits_have_the_facts_of_their_data_set():
    digits = load("digits")
    assert (digits.name, digits.classes, digits.maximum) == ("digits", 10, 16.0)
    assert (digits.shape, digits.features) == ((8, 8), 64)
    assert digits.train.inputs.dtype == digits.test.inputs.dtype == np.uint8


@pytest.mark.parametrize("content", [None, b"", b"not a zip file", "half", "flip"])
def test_a_damaged_installation_is_named(tmp_path, monkeypatch, content):
    path = tmp_path / "digits.npz"
    shutil.copy(datasets.__file__.replace("datasets.py", "digits.npz"), path)
    whole = path.read_bytes()
    if content == "half":
        content = whole[: len(whole) // 2]
    elif content == "flip":
        content = whole[:20000] + bytes([whole[20000] ^ 0xFF]) + whole[20001:]
    path.unlink() if content is None else path.write_bytes(content)
    monkeypatch.setattr(datasets.resources, "files", lambda package: tmp_path)
    with pytest.raises(DataError, match=r"the digits that come with minidrop cannot be read .*install it"):
        load("digits")


FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
STEMS = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


def toy_files(root, name="mnist", suffix=".gz", seed=0):
    """A data set of 12 + 5 images of noise in torchvision's layout; returns the arrays by stem."""
    folder = root / FOLDERS[name] / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    arrays = {}
    for stem in STEMS:
        n = 12 if "train" in stem else 5
        arrays[stem] = rng.integers(0, 256, (n, 28, 28), np.uint8) if "images" in stem else np.arange(n) % 10
        write_idx(folder / f"{stem}{suffix}", arrays[stem].astype(np.uint8))
    return arrays


def assert_holds(loaded, arrays):
    for part, (images, labels) in ((loaded.train, STEMS[:2]), (loaded.test, STEMS[2:])):
        np.testing.assert_array_equal(part.inputs, arrays[images].reshape(-1, 784))
        np.testing.assert_array_equal(part.labels, arrays[labels])


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_files_in_torchvisions_layout_are_found(tmp_path, name, suffix):
    arrays = toy_files(tmp_path, name, suffix)
    for data_dir in (tmp_path, str(tmp_path)):
        loaded = load(name, data_dir)
        assert_holds(loaded, arrays)
    assert (loaded.name, loaded.classes, loaded.maximum) == (name, 10, 255.0)
    assert (loaded.shape, loaded.features) == ((28, 28), 784)
    assert loaded.train.inputs.dtype == np.uint8


def test_a_plain_file_is_preferred(tmp_path):
    toy_files(tmp_path, suffix=".gz", seed=1)
    arrays = toy_files(tmp_path, suffix="", seed=2)
    assert_holds(load("mnist", tmp_path), arrays)


def test_the_images_are_not_copied_on_their_way(monkeypatch):
    images = np.zeros((3, 28, 28), np.uint8)
    monkeypatch.setattr(datasets, "read_split", lambda *_: (images, np.zeros(3, np.uint8)))
    assert np.shares_memory(load("mnist", "anywhere").train.inputs, images)


def test_the_folder_is_the_argument_else_the_variable_else_the_cache(tmp_path, monkeypatch):
    import pooch

    arrays = [toy_files(tmp_path / place, seed=i) for i, place in enumerate("abc")]
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / {"minidrop": "c"}[name])
    monkeypatch.setenv("MINIDROP_DATA", str(tmp_path / "b"))
    assert_holds(load("mnist", tmp_path / "a"), arrays[0])
    assert_holds(load("mnist"), arrays[1])
    monkeypatch.setenv("MINIDROP_DATA", "")
    assert_holds(load("mnist"), arrays[2])
    monkeypatch.delenv("MINIDROP_DATA")
    assert_holds(load("mnist"), arrays[2])


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    arrays = toy_files(tmp_path / "data")
    assert_holds(load("mnist", "~/data"), arrays)


@pytest.mark.parametrize("stem", STEMS)
def test_a_missing_file_is_named_with_the_three_remedies(tmp_path, stem):
    toy_files(tmp_path)
    folder = tmp_path / "MNIST" / "raw"
    (folder / f"{stem}.gz").unlink()
    with pytest.raises(DataError) as caught:
        load("mnist", tmp_path)
    message = str(caught.value)
    for part in (f"{folder} has no {stem}", "--data-dir", "MINIDROP_DATA", "`minidrop data fetch mnist`"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("is_file", [False, True])
def test_a_missing_folder_is_named(tmp_path, is_file):
    root = tmp_path / "nowhere"
    if is_file:
        root.write_text("")
    with pytest.raises(DataError, match=r"nowhere.FashionMNIST.raw has no .*fetch fashion-mnist"):
        load("fashion-mnist", root)


def test_a_folder_that_may_not_be_looked_into_is_named(tmp_path, monkeypatch):
    toy_files(tmp_path)

    def denied(path, **_):  # not chmod, which does not stop root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "stat", denied)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte cannot be read: Permission denied"):
        load("mnist", tmp_path)


def labels(n, **changes):
    values = np.arange(n, dtype=np.uint8) % 10
    for index, value in changes.items():
        values[int(index[1:])] = value
    return values


IMAGES, LABELS = STEMS[0], STEMS[3]  # of the training and of the test set, so that both are looked at


@pytest.mark.parametrize(
    ("stem", "array", "message"),
    [
        (
            IMAGES,
            np.zeros((12, 28, 27), np.uint8),
            r"train-images.* uint8 images .*, got uint8 of shape \(12, 28, 27\)",
        ),
        (
            IMAGES,
            np.zeros((12, 27, 28), np.uint8),
            r"train-images.* uint8 images .*, got uint8 of shape \(12, 27, 28\)",
        ),
        (
            IMAGES,
            np.zeros((12, 784), np.uint8),
            r"train-images.*, got uint8 of shape \(12, 784\)",
        ),
        (IMAGES, np.zeros(12, np.uint8), r"train-images.* uint8 images .*, got uint8 of shape \(12,\)"),
        (IMAGES, np.zeros((12, 28, 28), np.int8), r"train-images.* uint8 images .*, got int8"),
        (
            IMAGES,
            np.zeros((11, 28, 28), np.uint8),
            r"train-images.* has 11 images, but .* has 12 labels",
        ),
        (LABELS, labels(6), r"t10k-images.* has 5 images, but t10k-labels.* has 6 labels"),
        (LABELS, np.zeros(5, np.int32), r"t10k-labels.* uint8 labels .*, got int32"),
        (LABELS, np.zeros((5, 1), np.uint8), r"t10k-labels.* uint8 labels of shape \(N,\), got .*\(5, 1\)"),
        (
            LABELS,
            labels(5, _3=10),
            r"mnist, test split: labels\[3\] is 10, but the 10 classes are 0 ",
        ),
        (LABELS, labels(5, _0=255), r"mnist, test split: labels\[0\] is 255"),
    ],
)
def test_files_that_are_not_the_data_set_are_refused(tmp_path, stem, array, message):
    toy_files(tmp_path)
    write_idx(tmp_path / "MNIST" / "raw" / f"{stem}.gz", array)
    with pytest.raises(DataError, match=message) as caught:
        load("mnist", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_named(tmp_path):
    toy_files(tmp_path)
    path = tmp_path / "MNIST" / "raw" / f"{STEMS[2]}.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is damaged"):
        load("mnist", tmp_path)


@pytest.mark.parametrize("name", ["MNIST", "cifar10", "", None])
def test_an_unknown_name_gets_the_list_of_names(name):
    with pytest.raises(ArgumentError, match=r"one of digits, mnist, fashion-mnist; got "):
        load(name)
    assert DATASETS == ("digits", "mnist", "fashion-mnist")


def test_importing_the_data_package_does_not_import_what_only_downloads_need():
    code = "import sys, minidrop.data; print(sorted({'pooch', 'requests'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def mnist(data_dir):
    return load("mnist", data_dir)


@pytest.fixture(scope="module")
def fashion_mnist(data_dir):
    return load("fashion-mnist", data_dir)


def test_mnist_is_mnist(mnist):
    assert mnist.train.inputs.shape == (60000, 784)
    assert mnist.test.inputs.shape == (10000, 784)
    assert mnist.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.train.labels).tolist() == counts


def test_fashion_mnist_is_fashion_mnist(fashion_mnist):
    assert fashion_mnist.train.inputs.shape == (60000, 784)
    assert fashion_mnist.test.inputs.shape == (10000, 784)
    assert np.bincount(fashion_mnist.train.labels).tolist() == [6000] * 10
    assert np.bincount(fashion_mnist.test.labels).tolist() == [1000] * 10
    assert fashion_mnist.train.labels[:5].tolist() == [9, 0, 0, 3, 0]


def test_the_moments_are_the_well_known_ones(mnist, fashion_mnist):
    assert standard_moments(mnist.train, mnist.maximum) == (0.1307, 0.3081)
    assert standard_moments(fashion_mnist.train, fashion_mnist.maximum) == (0.2860, 0.3530)

"""Examples, the data sets by name, their splits and moments, and every file that is refused."""

import hashlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidrop.data import (
    DATASETS,
    Dataset,
    Examples,
    datasets,
    load,
    split,
    standard_moments,
    write_idx,
)
from minidrop.errors import ArgumentError, DataError
from minidrop.streams import Purpose, Stream


def numbered(n, features=2):
    """N examples that can be told apart: label and inputs are the index."""
    return Examples(np.repeat(np.arange(n, dtype=np.float64)[:, None], features, axis=1), np.arange(n))


# -- Examples ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs_dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("labels_dtype", ["uint8", "int8", "int32", "int64", "uint64", ">i4"])
def test_examples_keep_the_dtype_of_inputs_and_make_labels_int64(inputs_dtype, labels_dtype):
    examples = Examples(np.ones((3, 4), inputs_dtype), np.array([2, 0, 1], labels_dtype))
    assert examples.inputs.dtype == np.dtype(inputs_dtype)
    assert examples.labels.dtype == np.int64
    assert examples.labels.dtype.isnative
    assert examples.labels.tolist() == [2, 0, 1]
    assert len(examples) == 3


def test_examples_are_contiguous():
    inputs = np.arange(12, dtype=np.uint8).reshape(4, 3).T
    examples = Examples(inputs, np.zeros(3, np.uint8))
    assert examples.inputs.flags.c_contiguous
    np.testing.assert_array_equal(examples.inputs, inputs)


def test_contiguous_inputs_are_not_copied():
    inputs = np.zeros((3, 4), np.uint8)
    assert np.shares_memory(Examples(inputs, np.arange(3)).inputs, inputs)


def poisoned(value):
    inputs = np.zeros((3, 4), np.float32)
    inputs[1, 2] = value
    return inputs


GOOD = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        ([[0.0, 1.0]], np.zeros(1, int), r"inputs must be a numpy\.ndarray, got list"),
        (GOOD, [0, 1, 2], r"labels must be a numpy\.ndarray, got list"),
        (np.zeros((3, 2, 2)), np.zeros(3, int), r"shape \(N, features\).*got \(3, 2, 2\)"),
        (np.zeros(3), np.zeros(3, int), r"shape \(N, features\).*got \(3,\)"),
        (np.zeros((0, 4)), np.zeros(0, int), r"not be empty, got \(0, 4\)"),
        (np.zeros((3, 0)), np.zeros(3, int), r"not be empty, got \(3, 0\)"),
        (np.zeros((3, 4), np.int64), np.zeros(3, int), r"must be uint8, float32 or float64, got int64"),
        (np.zeros((3, 4), np.float16), np.zeros(3, int), r"got float16"),
        (np.zeros((3, 4), bool), np.zeros(3, int), r"got bool"),
        (
            GOOD,
            np.zeros((3, 1), int),
            r"labels must be integers .*, got int64 of shape \(3, 1\)",
        ),
        (GOOD, np.zeros(3), r"labels must be integers .*got float64"),
        (GOOD, np.zeros(3, bool), r"labels must be integers .*got bool"),
        (GOOD, np.zeros(2, int), r"3 inputs but 2 labels"),
        (GOOD, np.zeros(4, int), r"3 inputs but 4 labels"),
        (GOOD, np.array([0, 5, -2]), r"labels\[2\] is -2"),
        (poisoned(np.nan), np.zeros(3, int), r"inputs\[1, 2\] is nan"),
        (poisoned(np.inf), np.zeros(3, int), r"inputs\[1, 2\] is inf"),
        (poisoned(-np.inf), np.zeros(3, int), r"inputs\[1, 2\] is -inf"),
    ],
)
def test_examples_refuse_what_cannot_be_learned_from(inputs, labels, message):
    with pytest.raises(DataError, match=message) as caught:
        Examples(inputs, labels)
    assert "\n" not in str(caught.value)


def test_take_gives_copies_of_the_examples_asked_for_in_that_order():
    examples = numbered(5)
    taken = examples.take([3, 0, 3])
    assert taken.labels.tolist() == [3, 0, 3]
    assert taken.inputs[:, 0].tolist() == [3, 0, 3]
    assert not np.shares_memory(taken.inputs, examples.inputs)
    assert not np.shares_memory(taken.labels, examples.labels)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 5], r"within 0 \.\.\. 4, got 5"),
        ([0, -1], r"within 0 \.\.\. 4, got -1"),
        ([], r"integers of shape \(n,\)"),
        (np.zeros(0, int), r"integers of shape \(n,\)"),
        ([[0, 1]], r"integers of shape \(n,\)"),
        ([True, False], r"integers of shape \(n,\)"),
        ([0.5], r"integers of shape \(n,\)"),
    ],
)
def test_take_refuses_indices_that_are_not_there(indices, message):
    with pytest.raises(ArgumentError, match=message):
        numbered(5).take(indices)


# -- Dataset -----------------------------------------------------------------------------------------------


def dataset(train=None, test=None, classes=3, maximum=1.0, shape=(2, 2)):
    good = Examples(GOOD, np.array([0, 1, 2]))
    return Dataset("toy", train or good, test or good, classes, maximum, shape)


def test_a_dataset_knows_its_features():
    assert dataset(shape=(2, 2)).features == dataset(shape=(4,)).features == 4


@pytest.mark.parametrize("which", ["train", "test"])
def test_a_label_beyond_the_classes_is_named(which):
    bad = Examples(GOOD, np.array([0, 3, 7]))
    message = rf"^toy, {which} split: labels\[1\] is 3, but the 3 classes are 0 \.\.\. 2$"
    with pytest.raises(DataError, match=message):
        dataset(**{which: bad})


@pytest.mark.parametrize("which", ["train", "test"])
def test_examples_of_another_size_are_named(which):
    bad = Examples(np.zeros((3, 5)), np.zeros(3, int))
    message = rf"^toy, {which} split: the examples have 5 features, but images of shape \(2, 2\) have 4$"
    with pytest.raises(DataError, match=message):
        dataset(**{which: bad})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", 1),
        ("classes", 2.5),
        ("maximum", 0.0),
        ("maximum", -1),
        ("maximum", np.nan),
        ("shape", (4, 0)),
        ("shape", (4, 1.0)),
    ],
)
def test_a_dataset_refuses_impossible_facts(name, value):
    with pytest.raises(ArgumentError, match=name):
        dataset(**{name: value})


# -- digits ------------------------------------------------------------------------------------------------


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


# -- files -------------------------------------------------------------------------------------------------

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


# -- the real files ----------------------------------------------------------------------------------------


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


# -- split -------------------------------------------------------------------------------------------------


@given(data=st.data(), n=st.integers(2, 200), seed=st.integers(0, 2**64 - 1))
def test_a_split_is_disjoint_complete_in_order_and_the_documented_permutation(data, n, seed):
    n_validation = data.draw(st.integers(1, n - 1))
    train, validation = split(numbered(n), n_validation, seed)
    order = Stream(seed, Purpose.SPLIT).permutation(n, step=0)
    for part, expected in ((validation, order[:n_validation]), (train, order[n_validation:])):
        assert part.labels.tolist() == sorted(expected.tolist())
        np.testing.assert_array_equal(part.inputs[:, 0], part.labels)
    assert sorted([*train.labels, *validation.labels]) == list(range(n))


def test_the_seed_decides_who_is_held_out():
    held_out = {tuple(split(numbered(100), 10, seed)[1].labels) for seed in range(5)}
    assert len(held_out) == 5
    assert tuple(split(numbered(100), 10, seed=0)[1].labels) in held_out


def test_nothing_need_be_held_out():
    examples = numbered(3)
    assert split(examples, 0, seed=0) == (examples, None)


@pytest.mark.parametrize("n_validation", [3, 4])
def test_something_must_be_left_to_train_on(n_validation):
    with pytest.raises(ArgumentError, match=rf"got {n_validation} of 3 examples"):
        split(numbered(3), n_validation, seed=0)


@pytest.mark.parametrize(
    ("n_validation", "seed"), [(-1, 0), (1.0, 0), (True, 0), (1, -1), (1, 2**64), (0, -1)]
)
def test_a_split_refuses_other_arguments(n_validation, seed):
    with pytest.raises(ArgumentError, match=r"n_validation|seed"):
        split(numbered(3), n_validation, seed)


# -- moments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_moments_of_a_coin(dtype):
    """Of p = 476 ones in 1500, spread unevenly over the blocks: p/n and sqrt(p/n (1 - p/n)), by hand."""
    inputs = np.repeat(np.arange(1500) >= 1024, 3).reshape(1500, 3).astype(dtype) * np.dtype(dtype).type(255)
    examples = Examples(inputs, np.zeros(1500, int))
    assert standard_moments(examples, 255) == (0.3173, 0.4654)
    assert standard_moments(examples, 2550) == (0.0317, 0.0465)


def test_moments_are_over_all_elements_alike():
    inputs = np.array([[0, 1], [2, 5]], np.uint8)  # mean 2, variance (4 + 1 + 0 + 9) / 4 = 3.5
    assert standard_moments(Examples(inputs, np.zeros(2, int)), 1) == (2.0, 1.8708)


def test_moments_of_bytes_and_of_the_same_floats_agree():
    train = load("digits").train
    for dtype in ("float32", "float64"):
        floats = Examples(train.inputs.astype(dtype), train.labels)
        assert standard_moments(floats, 16) == standard_moments(train, 16)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_constant_inputs_have_no_scale(dtype):
    with pytest.raises(DataError, match=r"the inputs are all \(nearly\) 7: "):
        standard_moments(Examples(np.full((3, 4), 7, dtype), np.zeros(3, int)), 255)


@pytest.mark.parametrize("maximum", [0, -1, np.nan, np.inf, "255", None])
def test_moments_refuse_an_impossible_maximum(maximum):
    with pytest.raises(ArgumentError, match="maximum"):
        standard_moments(numbered(3), maximum)

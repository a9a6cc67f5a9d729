"""Arrays of the stand-in for CuPy are those of CuPy, counted, and stricter."""

import copy
import pickle

import numpy as np
import pytest


@pytest.fixture
def a(cupy):
    return cupy.arange(6, dtype="float32").reshape(2, 3)


HOST = np.ones((2, 3), np.float32)

# -- host and device ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mix",
    [
        np.asarray,
        np.array,
        np.sum,
        np.exp,
        np.ascontiguousarray,
        list,
        sum,
        pickle.dumps,
        lambda a: np.add(a, HOST),
        lambda a: np.add(HOST, HOST, out=a),
        lambda a: np.concatenate([HOST, a]),
        lambda a: HOST.copy().__setitem__(..., a),
        lambda a: a + HOST,
        lambda a: HOST + a,
        lambda a: a < HOST,
        lambda a: a == HOST,
        lambda a: a @ HOST.T,
        lambda a: HOST @ a.T,
        lambda a: a.__iadd__(HOST),
        lambda a: a[np.array([0, 1])],
        lambda a: a.take(np.array([0, 1]), axis=0),
    ],
)
def test_host_and_device_do_not_mix(a, mix):
    with pytest.raises(TypeError):
        mix(a)


def test_an_array_of_the_host_grows_no_array_of_the_device(a):
    host = HOST.copy()
    with pytest.raises(TypeError):
        host += a


def test_functions_refuse_arrays_of_the_host(cupy, a):
    for call in (
        lambda: cupy.add(a, HOST),
        lambda: cupy.sum(HOST),
        lambda: cupy.where(a > 0, a, HOST),
        lambda: cupy.stack([a, HOST]),
        lambda: cupy.matmul(a, HOST.T),
    ):
        with pytest.raises(TypeError, match="Unsupported type"):
            call()


def test_assignment_from_the_host(a):
    with pytest.raises(ValueError, match="non-scalar"):
        a[...] = HOST
    a[...] = np.float64(3)
    a[0, 0] = np.array(2)
    assert a.tolist() == [[2, 3, 3], [3, 3, 3]]
    a[0] = a[1:]  # CuPy ignores leading axes of size 1
    assert a.tolist() == [[3, 3, 3], [3, 3, 3]]
    a.set(HOST)
    assert (a.get() == HOST).all()
    with pytest.raises(TypeError, match="float64 array cannot be set to float32"):
        a.set(HOST.astype(float))
    with pytest.raises(ValueError, match="Shape mismatch"):
        a.set(HOST.T)


def test_reads_and_copies_are_counted(cupy, a):
    a.get(), a.sum().item(), float(a[0, 1]), bool(a.any()), int(a[1, 1]), cupy.asnumpy(a), f"{a[0, 0]:.1f}"
    assert cupy.standin.host_reads == 7
    host = np.zeros((2, 3), np.float32)
    assert a.get(out=host) is host
    assert host.tolist() == a.tolist()
    assert cupy.standin.host_reads == 9
    repr(a)
    assert cupy.standin.host_reads == 9
    assert cupy.standin.uploads == 0
    cupy.asarray(HOST), cupy.array([1, 2]), a.set(HOST)
    assert cupy.standin.uploads == 3
    assert cupy.asarray(a) is a
    assert cupy.standin.uploads == 3


def test_host_reads_can_be_forbidden(cupy, a):
    with cupy.standin.no_host_reads():
        a *= 2
        for read in (a.get, a.sum().item, lambda: bool(a.all()), lambda: a[a > 0]):
            with pytest.raises(AssertionError, match=r"inside no_host_reads\(\)"):
                read()
    assert a.get().sum() == 30


# -- memory ------------------------------------------------------------------------------------------------


def test_allocations_are_counted_and_can_be_forbidden(cupy, a):
    out, b = cupy.empty_like(a), cupy.ones(3, "float32")
    before = cupy.standin.allocations
    with cupy.standin.no_allocations():
        cupy.multiply(a, b, out=out)
        out += b
        out[...] *= 2
        out[0] = a[1]
        out.T.reshape(3, 2)[1:].view()
        cupy.matmul(a, b, out=out.reshape(-1)[:2])
        cupy.sum(a, axis=0, out=b)
        for expression in (
            lambda: a * b,
            lambda: a[a.argmax() :],
            lambda: a.copy(),
            lambda: a.T.reshape(-1),
            lambda: cupy.add(a.T, 1, out=a.T),  # CuPy copies an argument that is not `out` itself
            lambda: cupy.matmul(a, a.T),
            lambda: cupy.zeros(1),
        ):
            with pytest.raises(AssertionError, match=r"inside no_allocations\(\)"):
                expression()
    assert cupy.standin.allocations == before
    a * b + 1
    assert cupy.standin.allocations == before + 2


def test_live_and_peak_bytes(cupy):
    big = cupy.zeros(1000, "float64")
    view = big[10:]
    del big
    assert cupy.standin.live_bytes == 8000
    del view
    cupy.zeros(10, "int8")
    assert cupy.standin.live_bytes == 0
    assert cupy.standin.peak_bytes == 8000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_new_memory_is_full_of_nans(cupy, dtype):
    for shape in (), 3, (5, 7):
        assert np.isnan(cupy.empty(shape, dtype).get()).all()


def test_new_booleans_are_true_and_false_in_turn(cupy):
    assert cupy.empty(5, bool).view("uint8").tolist() == [0, 1, 0, 1, 0]
    assert cupy.empty(6, bool).view("uint8").tolist() == [1, 0, 1, 0, 1, 0]


# -- results -----------------------------------------------------------------------------------------------


def test_single_numbers_stay_on_the_device(cupy, a):
    for number in (a.sum(), a.argmax(), a[1, 2], cupy.sqrt(a[0, 1]), a.mean(axis=0)[0], (a == a).all()):
        assert isinstance(number, cupy.ndarray)
        assert number.shape == ()
    view = a[1, 2]
    view[...] = 50
    assert a.max().item() == 50


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint16", "bool"])
@pytest.mark.parametrize("number", [2, 0.5, True, np.float32(2), np.float64(2), np.int64(2)])
def test_types_are_those_of_numpy(cupy, dtype, number):
    there, here = cupy.ones((2, 2), dtype), np.ones((2, 2), dtype)
    for operation in (lambda x: x + number, lambda x: number * x, lambda x: x > number, lambda x: x.sum()):
        assert operation(there).dtype == operation(here).dtype


def test_values_are_those_of_numpy(cupy):
    here = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)
    there = cupy.asarray(here)
    rows, columns = np.array([3, 0, 3]), np.array([1, 1, 2])
    for function in (
        lambda xp, x: x @ x.T - x / 3 + (2 - x) ** 2,
        lambda xp, x: xp.einsum("ij,ij->i", x, x),
        lambda xp, x: x.max(axis=1, keepdims=True),
        lambda xp, x: x[xp.asarray(rows), xp.asarray(columns)],
        lambda xp, x: xp.take(x, xp.asarray(rows), axis=0),
        lambda xp, x: xp.stack([x[0], x[1]]),
        lambda xp, x: xp.broadcast_to(xp.full((), True), (3, 2)),
        lambda xp, x: xp.where(x > 0, x, 0),
        lambda xp, x: x[::-1, 1:3].T,
        lambda xp, x: x.astype("float64").reshape(2, -1),
        lambda xp, x: -abs(x) + xp.arange(4),
        lambda xp, x: (x * 2j + 1).imag + (x * 1j + x).real + x.real + x.imag,
    ):
        np.testing.assert_array_equal(function(cupy, there).get(), function(np, here))


def test_assignment_through_indices(cupy):
    x, rows = cupy.zeros((3, 2)), cupy.arange(3)
    x[rows, cupy.asarray([0, 1, 0])] -= 1
    assert x.tolist() == [[-1, 0], [0, -1], [-1, 0]]


def test_copies_have_memory_of_their_own(a):
    for other in (a.copy(), copy.copy(a), copy.deepcopy(a), a.astype("float32")):
        other += 1
        assert a[0, 0].item() == 0
        assert other.data.ptr != a.data.ptr


def test_what_an_array_says_of_itself(a):
    row = a[1]
    assert (row.data.ptr - a.data.ptr, row.nbytes, row.itemsize, row.strides) == (12, 12, 4, (4,))
    assert a.data.ptr % 256 == 0
    assert a.device.id == 0
    assert (type(a).__module__, type(a).__qualname__) == ("cupy", "ndarray")
    assert (a.T.flags.c_contiguous, a.T.flags.f_contiguous) == (False, True)
    assert a.view("uint8").shape == (2, 12)


# -- what CuPy does not have, or refuses -------------------------------------------------------------------


def test_out(cupy, a):
    assert cupy.add(a, 1, out=a) is a
    assert cupy.add(a, 1, a) is a
    for error, call in (
        (TypeError, lambda: cupy.add(a, 1, where=a > 0)),
        (TypeError, lambda: cupy.add(a, 1, out=HOST)),
        (TypeError, lambda: cupy.add(a, 1, out=cupy.empty((2, 3), int))),  # a float is no int
        (ValueError, lambda: cupy.add(a[0], 1, out=a)),  # NumPy would fill both rows
        (ValueError, lambda: cupy.matmul(a, a.T, out=a)),
        (TypeError, lambda: cupy.take(a, cupy.arange(2), mode="clip")),
        (TypeError, lambda: cupy.take(a, cupy.arange(3), out=cupy.empty(3))),
        (ValueError, lambda: cupy.take(a, cupy.arange(3), out=cupy.empty(4, "float32"))),
        (ValueError, lambda: a.__setitem__(0, cupy.zeros((2, 3), "float32"))),
    ):
        with pytest.raises(error):
            call()
    assert cupy.add(a, 1, out=cupy.empty((2, 3), "float64")).dtype == float


def test_what_is_not_there(cupy):
    for name in ("nditer", "vectorize", "frompyfunc", "memmap"):
        assert not hasattr(cupy, name)
    with pytest.raises(AttributeError):
        _ = cupy.maximum.reduce
    with pytest.raises(ValueError, match="Unsupported dtype"):
        cupy.zeros(2, object)
    with pytest.raises(ValueError, match="Unsupported dtype"):
        cupy.array(["text"])

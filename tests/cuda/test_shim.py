"""The shim runs correct kernels as a GPU does, and finds what is wrong with the others."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import shim

TOY = Path(__file__).with_name("toy_kernels.cu")
ORDERS = ("forward", "reverse", 0, 1, 2)


@pytest.fixture(scope="module", params=["float", "double"])
def real(request):
    return {"float": np.float32, "double": np.float64}[request.param]


@pytest.fixture(scope="module")
def toy(compiler, real):
    return shim.compile(TOY, "float" if real == np.float32 else "double")


@pytest.fixture(scope="module")
def float_toy(compiler):
    return shim.compile(TOY)


# -- correct kernels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_each_thread_runs_once(toy, real, order):
    x = np.arange(1000, dtype=real)
    toy.launch("scale", (4,), (256,), (x, real(3), np.int32(900)), order)
    assert (x[:900] == 3 * np.arange(900)).all()
    assert (x[900:] == np.arange(900, 1000)).all()


def test_two_dimensions(float_toy):
    out = np.zeros((6, 20), np.int32)
    float_toy.launch("indices", (5, 2), (4, 3), (out,))
    assert (out == 100 * np.arange(6)[:, None] + np.arange(20)).all()


@pytest.mark.parametrize("blocks", [1, 5, 80])
def test_the_order_is_a_parameter(float_toy, blocks):
    def places(order):
        out = np.zeros(80, np.uint32)
        float_toy.launch("places", (blocks,), (80 // blocks,), (out, np.zeros(1, np.uint32)), order)
        return out.tolist()

    in_order = list(range(80))
    assert places("forward") == in_order
    assert places("reverse") == in_order[::-1]
    assert sorted(places(1)) == in_order
    assert len({tuple(places(order)) for order in ORDERS}) == len(ORDERS)
    assert places(1) == places(1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("threads", [32, 96, 256])
def test_sums_by_shuffles_and_shared_memory(toy, real, order, threads):
    x = np.arange(7 * 300, dtype=real).reshape(7, 300) % 13  # small integers, so exact
    sums = np.zeros(7, real)
    toy.launch("row_sums", (7,), (threads,), (x, sums, np.int32(300)), order)
    assert (sums == x.sum(axis=1)).all()


@pytest.mark.parametrize("kind", ["reals", "words"])
def test_shuffles(toy, real, kind):
    x = np.arange(64, dtype=real if kind == "reals" else np.uint64) * 2**20
    out = np.zeros((6, 64), x.dtype)
    toy.launch(f"shuffles_of_{kind}", (1,), (64,), (x, out))
    lane = np.arange(64)
    in_8, in_32 = lane % 8, lane % 32
    sources = [
        lane - in_32 + 5,
        lane - in_8 + 5,
        np.where(in_8 >= 3, lane - 3, lane),
        np.where(in_32 + 3 < 32, lane + 3, lane),
        np.where(in_8 + 3 < 8, lane + 3, lane),
        lane ^ 17,
    ]
    assert (out == x[np.array(sources)]).all()


@pytest.mark.parametrize("order", ORDERS)
def test_parts_of_a_warp_may_go_their_own_way(float_toy, order):
    x = np.arange(32, dtype=np.int32)
    float_toy.launch("half_warps", (1,), (32,), (x,), order)
    assert x.tolist() == [*range(1, 16), 0, *range(17, 32), 16]


def test_arithmetic(toy, real):
    out, v = np.zeros(9, real), real(2.5)
    toy.launch("arithmetic", (1,), (1,), (np.array([v]), out))
    expected = [v**-0.5, np.exp(v), np.log(v), v, -np.inf, v, v**3, 9, v]
    np.testing.assert_allclose(out, np.array(expected, real), rtol=4 * np.finfo(real).eps)


def test_high_words_of_products(float_toy):
    a, b = np.random.Philox(key=0).random_raw((2, 32))
    out = np.zeros(32, np.uint64)
    float_toy.launch("high_words", (1,), (32,), (a, b, out))
    assert out.tolist() == [int(x) * int(y) >> 64 for x, y in zip(a, b, strict=True)]


def test_several_threads_of_python(float_toy):
    def sums(seed):
        x, out = np.full((20, 64), seed, np.float32), np.zeros(20, np.float32)
        float_toy.launch("row_sums", (20,), (64,), (x, out, np.int32(64)), seed)
        return (out == 64 * seed).all()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(sums, range(40)))


# -- wrong kernels -----------------------------------------------------------------------------------------


def test_a_missing_barrier_shows(toy, real):
    def results(kernel):
        found = []
        for order in ORDERS:
            x = np.arange(128, dtype=real)
            toy.launch(kernel, (2,), (64,), (x,), order)
            found.append(x.tolist())
        return found

    expected = [*range(63, -1, -1), *range(127, 63, -1)]
    assert all(found == expected for found in results("reverse_right"))
    assert all(found != expected for found in results("reverse_wrong"))


def test_shared_memory_holds_nans_at_first(toy, real):
    out = np.zeros(96, real)
    toy.launch("uninitialised", (3,), (32,), (out,))
    assert np.isnan(out).all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (
            "barrier_for_some",
            r"3 of 32 threads wait at __syncthreads, line \d+, but the others have returned",
        ),
        ("two_barriers", r"waits at __syncthreads, line \d+, while others wait at the one of line \d+"),
        ("shuffle_without_one", r"waits in __shfl_down_sync, line \d+, for lanes 0x00000020 of its warp"),
        ("two_shuffles", r"meet in different calls: \w+, line \d+, .* and \w+, line \d+, mask 0xffffffff"),
        ("shuffle_from_outside", r"lane 15 reads lane 16, and mask 0x0000ffff does not name both"),
    ],
)
def test_what_no_gpu_defines_is_an_error(float_toy, kernel, message, order):
    x = np.zeros(32, np.float32)
    with pytest.raises(shim.KernelError, match=rf"^{kernel}, block \(0, 0, 0\): .*{message}"):
        float_toy.launch(kernel, (1,), (32,), (x,), order)
    sums = np.zeros(1, np.float32)  # and it leaves nothing behind
    float_toy.launch("row_sums", (1,), (32,), (np.ones(32, np.float32), sums, np.int32(32)), order)
    assert sums == 32


def test_a_shuffle_with_lanes_that_do_not_exist(float_toy):
    x, sums = np.ones(16, np.float32), np.zeros(1, np.float32)
    with pytest.raises(shim.KernelError, match=r"for lanes 0xffff0000 of its warp"):
        float_toy.launch("row_sums", (1,), (16,), (x, sums, np.int32(16)))


# -- arguments ---------------------------------------------------------------------------------------------


def test_signatures(toy, real):
    r = np.dtype(real).str[1:]
    assert toy.signatures["parameters"] == ("*" + r, "*u2", "*u1", "*b1", "*V", r, "f8", "i4", "u8", "b1")
    assert {"scale", "row_sums", "parameters"} < set(toy.names)
    assert "reverse_block" not in toy.names


def good_arguments():
    arrays = [np.zeros(2, dtype) for dtype in (np.float32, np.uint16, np.uint8, np.bool_)]
    return [*arrays, np.intp(0), np.float32(0.5), 0.25, np.int32(-3), 2**40, True]


def test_arguments_as_cupy_passes_them(float_toy):
    args = good_arguments()
    float_toy.launch("parameters", (1,), (1,), args)
    assert args[0][0] == np.float32(0.5 + 0.25 - 3 + 2**40 + 1 + 1)
    args[2] = args[3]  # a mask of booleans, read as bytes
    float_toy.launch("parameters", (1,), (1,), args)


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (0, np.zeros(2)),  # of another type
        (0, np.zeros(4, np.float32)[::2]),  # not contiguous
        (0, np.int32(0)),  # no address
        (0, 0.0),
        (3, np.zeros(2, np.uint8)),  # bytes are no booleans
        (5, 0.5),  # a Python float is a double
        (5, np.int32(1)),
        (6, np.float32(1)),
        (7, 3),  # a Python int is a long long
        (7, np.uint32(2**31)),  # would become negative
        (8, -1),
        (8, np.int32(1)),
        (9, 1),
        (9, np.zeros(1, bool)),
        (9, None),
    ],
)
def test_arguments_of_other_types_are_refused(float_toy, position, value):
    args = good_arguments()
    args[position] = value
    with pytest.raises(shim.ArgumentError, match=rf"^parameters, argument {position} \("):
        float_toy.launch("parameters", (1,), (1,), args)


def test_wrong_launches_are_refused(float_toy):
    args = (np.zeros(1, np.float32),)
    with pytest.raises(shim.ArgumentError, match=r"^write_before takes 1 arguments, got 2$"):
        float_toy.launch("write_before", (1,), (1,), args * 2)
    for grid, block in [((0,), (1,)), ((1,), (1, 0)), ((1, 1, 1, 1), (1,)), (1, (1,))]:
        with pytest.raises(shim.ArgumentError, match=r"must be a tuple of 1 to 3 sizes of at least 1"):
            float_toy.launch("write_before", grid, block, args)
    with pytest.raises(shim.ArgumentError, match=r"more than 1024 threads"):
        float_toy.launch("write_before", (1,), (32, 33), args)


# -- compiling ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("compiler")
def test_what_cannot_be_compiled():
    with pytest.raises(shim.CompileError, match=r"kernels\.cu:2:.*'y' was not declared"):
        shim.compile('extern "C" __global__ void wrong(float* x) {\n x[0] = y; }')
    with pytest.raises(shim.CompileError, match="there is no"):
        shim.compile("__device__ void function() {}")
    with pytest.raises(shim.CompileError, match="give shared arrays their size"):
        shim.compile('extern "C" __global__ void dynamic() { extern __shared__ float x[]; }')


@pytest.mark.usefixtures("compiler")
def test_what_nvrtc_has_not_is_not_there():
    words = {"INFINITY": "INFINITY", "NAN": "NAN", "std::max(x[0], x[1])": "std", "max(1, 2ll)": "ambiguous"}
    lines = "".join(f"x[0] = {word};\n" for word in words)
    with pytest.raises(shim.CompileError) as error:
        shim.compile(f'extern "C" __global__ void wrong(float* x) {{\n{lines}}}')
    for line, word in enumerate(words.values(), 2):
        assert re.search(rf"kernels\.cu:{line}:.*{word}", str(error.value))


def test_a_library_is_compiled_once(float_toy, monkeypatch):
    assert shim.compile(TOY) is float_toy
    monkeypatch.setattr(shim, "_build", None)
    again = shim._compile.__wrapped__(TOY.read_text(), ("REAL=float",), ())  # as another process does
    assert again.names == float_toy.names


def test_some_of_the_kernels(compiler):
    some = shim.compile(TOY, names=["row_sums", "scale"])
    assert some.names == ("row_sums", "scale")
    x = np.ones(3, "float32")
    some.launch("scale", (1,), (32,), (x, np.float32(2), np.int32(3)))
    assert x.tolist() == [2, 2, 2]


def test_without_a_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(shim.NoCompiler, match=r"^there is no g\+\+"):
        shim.compiler.__wrapped__()

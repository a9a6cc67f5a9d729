"""Kernels and captures of the stand-in for CuPy: what is checked at a launch, and what a graph does."""

from pathlib import Path

import numpy as np
import pytest
import shim

TOY = Path(__file__).with_name("toy_kernels.cu").read_text()

pytestmark = pytest.mark.usefixtures("compiler")


@pytest.fixture
def toy(cupy):
    return cupy.RawModule(code=TOY, options=("-DREAL=float", "--std=c++17"))


@pytest.fixture
def x(cupy):
    return cupy.arange(100, dtype="float32")


@pytest.fixture
def y(cupy):
    return cupy.zeros(2, "float32")


@pytest.fixture
def capture(cupy):
    """A stream that captures what is done while it is the current one."""
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        yield stream


# -- launches ----------------------------------------------------------------------------------------------


def test_a_kernel_runs(cupy, toy, x):
    toy.get_function("scale")((4,), (32,), (x, np.float32(3), np.int32(90)))
    assert x.tolist() == [*range(0, 270, 3), *range(90, 100)]


def test_options_choose_the_type(cupy):
    y = cupy.ones(4)
    double = cupy.RawModule(code=TOY, options=("-DREAL=double",)).get_function("scale")
    double((1,), (32,), (y, 0.1, np.int32(4)))  # a Python float is a double
    assert y.tolist() == [0.1] * 4


def test_the_order_is_the_devices(cupy, toy):
    for order, expected in (("forward", [0, 1, 2]), ("reverse", [2, 1, 0])):
        cupy.standin.order = order
        places, counter = cupy.zeros(3, "uint32"), cupy.zeros(1, "uint32")
        toy.get_function("places")((1,), (3,), (places, counter))
        assert places.tolist() == expected


def test_arguments_are_checked(cupy, toy, x):
    scale = toy.get_function("scale")
    for args in (
        (x, 3.0, np.int32(90)),
        (x, np.float32(3), 90),
        (x, np.float32(3)),
        (x.astype("float64"), np.float32(3), np.int32(90)),
        (x[::2], np.float32(3), np.int32(50)),
        (np.ones(100, np.float32), np.float32(3), np.int32(90)),
        (None, np.float32(3), np.int32(0)),
    ):
        with pytest.raises(TypeError, match=r"scale"):
            scale((4,), (32,), args)
    with pytest.raises(TypeError, match="at least 1"):
        scale((0,), (32,), (x, np.float32(3), np.int32(0)))
    assert x.tolist() == list(range(100))


def test_addresses(cupy, toy, x):
    scale = toy.get_function("scale")
    scale((1,), (2,), (np.uint64(x[50:].data.ptr), np.float32(0), np.int32(2)))
    assert x[49:53].tolist() == [49, 0, 0, 52]
    scale((1,), (2,), (np.intp(0), np.float32(0), np.int32(0)))
    with pytest.raises(AssertionError, match="is in no array that is alive"):
        scale((1,), (2,), (np.uint64(4096), np.float32(0), np.int32(2)))
    assert cupy.standin.host_view(x[50:].data.ptr, 3, "float32").tolist() == [0, 0, 52]
    with pytest.raises(AssertionError, match="reach beyond"):
        cupy.standin.host_view(x[50:].data.ptr, 51, "float32")


@pytest.mark.parametrize("order", ["forward", "reverse", 5])
def test_writes_outside_are_found(cupy, toy, order):
    cupy.standin.order = order
    for size in (1, 7, 64):
        x = cupy.zeros(size, "float32")
        with pytest.raises(
            AssertionError, match=r"^write_beyond, argument 0: .* after its memory, .* 1 bytes"
        ):
            toy.get_function("write_beyond")((1,), (64,), (x, np.int32(size)))
        with pytest.raises(AssertionError, match=r"^write_before, argument 0: .* before its memory"):
            toy.get_function("write_before")((1,), (1,), (x,))
        toy.get_function("scale")((1,), (64,), (x, np.float32(1), np.int32(size)))


def test_an_error_of_a_kernel_is_raised(toy, x):
    with pytest.raises(shim.KernelError, match="barrier_for_some"):
        toy.get_function("barrier_for_some")((1,), (64,), (x,))


def test_modules_that_cupy_refuses(cupy, toy):
    with pytest.raises(RuntimeError, match=r"CUDA_ERROR_NOT_FOUND.*: unknown"):
        toy.get_function("unknown")
    with pytest.raises(TypeError, match="options must be a tuple"):
        cupy.RawModule(code=TOY, options="-DREAL=float")
    with pytest.raises(shim.CompileError, match="there is no"):
        cupy.RawModule(code="int no_kernel;").compile()


# -- captures ----------------------------------------------------------------------------------------------


def test_a_graph_does_again_what_was_captured(cupy, toy, x):
    y, rows = cupy.zeros(100, "float32"), cupy.asarray([3, 1])
    two, factor = cupy.zeros(2, "float32"), 2.0
    scale, stream = toy.get_function("scale"), cupy.cuda.Stream(non_blocking=True)
    with stream:
        assert cupy.cuda.get_current_stream() is stream
        stream.begin_capture()
        assert stream.is_capturing()
        scale((4,), (32,), (x, np.float32(factor), np.int32(100)))
        cupy.add(x, 1, out=y)
        y *= factor
        y[0] = 7
        cupy.take(y, rows, out=two)
        factor = 5.0
        graph = stream.end_capture()
    assert x[99].item() == 99  # nothing is done yet
    before = cupy.standin.allocations
    for launch in (1, 2):
        graph.launch()
        z = 2 * (np.arange(100) * 2**launch + 1)
        assert y.tolist() == [7, *z[1:]]
        assert two.tolist() == [z[3], z[1]]
    assert cupy.standin.allocations == before


def test_a_library_may_take_part(cupy, x, capture):
    host = cupy.standin.host_view(x.data.ptr, 3, "float32")
    cupy.standin.submit(lambda: host.fill(7), x.data.ptr)
    graph = capture.end_capture()
    assert host.tolist() == [0, 1, 2]
    graph.launch()
    assert host.tolist() == [7, 7, 7]


def test_a_launch_may_name_its_stream(cupy, toy, x):
    stream = cupy.cuda.Stream(non_blocking=True)
    stream.begin_capture()
    toy.get_function("scale")((4,), (32,), (x, np.float32(0), np.int32(100)), stream=stream)
    x += 1  # on the current stream, so it is done at once
    graph = stream.end_capture()
    assert x[0].item() == 1
    graph.launch(stream)
    assert x[0].item() == 0


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (AssertionError, "an allocation of 400 bytes", lambda cupy, x, y: x + 1),
        (AssertionError, "an allocation of 8 bytes", lambda cupy, x, y: cupy.zeros(1)),
        (AssertionError, r"sum\(\), which may take memory,", lambda cupy, x, y: x.sum(out=x[0])),
        (AssertionError, "through an array of indices", lambda cupy, x, y: x.__setitem__(x.view(int), 0)),
        (ValueError, "could not be broadcast", lambda cupy, x, y: x.__setitem__(slice(3), y)),
        (NotImplementedError, "cuBLAS", lambda cupy, x, y: cupy.matmul(x, x, out=x[0])),
        (TypeError, "Cannot cast", lambda cupy, x, y: cupy.add(x, 1, out=x.view("int32"))),
    ],
)
def test_what_cannot_be_captured(cupy, x, y, capture, error, message, call):
    with pytest.raises(error, match=message):
        call(cupy, x, y)
    x += 1
    capture.end_capture().launch()  # what was refused is not part of it
    assert x.tolist() == list(range(1, 101))


@pytest.mark.parametrize(
    "call",
    [
        lambda cupy, x: x.get(),
        lambda cupy, x: float(x[0]),
        lambda cupy, x: cupy.asarray(np.ones(3)),
        lambda cupy, x: x.set(np.ones(100, np.float32)),
        lambda cupy, x: cupy.cuda.get_current_stream().synchronize(),
        lambda cupy, x: cupy.cuda.runtime.deviceSynchronize(),
        lambda cupy, x: cupy.cuda.Device().synchronize(),
    ],
)
def test_what_ends_a_capture(cupy, x, capture, call):
    x += 1
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorStreamCaptureUnsupported"):
        call(cupy, x)
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorStreamCaptureInvalidated"):
        capture.end_capture()
    assert x.get()[0] == 0
    assert float(x[1]) == 1


def test_captures_that_are_none(cupy, x):
    with pytest.raises(RuntimeError, match="default"):
        cupy.cuda.Stream.null.begin_capture()
    with pytest.raises(AssertionError, match="non_blocking"):
        cupy.cuda.Stream().begin_capture()
    stream = cupy.cuda.Stream(non_blocking=True)
    with pytest.raises(RuntimeError, match="not capturing"):
        stream.end_capture()
    stream.begin_capture()
    with pytest.raises(RuntimeError, match="already"):
        stream.begin_capture()
    x += 1  # on another stream
    with pytest.raises(AssertionError, match="nothing was captured"):
        stream.end_capture()


def test_a_graph_keeps_no_memory_alive(cupy, x, capture):
    y = x[10:]
    y += 1
    graph = capture.end_capture()
    del y
    graph.launch()  # the memory is that of x
    assert float(x[10]) == 11


def test_a_graph_that_outlives_its_arrays(cupy):
    y, stream = cupy.zeros(3), cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        y += 1
        graph = stream.end_capture()
    del y
    with pytest.raises(AssertionError, match="node 0 of the graph works on an array that is no longer alive"):
        graph.launch()


def test_guards_are_checked_in_graphs(cupy, toy, x, capture):
    toy.get_function("write_before")((1,), (1,), (x,))
    graph = capture.end_capture()
    with pytest.raises(AssertionError, match="write_before, argument 0"):
        graph.launch()

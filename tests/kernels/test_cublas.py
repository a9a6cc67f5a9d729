"""Products by a cuBLAS handle of our own, in every layout, at once and recorded, and what is said without."""

import ctypes
import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import standin
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kernel_checks import assert_close

import minidrop as md
from minidrop.backends import cublas, graphs
from minidrop.errors import ArrayError, BackendError
from minidrop.versions import backends

SIZE = st.sampled_from([1, 2, 3, 5])
#: rows in one piece; columns in one piece; the same, as a part of a larger matrix
LAYOUTS = ("rows", "columns", "part of rows", "part of columns")


@pytest.fixture
def own(device):
    """The backend's own handle."""
    if device._cublas is None:
        pytest.skip(f"products: {device.products}")
    yield device._cublas
    device._cublas.tf32 = False


def laid_out(device, values, how):
    """`values`, (..., rows, columns), in that layout, and the whole memory: a part has a rim of -1."""
    values = np.swapaxes(values, -1, -2) if "columns" in how else values
    rim = 1 if "part" in how else 0
    *batch, rows, columns = values.shape
    whole = np.full((*batch, rows + 2 * rim, columns + 2 * rim), -1, values.dtype)
    inside = (..., slice(rim, rim + rows), slice(rim, rim + columns))
    whole[inside] = values
    there = device.asarray(whole)
    part = there[inside]
    axes = (*range(values.ndim - 2), values.ndim - 1, values.ndim - 2)
    return (part.transpose(axes) if "columns" in how else part), there


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    rows=SIZE,
    inner=SIZE,
    columns=SIZE,
    layouts=st.tuples(*[st.sampled_from(LAYOUTS)] * 2, st.sampled_from(["rows", "part of rows"])),
    batches=st.tuples(*[st.sampled_from([(), (1,), (3,)])] * 2),
    dtype=st.sampled_from(["float32", "float64"]),
    recorded=st.booleans(),
)
@example(2, 3, 5, ("columns", "rows", "rows"), ((), ()), "float32", True)  # dW = dzᵀ x
@example(2, 3, 5, ("rows", "columns", "part of rows"), ((3,), (3,)), "float64", True)  # y = x Wᵀ, in replicas
def test_every_layout(device, own, rows, inner, columns, layouts, batches, dtype, recorded):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(*batches[0], rows, inner)).astype(dtype)
    b = rng.normal(size=(*batches[1], inner, columns)).astype(dtype)
    expected = a.astype("float64") @ b.astype("float64")
    nothing = np.full(expected.shape, np.nan, dtype)
    (first, _), (second, _), (out, whole) = (
        laid_out(device, values, how) for values, how in zip((a, b, nothing), layouts, strict=True)
    )

    def work():
        assert own.product(first, second, out)

    graphs.record(own, work).launch() if recorded else work()
    assert_close(device, out, expected, dtype, size=inner * 10)
    assert (np.asarray(device.to_host(whole)) == -1).sum() == whole.size - out.size


def test_what_is_no_product(device, own):
    empty = device.xp.empty
    for a, b, out in [
        ((2, 3), (4, 5), (2, 5)),
        ((2, 3), (3, 5), (5, 2)),
        ((2, 2, 3), (3, 3, 5), (3, 2, 5)),
        ((2, 2, 3), (3, 5), (2, 5)),
    ]:
        with pytest.raises(ArrayError, match="does not fit into"):
            own.product(empty(a), empty(b), empty(out))


def test_what_cublas_cannot_take_is_cupys(device, own):
    """Gaps between columns, mixed dtypes, a result by columns: the same product in another way."""
    a, b = np.arange(12.0).reshape(2, 6), np.arange(15.0).reshape(3, 5)
    gaps, there, out = device.asarray(a)[:, ::2], device.asarray(b), device.xp.empty((2, 5))
    turned = device.xp.empty((5, 2)).T
    assert not own.product(gaps, there, out)
    assert not own.product(gaps.copy(), there, turned)
    assert not own.product(gaps.copy(), there.astype("float32"), out)
    for target in (out, turned):
        device.matmul(gaps, there, target)
        np.testing.assert_array_equal(device.to_host(target), a[:, ::2] @ b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_coefficients_are_read_when_a_graph_is_launched(device, own, dtype):
    """C ← β C + α A B, with β = 0 also for a C of NaNs."""
    a, b = np.arange(6.0).reshape(2, 3).astype(dtype), np.arange(12.0).reshape(3, 4).astype(dtype)
    first, second, out = device.asarray(a), device.asarray(b), device.xp.full((2, 4), np.nan, dtype)
    coefficients, expected = device.xp.empty(2, dtype), 0
    graph = graphs.record(own, lambda: own.product(first, second, out, coefficients))
    for alpha, beta in ((2, 0), (-1, 3), (0.5, 0.25)):
        coefficients[...] = device.asarray(np.array([alpha, beta], dtype))
        graph.launch()
        expected = beta * expected + alpha * (a @ b)
        np.testing.assert_array_equal(device.to_host(out), expected)


def test_tf32_is_allowed_by_name_and_only_for_float32(device, stand_in):
    def computed_in(dtype):
        x = device.xp.ones((2, 2), dtype)
        device.matmul(x, x, device.xp.empty((2, 2), dtype))
        return device.xp.cublas.computed_in[-1]

    assert (computed_in("float32"), computed_in("float64")) == (68, 70)
    device.tf32 = True
    try:
        assert (computed_in("float32"), computed_in("float64")) == (77, 70)
    finally:
        device.tf32 = False
    assert computed_in("float32") == 68


def test_work_that_cannot_be_recorded_is_refused_and_the_next_is_not(device, own):
    x = device.xp.ones((2, 2))

    def work():
        x[...] = 7
        raise RuntimeError("cudaErrorStreamCaptureUnsupported: no\n  way")

    with pytest.raises(BackendError, match=r"^CUDA cannot record it: cudaError.*: no way"):
        graphs.record(own, work)
    assert device.to_host(x).tolist() == [[1, 1], [1, 1]]
    device.matmul(x, x, x.copy())
    graphs.check(device.xp, own)


# -- a cuBLAS that is not there, or does not work ------------------------------------------------------------


def products(spoil):
    """What the backend says of its products with a cuBLAS that is spoiled."""
    with standin.installed() as cupy:
        spoil(cupy.cublas)
        return md.get_backend("cupy").products


def fails_at(name, status):
    def spoil(library):
        function = getattr(library, name)
        setattr(library, name, type(function)(lambda *arguments: status))
        library.said = "the reason"

    return spoil


def lacks_one(library):
    library.__class__ = type("Library", (), {})  # what is left are its functions
    del library.cublasGemmEx


def computes_only_at_once(library):
    submit = library.standin.submit
    recording = library.standin.is_recording
    library.standin.submit = lambda work, *of: submit((lambda: None) if recording() else work, *of)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (fails_at("cublasCreate_v2", 1), "cublasCreate failed with status 1: the reason"),
        (fails_at("cublasSetStream_v2", 1), "cublasSetStream failed with status 1: the reason"),
        (fails_at("cublasGemmEx", 15), "cublasGemmEx failed with status 15: the reason"),
        (lacks_one, "this libcublas is too old: .*cublasGemmEx.*"),
        (fails_at("cublasGemmEx", 0), "a product of cuBLAS 13.1 is wrong"),
        (computes_only_at_once, "a recorded product of cuBLAS 13.1 is wrong"),
    ],
)
def test_a_cublas_that_does_not_work_is_not_used(compiler, spoil, message):
    found = products(spoil)
    assert re.fullmatch(rf"CuPy, uncaptured \({message}\)", found)


def test_without_cublas_training_goes_on_by_cupy_and_info_says_so(compiler, minidrop):
    with standin.installed(cublas=False):
        train = ("train", "--backend", "cupy", "--epochs", 1, "--dropout", 0.5)
        code, _, err = minidrop(*train, "--layers", "64-8-10")
        assert code == 0, err
        assert backends()["cupy"] == (
            "ready (stand-in); products: CuPy, uncaptured (there is no libcublas for CUDA 12)"
        )


def test_the_library_is_looked_for_where_cuda_has_it(monkeypatch):
    """NVIDIA's own search first, if it is installed; then by its name."""
    cupy = SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(runtimeGetVersion=lambda: 13010)))
    asked, there = [], {"libcublas.so.13": "by name"}

    def dll(name):
        asked.append(name)
        if name not in there:
            raise OSError(name)
        return there[name]

    def pathfinder(name):
        if name != "cublas" or "/cuda/libcublas.so.13" not in there:
            raise RuntimeError("not found")
        return SimpleNamespace(abs_path="/cuda/libcublas.so.13")

    package, module = ModuleType("cuda"), ModuleType("cuda.pathfinder")
    module.load_nvidia_dynamic_lib = pathfinder
    monkeypatch.setattr(ctypes, "CDLL", dll)
    for installed in (False, True):
        if installed:
            monkeypatch.setitem(sys.modules, "cuda", package)
            monkeypatch.setitem(sys.modules, "cuda.pathfinder", module)
        assert cublas.load(cupy) == "by name"
    there["/cuda/libcublas.so.13"] = "NVIDIA's"
    assert cublas.load(cupy) == "NVIDIA's"
    there.clear()
    asked.clear()
    with pytest.raises(BackendError, match="there is no libcublas for CUDA 13"):
        cublas.load(cupy)
    assert asked == ["libcublas.so.13", "cublas64_13.dll"]

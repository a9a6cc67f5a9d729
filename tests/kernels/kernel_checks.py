"""What every kernel must do: the plain definition of its name, on inputs that sit around its edges.

Each check takes the CuPy backend and raises AssertionError if the two differ. Tests call them with what
hypothesis finds; the mutants of kernels call them with a kernel that is broken.
"""

import numpy as np
from plain import PlainBackend
from tolerances import FLOAT32_ROUNDING, FLOAT64_ROUNDING, ROW_NORM_EPS

from minidrop.backends import Draw, Moving, Scaling, Source, Workspace
from minidrop.streams import Stream

ROUNDING = {"float32": FLOAT32_ROUNDING, "float64": FLOAT64_ROUNDING}
PLAIN = PlainBackend()


def assert_close(device, actual, expected, dtype, size=1.0):
    """Equal but for the order of sums of numbers up to `size`."""
    actual = device.to_host(actual)
    assert actual.dtype == dtype
    tolerance = ROUNDING[dtype] * size
    np.testing.assert_allclose(actual, expected, rtol=ROUNDING[dtype], atol=tolerance)


def check_mask(device, n, start, threshold, stream, step, in_numbers=False):
    """The bits of NumPy's generator; also when the step is read from the device."""
    numbers = device.numbers(Moving(0.1, steps=step)) if in_numbers else None
    expected = stream.lanes(n, step, start) >= threshold
    keep = device.asarray(~expected)  # so that an element that nobody writes is wrong
    device.keep_mask(Draw(stream, 12345 if in_numbers else step, threshold, keep, start, numbers))
    np.testing.assert_array_equal(device.to_host(keep), expected)


def check_bias_relu_dropout(device, shape, dtype, keep_kind, has_bias, scale, seed, start=0):
    """Exactly, since nothing is summed; a drawn mask is left where it can be read."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=shape).astype(dtype)
    z.flat[rng.integers(z.size)] = np.nan
    bias = rng.normal(size=shape[1]).astype(dtype) if has_bias else None
    stream, threshold = Stream(seed), 20000
    masks = {
        "none": None,
        "element": rng.random(shape) < 0.5,
        "feature": rng.random(shape[1]) < 0.5,
        "drawn": (stream.lanes(z.size, 3, start) >= threshold).reshape(shape),
        "of everything": np.broadcast_to(rng.random() < 0.5, shape),
    }
    expected, keep = z.copy(), masks[keep_kind]
    PLAIN.bias_relu_dropout(expected, bias, keep, scale, Workspace(np))

    actual = device.asarray(z)
    there = None if keep is None else device.asarray(np.ascontiguousarray(keep))
    if keep_kind == "of everything":
        there = device.xp.broadcast_to(device.asarray(keep[0, 0]), shape)
    if keep_kind == "drawn":
        there = Draw(stream, 3, threshold, device.asarray(~keep), start)
    on_device = None if bias is None else device.asarray(bias)
    device.bias_relu_dropout(actual, on_device, there, scale, Workspace(device.xp))
    np.testing.assert_array_equal(device.to_host(actual), expected)
    if keep_kind == "drawn":
        np.testing.assert_array_equal(device.to_host(there.keep), keep)


def check_relu_dropout_backward(device, shape, dtype, scale, seed):
    """Exactly, with outputs of 0 and of the smallest number above it."""
    rng = np.random.default_rng(seed)
    dy = rng.normal(size=shape).astype(dtype)
    y = rng.choice(np.array([0, 1, np.finfo(dtype).smallest_subnormal], dtype), size=shape)
    actual, expected = device.asarray(dy), dy.copy()
    device.relu_dropout_backward(actual, device.asarray(y), scale, Workspace(device.xp))
    PLAIN.relu_dropout_backward(expected, y, scale, Workspace(np))
    np.testing.assert_array_equal(device.to_host(actual), expected)


def check_gather(device, rows, columns, dtype, pixels, seed):
    """Batches from bytes and from numbers, as the backend asks for them."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (rows + 5, columns)).astype(pixels)
    indices, scaling = rng.permutation(rows + 5)[:rows], Scaling(255, 0.3, 0.7)
    x = device.xp.empty((rows, columns), dtype)
    device.gather(device.asarray(images), device.asarray(indices), scaling, x, Workspace(device.xp))
    expected = PLAIN.gather(images, indices, scaling, np.empty((rows, columns), dtype), Workspace(np))
    assert_close(device, x, expected, dtype)


def check_next_batch(device, dtype, pixels, rows, columns, batches, step, seed, drops=True):
    """The batch after those that are counted, here a smaller one, with the network's input dropout on it."""
    rng = np.random.default_rng(seed)
    n, batch_size, scaling = rows + 3 + batches * (rows + 2), rows + 2, Scaling(255, 0.3, 0.7)
    arrays = rng.integers(0, 256, (n, columns)).astype(pixels), rng.integers(0, 10, n), rng.permutation(n)

    def made(backend):
        xp, asarray = backend.xp, backend.asarray
        tally = backend.tally()
        tally.begin(batches)
        x, labels = xp.empty((rows, columns), dtype), xp.empty(rows, "int64")
        numbers = backend.numbers(Moving(0.1, steps=step))
        keep = Draw(Stream(seed), step, 20000, xp.empty((rows, columns), bool), numbers=numbers)
        source = Source(*map(asarray, arrays), batch_size, scaling)
        backend.next_batch(source, tally, keep if drops else None, 1.25, x, labels)
        return [backend.to_host(array) for array in (x, labels, *([keep.keep] if drops else []))]

    (x, *exact), (expected, *others) = made(device), made(PLAIN)
    assert_close(device, device.asarray(x), expected, dtype)
    for mine, plain in zip(exact, others, strict=True):
        np.testing.assert_array_equal(mine, plain)


def check_softmax(device, rows, classes, dtype, scale, spread, seed, labels_as="int64"):
    """Loss and gradient, at logits up to hundreds of times `spread`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (rows, classes)).astype(dtype)
    labels = rng.integers(0, classes, rows).astype(labels_as)
    gradient, expected = device.xp.empty((rows, classes), dtype), np.empty((rows, classes), dtype)
    arrays = device.asarray(logits), device.asarray(labels)
    loss = device.softmax_cross_entropy(*arrays, scale, gradient, Workspace(device.xp))
    plain = PLAIN.softmax_cross_entropy(logits, labels, scale, expected, Workspace(np))
    assert loss.shape == ()
    assert_close(device, loss, plain, dtype, size=scale * rows * (1 + spread))
    assert_close(device, gradient, expected, dtype, size=max(1, spread))


def check_count_batch(device, dtype="float32"):
    """An epoch's sum, bit for bit that of the host."""
    on_host, there = PLAIN.tally(), device.tally()
    for tally, asarray in ((on_host, np.asarray), (there, device.asarray)):
        tally.begin(batches=3, loss_sum=0.1)
        for loss, examples in ((0.7, 50), (0.3, 7)):
            known = tally.add(asarray(np.array(loss, dtype)), examples)
            assert known == (np.dtype(dtype).type(loss) if tally is on_host else None)
    assert device.to_host(there.array).tolist() == [on_host.batches, on_host.loss_sum]
    assert (there.batches, there.loss_sum) == (on_host.batches, on_host.loss_sum)


def check_column_sums(device, rows, columns, dtype, seed):
    matrix = np.random.default_rng(seed).normal(size=(rows, columns)).astype(dtype)
    sums = device.xp.empty(columns, dtype)
    device.column_sums(device.asarray(matrix), sums)
    assert_close(
        device, sums, matrix.sum(axis=0, dtype="float64"), dtype, size=np.abs(matrix).sum(axis=0).max()
    )


def check_replicas(device, dtype, seed, replicas=3, rows=5, columns=37):
    """Each operation that takes an axis of replicas, against its definition; biases lie in arenas."""
    rng = np.random.default_rng(seed)
    stream, ws = Stream(seed, index=1), Workspace(device.xp)
    matrices = rng.normal(size=(replicas, rows, columns)).astype(dtype)
    arena = rng.normal(size=(replicas, 3 * columns)).astype(dtype)
    numbers = device.numbers(Moving(0.1, steps=7))
    for per_element in (True, False):
        shape = (replicas, rows if per_element else 1, columns)
        lanes = [Stream(seed + k, index=1).lanes(shape[1] * columns, 7) for k in range(replicas)]
        keep = np.reshape(lanes, shape) >= 20000
        assert np.array_equal(PLAIN.drawn(Draw(stream, 7, 20000, np.empty(shape, bool), replicas=True)), keep)
        on_device = device.asarray(matrices)
        draw = Draw(stream, 12345, 20000, device.asarray(~keep), numbers=numbers, replicas=True)
        mask = draw if per_element else device.drawn(draw)
        bias = device.asarray(arena)[:, columns : 2 * columns]
        device.bias_relu_dropout(on_device, bias, mask, 1.25, ws)
        expected = matrices.copy()
        PLAIN.bias_relu_dropout(expected, arena[:, columns : 2 * columns], keep, 1.25, Workspace(np))
        np.testing.assert_array_equal(device.to_host(on_device), expected)
        np.testing.assert_array_equal(device.to_host(draw.keep), keep)

    sums, expected = device.asarray(arena), arena.copy()
    device.column_sums(device.asarray(matrices), sums[:, columns : 2 * columns])
    PLAIN.column_sums(matrices, expected[:, columns : 2 * columns])
    assert_close(device, sums, expected, dtype, size=rows)

    labels, gradient = rng.integers(0, columns, (replicas, rows)), np.empty_like(matrices)
    there = device.xp.empty(matrices.shape, dtype)
    loss = device.softmax_cross_entropy(device.asarray(matrices), device.asarray(labels), 0.5, there, ws)
    plain = PLAIN.softmax_cross_entropy(matrices, labels, 0.5, gradient, Workspace(np))
    assert_close(device, loss, plain, dtype, size=rows)
    assert_close(device, there, gradient, dtype)

    tallies = device.xp.zeros((replicas, 2), "float64")
    device.count_batch(tallies, loss, rows)
    counted = np.stack([np.ones(replicas), device.to_host(loss).astype("float64") * rows], axis=1)
    np.testing.assert_array_equal(device.to_host(tallies), counted)


def check_row_norms(device, rows, columns, dtype, limit, seed):
    """Squared lengths, and the projection, which leaves rows within the limit as they are."""
    rng = np.random.default_rng(seed)
    matrix = (rng.normal(size=(rows, columns)) * rng.choice([0.1, 1, 10], (rows, 1))).astype(dtype)
    matrix[rng.integers(rows)] = 0
    squared = device.squared_row_norms(device.asarray(matrix))
    exact = (matrix.astype("float64") ** 2).sum(axis=1)
    np.testing.assert_allclose(device.to_host(squared), exact, rtol=ROUNDING[dtype])

    projected = device.asarray(matrix)
    device.limit_row_norms(projected, limit, Workspace(device.xp))
    check_projected(device.to_host(projected), matrix, limit)


def check_projected(projected, matrix, limit):
    """Rows within the limit keep their bits, longer ones their direction."""
    lengths = np.sqrt((matrix.astype("float64") ** 2).sum(axis=1))
    eps = np.finfo(matrix.dtype).eps * ROW_NORM_EPS
    within = lengths < limit * (1 - eps)
    np.testing.assert_array_equal(projected[within], matrix[within])
    factor = np.where(within, 1, limit / np.maximum(lengths, limit))[:, None]
    np.testing.assert_allclose(projected, matrix * factor, rtol=2 * eps, atol=0)

"""Where arrays come from: fresh memory by default, the same memory again inside a training step."""

import numpy as np

from minidrop.backends import Workspace


def test_a_fresh_workspace_never_gives_memory_twice():
    workspace = Workspace(np)
    arrays = [workspace.array("y", (2, 3), "float32") for _ in range(5)]
    assert all(array.shape == (2, 3) and array.dtype == np.float32 for array in arrays)
    pairs = [(i, j) for i in range(5) for j in range(i)]
    assert not any(np.shares_memory(arrays[i], arrays[j]) for i, j in pairs)


def test_a_reused_workspace_has_one_buffer_a_name():
    workspace = Workspace(np, reuse=True)
    y = workspace.array("y", (4, 3), "float32")
    assert workspace.array("y", (4, 3), "float32") is y
    for another in (workspace.array("dx", (4, 3), "float32"), workspace.array("y", (4, 3), "float64")):
        assert not np.shares_memory(another, y)
        assert another.shape == (4, 3)

    smaller = workspace.array("y", (2, 5), "float32")  # shrinks to a view
    assert smaller.shape == (2, 5)
    assert smaller.flags.c_contiguous
    assert np.shares_memory(smaller, y)
    assert workspace.array("y", (4, 3), "float32") is y

    larger = workspace.array("y", (5, 5), "float32")  # grows, and the smaller shapes move along
    assert larger.shape == (5, 5)
    assert not np.shares_memory(larger, y)
    assert np.shares_memory(workspace.array("y", (4, 3), "float32"), larger)


def test_reuse_can_be_switched_off_again():
    workspace = Workspace(np, reuse=True)
    y = workspace.array("y", (2,), "float64")
    workspace.reuse = False
    assert not np.shares_memory(workspace.array("y", (2,), "float64"), y)

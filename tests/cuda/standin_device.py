"""The device that the stand-in for CuPy stands in for: its memory, and what it counts and forbids."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from standin_streams import CUDARuntimeError, StandInError, current_stream, submit

GUARD_BYTES = 256
#: memory begins at multiples of this, as CUDA's does
ALIGNMENT = 256
#: a NaN in float32, and two of them one in float64
SPOILED = 0xFFFA5C13


class Device:
    """What `cupy.standin` is.

    Attributes:
        allocations: how often memory was taken, also for the temporary results of expressions.
        host_reads: how often the host looked at values; on a GPU it then waits for all work before.
        uploads: how often values were copied from the host.
        live_bytes, peak_bytes: how much memory is in use, and the most that was.
        order: in which order kernels run blocks and threads: "forward", "reverse" or the seed of a shuffle.
    """

    def __init__(self) -> None:
        self.allocations = self.host_reads = self.uploads = 0
        self.live_bytes = self.peak_bytes = 0
        self.order: str | int = "forward"
        self._forbidden: tuple[str, ...] = ()
        self._memories: weakref.WeakSet[Memory] = weakref.WeakSet()

    def note(self, what: str, text: str) -> None:
        """Count one of `what`, or refuse it: because a test forbids it, or because of a capture."""
        if what in self._forbidden:
            raise StandInError(f"{text} inside no_{what}()")
        current_stream().refuse_capturing(text, StandInError if what == "allocations" else CUDARuntimeError)
        setattr(self, what, getattr(self, what) + 1)

    def no_host_reads(self) -> AbstractContextManager[None]:
        """A context in which looking at values is a StandInError."""
        return self._without("host_reads")

    def no_allocations(self) -> AbstractContextManager[None]:
        """A context in which taking memory is a StandInError, also for temporary results."""
        return self._without("allocations")

    @contextmanager
    def _without(self, what: str) -> Iterator[None]:
        before = self._forbidden
        self._forbidden = (*before, what)
        try:
            yield
        finally:
            self._forbidden = before

    def allocate(self, nbytes: int) -> "Memory":
        """New memory, full of NaNs."""
        self.note("allocations", f"an allocation of {nbytes} bytes")
        memory = Memory(self, nbytes)
        self._memories.add(memory)
        return memory

    def memory_at(self, address: int) -> "Memory":
        """The memory that `address` points into; StandInError if there is none, or none any more."""
        for memory in self._memories:
            if memory.ptr <= address < memory.ptr + max(1, memory.bytes.size):
                return memory
        raise StandInError(f"address {address:#x} is in no array that is alive")

    def host_view(self, address: int, count: int, dtype: Any) -> np.ndarray:
        """`count` numbers from `address` on, for what stands in for a library that takes addresses."""
        memory = self.memory_at(address)
        start, nbytes = address - memory.ptr, count * np.dtype(dtype).itemsize
        if start + nbytes > memory.bytes.size:
            raise StandInError(f"{nbytes} bytes from {address:#x} on reach beyond the array that is there")
        return memory.bytes[start : start + nbytes].view(dtype)

    def is_recording(self) -> bool:
        """Whether the current stream is capturing."""
        return current_stream().graph is not None

    def submit(self, work: Callable[[], object], *addresses: int) -> None:
        """Do `work` on the current stream, or capture it; for what stands in for such a library."""
        submit(work, [self.memory_at(address) for address in addresses])


class Memory:
    """One allocation, filled with NaNs, between two guard bands that nobody may write to."""

    def __init__(self, device: Device, nbytes: int) -> None:
        words = (nbytes + 2 * GUARD_BYTES + ALIGNMENT) // 4 + 1
        raw = np.full(words, SPOILED, np.uint32).view(np.uint8)
        start = GUARD_BYTES + -(raw.ctypes.data + GUARD_BYTES) % ALIGNMENT
        self.bytes = raw[start : start + nbytes]
        self.ptr: int = raw.ctypes.data + start
        self._guards = raw[start - GUARD_BYTES : start], raw[start + nbytes : start + nbytes + GUARD_BYTES]
        self._intact = [guard.copy() for guard in self._guards]
        self._device = device
        device.live_bytes += nbytes
        device.peak_bytes = max(device.peak_bytes, device.live_bytes)

    def __del__(self) -> None:
        self._device.live_bytes -= self.bytes.size

    def damage(self) -> str:
        """Where somebody wrote outside, in words, and repair it; nothing if nobody did."""
        for guard, intact, side in zip(self._guards, self._intact, ("before", "after"), strict=True):
            written = np.flatnonzero(guard != intact)
            if written.size:
                guard[...] = intact
                distance = GUARD_BYTES - written[-1] if side == "before" else written[0] + 1
                return f"{written.size} bytes {side} its memory, the nearest {distance} bytes away"
        return ""


_device = Device()


def device() -> Device:
    """The one device."""
    return _device


def new_device() -> Device:
    """Exchange the device for a fresh one, with counts of 0."""
    global _device
    _device = Device()
    return _device

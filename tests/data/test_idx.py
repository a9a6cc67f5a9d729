"""The IDX format against its definition, byte by byte, and every way in which a file can be damaged."""

import gzip
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minidrop.data import read_idx, write_idx
from minidrop.errors import ArgumentError, DataError

#: a 2x3 uint8 array as the definition of the format spells it
PLAIN = bytes.fromhex("00000802 00000002 00000003 010203040506")
ARRAY = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
#: one header for all times, so that the positions of the bytes are known
PACKED = gzip.compress(PLAIN, mtime=0)


@pytest.fixture
def refused(tmp_path):
    """Write bytes to a file, read it, and return the one line of complaint."""

    def read(content):
        path = tmp_path / "some-file"
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            read_idx(path)
        message = str(caught.value)
        assert str(path) in message
        assert "\n" not in message
        return message

    return read


@pytest.mark.parametrize(
    ("code", "letter", "dtype"),
    [
        (0x08, "B", "uint8"),
        (0x09, "b", "int8"),
        (0x0B, "h", "int16"),
        (0x0C, "i", "int32"),
        (0x0D, "f", "float32"),
        (0x0E, "d", "float64"),
    ],
)
def test_every_type_of_the_format_is_read_and_written_as_defined(tmp_path, code, letter, dtype):
    content = bytes([0, 0, code, 1]) + struct.pack(f">I3{letter}", 3, 1, 2, 100)
    (tmp_path / "read").write_bytes(content)

    array = read_idx(tmp_path / "read")

    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.tolist() == [1, 2, 100]
    write_idx(tmp_path / "written", array)
    assert (tmp_path / "written").read_bytes() == content


def test_axes_are_in_c_order(tmp_path):
    (tmp_path / "file").write_bytes(PLAIN)
    np.testing.assert_array_equal(read_idx(tmp_path / "file"), ARRAY)


@pytest.mark.parametrize("content", [PLAIN, PACKED])
@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_compression_is_seen_from_the_content_and_not_from_the_name(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    np.testing.assert_array_equal(read_idx(tmp_path / name), ARRAY)


@pytest.mark.parametrize("content", [PLAIN, PACKED])
def test_what_is_read_can_be_written_to(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    array = read_idx(str(tmp_path / "file"))
    assert array.flags.writeable
    assert array.flags.c_contiguous


DTYPES = st.sampled_from(["uint8", "int8", "int16", "int32", "float32", "float64", ">i2", ">f8"])


@given(array=hnp.arrays(DTYPES, hnp.array_shapes(max_dims=4, max_side=5)), packed=st.booleans())
def test_a_round_trip_keeps_every_bit(array, packed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("file.gz" if packed else "file")
        write_idx(path, array)
        assert (path.read_bytes()[:2] == b"\x1f\x8b") == packed
        back = read_idx(path)
    native = array.astype(array.dtype.newbyteorder("="))
    assert back.dtype == native.dtype
    assert back.shape == native.shape
    assert back.tobytes() == native.tobytes()  # NaNs included


@pytest.mark.parametrize("array", [ARRAY.T, ARRAY[:, ::2], np.asfortranarray(ARRAY)])
def test_arrays_that_are_not_in_c_order_are_written_right(tmp_path, array):
    write_idx(tmp_path / "file", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "file"), array)


def test_the_same_array_gives_the_same_compressed_file(tmp_path):
    write_idx(tmp_path / "file.gz", ARRAY)
    content = (tmp_path / "file.gz").read_bytes()
    assert content[4:8] == bytes(4)  # the time in a gzip header
    assert gzip.decompress(content) == PLAIN


@pytest.mark.parametrize("length", range(len(PLAIN)))
def test_a_truncated_file_is_refused(refused, length):
    message = refused(PLAIN[:length])
    what = "not an IDX file" if length < 4 else "within its header" if length < 12 else "is truncated"
    assert what in message


def test_sizes_are_named(refused):
    assert "promises 18 bytes, for shape (2, 3) of uint8, but it holds 17" in refused(PLAIN[:-1])


@pytest.mark.parametrize("content", [PLAIN + b"\0", gzip.compress(PLAIN + b"\0")], ids=["plain", "gzip"])
def test_trailing_bytes_are_refused(refused, content):
    assert "trailing bytes" in refused(content)


@pytest.mark.parametrize(
    ("start", "why"),
    [
        ("00010802", "first byte not zero"),
        ("01000802", "second byte not zero"),
        ("00000002", "type 00"),
        ("00000a02", "type 0a, which the format skips"),
        ("00000f02", "type 0f"),
        ("00000800", "no axes"),
        ("00000841", "65 axes"),
        ("504b0304", "a zip file"),
    ],
)
def test_a_bad_magic_number_is_refused(refused, start, why):
    message = refused(bytes.fromhex(start) + PLAIN[4:])
    assert "not an IDX file" in message, why
    assert bytes.fromhex(start).hex(" ") in message


def test_64_axes_are_read(tmp_path):
    (tmp_path / "file").write_bytes(bytes([0, 0, 8, 64]) + struct.pack(">I", 1) * 64 + b"\x07")
    assert read_idx(tmp_path / "file").shape == (1,) * 64


def test_a_size_of_zero_is_refused(refused):
    assert "no elements" in refused(bytes.fromhex("00000802 00000000 00000003"))


def test_sizes_beyond_any_memory_are_refused_before_anything_is_allocated(refused):
    message = refused(bytes([0, 0, 14, 3]) + b"\xff" * 12)
    assert f"is truncated: its header promises {16 + 8 * (2**32 - 1) ** 3} bytes" in message


@pytest.mark.parametrize("length", range(2, len(PACKED)))
def test_truncated_gzip_is_refused(refused, length):
    assert "does not decompress" in refused(PACKED[:length])


# 0-9: header, of which 4-9 (time, flags of the compressor, system) mean nothing; then data, CRC and length
@pytest.mark.parametrize("position", [2, 3, *range(10, len(PACKED))])
def test_damaged_gzip_is_refused_wherever_the_damage_is(refused, position):
    damaged = bytearray(PACKED)
    damaged[position] ^= 0xFF
    assert "does not decompress" in refused(bytes(damaged))


def test_garbage_after_gzip_is_refused(refused):
    assert "does not decompress" in refused(PACKED + b"garbage")


def test_gzip_of_something_else_is_refused(refused):
    assert "not an IDX file" in refused(gzip.compress(b"<html>404</html>"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere cannot be read: No such file"):
        read_idx(tmp_path / "nowhere")


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read: "):
        read_idx(tmp_path)


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    def denied(path):  # not chmod, which does not stop root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(DataError, match=r"file cannot be read: Permission denied$"):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize("dtype", ["int64", "uint16", "float16", "bool", "complex64", "U1"])
def test_dtypes_that_the_format_does_not_have_are_not_written(tmp_path, dtype):
    with pytest.raises(ArgumentError, match=r"an IDX file holds uint8, .*; convert the "):
        write_idx(tmp_path / "file", np.zeros(3, dtype))
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_arrays_without_elements_or_axes_are_not_written(tmp_path, shape):
    with pytest.raises(ArgumentError, match=r"at least one axis and one element"):
        write_idx(tmp_path / "file", np.zeros(shape, np.uint8))
    assert not (tmp_path / "file").exists()


def test_a_folder_that_is_not_there_cannot_be_written_to(tmp_path):
    with pytest.raises(DataError, match=r"file cannot be written: No such file"):
        write_idx(tmp_path / "nowhere" / "file", ARRAY)

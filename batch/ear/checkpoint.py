"""TensorFlow's checkpoint (V2, "tensor bundle") as arrays, without TensorFlow.

The index is a table of LevelDB's format: a footer of 48 bytes names the index block, whose entries name the data blocks; a block
is a list of keys with shared prefixes, then the offsets of its restarts. Here no block is compressed. A value is a message
BundleEntryProto (tensorflow/core/protobuf/tensor_bundle.proto) that says where an array lies in the data file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOOTER_BYTES = 48
TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
DT_FLOAT = 1
_DTYPE, _SHAPE, _OFFSET, _SIZE, _CRC32C = 1, 2, 4, 5, 6
"""Numbers of the fields of BundleEntryProto."""
_CRC_MASK_DELTA = 0xA282EAD8


class CheckpointDamaged(ValueError):
    """The files are no checkpoint, or not one that is whole."""


def arrays(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """The float32 arrays of a checkpoint by name, without an optimiser's. Raises CheckpointDamaged."""
    import crc32c
    import numpy as np

    try:
        entries = [(name, dict(_fields(value))) for name, value in _entries(index) if name]
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise CheckpointDamaged(f"the index breaks off: {error}") from error
    array_by_name = {}
    for name, entry in entries:
        if entry.get(_DTYPE) != DT_FLOAT or "Adam" in name:
            continue
        raw = data[entry.get(_OFFSET, 0) : entry.get(_OFFSET, 0) + entry[_SIZE]]
        shape = _shape(entry.get(_SHAPE, b""))
        if len(raw) != 4 * prod(shape) or _masked(crc32c.crc32c(raw)) != struct.unpack("<I", entry[_CRC32C])[0]:
            raise CheckpointDamaged(f"{name} is not what the index says: {len(raw):,} bytes of the shape {shape}")
        array_by_name[name] = np.frombuffer(raw, "<f4").reshape(shape)
    return array_by_name


def _entries(index: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, value) of each array. Raises CheckpointDamaged."""
    footer = index[-FOOTER_BYTES:]
    if footer[-8:] != TABLE_MAGIC:
        raise CheckpointDamaged("the index is no table of LevelDB's format")
    position = 0
    for _ in range(2):  # the first block handle, of the meta index, is not needed
        _, position = _varint(footer, position)
    start, position = _varint(footer, position)
    size, _ = _varint(footer, position)
    for _, handle in _block(index, start, size):
        block_start, position = _varint(handle, 0)
        block_size, _ = _varint(handle, position)
        for key, value in _block(index, block_start, block_size):
            yield key.decode(), value


def _block(index: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of each entry of a block."""
    if index[start + size] != 0:
        raise CheckpointDamaged("a block of the index is compressed, which is not supported")
    block = index[start : start + size]
    restarts = struct.unpack("<I", block[-4:])[0]
    end, position, key = size - 4 - 4 * restarts, 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field of a protobuf message: an int, or the bytes of a longer value."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if length is None:
            length, position = _varint(message, position)
        yield tag >> 3, message[position : position + length]
        position += length


def _shape(message: bytes) -> tuple[int, ...]:
    """The sizes of a TensorShapeProto."""
    return tuple(dict(_fields(value)).get(1, 0) for number, value in _fields(message) if number == 2)


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """(number, position behind it)"""
    number = shift = 0
    while True:
        byte = content[position]
        position += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, position


def _masked(crc: int) -> int:
    """LevelDB's mask of a CRC-32C: rotated by 15 bits, plus a constant."""
    return ((crc >> 15 | crc << 17) + _CRC_MASK_DELTA) & 0xFFFFFFFF

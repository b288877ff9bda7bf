"""Thrift's compact protocol, in which Parquet's footers and page headers are written: structs in, bytes out, and back.

A struct is a dictionary from field numbers to values with their kind, so that fields that this library knows nothing
of come out as they went in.
"""

import struct
from typing import Any, NamedTuple

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, _, STRUCT = range(1, 13)


class Value(NamedTuple):
    """A value: an int, float, bool, bytes, a struct, or `Items`, and which of these."""

    kind: int
    value: Any


class Items(NamedTuple):
    """Values of a list, all of one kind."""

    kind: int
    values: list[Any]


Struct = dict[int, Value]


class Raw(bytes):
    """A struct that is written already."""


def write(fields: Struct) -> bytes:
    """Bytes of a struct."""
    out = bytearray()
    _write_struct(out, fields)
    return bytes(out)


def read(data: bytes) -> Struct:
    """The struct at the start of some bytes.

    Raises
    ------
    ValueError
        If there is none.
    """
    try:
        return _read_struct(data, 0)[0]
    except (IndexError, struct.error, RecursionError) as error:
        raise ValueError("no struct of thrift's compact protocol") from error


def varint(number: int) -> bytes:
    """A number of at least 0, seven bits a byte."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _write_struct(out: bytearray, fields: Struct) -> None:
    last = 0
    for number, (kind, value) in sorted(fields.items()):
        if kind in (TRUE, FALSE):
            kind = TRUE if value else FALSE
        step = number - last
        out += bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + varint(_zigzag(number))
        if kind not in (TRUE, FALSE):
            _write_value(out, kind, value)
        last = number
    out.append(0)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind == STRUCT:
        if isinstance(value, Raw):
            out += value
        else:
            _write_struct(out, value)
    elif kind in (LIST, SET):
        count = len(value.values)
        out += bytes([count << 4 | value.kind]) if count < 15 else bytes([0xF0 | value.kind]) + varint(count)
        for one in value.values:
            _write_value(out, value.kind, one)
    elif kind == BINARY:
        out += varint(len(value)) + value
    elif kind in (I16, I32, I64):
        out += varint(_zigzag(value))
    elif kind == DOUBLE:
        out += struct.pack("<d", value)
    elif kind == BYTE:
        out += struct.pack("<b", value)
    elif kind in (TRUE, FALSE):  # of a list
        out.append(TRUE if value else FALSE)
    else:
        raise ValueError(f"no kind {kind} of value is written here")


def _read_struct(data: bytes, at: int) -> tuple[Struct, int]:
    fields: Struct = {}
    number = 0
    while head := data[at]:
        at += 1
        kind, step = head & 0xF, head >> 4
        if step:
            number += step
        else:
            number, at = _read_integer(data, at)
        if kind in (TRUE, FALSE):
            fields[number] = Value(kind, kind == TRUE)
        else:
            value, at = _read_value(data, at, kind)
            fields[number] = Value(kind, value)
    return fields, at + 1


def _read_value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == STRUCT:
        return _read_struct(data, at)
    if kind in (LIST, SET):
        count, inner = data[at] >> 4, data[at] & 0xF
        at += 1
        if count == 15:
            count, at = _read_varint(data, at)
        values = []
        for _ in range(count):
            value, at = _read_value(data, at, inner)
            values.append(value)
        return Items(inner, values), at
    if kind == BINARY:
        length, at = _read_varint(data, at)
        return data[at : at + length], at + length
    if kind in (I16, I32, I64):
        return _read_integer(data, at)
    if kind == DOUBLE:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == BYTE:
        return struct.unpack_from("<b", data, at)[0], at + 1
    if kind in (TRUE, FALSE):
        return data[at] == TRUE, at + 1
    raise ValueError(f"no kind {kind} of value is read here")


def _read_integer(data: bytes, at: int) -> tuple[int, int]:
    number, at = _read_varint(data, at)
    return (number >> 1) ^ -(number & 1), at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while data[at] & 0x80:
        number |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return number | data[at] << shift, at + 1


def _zigzag(number: int) -> int:
    return 2 * number if number >= 0 else -2 * number - 1

# SPDX-License-Identifier: GPL-3.0-or-later
"""rpm's headers as bytes: taken apart and put together again (rpm's docs/manual/format, "Header").

A header is an index of 16 bytes an entry and the data behind it. The entries that a package brought are its
immutable region; what rpm adds when it installs the package stands behind that region.
"""

import struct
from typing import Dict, List, NamedTuple, Tuple

MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
#: Tags of regions: of a package's header, and of its signature header.
IMMUTABLE, SIGNATURES = 63, 62
#: Types of data.
CHAR, INT8, INT16, INT32, INT64, STRING, BINARY, STRINGS, TRANSLATED = 1, 2, 3, 4, 5, 6, 7, 8, 9
_WIDTH = {CHAR: 1, INT8: 1, BINARY: 1, INT16: 2, INT32: 4, INT64: 8}
_CODE = {INT16: "H", INT32: "I", INT64: "Q"}
_ENTRY = struct.Struct(">IIiI")

#: One entry: its data as it stands in the header.
Entry = NamedTuple("Entry", [("tag", int), ("kind", int), ("count", int), ("data", bytes)])


def size_of(start: bytes) -> int:
    """Return how many bytes follow the first eight of a header, which name its numbers of entries and of data.

    Raises:
        ValueError: more than rpm itself allows.
    """
    entries, data = struct.unpack(">II", start)
    if not 0 < entries <= 0xFFFFF or not 0 < data <= 0xFFFFFFF:
        raise ValueError("a header of {} entries and {} bytes".format(entries, data))
    return int(entries * _ENTRY.size + data)


def parse(blob: bytes) -> Tuple[List[Entry], List[Entry]]:
    """Return the entries of the immutable region, and those that rpm added when it installed the package.

    Raises:
        ValueError: the header is damaged, or has no such region (a relocated package, or one from rpm 3).
    """
    if blob.startswith(MAGIC):
        blob = blob[len(MAGIC) :]
    try:
        count, size = struct.unpack(">II", blob[:8])
        index = [_ENTRY.unpack_from(blob, 8 + number * _ENTRY.size) for number in range(count)]
        data = blob[8 + count * _ENTRY.size :]
        tag, kind, offset, length = index[0]
        if len(data) != size or (tag, kind, length) != (IMMUTABLE, BINARY, _ENTRY.size):
            raise ValueError("no immutable region")
        inside = -_ENTRY.unpack_from(data, offset)[2] // _ENTRY.size
        if not 0 < inside <= count:
            raise ValueError("an immutable region of {} entries".format(inside))
        entries = [Entry(tag, kind, number, _data(data, kind, at, number)) for tag, kind, at, number in index[1:]]
    except (struct.error, IndexError, KeyError) as error:
        raise ValueError("a damaged header ({})".format(error))
    return entries[: inside - 1], entries[inside - 1 :]


def build(entries: List[Entry], region: int) -> bytes:
    """Return a header (with its magic) of ``entries``, which are in the order of their tags, all in one region."""
    index, data = b"", b""
    for entry in entries:
        data += b"\0" * (-len(data) % _WIDTH.get(entry.kind, 1))
        index += _ENTRY.pack(entry.tag, entry.kind, len(data), entry.count)
        data += entry.data
    first = _ENTRY.pack(region, BINARY, len(data), _ENTRY.size)
    data += _ENTRY.pack(region, BINARY, -(len(entries) + 1) * _ENTRY.size, _ENTRY.size)
    return MAGIC + struct.pack(">II", len(entries) + 1, len(data)) + first + index + data


def strings(tag: int, texts: List[bytes], kind: int = STRINGS) -> Entry:
    """Return an entry of texts; one of the type STRING has one."""
    return Entry(tag, kind, len(texts), b"".join(text + b"\0" for text in texts))


def integers(tag: int, numbers: List[int], kind: int = INT32) -> Entry:
    """Return an entry of numbers."""
    return Entry(tag, kind, len(numbers), struct.pack(">{}{}".format(len(numbers), _CODE[kind]), *numbers))


def texts_of(entry: Entry) -> List[bytes]:
    """Return the texts of an entry."""
    return entry.data.split(b"\0")[: entry.count]


def numbers_of(entry: Entry) -> List[int]:
    """Return the numbers of an entry."""
    if entry.kind in (CHAR, INT8):
        return list(entry.data)
    return list(struct.unpack(">{}{}".format(entry.count, _CODE[entry.kind]), entry.data))


def by_tag(entries: List[Entry]) -> Dict[int, Entry]:
    """Return entries by their tag."""
    return {entry.tag: entry for entry in entries}


def _data(data: bytes, kind: int, at: int, count: int) -> bytes:
    if at < 0:
        raise ValueError("a damaged header (an offset of {})".format(at))
    end = at
    if kind in (STRING, STRINGS, TRANSLATED):
        for _number in range(count):
            end = data.find(b"\0", end) + 1
            if not end:
                raise ValueError("a damaged header (a text without an end)")
    else:
        end += _WIDTH[kind] * count
    if end > len(data):
        raise ValueError("a damaged header (data behind its end)")
    return data[at:end]

# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS messages (RFC 1035, SRV by RFC 2782): one question out, an answer in. Bytes in, values out."""

import ipaddress
import struct
from typing import List, NamedTuple, Tuple

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
CODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
INTERNET = 1
#: More in one name than any name has labels: a message that leads in circles.
MOST_STEPS = 128

#: ``values`` are those of the asked type only; names in them are lower case and without the last dot.
Answer = NamedTuple("Answer", [("code", str), ("truncated", bool), ("values", List[str])])


def question(number: int, name: str, kind: str) -> bytes:
    """Return a message that asks for ``name``, with recursion.

    Raises:
        ValueError: ``name`` is none.
    """
    asked = b"".join(bytes([len(label)]) + label for label in _labels(name))
    head = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0)
    return head + asked + b"\0" + struct.pack("!2H", TYPES[kind], INTERNET)


def answer(number: int, name: str, kind: str, data: bytes) -> Answer:
    """Return what ``data`` answers to the question of that number, name and type.

    Raises:
        ValueError: it is no answer to it, or is broken.
    """
    try:
        given, flags, questions, answers = struct.unpack_from("!4H", data)
        if given != number or not flags & 0x8000 or questions != 1:
            raise ValueError("no answer to this question")
        asked, place = _name(data, 12)
        if asked != plain(name) or struct.unpack_from("!2H", data, place) != (TYPES[kind], INTERNET):
            raise ValueError("the answer to another question")
        truncated = bool(flags & 0x0200)
        values = [] if truncated else _values(data, place + 4, answers, kind)
    except (struct.error, IndexError):
        raise ValueError("an answer that is cut off")
    code = flags & 0x000F
    return Answer(CODES.get(code, "code {}".format(code)), truncated, values)


def plain(name: str) -> str:
    """Return a name as names are compared: lower case, without the last dot."""
    return name.lower().rstrip(".")


def _labels(name: str) -> List[bytes]:
    try:
        labels = [label.encode("ascii") for label in plain(name).split(".")] if plain(name) else []
    except UnicodeEncodeError:
        raise ValueError("not ASCII: write it in its xn-- form")
    if any(not 1 <= len(label) <= 63 for label in labels) or sum(len(label) + 1 for label in labels) > 254:
        raise ValueError("empty or too long")
    return labels


def _name(data: bytes, place: int) -> Tuple[str, int]:
    """Return the name at ``place``, and where what follows it begins."""
    labels: List[str] = []
    after = 0
    for _step in range(MOST_STEPS):
        length = data[place]
        if length >= 0xC0:  # the rest of the name stands elsewhere
            after = after or place + 2
            place = struct.unpack_from("!H", data, place)[0] & 0x3FFF
        elif length == 0:
            return ".".join(labels).lower(), after or place + 1
        else:
            label = data[place + 1 : place + 1 + length]
            labels.append(label.decode("ascii", "replace"))
            place += 1 + length
    raise ValueError("a name without an end")


def _values(data: bytes, place: int, count: int, kind: str) -> List[str]:
    found = []
    for _number in range(count):
        _owner, place = _name(data, place)
        given, group, _ttl, length = struct.unpack_from("!HHIH", data, place)
        place += 10
        if len(data) < place + length:
            raise ValueError("an answer that is cut off")
        if (given, group) == (TYPES[kind], INTERNET):
            found.append(_value(kind, data, place, length))
        place += length
    return found


def _value(kind: str, data: bytes, place: int, length: int) -> str:
    if kind in ("A", "AAAA"):
        if length != {"A": 4, "AAAA": 16}[kind]:
            raise ValueError("an address of another length")
        return str(ipaddress.ip_address(data[place : place + length]))
    if kind == "MX":
        return _name(data, place + 2)[0]
    if kind == "SRV":
        return "{}:{}".format(_name(data, place + 6)[0], struct.unpack_from("!H", data, place + 4)[0])
    if kind == "TXT":
        return _texts(data[place : place + length])
    return _name(data, place)[0]


def _texts(data: bytes) -> str:
    found = b""
    while data:
        found += data[1 : 1 + data[0]]
        data = data[1 + data[0] :]
    return found.decode("utf-8", "replace")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The few LDAP messages (RFC 4511) that a look at a directory needs: bytes in, values out.

Bind, StartTLS, and a search of one entry by all that it is, in the subset of BER
that LDAP uses: definite lengths and tags of one byte.
"""

from typing import Dict, List, NamedTuple, Tuple

BIND, BIND_ANSWER, UNBIND = 0x60, 0x61, 0x42
SEARCH, ENTRY, DONE = 0x63, 0x64, 0x65
EXTENDED, EXTENDED_ANSWER = 0x77, 0x78
SEQUENCE = 0x30
_INTEGER, _OCTETS, _ENUMERATED, _BOOLEAN = 0x02, 0x04, 0x0A, 0x01
START_TLS = "1.3.6.1.4.1.1466.20037"
#: What the result codes mean that a probe may meet (RFC 4511, appendix A).
CODES = {
    0: "success",
    1: "operations error",
    2: "protocol error",
    8: "stronger authentication required",
    10: "referral",
    13: "confidentiality required",
    32: "no such object",
    48: "inappropriate authentication",
    49: "invalid credentials",
    50: "insufficient access rights",
    51: "busy",
    52: "unavailable",
    53: "unwilling to perform",
    80: "other error",
}

Element = NamedTuple("Element", [("tag", int), ("content", bytes)])


def bind(number: int, name: str, password: str) -> bytes:
    """Return a simple bind; both empty is an anonymous one."""
    return _message(number, BIND, _integer(3) + _octets(name) + _tagged(0x80, password.encode("utf-8")))


def unbind(number: int) -> bytes:
    """Return a farewell, which is not answered."""
    return _message(number, UNBIND, b"")


def start_tls(number: int) -> bytes:
    """Return the request to go on over TLS."""
    return _message(number, EXTENDED, _tagged(0x80, START_TLS.encode("ascii")))


def read_entry(number: int, name: str, attributes: List[str]) -> bytes:
    """Return a search of exactly one entry, the root DSE when ``name`` is empty."""
    scope, never, one, no_limit = _tagged(_ENUMERATED, b"\0"), _tagged(_ENUMERATED, b"\0"), _integer(1), _integer(0)
    everything = _tagged(_BOOLEAN, b"\0") + _tagged(0x87, b"objectClass")
    wanted = _tagged(SEQUENCE, b"".join(_octets(attribute) for attribute in attributes))
    return _message(number, SEARCH, _octets(name) + scope + never + one + no_limit + everything + wanted)


def message(content: bytes) -> Tuple[int, Element]:
    """Return number and operation of a message, of what stands in its SEQUENCE.

    Raises:
        ValueError: it is none.
    """
    parts = elements(content)
    if len(parts) < 2 or parts[0].tag != _INTEGER:
        raise ValueError("no LDAP message")
    return int.from_bytes(parts[0].content, "big"), parts[1]


def code(operation: Element) -> int:
    """Return the result code of an answer.

    Raises:
        ValueError: it has none.
    """
    parts = elements(operation.content)
    if not parts or parts[0].tag != _ENUMERATED:
        raise ValueError("no result code")
    return int.from_bytes(parts[0].content, "big")


def attributes(operation: Element) -> Dict[str, List[str]]:
    """Return the attributes of a found entry, by their names in lower case.

    Raises:
        ValueError: it is none.
    """
    parts = elements(operation.content)
    if len(parts) < 2:
        raise ValueError("no entry")
    found = {}
    for part in elements(parts[1].content):
        name, values = elements(part.content)
        told = [value.content.decode("utf-8", "replace") for value in elements(values.content)]
        found[name.content.decode("utf-8", "replace").lower()] = told
    return found


def elements(content: bytes) -> List[Element]:
    """Return the elements that stand one after the other.

    Raises:
        ValueError: one is cut off.
    """
    found, place = [], 0
    while place < len(content):
        if len(content) < place + 2:
            raise ValueError("cut off")
        tag, size, place = content[place], content[place + 1], place + 2
        if size & 0x80:
            more = size & 0x7F
            size, place = long_length(content[place : place + more]), place + more
        if len(content) < place + size:
            raise ValueError("cut off")
        found.append(Element(tag, content[place : place + size]))
        place += size
    return found


def long_length(octets: bytes) -> int:
    """Return a length that does not fit into one byte.

    Raises:
        ValueError: it is none that LDAP allows, or a huge one.
    """
    if not 1 <= len(octets) <= 4:
        raise ValueError("no length")
    return int.from_bytes(octets, "big")


def _message(number: int, tag: int, content: bytes) -> bytes:
    return _tagged(SEQUENCE, _integer(number) + _tagged(tag, content))


def _integer(value: int) -> bytes:
    return _tagged(_INTEGER, bytes([value]))


def _octets(text: str) -> bytes:
    return _tagged(_OCTETS, text.encode("utf-8"))


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    return bytes([tag, 0x84]) + size.to_bytes(4, "big") + content

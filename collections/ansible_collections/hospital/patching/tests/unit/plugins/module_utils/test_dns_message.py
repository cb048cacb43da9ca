# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS messages: what is asked, and answers as they are, as they should not be, and made up to harm."""

import struct

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import dns_message

NAME = "portal.hospital.test"


def answered(records, flags=0x8180, number=7, name=NAME, kind="A"):
    """Return an answer with (type, data) of records, each owned by the name asked for."""
    message = bytearray(dns_message.question(number, name, kind))
    struct.pack_into("!HH", message, 2, flags, 1)
    struct.pack_into("!H", message, 6, len(records))
    for given, data in records:
        message += b"\xc0\x0c" + struct.pack("!HHIH", given, 1, 300, len(data)) + data
    return bytes(message)


def test_a_question_is_as_rfc_1035_has_it():
    expected = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01"
    assert dns_message.question(0x1234, "Example.org.", "A") == b"\x12\x34" + expected


@pytest.mark.parametrize(
    ("kind", "records", "values"),
    [
        ("A", [(1, b"\x0a\x00\x00\x09"), (1, b"\x0a\x00\x00\x0a")], ["10.0.0.9", "10.0.0.10"]),
        ("A", [(5, b"\x03www\xc0\x0c"), (1, b"\x0a\x00\x00\x09")], ["10.0.0.9"]),
        ("AAAA", [(28, b"\x20\x01\x0d\xb8" + b"\0" * 11 + b"\x01")], ["2001:db8::1"]),
        ("CNAME", [(5, b"\x03WWW\xc0\x0c")], ["www." + NAME]),
        ("SRV", [(33, b"\0\0\0\x64\x01\x85\x03dc1\xc0\x13")], ["dc1.hospital.test:389"]),
        ("MX", [(15, b"\0\x0a\x04mail\xc0\x13")], ["mail.hospital.test"]),
        ("TXT", [(16, b"\x03v=a\x02 b")], ["v=a b"]),
        ("A", [], []),
    ],
)
def test_values_of_the_asked_type_are_read(kind, records, values):
    assert dns_message.answer(7, NAME, kind, answered(records, kind=kind)) == ("NOERROR", False, values)


def test_codes_and_truncation_are_told():
    assert dns_message.answer(7, NAME, "A", answered([], flags=0x8183)).code == "NXDOMAIN"
    assert dns_message.answer(7, NAME, "A", answered([], flags=0x818B)).code == "code 11"
    assert dns_message.answer(7, NAME, "A", answered([], flags=0x8380)).truncated is True


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        dns_message.question(7, NAME, "A"),  # a question is no answer
        answered([], number=8),
        answered([], name="other.test"),
        answered([], kind="AAAA"),
        answered([(1, b"\x0a\x00")]),
        answered([(1, b"\x0a\x00\x00\x09")])[:-2],
        answered([(16, b"\xff")])[:20],
    ],
)
def test_what_is_no_answer_to_the_question_is_told_apart(data):
    with pytest.raises(ValueError, match=r"answer|address of another length"):
        dns_message.answer(7, NAME, "A", data)


def test_a_name_that_leads_in_circles_ends():
    message = answered([(5, b"\x01a\xc0\x00")], kind="CNAME")
    place = len(message) - 4
    circle = message[:-2] + struct.pack("!H", 0xC000 | place)
    with pytest.raises(ValueError, match="without an end"):
        dns_message.answer(7, NAME, "CNAME", circle)


@pytest.mark.parametrize("name", ["a..b", "a" * 64 + ".test", ".".join(["a" * 60] * 5), "m\u00fcnchen.test"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match=r"too long|ASCII"):
        dns_message.question(1, name, "A")

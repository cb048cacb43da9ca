# SPDX-License-Identifier: GPL-3.0-or-later
"""HL7 version 2 messages that name no patient, and what acknowledges them.

Only what a test message needs: segments and fields by their separators (HL7
v2.9, chapter 2). Text in, values out.
"""

import re
from typing import List, NamedTuple, Optional

#: Processing ids (table 0103) that are not production: debugging, training, non-production testing.
TEST_IDS = ("D", "T", "N")
#: Segments that name a patient, relatives or insured persons, or ask for them.
PERSONAL = frozenset(
    ("PID", "PD1", "PDA", "NK1", "MRG", "GT1", "IN1", "IN2", "IN3", "PV1", "PV2", "ARV", "REL", "CON", "NPU")
    + ("QPD", "QRD", "QRF", "QID", "RCP", "OH1", "OH2", "OH3", "OH4")
)
#: Stand in a message for what is new in each: the present, and the control id.
TIME, CONTROL_ID = "{time}", "{control_id}"

Acknowledgement = NamedTuple("Acknowledgement", [("code", str), ("control_id", str)])


def segments(message: str) -> List[str]:
    """Return the segments of a message, whatever ends its lines."""
    return [segment for segment in re.split(r"[\r\n]+", message) if segment.strip()]


def _fields(header: str) -> List[str]:
    """Return the fields of MSH by their numbers: MSH-1 is the separator itself."""
    return ["MSH", header[3]] + header.split(header[3])[1:]


def _field(fields: List[str], number: int) -> str:
    return fields[number] if len(fields) > number else ""


def _word(text: str) -> str:
    """Return the letters and digits that a text begins with: a segment's name, or a field's first component."""
    found = re.match(r"\w*", text)
    return found.group() if found else ""


def problem(message: str) -> Optional[str]:
    """Return why a message must not be sent as a test, or None.

    It must be one message, meant for testing, and name nobody.
    """
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", message):
        return "control characters in the message"
    parts = segments(message)
    if not parts or not re.match(r"MSH[^\w\s]", parts[0]):
        return "a message that does not begin with MSH and a field separator"
    names = [_word(part) for part in parts]
    if any(not re.match(r"[A-Z][A-Z0-9]{2}\Z", name) for name in names):
        return "a line that does not begin with the name of a segment"
    personal = sorted(PERSONAL.intersection(names))
    if personal:
        return "the segment {}, which names a person".format(", ".join(personal))
    if names.count("MSH") > 1:
        return "more than one message"
    fields = _fields(parts[0])
    if not _field(fields, 9):
        return "no message type (MSH-9)"
    processing = _word(_field(fields, 11)).upper()
    if processing not in TEST_IDS:
        return "MSH-11 {!r}".format(processing)
    control_id = _field(fields, 10)
    if control_id not in ("", CONTROL_ID) and len(control_id) > 199:
        return "a control id (MSH-10) of more than 199 characters"
    return None


def outgoing(message: str, time: str, control_id: str) -> "Outgoing":
    """Return a message ready to send, and its control id.

    An empty or ``{time}`` MSH-7 becomes ``time``, an empty or ``{control_id}``
    MSH-10 becomes ``control_id``: receivers drop a message whose id they know.
    """
    parts = segments(message)
    fields = _fields(parts[0])
    fields += [""] * (12 - len(fields))
    if fields[7] in ("", TIME):
        fields[7] = time
    if fields[10] in ("", CONTROL_ID):
        fields[10] = control_id
    parts[0] = "MSH" + fields[1] + fields[1].join(fields[2:])
    return Outgoing("\r".join(parts) + "\r", fields[10])


Outgoing = NamedTuple("Outgoing", [("text", str), ("control_id", str)])


def acknowledgement(message: str) -> Optional[Acknowledgement]:
    """Return code (MSA-1) and control id (MSA-2) of an acknowledgement, or None when it is none."""
    parts = segments(message)
    if not parts or not re.match(r"MSH[^\w\s]", parts[0]):
        return None
    separator = parts[0][3]
    for part in parts[1:]:
        fields = part.split(separator)
        if fields[0] == "MSA":
            return Acknowledgement(_field(fields, 1), _field(fields, 2))
    return None

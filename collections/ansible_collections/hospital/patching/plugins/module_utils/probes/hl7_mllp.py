# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``hl7_mllp``: does the interface engine take a message and acknowledge this very one?

The message is agreed on with whoever receives it, is marked as a test and names
no patient; one that does is refused before anything is sent. Framing: HL7
Implementation Support Guide, minimal lower layer protocol, release 1.
"""

import re
import uuid
from typing import Any, Dict

from ansible_collections.hospital.patching.plugins.module_utils import hl7
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Reading
from ansible_collections.hospital.patching.plugins.module_utils.probes.wire import (
    HOST_OPTIONS,
    TLS_OPTIONS,
    Wire,
    WireProbe,
)

BEGIN, END = b"\x0b", b"\x1c\r"
#: An acknowledgement is a few hundred bytes.
ANSWER_LIMIT = 65536
CODES = ("AA", "AE", "AR", "CA", "CE", "CR")


class Hl7MllpProbe(WireProbe):
    """Sends one agreed test message and compares what acknowledges it."""

    NAME = "hl7_mllp"
    OPTIONS = dict(
        HOST_OPTIONS,
        port={"type": "int", "required": True},
        message={"type": "str", "required": True},
        ack_codes={"type": "list", "elements": "str", "default": ["AA"]},
        latency_limit_ms={"type": "int"},
        **TLS_OPTIONS,
    )

    def validate(self) -> None:
        super().validate()
        problem = hl7.problem(self.options["message"])
        if problem:
            raise self.bad_option(
                problem, "one HL7 message for testing (MSH-11 T, D or N) without a patient, agreed with its receiver"
            )
        for code in self.options["ack_codes"]:
            if code not in CODES:
                raise self.bad_option("ack_codes with {!r}".format(code), "of {}".format(", ".join(CODES)))

    def look(self) -> Reading:
        clock = self.context.clock
        time = clock.now().strftime("%Y%m%d%H%M%S+0000")
        message = hl7.outgoing(self.options["message"], time, "HP" + uuid.uuid4().hex[:18])
        started = clock.monotonic()
        wire = self.opened(started)
        try:
            wire.send(BEGIN + message.text.encode("utf-8") + END)
            answer = _frame(wire)
        finally:
            wire.close()
        value = {"latency_ms": self.since_ms(started)}
        self._judge(answer, message.control_id, value)
        return Reading("acknowledged with {} in {} ms".format(value["ack_code"], value["latency_ms"]), value)

    def _judge(self, answer: bytes, control_id: str, value: Dict[str, Any]) -> None:
        found = hl7.acknowledgement(answer.decode("utf-8", "replace"))
        if found is None:
            raise Failed("the answer is no acknowledgement", value)
        value["ack_code"] = found.code if re.match(r"[A-Z]{2}\Z", found.code) else None
        if found.control_id != control_id:
            raise Failed("the acknowledgement is one of another message (MSA-2 is not MSH-10)", value)
        if found.code not in self.options["ack_codes"]:
            expected = " or ".join(self.options["ack_codes"])
            raise Failed("acknowledged with {}, expected {}".format(value["ack_code"] or "no code", expected), value)
        limit = self.options["latency_limit_ms"]
        if limit is not None and value["latency_ms"] > limit:
            raise Failed("acknowledged in {} ms, the limit is {} ms".format(value["latency_ms"], limit), value)


def _frame(wire: Wire) -> bytes:
    """Return the content of the first frame that comes."""
    data = b""
    while END not in data:
        if len(data) >= ANSWER_LIMIT:
            raise Failed("the answer is longer than {} bytes".format(ANSWER_LIMIT))
        chunk = wire.receive(ANSWER_LIMIT)
        if not chunk:
            raise Failed("the connection was closed without a whole acknowledgement")
        data += chunk
        if not data.startswith(BEGIN):
            raise Failed("the answer is no MLLP frame")
    return data[1 : data.index(END)]

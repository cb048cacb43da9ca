# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``dicom``: does the archive accept an association and answer C-ECHO, and find studies?

C-ECHO proves the listener only; ``studies_at_least`` has the archive ask its
database as well (C-FIND, of which nothing but a count is kept). By pynetdicom.
The port is connected to twice: first to see whether and at which checked address
it answers, then by the library at that very address.
"""

import contextlib
import datetime
import socket
import threading
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Inconclusive, Reading
from ansible_collections.hospital.patching.plugins.module_utils.probes.libraries import required
from ansible_collections.hospital.patching.plugins.module_utils.probes.wire import (
    HOST_OPTIONS,
    TLS_OPTIONS,
    WireProbe,
    tls_context,
)

#: SOP classes of DICOM part 4: verification, and query by study.
VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
#: A-ASSOCIATE-RJ of DICOM part 8: its type, and its length with source and reason as the last two bytes.
REJECTION, REJECTION_BYTES = b"\x03", 10
#: So many studies are enough for any comparison.
MOST_STUDIES = 1000


class DicomProbe(WireProbe):
    """Sends C-ECHO, and counts the studies of the last days where it is asked to."""

    NAME = "dicom"
    OPTIONS = dict(
        HOST_OPTIONS,
        port={"type": "int", "default": 104},
        called_ae_title={"type": "str", "required": True},
        calling_ae_title={"type": "str", "default": "PATCHING"},
        studies_at_least={"type": "int", "default": 0},
        studies_of_days={"type": "int", "default": 7},
        latency_limit_ms={"type": "int"},
        **TLS_OPTIONS,
    )

    def validate(self) -> None:
        super().validate()
        for option in ("called_ae_title", "calling_ae_title"):
            title = self.options[option]
            if not 1 <= len(title.strip()) <= 16 or "\\" in title or not title.isprintable() or not _is_ascii(title):
                raise self.bad_option("{} {!r}".format(option, title), "1 to 16 plain characters without a backslash")
        if not 0 <= self.options["studies_at_least"] <= MOST_STUDIES:
            raise self.bad_option("studies_at_least {}".format(self.options["studies_at_least"]), "0 to 1000")
        if not 1 <= self.options["studies_of_days"] <= 366:
            raise self.bad_option("studies_of_days {}".format(self.options["studies_of_days"]), "1 to 366")

    def libraries(self) -> List[str]:
        return ["pynetdicom"]

    def look(self) -> Reading:
        library = required("pynetdicom")
        clock = self.context.clock
        started = clock.monotonic()
        self.deadline: float = started + self.timeout_s
        opened: List[Any] = []
        address = self._address(started)
        # The library's thread may wait for the rest of a message for ever, and would keep the whole module waiting.
        ending = threading.Timer(self._left() + 0.2, _end, [opened])
        ending.daemon = True
        ending.start()
        try:
            return self._talk(library, address, opened, started)
        finally:
            ending.cancel()
            _end(opened)
            for dul, connection in opened:
                dul.join(1)
                connection.close()

    def _talk(self, library: Any, address: Any, opened: List[Any], started: float) -> Reading:
        association = self._associated(library, address, opened)
        try:
            self._echo(association)
            value = {"latency_ms": self.since_ms(started)}
            if self.options["studies_at_least"]:
                value["studies"] = self._count(association, value)
            if association.is_established:
                association.acse_timeout = self._left()
                association.release()
        finally:
            if association.is_established:
                association.abort()
        limit = self.options["latency_limit_ms"]
        if limit is not None and value["latency_ms"] > limit:
            raise Failed("answered in {} ms, the limit is {} ms".format(value["latency_ms"], limit), value)
        return Reading("C-ECHO answered in {} ms".format(value["latency_ms"]), value)

    def _address(self, started: float) -> Any:
        """Return the checked address that answers, as the library takes one."""
        wire = self.opened(started)
        try:
            peer = wire.connection.getpeername()
        except OSError:
            raise Failed("the connection was closed at once")
        finally:
            wire.close()
        return peer[0] if len(peer) == 2 else (peer[0], peer[2], peer[3])

    def _associated(self, library: Any, address: Any, opened: List[Any]) -> Any:
        options = self.options
        entity = library.AE(ae_title=options["calling_ae_title"])
        entity.add_requested_context(VERIFICATION)
        if options["studies_at_least"]:
            entity.add_requested_context(STUDY_ROOT_FIND)
        left = self._left()
        entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = entity.network_timeout = left
        tls = (tls_context(options["ca_file"]), options["host"]) if options["tls"] else None

        def keep(event: Any) -> None:
            opened.append((event.assoc.dul, event.assoc.dul.socket.socket))

        rejections: List[str] = []

        def note(event: Any) -> None:
            if event.data[:1] == REJECTION and len(event.data) >= REJECTION_BYTES:
                rejections.append(_reason(library, bytes(event.data)))

        # The bytes, because of what the library cannot decode no later event tells.
        handlers = [(library.evt.EVT_CONN_OPEN, keep), (library.evt.EVT_DATA_RECV, note)]
        association = entity.associate(
            address, options["port"], ae_title=options["called_ae_title"], tls_args=tls, evt_handlers=handlers
        )
        if association.is_established:
            return association
        # Not is_rejected: where the connection has ended before the library's own thread looks, it forgets the answer.
        if rejections:
            raise Failed("the association was rejected: {}".format(rejections[0][:80]))
        if self._left() <= 0.01:
            raise Inconclusive("no association within {} s".format(self.timeout_s))
        if getattr(association.acceptor.primitive, "result", None) == 0:
            raise Failed("the association was accepted without verification (C-ECHO)")
        raise Failed("the association was aborted")

    def _echo(self, association: Any) -> None:
        association.dimse_timeout = self._left()
        status = association.send_c_echo()
        self._judge("C-ECHO", status)

    def _count(self, association: Any, value: Dict[str, Any]) -> int:
        """Return how many studies of the last days the archive knows, and at most as many as are asked for."""
        wanted = self.options["studies_at_least"]
        if not any(context.abstract_syntax == STUDY_ROOT_FIND for context in association.accepted_contexts):
            raise Failed("the archive does not offer to find studies (C-FIND)", value)
        association.dimse_timeout = self._left()
        found = 0
        # The answers are not even named: they may hold patients' data, and only their number is kept.
        for status, _study in association.send_c_find(self._question(), STUDY_ROOT_FIND):
            code = getattr(status, "Status", None)
            if code in PENDING:
                found += 1
                if found >= wanted:
                    association.abort()  # a large archive might go on for minutes
                    return found
            else:
                self._judge("C-FIND", status)
        raise Failed(
            "{} studies of the last {} days, expected at least {}".format(
                found, self.options["studies_of_days"], wanted
            ),
            dict(value, studies=found),
        )

    def _question(self) -> Any:
        question = required("pydicom").Dataset()
        today = self.context.clock.now().date()
        first = today - datetime.timedelta(days=self.options["studies_of_days"])
        question.QueryRetrieveLevel = "STUDY"
        question.StudyDate = "{:%Y%m%d}-{:%Y%m%d}".format(first, today + datetime.timedelta(days=1))
        question.StudyInstanceUID = ""
        return question

    def _judge(self, what: str, status: Any) -> None:
        code = getattr(status, "Status", None)
        if code is None:
            if self._left() <= 0.01:
                raise Inconclusive("no answer to {} within {} s".format(what, self.timeout_s))
            raise Failed("the association broke off during {}".format(what))
        if code != SUCCESS:
            raise Failed("{} was answered with status 0x{:04X}".format(what, code))

    def _left(self) -> float:
        return max(0.01, self.deadline - self.context.clock.monotonic())


def _end(opened: List[Any]) -> None:
    """End what the library still reads from."""
    for _dul, connection in opened:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _is_ascii(text: str) -> bool:
    return all(ord(character) < 128 for character in text)


def _reason(library: Any, data: bytes) -> str:
    """Return why, in the library's words; a number that the standard does not have as it is."""
    rejection = library.pdu.A_ASSOCIATE_RJ()
    try:
        rejection.decode(data)
        return str(rejection.reason_str)
    except ValueError:
        return "source {}, reason {}, which the standard does not know".format(data[8], data[9])

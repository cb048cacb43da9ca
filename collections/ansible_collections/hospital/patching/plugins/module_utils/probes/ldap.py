# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``ldap``: does the directory let one in, and say of itself what it should?

Binds as the given entry, else anonymously, and reads one entry: the root DSE,
which tells for example whether a domain controller is synchronized. A password
crosses the network over TLS only.
"""

import contextlib
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils import ldap_message
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Inconclusive, Reading
from ansible_collections.hospital.patching.plugins.module_utils.probes.secret_file import secret
from ansible_collections.hospital.patching.plugins.module_utils.probes.wire import (
    HOST_OPTIONS,
    Wire,
    WireProbe,
    tls_context,
)

#: A root DSE is a few thousand bytes.
MESSAGE_LIMIT = 1024 * 1024
INVALID_CREDENTIALS = 49
PORTS = {"none": 389, "starttls": 389, "ldaps": 636}


class LdapProbe(WireProbe):
    """Binds, and reads one entry of a directory."""

    NAME = "ldap"
    OPTIONS = dict(
        HOST_OPTIONS,
        port={"type": "int"},
        security={"type": "str", "choices": ["none", "starttls", "ldaps"], "default": "none"},
        ca_file={"type": "path"},
        bind_dn={"type": "str"},
        password_file={"type": "path"},
        entry={"type": "str", "default": ""},
        attributes_equal={"type": "dict", "default": {}},
        latency_limit_ms={"type": "int"},
    )

    def validate(self) -> None:
        options = self.options
        if options["port"] is None:
            options["port"] = PORTS[options["security"]]
        super().validate()
        if (options["bind_dn"] is None) != (options["password_file"] is None):
            raise self.bad_option("one of bind_dn and password_file", "both, or none for an anonymous bind")
        if options["bind_dn"] is not None and options["security"] == "none":
            raise self.bad_option(
                "bind_dn without TLS", "security: ldaps or starttls, so that nobody reads the password"
            )
        if options["ca_file"] and options["security"] == "none":
            raise self.bad_option("ca_file without TLS", "security: ldaps or starttls beside it")
        self.refused: Optional[Failed] = None

    def look(self) -> Reading:
        # Another try with a login that was refused could lock the account.
        if self.refused is not None:
            raise self.refused
        options = self.options
        password = secret(options["password_file"]) if options["password_file"] else ""
        context = tls_context(options["ca_file"]) if options["security"] != "none" else None
        started = self.context.clock.monotonic()
        wire = self.opened(started)
        try:
            if options["security"] == "starttls":
                self._succeeds("StartTLS", wire, ldap_message.start_tls(1), ldap_message.EXTENDED_ANSWER)
            if context is not None:
                wire.secure(context, options["host"])
            self._bind(wire, password)
            found = self._entry(wire)
            with contextlib.suppress(Failed, Inconclusive):  # everything was answered already
                wire.send(ldap_message.unbind(4))
        finally:
            wire.close()
        value = {"latency_ms": self.since_ms(started)}
        self._judge(found, value)
        return Reading("bound and read in {} ms".format(value["latency_ms"]), value)

    def _bind(self, wire: Wire, password: str) -> None:
        request = ldap_message.bind(2, self.options["bind_dn"] or "", password)
        try:
            self._succeeds("the bind", wire, request, ldap_message.BIND_ANSWER)
        except Failed as failure:
            if failure.value == INVALID_CREDENTIALS:
                self.refused = failure
            raise

    def _succeeds(self, what: str, wire: Wire, request: bytes, tag: int) -> None:
        wire.send(request)
        operation = _answer(wire)
        if operation.tag != tag:
            raise Failed("{} was answered by something else".format(what))
        _success(what, operation)

    def _entry(self, wire: Wire) -> Dict[str, List[str]]:
        wanted = sorted(str(name) for name in self.options["attributes_equal"]) or ["1.1"]  # 1.1: no attribute at all
        wire.send(ldap_message.read_entry(3, self.options["entry"], wanted))
        found = None
        while True:
            operation = _answer(wire)
            if operation.tag == ldap_message.ENTRY:
                try:
                    found = ldap_message.attributes(operation)
                except ValueError:
                    raise Failed("the answer is no LDAP message")
            elif operation.tag == ldap_message.DONE:
                _success("the search", operation)
                break
        if found is None:
            raise Failed("the directory does not show {}".format(self.options["entry"] or "its root DSE"))
        return found

    def _judge(self, found: Dict[str, List[str]], value: Dict[str, Any]) -> None:
        for name, expected in sorted(self.options["attributes_equal"].items()):
            if str(expected).lower() not in [one.lower() for one in found.get(str(name).lower(), [])]:
                raise Failed("{} is not {!r}".format(name, str(expected)), value)
        limit = self.options["latency_limit_ms"]
        if limit is not None and value["latency_ms"] > limit:
            raise Failed("answered in {} ms, the limit is {} ms".format(value["latency_ms"], limit), value)


def _answer(wire: Wire) -> ldap_message.Element:
    """Return the operation of the next message."""
    try:
        number, operation = ldap_message.message(_content(wire))
    except ValueError:
        raise Failed("the answer is no LDAP message")
    if number == 0:
        raise Failed("the directory ends the connection (notice of disconnection)")
    return operation


def _content(wire: Wire) -> bytes:
    """Return what stands in the SEQUENCE of the next message; raises ValueError where there is none."""
    tag, size = wire.exactly(2)
    if tag != ldap_message.SEQUENCE:
        raise ValueError("no message")
    if size & 0x80:
        size = ldap_message.long_length(wire.exactly(size & 0x7F))
    if size > MESSAGE_LIMIT:
        raise Inconclusive("the answer is longer than {} bytes and was not read to its end".format(MESSAGE_LIMIT))
    return wire.exactly(size)


def _success(what: str, operation: ldap_message.Element) -> None:
    try:
        code = ldap_message.code(operation)
    except ValueError:
        raise Failed("the answer is no LDAP message")
    if code != 0:
        raise Failed("{} was answered with {} ({})".format(what, code, ldap_message.CODES.get(code, "unknown")), code)

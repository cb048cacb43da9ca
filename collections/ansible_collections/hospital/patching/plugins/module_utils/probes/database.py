# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probes of databases have in common whose login is a password that their own library sends."""

import re
from typing import Any, Dict, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Reading
from ansible_collections.hospital.patching.plugins.module_utils.probes.libraries import required
from ansible_collections.hospital.patching.plugins.module_utils.probes.secret_file import secret
from ansible_collections.hospital.patching.plugins.module_utils.probes.wire import HOST_OPTIONS, WireProbe

#: What a server says of its database: one that may be written to, of the role ``primary`` or ``replica``.
State = NamedTuple("State", [("role", str), ("read_only", bool), ("version", str)])

LOGIN_OPTIONS: Dict[str, Dict[str, Any]] = dict(
    HOST_OPTIONS,
    user={"type": "str", "required": True},
    password_file={"type": "path", "required": True},
    role={"type": "str", "choices": ["primary", "replica", "any"], "default": "primary"},
    latency_limit_ms={"type": "int"},
)


class LoginProbe(WireProbe):
    """Logs in, asks for the database's state, and judges that; a subclass asks, by its library."""

    LIBRARY = ""
    #: What the library says of a login that was refused.
    REFUSED = r"\Z\A"

    def validate(self) -> None:
        super().validate()
        self.refused: Optional[Failed] = None

    def libraries(self) -> Any:
        return [self.LIBRARY]

    def ask(self, library: Any, address: str, password: str) -> State:
        """Return the state of the database at a checked address; the library's own errors may be raised."""
        raise NotImplementedError

    def look(self) -> Reading:
        library = required(self.LIBRARY)
        # Another try with a login that was refused could lock the account.
        if self.refused is not None:
            raise self.refused
        password = secret(self.options["password_file"])
        started = self.context.clock.monotonic()
        wire = self.opened(started)
        try:
            address = str(wire.connection.getpeername()[0])
        except OSError:
            raise Failed("the connection was closed at once")
        finally:
            wire.close()
        try:
            state = self.ask(library, address, password)
        except library.Error as error:
            # Only a code: the messages of libraries may quote what was sent.
            code = re.search(r"\b(?:ORA|DPY)-\d+|\b[0-9A-Z]{5}\b(?=\])", str(error))
            if re.search(self.REFUSED, str(error)):
                self.refused = Failed("the login was refused")
                raise self.refused
            raise Failed("the server does not answer the question ({})".format(code.group() if code else "no code"))
        value = {"role": state.role, "read_only": state.read_only, "server_version": state.version[:40]}
        value["latency_ms"] = self.since_ms(started)
        return self._judge(state, value)

    def _judge(self, state: State, value: Dict[str, Any]) -> Reading:
        wanted = self.options["role"]
        if wanted not in ("any", state.role):
            raise Failed("the database is a {}, expected a {}".format(state.role, wanted), value)
        if wanted == "primary" and state.read_only:
            raise Failed("the database answers but is read-only", value)
        limit = self.options["latency_limit_ms"]
        if limit is not None and value["latency_ms"] > limit:
            raise Failed("answered in {} ms, the limit is {} ms".format(value["latency_ms"], limit), value)
        return Reading("a {} that answers in {} ms".format(state.role, value["latency_ms"]), value)

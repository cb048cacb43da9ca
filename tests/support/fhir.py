# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems that read patients by FHIR, and see that each is the one they asked for."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.support.clinical import ATTEMPT_S, NotAnsweredError, Traffic

#: So many patients the lab's database has; nobody is one of them.
PATIENTS = 200


class Readers(Traffic):
    """Reads the server's statement and one patient after the other, each on a connection of its own."""

    def __init__(self, address: str, port: int = 80, systems: int = 2, per_second: float = 4.0) -> None:
        super().__init__(systems, per_second)
        self.address, self.port = address, port
        #: Resources that were another one than asked for.
        self.misread: list[str] = []

    def one(self, person: int, number: int) -> None:
        """Read the statement and a patient."""
        statement = self.caller.call("metadata", lambda: self._read("metadata"))
        if statement is not None and statement.get("resourceType") != "CapabilityStatement":
            self.misread.append(f"metadata: {statement}")
        name = f"p{(person + number) % PATIENTS + 1}"
        patient = self.caller.call("patient", lambda: self._read(f"Patient/{name}"))
        if patient is not None and (patient.get("resourceType"), patient.get("id")) != ("Patient", name):
            self.misread.append(f"{name}: {patient}")

    def progress(self) -> int:
        """How many reads were answered."""
        return sum(tally.sent - len(tally.failed) for tally in list(self.caller.tallies.values()))

    def _read(self, what: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=ATTEMPT_S)
        try:
            connection.request("GET", f"/fhir/{what}", headers={"Accept": "application/fhir+json"})
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status != http.client.OK:
                raise NotAnsweredError(f"{what}: {answer.status} {text.strip()[:200]}")
            return dict(json.loads(text))
        except ValueError as error:
            raise NotAnsweredError(f"{what}: no JSON: {error}") from error
        finally:
            connection.close()

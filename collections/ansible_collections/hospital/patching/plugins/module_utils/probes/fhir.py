# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``fhir``: does the server state what it can do, in the version that its clients speak?

https://hl7.org/fhir/R4/http.html#capabilities: ``GET [base]/metadata`` needs no
patient and, as a rule, no login.
"""

from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed
from ansible_collections.hospital.patching.plugins.module_utils.probes.web_page import (
    MEGABYTE,
    PAGE_OPTIONS,
    PageProbe,
)

#: Statements of servers with every resource type are megabytes long.
BODY_LIMIT = 16 * MEGABYTE
STATUSES = ("draft", "active", "retired", "unknown")


class FhirProbe(PageProbe):
    """Reads the CapabilityStatement of a FHIR server at its base URL."""

    NAME = "fhir"
    OPTIONS = dict(
        PAGE_OPTIONS,
        fhir_version={"type": "str"},
        statement_status={"type": "list", "elements": "str", "default": ["active"]},
        resources={"type": "list", "elements": "str", "default": []},
    )
    ACCEPT = "application/fhir+json"

    def validate(self) -> None:
        super().validate()
        for status in self.options["statement_status"]:
            if status not in STATUSES:
                raise self.bad_option("statement_status {!r}".format(status), "of {}".format(", ".join(STATUSES)))

    def path(self) -> str:
        return str(self.parts.path).rstrip("/") + "/metadata"

    def body_limit(self) -> int:
        return BODY_LIMIT

    def judge_body(self, body: bytes, value: Dict[str, Any]) -> None:
        statement = self.document(body, value)
        if not isinstance(statement, dict) or statement.get("resourceType") != "CapabilityStatement":
            raise Failed("the answer is no CapabilityStatement", value)
        version, offered = statement.get("fhirVersion"), _resources(statement)
        value.update(fhir_version=_short(version), software_version=_software(statement), resources=len(offered))
        if statement.get("status") not in self.options["statement_status"]:
            expected = " or ".join(self.options["statement_status"])
            raise Failed("the statement's status is not {}".format(expected), value)
        if self.options["fhir_version"] is not None and version != self.options["fhir_version"]:
            raise Failed("fhirVersion is not {}".format(self.options["fhir_version"]), value)
        missing = [name for name in self.options["resources"] if name not in offered]
        if missing:
            raise Failed("the server does not offer {}".format(", ".join(missing)), value)


def _resources(statement: Dict[str, Any]) -> List[str]:
    """Return the resource types that the server offers."""
    parts = statement.get("rest")
    found = []
    for part in parts if isinstance(parts, list) else []:
        resources = part.get("resource") if isinstance(part, dict) else None
        for resource in resources if isinstance(resources, list) else []:
            if isinstance(resource, dict) and isinstance(resource.get("type"), str):
                found.append(resource["type"])
    return found


def _software(statement: Dict[str, Any]) -> Any:
    software = statement.get("software")
    return _short(software.get("version")) if isinstance(software, dict) else None


def _short(text: Any) -> Any:
    """Return a version as text, and nothing that is too long to be one."""
    return text if isinstance(text, str) and len(text) <= 64 else None

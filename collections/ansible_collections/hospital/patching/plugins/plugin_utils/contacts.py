# SPDX-License-Identifier: GPL-3.0-or-later
"""May this host be contacted? Asked before every connection, whoever makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import segments
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import (
    CATALOGUE_LOCKED,
    CATALOGUE_SEGMENTS,
    catalogue_problem,
)

#: Variables of this prefix that are no settings of a host.
RUN_VARIABLES = (
    "patching_plan",
    "patching_approved_by",
    "patching_hosts",
    "patching_run",
    "patching_assessment",
    "patching_software",
)


def decide(host: str, address: str, variables: Mapping[str, Any]) -> segments.Contact:
    """Hold an address against the policy and device segments that bind ``host``.

    Only these two variables are read, so that a typing error in another setting
    never widens what may be contacted.
    """
    unreadable = catalogue_problem(variables)
    if unreadable:
        # What it would have said of devices is not known.
        return segments.Contact(False, (), unreadable)
    locked, declared = variables.get(CATALOGUE_LOCKED), variables.get("patching_device_segments")
    policy = "vendor_locked" if locked else str(variables.get("patching_policy") or "observed")
    missing = segments.missing(variables.get(CATALOGUE_SEGMENTS) or (), declared)
    if missing:
        seen = f"{', '.join(missing)}, vendor_locked in the service catalogue, is not in patching_device_segments"
        return segments.Contact(False, (), f"{seen}: add it there, or declare the networks in one place only")
    return segments.contact(host, address, policy, declared)


def journey(
    host: str, drained_by: str | None, hostvars: Mapping[str, Mapping[str, Any]], others: Sequence[str] = ()
) -> segments.Contact:
    """Return the answer for a host, the machine that drains it and those of its hooks: the first that is no.

    Asked by the gate, so that nobody is drained through a machine that the way
    back could not reach.
    """
    answers = []
    for name in dict.fromkeys((host, *((drained_by,) if drained_by else ()), *others)):
        variables = hostvars.get(name) or {}
        answer = decide(name, str(variables.get("ansible_host") or name), variables)
        answers.append(replace(answer, reason=f"{name}: {answer.reason}"))
    return next((answer for answer in answers if not answer.allowed), answers[0])


def require(host: str, address: str, variables: Mapping[str, Any]) -> None:
    """Refuse a connection that :func:`decide` does not allow.

    Raises:
        PatchingError: the host is locked, its address is undeclared, inside a
            device segment, or does not resolve.
    """
    found = decide(host, address, variables)
    if not found.allowed:
        raise PatchingError(
            f"host {host} ({address})",
            found.reason,
            "an address outside the declared device segments",
            "leave it alone, or correct patching_policy and patching_device_segments",
        )

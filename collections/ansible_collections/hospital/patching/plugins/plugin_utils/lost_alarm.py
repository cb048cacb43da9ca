# SPDX-License-Identifier: GPL-3.0-or-later
"""What the security contact is told of lost and stolen hosts, and where such a host would answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import setting_types
from ansible_collections.hospital.patching.plugins.plugin_utils.lost import Mark, Report
from ansible_collections.hospital.patching.plugins.plugin_utils.paging import Sent


def notice(report: Report) -> str:
    """Return what the security contact is told."""
    if report.state == "found":
        return f"{report.host} is found, says {report.reported_by} ({report.time}): {report.reason}"
    data = {"yes": "It held patient data.", "no": "It held no patient data."}.get(
        report.patient_data, "Whether it held patient data is not known."
    )
    return (
        f"{report.host} is {report.state}, says {report.reported_by} ({report.time}); last seen: "
        f"{report.last_seen or 'not known'}. {data} It is out of every plan until found is reported."
    )


def alarm(host: str, mark_: Mark, address: str) -> str:
    """Return what is paged when a lost or stolen host answers."""
    return (
        f"ALARM: {host}, {mark_.reason}, answers at {address}. Nobody logged in to it. Have the network team locate "
        "and isolate it, or report it found."
    )


def tell(contact: object, message: str, page: Callable[[Sequence[str], str, str], Sent]) -> list[str]:
    """Page the security contact; return what went wrong, one text a way.

    Args:
        contact: the value of ``patching_security_contact``, read here alone: a
            mistake in another setting must not keep a report from being told.
    """
    if not contact:
        return ["nobody is told: patching_security_contact is not set"]
    try:
        urls = setting_types.secrets(contact)
    except ValueError as error:
        return [f"patching_security_contact is not {error}"]
    return page(urls, message, "patching_security_contact").problems


def login_port(variables: Mapping[str, Any]) -> int:
    """Return the port at which Ansible would log in to a host."""
    given = str(variables.get("ansible_port") or variables.get("ansible_ssh_port") or "")
    if given.isdecimal() and 0 < int(given) < 65536:
        return int(given)
    return {"winrm": 5986, "psrp": 5986}.get(str(variables.get("ansible_connection")), 22)
